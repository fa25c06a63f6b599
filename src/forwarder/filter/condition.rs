//! One condition of `where`: what is said of one place in the event.

use regex_lite::Regex;

use crate::{
    config::{self, Asked},
    scan::JsonKind,
    schema::{Facts, Field},
};

#[derive(Clone, Debug)]
pub(super) struct FilterCondition {
    at: At,
    is_in: Option<Vec<String>>,
    not_in: Vec<String>,
    matches: Option<Regex>,
    exists: Option<bool>,
}

#[derive(Clone, Copy, Debug)]
enum At {
    Field(Field),
    /// The pointer of this number among those the filter asks for.
    Pointer(usize),
}

impl FilterCondition {
    /// `pointers` takes the pointer that the condition is about.
    pub(super) fn new(written: &config::ConditionRule, pointers: &mut Vec<String>) -> FilterCondition {
        let at = match &written.asked {
            Asked::Field(field) => At::Field(*field),
            Asked::Pointer(pointer) => {
                pointers.push(pointer.clone());
                At::Pointer(pointers.len() - 1)
            }
        };
        FilterCondition {
            at,
            is_in: written.is_in.clone(),
            not_in: written.not_in.clone(),
            matches: written.matches.clone().map(|pattern| pattern.0),
            exists: written.exists,
        }
    }

    pub(super) fn field(&self) -> Option<Field> {
        match self.at {
            At::Field(field) => Some(field),
            At::Pointer(_) => None,
        }
    }

    /// A place that is absent is in no list and matches nothing.
    pub(super) fn holds(&self, facts: Option<Facts<'_>>, scratch: &mut String) -> bool {
        let text = facts.and_then(|facts| match self.at {
            At::Field(field) => facts.get(field, scratch),
            At::Pointer(number) => {
                let value = facts.asked(number).filter(|value| value.kind != JsonKind::Null)?;
                Some(value.text(scratch))
            }
        });
        if self.exists.is_some_and(|exists| exists != text.is_some()) {
            return false;
        }
        let names = |list: &[String]| text.is_some_and(|text| list.iter().any(|word| word == text));
        self.is_in.as_deref().is_none_or(names)
            && !names(&self.not_in)
            && self.matches.as_ref().is_none_or(|pattern| text.is_some_and(|text| pattern.is_match(text)))
    }
}
