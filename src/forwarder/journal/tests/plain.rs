//! A journal in memory, by the rules of the real one: for those who write to it, in tests.

use std::collections::BTreeMap;

use crate::{
    forwarder::journal::{
        BatchRecord, Damage, JournalRecord, Outcome, Recovered, Totals, recovered, state::JournalState,
    },
    log::SegmentId,
};

/// What was appended, and what that leads to. A record that the real journal would refuse is a test's failure.
#[derive(Debug)]
pub(crate) struct PlainJournal {
    records: Vec<JournalRecord>,
    state: JournalState,
}

impl PlainJournal {
    pub(crate) fn new() -> Self {
        Self { records: Vec::new(), state: JournalState::new(usize::MAX) }
    }

    pub(crate) fn append(&mut self, record: JournalRecord) {
        if let Err(why) = self.state.check(&record) {
            panic!("the journal refuses {record:?}: {why}");
        }
        self.state.apply(&record);
        self.records.push(record);
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// A power cut: what was appended after the first so many records was not on disk.
    pub(crate) fn keep(&mut self, records: usize) {
        let mut kept = Self::new();
        self.records.drain(..).take(records).for_each(|record| kept.append(record));
        *self = kept;
    }

    pub(crate) fn outstanding(&self) -> &[BatchRecord] {
        &self.state.outstanding
    }

    pub(crate) fn totals(&self, source: &str) -> Totals {
        self.state.totals.get(source).copied().unwrap_or_default()
    }

    /// Where reading stands in a segment.
    pub(crate) fn offset(&self, source: &str, segment: SegmentId) -> u64 {
        self.state.offset(source, segment)
    }

    /// What a process that begins with it is told.
    pub(crate) fn recovered(&self) -> Recovered {
        recovered(&self.state, Damage::default(), self.records.is_empty())
    }

    /// How the bytes of each batch that was settled ended, and which bytes were passed over or lost.
    pub(crate) fn settled(&self) -> Vec<SettledSpan> {
        let mut known: BTreeMap<u64, BatchRecord> = BTreeMap::new();
        let mut settled = Vec::new();
        for record in &self.records {
            match record {
                JournalRecord::Intent(intent) => _ = known.insert(intent.batch.n, intent.batch.clone()),
                JournalRecord::Settled(of) => {
                    let BatchRecord { source, span, .. } = known[&of.n].clone();
                    let ranges = span.iter().map(|range| range.range).collect();
                    settled.push(SettledSpan { source, ranges, outcome: Some(of.outcome) });
                }
                JournalRecord::Advance(advance) => {
                    let ranges = advance.span.iter().map(|range| range.range).collect();
                    settled.push(SettledSpan { source: advance.source.clone(), ranges, outcome: None });
                }
                JournalRecord::Gap(gap) => {
                    let end = gap.end.expect("a test knows how much is gone");
                    let range = crate::log::SegmentRange { segment: gap.segment, start: gap.start, end };
                    let outcome = Some(Outcome::Gap);
                    settled.push(SettledSpan { source: gap.source.clone(), ranges: vec![range], outcome });
                }
                _ => {}
            }
        }
        settled
    }
}

/// Bytes that need nothing more.
#[derive(Debug)]
pub(crate) struct SettledSpan {
    pub(crate) source: String,
    pub(crate) ranges: Vec<crate::log::SegmentRange>,
    /// `None`: nothing of it was to be delivered.
    pub(crate) outcome: Option<Outcome>,
}
