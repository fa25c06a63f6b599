//! The body of one request while it is built: framed events, and where each of them stands.
//!
//! What always holds: the body's bytes follow from its events and the framing alone, and so do those of every
//! part of it ([`BatchBody::subset`]). A body is never longer than its [`BodyLimits`] allows, unless it is one event
//! that is.

use std::sync::Arc;

use super::{Beside, EventAt};
use crate::{
    config::{self, BatchLimits, Framing},
    log::SegmentRange,
};

/// How large a body may become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    pub max_events: usize,
    /// Of the finished body before compression, framing included.
    pub max_bytes: usize,
}

impl BodyLimits {
    pub const NONE: BodyLimits = BodyLimits { max_events: usize::MAX, max_bytes: usize::MAX };

    /// `learned` is what the receiver was seen to take, where that is less than what is configured. A request of a single
    /// event has one.
    pub fn new(limits: &BatchLimits, framing: Framing, learned: Option<usize>) -> BodyLimits {
        let max_events = if framing == Framing::Single { 1 } else { limits.max_events };
        let max_bytes = learned.map_or(limits.max_bytes, |learned| learned.min(limits.max_bytes));
        BodyLimits { max_events, max_bytes }
    }
}

/// What stands round and between the events of a body. Clones are cheap.
#[derive(Clone, Debug)]
pub struct BodyFrame {
    framing: Framing,
    prefix: Arc<str>,
    suffix: Arc<str>,
}

impl BodyFrame {
    pub fn of(forwarder: &config::Forwarder) -> BodyFrame {
        let (prefix, suffix) = forwarder.wrap.as_ref().map_or(("", ""), |wrap| (&wrap.prefix, &wrap.suffix));
        BodyFrame { framing: forwarder.framing, prefix: prefix.into(), suffix: suffix.into() }
    }
}

impl From<Framing> for BodyFrame {
    fn from(framing: Framing) -> BodyFrame {
        BodyFrame { framing, prefix: "".into(), suffix: "".into() }
    }
}

/// Whether an event went in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Pushed {
    In,
    /// There is no room for it: finish this body and push the event to the next one.
    Full,
}

/// A body, or a growing one.
#[derive(Clone, Debug)]
pub struct BatchBody {
    frame: BodyFrame,
    bytes: Vec<u8>,
    events: Vec<EventAt>,
    /// Where the event begins that is being written.
    begun_at: usize,
    finished: bool,
}

impl BatchBody {
    pub fn new(frame: impl Into<BodyFrame>) -> BatchBody {
        BatchBody { frame: frame.into(), bytes: Vec::new(), events: Vec::new(), begun_at: 0, finished: false }
    }

    /// A body that grows to `bytes` without being moved. Memory that is not written to is not used.
    pub fn with_capacity(frame: impl Into<BodyFrame>, bytes: usize) -> BatchBody {
        BatchBody { bytes: Vec::with_capacity(bytes), ..BatchBody::new(frame) }
    }

    /// How many bytes it has room for.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Empties the body and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.events.clear();
        self.finished = false;
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The bytes that the body has, or will have, once it is finished.
    pub fn len(&self) -> usize {
        let closing = if self.finished || self.is_empty() {
            0
        } else {
            usize::from(self.frame.framing == Framing::Array) + self.frame.suffix.len()
        };
        self.bytes.len() + closing
    }

    /// In the order of the log.
    pub fn events(&self) -> &[EventAt] {
        &self.events
    }

    /// Events that stand for records of the log: all but stubs, whose lines are dead letters.
    pub fn records(&self) -> u64 {
        self.events.iter().filter(|event| !event.stub).count() as u64
    }

    /// The event that was pushed last.
    pub(super) fn last_event(&mut self) -> Option<&mut EventAt> {
        self.events.last_mut()
    }

    /// Whether no further event can fit, so that there is nothing to wait for.
    pub fn is_full(&self, fit: &BodyLimits) -> bool {
        self.events.len() >= fit.max_events.max(1) || self.len() >= fit.max_bytes && !self.is_empty()
    }

    /// Where the next event is to be written: nothing but appended, until [`BatchBody::end_event`]. `None` where there is no
    /// room for any; an empty body takes every event, however long.
    pub fn begin_event(&mut self, limits: &BodyLimits) -> Option<&mut Vec<u8>> {
        debug_assert!(!self.finished, "an event for a finished body");
        if self.is_full(limits) {
            return None;
        }
        self.begun_at = self.bytes.len();
        if self.is_empty() {
            self.bytes.extend_from_slice(self.frame.prefix.as_bytes());
        }
        match self.frame.framing {
            Framing::Array => self.bytes.push(if self.is_empty() { b'[' } else { b',' }),
            Framing::Lines | Framing::Single => {}
        }
        Some(&mut self.bytes)
    }

    /// The event was written. After [`Pushed::Full`] the body is as it was before it was begun.
    pub fn end_event(&mut self, limits: &BodyLimits, range: SegmentRange, stub: bool) -> Pushed {
        self.events.push(EventAt {
            range,
            continued: Box::default(),
            end: self.bytes.len(),
            stub,
            beside: Beside::default(),
        });
        if self.frame.framing == Framing::Lines {
            self.bytes.push(b'\n');
        }
        if self.events.len() > 1 && self.len() > limits.max_bytes {
            self.events.pop();
            self.bytes.truncate(self.begun_at);
            return Pushed::Full;
        }
        Pushed::In
    }

    /// Appends an event that is written already.
    pub fn push(&mut self, limits: &BodyLimits, range: SegmentRange, stub: bool, event: &[u8]) -> Pushed {
        match self.begin_event(limits) {
            Some(out) => out.extend_from_slice(event),
            None => return Pushed::Full,
        }
        self.end_event(limits, range, stub)
    }

    /// Closes the framing; the bytes are then what is sent. Once is enough, again does no harm.
    pub fn finish(&mut self) -> &[u8] {
        if !self.finished && !self.is_empty() {
            if self.frame.framing == Framing::Array {
                self.bytes.push(b']');
            }
            self.bytes.extend_from_slice(self.frame.suffix.as_bytes());
        }
        self.finished = true;
        &self.bytes
    }

    /// The finished body.
    pub fn bytes(&self) -> &[u8] {
        debug_assert!(self.finished, "the bytes of a body that is not finished");
        &self.bytes
    }

    /// The bytes of one event with its own wrapper, framing not included.
    pub fn event_bytes(&self, index: usize) -> &[u8] {
        let start = match (index.checked_sub(1), self.frame.framing) {
            (Some(before), Framing::Single) => self.events[before].end,
            // After the `\n` or the `,`.
            (Some(before), _) => self.events[before].end + 1,
            (None, Framing::Array) => self.frame.prefix.len() + 1,
            (None, _) => self.frame.prefix.len(),
        };
        &self.bytes[start..self.events[index].end]
    }

    /// About how many bytes the body of some of the events has: its own framing, beyond what stands between them, is
    /// not counted.
    pub fn len_of(&self, events: std::ops::Range<usize>) -> usize {
        let end = |index: usize| self.events.get(index).map_or(0, |event| event.end);
        let start = events.start.checked_sub(1).map_or(0, end);
        events.end.checked_sub(1).map_or(0, end).saturating_sub(start)
    }

    /// A finished body of some of the events, framed as if only these had been pushed.
    pub fn subset(&self, events: std::ops::Range<usize>) -> BatchBody {
        let mut part = BatchBody::new(self.frame.clone());
        for index in events {
            let event = &self.events[index];
            let pushed = part.push(&BodyLimits::NONE, event.range, event.stub, self.event_bytes(index));
            debug_assert_eq!(pushed, Pushed::In, "what was one body fits into one");
            if let Some(of_part) = part.last_event() {
                (of_part.continued, of_part.beside) = (event.continued.clone(), event.beside);
            }
        }
        part.finish();
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::SegmentId;

    const NO_LIMIT: BodyLimits = BodyLimits::NONE;

    fn range(index: usize) -> SegmentRange {
        let start = 100 * index as u64;
        SegmentRange { segment: SegmentId(1), start, end: start + 100 }
    }

    fn push(body: &mut BatchBody, fit: &BodyLimits, text: &str) -> Pushed {
        let range = range(body.events().len());
        body.push(fit, range, false, text.as_bytes())
    }

    fn enveloped(framing: Framing) -> BodyFrame {
        BodyFrame { framing, prefix: "{\"e\":".into(), suffix: "}!".into() }
    }

    fn body(frame: impl Into<BodyFrame>, events: &[&str]) -> BatchBody {
        let mut body = BatchBody::new(frame);
        for event in events {
            assert_eq!(push(&mut body, &NO_LIMIT, event), Pushed::In);
        }
        body
    }

    #[test]
    fn each_framing_frames_as_it_promises() {
        assert_eq!(body(Framing::Lines, &["1", "{}", "3"]).finish(), b"1\n{}\n3\n");
        assert_eq!(body(Framing::Array, &["1", "{}", "3"]).finish(), b"[1,{},3]");
        assert_eq!(body(Framing::Array, &["1"]).finish(), b"[1]");
        assert_eq!(body(Framing::Single, &["{\"a\":1}"]).finish(), b"{\"a\":1}");
    }

    #[test]
    fn an_envelope_stands_round_what_the_framing_makes() {
        assert_eq!(body(enveloped(Framing::Array), &["1", "2"]).finish(), br#"{"e":[1,2]}!"#);
        assert_eq!(body(enveloped(Framing::Lines), &["1", "2"]).finish(), b"{\"e\":1\n2\n}!");
        assert_eq!(body(enveloped(Framing::Single), &["1"]).finish(), br#"{"e":1}!"#);
        assert_eq!(body(enveloped(Framing::Array), &[]).finish(), b"");
    }

    #[test]
    fn a_length_is_that_of_the_finished_body_at_any_time() {
        let all = [Framing::Lines, Framing::Array, Framing::Single];
        for frame in all.map(BodyFrame::from).into_iter().chain(all.map(enveloped)) {
            let mut body = body(frame, &["12345"]);
            let before = body.len();
            assert_eq!((before, body.len()), (body.finish().len(), before));
            assert_eq!(body.finish().len(), before, "finishing twice is finishing once");
        }
        assert_eq!(BatchBody::new(Framing::Array).len(), 0);
    }

    #[test]
    fn a_single_takes_one_event_and_is_full() {
        let mut body = BatchBody::new(Framing::Single);
        let limits = BatchLimits { max_events: 7, max_bytes: 1000, max_age: std::time::Duration::ZERO };
        let fit = BodyLimits::new(&limits, Framing::Single, None);
        assert!(!body.is_full(&fit));
        assert_eq!(push(&mut body, &fit, "1"), Pushed::In);
        assert!(body.is_full(&fit));
        assert_eq!(push(&mut body, &fit, "2"), Pushed::Full);
        assert_eq!(body.finish(), b"1");
    }

    #[test]
    fn a_body_grows_to_its_limit_in_bytes_to_the_byte() {
        for (frame, exact) in [
            (Framing::Lines.into(), "12345\n67890\n"),
            (Framing::Array.into(), "[12345,67890]"),
            (enveloped(Framing::Array), "{\"e\":[12345,67890]}!"),
        ] {
            let fit = BodyLimits { max_bytes: exact.len(), ..NO_LIMIT };
            let mut grown = body(frame.clone(), &["12345"]);
            assert!(!grown.is_full(&fit));
            assert_eq!(push(&mut grown, &fit, "67890"), Pushed::In);
            assert!(grown.is_full(&fit));
            assert_eq!(grown.finish(), exact.as_bytes());

            let tighter = BodyLimits { max_bytes: exact.len() - 1, ..NO_LIMIT };
            let mut refused = body(frame.clone(), &["12345"]);
            assert_eq!(push(&mut refused, &tighter, "67890"), Pushed::Full);
            assert_eq!(refused.events().len(), 1);
            assert_eq!(refused.finish(), body(frame, &["12345"]).finish(), "a refused event leaves no trace");
        }
    }

    #[test]
    fn the_limit_in_events_holds() {
        let fit = BodyLimits { max_events: 2, ..NO_LIMIT };
        let mut body = body(Framing::Lines, &["1", "2"]);
        assert!(body.is_full(&fit));
        assert_eq!(push(&mut body, &fit, "3"), Pushed::Full);
        assert_eq!(body.finish(), b"1\n2\n");
    }

    #[test]
    fn an_event_above_the_limit_goes_alone() {
        let fit = BodyLimits { max_events: 10, max_bytes: 4 };
        for framing in [Framing::Lines, Framing::Array, Framing::Single] {
            let mut body = BatchBody::new(framing);
            assert_eq!(push(&mut body, &fit, "123456789"), Pushed::In);
            assert!(body.is_full(&fit));
            assert_eq!(push(&mut body, &fit, ""), Pushed::Full);
        }
    }

    #[test]
    fn the_lower_of_the_configured_and_the_learned_ceiling_holds() {
        let limits = BatchLimits { max_events: 7, max_bytes: 1000, max_age: std::time::Duration::from_secs(1) };
        assert_eq!(BodyLimits::new(&limits, Framing::Lines, None), BodyLimits { max_events: 7, max_bytes: 1000 });
        assert_eq!(BodyLimits::new(&limits, Framing::Array, Some(300)).max_bytes, 300);
        assert_eq!(BodyLimits::new(&limits, Framing::Array, Some(3000)).max_bytes, 1000);
    }

    #[test]
    fn every_part_of_a_body_is_framed_as_if_it_had_been_pushed_alone() {
        let events = ["one", "", "three", "4", "five"];
        let enveloped = [Framing::Lines, Framing::Array].map(enveloped);
        for frame in [Framing::Lines, Framing::Array].map(BodyFrame::from).into_iter().chain(enveloped) {
            let mut whole = body(frame.clone(), &events);
            whole.finish();
            for start in 0..events.len() {
                for end in start..=events.len() {
                    let part = whole.subset(start..end);
                    assert_eq!(part.bytes(), body(frame.clone(), &events[start..end]).finish());
                    for (index, event) in events[start..end].iter().enumerate() {
                        assert_eq!(whole.event_bytes(start + index), event.as_bytes());
                        assert_eq!(part.event_bytes(index), event.as_bytes());
                        assert_eq!(part.events()[index].range, range(start + index));
                    }
                }
            }
        }
    }

    #[test]
    fn a_cleared_body_is_a_new_one() {
        let mut body = body(Framing::Array, &["1", "2"]);
        body.finish();
        body.clear();
        assert!(body.is_empty() && body.finish().is_empty());
        body.clear();
        assert_eq!(body.push(&NO_LIMIT, range(0), true, b"9"), Pushed::In);
        assert!(body.events()[0].stub);
        assert_eq!(body.finish(), b"[9]");
    }
}
