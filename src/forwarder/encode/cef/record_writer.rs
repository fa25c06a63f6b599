//! What the mappings of the known systems have in common: a line that is filled in from a record's places.

use super::{
    entries::Entries,
    leftover::LeftoverFields,
    line::{CefLine, CefMarks},
    rules::Rules,
    time::Time,
    writer::CefHeader,
};
use crate::{
    config::{CefConfig, Dialect, MappedFrom, MappedKey},
    format::CefKey,
    log::RecordHasher,
    scan::{CefRecord, JsonKind, Member, Value},
    schema::{Event, EventForm, Facts, Field, FieldPlace},
};

/// Buffers that are used again for every event.
#[derive(Debug, Default)]
pub(super) struct CefScratch {
    pub marks: CefMarks,
    pub others: LeftoverFields,
    pub value: String,
    pub name: String,
    pub class: String,
}

/// A record to be written.
#[derive(Clone, Copy)]
pub(super) struct CefInput<'a> {
    /// The line it was, known to be UTF-8.
    pub text: &'a str,
    pub event_type: Option<&'a str>,
    pub facts: Facts<'a>,
    /// Of JSON.
    pub members: Option<&'a [Member]>,
    /// Of a line of CEF.
    pub cef: Option<CefRecord<'a>>,
    /// The name of its source.
    pub source: &'a str,
}

impl<'a> CefInput<'a> {
    /// None of a record of which the members are not known.
    pub(super) fn new(event: &Event<'a>, source: &'a str) -> Option<Self> {
        let (text, members, cef) = match event.form {
            EventForm::Json(json) if json.is_object() => (json.text, Some(json.fields?.members()?), None),
            EventForm::Cef(record) => (record.text, None, Some(record)),
            EventForm::Json(_) | EventForm::Raw => return None,
        };
        let event_type = event.event_type.filter(|text| !text.trim().is_empty());
        Some(CefInput { text, event_type, facts: event.facts?, members, cef, source })
    }

    /// The value at a place, unless it is blank.
    pub(super) fn at(&self, place: FieldPlace) -> Option<Value<'a>> {
        self.facts.at(place).filter(|value| !value.raw.trim().is_empty())
    }

    /// The outermost member of this name.
    pub(super) fn member(&self, name: &str) -> Option<Value<'a>> {
        let mut scratch = String::new();
        let mut members = self.members?.iter();
        let found = members.find(|member| member.counts && member.name(self.text, &mut scratch) == name)?;
        Some(found.value(self.text))
    }

    /// Whether the text at a place is this one.
    pub(super) fn is(&self, place: FieldPlace, text: &str) -> bool {
        self.at(place).is_some_and(|value| value.raw == text)
    }

    /// The time at a place; it is said where milliseconds tell all of it.
    pub(super) fn time(&self, place: FieldPlace, others: &mut LeftoverFields, scratch: &mut String) -> Option<Time> {
        let value = self.at(place)?;
        let time = Time::parse(value.text(scratch))?;
        if time.exact {
            others.say(value);
        }
        Some(time)
    }
}

/// A line that is filled in from a record.
pub(super) struct CefRecordWriter<'a, 'o, 'w> {
    pub record: CefInput<'a>,
    pub line: CefLine<'o, 'w>,
    pub others: &'w mut LeftoverFields,
    pub scratch: &'w mut String,
}

impl<'a, 'o, 'w> CefRecordWriter<'a, 'o, 'w> {
    pub(super) fn begin(
        record: CefInput<'a>,
        rules: &'w Rules,
        header: &CefHeader<'_>,
        time: Option<Time>,
        (marks, others, scratch): (&'w mut CefMarks, &'w mut LeftoverFields, &'w mut String),
        out: &'o mut Vec<u8>,
    ) -> Self {
        CefRecordWriter { record, line: CefLine::begin(out, rules, header, time, marks), others, scratch }
    }

    pub(super) fn dialect(&self) -> Dialect {
        self.line.dialect()
    }

    /// The text at a place under a key; false where it is not in the line as a whole.
    pub(super) fn text(&mut self, key: CefKey, place: FieldPlace) -> bool {
        let Some(value) = self.record.at(place) else { return false };
        self.value(value, |line, text| line.text(key, text))
    }

    pub(super) fn custom(&mut self, key: CefKey, label: &str, own: &str, place: FieldPlace) -> bool {
        let Some(value) = self.record.at(place) else { return false };
        self.value(value, |line, text| line.custom(key, label, own, text))
    }

    pub(super) fn own(&mut self, key: &str, place: FieldPlace) -> bool {
        let Some(value) = self.record.at(place) else { return false };
        self.value(value, |line, text| line.own(key, text))
    }

    pub(super) fn source_address(&mut self, place: FieldPlace) -> bool {
        let Some(value) = self.record.at(place) else { return false };
        self.value(value, CefLine::source_address)
    }

    /// What the schema makes of the record.
    pub(super) fn field(&mut self, key: CefKey, field: Field) -> bool {
        let Some(text) = self.record.facts.get(field, self.scratch) else { return false };
        let whole = self.line.text(key, text);
        if whole {
            self.others.say_text(text);
        }
        whole
    }

    pub(super) fn custom_field(&mut self, key: CefKey, label: &str, own: &str, field: Field) -> bool {
        let Some(text) = self.record.facts.get(field, self.scratch) else { return false };
        let whole = self.line.custom(key, label, own, text);
        if whole {
            self.others.say_text(text);
        }
        whole
    }

    /// Says of a place that what it tells is in the line.
    pub(super) fn said(&mut self, place: FieldPlace) {
        if let Some(value) = self.record.facts.at(place) {
            self.others.say(value);
        }
    }

    /// The same where it has the value that it always has.
    pub(super) fn said_if(&mut self, place: FieldPlace, constant: &str) {
        if self.record.is(place, constant) {
            self.said(place);
        }
    }

    /// Writes what `map` says.
    pub(super) fn mapped(&mut self, settings: &CefConfig) {
        for mapped in &settings.map {
            let value = match &mapped.from {
                MappedFrom::Pointer(path) => self.pointed(path),
                MappedFrom::Field(field) => {
                    if let Some(text) = self.record.facts.get(*field, self.scratch)
                        && write_mapped(&mut self.line, &mapped.key, text)
                    {
                        self.others.say_text(text);
                    }
                    None
                }
            };
            if let Some(value) = value {
                self.value(value, |line, text| write_mapped(line, &mapped.key, text));
            }
        }
    }

    /// The value at a pointer; of a line of CEF that of a key.
    fn pointed(&self, path: &[String]) -> Option<Value<'a>> {
        match (self.record.cef, path) {
            (Some(record), [key]) => record.get(key),
            (Some(_), _) => None,
            (None, _) => Entries::find(self.record.text.trim_start(), path),
        }
    }

    /// Writes what is in the line nowhere yet. Members of `envelopes` are named as if there were none.
    pub(super) fn rest(&mut self, envelopes: &[&str]) {
        if let Some(members) = self.record.members {
            self.others.members(members, self.record.text, envelopes, &mut self.line);
        }
        if let Some(record) = self.record.cef {
            record.pairs().for_each(|(name, value)| self.others.pair(name, value, &mut self.line));
        }
    }

    fn value(&mut self, value: Value<'a>, write: impl FnOnce(&mut CefLine<'o, 'w>, &str) -> bool) -> bool {
        let text = if matches!(value.kind, JsonKind::Null) { "" } else { value.text(self.scratch) };
        let whole = write(&mut self.line, text);
        if whole {
            self.others.say(value);
        }
        whole
    }
}

fn write_mapped(line: &mut CefLine<'_, '_>, key: &MappedKey, text: &str) -> bool {
    match key {
        MappedKey::Dictionary(key, label) => line.mapped(*key, label.as_deref(), text),
        MappedKey::Own(name) => line.mapped_own(name, text),
    }
}

/// Sets `into` to the words of a name in snake case, the first with a capital letter: `Trust zone creation`.
pub(super) fn sentence(name: &str, into: &mut String) {
    into.clear();
    for (index, character) in name.chars().enumerate() {
        into.push(match character {
            '_' => ' ',
            first if index == 0 => first.to_ascii_uppercase(),
            other => other,
        });
    }
}

/// Sets `into` to the words of a name in camel case: `APITokenCreated` is `API Token Created`.
pub(super) fn words(name: &str, into: &mut String) {
    into.clear();
    let bytes = name.as_bytes();
    let upper = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_uppercase);
    for (at, character) in name.char_indices() {
        let begins = at > 0 && upper(at) && (!upper(at - 1) || bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase));
        if begins && !into.ends_with(' ') {
            into.push(' ');
        }
        into.push(character);
    }
}

/// The first 32 hexadecimal digits of the SHA-256 of a record that has no id of its own, without its signature.
pub(super) fn fingerprint(parts: [&str; 2]) -> [u8; 32] {
    let hasher = parts.iter().fold(RecordHasher::default(), |hasher, part| hasher.with(part.as_bytes()));
    let mut first = [0; 32];
    first.copy_from_slice(&hasher.finish().digits()[..32]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words() {
        let mut into = String::new();
        for (name, expected) in [
            ("APITokenCreated", "API Token Created"),
            ("CASBackendStatusChanged", "CAS Backend Status Changed"),
            ("LoggedIn", "Logged In"),
            ("x", "x"),
            ("", ""),
            ("ÉtatÉ", "ÉtatÉ"),
        ] {
            words(name, &mut into);
            assert_eq!(into, expected);
        }
        sentence("trust_zone_creation", &mut into);
        assert_eq!(into, "Trust zone creation");
    }

    #[test]
    fn a_fingerprint_is_the_beginning_of_the_sha_256() {
        assert_eq!(&fingerprint(["a", "bc"]), b"ba7816bf8f01cfea414140de5dae2223");
    }
}
