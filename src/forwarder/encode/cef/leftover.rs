//! What no mapping has a place for, under keys of ours: `ad_NAME`. Nothing but nulls and blanks is left out.
//!
//! A name that is of the form that every reader takes stays as it is; in another each character that is not becomes
//! `_`, and where the key is there already a number comes behind it.

use std::{fmt::Write, ops::Range};

use super::{
    entries::{Entries, MemberEntry},
    line::CefLine,
};
use crate::scan::{JsonKind, Member, Value};

/// What sets our keys apart from the dictionary's, and from the names of header fields.
pub(super) const PREFIX: &str = "ad_";

/// Which values are in the line already, and buffers that are used again for every line.
#[derive(Debug, Default)]
pub(super) struct LeftoverFields {
    /// The addresses of the values that need no key of ours any more.
    said: Vec<usize>,
    /// Where the keys stand in the body of which a name was changed or put together.
    changed: Vec<Range<usize>>,
    value: String,
    name: String,
    key: String,
}

impl LeftoverFields {
    /// Forgets the line before.
    pub(super) fn clear(&mut self) {
        self.said.clear();
        self.changed.clear();
    }

    /// Says of a value of the record that it is in the line.
    pub(super) fn say(&mut self, value: Value<'_>) {
        self.said.push(value.raw.as_ptr().addr());
    }

    /// The same of a text that stands in the record as it is.
    pub(super) fn say_text(&mut self, text: &str) {
        self.said.push(text.as_ptr().addr());
    }

    fn is_said(&self, value: Value<'_>) -> bool {
        self.said.contains(&value.raw.as_ptr().addr())
    }

    /// Whether something of what an object holds is in the line.
    fn is_begun(&self, value: Value<'_>) -> bool {
        let inside = value.raw.as_bytes().as_ptr_range();
        let inside = inside.start.addr() + 1..inside.end.addr();
        value.kind == JsonKind::Object && self.said.iter().any(|said| inside.contains(said))
    }

    /// The outermost members that are not in the line. An object of which a part is in it is set apart: its other
    /// members are named `ad_OBJECT_MEMBER`, or `ad_MEMBER` where the object is one of `envelopes`.
    pub(super) fn members(&mut self, members: &[Member], text: &str, envelopes: &[&str], line: &mut CefLine<'_, '_>) {
        for (index, member) in members.iter().enumerate() {
            let value = member.value(text);
            if !member.counts || value.kind == JsonKind::Null || self.is_said(value) {
                continue;
            }
            if self.is_begun(value) {
                let name = member.name(text, &mut self.name);
                let around = if envelopes.contains(&name) { String::new() } else { format!("{name}_") };
                self.inner(&around, value, (members, text), line);
                continue;
            }
            let must_check = ad_key("", member.name(text, &mut self.name), &mut self.key);
            self.write(index, value, must_check, (members, text), line);
        }
    }

    /// A value that is no outermost member.
    pub(super) fn pair(&mut self, name: &str, value: Value<'_>, line: &mut CefLine<'_, '_>) {
        if value.kind != JsonKind::Null && !self.is_said(value) {
            ad_key("", name, &mut self.key);
            self.write(self.changed.len(), value, true, (&[], ""), line);
        }
    }

    fn inner(&mut self, around: &str, object: Value<'_>, outer: (&[Member], &str), line: &mut CefLine<'_, '_>) {
        for MemberEntry { name, value } in Entries::new(object.raw) {
            if value.kind == JsonKind::Null || self.is_said(value) {
                continue;
            }
            let mut unescaped = String::new();
            let name = name.text(&mut unescaped);
            if self.is_begun(value) {
                self.inner(&format!("{around}{name}_"), value, outer, line);
                continue;
            }
            ad_key(around, name, &mut self.key);
            self.write(self.changed.len(), value, true, outer, line);
        }
    }

    fn write(
        &mut self,
        number: usize,
        value: Value<'_>,
        must_check: bool,
        outer: (&[Member], &str),
        line: &mut CefLine<'_, '_>,
    ) {
        let LeftoverFields { value: unescaped, name, key, changed, .. } = self;
        let shown = value.text(unescaped);
        if shown.trim().is_empty() {
            return;
        }
        while must_check && has_key(key, name, changed, outer, line.written()) {
            write!(key, "_{number}").expect("a String takes every write");
        }
        let before = line.written().len();
        line.other(key, shown);
        if must_check {
            let start = before + usize::from(line.written()[before] == b' ');
            changed.push(start..start + key.len());
        }
    }
}

/// Whether a changed key is an outermost member's own, or one that was changed before it.
fn has_key(
    key: &str,
    scratch: &mut String,
    changed: &[Range<usize>],
    (members, text): (&[Member], &str),
    written: &[u8],
) -> bool {
    let own = members.iter().any(|member| key[PREFIX.len()..] == *member.name(text, scratch));
    own || changed.iter().any(|range| written[range.clone()] == *key.as_bytes())
}

/// Sets `key` to `ad_`, what is `around` and the name, each character that is in no portable key as `_`; true where
/// one was.
fn ad_key(around: &str, name: &str, key: &mut String) -> bool {
    key.clear();
    key.push_str(PREFIX);
    let shown = |character| if portable(character) { character } else { '_' };
    key.extend(around.chars().map(shown));
    if name.bytes().chain(around.bytes()).all(|byte| portable(char::from(byte))) {
        key.push_str(name);
        return false;
    }
    key.extend(name.chars().map(shown));
    true
}

pub(super) fn portable(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}
