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
    DEFAULT_CLASS, DEFAULT_SEVERITY, Header, Key, Line, header,
    others::Others,
    rules::Rules,
    sheet::{Record, Sheet, Work},
    standard,
    time::Time,
};
use crate::{
    event::{Fields, Kind, Value},
    schema::{
        Field as Ours,
        generic::{self, Field},
    },
};

/// The dictionary's keys for which the value's text alone decides.
const TEXTS: [(Field, Key); 6] = [
    (Field::Id, Key::ExternalId),
    (Field::Actor, Key::Suser),
    (Field::ActorId, Key::Suid),
    (Field::Action, Key::Act),
    (Field::Outcome, Key::Outcome),
    (Field::Message, Key::Msg),
];

/// Begins the line and writes what has a key of the dictionary.
pub(super) fn encode<'a, 'o, 'w>(
    record: Record<'a>,
    fields: &'a Fields,
    rules: &'w Rules,
    work: &'w mut Work,
    out: &'o mut Vec<u8>,
) -> Sheet<'a, 'o, 'w> {
    let names = Names { record, fields };
    let mut sheet = names.header(rules, work, out);
    standard::mapped(&mut sheet);
    let Sheet { line, others, scratch, .. } = &mut sheet;
    let address = names.scalars(Field::SourceAddress).find(|value| line.source_address(value.text(scratch)));
    address.into_iter().for_each(|value| others.say(value));
    for (field, key) in TEXTS {
        let written = names.scalars(field).find(|value| line.text(key, value.text(scratch)));
        written.into_iter().for_each(|value| others.say(value));
    }
    sheet
}

/// A checked object and what the pass over it found under common names.
#[derive(Clone, Copy)]
struct Names<'a> {
    record: Record<'a>,
    fields: &'a Fields,
}

impl<'a> Names<'a> {
    fn header<'o, 'w>(self, rules: &'w Rules, work: &'w mut Work, out: &'o mut Vec<u8>) -> Sheet<'a, 'o, 'w> {
        let Work { marks, others, value: scratch, .. } = work;
        let time = self.time(others, scratch);
        let class_id = self.record.event_type.map(str::trim);
        if class_id.is_some_and(Header::keeps_class_id) {
            self.say_type(others, scratch);
        }
        let class_id = class_id.unwrap_or(DEFAULT_CLASS);
        let mut severity = DEFAULT_SEVERITY;
        if let Some(value) = self.scalars(Field::Severity).next()
            && let Some(stated) = value.text(scratch).parse().ok().filter(|severity| *severity <= 10)
        {
            severity = stated;
            others.say(value);
        }
        let outcome = self.record.facts.get(Ours::Outcome, scratch);
        let severity = rules.severity(class_id, outcome, severity);
        let mut name = class_id;
        if let Some(value) = self.scalars(Field::Name).find(|value| value.is_string())
            && let stated = value.text(scratch).trim()
            && !stated.is_empty()
        {
            name = stated;
            if Header::keeps_name(stated) {
                others.say(value);
            }
        }
        let line = Line::begin(out, rules, &header(self.record.source, class_id, name, severity), time, marks);
        Sheet { record: self.record, line, others, scratch }
    }

    fn say_type(self, others: &mut Others, scratch: &mut String) {
        if self.record.facts.is_mapped(Ours::Type) {
            if let Some(text) = self.record.facts.get(Ours::Type, scratch) {
                others.say_text(text);
            }
        } else if let Some((_, value)) = generic::event_type(self.fields, self.record.text) {
            others.say(value);
        }
    }

    fn time(self, others: &mut Others, scratch: &mut String) -> Option<Time> {
        if self.record.facts.is_mapped(Ours::Time) {
            return standard::time(self.record.facts, others, scratch);
        }
        let mut times = self.scalars(Field::Time);
        let (value, time) = times.find_map(|value| Some((value, Time::parse(value.text(scratch))?)))?;
        if time.exact {
            others.say(value);
        }
        Some(time)
    }

    fn scalars(self, field: Field) -> impl Iterator<Item = Value<'a>> {
        let scalar = |kind| matches!(kind, Kind::String { .. } | Kind::Number | Kind::Bool);
        let found = generic::candidates(field, self.fields, self.record.text).map(|(_, value)| value);
        found.filter(move |value| scalar(value.kind))
    }
}
