//! One record's bytes, and what its schema says of them.
//!
//! An [`Event`] borrows: from the line that the log's reader hands out, and from the buffers of the
//! [`Checker`](crate::schema::Checker) that made it. Nothing is copied and nothing is parsed into a tree; what a
//! filter or an encoder asks for are slices of the line that the one validating pass found on its way.
//!
//! What always holds: the line of a [`EventForm::Cef`] event is UTF-8; that of a [`EventForm::Json`] event is UTF-8 and one JSON value by serde_json's grammar, at
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
pub use paths::{NodeId, PointerSet};
pub use scan::{Invalid, JsonKind, MAX_DEPTH, Nothing, Sink, scan};
pub(crate) use swar::{below, equal, find, from};
pub use text::unescape;
