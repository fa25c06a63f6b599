//! A JSON object of no particular system as CEF: the fields with common names under the dictionary's keys, all
//! else under `ad_NAME`. Nothing that the object says is left out but nulls and blanks.
//!
//! | CEF | from |
//! |---|---|
//! | class id | the event type, or `event` |
//! | name | `name`, or the class id |
//! | severity | what the configuration says; `severity` where it is an integer from 0 to 10, or 3 |
//! | rt | the time as milliseconds since 1970; the text too where it is finer than that |
//! | externalId, src, suser, suid, act, outcome, msg | the first common name whose value is of the key's kind |
//! | ad_NAME | every other member; objects and arrays as their JSON |
//!
//! A field that the source's own `fields` name is where [`standard`] has it.

use super::{
    CefHeader, CefLine, DEFAULT_CLASS, DEFAULT_SEVERITY, header,
    leftover::LeftoverFields,
    record_writer::{CefInput, CefRecordWriter, CefScratch},
    rules::Rules,
    standard,
    time::Time,
};
use crate::{
    format::CefKey,
    scan::{Fields, JsonKind, Value},
    schema::{
        Field as Ours,
        generic::{self, NameHint},
    },
};

/// The dictionary's keys for which the value's text alone decides.
const TEXTS: [(NameHint, CefKey); 6] = [
    (NameHint::Id, CefKey::ExternalId),
    (NameHint::Actor, CefKey::Suser),
    (NameHint::ActorId, CefKey::Suid),
    (NameHint::Action, CefKey::Act),
    (NameHint::Outcome, CefKey::Outcome),
    (NameHint::Message, CefKey::Msg),
];

/// Begins the line and writes what has a key of the dictionary.
pub(super) fn encode<'a, 'o, 'w>(
    record: CefInput<'a>,
    fields: &'a Fields,
    rules: &'w Rules,
    work: &'w mut CefScratch,
    out: &'o mut Vec<u8>,
) -> CefRecordWriter<'a, 'o, 'w> {
    let names = Names { record, fields };
    let mut writer = names.header(rules, work, out);
    standard::mapped(&mut writer);
    let CefRecordWriter { line, others, scratch, .. } = &mut writer;
    let address = names.scalars(NameHint::SourceAddress).find(|value| line.source_address(value.text(scratch)));
    address.into_iter().for_each(|value| others.say(value));
    for (field, key) in TEXTS {
        let written = names.scalars(field).find(|value| line.text(key, value.text(scratch)));
        written.into_iter().for_each(|value| others.say(value));
    }
    writer
}

/// A checked object and what the pass over it found under common names.
#[derive(Clone, Copy)]
struct Names<'a> {
    record: CefInput<'a>,
    fields: &'a Fields,
}

impl<'a> Names<'a> {
    fn header<'o, 'w>(
        self,
        rules: &'w Rules,
        work: &'w mut CefScratch,
        out: &'o mut Vec<u8>,
    ) -> CefRecordWriter<'a, 'o, 'w> {
        let CefScratch { marks, others, value: scratch, .. } = work;
        let time = self.time(others, scratch);
        let class_id = self.record.event_type.map(str::trim);
        if class_id.is_some_and(CefHeader::keeps_class_id) {
            self.say_type(others, scratch);
        }
        let class_id = class_id.unwrap_or(DEFAULT_CLASS);
        let mut severity = DEFAULT_SEVERITY;
        if let Some(value) = self.scalars(NameHint::Severity).next()
            && let Some(stated) = value.text(scratch).parse().ok().filter(|severity| *severity <= 10)
        {
            severity = stated;
            others.say(value);
        }
        let outcome = self.record.facts.get(Ours::Outcome, scratch);
        let severity = rules.severity(class_id, outcome, severity);
        let mut name = class_id;
        if let Some(value) = self.scalars(NameHint::Name).find(|value| value.is_string())
            && let stated = value.text(scratch).trim()
            && !stated.is_empty()
        {
            name = stated;
            if CefHeader::keeps_name(stated) {
                others.say(value);
            }
        }
        let line = CefLine::begin(out, rules, &header(self.record.source, class_id, name, severity), time, marks);
        CefRecordWriter { record: self.record, line, others, scratch }
    }

    fn say_type(self, others: &mut LeftoverFields, scratch: &mut String) {
        if self.record.facts.is_mapped(Ours::Type) {
            if let Some(text) = self.record.facts.get(Ours::Type, scratch) {
                others.say_text(text);
            }
        } else if let Some((_, value)) = generic::event_type(self.fields, self.record.text) {
            others.say(value);
        }
    }

    fn time(self, others: &mut LeftoverFields, scratch: &mut String) -> Option<Time> {
        if self.record.facts.is_mapped(Ours::Time) {
            return standard::time(self.record.facts, others, scratch);
        }
        let mut times = self.scalars(NameHint::Time);
        let (value, time) = times.find_map(|value| Some((value, Time::parse(value.text(scratch))?)))?;
        if time.exact {
            others.say(value);
        }
        Some(time)
    }

    fn scalars(self, field: NameHint) -> impl Iterator<Item = Value<'a>> {
        let scalar = |kind| matches!(kind, JsonKind::String { .. } | JsonKind::Number | JsonKind::Bool);
        let found = generic::candidates(field, self.fields, self.record.text).map(|(_, value)| value);
        found.filter(move |value| scalar(value.kind))
    }
}
