//! Where something stands in a log.
//!
//! A log is an ordered run of numbered segments; a segment is a file of lines. Offsets are bytes from the
//! segment's beginning. A cursor names the next unread byte, and every range is half-open: `[start, end)`.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The number of a segment within its log. Later lives of a file have higher numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SegmentId(pub u64);

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The half-open byte range `[start, end)` of one segment; both ends stand at line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRange {
    pub segment: SegmentId,
    pub start: u64,
    pub end: u64,
}

impl SegmentRange {
    pub fn len(&self) -> u64 {
        self.end - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// What a batch covers: ranges in the order in which they were read.
///
/// Neighbouring ranges of one segment are kept joined, so a batch from one file has one range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(pub Vec<SegmentRange>);

impl Span {
    /// Adds a range at the end, joining it to the last one where they touch.
    pub fn push(&mut self, range: SegmentRange) {
        if range.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(last) if last.segment == range.segment && last.end == range.start => last.end = range.end,
            _ => self.0.push(range),
        }
    }

    pub fn bytes(&self) -> u64 {
        self.0.iter().map(SegmentRange::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A hash of up to [`Anchor::BYTES`] bytes that stand just before a position.
///
/// Before an offset is used again, the bytes before it are hashed again: a file that was truncated and grew
/// past the offset, or another file under the same name and inode, gives itself away.
///
/// Written as `LEN:HASH`, the hash as 16 hex digits, so that no reader of JSON rounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Anchor {
    /// How many bytes are hashed: fewer than [`Anchor::BYTES`] only near a file's beginning.
    pub len: u16,
    /// The first eight bytes of their SHA-256.
    pub hash: u64,
}

impl Anchor {
    /// The most bytes an anchor covers.
    pub const BYTES: usize = 256;

    /// The anchor of a position that `before` ends at; only its last [`Anchor::BYTES`] bytes count.
    pub fn of(before: &[u8]) -> Self {
        let bytes = &before[before.len().saturating_sub(Self::BYTES)..];
        let digest = Sha256::digest(bytes);
        let mut hash = [0; 8];
        hash.copy_from_slice(&digest[..8]);
        Self { len: bytes.len() as u16, hash: u64::from_be_bytes(hash) }
    }

    /// How many bytes an anchor at `offset` covers.
    pub fn len_at(offset: u64) -> usize {
        usize::try_from(offset).unwrap_or(usize::MAX).min(Self::BYTES)
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:016x}", self.len, self.hash)
    }
}

impl From<Anchor> for String {
    fn from(anchor: Anchor) -> Self {
        anchor.to_string()
    }
}

impl TryFrom<String> for Anchor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const SHAPE: &str = "an anchor is LEN:HASH with 16 hex digits";
        let (len, hash) = text.split_once(':').ok_or(SHAPE)?;
        let len = len.parse().map_err(|_| SHAPE)?;
        let hash = u64::from_str_radix(hash, 16).map_err(|_| SHAPE)?;
        Ok(Self { len, hash })
    }
}

/// An offset in a segment and, where bytes stand before it, their anchor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cursor {
    pub offset: u64,
    pub anchor: Option<Anchor>,
}

/// A range with the anchor of its end. Written as `[segment, start, end, anchor or null]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(SegmentId, u64, u64, Option<Anchor>)", try_from = "(SegmentId, u64, u64, Option<Anchor>)")]
pub struct AnchoredRange {
    pub range: SegmentRange,
    pub anchor: Option<Anchor>,
}

impl AnchoredRange {
    /// Where a reader stands after the range.
    pub fn end_cursor(&self) -> Cursor {
        Cursor { offset: self.range.end, anchor: self.anchor }
    }
}

impl From<SegmentRange> for AnchoredRange {
    fn from(range: SegmentRange) -> Self {
        Self { range, anchor: None }
    }
}

impl From<AnchoredRange> for (SegmentId, u64, u64, Option<Anchor>) {
    fn from(AnchoredRange { range, anchor }: AnchoredRange) -> Self {
        (range.segment, range.start, range.end, anchor)
    }
}

impl TryFrom<(SegmentId, u64, u64, Option<Anchor>)> for AnchoredRange {
    type Error = &'static str;

    fn try_from(parts: (SegmentId, u64, u64, Option<Anchor>)) -> Result<Self, Self::Error> {
        let (segment, start, end, anchor) = parts;
        if start > end {
            return Err("a range ends before it starts");
        }
        Ok(Self { range: SegmentRange { segment, start, end }, anchor })
    }
}
