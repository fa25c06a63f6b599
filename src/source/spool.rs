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
    alarm::{Alarms, Kind},
    config::SyncPolicy,
    health::Pulse,
    log::{
        Log,
        spool::{AppendError, Spool},
    },
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
    object: String,
    log: Log,
    spool: Option<Spool>,
    policy: SyncPolicy,
    puts: mpsc::Receiver<Put>,
    room: Arc<Notify>,
    alarms: Arc<Alarms>,
    pulse: Pulse,
    synced: Instant,
}

impl SpoolTask {
    pub fn new(spool: Spool, policy: SyncPolicy, alarms: Arc<Alarms>, pulse: Pulse) -> (Self, Intake) {
        let (sender, puts) = mpsc::channel(QUEUE);
        let room = Arc::new(Notify::new());
        let intake = Intake { puts: sender, memory: Arc::new(Semaphore::new(IN_FLIGHT)), room: room.clone() };
        let log = spool.log().clone();
        let object = format!("source {}", log.name);
        let task =
            Self { object, log, spool: Some(spool), policy, puts, room, alarms, pulse, synced: Instant::now() };
        (task, intake)
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
                got = self.puts.recv_many(&mut group, QUEUE) => match got {
                    0 => break,
                    _ => self.commit(std::mem::take(&mut group)).await,
                },
                () = self.log.scan_asked() => self.with(|spool| spool.look_into_suspicions()).await,
                _ = ticks.tick() => self.tick().await,
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
            Some(AppendError::Full { used, total }) => {
                let text = format!(
                    "its spool is full ({used} of {total} bytes wait for a forwarder): no events are taken until there is room"
                );
                if self.alarms.raise(&self.object, Kind::Full, &*text, Timestamp::now()) {
                    error!(source = %self.log.name, "{text}");
                }
            }
            Some(AppendError::Io(error)) => {
                let text = format!("its spool cannot be written ({error}): no events are taken until it can be");
                if self.alarms.raise(&self.object, Kind::State, &*text, Timestamp::now()) {
                    error!(source = %self.log.name, "{text}");
                }
                return;
            }
        }
        self.alarms.clear(&self.object, Kind::State);
    }

    async fn tick(&mut self) {
        self.pulse.beat();
        let sync = self.policy == SyncPolicy::Interval && self.synced.elapsed() >= SYNC_EVERY;
        let (synced, released, damage, failure) = self
            .with(move |spool| {
                let synced = if sync { spool.sync() } else { Ok(()) };
                let released = spool.release();
                spool.keep_reserve();
                spool.verify_next();
                (synced, released, spool.take_damage(), spool.catalog_failure().map(str::to_owned))
            })
            .await;
        if sync {
            self.synced = Instant::now();
        }
        if let Err(error) = synced {
            let text = format!("its spool could not be synced ({error}): a power cut may lose its last second");
            self.alarms.raise(&self.object, Kind::State, text, Timestamp::now());
        }
        if released {
            if self.alarms.clear(&self.object, Kind::Full) {
                info!(source = %self.log.name, "the spool has room again");
            }
            self.room.notify_waiters();
        }
        for text in damage {
            // Each segment's loss is one of its own.
            self.alarms.raise_about(&self.object, Kind::Gap, &text, text.as_str(), Timestamp::now());
        }
        if let Some(failure) = failure {
            let text = format!("the catalog of its spool cannot be written: {failure}");
            self.alarms.raise(&self.object, Kind::State, text, Timestamp::now());
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
fn write(spool: &mut Spool, puts: Vec<Put>, sync: bool) -> Option<AppendError> {
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
            Ok(()) => group.into_iter().for_each(|put| tell(put, Ok(()))),
            // A small record may fit where all of them do not.
            Err(AppendError::Full { .. }) if group.len() > 1 => {
                for put in group {
                    let appended = spool.append(&put.lines, sync);
                    tell(put, appended.as_ref().map_err(refusal).copied());
                    failure = appended.err().or(failure);
                }
            }
            Err(error) => {
                for put in group {
                    tell(put, Err(refusal(&error)));
                }
                failure = Some(error);
            }
        }
    }
    failure
}

fn refusal(error: &AppendError) -> Refused {
    match error {
        AppendError::Full { .. } => Refused::Full,
        AppendError::Io(_) => Refused::Storage,
    }
}

fn tell(put: Put, outcome: Result<(), Refused>) {
    // Who does not wait for the answer any more may find the record taken all the same.
    let _ = put.done.send(outcome);
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::{
        collections::{BTreeMap, HashMap},
        path::Path,
    };

    use tokio::task::JoinHandle;

    use super::*;
    use crate::{
        health::Health,
        log::{Item, Reader, Take, spool::Limits},
    };

    struct Running {
        log: Log,
        intake: Intake,
        alarms: Arc<Alarms>,
        stop: CancellationToken,
        task: JoinHandle<()>,
    }

    fn start(dir: &Path, total: u64) -> Running {
        let limits = Limits { segment: 1000, total };
        let catalog = dir.join("sources/app/catalog");
        let spool = Spool::open("app", &dir.join("spool/app"), &catalog, limits, &HashMap::new()).unwrap();
        let log = spool.log().clone();
        log.board.enlist("siem");
        let alarms = Arc::new(Alarms::default());
        let pulse = Arc::new(Health::default()).pulse("source app");
        let (task, intake) = SpoolTask::new(spool, SyncPolicy::Always, alarms.clone(), pulse);
        let stop = CancellationToken::new();
        let task = tokio::spawn(task.run(stop.clone()));
        Running { log, intake, alarms, stop, task }
    }

    async fn wait_for_alarms(alarms: &Alarms, kinds: &[Kind]) {
        let limit = Instant::now() + Duration::from_secs(10);
        while alarms.raised().iter().map(|alarm| alarm.kind).ne(kinds.iter().copied()) {
            assert!(Instant::now() < limit, "{:?} are raised, not {kinds:?}", alarms.raised());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn read(log: &Log) -> Vec<String> {
        let mut lines = Vec::new();
        Reader::new(log.clone(), 10_000, BTreeMap::new()).read(usize::MAX, &mut |item| {
            if let Item::Line { bytes, .. } = item {
                lines.push(String::from_utf8(bytes.to_vec()).unwrap());
            }
            Take::More
        });
        lines
    }

    #[tokio::test]
    async fn every_record_that_was_taken_is_in_the_spool_and_a_stop_loses_none() {
        let dir = tempfile::tempdir().unwrap();
        let running = start(dir.path(), 1_000_000);
        let mut senders = Vec::new();
        for n in 0..500 {
            let intake = running.intake.clone();
            senders.push(tokio::spawn(async move {
                let taken = intake.put(format!("{{\"n\":{n}}}\n").into()).await;
                (n, taken)
            }));
        }
        let (first, rest) = senders.split_at_mut(250);
        let mut taken = Vec::new();
        for sender in first {
            let (n, outcome) = sender.await.unwrap();
            outcome.unwrap();
            taken.push(n);
        }
        running.stop.cancel();
        for sender in rest {
            let (n, outcome) = sender.await.unwrap();
            match outcome {
                Ok(()) => taken.push(n),
                Err(refused) => assert_eq!(refused, Refused::Stopping),
            }
        }
        running.task.await.unwrap();
        assert_eq!(running.intake.put("{}\n".into()).await, Err(Refused::Stopping));
        let mut there: Vec<u32> = read(&running.log)
            .iter()
            .map(|line| line.trim_start_matches("{\"n\":").trim_end_matches('}').parse().unwrap())
            .collect();
        there.sort_unstable();
        taken.sort_unstable();
        assert_eq!(there, taken);
    }

    #[tokio::test]
    async fn a_full_spool_refuses_who_asks_and_lets_the_patient_in_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let running = start(dir.path(), 1500);
        let line: Bytes = format!("{}\n", "x".repeat(999)).into();
        running.intake.put(line.clone()).await.unwrap();
        assert_eq!(running.intake.put(line.clone()).await, Err(Refused::Full));
        running.intake.put("{}\n".into()).await.unwrap();
        wait_for_alarms(&running.alarms, &[Kind::Full]).await;
        let patient = tokio::spawn({
            let intake = running.intake.clone();
            async move { intake.put_patiently(line).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(!patient.is_finished());
        let segments = running.log.segments();
        let past = segments.iter().map(|segment| (segment.id, segment.size())).collect();
        running.log.board.report("siem", past);
        patient.await.unwrap().unwrap();
        wait_for_alarms(&running.alarms, &[]).await;
    }
}
