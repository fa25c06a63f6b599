//! The file behind a journal: appending, syncing, replacing it, and going on without it.
//!
//! ```text
//!            write or sync fails, or the file is gone
//!   Good ───────────────────────────────────────────► Degraded
//!     ▲                                                  │ the whole state is written to a new file:
//!     └──────────────────────────────────────────────────┘ at each sync, and at appends at most once a second
//! ```

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant},
};

use crate::durable::{self, lines};

use super::{Damage, Journal, SettledCursors, UnixMillis};

/// How long appends leave a failing storage alone. A sync always tries.
const PAUSE: Duration = Duration::from_secs(1);

/// What is kept of bad lines over all starts, in bytes.
const MAX_ASIDE: u64 = 4 << 20;

#[derive(Debug)]
pub(super) struct Storage {
    pub(super) buffer: Vec<u8>,
    file: FileHealth,
    size: u64,
    limit: u64,
    /// The file is compacted when it is larger; at least twice what the last compaction left.
    compact_at: u64,
    /// How many appends there were, and how many of them are known to be on disk.
    appends: u64,
    covered: u64,
    /// Counts the files that the journal has had.
    generation: u64,
    incident: Option<String>,
}

#[derive(Debug)]
enum FileHealth {
    Good(File),
    Degraded { kind: io::ErrorKind, error: String, retry: Instant },
}

/// A sync under way, apart from the journal: [`SyncStarted::run`] may take long, the journal can be used meanwhile.
#[derive(Debug)]
#[must_use = "run it"]
pub struct SyncStarted {
    /// `None`: there is nothing to wait for, finishing rewrites the file or finds nothing to do.
    file: Option<File>,
    generation: u64,
    appends: u64,
    settled_cursors: BTreeMap<String, SettledCursors>,
}

/// A sync that ran; [`Journal::finish_sync`] takes its result.
#[derive(Debug)]
#[must_use = "finish it"]
pub struct SyncDone {
    result: io::Result<()>,
    started: SyncStarted,
}

impl SyncStarted {
    /// `fdatasync`, blocking.
    pub fn run(self) -> SyncDone {
        let result = self.file.as_ref().map_or(Ok(()), File::sync_data);
        SyncDone { result, started: self }
    }
}

impl Storage {
    pub(super) fn new(limit: u64) -> Self {
        let unwritten = FileHealth::Degraded {
            kind: io::ErrorKind::NotFound,
            error: "the journal was not written yet".into(),
            retry: Instant::now(),
        };
        Self {
            buffer: Vec::new(),
            file: unwritten,
            size: 0,
            limit,
            compact_at: limit,
            appends: 0,
            covered: 0,
            generation: 0,
            incident: None,
        }
    }

    pub(super) fn degrade(&mut self, error: &io::Error) {
        let text = error.to_string();
        self.incident = Some(text.clone());
        self.file = FileHealth::Degraded { kind: error.kind(), error: text, retry: Instant::now() + PAUSE };
    }
}

impl Journal {
    /// Makes all that was appended durable: begins, runs and finishes a sync.
    ///
    /// # Errors
    /// Where neither a sync nor a new file worked; then nothing more counts as synced.
    pub fn sync(&mut self) -> io::Result<()> {
        let done = self.start_sync().run();
        self.finish_sync(done)
    }

    /// Begins a sync that covers what was appended until now. One at a time: finish it before the next begins.
    pub fn start_sync(&mut self) -> SyncStarted {
        let mut started = SyncStarted {
            file: None,
            generation: self.storage.generation,
            appends: self.storage.appends,
            settled_cursors: BTreeMap::new(),
        };
        if let Some(missing) = self.missing() {
            self.storage.degrade(&missing);
        }
        let FileHealth::Good(file) = &self.storage.file else {
            return started;
        };
        if self.storage.covered == self.storage.appends {
            return started;
        }
        match file.try_clone() {
            Ok(file) => {
                started.file = Some(file);
                started.settled_cursors = self.all_settled_cursors();
            }
            Err(e) => self.storage.degrade(&e),
        }
        started
    }

    /// Takes the result of a sync. Where it failed, the state is written to a new file.
    ///
    /// # Errors
    /// As [`Journal::sync`].
    pub fn finish_sync(&mut self, SyncDone { result, started }: SyncDone) -> io::Result<()> {
        // A file that was replaced meanwhile is on disk already, with more in it.
        let current = started.generation == self.storage.generation && started.file.is_some();
        match result {
            Err(e) if current => self.storage.degrade(&explain("cannot sync", &self.path, &e)),
            Ok(()) if current && self.degraded().is_none() => {
                self.synced = started.settled_cursors;
                self.storage.covered = started.appends;
            }
            _ => {}
        }
        if self.degraded().is_some() { self.mend() } else { Ok(()) }
    }

    /// Writes the journal anew, as short as it can be, by replacement. Done by itself when the file is too large.
    ///
    /// # Errors
    /// Those of [`durable::replace`]. The old file goes on being used if it is still there, else the journal is degraded.
    pub fn compact(&mut self) -> io::Result<()> {
        let Err(e) = self.rewrite() else {
            return Ok(());
        };
        if self.missing().is_some() {
            self.storage.degrade(&e);
        } else {
            self.storage.incident = Some(e.to_string());
            self.storage.compact_at = self.storage.size + self.storage.limit / 2;
        }
        Err(e)
    }

    /// Why what is appended is not on disk at the moment, if so.
    pub fn degraded(&self) -> Option<&str> {
        match &self.storage.file {
            FileHealth::Good(_) => None,
            FileHealth::Degraded { error, .. } => Some(error),
        }
    }

    /// The last trouble with storage since this was asked last, mended or not: something to raise an alarm for.
    pub fn take_incident(&mut self) -> Option<String> {
        self.storage.incident.take()
    }

    /// The file's size, in bytes.
    pub fn size(&self) -> u64 {
        self.storage.size
    }

    /// Writes the buffer at the end of the file; in a degraded journal, tries to write everything anew.
    pub(super) fn store(&mut self) -> io::Result<()> {
        let storage = &mut self.storage;
        match &mut storage.file {
            FileHealth::Degraded { retry, .. } if Instant::now() >= *retry => return self.mend(),
            FileHealth::Degraded { kind, error, .. } => {
                return Err(io::Error::new(*kind, error.clone()));
            }
            FileHealth::Good(_) if storage.buffer.is_empty() => return Ok(()),
            FileHealth::Good(file) => {
                storage.appends += 1;
                // After a partial write the file ends in a torn line; it is never appended to again.
                if let Err(e) = file.write_all(&storage.buffer) {
                    let e = explain("cannot append to", &self.path, &e);
                    storage.degrade(&e);
                    return Err(e);
                }
            }
        }
        storage.size += storage.buffer.len() as u64;
        if storage.size > storage.compact_at {
            // The records are in the old file or in the new one; a failure is an incident, no error of this append.
            let _ = self.compact();
        }
        Ok(())
    }

    /// Replaces the file by one that holds the whole state. Nothing changes where that fails.
    pub(super) fn rewrite(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        lines::encode(&mut bytes, &self.header)?;
        self.state.write(&mut bytes, UnixMillis::now())?;
        match durable::replace(&self.path, &bytes) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.make_directories()?;
                durable::replace(&self.path, &bytes)?;
            }
            result => result?,
        }
        let storage = &mut self.storage;
        storage.file = FileHealth::Good(durable::append_file(&self.path)?);
        storage.size = bytes.len() as u64;
        storage.compact_at = storage.limit.max(storage.size * 2);
        storage.covered = storage.appends;
        storage.generation += 1;
        self.synced = self.all_settled_cursors();
        Ok(())
    }

    fn all_settled_cursors(&self) -> BTreeMap<String, SettledCursors> {
        self.state.read_cursors.keys().map(|source| (source.clone(), self.state.settled_cursors(source))).collect()
    }

    fn mend(&mut self) -> io::Result<()> {
        self.rewrite().inspect_err(|e| self.storage.degrade(e))
    }

    /// An error where the file that is appended to is not the one that a start would find.
    fn missing(&self) -> Option<io::Error> {
        let FileHealth::Good(file) = &self.storage.file else {
            return None;
        };
        let there = match (file.metadata(), self.path.symlink_metadata()) {
            (Ok(ours), Ok(there)) => ours.ino() == there.ino() && ours.dev() == there.dev(),
            _ => false,
        };
        let gone = || format!("the journal {} was removed or replaced by somebody else", self.path.display());
        (!there).then(|| io::Error::new(io::ErrorKind::NotFound, gone()))
    }

    /// The state directory was deleted under us: it is made again.
    fn make_directories(&self) -> io::Result<()> {
        for directory in self.path.ancestors().skip(1).take(3).collect::<Vec<_>>().into_iter().rev() {
            durable::create_private_dir(directory).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// Appends bad lines to `journal.quarantine`, as well as it can be done: they were counted already.
pub(super) fn keep_aside(path: &Path, damage: &Damage) {
    if damage.bytes.is_empty() {
        return;
    }
    let kept = durable::append_file(&path.with_file_name("journal.quarantine"))
        .and_then(|mut file| if file.metadata()?.len() < MAX_ASIDE { file.write_all(&damage.bytes) } else { Ok(()) });
    drop(kept);
}

fn explain(step: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{step} the journal {}: {error}", path.display()))
}
