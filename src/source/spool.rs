//! The task that keeps a source's spool, and the [`Intake`] through which a source hands records to it.
//!
//! Records that arrive while others are being written are written, synced and acknowledged together. What always
//! holds: whoever was told that a record is taken finds it in the spool after a crash, as far as [`SyncPolicy`]
//! promises; whoever was refused may hand it over again. Memory is bounded by [`IN_FLIGHT`] bytes a source.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    alarm::{AlarmKind, AlarmSubject, Alarms},
    config::{OnFull, SyncPolicy},
    health::Pulse,
    log::{
        Log,
        spool::{Spool, SpoolAppendError},
    },
    source::stats::SourceStats,
};

/// Bytes of records that may wait to be written; who comes with more waits.
pub const IN_FLIGHT: usize = 8 * 1024 * 1024;

/// Bytes that are written together, unless one record has more.
const GROUP: usize = 4 * 1024 * 1024;

/// Records that wait in the channel.
const QUEUE: usize = 1024;

/// How often it looks for what can be released.
const TICK: Duration = Duration::from_millis(250);

/// How often records are synced that nobody waits for.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Why a record was not taken. It is nobody's but the sender's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the spool is full")]
    Full,
    #[error("the spool cannot be written")]
    Storage,
    #[error("auditpost is stopping")]
    Stopping,
}

struct Put {
    lines: Bytes,
    done: oneshot::Sender<Result<(), Refused>>,
    _room: OwnedSemaphorePermit,
}

/// Hands records to the spool of one source. Clones share it.
#[derive(Clone)]
pub struct Intake {
    puts: mpsc::Sender<Put>,
    memory: Arc<Semaphore>,
    /// Is told when a refused record may be tried again.
    room: Arc<Notify>,
}

impl Intake {
    /// Takes whole lines, all or none; when this returns they are ours.
    pub async fn put(&self, lines: Bytes) -> Result<(), Refused> {
        debug_assert!(lines.ends_with(b"\n"), "a record is a whole line");
        let bytes = u32::try_from(lines.len().min(IN_FLIGHT)).unwrap_or(u32::MAX);
        let room = self.memory.clone().acquire_many_owned(bytes).await.map_err(|_| Refused::Stopping)?;
        let (done, answer) = oneshot::channel();
        self.puts.send(Put { lines, done, _room: room }).await.map_err(|_| Refused::Stopping)?;
        answer.await.unwrap_or(Err(Refused::Stopping))
    }

    /// As [`put`](Intake::put), but waits where the spool is full or cannot be written; fails only at the stop.
    pub async fn put_patiently(&self, lines: Bytes) -> Result<(), Refused> {
        loop {
            let room = self.room.notified();
            match self.put(lines.clone()).await {
                Err(Refused::Full | Refused::Storage) => {
                    let _ = timeout(SYNC_EVERY, room).await;
                }
                answer => return answer,
            }
        }
    }
}

pub struct SpoolTask {
    subject: AlarmSubject,
    log: Log,
    spool: Option<Spool>,
    policy: SyncPolicy,
    puts: mpsc::Receiver<Put>,
    room: Arc<Notify>,
    alarms: Arc<Alarms>,
    stats: Arc<SourceStats>,
    pulse: Pulse,
    synced: Instant,
    /// What a forwarder may hold while the spool needs room; `None`: all of it.
    detach_after: Option<u64>,
    /// A record was refused for want of room since room was made last.
    refused: bool,
}

impl SpoolTask {
    pub fn new(
        spool: Spool,
        policy: SyncPolicy,
        alarms: Arc<Alarms>,
        stats: Arc<SourceStats>,
        pulse: Pulse,
    ) -> (Self, Intake) {
        let (sender, puts) = mpsc::channel(QUEUE);
        let room = Arc::new(Notify::new());
        let intake = Intake { puts: sender, memory: Arc::new(Semaphore::new(IN_FLIGHT)), room: room.clone() };
        let log = spool.log().clone();
        let subject = AlarmSubject::source(&log.name);
        let task = Self {
            subject,
            log,
            spool: Some(spool),
            policy,
            puts,
            room,
            alarms,
            stats,
            pulse,
            synced: Instant::now(),
            detach_after: None,
            refused: false,
        };
        (task, intake)
    }

    /// What becomes of a full spool; without this it blocks.
    pub fn on_full(mut self, on_full: OnFull) -> Self {
        self.detach_after = match on_full {
            OnFull::Block => None,
            OnFull::Detach { after } => Some(after),
        };
        self
    }

    /// Writes what comes until it is told to stop; what came before that is written still.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut group = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled(), if !self.puts.is_closed() => self.puts.close(),
                // Before the records: senders that come again and again must not keep it from making room for them.
                _ = ticks.tick() => self.tick().await,
                got = self.puts.recv_many(&mut group, QUEUE) => match got {
                    0 => break,
                    _ => self.commit(std::mem::take(&mut group)).await,
                },
                () = self.log.scan_asked() => self.with(|spool| spool.look_into_suspicions()).await,
            }
        }
        self.tick().await;
        let spool = self.spool.take().expect("only a call that blocks takes it, and gives it back");
        let closed = tokio::task::spawn_blocking(move || spool.close()).await;
        if let Ok(Err(error)) = closed {
            warn!(source = %self.log.name, %error, "the spool was not closed cleanly; it is mended at the next start");
        }
    }

    /// Writes what has come, in groups, and tells each sender what became of its record.
    async fn commit(&mut self, puts: Vec<Put>) {
        let sync = self.policy == SyncPolicy::Always;
        let failure = self.with(move |spool| write(spool, puts, sync)).await;
        match failure {
            None => {}
            Some(SpoolAppendError::Full { .. }) => {
                self.refused = true;
                self.tell_that_it_is_full();
            }
            Some(SpoolAppendError::Io(error)) => {
                let text = format!("its spool cannot be written ({error}): no events are taken until it can be");
                if self.alarms.raise(&self.subject, AlarmKind::State, &*text, Timestamp::now()) {
                    error!(source = %self.log.name, "{text}");
                }
                return;
            }
        }
        self.alarms.clear(&self.subject, AlarmKind::State);
    }

    async fn tick(&mut self) {
        self.pulse.beat();
        let sync = self.policy == SyncPolicy::Interval && self.synced.elapsed() >= SYNC_EVERY;
        let (detach_after, refused) = (self.detach_after, self.refused);
        let stats = self.stats.clone();
        let (synced, released, damage, failure) = self
            .with(move |spool| {
                let synced = if sync { spool.sync() } else { Ok(()) };
                let released = spool.release();
                if let Some(after) = detach_after {
                    spool.ask_for_room(after, refused && !released);
                }
                spool.keep_reserve();
                spool.verify_next();
                stats.set_spool(spool.used(), spool.limits().total);
                (synced, released, spool.take_damage(), spool.catalog_failure().map(str::to_owned))
            })
            .await;
        if sync {
            self.synced = Instant::now();
        }
        if let Err(error) = synced {
            let text = format!("its spool could not be synced ({error}): a power cut may lose its last second");
            self.alarms.raise(&self.subject, AlarmKind::State, text, Timestamp::now());
        }
        if released {
            self.refused = false;
            if self.alarms.clear(&self.subject, AlarmKind::Full) {
                info!(source = %self.log.name, "the spool has room again");
            }
            self.room.notify_waiters();
        } else if self.refused {
            // Who holds it may have changed.
            self.tell_that_it_is_full();
        }
        for text in damage {
            // Each segment's loss is one of its own.
            self.alarms.raise_about(&self.subject, AlarmKind::Gap, &text, text.as_str(), Timestamp::now());
        }
        if let Some(failure) = failure {
            let text = format!("the catalog of its spool cannot be written: {failure}");
            self.alarms.raise(&self.subject, AlarmKind::State, text, Timestamp::now());
        }
    }

    fn tell_that_it_is_full(&self) {
        let Some(spool) = &self.spool else { return };
        let (used, total, whom) = (spool.used(), spool.limits().total, spool.held_by());
        let text = format!(
            "its spool is full ({used} of {total} bytes wait for {whom}): no events are taken until there is room"
        );
        if self.alarms.raise(&self.subject, AlarmKind::Full, &*text, Timestamp::now()) {
            error!(source = %self.log.name, "{text}");
        }
    }

    /// Does something with the spool where blocking is allowed.
    async fn with<T: Send + 'static>(&mut self, work: impl FnOnce(&mut Spool) -> T + Send + 'static) -> T {
        let mut spool = self.spool.take().expect("only a call that blocks takes it, and gives it back");
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&mut spool);
            (spool, result)
        });
        let (spool, result) = done.await.expect("the spool does not panic");
        self.spool = Some(spool);
        result
    }
}

/// Appends the records of all, as many together as make a group; the last failure, if there was one.
fn write(spool: &mut Spool, puts: Vec<Put>, sync: bool) -> Option<SpoolAppendError> {
    let mut failure = None;
    let mut puts = puts.into_iter().peekable();
    let mut bytes = Vec::new();
    while puts.peek().is_some() {
        let mut group = Vec::new();
        bytes.clear();
        while let Some(put) = puts.next_if(|put| group.is_empty() || bytes.len() + put.lines.len() <= GROUP) {
            bytes.extend_from_slice(&put.lines);
            group.push(put);
        }
        match spool.append(&bytes, sync) {
            Ok(()) => group.into_iter().for_each(|put| answer_put(put, Ok(()))),
            // A small record may fit where all of them do not.
            Err(SpoolAppendError::Full { .. }) if group.len() > 1 => {
                for put in group {
                    let appended = spool.append(&put.lines, sync);
                    answer_put(put, appended.as_ref().map_err(refusal).copied());
                    failure = appended.err().or(failure);
                }
            }
            Err(error) => {
                for put in group {
                    answer_put(put, Err(refusal(&error)));
                }
                failure = Some(error);
            }
        }
    }
    failure
}

fn refusal(error: &SpoolAppendError) -> Refused {
    match error {
        SpoolAppendError::Full { .. } => Refused::Full,
        SpoolAppendError::Io(_) => Refused::Storage,
    }
}

fn answer_put(put: Put, outcome: Result<(), Refused>) {
    // Who does not wait for the answer any more may find the record taken all the same.
    let _ = put.done.send(outcome);
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests;
