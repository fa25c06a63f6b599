//! What a journal says, line by line. Keys are short because a line is written for every batch.
//!
//! | `k` | says | keys |
//! |---|---|---|
//! | `intent` | a batch is about to be sent for the first time | `n`, `id`, `s`, `sp`, `e`, `d`, `f`, `c`, `l`, `of`, `t` |
//! | `settled` | a batch is done with | `n`, `o` outcome, `st` status, `t` |
//! | `advance` | these records needed no delivery | `s`, `sp`, `f`, `d`, `t` |
//! | `gap` | these bytes are gone | `s`, `g` segment, `a` start, `b` end, `e`, `r` reason, `t` |
//! | `forget` | the log released these segments | `s`, `gs` segments, `t` |
//! | `forget_source` | an operator dropped all that is known of a source | `s`, `t` |
//! | `cursor_set` | a cursor was put somewhere, maybe back | `s`, `g` segment, `a` offset, `by`, `t` |
//!
//! `n` the batch's number, `s` source, `sp` span as `[[segment, start, end, anchor], …]`, `e` events to deliver, `d`
//! records dead-lettered here, `f` records filtered, `c` CRC-32 and `l` length of the body before compression, `t`
//! milliseconds since 1970. A compacted journal begins with lines of [`CompactedLine`] instead.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::log::{Anchor, AnchoredRange, SegmentId};

/// Milliseconds since 1970-01-01 UTC. Displayed as RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    pub fn now() -> Self {
        jiff::Timestamp::now().into()
    }
}

impl From<jiff::Timestamp> for UnixMillis {
    fn from(time: jiff::Timestamp) -> Self {
        Self(time.as_millisecond())
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.3}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// One thing that happened, as the forwarder appends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "k", rename_all = "snake_case")]
pub enum JournalRecord {
    Intent(Intent),
    Settled(Settled),
    Advance(Advance),
    Gap(Gap),
    Forget(Forget),
    ForgetSource(ForgetSource),
    CursorSet(CursorSet),
}

/// A batch, before it is sent for the first time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Counts 1, 2, 3, … per forwarder and is never used again.
    pub n: u64,
    /// The same over every retry and restart.
    pub id: String,
    #[serde(rename = "s")]
    pub source: String,
    /// All that the batch covers, records that were filtered or dead-lettered on the way included.
    #[serde(rename = "sp")]
    pub span: Vec<AnchoredRange>,
    #[serde(rename = "e")]
    pub events: u64,
    #[serde(rename = "d")]
    pub dead: u64,
    #[serde(rename = "f")]
    pub filtered: u64,
    #[serde(rename = "c")]
    pub crc32: u32,
    #[serde(rename = "l")]
    pub len: u64,
    /// The batch that this one is a part of. Its span is then a prefix of what remains of that batch; without it
    /// the span begins where reading stood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    #[serde(rename = "t")]
    pub at: UnixMillis,
}

/// A batch that needs nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    pub n: u64,
    #[serde(rename = "o")]
    pub outcome: Outcome,
    /// The HTTP status that settled it, where one did.
    #[serde(rename = "st", default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(rename = "t")]
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
    #[serde(rename = "s")]
    pub source: String,
    #[serde(rename = "sp")]
    pub span: Vec<AnchoredRange>,
    #[serde(rename = "f")]
    pub filtered: u64,
    #[serde(rename = "d")]
    pub dead: u64,
    #[serde(rename = "t")]
    pub at: UnixMillis,
}

/// Bytes that are gone. Reading moves over them; batches that covered them lose them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    #[serde(rename = "s")]
    pub source: String,
    #[serde(rename = "g")]
    pub segment: SegmentId,
    #[serde(rename = "a")]
    pub start: u64,
    #[serde(rename = "b")]
    pub end: u64,
    /// How many events are known to have been there: those of the batches that lose them; 0 where nobody had read it.
    #[serde(rename = "e")]
    pub events: u64,
    #[serde(rename = "r")]
    pub reason: String,
    #[serde(rename = "t")]
    pub at: UnixMillis,
}

/// Segments that the log released, every forwarder being past them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forget {
    #[serde(rename = "s")]
    pub source: String,
    #[serde(rename = "gs")]
    pub segments: Vec<SegmentId>,
    #[serde(rename = "t")]
    pub at: UnixMillis,
}

/// All that is known of a source is dropped: cursors, outstanding batches, totals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetSource {
    #[serde(rename = "s")]
    pub source: String,
    #[serde(rename = "t")]
    pub at: UnixMillis,
}

/// Reading stands at `offset` from now on. What was outstanding in the segment is dropped: what lies before is passed
/// over, what lies behind is read again. The only record that moves a cursor back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorSet {
    #[serde(rename = "s")]
    pub source: String,
    #[serde(rename = "g")]
    pub segment: SegmentId,
    #[serde(rename = "a")]
    pub offset: u64,
    pub by: SetBy,
    #[serde(rename = "t")]
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

/// What a compaction keeps beside the records (`k` tells): the state that the dropped lines had led to.
///
/// Cursors stand at the *committed* offsets; the outstanding batches follow as `intent` or `rest`, and what was settled
/// between them as `advance`. So a line that is lost here shows as a hole, exactly as among the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "k", rename_all = "snake_case")]
pub(super) enum CompactedLine {
    Snapshot {
        next: u64,
    },
    Totals {
        s: String,
        #[serde(flatten)]
        totals: Totals,
    },
    /// `[[segment, offset, anchor], …]`, at most [`CURSORS_A_LINE`].
    Cursors {
        s: String,
        m: Vec<(SegmentId, u64, Option<Anchor>)>,
    },
    /// What remains of a batch that parts were cut from. It has no id: it was never sent as it is.
    Rest {
        n: u64,
        s: String,
        sp: Vec<AnchoredRange>,
        e: u64,
        d: u64,
        f: u64,
        t: UnixMillis,
    },
    Ledger(LedgerEntry),
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
    /// All bytes of gaps.
    pub gap_bytes: u64,
}

/// A settled batch: what went where, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    pub n: u64,
    pub id: Option<String>,
    #[serde(rename = "s")]
    pub source: String,
    #[serde(rename = "sp")]
    pub span: Vec<AnchoredRange>,
    #[serde(rename = "e")]
    pub events: u64,
    #[serde(rename = "o")]
    pub outcome: Outcome,
    #[serde(rename = "st", default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Of the body before compression, by which a replay knows it again; not of batches that were settled before this
    /// was kept.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub crc32: Option<u32>,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub len: Option<u64>,
    /// When it was settled.
    #[serde(rename = "t")]
    pub at: UnixMillis,
}

/// A batch that is not settled: to be sent (again).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outstanding {
    pub n: u64,
    /// The id it was sent under. `None`: it was never sent as it is (what parts were cut from, or what a damaged
    /// line left unexplained), so it needs an intent of its own, `of` this one, with a new id.
    pub id: Option<String>,
    pub source: String,
    pub span: Vec<AnchoredRange>,
    /// As counted when it was read; an estimate where `id` is `None`.
    pub events: u64,
    pub dead: u64,
    pub filtered: u64,
    /// Of the body before compression; 0 where `id` is `None`.
    pub crc32: u32,
    pub len: u64,
    /// When it was about to be sent first.
    pub at: UnixMillis,
}

/// One line of a journal after the header.
#[derive(Debug)]
pub(super) enum JournalLine {
    Record(JournalRecord),
    Kept(CompactedLine),
}

impl JournalLine {
    pub(super) fn parse(json: &[u8]) -> serde_json::Result<Self> {
        // Most lines are records, and their error says more.
        serde_json::from_slice(json)
            .map(Self::Record)
            .or_else(|e| serde_json::from_slice(json).map(Self::Kept).map_err(|_| e))
    }
}

impl Outstanding {
    /// A settled batch as it was when it was sent, to be put together once more.
    pub fn again(entry: &LedgerEntry) -> Self {
        let LedgerEntry { n, events, at, .. } = *entry;
        Self { n, id: entry.id.clone(), events, at, ..Self::unsent(&entry.source, entry.span.clone()) }
    }

    /// Bytes to be sent under a new id; the number 0 is replaced when all lines are read.
    pub(super) fn unsent(source: &str, span: Vec<AnchoredRange>) -> Self {
        Self {
            n: 0,
            id: None,
            source: source.to_owned(),
            span,
            events: 0,
            dead: 0,
            filtered: 0,
            crc32: 0,
            len: 0,
            at: UnixMillis::default(),
        }
    }
}

impl From<&Intent> for Outstanding {
    fn from(intent: &Intent) -> Self {
        Self {
            n: intent.n,
            id: Some(intent.id.clone()),
            source: intent.source.clone(),
            span: intent.span.clone(),
            events: intent.events,
            dead: intent.dead,
            filtered: intent.filtered,
            crc32: intent.crc32,
            len: intent.len,
            at: intent.at,
        }
    }
}

impl From<&Outstanding> for Intent {
    /// The announcement of a batch as it stands; without an id it needs one.
    fn from(batch: &Outstanding) -> Self {
        Self {
            n: batch.n,
            id: batch.id.clone().unwrap_or_default(),
            source: batch.source.clone(),
            span: batch.span.clone(),
            events: batch.events,
            dead: batch.dead,
            filtered: batch.filtered,
            crc32: batch.crc32,
            len: batch.len,
            of: None,
            at: batch.at,
        }
    }
}
