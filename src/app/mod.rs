//! The running program: builds sources, logs and forwarders from a configuration; reloads and stops them.
//!
//! What always holds: every forwarder is a follower of its logs before they are first scanned, so nothing is
//! released without it; a forwarder whose configuration and sources did not change is not touched by a reload; a
//! task that panics is started anew from its journal and does not stop the others; nor does a forwarder whose state
//! cannot be opened, see `stopped`.

mod ending;
mod open;
mod orphans;
mod reload;
mod removed;
mod stopped;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{
    sync::watch,
    task::{Id, JoinHandle, JoinSet},
    time::interval,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    admin::{AdminServer, Registry},
    alarm::{AlarmKind, AlarmSubject},
    config::{self, Config},
    forwarder::{
        stats::ForwarderStats,
        window::{ForwarderEnd, ForwarderOrder},
    },
    health::ReadyCondition,
    lock::Lock,
    source::{RunningSource, SourceTasks},
};

pub use ending::{AppEnd, Shortfalls};
use open::Opened;
pub use open::StartError;
use removed::RemovedForwarder;
use stopped::StoppedForwarder;

/// How long a task that panicked is left before it starts again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// How long a stop waits for the last writes to the state directory once its time is up.
const LAST_WRITES: Duration = Duration::from_secs(2);

/// The program while it runs.
pub struct App {
    config: Config,
    registry: Arc<Registry>,
    sources: BTreeMap<String, RunningSource>,
    source_tasks: SourceTasks,
    forwarders: BTreeMap<String, RunningForwarder>,
    /// Those that should run as well, and cannot be opened.
    stopped: BTreeMap<String, StoppedForwarder>,
    /// Those that ran once and are not configured.
    removed: BTreeMap<String, RemovedForwarder>,
    /// What was counted of each forwarder that this process has known.
    counted: BTreeMap<String, Arc<ForwarderStats>>,
    tasks: JoinSet<ForwarderEnd>,
    admin: Option<(CancellationToken, JoinHandle<()>)>,
    /// Held until the end: one process per state directory.
    lock: Lock,
}

struct RunningForwarder {
    config: config::Forwarder,
    stats: Arc<ForwarderStats>,
    orders: watch::Sender<ForwarderOrder>,
    task: Id,
}

impl App {
    /// Opens everything and starts it. Nothing was sent where this fails. A forwarder whose state cannot be opened is an
    /// error only where there is no other. It waits for disks on the thread that polls it, which is to be none of the
    /// runtime's own. Who gives up waiting for this has `source_tasks` to stop the sources that take events already.
    pub async fn start(config: Config, source_tasks: SourceTasks) -> Result<Self, StartError> {
        let lock = open::state_dir(&config.state_dir)?;
        let registry = Arc::new(Registry::new(Timestamp::now()));
        let admin = match &config.admin {
            Some(admin) => Some(open::admin(AdminServer::bind(admin, registry.clone()).await?)),
            None => None,
        };
        let mut app = Self {
            registry,
            sources: BTreeMap::new(),
            source_tasks,
            forwarders: BTreeMap::new(),
            stopped: BTreeMap::new(),
            removed: BTreeMap::new(),
            counted: BTreeMap::new(),
            tasks: JoinSet::new(),
            admin,
            lock,
            config,
        };
        app.open_all().await?;
        app.registry.health.met(ReadyCondition::Configuration);
        app.judge_sources();
        Ok(app)
    }

    /// What the pages show of it, for others who tell how it is.
    pub fn registry(&self) -> Arc<Registry> {
        self.registry.clone()
    }

    /// Looks after the tasks until `stop` is asked for, or no source can bring anything more.
    pub async fn run_until(&mut self, stop: impl Future<Output = ()>) {
        let mut ticks = interval(Duration::from_secs(1));
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return,
                Some(ended) = self.tasks.join_next_with_id() => {
                    if let Err(panicked) = ended {
                        self.revive(panicked.id()).await;
                    }
                }
                _ = ticks.tick() => {
                    self.revive_sources().await;
                    self.try_stopped_again().await;
                    self.look_at_stopped();
                    self.look_at_removed();
                    self.judge_sources();
                    self.judge_state();
                    if !self.sources.is_empty() && self.sources.values().all(|source| source.ended.is_cancelled()) {
                        return;
                    }
                }
            }
        }
    }

    /// One more scan, then delivers what can be delivered in time. `hurry` completes when there is no more time.
    pub async fn drain(mut self, hurry: impl Future<Output = ()>) -> AppEnd {
        let files = self.sources.values().filter_map(|source| source.files.clone()).collect::<Vec<_>>();
        let forwarders = self.drain_forwarders(hurry).await;
        // Who has read all whole lines stands before one that has no end yet.
        let unfinished = if forwarders == ForwarderEnd::Drained { files.as_slice() } else { &[] };
        let mut unfinished_lines = 0;
        for log in unfinished {
            for (path, bytes) in log.left() {
                warn!(source = %log.name, path = %path.display(), bytes,
                    "a last line without its end is left: it is sent once it has its end, or its file is finished");
                unfinished_lines += 1;
            }
        }
        AppEnd { forwarders, shortfalls: Shortfalls::of(&self, unfinished_lines) }
    }

    async fn drain_forwarders(&mut self, hurry: impl Future<Output = ()>) -> ForwarderEnd {
        info!(timeout = ?self.config.drain_timeout, "stopping: delivering what is left");
        let until = Instant::now() + self.config.drain_timeout;
        for source in self.sources.values() {
            source.stop.cancel();
        }
        for source in std::mem::take(&mut self.sources).into_values() {
            let _ = tokio::time::timeout_at(until.into(), source.task).await;
        }
        for forwarder in self.forwarders.values() {
            forwarder.orders.send_replace(ForwarderOrder::Drain(until));
        }
        for name in self.stopped.keys() {
            warn!(
                forwarder = name,
                "it was not started: what it has not delivered is kept, and delivered once its state can be opened"
            );
        }
        let mut all = if self.stopped.is_empty() { ForwarderEnd::Drained } else { ForwarderEnd::Backlog };
        tokio::pin!(hurry);
        let mut hurried = false;
        let mut last_moment = until + LAST_WRITES;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(last_moment.into()) => {
                    error!("storage does not answer: a forwarder cannot write down where it stands; what it sent last may be sent again");
                    return ForwarderEnd::Unwritten;
                }
                ended = self.tasks.join_next() => match ended {
                    Some(Ok(ended)) => all = all.max(ended),
                    Some(Err(_)) => all = all.max(ForwarderEnd::Backlog),
                    None => break,
                },
                () = &mut hurry, if !hurried => {
                    hurried = true;
                    last_moment = Instant::now() + LAST_WRITES;
                    for forwarder in self.forwarders.values() {
                        forwarder.orders.send_replace(ForwarderOrder::Drain(Instant::now()));
                    }
                }
            }
        }
        if let Some((stop, task)) = self.admin.take() {
            stop.cancel();
            let _ = task.await;
        }
        all
    }

    /// A forwarder's task panicked: it is a bug, and the others go on.
    async fn revive(&mut self, task: Id) {
        let Some(name) =
            self.forwarders.iter().find(|(_, running)| running.task == task).map(|(name, _)| name.clone())
        else {
            return;
        };
        let text = "a bug: the forwarder's task panicked; it starts again from its journal, nothing is lost";
        error!(forwarder = name, "{text}");
        self.registry.alarms.raise(&AlarmSubject::forwarder(&name), AlarmKind::Bug, text, Timestamp::now());
        tokio::time::sleep(RESTART_PAUSE).await;
        let Some(running) = self.forwarders.remove(&name) else { return };
        match self.open_forwarder(running.config.clone()) {
            Ok(opened) => self.start_opened(opened).await,
            Err(error) => self.set_aside(running.config, &error),
        }
        self.show();
    }

    /// A source's task panicked: it starts again from its catalog, with those that follow it, whose logs ended with it.
    async fn revive_sources(&mut self) {
        let dead = |source: &&RunningSource| source.task.is_finished() && !source.stop.is_cancelled();
        let dead: Vec<_> = self.sources.values().filter(dead).map(|source| source.config.clone()).collect();
        for source in dead {
            let text = "a bug: the source's task panicked; it starts again from its catalog, nothing is lost";
            error!(source = source.name, "{text}");
            let subject = AlarmSubject::source(&source.name);
            self.registry.alarms.raise(&subject, AlarmKind::Bug, text, Timestamp::now());
            tokio::time::sleep(RESTART_PAUSE).await;
            if let Err(error) = self.restart_source(source.clone()).await {
                let text = format!("it panicked and cannot be started again: {error}");
                error!(source = source.name, "{text}");
                self.registry.alarms.raise(&subject, AlarmKind::State, text, Timestamp::now());
            }
        }
    }

    /// Ready means that each source that follows files looks at them.
    fn judge_sources(&mut self) {
        let blind = self.sources.values().find(|source| source.stats.is_blind());
        match blind {
            Some(source) => {
                let reason =
                    format!("the files of source {} cannot be looked at, as its alarm says", source.config.name);
                self.registry.health.unmet_because(ReadyCondition::Sources, reason);
            }
            None => self.registry.health.met(ReadyCondition::Sources),
        }
    }

    /// Ready means that the state directory can be written, and is ours.
    fn judge_state(&mut self) {
        self.keep_lock();
        let broken = self.registry.alarms.raised().into_iter().find(|alarm| alarm.kind == AlarmKind::State);
        match broken {
            Some(alarm) => {
                let reason = format!("{}: {}", alarm.subject, alarm.text);
                self.registry.health.unmet_because(ReadyCondition::State, reason);
            }
            None => self.registry.health.met(ReadyCondition::State),
        }
    }

    /// Takes the lock again where somebody removed it: without it a second process could start beside this one.
    fn keep_lock(&mut self) {
        if self.lock.stands() {
            self.registry.alarms.clear(&AlarmSubject::StateDirLock, AlarmKind::State);
            return;
        }
        match Lock::acquire(&self.config.state_dir) {
            Ok(lock) => {
                warn!("somebody removed the lock of the state directory; it is taken again");
                self.lock = lock;
            }
            Err(failure) => {
                let (subject, text) = (AlarmSubject::StateDirLock, failure.to_string());
                if self.registry.alarms.raise(&subject, AlarmKind::State, &*text, Timestamp::now()) {
                    error!("{text}");
                }
            }
        }
    }

    /// Shows what runs, in the configuration's order.
    fn show(&self) {
        let stats = |name: &String| {
            let running = self.forwarders.get(name).map(|running| &running.stats);
            running.or_else(|| self.stopped.get(name).map(|stopped| &stopped.stats)).cloned()
        };
        let configured = self.config.forwarders.iter().filter_map(|forwarder| stats(&forwarder.name));
        let removed = self.removed.values().map(|removed| removed.stats.clone());
        self.registry.set_forwarders(configured.chain(removed).collect());
        let sources = self.config.sources.iter().filter_map(|source| self.sources.get(&source.name));
        self.registry.set_sources(sources.map(|running| running.stats.clone()).collect());
    }
}
