//! The logs of a test: numbered lines of ten bytes, ten of them in a segment, and what rules make of them.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    forwarder::{
        batch::{BatchBody, BatchDraft, BodyFrame, BodyLimits, Pushed, RejectedLine},
        dead_letter::Reason,
        journal::{Advance, Coverage, tests as records},
        stats::FilterRule,
    },
    log::{AnchoredRange, SegmentId, SegmentRange},
};

pub(in super::super) const LINE: u64 = 10;
pub(in super::super) const SEGMENT: u64 = 100;

/// What becomes of lines, by their number. The others are events.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Rules {
    pub(in super::super) rejected: BTreeSet<u64>,
    pub(in super::super) too_long: BTreeSet<u64>,
    pub(in super::super) filtered: BTreeSet<u64>,
}

impl Rules {
    pub(in super::super) fn sets_aside(&self, line: u64) -> bool {
        self.rejected.contains(&line) || self.too_long.contains(&line)
    }
}

/// How many lines of each source were read.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Lines(BTreeMap<String, u64>);

impl Lines {
    pub(in super::super) fn read(
        &mut self,
        source: &str,
        lines: u64,
        rules: &Rules,
        config: &config::Forwarder,
    ) -> (SealedBatch, Tally) {
        let ranges = self.take(source, lines);
        batch(source, ranges, Vec::new(), rules, config)
    }

    /// The ranges of the next lines, which nobody reads again as new.
    pub(in super::super) fn take(&mut self, source: &str, lines: u64) -> Vec<SegmentRange> {
        let next = self.0.entry(source.to_owned()).or_default();
        let ranges = (*next..*next + lines).map(range_of).collect();
        *next += lines;
        ranges
    }

    pub(in super::super) fn count(&self, source: &str) -> u64 {
        self.0.get(source).copied().unwrap_or_default()
    }

    /// What was read after a record that is lost is read anew.
    pub(in super::super) fn go_back(&mut self, source: &str, lines: u64) {
        self.0.insert(source.to_owned(), lines);
    }

    pub(in super::super) fn again(
        &self,
        record: &BatchRecord,
        rules: &Rules,
        config: &config::Forwarder,
    ) -> (SealedBatch, Tally) {
        let ranges = record.span.iter().flat_map(|range| lines_of(range.range)).map(range_of).collect();
        batch(&record.source, ranges, record.span.clone(), rules, config)
    }
}

/// Where a line stands.
pub(in super::super) fn range_of(line: u64) -> SegmentRange {
    let at = line * LINE;
    let start = at % SEGMENT;
    SegmentRange { segment: SegmentId(1 + at / SEGMENT), start, end: start + LINE }
}

/// The numbers of the lines in a range.
pub(in super::super) fn lines_of(range: SegmentRange) -> std::ops::Range<u64> {
    let first = (range.segment.0 - 1) * SEGMENT / LINE;
    first + range.start / LINE..first + range.end / LINE
}

/// The events in a body, by source and line.
pub(in super::super) fn events_in(body: &[u8]) -> impl Iterator<Item = (char, u64)> {
    let text = std::str::from_utf8(body).unwrap().to_owned();
    let events: Vec<_> = text
        .lines()
        .flat_map(|line| line.trim_matches(['[', ']']).split(','))
        .map(|event| (event.chars().next().unwrap(), event[1..].parse().unwrap()))
        .collect();
    events.into_iter()
}

fn batch(
    source: &str,
    ranges: Vec<SegmentRange>,
    span: Vec<AnchoredRange>,
    rules: &Rules,
    config: &config::Forwarder,
) -> (SealedBatch, Tally) {
    let body = BatchBody::new(BodyFrame::of(config));
    let (mut draft, mut tally) = (BatchDraft::new(source.into(), body), Tally::default());
    let limits = BodyLimits::NONE;
    for range in ranges {
        let line = lines_of(range).start;
        let rejected =
            |reason| RejectedLine { range, continued: Box::default(), reason, detail: String::new(), payload: None };
        tally.read(1, LINE);
        let mut push = |stub| {
            let text = format!("{source}{line}");
            draft.begin_event(&None, &limits).unwrap().extend_from_slice(text.as_bytes());
            assert_eq!(draft.end_event(&limits, range, &[], stub), Pushed::In);
        };
        if rules.filtered.contains(&line) {
            draft.filter(FilterRule::Disabled, 1, range);
        } else if rules.rejected.contains(&line) {
            assert!(draft.reject(&limits, rejected(Reason::InvalidJson)));
        } else if rules.too_long.contains(&line) {
            push(true);
            draft.reject_stubbed(rejected(Reason::LineTooLong));
        } else {
            push(false);
        }
        draft.cover(range, Instant::now());
    }
    let span = if span.is_empty() { draft.span(|_| None) } else { span };
    let mut sealed = draft.seal(span);
    sealed.wire = Bytes::copy_from_slice(sealed.body.bytes());
    (sealed, tally)
}

pub(in super::super) fn advance(source: &str, span: Vec<AnchoredRange>, covers: Coverage) -> JournalRecord {
    let Coverage { dead_lettered, filtered, .. } = covers;
    let (source, at) = (source.to_owned(), records::AT);
    JournalRecord::Advance(Advance { source, span, dead_lettered, filtered, at })
}

pub(in super::super) fn gap(source: &str, range: SegmentRange, events: u64) -> JournalRecord {
    let gap = records::gap(source, range.segment, range.start, range.end);
    JournalRecord::Gap(crate::forwarder::journal::Gap { events, ..gap })
}
