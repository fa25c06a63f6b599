//! After a restart: the batches that were not settled are sent again, as they were.

use std::{collections::VecDeque, io, time::Instant};

use super::{PAUSE, Window, WindowAlarm, WindowEffect, WindowNotice, write::AfterWrite};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    config::Framing,
    forwarder::{
        batch::{FlightStage, InFlightBatch, SealedBatch},
        journal::{BatchParent, BatchRecord, Coverage, Outcome},
        recorder::RecorderWrite,
        stats::{GapCause, Tally},
    },
    log::{LostRange, Unread},
};

/// What a restart left to be sent again, one batch at a time, before anything new is read.
#[derive(Debug)]
pub(super) struct Restart {
    /// Every log was scanned, so that the files are known.
    may_begin: bool,
    /// The books have what an earlier task of this process counted.
    is_counted: bool,
    /// Those that are not taken up, in the log's order.
    pub(super) outstanding: VecDeque<BatchRecord>,
    taking_up: TakingUp,
    /// The one that is being taken up is left alone until then: it could not be read, or written down.
    after: Option<Instant>,
}

/// The batch that is being taken up.
#[derive(Debug)]
enum TakingUp {
    None,
    BeingRead(BatchRecord),
    /// It was read. Some of its lines are dead letters that may not be written.
    Read {
        record: BatchRecord,
        sealed: SealedBatch,
        is_being_written: bool,
    },
}

impl Restart {
    pub(super) fn new(outstanding: Vec<BatchRecord>, is_counted: bool) -> Self {
        Self { may_begin: false, is_counted, outstanding: outstanding.into(), taking_up: TakingUp::None, after: None }
    }

    /// Of what is beside the events of a batch that was read again, what the books have already: its events they have as
    /// not settled.
    fn counted_before(&self, record: &BatchRecord, sealed: &SealedBatch) -> Coverage {
        if !self.is_counted || !record.counted {
            return Coverage::default();
        }
        let Coverage { filtered, dead_lettered, .. } = sealed.coverage();
        Coverage {
            events: 0,
            dead_lettered: dead_lettered.min(record.covers.dead_lettered),
            filtered: filtered.min(record.covers.filtered),
        }
    }

    pub(super) fn begin(&mut self) {
        self.may_begin = true;
    }

    pub(super) fn is_over(&self) -> bool {
        self.outstanding.is_empty() && matches!(self.taking_up, TakingUp::None)
    }

    /// Whether a batch of this source is being read, or is in memory and not taken up.
    pub(super) fn is_taking_up(&self, source: &str) -> bool {
        match &self.taking_up {
            TakingUp::None => false,
            TakingUp::BeingRead(record) | TakingUp::Read { record, .. } => record.source == source,
        }
    }

    pub(super) fn paused_until(&self) -> Option<Instant> {
        self.after
    }
}

impl Window {
    /// Takes up the next batch. Waits for the first scan, which finds the files.
    pub(super) fn resume(&mut self) {
        if self.restart.after.is_some_and(|after| self.now < after) {
            return;
        }
        self.restart.after = None;
        match &mut self.restart.taking_up {
            TakingUp::None if self.restart.may_begin => self.read_next_again(),
            TakingUp::Read { sealed, is_being_written, .. } if !*is_being_written => {
                let (source, lines) = (sealed.source.clone(), sealed.rejected.clone());
                *is_being_written = true;
                self.write(vec![RecorderWrite::MissingDeadLetters { source, lines }], AfterWrite::TakeUp);
            }
            TakingUp::None | TakingUp::BeingRead(_) | TakingUp::Read { .. } => {}
        }
    }

    fn read_next_again(&mut self) {
        while self.batches.len() < self.config.in_flight {
            let Some(record) = self.restart.outstanding.pop_front() else { return };
            if self.sources.iter().any(|source| **source == *record.source) {
                self.effects.push(WindowEffect::ReadAgain(record.clone()));
                self.restart.taking_up = TakingUp::BeingRead(record);
                return;
            }
            let notice = WindowNotice::Unfollowed { n: record.n, source: record.source };
            self.effects.push(WindowEffect::Log(notice));
        }
    }

    pub(super) fn on_read_again(&mut self, read: Result<(SealedBatch, Tally), Unread>) {
        let TakingUp::BeingRead(record) = std::mem::replace(&mut self.restart.taking_up, TakingUp::None) else {
            return;
        };
        match read {
            Ok((sealed, mut tally)) => {
                let Coverage { filtered, dead_lettered, .. } = self.restart.counted_before(&record, &sealed);
                tally.known(filtered + dead_lettered);
                self.count(sealed.source.clone(), tally);
                if sealed.rejected.is_empty() {
                    self.take_up(&record, sealed);
                } else {
                    // The current rules may set aside other lines than those that were written down.
                    self.restart.taking_up = TakingUp::Read { record, sealed, is_being_written: false };
                }
            }
            Err(Unread::Gone(why)) => self.lose(&record, &why),
            Err(Unread::NotNow(error)) => {
                self.pause_restart(&record, &error);
                self.restart.outstanding.push_front(record);
            }
        }
    }

    pub(super) fn on_missing_letters(&mut self, result: io::Result<()>) {
        let TakingUp::Read { record, sealed, .. } = std::mem::replace(&mut self.restart.taking_up, TakingUp::None)
        else {
            return;
        };
        match result {
            Ok(()) => self.take_up(&record, sealed),
            Err(error) => {
                self.pause_restart(&record, &error);
                self.restart.taking_up = TakingUp::Read { record, sealed, is_being_written: false };
            }
        }
    }

    /// Nothing new is read before it: what it covers is neither passed over nor taken for lost.
    fn pause_restart(&mut self, record: &BatchRecord, error: &io::Error) {
        self.restart.after = Some(self.now + PAUSE);
        self.raise(WindowAlarm::Unread {
            n: record.n,
            source: record.source.as_str().into(),
            error: error.to_string(),
            forwarder: self.config.name.clone(),
        });
    }

    /// The same bytes, which cover the same, go under the same number and id. The same bytes under rules that count
    /// otherwise what is beside their events go under the same id, which stands for the bytes, and another number. Other
    /// bytes, or such as were never sent as they are, go under both anew.
    fn take_up(&mut self, record: &BatchRecord, sealed: SealedBatch) {
        self.clear(AlarmSubject::source(&sealed.source), AlarmKind::Stalled);
        let before = self.restart.counted_before(record, &sealed);
        self.settle_beside(&sealed, before);
        let was = record.n;
        if !sealed.has_events() {
            return self.settle_without_events(was, sealed);
        }
        // A request holds one event where the framing became single: several cannot go as they went.
        let is_one_request = self.config.framing != Framing::Single || sealed.body.events().len() <= 1;
        let is_same = is_one_request && record.digest == Some(sealed.digest);
        let is_counted_so = record.counted && sealed.coverage() == record.covers;
        let known = record.id.clone().filter(|_| is_same);
        let notice = match known {
            Some(id) if is_counted_so => {
                let batch = InFlightBatch::new(was, id.clone(), sealed);
                let events = batch.covers.events;
                self.batches.push(InFlightBatch { stage: FlightStage::Waiting, ..batch });
                WindowNotice::SentAgain { n: was, id, events }
            }
            Some(id) => {
                let n = self.replace(was, id.clone(), sealed);
                WindowNotice::Recounted { n, was, id }
            }
            None => {
                let id = self.new_id();
                let n = self.replace(was, id.clone(), sealed);
                let last = self.batches.len() - 1;
                if self.config.framing == Framing::Single && self.batches[last].split_singly() {
                    self.next_part(last);
                }
                WindowNotice::SentAnew { n, was, id }
            }
        };
        self.effects.push(WindowEffect::Log(notice));
    }

    /// Announces what remains of batch `was`, read again, under a number of its own.
    fn replace(&mut self, was: u64, id: String, sealed: SealedBatch) -> u64 {
        let n = self.take_number();
        let batch = InFlightBatch::new(n, id, sealed);
        let intent = batch.intent(Some(BatchParent::Replaces(was)), self.coding());
        self.write(vec![RecorderWrite::Intent(intent)], AfterWrite::Send { n });
        self.batches.push(batch);
        n
    }

    /// The current rules let nothing of it pass. What it covers is counted anew, and only what was announced can be
    /// settled.
    fn settle_without_events(&mut self, was: u64, sealed: SealedBatch) {
        let Coverage { filtered, dead_lettered, .. } = sealed.coverage();
        let notice = WindowNotice::NothingPasses { n: was, filtered, dead_lettered };
        self.effects.push(WindowEffect::Log(notice));
        let (n, id, body) = (self.take_number(), self.new_id(), sealed.body.clone());
        let batch = InFlightBatch::new(n, id, sealed);
        let intent = batch.intent(Some(BatchParent::Replaces(was)), self.coding());
        let settle = RecorderWrite::Settle { n, outcome: Outcome::Filtered, status: None };
        self.write(vec![RecorderWrite::Intent(intent), settle], AfterWrite::Progress);
        self.effects.push(WindowEffect::Recycle(body));
    }

    /// Its bytes are gone.
    fn lose(&mut self, record: &BatchRecord, why: &str) {
        let source: std::sync::Arc<str> = record.source.as_str().into();
        self.clear(AlarmSubject::source(&source), AlarmKind::Stalled);
        let ranges: Vec<LostRange> = record.span.iter().map(|range| range.range.into()).collect();
        let reason = format!("batch {} was not settled before the restart, and its bytes are gone: {why}", record.n);
        let then =
            AfterWrite::CountGap { source: source.clone(), cause: GapCause::Unsettled, ranges: ranges.clone() };
        let gap = RecorderWrite::Gap { source, ranges, events: record.covers.events, reason };
        self.write(vec![gap], then);
    }
}
