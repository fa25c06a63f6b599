//! One record's bytes, and what its schema says of them.
//!
//! An [`Event`] borrows: from the line that the log's reader hands out, and from the buffers of the
//! [`Checker`](crate::schema::Checker) that made it. Nothing is copied and nothing is parsed into a tree; what a
//! filter or an encoder asks for are slices of the line that the one validating pass found on its way.
//!
//! What always holds: the line of a [`Form::Cef`] event is UTF-8; that of a [`Form::Json`] event is UTF-8 and one JSON value by serde_json's grammar, at
//! most [`MAX_DEPTH`] levels deep. A value that is no object is as valid an event as any, and has no type.

mod cef;
mod fields;
mod paths;
mod scan;
mod swar;
#[cfg(test)]
pub(crate) mod tests;
mod text;

pub use cef::{CefFields, CefRecord, HEADER};
pub use fields::{Fields, MAX_MEMBERS, Member, Value};
pub use paths::{NodeId, Paths};
pub use scan::{Invalid, Kind, MAX_DEPTH, Nothing, Sink, scan};
pub(crate) use swar::{below, equal, find, from};
pub use text::unescape;

use crate::schema::Facts;

/// A record that is fit to be delivered.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The record as it stands in the log, without its line end.
    pub line: &'a [u8],
    /// What the schema calls the event's type, unescaped. None where there is none or nobody asked for it.
    pub event_type: Option<&'a str>,
    pub form: Form<'a>,
    /// What the schema can say of it. None where only validity was asked for, and of a raw line.
    pub facts: Option<Facts<'a>>,
}

#[derive(Clone, Copy, Debug)]
pub enum Form<'a> {
    /// Any bytes; they were not checked to be anything.
    Raw,
    Json(Json<'a>),
    /// A line of CEF, which is no JSON; its reader wants it as it is, or field by field.
    Cef(CefRecord<'a>),
}

/// A checked JSON record.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a> {
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
            Form::Json(Json { fields: Some(fields), .. }) => fields.repeated(),
            _ => 0,
        }
    }
}

impl Json<'_> {
    pub fn is_object(&self) -> bool {
        self.text.trim_start().starts_with('{')
    }
}
