//! What a webhook of the demo was sent, judged request by request.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::application::{Samples, number};
use crate::{
    cli::receive::{Delivery, ScriptedAnswer},
    config::Format,
};

/// What a webhook should be sent.
#[derive(Clone, Debug)]
pub(super) struct WantedEvents {
    pub format: Format,
    /// Types of events that the forwarder's rules keep back, as the events spell them.
    pub not: &'static [&'static str],
}

/// All that a webhook was sent. Every number in it was counted, none was told.
pub(super) struct ReceiverLedger {
    wanted: WantedEvents,
    samples: Samples,
    /// How often each event was accepted in a batch that had not been accepted before.
    seen: Vec<u8>,
    batches: HashMap<String, ReceivedBatch>,
    /// The highest number of each system so far.
    last: [Option<usize>; 4],
    expected: Vec<u8>,
    /// Event 0 as it arrived.
    pub example: Option<String>,
    pub facts: ArrivalCounts,
    pub last_accepted: Option<Instant>,
}

/// Counts, each of them of requests that arrived.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ArrivalCounts {
    /// Different events that were accepted.
    pub events: usize,
    /// Requests with an id that was seen before.
    pub retries: usize,
    /// Requests that were answered otherwise than 2xx.
    pub refused: usize,
    /// Bytes of accepted requests, as events and as they came.
    pub raw_bytes: u64,
    pub wire_bytes: u64,
    /// Events that came again in a batch whose id had been accepted.
    pub known_duplicates: usize,
    /// Batches that came again so.
    pub known_batches: usize,
    /// What must not be.
    pub faults: Faults,
}

/// What a promise forbids; all of it stays zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    /// Accepted events with other bytes than were written, or that are no events of the demo.
    pub altered: usize,
    /// Events that the rules keep back.
    pub uninvited: usize,
    /// Events that came behind a later one of the same system.
    pub disordered: usize,
    /// Events that came twice under different batch ids: a receiver cannot tell.
    pub unknown_duplicates: usize,
    /// Requests that came again under their id with other bytes.
    pub changed: usize,
}

struct ReceivedBatch {
    crc32: u32,
    accepted: bool,
}

impl ReceiverLedger {
    pub(super) fn new(wanted: WantedEvents) -> Self {
        Self {
            wanted,
            samples: Samples::new(),
            seen: Vec::new(),
            batches: HashMap::new(),
            last: [None; 4],
            expected: Vec::new(),
            example: None,
            facts: ArrivalCounts::default(),
            last_accepted: None,
        }
    }

    /// Whether the rules let event `n` pass.
    pub(super) fn wants(&self, n: usize) -> bool {
        !self.samples.is_one_of(n, self.wanted.not)
    }

    /// How many of the first `events` events should arrive and did not.
    pub(super) fn missing(&self, events: usize) -> usize {
        (0..events).filter(|n| self.seen.get(*n).is_none_or(|seen| *seen == 0) && self.wants(*n)).count()
    }

    /// Takes note of one request.
    pub(super) fn enter(&mut self, delivery: &Delivery) {
        let id = delivery.headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        let accepted = matches!(&delivery.answer, ScriptedAnswer::Status { status, .. } if status.is_success());
        let crc32 = crc32fast::hash(&delivery.body);
        let again = match self.batches.get_mut(id) {
            Some(batch) => {
                self.facts.retries += 1;
                self.facts.faults.changed += usize::from(batch.crc32 != crc32);
                let before = batch.accepted;
                batch.accepted |= accepted;
                before
            }
            None => {
                self.batches.insert(id.to_owned(), ReceivedBatch { crc32, accepted });
                false
            }
        };
        if !accepted {
            self.facts.refused += 1;
            return;
        }
        self.last_accepted = Some(Instant::now());
        self.facts.raw_bytes += delivery.body.len() as u64;
        self.facts.wire_bytes += delivery.wire_bytes as u64;
        if again {
            self.facts.known_batches += 1;
            self.facts.known_duplicates += delivery.events.len();
            return;
        }
        for event in &delivery.events {
            self.accept(event);
        }
    }

    fn accept(&mut self, event: &[u8]) {
        let Some(n) = number(event).filter(|n| self.is_as_written(*n, event)) else {
            self.facts.faults.altered += 1;
            return;
        };
        if !self.wants(n) {
            self.facts.faults.uninvited += 1;
        }
        if self.seen.len() <= n {
            self.seen.resize(n + 1, 0);
        }
        self.seen[n] = self.seen[n].saturating_add(1);
        if self.seen[n] > 1 {
            self.facts.faults.unknown_duplicates += 1;
            return;
        }
        self.facts.events += 1;
        if n == 0 {
            self.example = Some(String::from_utf8_lossy(event).into_owned());
        }
        let last = &mut self.last[self.samples.system(n)];
        if last.is_some_and(|last| last > n) {
            self.facts.faults.disordered += 1;
        }
        *last = Some(n);
    }

    fn is_as_written(&mut self, n: usize, event: &[u8]) -> bool {
        match self.wanted.format {
            Format::Json => {
                self.samples.write(n, &mut self.expected);
                self.expected == event
            }
            Format::Cef => event.starts_with(b"CEF:0|"),
        }
    }

    /// Between a moment and the last acceptance.
    pub(super) fn took_since(&self, start: Instant) -> Duration {
        self.last_accepted.map_or(Duration::ZERO, |end| end.saturating_duration_since(start))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use bytes::Bytes;
    use hyper::{HeaderMap, Method, StatusCode, Uri};
    use jiff::Timestamp;

    use super::*;

    fn delivery(id: &str, status: u16, events: &[usize]) -> Delivery {
        let samples = Samples::new();
        let event = |n: &usize| {
            let mut line = Vec::new();
            samples.write(*n, &mut line);
            Bytes::from(line)
        };
        let events: Vec<Bytes> = events.iter().map(event).collect();
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", id.parse().unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        Delivery {
            at: Timestamp::constant(0, 0),
            method: Method::POST,
            uri: Uri::from_static("/"),
            headers,
            wire_bytes: 10,
            body: events.concat().into(),
            events,
            duplicate: false,
            answer: ScriptedAnswer::Status { status, retry_after: None, why: None },
        }
    }

    fn ledger() -> ReceiverLedger {
        ReceiverLedger::new(WantedEvents { format: Format::Json, not: &["login"] })
    }

    #[test]
    fn what_a_receiver_can_recognise_is_told_from_what_it_cannot() {
        let mut ledger = ledger();
        ledger.enter(&delivery("a", 503, &[0, 1]));
        ledger.enter(&delivery("a", 200, &[0, 1]));
        ledger.enter(&delivery("a", 200, &[0, 1]));
        assert_eq!(ledger.facts.faults, Faults::default());
        assert_eq!((ledger.facts.retries, ledger.facts.refused), (2, 1));
        assert_eq!((ledger.facts.events, ledger.facts.known_batches, ledger.facts.known_duplicates), (2, 1, 2));
        assert_eq!((ledger.missing(2), ledger.missing(4)), (0, 2));
        ledger.enter(&delivery("b", 200, &[1, 2]));
        assert_eq!(ledger.facts.faults.unknown_duplicates, 1);
        ledger.enter(&delivery("b", 200, &[1, 3]));
        assert_eq!(ledger.facts.faults.changed, 1);
    }

    #[test]
    fn what_must_not_be_is_counted() {
        let mut ledger = ledger();
        let login = (0..49).find(|n| !ledger.wants(*n)).unwrap();
        ledger.enter(&delivery("a", 200, &[1, 0, login]));
        let mut altered = delivery("b", 200, &[2]);
        altered.events[0] = Bytes::from([b" ", altered.events[0].as_ref()].concat());
        ledger.enter(&altered);
        assert_eq!(
            ledger.facts.faults,
            Faults { altered: 1, uninvited: 1, disordered: 1, unknown_duplicates: 0, changed: 0 }
        );
        assert_eq!(ledger.missing(3), 1, "what was altered has not arrived");
    }
}
