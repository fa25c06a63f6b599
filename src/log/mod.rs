//! Logs keep records until every forwarder is past them.

pub mod position;

pub use position::{Anchor, AnchoredRange, Mark, Range, SegmentId, Span};
