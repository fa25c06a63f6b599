//! Lines of a journal of version 1, which said everything in letters. They are read once: opening a journal writes it anew.
//!
//! A part of a batch said in that version that it covers, beside its events, all that the whole does, once more for each
//! part. What a part takes here is bounded by what its batch has left, so that the first one takes it and no other does.

use serde::Deserialize;

use super::record::{
    Advance, BatchParent, BatchRecord, CompactedLine, Coverage, CursorSet, Forget, ForgetSource, Gap, Intent,
    JournalLine, JournalRecord, LedgerEntry, Outcome, SetBy, Settled, Totals,
};
use super::words::UnixMillis;
use crate::{
    forwarder::compress::Digest,
    log::{Anchor, AnchoredRange, Cursor, SegmentId},
};

#[derive(Deserialize)]
#[serde(tag = "k", rename_all = "snake_case")]
enum OldRecord {
    Intent {
        n: u64,
        id: String,
        s: String,
        sp: Vec<AnchoredRange>,
        e: u64,
        d: u64,
        f: u64,
        c: u32,
        l: u64,
        #[serde(default)]
        of: Option<u64>,
        t: i64,
    },
    Settled {
        n: u64,
        o: Outcome,
        #[serde(default)]
        st: Option<u16>,
        t: i64,
    },
    Advance {
        s: String,
        sp: Vec<AnchoredRange>,
        f: u64,
        d: u64,
        t: i64,
    },
    Gap {
        s: String,
        g: SegmentId,
        a: u64,
        b: u64,
        e: u64,
        r: String,
        t: i64,
    },
    Forget {
        s: String,
        gs: Vec<SegmentId>,
        t: i64,
    },
    ForgetSource {
        s: String,
        t: i64,
    },
    CursorSet {
        s: String,
        g: SegmentId,
        a: u64,
        by: SetBy,
        t: i64,
    },
}

#[derive(Deserialize)]
#[serde(tag = "k", rename_all = "snake_case")]
enum OldCompacted {
    Snapshot {
        next: u64,
    },
    Totals {
        s: String,
        #[serde(flatten)]
        totals: Totals,
    },
    Marks {
        s: String,
        m: Vec<(SegmentId, u64, Option<Anchor>)>,
    },
    Rest {
        n: u64,
        s: String,
        sp: Vec<AnchoredRange>,
        e: u64,
        d: u64,
        f: u64,
        t: i64,
    },
    Ledger {
        n: u64,
        id: Option<String>,
        s: String,
        sp: Vec<AnchoredRange>,
        e: u64,
        o: Outcome,
        #[serde(default)]
        st: Option<u16>,
        #[serde(default)]
        c: Option<u32>,
        #[serde(default)]
        l: Option<u64>,
        t: i64,
    },
}

pub(super) fn parse(json: &[u8]) -> serde_json::Result<JournalLine> {
    // Most lines are records, and their error says more.
    serde_json::from_slice(json)
        .map(|old| JournalLine::Record(record(old)))
        .or_else(|e| serde_json::from_slice(json).map(|old| JournalLine::Compacted(compacted(old))).map_err(|_| e))
}

fn compacted(old: OldCompacted) -> CompactedLine {
    match old {
        OldCompacted::Snapshot { next } => CompactedLine::Snapshot { next_batch: next },
        OldCompacted::Totals { s, totals } => CompactedLine::Totals { source: s, totals },
        OldCompacted::Marks { s, m } => {
            let cursors = m.into_iter().map(|(segment, offset, anchor)| (segment, Cursor { offset, anchor }));
            CompactedLine::Cursors { source: s, cursors: cursors.collect() }
        }
        OldCompacted::Rest { n, s, sp, e, d, f, t } => {
            let covers = Coverage { events: e, dead_lettered: d, filtered: f };
            let at = UnixMillis(t);
            // Nothing at all was said of what a damaged line had left unexplained.
            let counted = covers != Coverage::default();
            CompactedLine::Rest(BatchRecord { n, covers, counted, at, ..BatchRecord::unsent(&s, sp) })
        }
        OldCompacted::Ledger { n, id, s, sp, e, o, st, c, l, t } => {
            let digest = c.zip(l).map(|(crc32, len)| Digest { crc32, len });
            let covers = Coverage { events: e, ..Coverage::default() };
            let at = UnixMillis(t);
            // It said nothing of what was filtered or set aside.
            let batch = BatchRecord { n, id, covers, digest, at, ..BatchRecord::unsent(&s, sp) };
            CompactedLine::Ledger(LedgerEntry { batch, outcome: o, status: st, settled_at: at })
        }
    }
}

fn record(old: OldRecord) -> JournalRecord {
    match old {
        OldRecord::Intent { n, id, s, sp, e, d, f, c, l, of, t } => JournalRecord::Intent(Intent {
            batch: BatchRecord {
                n,
                id: Some(id),
                covers: Coverage { events: e, dead_lettered: d, filtered: f },
                counted: true,
                digest: Some(Digest { crc32: c, len: l }),
                at: UnixMillis(t),
                ..BatchRecord::unsent(&s, sp)
            },
            parent: of.map(BatchParent::PartOf),
        }),
        OldRecord::Settled { n, o, st, t } => {
            JournalRecord::Settled(Settled { n, outcome: o, status: st, at: UnixMillis(t) })
        }
        OldRecord::Advance { s, sp, f, d, t } => {
            JournalRecord::Advance(Advance { source: s, span: sp, dead_lettered: d, filtered: f, at: UnixMillis(t) })
        }
        OldRecord::Gap { s, g, a, b, e, r, t } => JournalRecord::Gap(Gap {
            source: s,
            segment: g,
            path: None,
            start: a,
            end: Some(b),
            unknown: false,
            events: e,
            reason: r,
            last_before: None,
            first_after: None,
            at: UnixMillis(t),
        }),
        OldRecord::Forget { s, gs, t } => {
            JournalRecord::Forget(Forget { source: s, segments: gs, at: UnixMillis(t) })
        }
        OldRecord::ForgetSource { s, t } => {
            JournalRecord::ForgetSource(ForgetSource { source: s, at: UnixMillis(t) })
        }
        OldRecord::CursorSet { s, g, a, by, t } => {
            JournalRecord::CursorSet(CursorSet { source: s, segment: g, offset: a, by, at: UnixMillis(t) })
        }
    }
}

#[cfg(test)]
mod tests;
