//! One pass over a line: is it UTF-8 and JSON, or CEF, and where are the fields that were asked for.
//!
//! Nothing is copied and nothing is parsed into a tree: what a filter or an encoder asks for are slices of the line that
//! the one validating pass finds on its way. What a record means is told by [`crate::schema`].

mod cef;
mod fields;
mod json;
mod paths;
mod swar;
#[cfg(test)]
pub(crate) mod tests;
mod text;

pub use cef::{CefFields, CefRecord};
pub use fields::{Fields, Member, Value};
pub use json::{Invalid, JsonKind, Nothing, Sink, scan};
pub use paths::{NodeId, PointerSet};
pub(crate) use swar::{below, equal, find, from};
