//! A JSON object of no particular system as CEF: the fields with common names under the dictionary's keys, all
//! else under `ad_NAME`. Nothing that the object says is left out but nulls and blanks.
//!
//! | CEF | from |
//! |---|---|
//! | class id | the event type, or `event` |
//! | name | `name`, or the class id |
//! | severity | `severity` where it is an integer from 0 to 10, or 3 |
//! | rt | the time as milliseconds since 1970; the text too where it is finer than that |
//! | externalId, src, suser, suid, act, outcome, msg | the preferred common name whose value is of the kind and length |
//! | ad_NAME | every other member; objects and arrays as their JSON |
//!
//! A value too long for a dictionary key goes whole under its `ad_` key, for half a value is no evidence.

use std::{fmt::Write, net::IpAddr, ops::Range};

use crate::{
    event::{Fields, Kind, Member, NodeId, Value},
    schema::generic::{self, Field},
};

use super::{CefWriter, DEFAULT_CLASS, DEFAULT_SEVERITY, EXTERNAL_ID, Header, MESSAGE, header};

/// What sets our keys apart from the dictionary's, and from the names of header fields.
const PREFIX: &str = "ad_";

/// The dictionary's keys for which the value's text alone decides, with their greatest lengths in characters.
const TEXTS: [(Field, &str, usize); 6] = [
    (Field::Id, "externalId", EXTERNAL_ID),
    (Field::Actor, "suser", 1023),
    (Field::ActorId, "suid", 1023),
    (Field::Action, "act", 63),
    (Field::Outcome, "outcome", 63),
    (Field::Message, "msg", MESSAGE),
];

/// Buffers that are used again for every event.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    value: String,
    name: String,
    key: String,
    /// Where the keys stand in `out` that a name was changed for.
    changed: Vec<Range<usize>>,
}

/// A checked object and what the pass over it found.
pub(super) struct Object<'a> {
    pub product: &'a str,
    pub event_type: Option<&'a str>,
    pub text: &'a str,
    pub fields: &'a Fields,
    pub members: &'a [Member],
}

impl<'a> Object<'a> {
    pub(super) fn encode(&self, scratch: &mut Scratch, out: &mut Vec<u8>) {
        let mut taken = Taken::default();
        let mut cef = self.header(&mut taken, &mut scratch.value, out);
        self.time(&mut cef, &mut taken, &mut scratch.value);
        self.source_address(&mut cef, &mut taken, &mut scratch.value);
        for (field, key, max) in TEXTS {
            self.text(field, (key, max), &mut cef, &mut taken, &mut scratch.value);
        }
        scratch.changed.clear();
        for (index, member) in self.members.iter().enumerate() {
            if member.counts && !member.node.is_some_and(|node| taken.has(node)) {
                self.other(index, member, &mut cef, scratch);
            }
        }
    }

    fn header<'o>(&self, taken: &mut Taken, scratch: &mut String, out: &'o mut Vec<u8>) -> CefWriter<'o> {
        let class_id = self.event_type.map(str::trim).filter(|text| !text.is_empty());
        if class_id.is_some_and(Header::keeps_class_id)
            && let Some((node, value)) = generic::event_type(self.fields, self.text)
            && class_id.is_some_and(|class_id| says(class_id, value.text(scratch)))
        {
            taken.add(node);
        }
        let class_id = class_id.unwrap_or(DEFAULT_CLASS);
        let mut severity = DEFAULT_SEVERITY;
        if let Some((node, value)) = self.scalars(Field::Severity).next()
            && let Some(stated) = value.text(scratch).parse().ok().filter(|severity| *severity <= 10)
        {
            severity = stated;
            taken.add(node);
        }
        let mut name = class_id;
        if let Some((node, value)) = self.scalars(Field::Name).find(|(_, value)| value.is_string())
            && let stated = value.text(scratch).trim()
            && !stated.is_empty()
        {
            name = stated;
            if Header::keeps_name(stated) {
                taken.add(node);
            }
        }
        CefWriter::begin(out, &header(self.product, class_id, name, severity))
    }

    fn time(&self, cef: &mut CefWriter<'_>, taken: &mut Taken, scratch: &mut String) {
        let mut times = self.scalars(Field::Time);
        let found = times.find_map(|(node, value)| Some((node, Time::parse(value.text(scratch))?)));
        if let Some((node, time)) = found {
            cef.integer("rt", time.millis);
            if time.exact {
                taken.add(node);
            }
        }
    }

    fn source_address(&self, cef: &mut CefWriter<'_>, taken: &mut Taken, scratch: &mut String) {
        for (node, value) in self.scalars(Field::SourceAddress) {
            let address = value.text(scratch);
            if address.parse::<IpAddr>().is_ok() {
                cef.pair("src", address);
                return taken.add(node);
            }
        }
    }

    fn text(
        &self,
        field: Field,
        (key, max): (&str, usize),
        cef: &mut CefWriter<'_>,
        taken: &mut Taken,
        scratch: &mut String,
    ) {
        let written = self.scalars(field).find(|(_, value)| cef.pair_within(key, value.text(scratch), max));
        if let Some((node, _)) = written {
            taken.add(node);
        }
    }

    /// A member under a key of ours.
    fn other(&self, index: usize, member: &Member, cef: &mut CefWriter<'_>, scratch: &mut Scratch) {
        let Scratch { value: unescaped, name, key, changed } = scratch;
        let value = member.value(self.text);
        let shown = value.text(unescaped);
        if value.kind == Kind::Null || shown.trim().is_empty() {
            return;
        }
        let must_check = ad_key(member.name(self.text, name), key);
        while must_check && self.has_key(key, name, changed, cef.written()) {
            write!(key, "_{index}").expect("a String takes every write");
        }
        let before = cef.written().len();
        cef.pair(key, shown);
        if must_check {
            let start = before + usize::from(cef.written()[before] == b' ');
            changed.push(start..start + key.len());
        }
    }

    /// Whether a changed key is another member's own, or one that was changed before it.
    fn has_key(&self, key: &str, scratch: &mut String, changed: &[Range<usize>], written: &[u8]) -> bool {
        let own = self.members.iter().any(|member| key[PREFIX.len()..] == *member.name(self.text, scratch));
        own || changed.iter().any(|range| written[range.clone()] == *key.as_bytes())
    }

    fn scalars(&self, field: Field) -> impl Iterator<Item = (NodeId, Value<'a>)> {
        let scalar = |kind| matches!(kind, Kind::String { .. } | Kind::Number | Kind::Bool);
        generic::candidates(field, self.fields, self.text).filter(move |(_, value)| scalar(value.kind))
    }
}

/// Whether the class id tells what the member that is a type by its name says: a schema may take its type from
/// elsewhere.
fn says(class_id: &str, member: &str) -> bool {
    let member = member.strip_prefix("EVENT_TYPE_").unwrap_or(member).trim();
    class_id.split('.').any(|part| part.eq_ignore_ascii_case(member)) || class_id.eq_ignore_ascii_case(member)
}

/// The nodes of the members that need no key of ours any more: at most one for each thing looked for.
#[derive(Default)]
struct Taken {
    nodes: [NodeId; 16],
    count: usize,
}

impl Taken {
    fn add(&mut self, node: NodeId) {
        self.nodes[self.count] = node;
        self.count += 1;
    }

    fn has(&self, node: NodeId) -> bool {
        self.nodes[..self.count].contains(&node)
    }
}

struct Time {
    /// Since 1970.
    millis: i64,
    /// Whether the text said no more than `millis` does.
    exact: bool,
}

impl Time {
    /// RFC 3339 with its offset, or 10 digits of seconds or 13 of milliseconds since 1970.
    fn parse(text: &str) -> Option<Time> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let scale = match text.len() {
                10 => 1000,
                13 => 1,
                _ => return None,
            };
            return Some(Time { millis: text.parse::<i64>().ok()? * scale, exact: true });
        }
        let time: jiff::Timestamp = text.parse().ok()?;
        Some(Time { millis: time.as_millisecond(), exact: time.subsec_nanosecond() % 1_000_000 == 0 })
    }
}

/// Sets `key` to `ad_` and the name, each character that is in no portable key as `_`; true where one was.
fn ad_key(name: &str, key: &mut String) -> bool {
    key.clear();
    key.push_str(PREFIX);
    if is_portable(name) {
        key.push_str(name);
        return false;
    }
    key.extend(name.chars().map(|character| if portable(character) { character } else { '_' }));
    true
}

fn portable(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

fn is_portable(name: &str) -> bool {
    name.bytes().all(|byte| portable(char::from(byte)))
}
