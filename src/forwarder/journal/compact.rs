//! A state written out as the shortest journal that leads to it.

use std::{
    collections::{BTreeMap, HashMap},
    io,
};

use crate::{
    durable::lines,
    log::{AnchoredRange, Cursor, SegmentId, SegmentRange},
};

use super::{
    record::{Advance, BatchRecord, CURSORS_A_LINE, CompactedLine, Intent, JournalRecord},
    span,
    state::JournalState,
    words::UnixMillis,
};

impl JournalState {
    /// Appends the lines that lead to this state, without a header.
    ///
    /// # Errors
    /// A record that no line holds.
    pub(super) fn write(&self, out: &mut Vec<u8>, now: UnixMillis) -> io::Result<()> {
        lines::encode(out, &CompactedLine::Snapshot { next_batch: self.next_batch })?;
        for (source, totals) in &self.totals {
            lines::encode(out, &CompactedLine::Totals { source: source.clone(), totals: *totals })?;
        }
        for entry in self.ledger.iter() {
            lines::encode(out, &CompactedLine::Ledger(entry.clone()))?;
        }
        for gap in &self.gaps {
            lines::encode(out, &CompactedLine::PastGap(gap.clone()))?;
        }
        for mark in self.letters.values() {
            lines::encode(out, &JournalRecord::Letter(mark.clone()))?;
        }
        if let Some(hold) = &self.hold {
            lines::encode(out, &JournalRecord::Held(hold.clone()))?;
        }
        for source in self.read_cursors.keys() {
            self.write_source(out, source, now)?;
        }
        Ok(())
    }

    fn write_source(&self, out: &mut Vec<u8>, source: &str, now: UnixMillis) -> io::Result<()> {
        let settled_cursors = self.settled_cursors(source);
        let cursors: Vec<_> = settled_cursors
            .iter()
            .map(|(segment, offset)| {
                let cursor = self.read_cursors[source].get(segment).filter(|cursor| cursor.offset == *offset);
                (*segment, Cursor { offset: *offset, anchor: cursor.and_then(|cursor| cursor.anchor) })
            })
            .collect();
        for cursors in cursors.chunks(CURSORS_A_LINE) {
            let (source, cursors) = (source.to_owned(), cursors.to_vec());
            lines::encode(out, &CompactedLine::Cursors { source, cursors })?;
        }
        self.write_outstanding(out, source, settled_cursors, now)
    }

    /// The outstanding batches of a source and, as `advance`, what was settled between and behind them.
    fn write_outstanding(
        &self,
        out: &mut Vec<u8>,
        source: &str,
        settled_cursors: BTreeMap<SegmentId, u64>,
        now: UnixMillis,
    ) -> io::Result<()> {
        let batches = || self.outstanding.iter().filter(|o| o.source == source);
        let taken: Vec<SegmentRange> = batches().flat_map(|o| &o.span).map(|r| r.range).collect();
        let mut stands: HashMap<_, _> = settled_cursors.into_iter().collect();
        for batch in batches() {
            for AnchoredRange { range: SegmentRange { segment, start, end }, .. } in &batch.span {
                let stood = stands.entry(*segment).or_default();
                let inner = batch.span.iter().any(|r| r.range.segment == *segment && r.range.end == *stood);
                if *stood < *start && !inner {
                    let settled = Cursor { offset: *start, anchor: None };
                    write_settled(out, source, span::up_to(*segment, *stood, settled), &taken, now)?;
                }
                *stood = *end;
            }
            write_batch(out, batch)?;
        }
        for (segment, cursor) in &self.read_cursors[source] {
            let stood = stands.get(segment).copied().unwrap_or(0);
            if stood < cursor.offset {
                write_settled(out, source, span::up_to(*segment, stood, *cursor), &taken, now)?;
            }
        }
        Ok(())
    }
}

/// Writes that a piece was settled, less what is outstanding in it after all.
fn write_settled(
    out: &mut Vec<u8>,
    source: &str,
    piece: AnchoredRange,
    taken: &[SegmentRange],
    now: UnixMillis,
) -> io::Result<()> {
    let mut pieces = vec![piece];
    for range in taken {
        pieces = span::without(&pieces, *range);
    }
    for piece in pieces {
        let advance =
            Advance { source: source.to_owned(), span: vec![piece], dead_lettered: 0, filtered: 0, at: now };
        lines::encode(out, &JournalRecord::Advance(advance))?;
    }
    Ok(())
}

fn write_batch(out: &mut Vec<u8>, batch: &BatchRecord) -> io::Result<()> {
    match batch.id {
        Some(_) => lines::encode(out, &JournalRecord::Intent(Intent { batch: batch.clone(), parent: None })),
        None => lines::encode(out, &CompactedLine::Rest(batch.clone())),
    }
}
