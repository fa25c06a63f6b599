//! What the records of a journal lead to: where reading stands, what is outstanding, what became of the rest.
//!
//! What always holds: in a segment, the ranges of outstanding batches do not overlap and end at or before the cursor,
//! and stand in the list in their order. Every byte before the cursor that is in no outstanding batch was settled.
//!
//! Records are applied leniently, because lines of a file may have been lost. A lost line shows when the next one does
//! not continue where reading stood; the bytes between are then outstanding, to be read and sent again. So damage
//! costs duplicates, never a record.

use std::collections::BTreeMap;

use crate::log::{AnchoredRange, Cursor, SegmentId, SegmentRange};

use super::{
    ledger::Ledger,
    record::{
        Advance, CompactedLine, CursorSet, Forget, Gap, Intent, JournalLine, JournalRecord, LedgerEntry, Outcome,
        Outstanding, Settled, Totals,
    },
    span,
};

/// Where reading stands in each segment of a source: the next unread byte.
pub type ReadCursors = BTreeMap<SegmentId, Cursor>;

/// How far each segment of a source is settled, in bytes.
pub type SettledCursors = BTreeMap<SegmentId, u64>;

#[derive(Debug)]
pub(super) struct JournalState {
    pub(super) next_batch: u64,
    pub(super) read_cursors: BTreeMap<String, ReadCursors>,
    pub(super) totals: BTreeMap<String, Totals>,
    /// In the log's order.
    pub(super) outstanding: Vec<Outstanding>,
    pub(super) ledger: Ledger,
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
            JournalLine::Kept(CompactedLine::Snapshot { next }) => self.next_batch = self.next_batch.max(next),
            JournalLine::Kept(CompactedLine::Totals { s, totals }) => *self.totals.entry(s).or_default() = totals,
            JournalLine::Kept(CompactedLine::Cursors { s, m }) => {
                let cursors = m.into_iter().map(|(segment, offset, anchor)| (segment, Cursor { offset, anchor }));
                self.read_cursors.entry(s).or_default().extend(cursors);
            }
            JournalLine::Kept(CompactedLine::Rest { n, s, sp, e, d, f, t }) => {
                self.extend(&s, &sp);
                self.next_batch = self.next_batch.max(n.saturating_add(1));
                self.outstanding.push(Outstanding {
                    n,
                    events: e,
                    dead: d,
                    filtered: f,
                    at: t,
                    ..Outstanding::unsent(&s, sp)
                });
            }
            JournalLine::Kept(CompactedLine::Ledger(entry)) => {
                self.next_batch = self.next_batch.max(entry.n.saturating_add(1));
                self.ledger.push(entry);
            }
        }
    }

    pub(super) fn apply(&mut self, record: &JournalRecord) {
        match record {
            JournalRecord::Intent(intent) => self.apply_intent(intent),
            JournalRecord::Settled(settled) => self.settle(settled),
            JournalRecord::Advance(Advance { source, span, filtered, dead, .. }) => {
                self.extend(source, span);
                let totals = self.totals_of(source);
                add(&mut totals.filtered, *filtered);
                add(&mut totals.dead_lettered, *dead);
            }
            JournalRecord::Gap(gap) => self.apply_gap(gap),
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

    fn apply_intent(&mut self, intent: &Intent) {
        self.next_batch = self.next_batch.max(intent.n.saturating_add(1));
        let batch = Outstanding::from(intent);
        let Some(of) = intent.of else {
            self.extend(&intent.source, &intent.span);
            return self.outstanding.push(batch);
        };
        let parent = |o: &Outstanding| o.source == batch.source && span::cut(&o.span, &batch.span).is_some();
        // Where the parent's own line was lost, its bytes are in a hole or were never heard of.
        let at = self
            .outstanding
            .iter()
            .position(|o| o.n == of && parent(o))
            .or_else(|| self.outstanding.iter().position(parent));
        match at {
            Some(at) => self.carve(at, batch),
            None => {
                self.extend(&intent.source, &intent.span);
                self.outstanding.push(batch);
            }
        }
    }

    /// Cuts `part` out of the outstanding batch at `at`. What lay before it (only where a line was lost) and what
    /// remains need ids of their own.
    fn carve(&mut self, at: usize, part: Outstanding) {
        let parent = self.outstanding.remove(at);
        let Some(cut) = span::cut(&parent.span, &part.span) else {
            return self.outstanding.insert(at, parent);
        };
        let remaining = Outstanding {
            n: parent.n,
            events: parent.events.saturating_sub(part.events),
            dead: parent.dead.saturating_sub(part.dead),
            filtered: parent.filtered.saturating_sub(part.filtered),
            at: parent.at,
            ..Outstanding::unsent(&parent.source, cut.after)
        };
        let before = Outstanding::unsent(&parent.source, cut.before);
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
                self.outstanding.push(Outstanding::unsent(source, vec![hole.into()]));
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
        let known = |o: &Outstanding| o.n == settled.n && o.n != 0;
        let Some(at) = self.outstanding.iter().position(known) else {
            return;
        };
        let batch = self.outstanding.remove(at);
        self.account(&batch, settled.outcome);
        let was_sent = batch.id.is_some();
        self.ledger.push(LedgerEntry {
            n: batch.n,
            crc32: was_sent.then_some(batch.crc32),
            len: was_sent.then_some(batch.len),
            id: batch.id,
            source: batch.source,
            span: batch.span,
            events: batch.events,
            outcome: settled.outcome,
            status: settled.status,
            at: settled.at,
        });
    }

    fn account(&mut self, batch: &Outstanding, outcome: Outcome) {
        let totals = self.totals_of(&batch.source);
        add(&mut totals.filtered, batch.filtered);
        add(&mut totals.dead_lettered, batch.dead);
        match outcome {
            Outcome::Delivered => add(&mut totals.delivered, batch.events),
            Outcome::DeadLettered => add(&mut totals.dead_lettered, batch.events),
            Outcome::Filtered => add(&mut totals.filtered, batch.events),
            Outcome::Gap => {
                add(&mut totals.gap, batch.events);
                batch.span.iter().for_each(|r| add(&mut totals.gap_bytes, r.range.len()));
            }
        }
    }

    fn apply_gap(&mut self, gap: &Gap) {
        let Gap { source, segment, start, end, .. } = gap;
        let range = SegmentRange { segment: *segment, start: *start, end: *end };
        let (mut bytes, gone) = self.withdraw(source, range);
        let unread = SegmentRange { start: self.offset(source, *segment).max(*start), ..range };
        if unread.end > unread.start {
            add(&mut bytes, unread.len());
            self.extend(source, &[unread.into()]);
        }
        let totals = self.totals_of(source);
        add(&mut totals.gap, gap.events);
        add(&mut totals.gap_bytes, bytes);
        for batch in gone {
            add(&mut totals.filtered, batch.filtered);
            add(&mut totals.dead_lettered, batch.dead);
        }
    }

    /// Takes a range away from the outstanding batches of a source. A batch that loses a part loses its id.
    /// Returns how many bytes were taken and the batches of which nothing is left.
    fn withdraw(&mut self, source: &str, range: SegmentRange) -> (u64, Vec<Outstanding>) {
        let mut bytes = 0;
        let mut gone = Vec::new();
        let touched =
            |o: &Outstanding| o.source == source && o.span.iter().any(|r| span::overlap(r.range, range) > 0);
        if !self.outstanding.iter().any(touched) {
            return (bytes, gone);
        }
        for mut batch in std::mem::take(&mut self.outstanding) {
            if touched(&batch) {
                batch.span.iter().for_each(|r| add(&mut bytes, span::overlap(r.range, range)));
                batch.span = span::without(&batch.span, range);
                (batch.id, batch.crc32, batch.len) = (None, 0, 0);
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
pub(super) fn settled_cursors(cursors: &ReadCursors, source: &str, outstanding: &[Outstanding]) -> SettledCursors {
    let mut committed: SettledCursors = cursors.iter().map(|(segment, cursor)| (*segment, cursor.offset)).collect();
    for AnchoredRange { range, .. } in outstanding.iter().filter(|o| o.source == source).flat_map(|o| &o.span) {
        if let Some(offset) = committed.get_mut(&range.segment) {
            *offset = range.start.min(*offset);
        }
    }
    committed
}

/// Totals never overflow, whatever a line claims.
fn add(total: &mut u64, more: u64) {
    *total = total.saturating_add(more);
}

fn whole(segment: SegmentId) -> SegmentRange {
    SegmentRange { segment, start: 0, end: u64::MAX }
}
