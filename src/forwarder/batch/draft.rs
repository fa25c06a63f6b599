//! A batch while it is put together from one log, in order.

use std::{sync::Arc, time::Instant};

use super::{BatchBody, Beside, BodyLimits, EventAt, Pushed, SealedBatch};
use crate::{
    forwarder::{
        dead_letter::Reason,
        stats::{FilterRule, FilteredCounts},
    },
    log::{AnchoredRange, ContainerOrigin, Cursor, SegmentId, SegmentRange, Span},
};

/// Lines that can never be delivered, in one draft.
const MAX_REJECTED: usize = 1000;

/// What was read since the last batch: the events for its body, and what else its span covers.
#[derive(Debug)]
pub struct BatchDraft {
    pub source: Arc<str>,
    /// The container that all events of the body are of.
    pub origin: Option<Arc<ContainerOrigin>>,
    pub body: BatchBody,
    /// When its first record was taken: its age counts from here.
    pub begun: Option<Instant>,
    rejected: Vec<RejectedLine>,
    filtered: FilteredCounts,
    covered: Span,
    /// What was taken since the last event of the body.
    since_event: Beside,
    /// Bytes of rejected lines that are held.
    held: usize,
}

/// A line that is no event.
#[derive(Debug)]
pub struct RejectedLine {
    pub range: SegmentRange,
    /// Where it goes on, if a rotation cut it.
    pub continued: Box<[SegmentRange]>,
    pub reason: Reason,
    /// What is wrong with it, for a person.
    pub detail: String,
    /// Its bytes, while they are at hand: the file may be cut before they are written down. None for a line that is
    /// too long to be held.
    pub payload: Option<Vec<u8>>,
}

impl BatchDraft {
    pub fn new(source: Arc<str>, body: BatchBody) -> Self {
        Self {
            source,
            origin: None,
            body,
            begun: None,
            rejected: Vec::new(),
            filtered: FilteredCounts::default(),
            covered: Span::default(),
            since_event: Beside::default(),
            held: 0,
        }
    }

    /// Where the next event is to be written, unless the body has no room for any.
    pub fn begin_event(
        &mut self,
        origin: &Option<Arc<ContainerOrigin>>,
        limits: &BodyLimits,
    ) -> Option<&mut Vec<u8>> {
        self.is_of(origin);
        self.body.begin_event(limits)
    }

    /// The event was written; `stub`: it stands for a line that was too long.
    pub fn end_event(
        &mut self,
        limits: &BodyLimits,
        range: SegmentRange,
        continued: &[SegmentRange],
        stub: bool,
    ) -> Pushed {
        let pushed = self.body.end_event(limits, range, stub);
        if pushed == Pushed::In
            && let Some(event) = self.body.last_event()
        {
            event.beside = std::mem::take(&mut self.since_event);
            event.continued = continued.into();
        }
        pushed
    }

    /// Takes the line that the stub stands for which was written last.
    pub fn reject_stubbed(&mut self, line: RejectedLine) {
        self.rejected.push(line);
        self.body.last_event().into_iter().for_each(|event| event.beside.rejected += 1);
    }

    /// Counts records that a rule keeps back. Those of an empty range stand inside the record that ends there.
    pub fn filter(&mut self, rule: FilterRule, records: u64, range: SegmentRange) {
        self.filtered.add(rule, records);
        let end = |range: SegmentRange| (range.segment, range.end);
        let is_inside = |event: &&mut EventAt| range.is_empty() && end(event.last_range()) == end(range);
        let inside = self.body.last_event().filter(is_inside).map(|event| &mut event.beside);
        let beside = inside.unwrap_or(&mut self.since_event);
        beside.filtered = beside.filtered.saturating_add(u32::try_from(records).unwrap_or(u32::MAX));
    }

    /// What comes next is of this container: where the body has events of another one, nothing is said of any.
    fn is_of(&mut self, origin: &Option<Arc<ContainerOrigin>>) {
        if self.body.is_empty() {
            self.origin.clone_from(origin);
        } else if self.origin != *origin {
            self.origin = None;
        }
    }

    /// Takes a line that can never be delivered; false where enough of them are held already.
    pub fn reject(&mut self, fit: &BodyLimits, line: RejectedLine) -> bool {
        let bytes = line.payload.as_ref().map_or(0, Vec::len);
        let full = self.rejected.len() >= MAX_REJECTED || self.held + bytes > fit.max_bytes;
        if full && !self.rejected.is_empty() {
            return false;
        }
        self.held += bytes;
        self.rejected.push(line);
        self.since_event.rejected += 1;
        true
    }

    pub fn cover(&mut self, range: SegmentRange, now: Instant) {
        self.begun.get_or_insert(now);
        self.covered.push(range);
    }

    /// Nothing was taken yet.
    pub fn is_empty(&self) -> bool {
        self.covered.is_empty()
    }

    /// The span, with the anchor of each segment's last range: `cursors` says where reading stands.
    pub fn span(&self, cursors: impl Fn(SegmentId) -> Option<Cursor>) -> Vec<AnchoredRange> {
        let anchored = self.covered.0.iter().map(|range| {
            let cursor = cursors(range.segment).filter(|cursor| cursor.offset == range.end);
            AnchoredRange { range: *range, anchor: cursor.and_then(|cursor| cursor.anchor) }
        });
        anchored.collect()
    }

    /// The batch as it is, which covers `span`.
    pub fn seal(mut self, span: Vec<AnchoredRange>) -> SealedBatch {
        self.body.finish();
        let Self { source, origin, body, rejected, filtered, .. } = self;
        SealedBatch::new(source, origin, span, body, rejected, filtered)
    }
}
