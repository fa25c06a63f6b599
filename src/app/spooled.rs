//! File sources whose lines are copied into a spool as they come: the files, who copies, and the spool.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::Arc,
};

use jiff::Timestamp;
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    App, RunningSource, StartError,
    open::{BEYOND_UNKNOWN, Opened},
};
use crate::{
    alarm::{AlarmKind, AlarmSubject, Alarms},
    config::{self, FileSource, SpoolKeys},
    durable,
    log::{
        Cursor, SegmentId,
        catalog::Catalog,
        spool::{self, Limits, SEGMENT_BYTES, Spool},
        tail::Tail,
    },
    source::{
        copier::Copier, copy_journal::CopyJournal, file::FileTask, spool::SpoolTask, spool_writer::SpoolWriter,
        stats::SourceStats,
    },
};

/// Segments of such a spool are numbered from here, so that a journal's cursors in files are never taken for cursors in
/// the spool, nor the other way round, where `spool` is switched on or off.
const FIRST: SegmentId = SegmentId(1 << 32);

/// The catalog of the spool, beside that of the files.
pub const SPOOL_CATALOG: &str = "spool-catalog";

/// Where forwarders stand in the files themselves.
pub(super) fn in_files(cursors_of_forwarders: &mut HashMap<SegmentId, Vec<Cursor>>) {
    cursors_of_forwarders.retain(|id, _| *id < FIRST);
}

/// Says so where a source was spooled before and is not now, and something is left.
pub(super) fn tell_of_what_is_left(state_dir: &Path, source: &str, alarms: &Alarms) {
    let dir = spool::dir(state_dir, source);
    let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
    let segments = entries.filter(|entry| entry.path().extension().is_some_and(|it| it == "ndjson"));
    let bytes: u64 = segments.filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum();
    if bytes > 0 {
        let text = format!(
            "the source was spooled before, and {bytes} bytes are left in {}: what forwarders have not read of them is not delivered; set spool: true until it is, or remove the directory",
            dir.display()
        );
        warn!(source, "{text}");
        alarms.raise(&AlarmSubject::spool(source), AlarmKind::File, text, Timestamp::now());
    }
}

impl App {
    /// Opens the spool and the files, and starts what copies from these into that.
    pub(super) fn start_spooled(
        &mut self,
        config: config::Source,
        file: &FileSource,
        keys: SpoolKeys,
        opened: &[Opened],
    ) -> Result<(), StartError> {
        let name = || config.name.clone();
        let dir = self.source_dir(&config.name);
        for directory in [self.config.state_dir.join("sources"), dir.clone()] {
            durable::create_private_dir(&directory)?;
        }
        let of_files = |source| StartError::Copied { name: name(), source };
        let of_spool = |source| StartError::Spool { name: name(), source };
        let knows_all = self.knows_all_followers(&config.name, opened);
        let mut cursors_of_forwarders = self.cursors_of_forwarders(&config.name, opened, &dir.join("catalog"));
        let catalog = dir.join(SPOOL_CATALOG);
        if !catalog.exists() {
            let log = format!("{:08x}", fastrand::u32(..));
            let next = FIRST.0 + if knows_all { 0 } else { BEYOND_UNKNOWN.0 };
            Catalog { log, next, ..Catalog::default() }.save(&catalog).map_err(of_files)?;
        }
        let limits = Limits { segment: SEGMENT_BYTES.min(keys.max_bytes / 4), total: keys.max_bytes };
        let spool_dir = spool::dir(&self.config.state_dir, &config.name);
        let spooled: HashMap<_, _> = cursors_of_forwarders.extract_if(|id, _| *id >= FIRST).collect();
        let spool = Spool::open(&config.name, &spool_dir, &catalog, limits, &spooled).map_err(of_spool)?;
        let log = spool.log().clone();
        for forwarder in self.config.forwarders.iter().filter(|forwarder| forwarder.sources.contains(&config.name)) {
            log.release_gate.add_follower(&forwarder.name);
        }

        // Where the source was not spooled before: what the hindmost forwarder has not delivered is copied.
        let hindmost = |cursors: &Vec<Cursor>| cursors.iter().copied().min_by_key(|cursor| cursor.offset);
        let mut before: BTreeMap<_, _> =
            cursors_of_forwarders.iter().filter_map(|(id, cursors)| Some((*id, hindmost(cursors)?))).collect();
        let copy_journal = dir.join("copied");
        if !knows_all {
            before.clear(); // One cannot be opened and may be behind them all.
            if !copy_journal.exists() {
                warn!(
                    source = config.name,
                    "a forwarder of this source cannot be opened, so all that the files still hold is copied to the spool: \
                     the others get again what they had delivered"
                );
            }
        }
        let copied = CopyJournal::open(&copy_journal, before).map_err(of_files)?;
        let cursors = copied.cursors().iter().map(|(id, cursor)| (*id, vec![*cursor])).collect();
        let (tail, files) =
            Tail::open(&config.name, file.clone(), &dir, &self.config.state_dir, &cursors, self.pins())
                .map_err(|source| StartError::Catalog { name: name(), source })?;

        let stats = Arc::new(SourceStats::new(&config.name));
        let alarms = self.registry.alarms.clone();
        let subject = AlarmSubject::files(&config.name);
        let pulses = [&subject, &AlarmSubject::source(&config.name)]
            .map(|subject| self.registry.health.pulse(subject.to_string()));
        let [of_files, of_spool] = pulses;
        let (spool, intake) = SpoolTask::new(spool, keys.sync, alarms.clone(), stats.clone(), of_spool);
        let spool = spool.on_full(keys.on_full);
        let spool_writer = SpoolWriter::new(&config, intake, stats.clone(), alarms.clone());
        let copier = Copier::new(files.clone(), log.clone(), copied, spool_writer);
        let file = FileTask::new(file, tail, files, stats.clone(), alarms, of_files).called(subject);
        info!(source = config.name, "copying what files get to the spool");
        let stop = CancellationToken::new();
        let task = tokio::spawn(run_together(file, copier, spool, stop.clone()));
        self.sources.insert(
            config.name.clone(),
            RunningSource { config, log, stats, ended: CancellationToken::new(), stop, task },
        );
        Ok(())
    }
}

/// Stops in the order in which lines pass. Ends before the stop where one of them panics: all are started anew then.
async fn run_together(file: FileTask, copier: Copier, spool: SpoolTask, stop: CancellationToken) {
    let stops = [(); 3].map(|()| CancellationToken::new());
    let mut tasks: [JoinHandle<()>; 3] = [
        tokio::spawn(file.run(stops[0].clone())),
        tokio::spawn(copier.run(stops[1].clone())),
        tokio::spawn(spool.run(stops[2].clone())),
    ];
    let [file, copier, spool] = &mut tasks;
    let ended: Option<Result<(), JoinError>> = tokio::select! {
        () = stop.cancelled() => None,
        ended = file => Some(ended),
        ended = copier => Some(ended),
        ended = spool => Some(ended),
    };
    for (task, stop) in tasks.iter_mut().zip(stops) {
        if ended.is_some() {
            task.abort();
        }
        stop.cancel();
        if !task.is_finished() || ended.is_none() {
            let _ = task.await;
        }
    }
}
