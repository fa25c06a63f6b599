//! From the logs to the queue: reading, compressing, admitting in order.

use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{sync::oneshot, task::JoinHandle};
use tracing::error;

use super::{ForwarderOrder, ForwarderTask, detach::Detachment};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    forwarder::{
        batch::{BodyLimits, InFlightBatch, SealedBatch, new_id},
        follow::{FollowedSource, ReadOutcome},
        stats::{FilteredCounts, Tally},
    },
    log::{Log, SegmentRange},
};

/// How long admission waits after dead letters could not be written.
const PAUSE: Duration = Duration::from_secs(1);

/// What waits to be admitted, in the log's order.
pub(super) enum Queued {
    Compressing(JoinHandle<Option<SealedBatch>>),
    Ready(SealedBatch),
    /// Covers records but has no event to deliver.
    WithoutEvents(SealedBatch),
    Gap(Arc<str>, SegmentRange),
    Detach(Detachment),
}

/// A source that is being read. It comes back as soon as it is read; what was read is compressed by the same thread.
pub(super) struct PendingRead {
    back: oneshot::Receiver<SourceRead>,
    compressed: JoinHandle<Option<SealedBatch>>,
}

/// A source that was read, and what that came to.
pub(super) struct SourceRead {
    index: usize,
    follow: FollowedSource,
    tally: Tally,
    /// `None`: a batch, which is being compressed.
    outcome: Option<ReadOutcome>,
}

impl ForwarderTask {
    /// Begins to read where there is room for what comes of it.
    pub(super) fn fill(&mut self) {
        if self.order == ForwarderOrder::Stop || self.reading.is_some() {
            return;
        }
        if !self.outstanding.is_empty() {
            return self.resume();
        }
        while self.has_room() && self.reading.is_none() {
            if !self.flush_what_is_due() && !self.read_next() {
                return;
            }
        }
    }

    /// Queues a draft that is old enough; true if there was one.
    fn flush_what_is_due(&mut self) -> bool {
        let now = Instant::now();
        let draining = matches!(self.order, ForwarderOrder::Drain(_));
        let max_age = self.config.batch.max_age;
        let due = |follow: &FollowedSource| {
            let old = follow.begun().is_some_and(|begun| now >= begun + max_age);
            // While there is more to read, a fill ends a draft that is large enough before it ends one that is old.
            old || (draining && follow.begun().is_some() && !follow.has_more())
        };
        let Some(follow) = self.follows.iter_mut().flatten().find(|follow| due(follow)) else { return false };
        if let Some(sealed) = follow.flush() {
            self.enqueue(sealed);
        }
        true
    }

    /// Starts to read the next source that has something; true if there is one.
    fn read_next(&mut self) -> bool {
        let count = self.follows.len();
        let ready = |index: &usize| self.follows[*index].as_ref().is_some_and(FollowedSource::has_more);
        let Some(index) = (0..count).map(|step| (self.next_follow + step) % count).find(ready) else { return false };
        self.next_follow = (index + 1) % count;
        let Some(mut follow) = self.follows[index].take() else { return false };
        let fit = BodyLimits::new(&self.config.batch, self.config.framing, Some(self.ceiling.max_bytes()));
        let busy = self.compressors.occupy();
        let (give_back, back) = oneshot::channel();
        let compressed = tokio::task::spawn_blocking(move || {
            let mut tally = Tally::default();
            let (outcome, batch) = match follow.fill(&fit, &mut tally) {
                ReadOutcome::Sealed(batch) if batch.has_events() => (None, Some(batch)),
                outcome => (Some(outcome), None),
            };
            // Fails where the task was stopped meanwhile: then nobody wants the batch either.
            give_back.send(SourceRead { index, follow, tally, outcome }).ok()?;
            batch.map(|batch| busy.compress(batch))
        });
        self.reading = Some(PendingRead { back, compressed });
        true
    }

    /// A source was read; `compressed` gives the batch, where there is to be one.
    pub(super) fn source_read(&mut self, (read, compressed): (SourceRead, JoinHandle<Option<SealedBatch>>)) {
        let SourceRead { index, follow, tally, outcome } = read;
        let source = follow.source().clone();
        self.follows[index] = Some(follow);
        self.stats.enter(&source, &tally);
        match outcome {
            None => self.queue.push_back(Queued::Compressing(compressed)),
            Some(ReadOutcome::Sealed(batch)) => self.queue.push_back(Queued::WithoutEvents(batch)),
            Some(ReadOutcome::Gap(range)) => self.queue.push_back(Queued::Gap(source, range)),
            Some(ReadOutcome::More | ReadOutcome::CaughtUp) => {}
        }
    }

    pub(super) fn enqueue(&mut self, sealed: SealedBatch) {
        if !sealed.has_events() {
            self.queue.push_back(Queued::WithoutEvents(sealed));
            return;
        }
        let busy = self.compressors.occupy();
        let job = tokio::task::spawn_blocking(move || Some(busy.compress(sealed)));
        self.queue.push_back(Queued::Compressing(job));
    }

    /// Moves what is ready from the queue into the window, in order, writing down what must be written before.
    pub(super) fn admit(&mut self) {
        if self.order == ForwarderOrder::Stop || self.admit_after.is_some_and(|then| Instant::now() < then) {
            return;
        }
        self.admit_after = None;
        if !self.dead_letter_refused_events() {
            return;
        }
        self.settle_what_is_known();
        while let Some(queued) = self.queue.pop_front() {
            let wanted = match &queued {
                Queued::Compressing(_) => false,
                Queued::Ready(_) => self.window.len() < self.config.in_flight || self.is_detaching(),
                Queued::WithoutEvents(_) | Queued::Gap(..) | Queued::Detach(_) => true,
            };
            let refused = if wanted { self.admit_one(queued) } else { Some(queued) };
            if let Some(queued) = refused {
                self.queue.push_front(queued);
                return;
            }
        }
    }

    /// Gives back what cannot be admitted now.
    fn admit_one(&mut self, queued: Queued) -> Option<Queued> {
        match queued {
            Queued::Ready(sealed) => match self.write_dead_letters(&sealed) {
                Ok(()) => self.admit_batch(sealed),
                Err(error) => {
                    self.dead_letters_failed(&error);
                    return Some(Queued::Ready(sealed));
                }
            },
            Queued::WithoutEvents(sealed) => match self.write_dead_letters(&sealed) {
                Ok(()) => self.pass_over(sealed),
                Err(error) => {
                    self.dead_letters_failed(&error);
                    return Some(Queued::WithoutEvents(sealed));
                }
            },
            Queued::Gap(source, range) => {
                let mut tally = Tally::default();
                tally.gap(range.len());
                self.stats.enter(&source, &tally);
                let (recorder, log) = (self.recorder.clone(), self.log(&source));
                let reason = "the file was truncated, rewritten or deleted before it was read";
                tokio::task::block_in_place(|| recorder.gap(&log, &[range], 0, reason));
                self.progressed();
            }
            Queued::Detach(detachment) => self.record_detachment(detachment),
            Queued::Compressing(_) => return Some(queued),
        }
        None
    }

    /// Makes durable which lines of a batch can never be delivered.
    fn write_dead_letters(&self, sealed: &SealedBatch) -> io::Result<()> {
        let log = self.log(&sealed.source);
        tokio::task::block_in_place(|| self.recorder.write_dead_letters(&log, &sealed.rejected))
    }

    /// Announces a batch and puts it into the window.
    fn admit_batch(&mut self, sealed: SealedBatch) {
        self.dead_letters_written(&sealed.source, &sealed.filtered, sealed.rejected.len() as u64);
        let batch = InFlightBatch::new(self.next_number, new_id(), sealed);
        self.next_number += 1;
        tokio::task::block_in_place(|| self.recorder.record_intent(batch.intent(None, self.compressors.coding())));
        self.stats.batch(batch.body.events().len(), batch.body.len(), batch.wire.len());
        self.window.push(batch);
    }

    /// Moves the cursor over a batch that has nothing to deliver.
    fn pass_over(&mut self, sealed: SealedBatch) {
        self.dead_letters_written(&sealed.source, &sealed.filtered, sealed.rejected.len() as u64);
        let covers = sealed.coverage();
        tokio::task::block_in_place(|| self.recorder.advance(&sealed.source, sealed.span, covers));
        self.bodies.give(sealed.body);
        self.progressed();
    }

    pub(super) fn dead_letters_written(&mut self, source: &str, filtered: &FilteredCounts, dead: u64) {
        let mut tally = Tally::default();
        tally.dead_lettered(dead);
        self.stats.enter_filtered(source, tally, filtered);
        self.alarms.clear(&AlarmSubject::dead_letters(&self.config.name), AlarmKind::State);
    }

    pub(super) fn dead_letters_failed(&mut self, error: &io::Error) {
        self.admit_after = Some(Instant::now() + PAUSE);
        let text = format!(
            "dead letters cannot be written ({error}): this forwarder waits, so that nothing is passed over; make room or mend the state directory"
        );
        if self.alarms.raise(
            &AlarmSubject::dead_letters(&self.config.name),
            AlarmKind::State,
            &*text,
            Timestamp::now(),
        ) {
            error!(forwarder = self.config.name, "{text}");
        }
    }

    pub(super) fn log(&self, source: &str) -> Log {
        self.logs
            .iter()
            .find(|log| *log.name == *source)
            .expect("a batch comes from one of the forwarder's sources")
            .clone()
    }
}

/// The source that comes back next; waits for ever where none is being read.
pub(super) async fn source_back(reading: &mut Option<PendingRead>) -> (SourceRead, JoinHandle<Option<SealedBatch>>) {
    let Some(PendingRead { back, compressed }) = reading else { return std::future::pending().await };
    let Ok(read) = back.await else {
        let error = compressed.await.expect_err("a read gives its source back or panics");
        std::panic::resume_unwind(error.into_panic());
    };
    let PendingRead { compressed, .. } = reading.take().expect("it was there when the source came back");
    (read, compressed)
}

/// Waits until the first of the queue is compressed; for ever where it is not being compressed.
pub(super) async fn compressed(queue: &mut VecDeque<Queued>) {
    match queue.front_mut() {
        Some(Queued::Compressing(job)) => {
            let batch = job.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            queue[0] = Queued::Ready(batch.expect("what is queued as a batch becomes one"));
        }
        _ => std::future::pending().await,
    }
}
