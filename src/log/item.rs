//! What stands in a log.

use super::position::SegmentRange;

/// One thing that stands in a log. Items of a segment follow each other without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogItem<'a> {
    /// All of its bytes, the line end among them.
    pub range: SegmentRange,
    /// Where it goes on: the beginnings of later segments, in their order, if a rotation cut it.
    pub continued: &'a [SegmentRange],
    pub kind: ItemKind<'a>,
    /// Which part of a record it is, where a rotation cut the record and its parts could not be joined.
    pub cut: Option<&'a CutPart<'a>>,
}

impl<'a> LogItem<'a> {
    pub fn new(range: SegmentRange, kind: ItemKind<'a>) -> Self {
        Self { range, continued: &[], kind, cut: None }
    }

    /// All that it covers, in the order of the log.
    pub fn ranges(&self) -> impl Iterator<Item = SegmentRange> + 'a {
        [self.range].into_iter().chain(self.continued.iter().copied())
    }

    /// How many bytes it covers.
    pub fn bytes(&self) -> u64 {
        self.ranges().map(|range| range.len()).sum()
    }
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

/// A part of a record that is given by itself. Each tells, for a person, where the other one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutPart<'a> {
    Head {
        rest: &'a str,
    },
    /// What followed; `message` is how the record begins.
    Rest {
        head: &'a str,
        message: &'a [u8],
    },
}

impl<'a> CutPart<'a> {
    /// Where the other part is.
    pub fn other(&self) -> &'a str {
        match self {
            Self::Head { rest } => rest,
            Self::Rest { head, .. } => head,
        }
    }
}
