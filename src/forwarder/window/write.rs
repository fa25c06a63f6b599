//! What is being written down, and what follows once it is.

use std::{io, sync::Arc, time::Instant};

use super::{PAUSE, Window, WindowAlarm, WindowEffect, WriteId};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    forwarder::{
        batch::{FlightStage, InFlightBatch},
        recorder::RecorderWrite,
        stats::{FilteredCounts, GapCause, Tally},
    },
    log::LostRange,
};

#[derive(Debug)]
pub(super) struct PendingWrite {
    pub(super) id: WriteId,
    pub(super) since: Instant,
    pub(super) then: AfterWrite,
}

/// What follows from a write.
#[derive(Debug)]
pub(super) enum AfterWrite {
    /// The journal knows the first of the queue, which is this batch: it is admitted.
    Admit(Box<InFlightBatch>),
    /// The journal is past the first of the queue, which has nothing to deliver.
    PassOver,
    /// Everything up to a segment is given up, which is what the first of the queue is: a source waits for it.
    Detach {
        source: Arc<str>,
        gap: u64,
    },
    /// These bytes are lost.
    CountGap {
        source: Arc<str>,
        cause: GapCause,
        ranges: Vec<LostRange>,
    },
    /// The dead letters are durable of the batch that was read again: it may be taken up.
    TakeUp,
    /// The journal knows batch `n`, which did not come from the queue: it may be sent.
    Send {
        n: u64,
    },
    /// Events were delivered.
    CountDelivered {
        source: Arc<str>,
        events: u64,
    },
    /// The refused event of batch `n` is a dead letter.
    CountDeadLetter {
        n: u64,
    },
    /// Something that needs no delivery is settled.
    Progress,
    Nothing,
}

impl Window {
    pub(super) fn write(&mut self, writes: Vec<RecorderWrite>, then: AfterWrite) {
        let id = self.next_write;
        self.next_write = WriteId(id.0 + 1);
        self.pending.push_back(PendingWrite { id, since: self.now, then });
        self.effects.push(WindowEffect::Write(id, writes));
    }

    pub(super) fn on_written(&mut self, id: WriteId, result: io::Result<()>) {
        debug_assert_eq!(self.pending.front().map(|first| first.id), Some(id), "writes are done in their order");
        let Some(PendingWrite { then, .. }) = self.pending.pop_front() else { return };
        self.last_written = self.now;
        match (then, result) {
            (AfterWrite::Admit(batch), Ok(())) => self.on_admitted(*batch),
            (AfterWrite::PassOver, Ok(())) => self.on_passed_over(),
            (AfterWrite::Admit(_) | AfterWrite::PassOver, Err(error)) => {
                (self.is_admitting, self.was_refused_by_disk) = (false, true);
                self.letters_failed(&error);
            }
            (AfterWrite::Detach { source, gap }, _) => {
                if gap > 0 {
                    let mut tally = Tally::default();
                    tally.gap(GapCause::Detached, gap, false);
                    self.count(source, tally);
                }
                self.on_passed_over();
                self.effects.push(WindowEffect::Sync);
            }
            (AfterWrite::CountGap { source, cause, ranges }, _) => {
                self.count_gap(source, cause, &ranges);
                self.progressed();
            }
            (AfterWrite::CountDeadLetter { n }, result) => self.on_dead_letter(n, result),
            (AfterWrite::TakeUp, result) => self.on_missing_letters(result),
            (AfterWrite::Send { n }, _) => {
                if let Some(batch) = self.batches.iter_mut().find(|batch| batch.n == n) {
                    batch.stage = FlightStage::Waiting;
                }
            }
            (AfterWrite::CountDelivered { source, events }, _) => {
                let mut tally = Tally::default();
                tally.delivered(events);
                self.count(source, tally);
                self.effects.push(WindowEffect::Succeeded);
                self.progressed();
            }
            (AfterWrite::Progress, _) => self.progressed(),
            (AfterWrite::Nothing, _) => {}
        }
    }

    pub(super) fn count(&mut self, source: Arc<str>, tally: Tally) {
        self.count_filtered(source, tally, FilteredCounts::default());
    }

    pub(super) fn count_filtered(&mut self, source: Arc<str>, tally: Tally, filtered: FilteredCounts) {
        self.effects.push(WindowEffect::Count { source, tally, filtered });
    }

    /// Each as one gap.
    pub(super) fn count_gap(&mut self, source: Arc<str>, cause: GapCause, ranges: &[LostRange]) {
        let mut tally = Tally::default();
        for lost in ranges {
            tally.gap(cause, lost.known_bytes(), lost.is_unknown);
        }
        self.count(source, tally);
    }

    /// Dead letters can be written.
    pub(super) fn letters_written(&mut self) {
        self.clear(AlarmSubject::dead_letters(&self.config.name), AlarmKind::State);
    }

    pub(super) fn letters_failed(&mut self, error: &io::Error) {
        self.letters_after = Some(self.now + PAUSE);
        self.raise(WindowAlarm::DeadLetters { error: error.to_string() });
    }
}
