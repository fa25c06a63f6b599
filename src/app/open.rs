//! Opening what runs: the state directory, journals, catalogs, clients; and starting the tasks.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{App, RunningForwarder, orphans};
use crate::{
    admin::{AdminBindError, AdminServer},
    alarm::{AlarmKind, AlarmSubject},
    config,
    durable::{self, PrivateDirError},
    forwarder::{
        dead_letter::DeadLetters,
        deliver::{WebhookClient, WebhookError},
        journal::{Journal, JournalError, Recovered},
        recorder::Recorder,
        task::{ForwarderSetup, ForwarderTask},
        window::ForwarderOrder,
    },
    local_file::LocalError,
    lock::{Lock, LockError},
    log::{Cursor, Log, SegmentId},
    source::{self, SourceSetup, SourceStartError},
};

/// Descriptors that are not for tailed files: connections, journals, the runtime.
const OTHER_DESCRIPTORS: u64 = 128;

/// Why nothing was started, or a forwarder or source was not.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "cannot create the state directory {path}: {source}; nothing was started: create it, or set stateDir to one that can be created"
    )]
    StateDir { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Private(#[from] PrivateDirError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Admin(#[from] AdminBindError),
    #[error("forwarder {forwarder}: {source}")]
    Journal { forwarder: String, source: JournalError },
    #[error(
        "forwarder {forwarder}: the dead letters cannot be opened: {source}; it is not started, so that nothing is passed over: mend what is named, or move it away"
    )]
    DeadLetters { forwarder: String, source: io::Error },
    #[error("forwarder {forwarder}: {source}")]
    Webhook { forwarder: String, source: WebhookError },
    #[error(transparent)]
    Source(#[from] SourceStartError),
}

impl StartError {
    /// Whether it is the state of one forwarder, so that others can run.
    pub(super) fn is_of_one_forwarder(&self) -> bool {
        matches!(self, Self::Journal { .. } | Self::DeadLetters { .. })
    }
}

/// The state directory, made if need be, and the lock on it.
pub(super) fn state_dir(path: &Path) -> Result<Lock, StartError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|source| StartError::StateDir { path: path.to_owned(), source })?;
    }
    durable::create_private_dir(path)?;
    Ok(Lock::acquire(path)?)
}

pub(super) fn admin(server: AdminServer) -> (CancellationToken, JoinHandle<()>) {
    let stop = CancellationToken::new();
    let task = tokio::spawn(server.run(stop.clone()));
    (stop, task)
}

/// A forwarder that is open and not yet started.
pub(super) struct Opened {
    config: config::Forwarder,
    journal: Journal,
    letters: DeadLetters,
    recovered: Recovered,
    webhook: WebhookClient,
}

impl Opened {
    pub(super) fn name(&self) -> &str {
        &self.config.name
    }
}

impl App {
    /// Opens and starts everything, the forwarders first: a log must know how far each of them is.
    pub(super) async fn open_all(&mut self) -> Result<(), StartError> {
        for name in orphans::forwarders(&self.config.state_dir, &self.config) {
            orphans::tell_of_forwarder(&name);
        }
        let (mut opened, mut failed) = (Vec::new(), Vec::new());
        for forwarder in self.config.forwarders.clone() {
            match self.open_forwarder(forwarder.clone()) {
                Ok(forwarder) => opened.push(forwarder),
                Err(error) if error.is_of_one_forwarder() => failed.push((forwarder, error)),
                Err(error) => return Err(error),
            }
        }
        if opened.is_empty() && !failed.is_empty() {
            let (_, first) = failed.remove(0);
            failed.into_iter().for_each(|(_, error)| error!("{error}"));
            return Err(first);
        }
        for source in self.config.sources.clone() {
            self.start_source(source, &opened)?;
        }
        for forwarder in opened {
            self.start_opened(forwarder).await;
        }
        failed.into_iter().for_each(|(forwarder, error)| self.set_aside(forwarder, &error));
        self.find_removed();
        self.show();
        Ok(())
    }

    pub(super) fn open_forwarder(&self, config: config::Forwarder) -> Result<Opened, StartError> {
        let forwarder = || config.name.clone();
        let state_dir = &self.config.state_dir;
        let (journal, recovered) = Journal::open(state_dir, &config.name)
            .map_err(|source| StartError::Journal { forwarder: forwarder(), source })?;
        self.report_damage(&config.name, &recovered);
        orphans::tell_of_sources(&config, &recovered);
        let letters = DeadLetters::open(state_dir, &config.name)
            .map_err(|source| StartError::DeadLetters { forwarder: forwarder(), source })?;
        let webhook =
            WebhookClient::new(&config).map_err(|source| StartError::Webhook { forwarder: forwarder(), source })?;
        Ok(Opened { config, journal, letters, recovered, webhook })
    }

    fn report_damage(&self, forwarder: &str, recovered: &Recovered) {
        let damage = &recovered.damage;
        if damage.torn {
            info!(
                forwarder,
                "the journal's last line was torn by a crash and is dropped; at most a batch is sent twice"
            );
        }
        if damage.quarantined > 0 {
            let text = format!(
                "{} lines of the journal were damaged on disk and are kept in journal.quarantine; what they said is sent again",
                damage.quarantined
            );
            warn!(forwarder, first = ?damage.reported.first(), "{text}");
            self.registry.alarms.raise(&AlarmSubject::journal(forwarder), AlarmKind::File, text, Timestamp::now());
        }
    }

    pub(super) fn start_source(&mut self, config: config::Source, opened: &[Opened]) -> Result<(), StartError> {
        let follows = |forwarder: &&config::Forwarder| forwarder.sources.contains(&config.name);
        let followers: Vec<_> =
            self.config.forwarders.iter().filter(follows).map(|forwarder| forwarder.name.clone()).collect();
        let setup = SourceSetup {
            state_dir: &self.config.state_dir,
            cursors: read_cursors(&config.name, opened),
            knows_all: followers.iter().all(|name| opened.iter().any(|opened| opened.name() == name)),
            followers,
            pins: self.pins(),
            alarms: self.registry.alarms.clone(),
            health: self.registry.health.clone(),
            tasks: &self.source_tasks,
        };
        let running = source::start(config, setup)?;
        self.sources.insert(running.config.name.clone(), running);
        Ok(())
    }

    pub(super) async fn start_opened(&mut self, opened: Opened) {
        let Opened { config, journal, letters, recovered, webhook } = opened;
        // A file system that hangs holds up this forwarder later, and no other now.
        let checked = tokio::time::timeout(config.timeout, webhook.check()).await;
        if let Err(error) = checked.unwrap_or(Err(LocalError::Slow)) {
            warn!(forwarder = config.name, %error, "a file that this forwarder needs cannot be used; its events wait until it can be");
        }
        let stats = self.stats_of(&config.name, &config.sources);
        let alarms = self.registry.alarms.clone();
        let orders = watch::Sender::new(ForwarderOrder::Run);
        let task = ForwarderTask::new(ForwarderSetup {
            sources: self.logs_of(&config),
            recorder: Recorder::new(&config.name, journal, letters, alarms.clone()),
            recovered,
            webhook,
            stats: stats.clone(),
            alarms,
            pulse: self.registry.health.pulse(format!("forwarder {}", config.name)),
            orders: orders.subscribe(),
            config: config.clone(),
        });
        // What kept it from being opened is over.
        self.registry.alarms.clear(&AlarmSubject::forwarder(&config.name), AlarmKind::File);
        info!(forwarder = config.name, to = config.uri.peer(), sources = ?config.sources, "forwarding");
        let task = self.tasks.spawn(task.run()).id();
        self.forwarders.insert(config.name.clone(), RunningForwarder { config, stats, orders, task });
    }

    fn logs_of(&self, forwarder: &config::Forwarder) -> Vec<(config::Source, Log)> {
        let running = forwarder.sources.iter().filter_map(|name| self.sources.get(name));
        running.map(|running| (running.config.clone(), running.log.clone())).collect()
    }

    /// How many descriptors each source may hold for files that still stand at their path.
    fn pins(&self) -> usize {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(65_536);
        let share = limit.saturating_sub(OTHER_DESCRIPTORS) / (2 * self.config.sources.len().max(1) as u64);
        usize::try_from(share).unwrap_or(usize::MAX).max(8)
    }
}

/// Where the forwarders stand in each segment of a source.
fn read_cursors(source: &str, opened: &[Opened]) -> HashMap<SegmentId, Vec<Cursor>> {
    let mut cursors: HashMap<SegmentId, Vec<Cursor>> = HashMap::new();
    for (id, cursor) in opened.iter().filter_map(|opened| opened.recovered.read_cursors.get(source)).flatten() {
        cursors.entry(*id).or_default().push(*cursor);
    }
    cursors
}
