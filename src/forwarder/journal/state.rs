//! What the records of a journal lead to: where reading stands, what is outstanding, what became of the rest.
//!
//! What always holds: in a segment, the ranges of outstanding batches do not overlap and end at or before the cursor,
//! and stand in the list in their order. Every byte before the cursor that is in no outstanding batch was settled.
//!
//! Records are applied leniently, because lines of a file may have been lost. A lost line shows when the next one does
//! not continue where reading stood; the bytes between are then outstanding, to be read and sent again. So damage
//! costs duplicates, never a record.

use std::collections::{BTreeMap, VecDeque};

use crate::log::{AnchoredRange, Cursor, SegmentId, SegmentRange};

use super::{
    ledger::Ledger,
    record::{
        Advance, BatchParent, BatchRecord, CompactedLine, CursorSet, Forget, Gap, Hold, Intent, JournalLine,
        JournalRecord, LedgerEntry, LetterMark, Outcome, Settled, Totals,
    },
    span,
};

/// Where reading stands in each segment of a source: the next unread byte.
pub type ReadCursors = BTreeMap<SegmentId, Cursor>;

/// How far each segment of a source is settled, in bytes.
pub type SettledCursors = BTreeMap<SegmentId, u64>;

/// How many gaps are remembered one by one; their totals are kept in any case.
pub const MAX_GAPS: usize = 500;

#[derive(Debug)]
pub(super) struct JournalState {
    pub(super) next_batch: u64,
    pub(super) read_cursors: BTreeMap<String, ReadCursors>,
    pub(super) totals: BTreeMap<String, Totals>,
    /// In the log's order.
    pub(super) outstanding: Vec<BatchRecord>,
    pub(super) ledger: Ledger,
    /// The newest ones, oldest first; no more than [`MAX_GAPS`].
    pub(super) gaps: VecDeque<Gap>,
    /// Why the receiver gets nothing now, and since when.
    pub(super) hold: Option<Hold>,
    /// What became of dead letters, by the id of their event.
    pub(super) letters: BTreeMap<String, LetterMark>,
}

impl JournalState {
    /// `ledger_limit` in bytes, as the ledger's entries are written.
    pub(super) fn new(ledger_limit: usize) -> Self {
        Self {
            next_batch: 1,
            read_cursors: BTreeMap::new(),
            totals: BTreeMap::new(),
            outstanding: Vec::new(),
            ledger: Ledger::new(ledger_limit),
            gaps: VecDeque::new(),
            hold: None,
            letters: BTreeMap::new(),
        }
    }

    pub(super) fn settled_cursors(&self, source: &str) -> SettledCursors {
        self.read_cursors
            .get(source)
            .map(|cursors| settled_cursors(cursors, source, &self.outstanding))
            .unwrap_or_default()
    }

    pub(super) fn apply_entry(&mut self, entry: JournalLine) {
        match entry {
            JournalLine::Record(record) => self.apply(&record),
            JournalLine::Compacted(compacted) => self.apply_compacted(compacted),
        }
    }

    fn apply_compacted(&mut self, line: CompactedLine) {
        match line {
            CompactedLine::Snapshot { next_batch } => self.next_batch = self.next_batch.max(next_batch),
            CompactedLine::Totals { source, totals } => *self.totals.entry(source).or_default() = totals,
            CompactedLine::Cursors { source, cursors } => {
                self.read_cursors.entry(source).or_default().extend(cursors)
            }
            CompactedLine::Rest(rest) => {
                self.extend(&rest.source, &rest.span);
                self.next_batch = self.next_batch.max(rest.n.saturating_add(1));
                self.outstanding.push(rest);
            }
            CompactedLine::Ledger(entry) => {
                self.next_batch = self.next_batch.max(entry.batch.n.saturating_add(1));
                self.ledger.push(entry);
            }
            CompactedLine::PastGap(gap) => self.remember_gap(gap),
        }
    }

    pub(super) fn apply(&mut self, record: &JournalRecord) {
        match record {
            JournalRecord::Intent(intent) => self.apply_intent(intent),
            JournalRecord::Settled(settled) => self.settle(settled),
            JournalRecord::Advance(Advance { source, span, filtered, dead_lettered, .. }) => {
                self.extend(source, span);
                let totals = self.totals_of(source);
                add(&mut totals.filtered, *filtered);
                add(&mut totals.dead_lettered, *dead_lettered);
            }
            JournalRecord::Gap(gap) => self.apply_gap(gap),
            JournalRecord::Held(hold) => self.hold = Some(hold.clone()),
            JournalRecord::HoldEnded(_) => self.hold = None,
            JournalRecord::Letter(mark) => _ = self.letters.insert(mark.event_id.clone(), mark.clone()),
            JournalRecord::Forget(Forget { source, segments, .. }) => {
                for segment in segments {
                    // The log released it, so all of it had been settled, whatever lines were lost.
                    self.withdraw(source, whole(*segment));
                    if let Some(cursors) = self.read_cursors.get_mut(source) {
                        cursors.remove(segment);
                    }
                }
            }
            JournalRecord::ForgetSource(forget) => {
                self.read_cursors.remove(&forget.source);
                self.totals.remove(&forget.source);
                self.gaps.retain(|gap| gap.source != forget.source);
                self.outstanding.retain(|o| o.source != forget.source);
            }
            JournalRecord::CursorSet(CursorSet { source, segment, offset, .. }) => {
                self.withdraw(source, whole(*segment));
                self.set_cursor(source, *segment, Cursor { offset: *offset, anchor: None });
            }
        }
    }

    /// Gives numbers to what lost lines left unexplained. After this the state must be written anew before any
    /// record may refer to them.
    pub(super) fn number_holes(&mut self) {
        for hole in self.outstanding.iter_mut().filter(|o| o.n == 0) {
            hole.n = self.next_batch;
            self.next_batch = self.next_batch.saturating_add(1);
        }
    }

    fn apply_intent(&mut self, Intent { batch, parent }: &Intent) {
        self.next_batch = self.next_batch.max(batch.n.saturating_add(1));
        let known = |n: u64| {
            let holds = |o: &BatchRecord| o.source == batch.source && span::cut(&o.span, &batch.span).is_some();
            // Where the parent's own line was lost, its bytes are in a hole or were never heard of.
            let by_number = self.outstanding.iter().position(|o| o.n == n && holds(o));
            by_number.or_else(|| self.outstanding.iter().position(holds))
        };
        let found = match parent {
            None => None,
            Some(BatchParent::PartOf(n) | BatchParent::Replaces(n)) => known(*n),
        };
        match found {
            Some(at) => self.carve(at, batch.clone(), matches!(parent, Some(BatchParent::Replaces(_)))),
            None => {
                self.extend(&batch.source, &batch.span);
                self.outstanding.push(batch.clone());
            }
        }
    }

    /// Cuts `part` out of the outstanding batch at `at`. What lay before it (only where a line was lost) and what
    /// remains need ids of their own. A part takes no more than its batch has left of what is no event, whatever it says
    /// (version 1 said it again for each part); what replaces a batch was counted anew.
    fn carve(&mut self, at: usize, mut part: BatchRecord, replaces: bool) {
        let parent = self.outstanding.remove(at);
        let Some(cut) = span::cut(&parent.span, &part.span) else {
            return self.outstanding.insert(at, parent);
        };
        if parent.counted && !replaces {
            part.covers = part.covers.beside_at_most(parent.covers);
        }
        let remaining = BatchRecord {
            n: parent.n,
            covers: parent.covers.saturating_sub(part.covers),
            counted: parent.counted,
            at: parent.at,
            ..BatchRecord::unsent(&parent.source, cut.after)
        };
        let before = BatchRecord::unsent(&parent.source, cut.before);
        let pieces = [before, part, remaining];
        self.outstanding.splice(at..at, pieces.into_iter().filter(|o| !o.span.is_empty()));
    }

    /// Moves reading over a span. Bytes that a span leaves out between its own ranges were withdrawn from it.
    fn extend(&mut self, source: &str, span: &[AnchoredRange]) {
        for (i, r) in span.iter().enumerate() {
            let SegmentRange { segment, start, .. } = r.range;
            let stood = self.offset(source, segment);
            if stood < start && !span[..i].iter().any(|earlier| earlier.range.segment == segment) {
                // The line that moved reading to `start` was lost: nobody knows whether these bytes were settled.
                let hole = SegmentRange { segment, start: stood, end: start };
                self.outstanding.push(BatchRecord::unsent(source, vec![hole.into()]));
            }
            if stood > start {
                // The line that set the cursor back was lost: reading went on from `start`, all behind it again.
                self.withdraw(source, SegmentRange { start, ..whole(segment) });
            }
            self.set_cursor(source, segment, r.end_cursor());
        }
    }

    fn settle(&mut self, settled: &Settled) {
        // A number that is not known is that of a batch whose own line was lost: its bytes are in a hole.
        let known = |o: &BatchRecord| o.n == settled.n && o.n != 0;
        let Some(at) = self.outstanding.iter().position(known) else {
            return;
        };
        let batch = self.outstanding.remove(at);
        self.account(&batch, settled.outcome);
        let Settled { outcome, status, at, .. } = *settled;
        self.ledger.push(LedgerEntry { batch, outcome, status, settled_at: at });
    }

    fn account(&mut self, batch: &BatchRecord, outcome: Outcome) {
        let totals = self.totals_of(&batch.source);
        let covers = batch.covers;
        add(&mut totals.filtered, covers.filtered);
        add(&mut totals.dead_lettered, covers.dead_lettered);
        match outcome {
            Outcome::Delivered => add(&mut totals.delivered, covers.events),
            Outcome::DeadLettered => add(&mut totals.dead_lettered, covers.events),
            Outcome::Filtered => add(&mut totals.filtered, covers.events),
            Outcome::Gap => {
                add(&mut totals.gap, covers.events);
                batch.span.iter().for_each(|r| add(&mut totals.gap_bytes, r.range.len()));
            }
        }
    }

    fn apply_gap(&mut self, gap: &Gap) {
        self.remember_gap(gap.clone());
        let Gap { source, segment, start, end, unknown, .. } = gap;
        let mut bytes = 0;
        if let Some(end) = *end {
            let unseen = u64::from(*unknown);
            let range = SegmentRange { segment: *segment, start: *start, end: end.saturating_add(unseen) };
            let (taken, gone) = self.withdraw(source, range);
            bytes = taken;
            let unread = SegmentRange { start: self.offset(source, *segment).max(*start), ..range };
            if unread.end > unread.start {
                add(&mut bytes, unread.len() - unseen);
                self.extend(source, &[unread.into()]);
            }
            for batch in gone {
                let totals = self.totals_of(source);
                add(&mut totals.filtered, batch.covers.filtered);
                add(&mut totals.dead_lettered, batch.covers.dead_lettered);
            }
        }
        let totals = self.totals_of(source);
        add(&mut totals.gap, gap.events);
        add(&mut totals.gap_bytes, bytes);
        add(&mut totals.unknown_gaps, u64::from(*unknown));
    }

    fn remember_gap(&mut self, gap: Gap) {
        if self.gaps.len() >= MAX_GAPS {
            self.gaps.pop_front();
        }
        self.gaps.push_back(gap);
    }

    /// Takes a range away from the outstanding batches of a source. A batch that loses a part loses its id.
    /// Returns how many bytes were taken and the batches of which nothing is left.
    fn withdraw(&mut self, source: &str, range: SegmentRange) -> (u64, Vec<BatchRecord>) {
        let mut bytes = 0;
        let mut gone = Vec::new();
        let touched =
            |o: &BatchRecord| o.source == source && o.span.iter().any(|r| span::overlap(r.range, range) > 0);
        if !self.outstanding.iter().any(touched) {
            return (bytes, gone);
        }
        for mut batch in std::mem::take(&mut self.outstanding) {
            if batch.source == source {
                add(&mut bytes, batch.withdraw(range));
            }
            if batch.span.is_empty() { gone.push(batch) } else { self.outstanding.push(batch) }
        }
        (bytes, gone)
    }

    pub(super) fn offset(&self, source: &str, segment: SegmentId) -> u64 {
        self.read_cursors.get(source).and_then(|cursors| cursors.get(&segment)).map_or(0, |cursor| cursor.offset)
    }

    fn set_cursor(&mut self, source: &str, segment: SegmentId, cursor: Cursor) {
        match self.read_cursors.get_mut(source) {
            Some(cursors) => _ = cursors.insert(segment, cursor),
            None => _ = self.read_cursors.insert(source.to_owned(), ReadCursors::from([(segment, cursor)])),
        }
    }

    fn totals_of(&mut self, source: &str) -> &mut Totals {
        if !self.totals.contains_key(source) {
            self.totals.insert(source.to_owned(), Totals::default());
        }
        self.totals.get_mut(source).expect("it was put there above")
    }
}

/// How far each segment's cursor is: up to there everything is settled.
pub(super) fn settled_cursors(cursors: &ReadCursors, source: &str, outstanding: &[BatchRecord]) -> SettledCursors {
    let mut settled_cursors: SettledCursors =
        cursors.iter().map(|(segment, cursor)| (*segment, cursor.offset)).collect();
    for AnchoredRange { range, .. } in outstanding.iter().filter(|o| o.source == source).flat_map(|o| &o.span) {
        if let Some(offset) = settled_cursors.get_mut(&range.segment) {
            *offset = range.start.min(*offset);
        }
    }
    settled_cursors
}

/// Totals never overflow, whatever a line claims.
fn add(total: &mut u64, more: u64) {
    *total = total.saturating_add(more);
}

fn whole(segment: SegmentId) -> SegmentRange {
    SegmentRange { segment, start: 0, end: u64::MAX }
}
