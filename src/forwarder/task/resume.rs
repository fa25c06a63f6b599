//! After a restart: the batches that were not settled are sent again, as they were.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::{ForwarderTask, fill::Queued};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    config::Framing,
    forwarder::{
        batch::{InFlightBatch, SealedBatch, new_id},
        journal::{BatchParent, BatchRecord, Coverage, Outcome},
        stats::Tally,
    },
    log::{SegmentRange, Unread},
};

/// What became of a batch that was outstanding.
enum ResumedBatch {
    /// The same bytes, which cover the same: the same number and id.
    Same(u64, String, SealedBatch),
    /// The same bytes under rules that count what is beside the events otherwise: the same id, which stands for the bytes,
    /// and another number.
    Recounted(String, SealedBatch),
    /// Other bytes, or never sent as it is: another number and id.
    Anew(SealedBatch),
    /// Nothing in it passes the rules any more.
    Empty(SealedBatch),
    /// Its bytes are gone.
    Lost(String),
    /// Its bytes cannot be read at this moment.
    Later(std::io::Error),
}

/// How long a batch is left alone whose bytes cannot be read.
const PAUSE: Duration = Duration::from_secs(1);

impl ForwarderTask {
    /// Puts the next outstanding batch together again, one at a time, before anything new is read. Waits for the
    /// first scan, which finds the files.
    pub(super) fn resume(&mut self) {
        if self.resume_after.is_some_and(|after| Instant::now() < after) {
            return;
        }
        if self.window.len() >= self.config.in_flight.max(1) || !self.logs.iter().all(crate::log::Log::was_scanned) {
            return;
        }
        let Some(outstanding) = self.outstanding.pop_front() else { return };
        let Some(index) = self
            .follows
            .iter()
            .position(|follow| follow.as_ref().is_some_and(|follow| **follow.source() == outstanding.source))
        else {
            warn!(
                forwarder = self.config.name,
                source = outstanding.source,
                batch = outstanding.n,
                "a batch of a source that this forwarder no longer follows is left as it is; add the source again, or use `auditpost cursors forget`"
            );
            return;
        };
        let Some(mut follow) = self.follows[index].take() else { return };
        let mut tally = Tally::default();
        // Once per batch that a crash left, at the start: as well blocking here as anywhere.
        let again = tokio::task::block_in_place(|| {
            let sealed = follow.again(&outstanding, &mut tally);
            self.compare(&outstanding, sealed)
        });
        let source = follow.source().clone();
        self.follows[index] = Some(follow);
        match again {
            ResumedBatch::Later(error) => self.resume_later(outstanding, &error),
            again => {
                self.resume_after = None;
                self.alarms.clear(&AlarmSubject::source(&source), AlarmKind::Stalled);
                self.stats.enter(&source, &tally);
                self.put_back(outstanding, again);
            }
        }
    }

    /// Nothing new is read before it: what it covers is neither passed over nor taken for lost.
    fn resume_later(&mut self, outstanding: BatchRecord, error: &std::io::Error) {
        let text = format!(
            "a batch that was not settled before the restart cannot be taken up again: {error}; {} waits for it, nothing is lost",
            self.config.name
        );
        let subject = AlarmSubject::source(&outstanding.source);
        if self.alarms.raise(&subject, AlarmKind::Stalled, &*text, Timestamp::now()) {
            error!(forwarder = self.config.name, source = outstanding.source, batch = outstanding.n, "{text}");
        }
        self.outstanding.push_front(outstanding);
        self.resume_after = Some(Instant::now() + PAUSE);
    }

    fn compare(&self, outstanding: &BatchRecord, sealed: Result<SealedBatch, Unread>) -> ResumedBatch {
        let mut sealed = match sealed {
            Ok(sealed) => sealed,
            Err(Unread::Gone(why)) => return ResumedBatch::Lost(why),
            Err(Unread::NotNow(error)) => return ResumedBatch::Later(error),
        };
        // A request holds one event where the framing became single: several cannot go as they went.
        let is_one_request = self.config.framing != Framing::Single || sealed.body.events().len() <= 1;
        let is_same = is_one_request && outstanding.digest == Some(sealed.digest);
        let is_counted_so = outstanding.counted && sealed.coverage() == outstanding.covers;
        // The current rules may set aside other lines than those that were written down.
        let log = self.log(&sealed.source);
        if let Err(error) = self.recorder.write_missing_dead_letters(&log, &sealed.rejected) {
            return ResumedBatch::Later(error);
        }
        if !sealed.has_events() {
            return ResumedBatch::Empty(sealed);
        }
        sealed.wire = self.compressors.compress(sealed.body.bytes());
        match &outstanding.id {
            Some(id) if is_same && is_counted_so => ResumedBatch::Same(outstanding.n, id.clone(), sealed),
            Some(id) if is_same => ResumedBatch::Recounted(id.clone(), sealed),
            _ => ResumedBatch::Anew(sealed),
        }
    }

    fn put_back(&mut self, outstanding: BatchRecord, again: ResumedBatch) {
        let forwarder = self.config.name.clone();
        let (n, source) = (outstanding.n, outstanding.source.clone());
        match again {
            ResumedBatch::Same(n, id, sealed) => {
                self.settle_rest(&sealed, &source);
                let batch = InFlightBatch::new(n, id, sealed);
                info!(
                    forwarder,
                    batch = n,
                    id = batch.id,
                    events = batch.covers.events,
                    "sending a batch again that was not settled before the restart"
                );
                self.window.push(batch);
            }
            ResumedBatch::Recounted(id, sealed) => {
                self.settle_rest(&sealed, &source);
                let batch = self.replace(n, id, sealed);
                info!(
                    forwarder,
                    batch = batch.n,
                    was = n,
                    id = batch.id,
                    "sending a batch again under its id; what it covers beside its events is counted anew"
                );
                self.window.push(batch);
            }
            ResumedBatch::Anew(sealed) => {
                self.settle_rest(&sealed, &source);
                let batch = self.replace(n, new_id(), sealed);
                info!(forwarder, batch = batch.n, was = n, "sending what remains of a batch under a new id");
                self.window.push(batch);
                let last = self.window.len() - 1;
                if self.config.framing == Framing::Single && self.window[last].split_singly() {
                    self.next_part(last);
                }
            }
            ResumedBatch::Empty(sealed) => {
                let Coverage { filtered, dead_lettered, .. } = sealed.coverage();
                info!(
                    forwarder,
                    batch = n,
                    filtered,
                    dead_lettered,
                    "the current rules let nothing of this batch pass"
                );
                self.settle_rest(&sealed, &source);
                // What it covers is counted anew, and only what was announced can be settled.
                let batch = self.replace(n, new_id(), sealed);
                tokio::task::block_in_place(|| self.recorder.settle(batch.n, Outcome::Filtered, None));
                self.bodies.give(batch.body);
            }
            ResumedBatch::Later(error) => self.resume_later(outstanding, &error),
            ResumedBatch::Lost(error) => {
                let ranges: Vec<SegmentRange> = outstanding.span.iter().map(|range| range.range).collect();
                let mut tally = Tally::default();
                ranges.iter().for_each(|range| tally.gap(range.len()));
                self.stats.enter(&source, &tally);
                let reason = format!("batch {n} was not settled before the restart, and its bytes are gone: {error}");
                let log = self.log(&source);
                tokio::task::block_in_place(|| self.recorder.gap(&log, &ranges, outstanding.covers.events, &reason));
            }
        }
    }

    /// Announces what remains of batch `n`, read again, under a number of its own.
    fn replace(&mut self, n: u64, id: String, sealed: SealedBatch) -> InFlightBatch {
        let batch = InFlightBatch::new(self.next_number, id, sealed);
        self.next_number += 1;
        let intent = batch.intent(Some(BatchParent::Replaces(n)), self.compressors.coding());
        tokio::task::block_in_place(|| self.recorder.record_intent(intent));
        batch
    }

    /// Counts what a batch covers beside its events. Its dead letters are written.
    fn settle_rest(&mut self, sealed: &SealedBatch, source: &str) {
        let mut tally = Tally::default();
        tally.dead_lettered(sealed.rejected.len() as u64);
        self.stats.enter_filtered(source, tally, &sealed.filtered);
        self.alarms.clear(&AlarmSubject::dead_letters(&self.config.name), AlarmKind::State);
        debug_assert!(
            !self.queue.iter().any(|queued| matches!(queued, Queued::Ready(_))),
            "nothing new is read before"
        );
    }
}
