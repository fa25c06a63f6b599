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

use crate::{
    event::{Fields, Kind, Value},
    schema::generic::{self, Field},
};

use super::{
    DEFAULT_CLASS, DEFAULT_SEVERITY, Header, Key, header,
    line::{Line, Marks},
    others::Others,
    rules::Rules,
    time::Time,
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

/// A checked object and what the pass over it found.
pub(super) struct Object<'a> {
    pub product: &'a str,
    pub event_type: Option<&'a str>,
    pub text: &'a str,
    pub fields: &'a Fields,
}

impl<'a> Object<'a> {
    /// Begins the line and writes what has a key of the dictionary.
    pub(super) fn begin<'o, 'r>(
        &self,
        rules: &'r Rules,
        (marks, others, scratch): (&'r mut Marks, &mut Others, &mut String),
        out: &'o mut Vec<u8>,
    ) -> Line<'o, 'r> {
        let mut line = self.header(rules, (marks, others, scratch), out);
        self.source_address(&mut line, others, scratch);
        for (field, key) in TEXTS {
            let written = self.scalars(field).find(|value| line.text(key, value.text(scratch)));
            if let Some(value) = written {
                others.say(value);
            }
        }
        line
    }

    fn header<'o, 'r>(
        &self,
        rules: &'r Rules,
        (marks, others, scratch): (&'r mut Marks, &mut Others, &mut String),
        out: &'o mut Vec<u8>,
    ) -> Line<'o, 'r> {
        let time = self.time(others, scratch);
        let class_id = self.event_type.map(str::trim).filter(|text| !text.is_empty());
        if class_id.is_some_and(Header::keeps_class_id)
            && let Some((_, value)) = generic::event_type(self.fields, self.text)
        {
            others.say(value);
        }
        let class_id = class_id.unwrap_or(DEFAULT_CLASS);
        let mut severity = DEFAULT_SEVERITY;
        if let Some(value) = self.scalars(Field::Severity).next()
            && let Some(stated) = value.text(scratch).parse().ok().filter(|severity| *severity <= 10)
        {
            severity = stated;
            others.say(value);
        }
        let outcome = self.scalars(Field::Outcome).next().map(|value| value.text(scratch));
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
        Line::begin(out, rules, &header(self.product, class_id, name, severity), time, marks)
    }

    fn time(&self, others: &mut Others, scratch: &mut String) -> Option<Time> {
        let mut times = self.scalars(Field::Time);
        let (value, time) = times.find_map(|value| Some((value, Time::parse(value.text(scratch))?)))?;
        if time.exact {
            others.say(value);
        }
        Some(time)
    }

    fn source_address(&self, line: &mut Line<'_, '_>, others: &mut Others, scratch: &mut String) {
        let written = self.scalars(Field::SourceAddress).find(|value| line.source_address(value.text(scratch)));
        if let Some(value) = written {
            others.say(value);
        }
    }

    fn scalars(&self, field: Field) -> impl Iterator<Item = Value<'a>> {
        let scalar = |kind| matches!(kind, Kind::String { .. } | Kind::Number | Kind::Bool);
        generic::candidates(field, self.fields, self.text)
            .map(|(_, value)| value)
            .filter(move |value| scalar(value.kind))
    }
}
