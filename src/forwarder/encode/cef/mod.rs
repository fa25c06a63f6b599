//! CEF, version 0: what is written where. How it is written, so that no value can become a second line, key or
//! header field, is [`CefWriter`]'s.
//!
//! Source: ArcSight "CEF Implementation Standard" (document version 27), and what its common readers do.

mod dictionary;
mod entries;
mod generic;
mod line;
mod others;
mod rules;
#[cfg(test)]
mod tests;
mod time;
mod writer;

pub use dictionary::{CONSUMERS, Key, Keys, Kind, RESERVED};
pub use writer::{CefWriter, Header};

use crate::{
    config::{self, MappedFrom, MappedKey},
    event::{Event, Fields, Form},
};
use entries::Entries;
use line::{Line, Marks};
use others::Others;
use rules::Rules;

const VENDOR: &str = "auditpost";
/// Of the mapping, not of the program: the same record has the same bytes under the next release.
const MAPPING_VERSION: &str = "1.0";
const DEFAULT_CLASS: &str = "event";
/// The severity of an event that states none from 0 to 10.
const DEFAULT_SEVERITY: u8 = 3;

/// Encodes the events of one source.
#[derive(Debug)]
pub struct Encoder {
    product: String,
    rules: Rules,
    work: Work,
}

/// Buffers that are used again for every event.
#[derive(Debug, Default)]
struct Work {
    marks: Marks,
    others: Others,
    value: String,
}

impl Encoder {
    /// `product` is the source's name.
    pub fn new(settings: &config::Cef, product: &str) -> Encoder {
        Encoder { product: product.to_owned(), rules: Rules::new(settings), work: Work::default() }
    }

    pub fn encode(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match event.form {
            Form::Json(json) => match json.fields {
                Some(fields) if json.is_object() && fields.members().is_some() => {
                    self.object(event, json.text, fields, out);
                }
                _ => self.whole(event, json.text, out),
            },
            Form::Raw => self.whole(event, &String::from_utf8_lossy(event.line), out),
        }
    }

    /// How many values were cut since this was last asked.
    pub fn take_cuts(&mut self) -> u64 {
        std::mem::take(&mut self.work.marks.cuts)
    }

    /// A line of ours about a line: it has no time, and `pairs` go under keys of ours unless the dictionary has one.
    pub(super) fn notice(&self, class_id: &str, name: &str, severity: u8, pairs: &[(&str, &str)], out: &mut Vec<u8>) {
        let mut marks = Marks::default();
        let header = header(&self.product, class_id, name, severity);
        let mut line = Line::begin(out, &self.rules, &header, None, &mut marks);
        for (name, value) in pairs {
            line.other(name, value);
        }
        line.end();
    }

    fn object(&mut self, event: &Event<'_>, text: &str, fields: &Fields, out: &mut Vec<u8>) {
        let Encoder { product, rules, work: Work { marks, others, value: scratch } } = self;
        others.clear();
        let members = fields.members().unwrap_or_default();
        let object = generic::Object { product, event_type: event.event_type, text, fields };
        let mut line = object.begin(rules, (marks, others, scratch), out);
        mapped(rules, text, &mut line, others, scratch);
        others.members(members, text, &mut line);
        finish(rules, text, line);
    }

    /// The event as one value: text, JSON that is no object, or an object with too many members to set apart.
    fn whole(&mut self, event: &Event<'_>, text: &str, out: &mut Vec<u8>) {
        let class_id = event.event_type.filter(|text| !text.trim().is_empty()).unwrap_or(DEFAULT_CLASS);
        let severity = self.rules.severity(class_id, None, DEFAULT_SEVERITY);
        let header = header(&self.product, class_id, class_id, severity);
        let mut line = Line::begin(out, &self.rules, &header, None, &mut self.work.marks);
        if !line.text(Key::Msg, text) {
            line.other("ad_event", text);
        }
        finish(&self.rules, text, line);
    }
}

/// What `map` says of the record.
fn mapped(rules: &Rules, text: &str, line: &mut Line<'_, '_>, others: &mut Others, scratch: &mut String) {
    for mapped in &rules.settings.map {
        let MappedFrom::Pointer(path) = &mapped.from;
        let Some(value) = Entries::find(text.trim_start(), path) else { continue };
        let shown = value.text(scratch);
        let whole = match &mapped.key {
            MappedKey::Dictionary(key, label) => line.mapped(*key, label.as_deref(), shown),
            MappedKey::Own(name) => line.mapped_own(name, shown),
        };
        if whole {
            others.say(value);
        }
    }
}

fn finish(rules: &Rules, text: &str, mut line: Line<'_, '_>) {
    if let Some(host) = &rules.settings.host {
        line.text(Key::Dvchost, host);
    }
    if rules.settings.raw_event {
        line.raw_event(text);
    }
    line.end();
}

/// The header of a line of ours.
fn header<'a>(product: &'a str, class_id: &'a str, name: &'a str, severity: u8) -> Header<'a> {
    Header { vendor: VENDOR, product, version: MAPPING_VERSION, class_id, name, severity }
}
