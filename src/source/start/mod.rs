//! Starting a source, whatever its kind: what it takes events from, its log, its spool where it has one, and the tasks.
//!
//! What always holds: every forwarder is a follower of the log before anything can be released; where this fails no task
//! runs; a source whose task has ended before the stop is broken, and is to be started anew.

mod spooled;
mod stages;
mod tasks;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{
    file::FileTask,
    listener::{ListenError, Listener},
    spool::SpoolTask,
    spool_writer::SpoolWriter,
    stats::SourceStats,
};
use crate::{
    alarm::Alarms,
    config::{FileSource, Source, SourceKind, SpoolKeys},
    durable::{self, PrivateDirError},
    health::ProcessHealth,
    log::{
        Cursor, Log, SegmentId,
        catalog::CatalogError,
        spool::{self, Limits, SEGMENT_BYTES, Spool, SpoolError},
        tail::Tail,
    },
};

pub use tasks::SourceTasks;

use stages::Stages;

/// The catalog of a source's log, in its directory.
const CATALOG: &str = "catalog";

/// The catalog of the spool of a file source, beside that of the files.
const SPOOL_CATALOG: &str = "spool-catalog";

/// No segment that was ever numbered has such a number, where neither a catalog nor a journal says what there was.
const BEYOND_UNKNOWN: SegmentId = SegmentId(1 << 30);

/// The catalogs that a source may have: of its files or what it is sent, and of the spool that its files are copied to.
pub fn catalogs(state_dir: &Path, source: &str) -> [PathBuf; 2] {
    [CATALOG, SPOOL_CATALOG].map(|name| state_dir.join("sources").join(source).join(name))
}

/// What a source shares with the rest of the program, and what is known of those who follow it.
pub struct SourceSetup<'a> {
    pub state_dir: &'a Path,
    /// The forwarders that follow it.
    pub followers: Vec<String>,
    /// Where those stand that could be opened: a file is the same only if it still has the bytes before them.
    pub cursors: HashMap<SegmentId, Vec<Cursor>>,
    /// Whether all could be opened: else one may be behind them all.
    pub knows_all: bool,
    /// How many descriptors it may hold for files that still stand at their path.
    pub pins: usize,
    pub alarms: Arc<Alarms>,
    pub health: Arc<ProcessHealth>,
    /// Its task will be one of these.
    pub tasks: &'a SourceTasks,
}

/// Why a source was not started.
#[derive(Debug, thiserror::Error)]
pub enum SourceStartError {
    #[error(transparent)]
    Private(#[from] PrivateDirError),
    #[error("source {name}: {source}")]
    Listen { name: String, source: ListenError },
    #[error("source {name}: {source}")]
    Catalog { name: String, source: CatalogError },
    #[error("source {name}: {source}")]
    Spool { name: String, source: SpoolError },
    #[error(
        "source {name}: how far its files are copied to its spool cannot be read: {source}; nothing was started, so that nothing is copied twice"
    )]
    Copied { name: String, source: io::Error },
}

/// A source that was started.
pub struct RunningSource {
    pub config: Source,
    pub log: Log,
    /// The log of its files, where it follows some: the same one, unless they are copied to a spool.
    pub files: Option<Log>,
    pub stats: Arc<SourceStats>,
    /// Nothing more can come.
    pub ended: CancellationToken,
    pub stop: CancellationToken,
    /// Ends after the stop, or where it is broken.
    pub task: JoinHandle<()>,
}

/// Opens what a source needs and starts its tasks.
pub fn start(config: Source, setup: SourceSetup<'_>) -> Result<RunningSource, SourceStartError> {
    let dir = setup.state_dir.join("sources").join(&config.name);
    let starting = StartingSource { name: &config.name, dir, stats: Arc::new(SourceStats::new(&config.name)), setup };
    let ended = CancellationToken::new();
    let OpenedSource { log, files, stages } = match (&config.kind, config.kind.spool()) {
        (SourceKind::File(file), None) => starting.tail(file)?,
        (SourceKind::File(file), Some(keys)) => starting.copy(&config, file, keys)?,
        (_, keys) => {
            let keys = keys.expect("only files are followed without a spool");
            starting.listen(&config, keys, ended.clone())?
        }
    };
    let (stop, task) = starting.setup.tasks.spawn(|stop| stages.run(stop));
    Ok(RunningSource { log, files, stats: starting.stats, ended, stop, task, config })
}

/// The logs of a source that was opened, and what is to run.
struct OpenedSource {
    log: Log,
    files: Option<Log>,
    stages: Stages,
}

/// A source while it is opened.
struct StartingSource<'a> {
    name: &'a str,
    /// Its own directory.
    dir: PathBuf,
    stats: Arc<SourceStats>,
    setup: SourceSetup<'a>,
}

impl StartingSource<'_> {
    /// Files that are read where they are.
    fn tail(&self, file: &FileSource) -> Result<OpenedSource, SourceStartError> {
        self.create_dir()?;
        let mut cursors = self.cursors();
        spooled::keep_those_in_files(&mut cursors);
        spooled::tell_of_what_is_left(self.setup.state_dir, self.name, &self.setup.alarms);
        let (tail, log) = self.open_tail(file, &cursors)?;
        self.add_followers(&log);
        let pulse = self.setup.health.pulse(format!("source {}", self.name));
        let alarms = self.setup.alarms.clone();
        let task = FileTask::new(file, tail, log.clone(), self.stats.clone(), alarms, pulse);
        let mut stages = Stages::default();
        stages.add(|stop| task.run(stop));
        Ok(OpenedSource { files: Some(log.clone()), log, stages })
    }

    /// What hands its events over: the socket is opened first, so that nothing is created where it cannot be.
    fn listen(
        &self,
        config: &Source,
        keys: SpoolKeys,
        ended: CancellationToken,
    ) -> Result<OpenedSource, SourceStartError> {
        let name = || self.name.to_owned();
        let listener =
            Listener::open(config, &self.dir).map_err(|source| SourceStartError::Listen { name: name(), source })?;
        self.create_dir()?;
        let spool = self.open_spool(CATALOG, keys, &self.cursors())?;
        let log = spool.log().clone();
        self.add_followers(&log);
        let (task, spool_writer) = self.spool_task(config, spool, keys);
        info!(source = self.name, on = %listener, "taking events");
        // The spool would end with the last that can write to it; its segments are to be released still.
        let kept_open = spool_writer.clone();
        let mut stages = Stages::default();
        stages.add(|stop| listener.run(spool_writer, ended, stop));
        stages.add(|stop| async move {
            task.run(stop).await;
            drop(kept_open);
        });
        Ok(OpenedSource { log, files: None, stages })
    }

    fn create_dir(&self) -> Result<(), PrivateDirError> {
        durable::create_private_dir(&self.setup.state_dir.join("sources"))?;
        durable::create_private_dir(&self.dir)
    }

    /// Where the forwarders stand, for a log whose catalog may not be there.
    fn cursors(&self) -> HashMap<SegmentId, Vec<Cursor>> {
        let mut cursors = self.setup.cursors.clone();
        if !self.setup.knows_all && !self.dir.join(CATALOG).exists() {
            // Numbers that the one that cannot be opened knows must not come to mean other files.
            cursors.entry(BEYOND_UNKNOWN).or_default();
        }
        cursors
    }

    fn open_tail(
        &self,
        file: &FileSource,
        cursors: &HashMap<SegmentId, Vec<Cursor>>,
    ) -> Result<(Tail, Log), SourceStartError> {
        Tail::open(self.name, file.clone(), &self.dir, self.setup.state_dir, cursors, self.setup.pins)
            .map_err(|source| SourceStartError::Catalog { name: self.name.to_owned(), source })
    }

    fn open_spool(
        &self,
        catalog: &str,
        keys: SpoolKeys,
        cursors: &HashMap<SegmentId, Vec<Cursor>>,
    ) -> Result<Spool, SourceStartError> {
        // A quarter, so that the newest segment, which is not released, never fills a small spool.
        let limits = Limits { segment: SEGMENT_BYTES.min(keys.max_bytes / 4), total: keys.max_bytes };
        let dir = spool::dir(self.setup.state_dir, self.name);
        Spool::open(self.name, &dir, &self.dir.join(catalog), limits, cursors)
            .map_err(|source| SourceStartError::Spool { name: self.name.to_owned(), source })
    }

    fn spool_task(&self, config: &Source, spool: Spool, keys: SpoolKeys) -> (SpoolTask, SpoolWriter) {
        let (alarms, stats) = (self.setup.alarms.clone(), self.stats.clone());
        let pulse = self.setup.health.pulse(format!("source {}", self.name));
        let (task, intake) = SpoolTask::new(spool, keys.sync, alarms.clone(), stats.clone(), pulse);
        (task.on_full(keys.on_full), SpoolWriter::new(config, intake, stats, alarms))
    }

    fn add_followers(&self, log: &Log) {
        self.setup.followers.iter().for_each(|forwarder| log.release_gate.add_follower(forwarder));
    }
}
