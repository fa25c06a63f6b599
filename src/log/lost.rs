//! What of a log can never be read.

use super::position::SegmentRange;

/// Bytes that are gone.
///
/// Where bytes may have been added behind those that were seen, nobody knows how much is lost. One position more than was
/// seen stands for them, so that a cursor can be past a loss of unknown size as it can be past any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostRange {
    pub range: SegmentRange,
    /// Its last position is no byte that was seen: it stands for those that nobody saw.
    pub is_unknown: bool,
}

impl LostRange {
    /// How many bytes are known to be lost.
    pub fn known_bytes(&self) -> u64 {
        self.range.len() - u64::from(self.is_unknown)
    }

    /// Where the bytes end that were seen.
    pub fn seen_end(&self) -> u64 {
        self.range.end - u64::from(self.is_unknown)
    }
}

impl From<SegmentRange> for LostRange {
    fn from(range: SegmentRange) -> Self {
        Self { range, is_unknown: false }
    }
}
