//! A batch while it is put together from one log, in order.

use std::{sync::Arc, time::Instant};

use super::{batch::Body, dead_letter::Reason, filter::Dropped};
use crate::log::{AnchoredRange, Mark, Range, SegmentId, Span};

/// What was read since the last batch: the events for its body, and what else its span covers.
#[derive(Debug)]
pub struct Draft {
    pub source: Arc<str>,
    pub body: Body,
    /// Lines that can never be delivered, for the dead letters.
    pub dead: Vec<Dead>,
    /// Events that a rule kept back.
    pub filtered: Dropped,
    /// When its first record was taken: its age counts from here.
    pub begun: Option<Instant>,
    covered: Span,
}

/// A line that is no event.
#[derive(Debug)]
pub struct Dead {
    pub range: Range,
    pub reason: Reason,
    /// What is wrong with it, for a person.
    pub detail: String,
}

impl Draft {
    pub fn new(source: Arc<str>, body: Body) -> Self {
        Self { source, body, dead: Vec::new(), filtered: Dropped::default(), begun: None, covered: Span::default() }
    }

    pub fn cover(&mut self, range: Range, now: Instant) {
        self.begun.get_or_insert(now);
        self.covered.push(range);
    }

    /// Nothing was taken yet.
    pub fn is_empty(&self) -> bool {
        self.covered.is_empty()
    }

    /// The span, with the anchor of each segment's last range: `marks` says where reading stands.
    pub fn span(&self, marks: impl Fn(SegmentId) -> Option<Mark>) -> Vec<AnchoredRange> {
        let anchored = self.covered.0.iter().map(|range| {
            let mark = marks(range.segment).filter(|mark| mark.offset == range.end);
            AnchoredRange { range: *range, anchor: mark.and_then(|mark| mark.anchor) }
        });
        anchored.collect()
    }

    /// Events in the body that stand for records of the log: all but stubs, whose lines are dead letters.
    pub fn events(&self) -> u64 {
        self.body.events().iter().filter(|event| !event.stub).count() as u64
    }
}
