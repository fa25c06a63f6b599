//! A batch while it is put together from one log, in order.

use std::{sync::Arc, time::Instant};

use super::{
    batch::{BatchBody, BodyLimits, Pushed},
    dead_letter::Reason,
    filter::FilteredCounts,
};
use crate::log::{AnchoredRange, ContainerOrigin, Cursor, SegmentId, SegmentRange, Span};

/// What was read since the last batch: the events for its body, and what else its span covers.
#[derive(Debug)]
pub struct BatchDraft {
    pub source: Arc<str>,
    /// The container that all events of the body are of.
    pub origin: Option<Arc<ContainerOrigin>>,
    pub body: BatchBody,
    /// Lines that can never be delivered, for the dead letters.
    pub dead: Vec<RejectedLine>,
    /// Events that a rule kept back.
    pub filtered: FilteredCounts,
    /// When its first record was taken: its age counts from here.
    pub begun: Option<Instant>,
    covered: Span,
    /// Bytes of dead lines that are held.
    held: usize,
}

/// A line that is no event.
#[derive(Debug)]
pub struct RejectedLine {
    pub range: SegmentRange,
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
            dead: Vec::new(),
            filtered: FilteredCounts::default(),
            begun: None,
            covered: Span::default(),
            held: 0,
        }
    }

    /// Puts an event into the body.
    pub fn push_of(
        &mut self,
        origin: &Option<Arc<ContainerOrigin>>,
        fit: &BodyLimits,
        range: SegmentRange,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Pushed {
        self.is_of(origin);
        self.body.push(fit, range, false, encode)
    }

    /// What comes next is of this container: where the body has events of another one, nothing is said of any.
    pub fn is_of(&mut self, origin: &Option<Arc<ContainerOrigin>>) {
        if self.body.is_empty() {
            self.origin.clone_from(origin);
        } else if self.origin != *origin {
            self.origin = None;
        }
    }

    /// Takes a line that can never be delivered; false where enough of them are held already.
    pub fn reject(&mut self, fit: &BodyLimits, dead: RejectedLine) -> bool {
        let bytes = dead.payload.as_ref().map_or(0, Vec::len);
        if !self.dead.is_empty() && (self.dead.len() >= fit.max_events || self.held + bytes > fit.max_bytes) {
            return false;
        }
        self.held += bytes;
        self.dead.push(dead);
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

    /// Events in the body that stand for records of the log: all but stubs, whose lines are dead letters.
    pub fn events(&self) -> u64 {
        self.body.events().iter().filter(|event| !event.stub).count() as u64
    }
}
