//! What becomes of a batch that was sent, by what came back.

use std::{io, time::Instant};

use super::{Transmission, Window, WindowAlarm, WindowEffect, WindowNotice, write::AfterWrite};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    forwarder::{
        batch::{FlightStage, InFlightBatch, SplitBatch},
        dead_letter::Reason,
        journal::{BatchParent, Outcome},
        judge::{Act, Answer, Attempt, EventRefusal, Fate, HoldReason, Notice, Ruling, judge},
        recorder::RecorderWrite,
        stats::Tally,
    },
};

impl Window {
    pub(super) fn transmit(&mut self, index: usize) {
        let batch = &mut self.batches[index];
        let Some(wire) = batch.wire.clone() else { return };
        batch.stage = FlightStage::Flying;
        batch.attempts += 1;
        self.effects.push(WindowEffect::Send(Transmission {
            n: batch.n,
            id: batch.id.clone(),
            attempt: batch.attempts,
            events: batch.body.events().len(),
            wire,
            origin: batch.origin.clone(),
        }));
    }

    pub(super) fn on_answer(&mut self, n: u64, begun: Instant, answer: &Answer) {
        let Some(index) = self.batches.iter().position(|batch| batch.n == n && batch.is_flying()) else { return };
        self.batches[index].stage = FlightStage::Waiting;
        let verdict = judge(answer, &self.config.responses);
        let (act, notice) = self.health.on_answer(Attempt { batch: n, begun }, verdict, answer, self.now);
        self.log_receiver(notice);
        if act != Act::Settle || matches!(answer, Answer::Items { .. }) {
            self.effects.push(WindowEffect::Failed(answer.to_string()));
        }
        match (act, answer) {
            (Act::Settle | Act::Narrow, Answer::Items { fates, .. }) => {
                if self.batches[index].split_by(fates) {
                    self.next_part(index);
                } else {
                    // To send it again at once would be to do so for ever.
                    let cause = format!("{answer}: these are not the events that were sent");
                    let notice = self.health.hold(HoldReason::Protocol, cause, self.now);
                    self.log_receiver(notice);
                }
            }
            (Act::Settle, _) => self.delivered(index, answer.code()),
            (Act::Keep | Act::AgainAtOnce, _) => {}
            (Act::Halve { said }, _) => {
                if said {
                    let bytes = self.batches[index].digest.len;
                    self.ceiling.refused(usize::try_from(bytes).unwrap_or(usize::MAX));
                }
                if self.batches[index].split() {
                    self.next_part(index);
                } else if said {
                    self.refused(index, Reason::TooLarge, answer);
                }
            }
            (Act::Narrow, _) => {
                if self.batches[index].split() {
                    self.next_part(index);
                } else {
                    self.refused(index, Reason::Refused, answer);
                }
            }
        }
    }

    /// Takes the events for refused that the receiver refused when they were in a larger batch, without sending them.
    pub(super) fn refuse_what_is_known(&mut self) {
        let refusal = |batch: &InFlightBatch| match batch.fate() {
            Some(Fate::Refused { status, cause }) if matches!(batch.stage, FlightStage::Waiting) => {
                Some((*status, cause.clone()))
            }
            _ => None,
        };
        while let Some((index, (status, cause))) =
            self.batches.iter().enumerate().find_map(|(index, batch)| Some((index, refusal(batch)?)))
        {
            let answer = Answer::Status { code: status, retry_after: None, excerpt: cause, premature: false };
            self.refused(index, Reason::Refused, &answer);
            if matches!(self.batches[index].stage, FlightStage::Waiting) {
                // It is held: the receiver is asked again.
                self.batches[index].forget_refusals();
                self.compress(index);
            }
        }
    }

    /// The receiver has it: on to the next part, or out of the window.
    fn delivered(&mut self, index: usize, status: Option<u16>) {
        self.settle_delivered(index, None, status);
        self.leave(index);
    }

    /// Has it written down that the receiver has a batch; `announced` before, where that is not written. Its events count
    /// once this is.
    fn settle_delivered(&mut self, index: usize, announced: Option<RecorderWrite>, status: Option<u16>) {
        let batch = &self.batches[index];
        let (n, events, bytes, source) = (batch.n, batch.covers.events, batch.digest.len, batch.source.clone());
        self.breaker.delivered(usize::try_from(events).unwrap_or(usize::MAX));
        self.ceiling.delivered(usize::try_from(bytes).unwrap_or(usize::MAX));
        let settle = RecorderWrite::Settle { n, outcome: Outcome::Delivered, status };
        let writes = announced.into_iter().chain([settle]).collect();
        self.write(writes, AfterWrite::CountDelivered { source, events });
    }

    /// A single event was refused: to the dead letters, unless nearly everything is.
    fn refused(&mut self, index: usize, reason: Reason, answer: &Answer) {
        match self.breaker.refused() {
            Ruling::DeadLetter => {
                let excerpt = match answer {
                    Answer::Status { excerpt, .. } | Answer::Items { excerpt, .. } => excerpt.clone(),
                    Answer::Failed { text, .. } => text.clone(),
                };
                let refusal = EventRefusal { reason, status: answer.code(), excerpt };
                self.batches[index].stage = FlightStage::Refused { refusal, is_being_written: false };
                self.dead_letter_refused_events();
            }
            Ruling::Hold => {
                let cause = format!("{answer}: nearly every event is refused, even alone");
                let notice = self.health.hold(HoldReason::Systemic, cause, self.now);
                self.log_receiver(notice);
            }
        }
    }

    /// Has dead letters made of the events that were refused. Where they cannot be written, the events stay until they
    /// can be.
    pub(super) fn dead_letter_refused_events(&mut self) {
        if self.letters_after.is_some() {
            return;
        }
        for index in 0..self.batches.len() {
            let batch = &mut self.batches[index];
            let Some(event) = batch.only_event() else { continue };
            let FlightStage::Refused { refusal, is_being_written } = &mut batch.stage else { continue };
            if std::mem::replace(is_being_written, true) {
                continue;
            }
            let (n, source, body, refusal) = (batch.n, batch.source.clone(), batch.body.clone(), refusal.clone());
            let settle = RecorderWrite::Settle { n, outcome: Outcome::DeadLettered, status: refusal.status };
            // A stub's line is in the dead letters already.
            let letter = (!event.stub).then_some(RecorderWrite::RefusedEvent { source, event, body, refusal });
            self.write(letter.into_iter().chain([settle]).collect(), AfterWrite::CountDeadLetter { n });
        }
    }

    pub(super) fn on_dead_letter(&mut self, n: u64, result: io::Result<()>) {
        let Some(index) = self.batches.iter().position(|batch| batch.n == n) else { return };
        let batch = &mut self.batches[index];
        match result {
            Ok(()) => {
                let mut tally = Tally::default();
                tally.dead_lettered(batch.covers.events);
                let source = batch.source.clone();
                self.count(source, tally);
                self.letters_written();
                self.progressed();
                self.leave(index);
            }
            Err(error) => {
                if let FlightStage::Refused { is_being_written, .. } = &mut batch.stage {
                    *is_being_written = false;
                }
                self.letters_failed(&error);
            }
        }
    }

    /// What was sent is settled: on to the next part, or out of the window.
    fn leave(&mut self, index: usize) {
        match &mut self.batches[index].split {
            Some(split) => {
                split.settle();
                self.next_part(index);
            }
            None => {
                let batch = self.batches.remove(index);
                self.effects.push(WindowEffect::Recycle(batch.body));
            }
        }
    }

    /// The next part of a batch that goes in parts takes its place, under an id of its own. What the receiver took when it
    /// was in a larger batch is settled and not sent.
    pub(super) fn next_part(&mut self, index: usize) {
        loop {
            let hopeless = self.ceiling.hopeless();
            let Some(part) = self.batches[index].next_part(hopeless) else {
                self.batches.remove(index);
                return;
            };
            let (n, id, of) = (self.take_number(), self.new_id(), part.of);
            let coding = self.coding();
            let batch = &mut self.batches[index];
            batch.take_part(n, id, part);
            let intent = RecorderWrite::Intent(batch.intent(Some(BatchParent::PartOf(of)), coding));
            if batch.fate() == Some(&Fate::Delivered) {
                self.settle_delivered(index, Some(intent), Some(200));
                self.batches[index].split.iter_mut().for_each(SplitBatch::settle);
                continue;
            }
            self.write(vec![intent], AfterWrite::Send { n });
            if self.batches[index].fate().is_none() {
                self.compress(index);
            }
            return;
        }
    }

    fn compress(&mut self, index: usize) {
        let InFlightBatch { n, body, .. } = &self.batches[index];
        self.effects.push(WindowEffect::Compress { n: *n, body: body.clone() });
    }

    fn log_receiver(&mut self, notice: Option<Notice>) {
        self.effects.extend(notice.map(|notice| WindowEffect::Log(WindowNotice::Receiver(notice))));
    }

    /// Shows a change of state. The state itself shows last: who sees it finds the alarm and the line.
    pub(super) fn show_receiver_state(&mut self) {
        self.record_hold();
        self.health.set_narrowing(self.batches.iter().any(|batch| batch.split.is_some()));
        let state = self.health.state();
        let shown = (state, self.health.cause().to_owned());
        let is_new = self.shown.as_ref() != Some(&shown);
        if self.health.hold_reason().is_none() {
            self.clear(AlarmSubject::forwarder(&self.config.name), AlarmKind::Held);
        } else if is_new {
            self.raise(WindowAlarm::Held { cause: shown.1.clone() });
        }
        if is_new {
            let cause = Some(shown.1.clone()).filter(|cause| !cause.is_empty());
            self.effects.push(WindowEffect::Show(state, cause));
            self.shown = Some(shown);
        }
    }

    /// Writes down that the receiver refuses us, or that it does no longer.
    fn record_hold(&mut self) {
        let reason = self.health.hold_reason();
        if reason == self.recorded_hold {
            return;
        }
        self.recorded_hold = reason;
        let write = match reason {
            Some(reason) => RecorderWrite::Hold { reason: reason.label(), cause: self.health.cause().to_owned() },
            None => RecorderWrite::HoldEnd,
        };
        self.write(vec![write], AfterWrite::Nothing);
    }
}
