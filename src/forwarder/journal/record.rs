//! What a journal says, line by line, in words: a line is written for a batch, and people read it at night.
//!
//! | `record` | says | members, beside `time` |
//! |---|---|---|
//! | `intent` | a batch is about to be sent for the first time | those of a batch; `part_of` or `replaces` another one |
//! | `settled` | a batch needs nothing more | `batch`, `outcome`, `status` |
//! | `advance` | these records needed no delivery | `source`, `span`, `dead_lettered`, `filtered` |
//! | `gap` | these bytes are gone | `source`, `segment`, `path`, `start`, `end`, `unknown`, `events`, `reason`, `last_before`, `first_after` |
//! | `held` | the receiver refuses us, so everything waits | `reason`, `cause` |
//! | `hold_ended` | it takes events again | |
//! | `letter` | what became of a dead letter | `event_id`, `state`, `reason` |
//! | `forget` | the log released these segments | `source`, `segments` |
//! | `forget_source` | an operator dropped all that is known of a source | `source` |
//! | `cursor_set` | a cursor was put somewhere, maybe back | `source`, `segment`, `offset`, `by` |
//!
//! A batch has `batch` (its number), `id`, `source`, `span` (`[{"segment", "start", "end", "anchor"}, …]`), what its span
//! covers (`events` to deliver, records `dead_lettered` here and `filtered`), `crc32` and `length` of its body before
//! compression, and the `coding` and `level` of its request. Times are UTC, to the millisecond. Members that say
//! nothing are left out. A compacted journal begins with lines of [`CompactedLine`] instead. `v1` has the version before.

use serde::{Deserialize, Serialize};

use super::{
    span,
    words::{self, UnixMillis},
};
use crate::{
    forwarder::compress::{BodyCoding, Digest},
    log::{AnchoredRange, Cursor, SegmentId, SegmentRange},
};

/// One thing that happened, as the forwarder appends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum JournalRecord {
    Intent(Intent),
    Settled(Settled),
    Advance(Advance),
    Gap(Gap),
    Held(Hold),
    HoldEnded(HoldEnd),
    Letter(LetterMark),
    Forget(Forget),
    ForgetSource(ForgetSource),
    CursorSet(CursorSet),
}

/// What a span covers, in records. Blank lines are no records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// To be delivered.
    pub events: u64,
    /// Set aside here, before anything was sent.
    pub dead_lettered: u64,
    pub filtered: u64,
}

impl Coverage {
    /// What is left once a part is taken away, and nothing of what it says too much.
    pub(super) fn saturating_sub(self, part: Self) -> Self {
        Self {
            events: self.events.saturating_sub(part.events),
            dead_lettered: self.dead_lettered.saturating_sub(part.dead_lettered),
            filtered: self.filtered.saturating_sub(part.filtered),
        }
    }

    /// What is left once a part is taken away; `None` where the part says more than there is.
    pub fn checked_sub(self, part: Self) -> Option<Self> {
        Some(Self {
            events: self.events.checked_sub(part.events)?,
            dead_lettered: self.dead_lettered.checked_sub(part.dead_lettered)?,
            filtered: self.filtered.checked_sub(part.filtered)?,
        })
    }

    /// No more beside the events than there is.
    pub(super) fn beside_at_most(self, limit: Self) -> Self {
        Self {
            events: self.events,
            dead_lettered: self.dead_lettered.min(limit.dead_lettered),
            filtered: self.filtered.min(limit.filtered),
        }
    }
}

/// A batch, whatever has become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRecord {
    /// Counts 1, 2, 3, … per forwarder and is never used again.
    #[serde(rename = "batch")]
    pub n: u64,
    /// The same over every retry and restart. `None`: it was never sent as it is (what parts were cut from, or what a
    /// damaged line left unexplained), so it needs an intent of its own that replaces it, with a new id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub source: String,
    /// All that it covers, records that were filtered or dead-lettered on the way included.
    #[serde(with = "words::span")]
    pub span: Vec<AnchoredRange>,
    #[serde(flatten)]
    pub covers: Coverage,
    /// Whether `covers` was counted; false where a damaged line left these bytes unexplained.
    #[serde(default = "words::yes", skip_serializing_if = "words::is_yes")]
    pub counted: bool,
    /// Of the body before compression, by which it is known again. `None` where it was never sent as it is.
    #[serde(flatten)]
    pub digest: Option<Digest>,
    #[serde(flatten)]
    pub coding: Option<BodyCoding>,
    /// When it was about to be sent first.
    #[serde(rename = "time")]
    pub at: UnixMillis,
}

/// A batch, before it is sent for the first time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    #[serde(flatten)]
    pub batch: BatchRecord,
    /// Without a parent its span begins where reading stood.
    #[serde(flatten)]
    pub parent: Option<BatchParent>,
}

/// The outstanding batch that another one comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchParent {
    /// The span is a prefix of what remains of that batch, and takes from it what it covers.
    PartOf(u64),
    /// The span is all that remains of that batch, which was read again: what it covers was counted anew, for the rules
    /// may be others by now.
    Replaces(u64),
}

/// A batch that needs nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    #[serde(rename = "batch")]
    pub n: u64,
    pub outcome: Outcome,
    /// The HTTP status that settled it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(rename = "time")]
    pub at: UnixMillis,
}

/// How a batch ended. Decides which total its events are added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Delivered,
    DeadLettered,
    /// A changed configuration lets none of its events pass any more.
    Filtered,
    /// Its bytes are gone.
    Gap,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::DeadLettered => "dead_lettered",
            Self::Filtered => "filtered",
            Self::Gap => "gap",
        }
    }
}

/// Reading moved over records that were filtered, blank, or dead-lettered before any batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advance {
    pub source: String,
    #[serde(with = "words::span")]
    pub span: Vec<AnchoredRange>,
    pub dead_lettered: u64,
    pub filtered: u64,
    #[serde(rename = "time")]
    pub at: UnixMillis,
}

/// Bytes that are gone. Reading moves over them; batches that covered them lose them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub source: String,
    pub segment: SegmentId,
    /// The file, as it was called last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    pub start: u64,
    /// Where those bytes end that are known to be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// Bytes may have been added behind `end` that nobody saw: nobody knows how much is gone. Reading moves to the
    /// position behind `end`, which stands for them.
    #[serde(default, skip_serializing_if = "words::is_no")]
    pub unknown: bool,
    /// How many events are known to have been there: those of the batches that lose them; 0 where nobody had read it.
    pub events: u64,
    pub reason: String,
    /// When a batch of the source was announced last before it, and first after it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_before: Option<UnixMillis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_after: Option<UnixMillis>,
    #[serde(rename = "time")]
    pub at: UnixMillis,
}

/// The receiver refuses us: everything is kept and waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// One of a closed set of words, as in the metrics.
    pub reason: String,
    /// What the receiver said.
    pub cause: String,
    #[serde(rename = "time")]
    pub at: UnixMillis,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldEnd {
    #[serde(rename = "time")]
    pub at: UnixMillis,
}

/// What became of a dead letter after it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterMark {
    pub event_id: String,
    pub state: LetterState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(rename = "time")]
    pub at: UnixMillis,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterState {
    /// The receiver took it after all.
    Sent,
    /// An operator decided that it is not needed.
    Discarded,
}

/// Segments that the log released, every forwarder being past them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forget {
    pub source: String,
    pub segments: Vec<SegmentId>,
    #[serde(rename = "time")]
    pub at: UnixMillis,
}

/// All that is known of a source is dropped: cursors, outstanding batches, totals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetSource {
    pub source: String,
    #[serde(rename = "time")]
    pub at: UnixMillis,
}

/// Reading stands at `offset` from now on. What was outstanding in the segment is dropped: what lies before is passed
/// over, what lies after it is read again. The only record that moves a cursor back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorSet {
    pub source: String,
    pub segment: SegmentId,
    pub offset: u64,
    pub by: SetBy,
    #[serde(rename = "time")]
    pub at: UnixMillis,
}

/// Who moved a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetBy {
    /// `auditpost cursors set`.
    Operator,
    /// `startAt: end`, for a file seen for the first time at the first start.
    StartAt,
}

/// What a compaction keeps beside the records: the state that the dropped lines had led to.
///
/// Cursors stand at the *settled* offsets; the outstanding batches follow as `intent` or `rest`, and what was settled
/// between them as `advance`. So a line that is lost here shows as a hole, exactly as among the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(super) enum CompactedLine {
    Snapshot {
        next_batch: u64,
    },
    Totals {
        source: String,
        #[serde(flatten)]
        totals: Totals,
    },
    /// At most [`CURSORS_A_LINE`].
    Cursors {
        source: String,
        #[serde(with = "words::cursors")]
        cursors: Vec<(SegmentId, Cursor)>,
    },
    /// What remains of a batch that parts were cut from.
    Rest(BatchRecord),
    Ledger(LedgerEntry),
    /// A gap that reading is past.
    PastGap(Gap),
}

/// Keeps a line far below the longest one.
pub(super) const CURSORS_A_LINE: usize = 1000;

/// What became of a source's records since the journal began, in events (`gap_bytes`: bytes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub delivered: u64,
    pub filtered: u64,
    pub dead_lettered: u64,
    /// Events known to have been in gaps.
    pub gap: u64,
    /// All bytes of gaps that are known to be lost.
    pub gap_bytes: u64,
    /// Gaps of which nobody knows how large they are.
    #[serde(default, skip_serializing_if = "words::is_zero")]
    pub unknown_gaps: u64,
}

/// A settled batch: what went where, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    #[serde(flatten)]
    pub batch: BatchRecord,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub settled_at: UnixMillis,
}

/// One line of a journal after the header.
#[derive(Debug)]
pub(super) enum JournalLine {
    Record(JournalRecord),
    Compacted(CompactedLine),
}

impl JournalLine {
    pub(super) fn parse(json: &[u8]) -> serde_json::Result<Self> {
        // Most lines are records, and their error says more.
        serde_json::from_slice(json)
            .map(Self::Record)
            .or_else(|e| serde_json::from_slice(json).map(Self::Compacted).map_err(|_| e))
    }
}

impl BatchRecord {
    /// Bytes to be sent under a new id; the number 0 is replaced when all lines are read.
    pub(super) fn unsent(source: &str, span: Vec<AnchoredRange>) -> Self {
        Self {
            n: 0,
            id: None,
            source: source.to_owned(),
            span,
            covers: Coverage::default(),
            counted: false,
            digest: None,
            coding: None,
            at: UnixMillis::default(),
        }
    }

    /// Takes a range away from what it covers; says how many bytes that were. A batch that loses a part loses its id, for
    /// it cannot be sent as it was.
    pub fn withdraw(&mut self, range: SegmentRange) -> u64 {
        let bytes = self.span.iter().map(|own| span::overlap(own.range, range)).fold(0, u64::saturating_add);
        if bytes > 0 {
            self.span = span::without(&self.span, range);
            (self.id, self.digest, self.counted) = (None, None, false);
        }
        bytes
    }
}
