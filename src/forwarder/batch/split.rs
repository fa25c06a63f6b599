//! A batch that the receiver refuses as a whole and that therefore goes in parts, left first, each under a number and an
//! id of its own.
//!
//! In the journal a part is carved out of what it is a part of: its span is a prefix of what remains of that, and it
//! takes from it what its own span covers, so that every record is counted once, however often a part is split again.

use std::{ops::Range, sync::Arc};

use super::{BatchBody, EventAt, Narrowing};
use crate::{
    forwarder::{journal::Coverage, judge::Fate},
    log::{AnchoredRange, SegmentRange},
};

#[derive(Debug)]
pub struct SplitBatch {
    body: Arc<BatchBody>,
    plan: Narrowing,
    /// What the receiver said of each event that is not settled yet; empty where it said nothing of single ones.
    fates: Vec<Fate>,
    /// What is not yet carved off, and by which number the journal knows it: the outermost first. The parts of
    /// each are halves of its events.
    rests: Vec<UnsentRest>,
}

#[derive(Debug)]
struct UnsentRest {
    n: u64,
    events: Range<usize>,
    span: Vec<AnchoredRange>,
    covers: Coverage,
}

/// The next part of a split batch, to be compressed and announced.
#[derive(Debug)]
pub struct BatchPart {
    pub body: BatchBody,
    pub span: Vec<AnchoredRange>,
    pub covers: Coverage,
    /// The batch that it is carved out of.
    pub of: u64,
}

impl SplitBatch {
    pub(super) fn in_halves(n: u64, body: Arc<BatchBody>, span: Vec<AnchoredRange>, covers: Coverage) -> Self {
        let events = body.events().len();
        let rests = vec![UnsentRest { n, events: 0..events, span, covers }];
        Self { body, plan: Narrowing::new(events), fates: Vec::new(), rests }
    }

    pub(super) fn singly(n: u64, body: Arc<BatchBody>, span: Vec<AnchoredRange>, covers: Coverage) -> Self {
        let events = body.events().len();
        let rests = vec![UnsentRest { n, events: 0..events, span, covers }];
        let plan = Narrowing::in_parts((0..events).map(|event| event..event + 1));
        Self { body, plan, fates: Vec::new(), rests }
    }

    pub(super) fn by_fates(
        n: u64,
        body: Arc<BatchBody>,
        span: Vec<AnchoredRange>,
        covers: Coverage,
        fates: &[Fate],
    ) -> Self {
        let rests = vec![UnsentRest { n, events: 0..body.events().len(), span, covers }];
        Self { body, plan: Narrowing::in_parts(parts(fates, 0)), fates: fates.to_vec(), rests }
    }

    /// The part that is sent as batch `n` is refused as well. False where nothing is sent.
    pub(super) fn halve(&mut self, n: u64, span: &[AnchoredRange], covers: Coverage) -> bool {
        let Some(events) = self.plan.next() else { return false };
        self.plan.split();
        self.rests.push(UnsentRest { n, events, span: span.to_vec(), covers });
        true
    }

    /// The receiver said of each event of the part that is sent as batch `n` what became of it. False where these are
    /// not its events.
    pub(super) fn cut_by_fates(&mut self, n: u64, span: &[AnchoredRange], covers: Coverage, fates: &[Fate]) -> bool {
        let Some(events) = self.plan.next().filter(|events| events.len() == fates.len()) else { return false };
        self.plan.cut(parts(fates, events.start));
        self.fates.resize(self.body.events().len(), Fate::Again);
        self.fates[events.clone()].clone_from_slice(fates);
        self.rests.push(UnsentRest { n, events, span: span.to_vec(), covers });
        true
    }

    pub(super) fn fate(&self) -> Option<&Fate> {
        self.fates.get(self.plan.next()?.start).filter(|fate| **fate != Fate::Again)
    }

    pub(super) fn forget_refusals(&mut self) {
        let refusals = self.fates.iter_mut().filter(|fate| matches!(fate, Fate::Refused { .. }));
        refusals.for_each(|fate| *fate = Fate::Again);
    }

    /// The part that is sent is settled.
    pub fn settle(&mut self) {
        self.plan.settle();
    }

    pub(super) fn next_part(&mut self, hopeless: usize) -> Option<BatchPart> {
        let mut next = self.plan.next()?;
        while self.body.len_of(next.clone()) > hopeless && self.plan.split() {
            next = self.plan.next()?;
        }
        while self.rests.last().is_some_and(|rest| rest.events.end <= next.start) {
            self.rests.pop();
        }
        let rest = self.rests.last_mut()?;
        let (span, covers) = if next.end == rest.events.end {
            (std::mem::take(&mut rest.span), std::mem::take(&mut rest.covers))
        } else {
            let events = &self.body.events()[next.clone()];
            let covers = coverage(events);
            rest.covers = rest.covers.checked_sub(covers).unwrap_or_default();
            (carve(&mut rest.span, self.body.events()[next.end - 1].last_range()), covers)
        };
        Some(BatchPart { body: self.body.subset(next), span, covers, of: rest.n })
    }
}

/// What the span from the end of the event before these to the end of the last of them covers.
fn coverage(events: &[EventAt]) -> Coverage {
    let sum = |count: fn(&EventAt) -> u32| events.iter().map(|event| u64::from(count(event))).sum();
    Coverage {
        events: events.iter().filter(|event| !event.stub).count() as u64,
        dead_lettered: sum(|event| event.beside.rejected),
        filtered: sum(|event| event.beside.filtered),
    }
}

/// Neighbours of one fate, and single events that are refused. The first event is that with the index `start`.
fn parts(fates: &[Fate], start: usize) -> Vec<Range<usize>> {
    let together = |a: &Fate, b: &Fate| a == b && !matches!(a, Fate::Refused { .. });
    let mut at = start;
    let ranges = fates.chunk_by(together).map(|run| {
        let range = at..at + run.len();
        at = range.end;
        range
    });
    ranges.collect()
}

/// Cuts a span behind `last`, the range that an event in it ends with: the first piece is returned, the second stays.
fn carve(span: &mut Vec<AnchoredRange>, last: SegmentRange) -> Vec<AnchoredRange> {
    let holds = |range: &AnchoredRange| {
        range.range.segment == last.segment && range.range.start <= last.start && last.end <= range.range.end
    };
    let Some(at) = span.iter().position(holds) else { return std::mem::take(span) };
    let rest = span.split_off(at);
    let mut first = std::mem::replace(span, rest);
    let cut = span[0];
    if last.end == cut.range.end {
        first.push(cut);
        span.remove(0);
    } else {
        first.push(SegmentRange { end: last.end, ..cut.range }.into());
        span[0].range.start = last.end;
    }
    first
}

#[cfg(test)]
mod tests;
