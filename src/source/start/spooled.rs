//! File sources whose lines are copied into a spool as they come: the files, who copies, and the spool. Nothing is
//! released twice over: the files wait for the copier, the spool for the forwarders.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::Path,
};

use jiff::Timestamp;
use tracing::{info, warn};

use super::{BEYOND_UNKNOWN, OpenedSource, SPOOL_CATALOG, SourceStartError, StartingSource, stages::Stages};
use crate::{
    alarm::{AlarmKind, AlarmSubject, Alarms},
    config::{FileSource, Source, SpoolKeys},
    log::{Cursor, SegmentId, catalog::Catalog, spool},
    source::{copier::Copier, copy_journal::CopyJournal, file::FileTask},
};

/// Segments of such a spool are numbered from here, so that a journal's cursors in files are never taken for cursors in
/// the spool, nor the other way round, where `spool` is switched on or off.
const FIRST: SegmentId = SegmentId(1 << 32);

/// Where forwarders stand in the files themselves.
pub(super) fn keep_those_in_files(cursors: &mut HashMap<SegmentId, Vec<Cursor>>) {
    cursors.retain(|id, _| *id < FIRST);
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

impl StartingSource<'_> {
    /// Opens the spool and the files, with what copies from these into that between them.
    pub(super) fn copy(
        &self,
        config: &Source,
        file: &FileSource,
        keys: SpoolKeys,
    ) -> Result<OpenedSource, SourceStartError> {
        self.create_dir()?;
        let mut cursors = self.cursors();
        let in_spool: HashMap<_, _> = cursors.extract_if(|id, _| *id >= FIRST).collect();
        self.create_spool_catalog()?;
        let spool = self.open_spool(SPOOL_CATALOG, keys, &in_spool)?;
        let log = spool.log().clone();
        self.add_followers(&log);
        let copied = self.open_copy_journal(&cursors)?;
        let in_files = copied.cursors().iter().map(|(id, cursor)| (*id, vec![*cursor])).collect();
        let (tail, files) = self.open_tail(file, &in_files)?;

        let subject = AlarmSubject::files(self.name);
        let pulse = self.setup.health.pulse(subject.to_string());
        let (spool, spool_writer) = self.spool_task(config, spool, keys);
        let copier = Copier::new(files.clone(), log.clone(), copied, spool_writer);
        let alarms = self.setup.alarms.clone();
        let file = FileTask::new(file, tail, files.clone(), self.stats.clone(), alarms, pulse).called(subject);
        info!(source = self.name, "copying what files get to the spool");
        let mut stages = Stages::default();
        stages.add(|stop| file.run(stop));
        stages.add(|stop| copier.run(stop));
        stages.add(|stop| spool.run(stop));
        Ok(OpenedSource { log, files: Some(files), stages })
    }

    fn create_spool_catalog(&self) -> Result<(), SourceStartError> {
        let catalog = self.dir.join(SPOOL_CATALOG);
        if catalog.exists() {
            return Ok(());
        }
        let log = format!("{:08x}", fastrand::u32(..));
        let next = FIRST.0 + if self.setup.knows_all { 0 } else { BEYOND_UNKNOWN.0 };
        Catalog { log, next, ..Catalog::default() }.save(&catalog).map_err(|source| self.not_copied(source))
    }

    /// How far the files are copied. Where the source was not spooled before: what the hindmost forwarder has not
    /// delivered is to be.
    fn open_copy_journal(&self, in_files: &HashMap<SegmentId, Vec<Cursor>>) -> Result<CopyJournal, SourceStartError> {
        let hindmost = |cursors: &Vec<Cursor>| cursors.iter().copied().min_by_key(|cursor| cursor.offset);
        let mut before: BTreeMap<_, _> =
            in_files.iter().filter_map(|(id, cursors)| Some((*id, hindmost(cursors)?))).collect();
        let path = self.dir.join("copied");
        if !self.setup.knows_all {
            before.clear(); // One cannot be opened and may be behind them all.
            if !path.exists() {
                warn!(
                    source = self.name,
                    "a forwarder of this source cannot be opened, so all that the files still hold is copied to the spool: \
                     the others get again what they had delivered"
                );
            }
        }
        CopyJournal::open(&path, before).map_err(|source| self.not_copied(source))
    }

    fn not_copied(&self, source: io::Error) -> SourceStartError {
        SourceStartError::Copied { name: self.name.to_owned(), source }
    }
}
