//! From the logs to the queue: reading, compressing, admitting in order.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
};
use tracing::error;

use super::{ForwarderOrder, ForwarderTask, detach::Detachment};
use crate::{
    alarm::AlarmKind,
    config,
    forwarder::{
        batch::BodyLimits,
        compress::{CompressError, Compressor, Digest},
        filter::FilteredCounts,
        follow::{Filled, Finished, FollowedSource},
        parcel::{InFlightBatch, SealedBatch},
        stats::Tally,
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
    Bare(Finished),
    Gap(Arc<str>, SegmentRange),
    Detach(Detachment),
}

/// A fill under way. The source comes back as soon as it is read; what was read is compressed by the same thread.
pub(super) struct PendingFill {
    back: oneshot::Receiver<WasRead>,
    job: JoinHandle<Option<SealedBatch>>,
}

/// A source that comes back from a fill.
pub(super) struct WasRead {
    index: usize,
    follow: FollowedSource,
    came_to: CameTo,
    tally: Tally,
}

/// What a fill came to.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, moved once a batch")]
enum CameTo {
    /// A batch, which the fill's thread compresses now.
    Parcel,
    Bare(Finished),
    Gap(SegmentRange),
    Nothing,
}

/// The compressors of one forwarder: as many as work at once. One more than there are cores keeps all of them busy
/// while the task hands out work; more would only take the cores from each other and from the task.
#[derive(Clone)]
pub(super) struct Compressors {
    compression: config::Compression,
    idle: Arc<Mutex<Vec<Compressor>>>,
    busy: Arc<AtomicUsize>,
    most: usize,
    /// Is told when one becomes free.
    freed: Arc<Notify>,
}

/// Counts as a busy compressor until it is dropped.
struct Busy(Compressors);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Release);
        self.0.freed.notify_one();
    }
}

impl Compressors {
    pub(super) fn new(compression: config::Compression, freed: Arc<Notify>) -> Self {
        let most = std::thread::available_parallelism().map_or(1, usize::from) + 1;
        Self { compression, idle: Arc::default(), busy: Arc::default(), most, freed }
    }

    pub(super) fn one_is_free(&self) -> bool {
        self.busy.load(Ordering::Acquire) < self.most
    }

    fn occupy(&self) -> Busy {
        self.busy.fetch_add(1, Ordering::Release);
        Busy(self.clone())
    }

    /// Blocks for some milliseconds a megabyte.
    pub(super) fn compress(&self, body: &[u8]) -> Result<Bytes, CompressError> {
        let idle = self.idle.lock().expect("nothing panics while it holds the compressors").pop();
        let mut compressor = idle.unwrap_or_else(|| Compressor::new(self.compression));
        let wire = compressor.compress(body);
        self.idle.lock().expect("nothing panics while it holds the compressors").push(compressor);
        wire
    }

    /// A body that cannot be compressed is a bug and no reason to lose it: it ends the task, which starts anew.
    pub(super) fn parcel(&self, finished: Finished) -> SealedBatch {
        let wire = self.compress(finished.draft.body.bytes()).unwrap_or_else(|error| panic!("{error}"));
        let digest = Digest::of(finished.draft.body.bytes());
        SealedBatch::new(finished, wire, digest)
    }
}

impl ForwarderTask {
    /// Begins to read where there is room for what comes of it.
    pub(super) fn fill(&mut self) {
        if self.order == ForwarderOrder::Stop || self.filling.is_some() {
            return;
        }
        if !self.outstanding.is_empty() {
            return self.resume();
        }
        while self.has_room() && self.filling.is_none() {
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
        if let Some(finished) = follow.flush() {
            self.enqueue(finished);
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
        let fit = BodyLimits::new(&self.config.batch, Some(self.ceiling.max_bytes()));
        let busy = self.compressors.occupy();
        let (give_back, back) = oneshot::channel();
        let job = tokio::task::spawn_blocking(move || {
            let mut tally = Tally::default();
            let filled = follow.fill(&fit, &mut tally);
            let (came_to, finished) = match filled {
                Filled::Draft(finished) if finished.draft.body.is_empty() => (CameTo::Bare(finished), None),
                Filled::Draft(finished) => (CameTo::Parcel, Some(finished)),
                Filled::Gap(range) => (CameTo::Gap(range), None),
                Filled::More | Filled::CaughtUp => (CameTo::Nothing, None),
            };
            // Fails where the task was stopped meanwhile: then nobody wants the batch either.
            give_back.send(WasRead { index, follow, came_to, tally }).ok()?;
            finished.map(|finished| busy.0.parcel(finished))
        });
        self.filling = Some(PendingFill { back, job });
        true
    }

    /// A source was read; `job` gives the parcel, where there is to be one.
    pub(super) fn filled(&mut self, (read, job): (WasRead, JoinHandle<Option<SealedBatch>>)) {
        let WasRead { index, follow, came_to, tally } = read;
        let source = follow.source().clone();
        self.follows[index] = Some(follow);
        self.stats.enter(&source, &tally);
        match came_to {
            CameTo::Parcel => self.queue.push_back(Queued::Compressing(job)),
            CameTo::Bare(finished) => self.queue.push_back(Queued::Bare(finished)),
            CameTo::Gap(range) => self.queue.push_back(Queued::Gap(source, range)),
            CameTo::Nothing => {}
        }
    }

    pub(super) fn enqueue(&mut self, finished: Finished) {
        if finished.draft.body.is_empty() {
            self.queue.push_back(Queued::Bare(finished));
            return;
        }
        let busy = self.compressors.occupy();
        let job = tokio::task::spawn_blocking(move || Some(busy.0.parcel(finished)));
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
                Queued::Bare(_) | Queued::Gap(..) | Queued::Detach(_) => true,
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
        let recorder = self.recorder.clone();
        match queued {
            Queued::Ready(parcel) => {
                let log = self.log(&parcel.source);
                let (n, id) = (self.next_number, new_id());
                let dead_letters_written = tokio::task::block_in_place(|| {
                    recorder.write_dead_letters(&log, &parcel.dead)?;
                    recorder.record_intent(parcel.intent(n, &id, None));
                    io::Result::Ok(())
                });
                if let Err(error) = dead_letters_written {
                    self.dead_letters_failed(&error);
                    return Some(Queued::Ready(parcel));
                }
                self.dead_letters_written(&parcel.source, &parcel.filtered, parcel.dead.len() as u64);
                self.next_number += 1;
                self.stats.batch(parcel.body.events().len(), parcel.body.len(), parcel.wire.len());
                self.window.push(InFlightBatch::new(n, id, parcel));
            }
            Queued::Bare(finished) => {
                let log = self.log(&finished.draft.source);
                let dead_letters_written = tokio::task::block_in_place(|| {
                    recorder.write_dead_letters(&log, &finished.draft.dead)?;
                    let dead = finished.draft.dead.len() as u64;
                    recorder.advance(
                        &finished.draft.source,
                        finished.span.clone(),
                        finished.draft.filtered.total(),
                        dead,
                    );
                    io::Result::Ok(())
                });
                if let Err(error) = dead_letters_written {
                    self.dead_letters_failed(&error);
                    return Some(Queued::Bare(finished));
                }
                let draft = finished.draft;
                self.dead_letters_written(&draft.source, &draft.filtered, draft.dead.len() as u64);
                self.bodies.give(std::sync::Arc::new(draft.body));
                self.progressed();
            }
            Queued::Gap(source, range) => {
                let mut tally = Tally::default();
                tally.gap(range.len());
                self.stats.enter(&source, &tally);
                tokio::task::block_in_place(|| {
                    recorder.gap(
                        &source,
                        &[range],
                        0,
                        "the file was truncated, rewritten or deleted before it was read",
                    );
                });
                self.progressed();
            }
            Queued::Detach(given_up) => self.record_detachment(given_up),
            Queued::Compressing(_) => return Some(queued),
        }
        None
    }

    pub(super) fn dead_letters_written(&mut self, source: &str, filtered: &FilteredCounts, dead: u64) {
        let mut tally = Tally::default();
        tally.dead_lettered(dead);
        self.stats.enter_filtered(source, tally, filtered);
        self.alarms.clear(&format!("dead letters of {}", self.config.name), AlarmKind::State);
    }

    pub(super) fn dead_letters_failed(&mut self, error: &io::Error) {
        self.admit_after = Some(Instant::now() + PAUSE);
        let text = format!(
            "dead letters cannot be written ({error}): this forwarder waits, so that nothing is passed over; make room or mend the state directory"
        );
        if self.alarms.raise(
            &format!("dead letters of {}", self.config.name),
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

/// Sixteen random bytes in hexadecimal digits.
pub(super) fn new_id() -> String {
    format!("{:032x}", fastrand::u128(..))
}

/// The source that comes back next; waits for ever where none is being read.
pub(super) async fn filled(filling: &mut Option<PendingFill>) -> (WasRead, JoinHandle<Option<SealedBatch>>) {
    let Some(PendingFill { back, job }) = filling else { return std::future::pending().await };
    let Ok(read) = back.await else {
        let error = job.await.expect_err("a fill gives its source back or panics");
        std::panic::resume_unwind(error.into_panic());
    };
    let PendingFill { job, .. } = filling.take().expect("it was there when the source came back");
    (read, job)
}

/// Waits until the first of the queue is compressed; for ever where it is not being compressed.
pub(super) async fn compressed(queue: &mut VecDeque<Queued>) {
    match queue.front_mut() {
        Some(Queued::Compressing(job)) => {
            let parcel = job.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
            queue[0] = Queued::Ready(parcel.expect("what is queued as a parcel becomes one"));
        }
        _ => std::future::pending().await,
    }
}
