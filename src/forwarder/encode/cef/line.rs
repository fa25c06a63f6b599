//! One CEF line by the rules of the dictionary and of the configuration.
//!
//! What a mapping wants to say goes through here: each key is written once, with a value of its kind; a key that
//! `map` sets is not written by a mapping; a text that is too long is cut, and then stands whole under `adWhole_KEY`
//! and the key's name in `adCut`, for half a value is no evidence. Each way to write answers whether the value is now
//! in the line as a whole, so that what is not can be written under a key of ours.

use std::{fmt::Write, net::IpAddr};

use super::{
    rules::Rules,
    time::Time,
    writer::{CefHeader, CefWriter},
};
use crate::{
    config::{Dialect, Ipv6},
    format::{CefKey, CefKeySet, CefValueKind},
};

/// Before the name of the key that was cut.
const WHOLE: &str = "adWhole_";
/// The keys of which the values were cut, separated by commas.
const CUT_KEYS: &str = "adCut";

/// Buffers that are used again for every line.
#[derive(Debug, Default)]
pub(super) struct CefMarks {
    /// The names of what was cut, for `adCut`.
    cut: String,
    key: String,
    /// How many values were cut since somebody asked.
    pub cuts: u64,
}

pub(super) struct CefLine<'o, 'r> {
    cef: CefWriter<'o>,
    rules: &'r Rules,
    marks: &'r mut CefMarks,
    written: CefKeySet,
}

impl<'o, 'r> CefLine<'o, 'r> {
    /// Appends the prefix and the header.
    pub(super) fn begin(
        out: &'o mut Vec<u8>,
        rules: &'r Rules,
        header: &CefHeader<'_>,
        time: Option<Time>,
        marks: &'r mut CefMarks,
    ) -> CefLine<'o, 'r> {
        marks.cut.clear();
        rules.prefix(time, out);
        let header = rules.header(header);
        let mut line = CefLine {
            cef: CefWriter::begin(out, &header, rules.settings.leading_space),
            rules,
            marks,
            written: rules.mapped,
        };
        for (name, _) in header.cut().into_iter().filter(|(_, cut)| *cut) {
            line.cut(name);
        }
        if let Some(time) = time {
            line.time(CefKey::Rt, time);
        }
        line
    }

    /// Whether custom fields go under names of their own instead of `cs1` and `cs1Label`.
    pub(super) fn dialect(&self) -> Dialect {
        self.rules.settings.dialect
    }

    /// A text under a key that takes one. An id that is too long is not written.
    pub(super) fn text(&mut self, key: CefKey, value: &str) -> bool {
        let name = self.name(key);
        !self.written.has(key) && !self.is_mapped(name) && self.dictionary(key, name, None, value)
    }

    /// A custom field, with its label or, in Konnect's dialect, under `own` name.
    pub(super) fn custom(&mut self, key: CefKey, label: &str, own: &str, value: &str) -> bool {
        match self.dialect() {
            Dialect::Strict => !self.written.has(key) && self.dictionary(key, key.name(), Some(label), value),
            Dialect::Konnect => self.own(own, value),
        }
    }

    /// A key that is not the dictionary's, unless `map` sets it. The caller gives each once.
    pub(super) fn own(&mut self, key: &str, value: &str) -> bool {
        let free = !self.is_mapped(key) && !value.trim().is_empty();
        if free {
            self.cef.pair(key, value);
        }
        free
    }

    pub(super) fn time(&mut self, key: CefKey, time: Time) -> bool {
        let free = !self.written.has(key);
        if free {
            self.written.add(key);
            self.cef.integer(key.name(), time.millis);
        }
        free && time.exact
    }

    /// The address that a request came from.
    pub(super) fn source_address(&mut self, value: &str) -> bool {
        match value.trim().parse() {
            Ok(IpAddr::V6(_)) if self.rules.settings.ipv6 == Ipv6::C6a2 => {
                self.custom(CefKey::C6a2, "Source IPv6 Address", CefKey::Src.name(), value)
            }
            Ok(_) => self.text(CefKey::Src, value),
            Err(_) => false,
        }
    }

    /// What `map` says; it goes before what a mapping says.
    pub(super) fn mapped(&mut self, key: CefKey, label: Option<&str>, value: &str) -> bool {
        self.dictionary(key, key.name(), label, value)
    }

    pub(super) fn mapped_own(&mut self, key: &str, value: &str) -> bool {
        self.cef.pair(key, value);
        true
    }

    /// The line that the event was, as far as there is room.
    pub(super) fn raw_event(&mut self, line: &str) {
        const MAX: usize = 4000;
        if !line.trim().is_empty() && !self.cef.pair_within("rawEvent", line, MAX) {
            self.cef.pair_cut("rawEvent", line, MAX);
            self.cut("rawEvent");
        }
    }

    /// A key of ours, `ad_…`, of which the caller knows that it is the only one of its name.
    pub(super) fn other(&mut self, key: &str, value: &str) {
        self.cef.pair(key, value);
    }

    /// The bytes written so far, and whatever was in the body before.
    pub(super) fn written(&self) -> &[u8] {
        self.cef.written()
    }

    /// Appends the marks. Nothing may come behind them.
    pub(super) fn end(mut self) {
        if !self.marks.cut.is_empty() {
            self.cef.pair(CUT_KEYS, &self.marks.cut);
        }
    }

    fn dictionary(&mut self, key: CefKey, name: &'static str, label: Option<&str>, value: &str) -> bool {
        let value = value.trim();
        if value.is_empty() {
            return false;
        }
        let whole = match key.kind() {
            CefValueKind::Text(max) => self.cef.pair_within(name, value, max) || self.shorten(name, value, max),
            CefValueKind::Id(max) => self.cef.pair_within(name, value, max),
            CefValueKind::Time => match Time::parse(value) {
                Some(time) => {
                    self.cef.integer(name, time.millis);
                    self.label(key, label);
                    self.written.add(key);
                    return time.exact;
                }
                None => false,
            },
            kind => is_of(kind, value) && self.cef.pair_within(name, value, usize::MAX),
        };
        if whole {
            self.written.add(key);
            self.label(key, label);
        }
        whole
    }

    /// Whether `map` sets the key of this name.
    fn is_mapped(&self, name: &str) -> bool {
        let Rules { mapped, own, .. } = self.rules;
        own.iter().any(|own| own == name) || CefKey::find(name).is_some_and(|key| mapped.has(key))
    }

    /// What the dialect calls a key.
    fn name(&self, key: CefKey) -> &'static str {
        match (self.dialect(), key) {
            (Dialect::Konnect, CefKey::Suser) => "principal_name",
            (Dialect::Konnect, CefKey::Suid) => "principal_id",
            (Dialect::Konnect, CefKey::Act) => "action",
            (Dialect::Konnect, CefKey::RequestMethod) => "act",
            (Dialect::Konnect, CefKey::RequestClientApplication) => "user_agent",
            _ => key.name(),
        }
    }

    fn label(&mut self, key: CefKey, label: Option<&str>) {
        if let Some(label) = label {
            self.marks.key.clear();
            write!(self.marks.key, "{}Label", key.name()).expect("a String takes every write");
            self.cef.pair(&self.marks.key, label);
        }
    }

    /// A text that is too long: its head, and the whole of it under a key of ours.
    fn shorten(&mut self, name: &str, value: &str, max: usize) -> bool {
        self.cef.pair_cut(name, value, max);
        self.marks.key.clear();
        write!(self.marks.key, "{WHOLE}{name}").expect("a String takes every write");
        self.cef.pair(&self.marks.key, value);
        self.cut(name);
        true
    }

    fn cut(&mut self, name: &str) {
        if !self.marks.cut.is_empty() {
            self.marks.cut.push(',');
        }
        self.marks.cut.push_str(name);
        self.marks.cuts += 1;
    }
}

/// Whether a value can stand under a key that takes no text.
fn is_of(kind: CefValueKind, value: &str) -> bool {
    match kind {
        CefValueKind::Integer => value.parse::<i32>().is_ok(),
        CefValueKind::Long => value.parse::<i64>().is_ok(),
        CefValueKind::Double => value.parse::<f64>().is_ok_and(f64::is_finite),
        CefValueKind::Address => value.parse::<IpAddr>().is_ok(),
        CefValueKind::Ipv6 => value.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()),
        CefValueKind::Mac => {
            let mut parts = value.split([':', '-']);
            value.len() == 17 && parts.all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
        }
        CefValueKind::Text(_) | CefValueKind::Id(_) | CefValueKind::Time => true,
    }
}
