//! CEF, version 0: what is written where. How it is written, so that no value can become a second line, key or
//! header field, is [`CefWriter`](writer::CefWriter)'s; what the dictionary and the configuration allow is `line`'s.
//!
//! Each known system has a mapping, the table of which heads its file; the others are written by their fields
//! (`standard`) or by the names that events commonly have (`generic`). What no mapping has a place for goes under
//! `ad_NAME`: nothing that an event says is left out but nulls and blanks.
//!
//! | dialect | |
//! |---|---|
//! | strict | the dictionary's keys; custom fields with their labels |
//! | konnect | Kong Konnect's keys for its records; for those of other systems its names for the same things (principal_name, principal_id, action, act, user_agent, org_id, trace_id, …), the names of what else would be a custom field, and the dictionary's keys |
//!
//! A record that is CEF already goes out as it came, byte for byte, in Konnect's dialect and where it is of no system
//! that is known; a record of Konnect's is encoded anew in the strict one.
//!
//! Source: ArcSight "CEF Implementation Standard" (document version 27), and what its common readers do.

mod chainloop;
mod connect;
mod entries;
mod generic;
mod infrakitchen;
mod konnect;
mod leftover;
mod line;
mod record_writer;
mod rules;
mod standard;
#[cfg(test)]
mod tests;
mod time;
mod writer;

pub use writer::CefHeader;

use crate::{
    config::{self, Dialect},
    format::CefKey,
    schema::{Event, EventForm, JsonEvent, System},
};
use line::{CefLine, CefMarks};
use record_writer::{CefInput, CefScratch};
use rules::Rules;

const VENDOR: &str = "auditpost";
/// Of the mapping, not of the program: the same record has the same bytes under the next release.
const MAPPING_VERSION: &str = "1.0";
const DEFAULT_CLASS: &str = "event";
/// The severity of an event that states none from 0 to 10.
const DEFAULT_SEVERITY: u8 = 3;
/// Objects that hold the whole of a record: their members are the record's own.
const ENVELOPES: [&str; 3] = ["Data", "data", "event"];

/// Encodes the events of one source.
#[derive(Debug)]
pub struct CefEncoder {
    product: String,
    rules: Rules,
    work: CefScratch,
}

impl CefEncoder {
    /// `product` is the source's name.
    pub fn new(settings: &config::CefConfig, product: &str) -> CefEncoder {
        CefEncoder { product: product.to_owned(), rules: Rules::new(settings), work: CefScratch::default() }
    }

    pub fn encode(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        if matches!(event.form, EventForm::Cef(_)) && self.passes(event) {
            return out.extend_from_slice(event.line);
        }
        match (CefInput::new(event, &self.product), event.form) {
            (Some(record), _) => Self::record(record, event, &self.rules, &mut self.work, out),
            (None, EventForm::Json(json)) => self.whole(event, json.text, out),
            (None, EventForm::Cef(record)) => self.whole(event, record.text, out),
            (None, EventForm::Raw) => self.whole(event, &String::from_utf8_lossy(event.line), out),
        }
    }

    /// How many values were cut since this was last asked.
    pub fn take_cuts(&mut self) -> u64 {
        std::mem::take(&mut self.work.marks.cuts)
    }

    /// A line of ours about a line, which has no time.
    pub(super) fn notice(&self, class_id: &str, name: &str, severity: u8, pairs: &[(&str, &str)], out: &mut Vec<u8>) {
        let mut marks = CefMarks::default();
        let header = header(&self.product, class_id, name, severity);
        let mut line = CefLine::begin(out, &self.rules, &header, None, &mut marks);
        for (name, value) in pairs {
            line.other(name, value);
        }
        line.end();
    }

    /// Whether a line of CEF goes out as it came. One with a character that a reader splits lines at does not.
    fn passes(&self, event: &Event<'_>) -> bool {
        let known = event.facts.is_some_and(|facts| facts.system() == System::Konnect);
        let native = !known || self.rules.settings.dialect == Dialect::Konnect;
        native && !event.line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t')
    }

    fn record(record: CefInput<'_>, event: &Event<'_>, rules: &Rules, work: &mut CefScratch, out: &mut Vec<u8>) {
        work.others.clear();
        let mut writer = match (record.facts.system(), event.form) {
            (System::Connect, _) => connect::encode(record, rules, work, out),
            (System::InfraKitchen, _) => infrakitchen::encode(record, rules, work, out),
            (System::Konnect, _) => konnect::encode(record, rules, work, out),
            (System::Chainloop, _) => chainloop::encode(record, rules, work, out),
            (System::Generic, EventForm::Json(JsonEvent { fields: Some(fields), .. })) => {
                generic::encode(record, fields, rules, work, out)
            }
            (System::Kubernetes | System::Vault | System::Generic, _) => standard::encode(record, rules, work, out),
        };
        writer.mapped(&rules.settings);
        writer.rest(match record.facts.system() {
            System::Konnect | System::Chainloop => &ENVELOPES,
            _ => &[],
        });
        finish(rules, record.text, writer.line);
    }

    /// The event as one value: text, JSON that is no object, or an object with too many members to set apart.
    fn whole(&mut self, event: &Event<'_>, text: &str, out: &mut Vec<u8>) {
        let class_id = event.event_type.filter(|text| !text.trim().is_empty()).unwrap_or(DEFAULT_CLASS);
        let severity = self.rules.severity(class_id, None, DEFAULT_SEVERITY);
        let header = header(&self.product, class_id, class_id, severity);
        let mut line = CefLine::begin(out, &self.rules, &header, None, &mut self.work.marks);
        if !line.text(CefKey::Msg, text) {
            line.other("ad_event", text);
        }
        finish(&self.rules, text, line);
    }
}

fn finish(rules: &Rules, text: &str, mut line: CefLine<'_, '_>) {
    if let Some(host) = &rules.settings.host {
        line.text(CefKey::Dvchost, host);
    }
    if rules.settings.raw_event {
        line.raw_event(text);
    }
    line.end();
}

/// The header of a line of ours.
fn header<'a>(product: &'a str, class_id: &'a str, name: &'a str, severity: u8) -> CefHeader<'a> {
    CefHeader { vendor: VENDOR, product, version: MAPPING_VERSION, class_id, name, severity }
}
