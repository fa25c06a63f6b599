//! Where an event of a batch stands.

use crate::log::SegmentRange;

/// Where an event stands in the log and in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventAt {
    /// The record in the log.
    pub range: SegmentRange,
    /// Where it goes on, if a rotation cut it.
    pub continued: Box<[SegmentRange]>,
    /// Where its bytes end in the body, framing not included.
    pub end: usize,
    /// Whether it stands for a line that was too long.
    pub stub: bool,
    pub beside: Beside,
}

impl EventAt {
    /// The range that the record ends with.
    pub fn last_range(&self) -> SegmentRange {
        self.continued.last().copied().unwrap_or(self.range)
    }
}

/// Records that are not sent, from the end of the event before to the end of this one: so that what a part of a batch
/// covers is known without reading it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Set aside here. The line that a stub stands for is one of them.
    pub rejected: u32,
    /// Kept back by a rule.
    pub filtered: u32,
}
