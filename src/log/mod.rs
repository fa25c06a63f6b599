//! Logs keep records until every forwarder is past them.

pub mod position;

pub use position::{Range, SegmentId, Span};
