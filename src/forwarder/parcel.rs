//! A batch on its way: one request's body under one id, until the receiver has it.
//!
//! A batch that is refused is sent in parts, left first, each under an id and a number of its own, for it has other
//! bytes. In the journal a part is carved out of what it is a part of.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use super::{
    batch::{BatchBody, EventAt},
    compress::Digest,
    deliver::{Fate, Narrowing},
    draft::{BatchDraft, RejectedLine},
    filter::FilteredCounts,
    follow::Finished,
    journal::{Intent, UnixMillis},
    recorder::EventRefusal,
};
use crate::log::{AnchoredRange, ContainerOrigin, SegmentRange as LogRange};

/// A compressed body that was not sent yet.
#[derive(Debug)]
pub struct SealedBatch {
    pub source: Arc<str>,
    /// The container that its events are of.
    pub origin: Option<Arc<ContainerOrigin>>,
    pub span: Vec<AnchoredRange>,
    pub body: Arc<BatchBody>,
    pub wire: Bytes,
    pub digest: Digest,
    pub dead: Vec<RejectedLine>,
    pub filtered: FilteredCounts,
}

/// A batch in the window: what is sent now, and the plan if it is a part of something.
#[derive(Debug)]
pub struct InFlightBatch {
    pub n: u64,
    pub id: String,
    pub parcel: SealedBatch,
    pub attempts: u32,
    pub flying: bool,
    /// The receiver refuses its one event, which is no dead letter yet: it is not sent again.
    pub refusal: Option<EventRefusal>,
    pub whole: Option<SplitBatch>,
}

/// The batch that is being sent in parts.
#[derive(Debug)]
pub struct SplitBatch {
    pub body: Arc<BatchBody>,
    pub plan: Narrowing,
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
}

/// The next part of a whole, to be compressed and announced.
#[derive(Debug)]
pub struct BatchPart {
    pub body: BatchBody,
    pub span: Vec<AnchoredRange>,
    pub of: u64,
}

impl SealedBatch {
    pub fn new(finished: Finished, wire: Bytes, digest: Digest) -> Self {
        let Finished { draft: BatchDraft { source, origin, body, dead, filtered, .. }, span } = finished;
        Self { source, origin, span, body: Arc::new(body), wire, digest, dead, filtered }
    }

    /// Events that stand for records of the log: all but stubs.
    pub fn events(&self) -> u64 {
        self.body.events().iter().filter(|event| !event.stub).count() as u64
    }

    pub fn intent(&self, n: u64, id: &str, of: Option<u64>) -> Intent {
        Intent {
            n,
            id: id.to_owned(),
            source: self.source.to_string(),
            span: self.span.clone(),
            events: self.events(),
            dead: self.dead.len() as u64,
            filtered: self.filtered.total(),
            crc32: self.digest.crc32,
            len: self.digest.len,
            of,
            at: UnixMillis::now(),
        }
    }
}

impl InFlightBatch {
    pub fn new(n: u64, id: String, parcel: SealedBatch) -> Self {
        Self { n, id, parcel, attempts: 0, flying: false, refusal: None, whole: None }
    }

    /// Whether it is to be sent.
    pub fn waits(&self) -> bool {
        !self.flying && self.refusal.is_none() && self.fate().is_none()
    }

    /// What the receiver said of the events of this part when they were in a larger batch, so that it is not sent.
    pub fn fate(&self) -> Option<&Fate> {
        let whole = self.whole.as_ref().filter(|_| !self.flying && self.refusal.is_none())?;
        let first = whole.plan.next()?.start;
        whole.fates.get(first).filter(|fate| **fate != Fate::Again)
    }

    /// What the receiver said of events that it refuses no longer counts: they are to be sent.
    pub fn forget_refusals(&mut self) {
        let refusals = self.whole.iter_mut().flat_map(|whole| &mut whole.fates);
        refusals.filter(|fate| matches!(fate, Fate::Refused { .. })).for_each(|fate| *fate = Fate::Again);
    }

    /// The one event of a batch that cannot be split further.
    pub fn only_event(&self) -> Option<EventAt> {
        match self.parcel.body.events() {
            [event] => Some(*event),
            _ => None,
        }
    }

    /// This batch was refused: from now on it goes in parts. False where it is one event.
    pub fn split(&mut self) -> bool {
        let events = self.parcel.body.events().len();
        if events < 2 {
            return false;
        }
        let span = self.parcel.span.clone();
        match &mut self.whole {
            None => {
                let rests = vec![UnsentRest { n: self.n, events: 0..events, span }];
                let (body, plan) = (self.parcel.body.clone(), Narrowing::new(events));
                self.whole = Some(SplitBatch { body, plan, fates: Vec::new(), rests });
            }
            Some(whole) => {
                let Some(part) = whole.plan.next() else { return false };
                whole.plan.split();
                whole.rests.push(UnsentRest { n: self.n, events: part, span });
            }
        }
        true
    }

    /// The receiver said of each event what became of it: from now on the batch goes in parts of one fate each, and each
    /// event that it refuses is a part of its own. False where this is one event, or the fates are not those of its
    /// events.
    pub fn split_by(&mut self, fates: &[Fate]) -> bool {
        let events = self.parcel.body.events().len();
        if events < 2 || fates.len() != events {
            return false;
        }
        let span = self.parcel.span.clone();
        match &mut self.whole {
            None => {
                let rests = vec![UnsentRest { n: self.n, events: 0..events, span }];
                let plan = Narrowing::in_parts(parts(fates, 0));
                self.whole = Some(SplitBatch { body: self.parcel.body.clone(), plan, fates: fates.to_vec(), rests });
            }
            Some(whole) => {
                let Some(part) = whole.plan.next().filter(|part| part.len() == events) else { return false };
                whole.plan.cut(parts(fates, part.start));
                whole.fates.resize(whole.body.events().len(), Fate::Again);
                whole.fates[part.clone()].clone_from_slice(fates);
                whole.rests.push(UnsentRest { n: self.n, events: part, span });
            }
        }
        true
    }

    /// The part that was sent is settled, or was split: the next one, if any is left. One of more than `hopeless` bytes
    /// is halved unsent.
    pub fn next_part(&mut self, hopeless: usize) -> Option<BatchPart> {
        let whole = self.whole.as_mut()?;
        let mut next = whole.plan.next()?;
        while whole.body.len_of(next.clone()) > hopeless && whole.plan.split() {
            next = whole.plan.next()?;
        }
        while whole.rests.last().is_some_and(|rest| rest.events.end <= next.start) {
            whole.rests.pop();
        }
        let rest = whole.rests.last_mut()?;
        let span = if next.end == rest.events.end {
            std::mem::take(&mut rest.span)
        } else {
            carve(&mut rest.span, whole.body.events()[next.end - 1].range)
        };
        Some(BatchPart { body: whole.body.subset(next), span, of: rest.n })
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

/// Cuts a span behind `last`, the range of an event in it: the first piece is returned, the second stays.
fn carve(span: &mut Vec<AnchoredRange>, last: LogRange) -> Vec<AnchoredRange> {
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
        first.push(LogRange { end: last.end, ..cut.range }.into());
        span[0].range.start = last.end;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Framing,
        forwarder::batch::{BodyLimits, Pushed},
        log::SegmentId,
    };

    fn range(segment: u64, start: u64, end: u64) -> LogRange {
        LogRange { segment: SegmentId(segment), start, end }
    }

    /// Ten events of ten bytes, five in each of two segments, with a filtered record behind each.
    fn batch() -> InFlightBatch {
        let mut body = BatchBody::new(Framing::Lines);
        let fit = BodyLimits { max_events: 100, max_bytes: 10_000 };
        for n in 0..10u64 {
            let at = range(1 + n / 5, 20 * (n % 5), 20 * (n % 5) + 10);
            assert_eq!(body.push(&fit, at, false, |out| out.extend(format!("event-{n}").bytes())), Pushed::In);
        }
        body.finish();
        let span = vec![range(1, 0, 100).into(), range(2, 0, 100).into()];
        let digest = Digest::of(body.bytes());
        let parcel = SealedBatch {
            source: "s".into(),
            origin: None,
            span,
            body: Arc::new(body),
            wire: Bytes::new(),
            digest,
            dead: vec![],
            filtered: FilteredCounts::default(),
        };
        InFlightBatch::new(1, "id".into(), parcel)
    }

    /// Sends every part down to single events, as a receiver that refuses all would have it.
    #[test]
    fn parts_cover_the_whole_without_gaps_and_are_carved_from_what_they_are_parts_of() {
        let mut batch = batch();
        let mut outstanding = vec![(1, batch.parcel.span.clone())];
        let mut covered = Vec::new();
        let mut n = 1;
        assert!(batch.split());
        while let Some(part) = batch.next_part(usize::MAX) {
            n += 1;
            let parent =
                outstanding.iter_mut().find(|(number, _)| *number == part.of).expect("the parent is outstanding");
            let bytes: u64 = part.span.iter().map(|range| range.range.len()).sum();
            assert_eq!(first_bytes(&mut parent.1, bytes), part.span, "a prefix of what remains of {}", part.of);
            outstanding.push((n, part.span.clone()));
            let body = Arc::new(part.body);
            batch.parcel.span = part.span;
            batch.parcel.body = body.clone();
            batch.n = n;
            if body.events().len() > 1 {
                assert!(batch.split());
                continue;
            }
            assert!(!batch.split());
            covered.push(String::from_utf8_lossy(body.event_bytes(0)).into_owned());
            outstanding.retain(|(number, _)| *number != n);
            batch.whole.as_mut().expect("it was split").plan.settle();
        }
        assert_eq!(covered, (0..10).map(|n| format!("event-{n}")).collect::<Vec<_>>());
        assert!(outstanding.iter().all(|(_, span)| span.is_empty()), "{outstanding:?}");
    }

    fn first_bytes(span: &mut Vec<AnchoredRange>, mut bytes: u64) -> Vec<AnchoredRange> {
        let mut first = Vec::new();
        while bytes > 0 {
            let range = span[0].range;
            if range.len() <= bytes {
                bytes -= range.len();
                first.push(span.remove(0));
            } else {
                first.push(LogRange { end: range.start + bytes, ..range }.into());
                span[0].range.start += bytes;
                bytes = 0;
            }
        }
        first
    }

    #[test]
    fn one_event_is_not_split() {
        let mut batch = batch();
        batch.parcel.body = Arc::new(batch.parcel.body.subset(3..4));
        assert!(!batch.split());
        assert!(batch.only_event().is_some_and(|event| event.range == range(1, 60, 70)));
    }
}
