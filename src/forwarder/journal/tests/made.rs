//! Records as tests need them.

use crate::{
    forwarder::{
        compress::{BodyCoding, CodingName, Digest},
        journal::{BatchParent, BatchRecord, Coverage, Gap, Intent, JournalRecord, Outcome, Settled, UnixMillis},
    },
    log::{Anchor, AnchoredRange, SegmentId, SegmentRange},
};

pub(crate) const AT: UnixMillis = UnixMillis(1_700_000_000_000);

pub(crate) fn range(segment: u64, start: u64, end: u64) -> AnchoredRange {
    let anchor = Some(Anchor { len: 256, hash: end * 31 + segment });
    AnchoredRange { range: SegmentRange { segment: SegmentId(segment), start, end }, anchor }
}

pub(crate) fn intent(n: u64, source: &str, segment: u64, start: u64, end: u64) -> Intent {
    batch(n, source, vec![range(segment, start, end)], None)
}

/// A batch with one event for each byte, but for every tenth, which is filtered, and the byte after it, which is a dead
/// letter.
pub(crate) fn batch(n: u64, source: &str, span: Vec<AnchoredRange>, parent: Option<BatchParent>) -> Intent {
    let covers = covers(&span);
    let (id, source, digest) = (Some(format!("id-{n}")), source.into(), Some(Digest { crc32: n as u32, len: 9 }));
    let coding = Some(BodyCoding { coding: CodingName::Gzip, level: Some(6) });
    Intent { batch: BatchRecord { n, id, source, span, covers, counted: true, digest, coding, at: AT }, parent }
}

pub(crate) fn covers(span: &[AnchoredRange]) -> Coverage {
    let mut covers = Coverage::default();
    for byte in span.iter().flat_map(|r| r.range.start..r.range.end) {
        match byte % 10 {
            0 => covers.filtered += 1,
            1 => covers.dead_lettered += 1,
            _ => covers.events += 1,
        }
    }
    covers
}

pub(crate) fn gap(source: &str, segment: SegmentId, start: u64, end: u64) -> Gap {
    Gap {
        source: source.into(),
        segment,
        path: Some("/var/log/app.ndjson".into()),
        start,
        end: Some(end),
        unknown: false,
        events: 0,
        reason: "deleted".into(),
        last_before: None,
        first_after: None,
        at: AT,
    }
}

pub(crate) fn settled(n: u64) -> JournalRecord {
    JournalRecord::Settled(Settled { n, outcome: Outcome::Delivered, status: Some(200), at: AT })
}
