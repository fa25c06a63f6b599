//! What the configuration says of every line: header fields that it sets, the prefix, which keys `map` takes.

use std::io::Write;

use super::{DEFAULT_CLASS, MAPPING_VERSION, VENDOR, time::Time, writer::CefHeader};
use crate::{
    config::{CefConfig, MappedKey, PrefixPart},
    format::CefKeySet,
};

/// What stands in the prefix for an event that has no time (RFC 5424's word for it); the clock is nobody's.
const NO_TIME: &str = "-";

#[derive(Debug)]
pub(super) struct Rules {
    pub settings: CefConfig,
    /// The dictionary's keys that `map` sets.
    pub mapped: CefKeySet,
    /// The other keys that `map` sets.
    pub own: Vec<String>,
}

impl Rules {
    pub(super) fn new(settings: &CefConfig) -> Rules {
        let mut rules = Rules { settings: settings.clone(), mapped: CefKeySet::default(), own: Vec::new() };
        for mapped in &settings.map {
            match &mapped.key {
                MappedKey::Dictionary(key, _) => rules.mapped.add(*key),
                MappedKey::Own(name) => rules.own.push(name.clone()),
            }
        }
        rules
    }

    /// The header with what the configuration sets in it.
    pub(super) fn header<'h>(&'h self, header: &CefHeader<'h>) -> CefHeader<'h> {
        let CefConfig { vendor, product, version, .. } = &self.settings;
        let said = |text: &'h str, default| if text.trim().is_empty() { default } else { text };
        CefHeader {
            vendor: vendor.as_deref().unwrap_or(said(header.vendor, VENDOR)),
            product: product.as_deref().unwrap_or(said(header.product, VENDOR)),
            version: version.as_deref().unwrap_or(said(header.version, MAPPING_VERSION)),
            class_id: said(header.class_id, DEFAULT_CLASS),
            name: said(header.name, DEFAULT_CLASS),
            severity: header.severity,
        }
    }

    /// The severity of an event: what the configuration says of its type or of its outcome, else `default`. One
    /// that did not succeed has the higher of what is said of both.
    pub(super) fn severity(&self, event_type: &str, outcome: Option<&str>, default: u8) -> u8 {
        if self.settings.severity.is_empty() {
            return default;
        }
        let of = |word: &str| self.settings.severity.get(word).copied();
        let (of_type, of_outcome) = (of(event_type), outcome.and_then(of));
        match outcome {
            Some("denied" | "failure") => of_outcome.unwrap_or(default).max(of_type.unwrap_or(0)),
            _ => of_type.or(of_outcome).unwrap_or(default),
        }
    }

    pub(super) fn prefix(&self, time: Option<Time>, out: &mut Vec<u8>) {
        for part in &self.settings.prefix {
            match part {
                PrefixPart::Text(text) => out.extend_from_slice(text.as_bytes()),
                PrefixPart::Host => {
                    out.extend_from_slice(self.settings.host.as_deref().unwrap_or_default().as_bytes());
                }
                PrefixPart::Time => match time.and_then(Time::seconds) {
                    Some(time) => write!(out, "{time}").expect("a Vec takes every write"),
                    None => out.extend_from_slice(NO_TIME.as_bytes()),
                },
            }
        }
    }
}
