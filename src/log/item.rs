//! What stands in a log.

use super::position::SegmentRange;

/// One thing that stands in a log. Items of a segment follow each other without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogItem<'a> {
    /// All of its bytes, the line end among them.
    pub range: SegmentRange,
    pub kind: ItemKind<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind<'a> {
    /// A line without its end, or a record that a container wrote.
    Line(&'a [u8]),
    /// An empty line or a run of NUL: no event.
    Blank,
    /// A line that is not in the format of the source.
    Foreign(&'a [u8]),
    /// So many lines of a stream that the source does not read. The range is empty where they stand inside a record,
    /// after which they are given; they cannot be refused.
    Other(u64),
    /// A line longer than the source allows; its bytes stay in the file.
    TooLong,
    /// Bytes that were gone before they were read. `is_unknown` as in a [`LostRange`](super::LostRange).
    Gap { is_unknown: bool },
}
