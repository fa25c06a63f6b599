//! From the queue to the batches: in order, one at a time, each once what must be durable before it is.

use bytes::Bytes;

use super::{Arrival, Window, WindowEffect, write::AfterWrite};
use crate::forwarder::{
    batch::{FlightStage, InFlightBatch, SealedBatch},
    journal::Coverage,
    recorder::RecorderWrite,
    stats::{GapCause, Tally},
};
use crate::log::LostRange;

impl Window {
    /// Has the first of the queue written down, where it may be admitted. It stays the first until that is done.
    pub(super) fn admit(&mut self) {
        let is_refusing = self.batches.iter().any(|batch| matches!(batch.stage, FlightStage::Refused { .. }));
        if self.is_admitting || is_refusing || self.letters_after.is_some() {
            return;
        }
        let has_slot = self.batches.len() < self.config.in_flight || self.has_gap_queued();
        let (writes, then) = match self.queue.front() {
            None => return,
            Some(Arrival::Batch(sealed)) if sealed.has_events() && !has_slot => return,
            Some(Arrival::Batch(sealed)) if sealed.has_events() => {
                let (letters, sealed) = (self.letters(sealed), sealed.clone());
                let batch = InFlightBatch::new(self.take_number(), self.new_id(), sealed);
                let intent = RecorderWrite::Intent(batch.intent(None, self.coding()));
                (letters.chain([intent]).collect(), AfterWrite::Admit(Box::new(batch)))
            }
            Some(Arrival::Batch(sealed)) => {
                let (source, span, covers) = (sealed.source.clone(), sealed.span.clone(), sealed.coverage());
                let advance = RecorderWrite::Advance { source, span, covers };
                (self.letters(sealed).chain([advance]).collect(), AfterWrite::PassOver)
            }
            Some(Arrival::Gap(source, lost)) => {
                let reason = match cause_of(*lost) {
                    GapCause::Vanished => {
                        "the file vanished while it was not held open: before auditpost was started, or for want of descriptors"
                    }
                    _ => "the file was truncated, rewritten or deleted before it was read",
                };
                let (source, ranges, reason) = (source.clone(), vec![*lost], reason.to_owned());
                (vec![RecorderWrite::Gap { source, ranges, events: 0, reason }], AfterWrite::PassOver)
            }
            Some(Arrival::Detach(detachment)) if self.restart.is_taking_up(&detachment.source) => return,
            Some(Arrival::Detach(_)) => self.record_detachment(),
        };
        self.is_admitting = true;
        self.write(writes, then);
    }

    /// The journal knows the first of the queue, which is this batch: it may be sent.
    pub(super) fn on_admitted(&mut self, batch: InFlightBatch) {
        (self.is_admitting, self.was_refused_by_disk) = (false, false);
        let Some(Arrival::Batch(sealed)) = self.queue.pop_front() else { return };
        self.settle_beside(&sealed, Coverage::default());
        self.effects.push(WindowEffect::CountBatch {
            events: batch.body.events().len(),
            raw_bytes: batch.body.len(),
            wire_bytes: batch.wire.as_ref().map_or(0, Bytes::len),
        });
        self.batches.push(InFlightBatch { stage: FlightStage::Waiting, ..batch });
    }

    /// The journal is past the first of the queue, which has nothing to deliver.
    pub(super) fn on_passed_over(&mut self) {
        (self.is_admitting, self.was_refused_by_disk) = (false, false);
        match self.queue.pop_front() {
            Some(Arrival::Batch(sealed)) => {
                self.settle_beside(&sealed, Coverage::default());
                self.effects.push(WindowEffect::Recycle(sealed.body));
            }
            Some(Arrival::Gap(source, lost)) => self.count_gap(source, cause_of(lost), &[lost]),
            Some(Arrival::Detach(_)) | None => {}
        }
        self.progressed();
    }

    /// Counts what a batch covers beside its events. Its dead letters are written.
    /// `before`: what the books have of it already.
    pub(super) fn settle_beside(&mut self, sealed: &SealedBatch, before: Coverage) {
        let mut tally = Tally::default();
        tally.dead_lettered(sealed.rejected.len() as u64 - before.dead_lettered);
        let filtered = sealed.filtered.without(before.filtered);
        self.count_filtered(sealed.source.clone(), tally, filtered);
        self.letters_written();
    }

    /// Which lines of the first can never be delivered, to be written before it is announced. After a failure some of
    /// them may be written already: a line that is too long goes by itself.
    fn letters(&self, sealed: &SealedBatch) -> impl Iterator<Item = RecorderWrite> + use<> {
        let (source, lines) = (sealed.source.clone(), sealed.rejected.clone());
        let has_letters = !lines.is_empty();
        let write = if self.was_refused_by_disk {
            RecorderWrite::MissingDeadLetters { source, lines }
        } else {
            RecorderWrite::DeadLetters { source, lines }
        };
        has_letters.then_some(write).into_iter()
    }
}

/// Why what a file had is gone.
fn cause_of(lost: LostRange) -> GapCause {
    if lost.is_unknown { GapCause::Vanished } else { GapCause::Truncated }
}
