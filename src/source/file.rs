//! The `file` source: a task that scans its paths and keeps the tailed log up to date.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    paths::Paths,
    stats::SourceStats,
    watch::{Hint, Watch},
};
use crate::{
    config::FileSource,
    health::Pulse,
    log::{Log, tail::Tail},
};

/// Writes that follow each other are looked at together.
const GATHER: Duration = Duration::from_millis(5);

/// Scans as fast as hints come, but no faster than this.
const SCAN_PAUSE: Duration = Duration::from_millis(50);

pub struct FileTask {
    name: String,
    paths: Paths,
    scan_interval: Duration,
    tail: Option<Tail>,
    log: Log,
    watch: Option<Watch>,
    watch_failed: bool,
    stats: Arc<SourceStats>,
    pulse: Pulse,
}

impl FileTask {
    pub fn new(source: &FileSource, tail: Tail, log: Log, stats: Arc<SourceStats>, pulse: Pulse) -> Self {
        let name = &*log.name;
        let watch = Watch::new();
        if let Err(error) = &watch {
            warn!(source = name, %error, "inotify is not to be had: files are looked at every {:?} only", source.scan_interval);
        }
        Self {
            name: name.to_owned(),
            stats,
            pulse,
            paths: Paths::new(source),
            scan_interval: source.scan_interval,
            tail: Some(tail),
            log,
            watch_failed: watch.is_err(),
            watch: watch.ok(),
        }
    }

    /// Scans until it is told to stop; then once more, so that what was written before the stop is seen.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(self.scan_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut first = true;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ticks.tick() => {
                    let matched = self.scan().await;
                    if std::mem::take(&mut first) && matched == 0 {
                        info!(source = self.name, "no file matches yet; files are read as they appear");
                    }
                }
                () = self.log.scan_asked() => {
                    self.scan().await;
                    sleep(SCAN_PAUSE).await;
                }
                hint = next_hint(&mut self.watch) => match hint {
                    Ok(Hint::Written(paths)) => {
                        sleep(GATHER).await;
                        self.glance(paths).await;
                    }
                    Ok(Hint::Scan) => {
                        sleep(GATHER).await;
                        self.scan().await;
                    }
                    Err(error) => {
                        warn!(source = self.name, %error, "inotify failed: files are looked at every {:?} only", self.scan_interval);
                        self.watch = None;
                    }
                },
            }
        }
        self.scan().await;
        if let Some(tail) = self.tail.take() {
            let _ = tokio::task::spawn_blocking(move || tail.close()).await;
        }
    }

    async fn scan(&mut self) -> usize {
        let Some(mut tail) = self.tail.take() else { return 0 };
        let paths = self.paths.clone();
        let scanned = tokio::task::spawn_blocking(move || {
            let found = paths.find();
            let matched = found.paths.len();
            tail.scan(found);
            (tail, matched)
        });
        let (tail, matched) = scanned.await.expect("a scan does not panic");
        self.watch_directories(&tail);
        let facts = tail.facts();
        self.stats.scanned(facts.files_matched, facts.files_open, facts.truncations);
        self.tail = Some(tail);
        self.pulse.beat();
        matched
    }

    async fn glance(&mut self, paths: BTreeSet<std::path::PathBuf>) {
        let Some(tail) = self.tail.take() else { return };
        let glanced = tokio::task::spawn_blocking(move || {
            let enough = tail.glance(&paths);
            (tail, enough)
        });
        let (tail, enough) = glanced.await.expect("a glance does not panic");
        self.tail = Some(tail);
        if !enough {
            self.scan().await;
        }
    }

    fn watch_directories(&mut self, tail: &Tail) {
        let Some(watch) = &mut self.watch else { return };
        let mut directories = tail.directories();
        directories.extend(self.paths.roots().filter(|root| root.is_dir()).map(Path::to_owned));
        match watch.set(directories) {
            Ok(()) => self.watch_failed = false,
            Err(error) => {
                if !std::mem::replace(&mut self.watch_failed, true) {
                    warn!(source = self.name, %error,
                        "not every directory can be watched: files there are looked at every {:?} only", self.scan_interval);
                }
            }
        }
    }
}

/// Waits for ever where there is no inotify.
async fn next_hint(watch: &mut Option<Watch>) -> std::io::Result<Hint> {
    match watch {
        Some(watch) => watch.next().await,
        None => std::future::pending().await,
    }
}
