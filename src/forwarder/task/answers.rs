//! Sending a batch, and what becomes of it.

use std::time::Instant;

use jiff::Timestamp;
use tracing::Level;

use super::{ForwarderTask, LandedRequest};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    forwarder::{
        batch::{InFlightBatch, new_id},
        dead_letter::Reason,
        deliver::{
            Act, Answer, Attempt, EventRefusal, Fate, HoldReason, Notice, ReceiverState, Request, Ruling, judge,
        },
        journal::{BatchParent, Outcome},
        stats::{FilteredCounts, ForwarderState, Tally},
    },
};

impl ForwarderTask {
    pub(super) fn launch(&mut self, index: usize) {
        let batch = &mut self.window[index];
        batch.flying = true;
        batch.attempts += 1;
        let (n, id, attempt) = (batch.n, batch.id.clone(), batch.attempts);
        let (events, body) = (batch.body.events().len(), batch.wire.clone());
        let origin = batch.origin.clone();
        let compressed = self.config.compression != crate::config::Compression::None;
        let webhook = self.webhook.clone();
        self.flights.spawn(async move {
            let begun = Instant::now();
            let request =
                Request { batch_id: &id, number: n, events, attempt, body, compressed, origin: origin.as_deref() };
            let answer = webhook.send(request).await;
            LandedRequest { n, begun, answer }
        });
    }

    pub(super) fn on_answer(&mut self, landing: LandedRequest) {
        let LandedRequest { n, begun, answer } = landing;
        let now = Instant::now();
        self.stats.request(&answer.label(), now - begun);
        let Some(index) = self.window.iter().position(|batch| batch.n == n) else { return };
        self.window[index].flying = false;
        let verdict = judge(&answer, &self.config.responses);
        let (act, notice) = self.health.on_answer(Attempt { batch: n, begun }, verdict, &answer, now);
        tracing::debug!(forwarder = self.config.name, batch = n, attempt = self.window[index].attempts, %answer, ?act, "answered");
        if act != Act::Settle || matches!(answer, Answer::Items { .. }) {
            self.stats.failed(&answer, Timestamp::now());
        }
        match (act, &answer) {
            (Act::Settle | Act::Narrow, Answer::Items { fates, .. }) => {
                if self.window[index].split_by(fates) {
                    self.next_part(index);
                    self.settle_what_is_known();
                }
            }
            (act, _) => self.carry_out(act, index, &answer, now),
        }
        self.health.set_narrowing(self.window.iter().any(|batch| batch.split.is_some()));
        self.show_receiver_state(notice);
    }

    fn carry_out(&mut self, act: Act, index: usize, answer: &Answer, now: Instant) {
        match act {
            Act::Settle => self.delivered(index, answer.code()),
            Act::Keep | Act::AgainAtOnce => {}
            Act::Halve { said } => {
                if said {
                    let bytes = self.window[index].digest.len;
                    self.ceiling.refused(usize::try_from(bytes).unwrap_or(usize::MAX));
                }
                if self.window[index].split() {
                    self.next_part(index);
                } else if said {
                    self.refused(index, Reason::TooLarge, answer, now);
                }
            }
            Act::Narrow => {
                if self.window[index].split() {
                    self.next_part(index);
                } else {
                    self.refused(index, Reason::Refused, answer, now);
                }
            }
        }
    }

    /// Settles the parts whose fate the receiver told when they were in a larger batch, without sending them.
    pub(super) fn settle_what_is_known(&mut self) {
        let known = |batch: &InFlightBatch| batch.fate().cloned();
        while let Some((index, fate)) =
            self.window.iter().enumerate().find_map(|(index, batch)| Some((index, known(batch)?)))
        {
            let Fate::Refused { status, cause } = fate else {
                self.delivered(index, Some(200));
                continue;
            };
            let n = self.window[index].n;
            let answer = Answer::Status { code: status, retry_after: None, excerpt: cause, premature: false };
            self.refused(index, Reason::Refused, &answer, Instant::now());
            if let Some(batch) = self.window.iter_mut().find(|batch| batch.n == n && batch.refusal.is_none()) {
                // It is held: the receiver is asked again.
                batch.forget_refusals();
            }
            if self.window.iter().any(|batch| batch.refusal.is_some()) {
                return;
            }
        }
    }

    fn delivered(&mut self, index: usize, status: Option<u16>) {
        let (n, events, bytes, source) = {
            let batch = &self.window[index];
            (batch.n, batch.covers.events, batch.digest.len, batch.source.clone())
        };
        self.guard.delivered(usize::try_from(events).unwrap_or(usize::MAX));
        self.ceiling.delivered(usize::try_from(bytes).unwrap_or(usize::MAX));
        tokio::task::block_in_place(|| self.recorder.settle(n, Outcome::Delivered, status));
        let mut tally = Tally::default();
        tally.delivered(events);
        self.stats.enter(&source, &tally);
        self.stats.succeeded(Timestamp::now());
        self.settled(index);
    }

    /// A single event was refused: to the dead letters, unless nearly everything is.
    fn refused(&mut self, index: usize, reason: Reason, answer: &Answer, now: Instant) {
        match self.guard.refused() {
            Ruling::DeadLetter => {
                let excerpt = match answer {
                    Answer::Status { excerpt, .. } | Answer::Items { excerpt, .. } => excerpt.clone(),
                    Answer::Failed { text, .. } => text.clone(),
                };
                self.window[index].refusal = Some(EventRefusal { reason, status: answer.code(), excerpt });
                self.dead_letter_refused_events();
            }
            Ruling::Hold => {
                let cause = format!("{answer}: nearly every event is refused, even alone");
                let notice = self.health.hold(HoldReason::Systemic, cause, now);
                self.show_receiver_state(notice);
            }
        }
    }

    /// Makes dead letters of the events that were refused. False where they cannot be written: the events stay in
    /// the window until they can be.
    pub(super) fn dead_letter_refused_events(&mut self) -> bool {
        while let Some(index) = self.window.iter().position(|batch| batch.refusal.is_some()) {
            let batch = &self.window[index];
            let (Some(event), Some(refusal)) = (batch.only_event(), batch.refusal.clone()) else { return true };
            let (n, body, source) = (batch.n, batch.body.clone(), batch.source.clone());
            let (recorder, log) = (self.recorder.clone(), self.log(&source));
            let written = tokio::task::block_in_place(|| {
                // A stub's line is in the dead letters already.
                if !event.stub {
                    recorder.dead_letter_refused(&log, &event, body.event_bytes(0), &refusal)?;
                }
                recorder.settle(n, Outcome::DeadLettered, refusal.status);
                Ok::<(), std::io::Error>(())
            });
            if let Err(error) = written {
                self.dead_letters_failed(&error);
                return false;
            }
            self.window[index].refusal = None;
            self.dead_letters_written(&source, &FilteredCounts::default(), u64::from(!event.stub));
            self.settled(index);
        }
        true
    }

    /// What was sent is settled: on to the next part, or out of the window.
    fn settled(&mut self, index: usize) {
        self.progressed();
        match &mut self.window[index].split {
            Some(split) => {
                split.settle();
                self.next_part(index);
            }
            None => {
                let batch = self.window.remove(index);
                self.bodies.give(batch.body);
            }
        }
    }

    /// The next part of a batch that goes in parts takes its place in the window, under an id of its own.
    pub(super) fn next_part(&mut self, index: usize) {
        let hopeless = self.ceiling.hopeless();
        let Some(part) = self.window[index].next_part(hopeless) else {
            self.window.remove(index);
            return;
        };
        let (n, id, of) = (self.next_number, new_id(), part.of);
        self.next_number += 1;
        let batch = &mut self.window[index];
        tokio::task::block_in_place(|| {
            let wire = self.compressors.compress(part.body.bytes());
            batch.send_part(n, id, part, wire);
            let coding = self.compressors.coding();
            self.recorder.record_intent(batch.intent(Some(BatchParent::PartOf(of)), coding));
        });
    }

    /// Shows and logs a change of state. The state itself shows last: who sees it finds the alarm and the line.
    pub(super) fn show_receiver_state(&mut self, notice: Option<Notice>) {
        let now = Timestamp::now();
        self.record_hold();
        let cause = self.health.cause();
        let subject = AlarmSubject::forwarder(&self.config.name);
        if self.health.hold_reason().is_some() {
            self.alarms.raise(&subject, AlarmKind::Held, cause, now);
        } else {
            self.alarms.clear(&subject, AlarmKind::Held);
        }
        if let Some(notice) = notice {
            let forwarder = &self.config.name;
            match notice.level() {
                Level::ERROR => tracing::error!(forwarder, "{notice}"),
                Level::WARN => tracing::warn!(forwarder, "{notice}"),
                _ => tracing::info!(forwarder, "{notice}"),
            }
        }
        let state = match self.health.state() {
            ReceiverState::Ready => ForwarderState::Ready,
            ReceiverState::BackingOff => ForwarderState::BackingOff,
            ReceiverState::Open => ForwarderState::Open,
            ReceiverState::Held => ForwarderState::Held,
            ReceiverState::Narrowing => ForwarderState::Narrowing,
        };
        self.stats.set_state(state, (!cause.is_empty()).then(|| cause.to_owned()), now);
    }

    /// Writes down that the receiver refuses us, or that it does no longer.
    fn record_hold(&mut self) {
        let reason = self.health.hold_reason();
        if reason == self.recorded_hold {
            return;
        }
        self.recorded_hold = reason;
        tokio::task::block_in_place(|| match reason {
            Some(reason) => self.recorder.held(reason.label(), self.health.cause()),
            None => self.recorder.hold_ended(),
        });
    }
}
