//! What comes from the logs, in their order: read and compressed, ready for the window.
//!
//! ```text
//!  logs ──fill──► draft ──compress──► queue ──► arrivals
//!        1 at a time    side by side   in order
//! ```
//!
//! Reading and gzip run on the blocking pool, a batch on one thread from its first line to its last compressed byte. What
//! always holds: what arrives continues what arrived before it of the same source; a source that is being read, or of
//! which a batch is being read again, is asked for nothing else meanwhile.

mod compressors;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
};

pub use compressors::Compressors;

use super::{
    batch::{BatchBody, BodyLimits, BodyPool, SealedBatch},
    follow::{FollowedSource, ReadOutcome},
    journal::{BatchRecord, ReadCursors},
    stats::{ForwarderStats, Tally},
    unless_panicked,
    window::{AHEAD, Arrival, Detachment},
};
use crate::{
    config,
    log::{FollowerRequest, Log, Reader, SegmentId, Unread},
};

pub struct Feed {
    config: config::Forwarder,
    logs: Arc<[Log]>,
    /// `None` while its source is being read.
    follows: Vec<Option<FollowedSource>>,
    next_follow: usize,
    reading: Option<PendingRead>,
    reading_again: Option<JoinHandle<SourceReadAgain>>,
    queue: VecDeque<Prepared>,
    /// Up to which segment a source was given up.
    detached: HashMap<Arc<str>, SegmentId>,
    compressors: Compressors,
    bodies: BodyPool,
    stats: Arc<ForwarderStats>,
}

/// What will arrive.
enum Prepared {
    Compressing(JoinHandle<Option<SealedBatch>>),
    Ready(Arrival),
}

/// A source that is being read. It comes back as soon as it is read; what was read is compressed by the same thread.
struct PendingRead {
    back: oneshot::Receiver<SourceRead>,
    compressed: JoinHandle<Option<SealedBatch>>,
}

/// A source that was read, and what that came to.
struct SourceRead {
    index: usize,
    follow: FollowedSource,
    tally: Tally,
    /// `None`: a batch, which is being compressed.
    outcome: Option<ReadOutcome>,
}

struct SourceReadAgain {
    index: usize,
    follow: FollowedSource,
    result: Result<(SealedBatch, Tally), Unread>,
}

/// How much may be read.
pub struct FillTerms {
    /// For so many batches, those that are being prepared included, there is room.
    pub room: usize,
    pub limits: BodyLimits,
    /// Nothing is waited for that may still come.
    pub is_draining: bool,
    pub now: Instant,
}

impl Feed {
    /// `wake` is told when there is something to do that [`Feed::news`] does not tell.
    pub fn new(
        config: config::Forwarder,
        sources: Vec<(config::Source, Log)>,
        cursors: &std::collections::BTreeMap<String, ReadCursors>,
        stats: Arc<ForwarderStats>,
        wake: Arc<Notify>,
    ) -> Self {
        let bodies = BodyPool::new(&config, config.in_flight + AHEAD);
        let follows = sources.iter().map(|(source, log)| {
            let cursors = cursors.get(&source.name).cloned().unwrap_or_default();
            let reader = Reader::new(log.clone(), source.max_event_bytes, cursors);
            Some(FollowedSource::new(&config, source, reader, bodies.clone()))
        });
        Self {
            follows: follows.collect(),
            logs: sources.into_iter().map(|(_, log)| log).collect(),
            next_follow: 0,
            reading: None,
            reading_again: None,
            queue: VecDeque::new(),
            detached: HashMap::new(),
            compressors: Compressors::new(config.compression, wake),
            bodies,
            stats,
            config,
        }
    }

    pub fn logs(&self) -> &Arc<[Log]> {
        &self.logs
    }

    pub fn compressors(&self) -> &Compressors {
        &self.compressors
    }

    /// Takes back the memory of a body that is settled.
    pub fn recycle(&self, body: Arc<BatchBody>) {
        self.bodies.give(body);
    }

    /// Begins to read where there is room for what comes of it.
    pub fn fill(&mut self, terms: &FillTerms) {
        while self.reading.is_none() && self.queue.len() < terms.room && self.compressors.one_is_free() {
            if !self.flush_what_is_due(terms) && !self.read_next(terms.limits) {
                return;
            }
        }
    }

    /// When a draft is old enough to go, where there is room for it.
    pub fn due(&self, room: usize) -> Option<Instant> {
        if self.reading.is_some() || self.queue.len() >= room || !self.compressors.one_is_free() {
            return None;
        }
        let begun = self.follows.iter().flatten().filter_map(FollowedSource::begun);
        begun.map(|begun| begun + self.config.batch.max_age).min()
    }

    /// Nothing whole is left to read, and nothing that was read is on its way.
    pub fn has_all_read(&self) -> bool {
        let is_done = |follow: &FollowedSource| follow.begun().is_none() && !follow.has_more();
        self.queue.is_empty() && self.follows.iter().all(|follow| follow.as_ref().is_some_and(is_done))
    }

    /// A source is being read.
    pub fn is_reading(&self) -> bool {
        self.reading.is_some() || self.reading_again.is_some()
    }

    /// Waits until something comes back: a source that was read, something that is ready to arrive, or a batch that was
    /// read again, which is given. Nothing is lost where this is not awaited to its end.
    pub async fn news(&mut self) -> Option<Result<(SealedBatch, Tally), Unread>> {
        let Self { reading, reading_again, queue, .. } = self;
        tokio::select! {
            (read, compressed) = source_back(reading) => {
                self.source_read(read, compressed);
                None
            }
            () = compressed(queue) => None,
            read = read_back(reading_again) => {
                let SourceReadAgain { index, follow, result } = read;
                self.follows[index] = Some(follow);
                Some(result)
            }
        }
    }

    /// The next of what arrives, where it is ready.
    pub fn next_arrival(&mut self) -> Option<Arrival> {
        match self.queue.pop_front()? {
            Prepared::Ready(arrival) => Some(arrival),
            compressing => {
                self.queue.push_front(compressing);
                None
            }
        }
    }

    /// Puts a batch together again as it was before a restart.
    pub fn read_again(&mut self, record: BatchRecord) {
        let is_its_own = |follow: &Option<FollowedSource>| {
            follow.as_ref().is_some_and(|follow| **follow.source() == *record.source)
        };
        let index = self.follows.iter().position(is_its_own).expect("nothing else is read while a restart goes on");
        let mut follow = self.follows[index].take().expect("it was found");
        let compressors = self.compressors.clone();
        self.reading_again = Some(tokio::task::spawn_blocking(move || {
            let mut tally = Tally::default();
            let result = follow.again(&record, &mut tally).map(|mut sealed| {
                if sealed.has_events() {
                    sealed.wire = compressors.compress(sealed.body.bytes());
                }
                (sealed, tally)
            });
            SourceReadAgain { index, follow, result }
        }));
    }

    /// Does what the logs ask this forwarder for. A source that is being read at this moment comes back, and is asked
    /// again. True where they want to know where it stands.
    pub fn answer_requests(&mut self, may_detach: bool) -> bool {
        let mut is_asked = false;
        for index in 0..self.logs.len() {
            match self.logs[index].release_gate.request(&self.config.name) {
                None => {}
                Some(FollowerRequest::Report) => is_asked = true,
                Some(FollowerRequest::Detach(last)) if may_detach => self.detach(index, last),
                Some(FollowerRequest::Detach(_)) => {}
            }
        }
        is_asked
    }

    /// Ends the draft, passes over what is unread up to and with a segment, and queues that to be recorded.
    fn detach(&mut self, index: usize, last: SegmentId) {
        let source = self.logs[index].name.clone();
        let Some(follow) = &mut self.follows[index] else { return };
        if self.detached.get(&source) >= Some(&last) {
            return;
        }
        let draft = follow.flush();
        let unread = follow.pass_over(last);
        if let Some(sealed) = draft {
            self.enqueue(sealed);
        }
        self.detached.insert(source.clone(), last);
        self.queue.push_back(Prepared::Ready(Arrival::Detach(Detachment { source, last, unread })));
    }

    /// What is lost is told at once, also while nothing is read because the receiver takes nothing.
    pub fn tell_losses(&mut self) {
        for index in 0..self.follows.len() {
            let Some(follow) = self.follows[index].as_mut().filter(|follow| follow.has_lost()) else { continue };
            let draft = follow.flush();
            let (source, lost) = (follow.source().clone(), follow.pass_lost());
            if let Some(sealed) = draft {
                self.enqueue(sealed);
            }
            self.queue.extend(lost.into_iter().map(|lost| Prepared::Ready(Arrival::Gap(source.clone(), lost))));
        }
    }

    /// Queues a draft that is old enough; true if there was one.
    fn flush_what_is_due(&mut self, terms: &FillTerms) -> bool {
        let max_age = self.config.batch.max_age;
        let due = |follow: &FollowedSource| {
            let old = follow.begun().is_some_and(|begun| terms.now >= begun + max_age);
            // While there is more to read, a fill ends a draft that is large enough before it ends one that is old.
            old || (terms.is_draining && follow.begun().is_some() && !follow.has_more())
        };
        let Some(follow) = self.follows.iter_mut().flatten().find(|follow| due(follow)) else { return false };
        if let Some(sealed) = follow.flush() {
            self.enqueue(sealed);
        }
        true
    }

    fn enqueue(&mut self, sealed: SealedBatch) {
        if !sealed.has_events() {
            return self.queue.push_back(Prepared::Ready(Arrival::Batch(sealed)));
        }
        let busy = self.compressors.occupy();
        let job = tokio::task::spawn_blocking(move || Some(busy.compress(sealed)));
        self.queue.push_back(Prepared::Compressing(job));
    }

    /// Starts to read the next source that has something; true if there is one.
    fn read_next(&mut self, limits: BodyLimits) -> bool {
        let count = self.follows.len();
        let ready = |index: &usize| self.follows[*index].as_ref().is_some_and(FollowedSource::has_more);
        let Some(index) = (0..count).map(|step| (self.next_follow + step) % count).find(ready) else { return false };
        self.next_follow = (index + 1) % count;
        let Some(mut follow) = self.follows[index].take() else { return false };
        let busy = self.compressors.occupy();
        let (give_back, back) = oneshot::channel();
        let compressed = tokio::task::spawn_blocking(move || {
            let mut tally = Tally::default();
            let (outcome, batch) = match follow.fill(&limits, &mut tally) {
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
    fn source_read(&mut self, read: SourceRead, compressed: JoinHandle<Option<SealedBatch>>) {
        let SourceRead { index, follow, tally, outcome } = read;
        let source = follow.source().clone();
        self.follows[index] = Some(follow);
        self.stats.enter(&source, &tally);
        self.queue.extend(match outcome {
            None => Some(Prepared::Compressing(compressed)),
            Some(ReadOutcome::Sealed(batch)) => Some(Prepared::Ready(Arrival::Batch(batch))),
            Some(ReadOutcome::Gap(range)) => Some(Prepared::Ready(Arrival::Gap(source, range))),
            Some(ReadOutcome::More | ReadOutcome::CaughtUp) => None,
        });
    }
}

/// The source that comes back next; waits for ever where none is being read.
async fn source_back(reading: &mut Option<PendingRead>) -> (SourceRead, JoinHandle<Option<SealedBatch>>) {
    let Some(PendingRead { back, compressed }) = reading else { return std::future::pending().await };
    let Ok(read) = back.await else {
        let error = compressed.await.expect_err("a read gives its source back or panics");
        std::panic::resume_unwind(error.into_panic());
    };
    let PendingRead { compressed, .. } = reading.take().expect("it was there when the source came back");
    (read, compressed)
}

/// The batch that was read again; waits for ever where none is.
async fn read_back(reading: &mut Option<JoinHandle<SourceReadAgain>>) -> SourceReadAgain {
    let Some(job) = reading else { return std::future::pending().await };
    let read = unless_panicked(job.await);
    *reading = None;
    read
}

/// Waits until the first of the queue is compressed; for ever where it is not being compressed.
async fn compressed(queue: &mut VecDeque<Prepared>) {
    match queue.front_mut() {
        Some(Prepared::Compressing(job)) => {
            let batch = unless_panicked(job.await);
            let batch = batch.expect("what is queued as a batch becomes one");
            queue[0] = Prepared::Ready(Arrival::Batch(batch));
        }
        _ => std::future::pending().await,
    }
}
