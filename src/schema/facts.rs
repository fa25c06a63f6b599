//! What a checked record says, asked for by our names or by a system's own places.
//!
//! Nothing is searched for twice: JSON was crossed once when it was checked, and only places that its reader's
//! [`Needs`](super::Needs) named were kept. A question allocates nothing: an answer is a slice of the line, a word that is always the same,
//! or text in the caller's scratch.

use super::{Field, FieldPlace, System, layout::Layout, system::FieldSource};
use crate::scan::{CefRecord, Fields, JsonKind, Value};

/// What is known of one record.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub(super) system: System,
    pub(super) record: ScannedRecord<'a>,
    pub(super) layout: &'a Layout,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum ScannedRecord<'a> {
    Json { text: &'a str, fields: &'a Fields },
    Cef(CefRecord<'a>),
}

impl<'a> Facts<'a> {
    /// Whose event it is.
    pub fn system(&self) -> System {
        self.system
    }

    /// A field's text, unescaped; JSON where it is no scalar. None where the event has none, where it is empty, and
    /// where the checker was not told that the field is needed.
    pub fn get<'s>(&self, field: Field, scratch: &'s mut String) -> Option<&'s str>
    where
        'a: 's,
    {
        if let Some((index, pointer)) = self.layout.mapped(field) {
            return self.value(index, pointer).and_then(|value| shown(value, scratch));
        }
        match (self.system.definition().field)(field) {
            FieldSource::Nowhere => None,
            FieldSource::Always(word) => Some(word),
            FieldSource::At(places) => {
                let place = places.iter().copied().find(|place| self.says(*place))?;
                self.text(place, scratch)
            }
            FieldSource::Made(_, make) => {
                scratch.clear();
                make(*self, scratch)
            }
        }
    }

    /// Whether the source's own `fields` say where the field is.
    pub fn is_mapped(&self, field: Field) -> bool {
        self.layout.mapped(field).is_some()
    }

    /// The value at a place; None where it is absent or null, and where the place is another system's.
    pub fn at(&self, place: FieldPlace) -> Option<Value<'a>> {
        if place.system != self.system {
            return None;
        }
        self.alternatives(place).next()
    }

    /// The text of the scalar at a place. None where it is empty.
    pub fn text<'s>(&self, place: FieldPlace, scratch: &'s mut String) -> Option<&'s str>
    where
        'a: 's,
    {
        Some(self.scalar(place)?.text(scratch))
    }

    /// The value at the pointer that the reader asked for under this number.
    pub fn asked(&self, index: usize) -> Option<Value<'a>> {
        let (index, pointer) = self.layout.asked(index)?;
        self.value(index, pointer)
    }

    /// Whether `is` is true of a word, other than the type itself, by which a rule may call the event's type: some
    /// systems have coarser ones.
    pub fn any_other_type(&self, scratch: &mut String, is: &mut dyn FnMut(&str) -> bool) -> bool {
        (self.system.definition().also.1)(*self, scratch, is)
    }

    /// The scalar at a place that is not empty.
    pub(super) fn scalar(&self, place: FieldPlace) -> Option<Value<'a>> {
        self.alternatives(place).find(|value| is_scalar(*value) && !value.raw.is_empty())
    }

    pub(super) fn says(&self, place: FieldPlace) -> bool {
        self.scalar(place).is_some()
    }

    /// Whether the scalar at a place is exactly this text, where that needs no escape.
    pub(super) fn is(&self, place: FieldPlace, text: &str) -> bool {
        self.scalar(place).is_some_and(|value| value.raw == text)
    }

    #[inline]
    pub(super) fn alternatives(&self, place: FieldPlace) -> impl Iterator<Item = Value<'a>> {
        let first = self.layout.pointers(place).start;
        let pointers = self.system.definition().pointers[usize::from(place.index)];
        let wanted = self.layout.pointers(place).len();
        let this = *self;
        (0..wanted).filter_map(move |index| this.value(first + index, pointers[index]))
    }

    /// `index` is that of the pointer among those compiled.
    fn value(&self, index: usize, pointer: &str) -> Option<Value<'a>> {
        match self.record {
            ScannedRecord::Json { text, fields } => {
                fields.get(index, text).filter(|value| value.kind != JsonKind::Null)
            }
            ScannedRecord::Cef(record) => record.get(pointer.strip_prefix('/')?),
        }
    }
}

fn is_scalar(value: Value<'_>) -> bool {
    !matches!(value.kind, JsonKind::Object | JsonKind::Array | JsonKind::Null)
}

fn shown<'s>(value: Value<'s>, scratch: &'s mut String) -> Option<&'s str> {
    (!value.raw.is_empty()).then(|| value.text(scratch))
}
