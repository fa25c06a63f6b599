//! The `file` source: a task that scans its paths and keeps the tailed log up to date.
//!
//! It goes on whatever happens in a scan: a panic is an alarm, and the next scan comes in its time (`look`).

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    task::{JoinError, JoinHandle},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    look::{caught, look},
    paths::SourcePaths,
    stats::SourceStats,
    walk::WalkLimits,
    watch::{Hint, Watch},
};
use crate::{
    alarm::{AlarmKind, AlarmSubject, Alarms},
    config::FileSource,
    health::Pulse,
    log::{Log, tail::Tail},
};

/// Writes and new names that follow each other are looked at together.
const GATHER: Duration = Duration::from_millis(5);

/// The least pause between two scans that hints ask for.
const SCAN_PAUSE: Duration = Duration::from_millis(50);

/// Scans that hints ask for take at most one part in so many of the time, however many files there are.
const SHARE: u32 = 5;

/// How often it shows that it lives while nothing happens.
const BEAT: Duration = Duration::from_secs(5);

pub struct FileTask {
    name: String,
    subject: AlarmSubject,
    paths: SourcePaths,
    scan_interval: Duration,
    tail: Option<Tail>,
    log: Log,
    watch: Option<Watch>,
    watch_failed: bool,
    /// The last look at the files panicked.
    panicked: bool,
    stats: Arc<SourceStats>,
    alarms: Arc<Alarms>,
    pulse: Pulse,
    /// When a scan that was asked for is due.
    due: Option<Instant>,
    /// When the next one may begin.
    not_before: Instant,
}

impl FileTask {
    pub fn new(
        source: &FileSource,
        tail: Tail,
        log: Log,
        stats: Arc<SourceStats>,
        alarms: Arc<Alarms>,
        pulse: Pulse,
    ) -> Self {
        let name = &*log.name;
        let paths = SourcePaths::new(source);
        for doubt in paths.doubts() {
            warn!(source = name, "probably not meant so: {doubt}");
        }
        let watch = Watch::new();
        if let Err(error) = &watch {
            warn!(source = name, %error, "inotify is not to be had: files are looked at every {:?} only", source.scan_interval);
        }
        Self {
            name: name.to_owned(),
            subject: AlarmSubject::source(name),
            stats,
            alarms,
            pulse,
            paths,
            scan_interval: source.scan_interval,
            tail: Some(tail),
            log,
            watch_failed: watch.is_err(),
            watch: watch.ok(),
            panicked: false,
            due: None,
            not_before: Instant::now(),
        }
    }

    /// Raises its alarms under another name than the source's, where they are not all that is said of the source.
    pub fn called(self, subject: AlarmSubject) -> Self {
        Self { subject, ..self }
    }

    /// Scans until it is told to stop; then once more, so that what was written before the stop is seen.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(self.scan_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beats = interval(BEAT);
        let mut first = true;
        loop {
            let due = self.due.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ticks.tick() => {
                    let matched = self.scan().await;
                    if std::mem::take(&mut first) && matched == Some(0) {
                        warn!(source = self.name, include = ?self.paths.include(),
                            "no file matches; files are read as they appear");
                    }
                }
                () = sleep_until(due), if self.due.is_some() => {
                    self.scan().await;
                }
                () = self.log.scan_asked() => self.ask_for_scan(),
                hint = next_hint(&mut self.watch) => match hint {
                    Ok(Hint::Written(paths)) => {
                        sleep(GATHER).await;
                        self.note_growth(paths).await;
                    }
                    Ok(Hint::Scan) => self.ask_for_scan(),
                    Err(error) => {
                        warn!(source = self.name, %error, "inotify failed: files are looked at every {:?} only", self.scan_interval);
                        self.watch = None;
                    }
                },
                _ = beats.tick() => self.pulse.beat(),
            }
        }
        self.scan().await;
        if self.tail.as_ref().is_some_and(Tail::is_in_doubt) {
            self.scan().await; // A file that is deleted is taken in before the descriptor goes with the process.
        }
        if let Some(tail) = self.tail.take() {
            let _ = tokio::task::spawn_blocking(move || tail.close()).await;
        }
    }

    fn ask_for_scan(&mut self) {
        self.due.get_or_insert((Instant::now() + GATHER).max(self.not_before));
    }

    /// How many paths matched, unless that could not be seen.
    async fn scan(&mut self) -> Option<usize> {
        let tail = self.tail.take()?;
        self.due = None;
        let begun = Instant::now();
        let paths = self.paths.clone();
        let walked = Arc::new(AtomicU64::new(0));
        let progress = [tail.progress(), walked.clone()];
        let looking = tokio::task::spawn_blocking(move || {
            look(tail, || paths.find_with(WalkLimits::GENEROUS, &walked), Tail::scan)
        });
        let (tail, looked) = self.beat_until(looking, &progress).await.expect("its panics are caught");
        match &looked {
            Ok(_) => self.scanned(&tail),
            Err(panic) => self.looking_panicked(panic),
        }
        self.tail = Some(tail);
        self.pulse.beat();
        self.not_before = Instant::now() + (begun.elapsed() * (SHARE - 1)).max(SCAN_PAUSE);
        looked.ok()
    }

    /// Tells what a whole scan saw.
    fn scanned(&mut self, tail: &Tail) {
        self.watch_directories(tail);
        let facts = tail.facts();
        self.stats.scanned(facts.files_matched, facts.files_open, facts.truncations);
        self.set_alarm(AlarmKind::File, tail.unread());
        self.set_alarm(
            AlarmKind::State,
            tail.catalog_failure().map(|why| format!("the catalog cannot be written: {why}")),
        );
        if std::mem::take(&mut self.panicked) {
            info!(source = self.name, "the files can be looked at again");
        }
    }

    /// The source is not ended, for a restart would look at the same files; the process is not ready meanwhile.
    fn looking_panicked(&mut self, panic: &str) {
        let text = format!(
            "a bug: looking at the files panicked ({panic}). What is known of them is delivered and no file is let go, \
             but new files, rotations and deletions are not seen. It is tried again every {:?}; report it, and if it \
             lasts take out of `include` what came last",
            self.scan_interval
        );
        if !std::mem::replace(&mut self.panicked, true) {
            error!(source = self.name, "{text}");
        }
        self.stats.scan_failed();
        self.set_alarm(AlarmKind::File, Some(text));
    }

    /// Waits for a scan; shows that it lives as long as the walk, or the reading of compressed files, goes on.
    async fn beat_until<T>(&self, mut scan: JoinHandle<T>, progress: &[Arc<AtomicU64>]) -> Result<T, JoinError> {
        let mut beats = interval(BEAT);
        let seen = || progress.iter().map(|progress| progress.load(Ordering::Relaxed)).collect::<Vec<_>>();
        let mut before = seen();
        loop {
            tokio::select! {
                scanned = &mut scan => return scanned,
                _ = beats.tick() => {
                    let now = seen();
                    if now != before {
                        self.pulse.beat();
                        before = now;
                    }
                }
            }
        }
    }

    async fn note_growth(&mut self, paths: BTreeSet<std::path::PathBuf>) {
        let Some(mut tail) = self.tail.take() else { return };
        let noting = tokio::task::spawn_blocking(move || {
            let enough = caught(|| tail.note_growth(&paths));
            (tail, enough)
        });
        let (tail, enough) = noting.await.expect("its panics are caught");
        self.tail = Some(tail);
        match enough {
            Ok(true) => {}
            Ok(false) => self.ask_for_scan(),
            Err(panic) => {
                self.looking_panicked(&panic);
                self.ask_for_scan();
            }
        }
    }

    /// Raises an alarm of this source, or clears it.
    fn set_alarm(&self, kind: AlarmKind, trouble: Option<String>) {
        match trouble {
            Some(text) => {
                self.alarms.raise(&self.subject, kind, text, Timestamp::now());
            }
            None => {
                self.alarms.clear(&self.subject, kind);
            }
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::health::ProcessHealth;

    #[tokio::test]
    async fn a_panic_is_an_alarm_until_the_files_can_be_looked_at_again() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.log"), "1\n").unwrap();
        let source = FileSource::of_tests(vec![dir.path().join("*.log").display().to_string()]);
        let (tail, log) = Tail::open("app", source.clone(), dir.path(), dir.path(), &HashMap::new(), 10).unwrap();
        let (alarms, health) = (Arc::new(Alarms::default()), Arc::new(ProcessHealth::default()));
        let pulse = health.pulse("source app");
        let mut task = FileTask::new(&source, tail, log, Arc::new(SourceStats::new("app")), alarms.clone(), pulse);
        task.looking_panicked("no such luck");
        let raised = alarms.raised();
        assert_eq!((raised.len(), raised[0].kind), (1, AlarmKind::File));
        for words in ["no such luck", "no file is let go", "tried again every 1s", "report it"] {
            assert!(raised[0].text.contains(words), "{words}: {}", raised[0].text);
        }
        assert_eq!(task.scan().await, Some(1));
        assert!(alarms.raised().is_empty() && health.stuck().is_empty());
    }
}
