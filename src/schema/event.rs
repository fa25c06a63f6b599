//! One record that is fit to be delivered, and what its schema says of it.
//!
//! An [`Event`] borrows: from the line that the log's reader hands out, and from the buffers of the
//! [`Checker`](super::Checker) that made it. What always holds: the line of an [`EventForm::Cef`] event is UTF-8; that of
//! an [`EventForm::Json`] event is UTF-8 and one JSON value by serde_json's grammar, no deeper than the scanner allows. A
//! value that is no object is as valid an event as any, and has no type.

use super::Facts;
use crate::scan::{CefRecord, Fields};

/// A record that is fit to be delivered.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The record as it stands in the log, without its line end.
    pub line: &'a [u8],
    /// What the schema calls the event's type, unescaped. None where there is none or nobody asked for it.
    pub event_type: Option<&'a str>,
    pub form: EventForm<'a>,
    /// What the schema can say of it. None where only validity was asked for, and of a raw line.
    pub facts: Option<Facts<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub enum EventForm<'a> {
    /// Any bytes; they were not checked to be anything.
    Raw,
    Json(JsonEvent<'a>),
    /// A line of CEF, which is no JSON; its reader wants it as it is, or field by field.
    Cef(CefRecord<'a>),
}

/// A checked JSON record.
#[derive(Clone, Copy, Debug)]
pub struct JsonEvent<'a> {
    /// The line, known to be UTF-8.
    pub text: &'a str,
    /// What the pass found on its way; None where only validity was asked for.
    pub fields: Option<&'a Fields>,
}

impl Event<'_> {
    /// How often a name that was looked for was there again in its object: a reader that takes the first one
    /// sees another event than this one.
    pub fn repeated_names(&self) -> u32 {
        match self.form {
            EventForm::Json(JsonEvent { fields: Some(fields), .. }) => fields.repeated(),
            _ => 0,
        }
    }
}

impl JsonEvent<'_> {
    pub fn is_object(&self) -> bool {
        self.text.trim_start().starts_with('{')
    }
}
