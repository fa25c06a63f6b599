//! A forwarder's memory: which batches it was about to send, which are settled, and so where it stands.
//!
//! ```text
//! <stateDir>/forwarders/<name>/journal              checksummed lines, see durable::lines
//!   {"v":2,"forwarder":"siem","journal":"<hex>",…}  header
//!   {"record":"snapshot",…} …                       what a compaction kept
//!   {"record":"intent",…}                           before a batch is first sent
//!   {"record":"settled",…}                          when it needs nothing more
//! <stateDir>/forwarders/<name>/journal.quarantine   bad lines found in it, for a person to look at
//! ```
//!
//! What always holds: a cursor moves only forward, except by [`CursorSet`]; it passes a byte only after a record said
//! that the byte is settled. A crash leaves the appended lines, the last of them possibly torn. A lost line costs
//! duplicates, never an event.
//!
//! Storage may fail without stopping delivery. After a failed write or sync the descriptor is never trusted again: the
//! whole state is written to a new file, and until that works nothing more counts as synced, so no log releases
//! anything. What a crash costs meanwhile is duplicates.

mod check;
mod compact;
mod ledger;
mod record;
mod replay;
mod span;
mod state;
mod storage;
#[cfg(test)]
pub(crate) mod tests;
mod v1;
mod words;

use std::{
    collections::BTreeMap,
    io,
    path::{Component, Path, PathBuf},
};

use thiserror::Error;

use crate::durable::{self, lines};

pub use record::{
    Advance, BatchParent, BatchRecord, Coverage, CursorSet, Forget, ForgetSource, Gap, Hold, HoldEnd, Intent,
    JournalRecord, LedgerEntry, LetterMark, Outcome, SetBy, Settled, Totals,
};
pub use replay::{Damage, JournalError};
pub use state::{MAX_GAPS, ReadCursors, SettledCursors};
pub use words::UnixMillis;

use replay::{JournalHeader, Loaded, VERSION};
use state::JournalState;
use storage::Storage;

/// The file is compacted when it is larger than this, in bytes.
pub const DEFAULT_LIMIT: u64 = 8 << 20;

/// An open journal. One per forwarder, under the state directory's lock.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    header: JournalHeader,
    state: JournalState,
    storage: Storage,
    /// What [`Journal::settled_cursors`] was when the file was last known to be on disk.
    synced: BTreeMap<String, SettledCursors>,
}

/// What a journal told when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// There was no journal: this forwarder never ran with this state directory.
    pub fresh: bool,
    pub next_batch: u64,
    /// Where reading goes on, per source and segment. A segment that is not there was never read.
    pub read_cursors: BTreeMap<String, ReadCursors>,
    /// To be sent before anything is read on; per source in the log's order.
    pub outstanding: Vec<BatchRecord>,
    pub totals: BTreeMap<String, Totals>,
    /// The newest gaps, oldest first.
    pub gaps: Vec<Gap>,
    /// Why the receiver got nothing when the journal was written last.
    pub hold: Option<Hold>,
    /// What became of dead letters, by the id of their event.
    pub letters: BTreeMap<String, LetterMark>,
    pub damage: Damage,
}

impl Recovered {
    /// As [`Journal::settled_cursors`].
    pub fn settled_cursors(&self, source: &str) -> SettledCursors {
        let cursors = self.read_cursors.get(source);
        cursors.map(|cursors| state::settled_cursors(cursors, source, &self.outstanding)).unwrap_or_default()
    }
}

/// Why [`Journal::append`] failed.
#[derive(Debug, Error)]
pub enum JournalAppendError {
    /// A bug of the caller. Neither this record nor any after it was taken; those before it were.
    #[error("a record was not taken into the journal because it contradicts it: {0}")]
    Refused(String),
    /// The records count, but only in memory: see [`Journal::degraded`]. Delivery may go on.
    #[error("{0}")]
    Storage(#[from] io::Error),
}

impl Journal {
    /// Opens or creates the journal of a forwarder and writes it anew, so that what is known is on disk.
    ///
    /// Where the storage fails at that, an existing journal opens all the same, degraded.
    ///
    /// # Errors
    /// [`JournalError`]; an existing file is then untouched.
    pub fn open(state_dir: &Path, forwarder: &str) -> Result<(Self, Recovered), JournalError> {
        Self::open_with(state_dir, forwarder, DEFAULT_LIMIT)
    }

    /// As [`Journal::open`], compacting above `limit` bytes. A quarter of that is for the ledger.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_with(state_dir: &Path, forwarder: &str, limit: u64) -> Result<(Self, Recovered), JournalError> {
        let path = path(state_dir, forwarder)?;
        create_dirs(&path)?;
        let loaded = replay::load(&path, forwarder, ledger_limit(limit))?;
        let fresh = loaded.is_none();
        let Loaded { header, state, damage } = loaded.unwrap_or_else(|| first(forwarder, limit));
        storage::keep_aside(&path, &damage);
        let recovered = recovered(&state, damage, fresh);
        let mut journal = Self { path, header, state, storage: Storage::new(limit), synced: BTreeMap::new() };
        match journal.rewrite() {
            Err(source) if fresh => Err(JournalError::Io { path: journal.path, source }),
            Err(e) => {
                journal.storage.degrade(&e);
                Ok((journal, recovered))
            }
            Ok(()) => Ok((journal, recovered)),
        }
    }

    /// What the journal of a forwarder says, without touching it; `None` where there is none.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn read(state_dir: &Path, forwarder: &str) -> Result<Option<Recovered>, JournalError> {
        let loaded = replay::load(&path(state_dir, forwarder)?, forwarder, 0)?;
        Ok(loaded.map(|Loaded { state, damage, .. }| recovered(&state, damage, false)))
    }

    /// What the journal remembers of settled batches, oldest first, without touching it; `None` where there is none.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn history(state_dir: &Path, forwarder: &str) -> Result<Option<Vec<LedgerEntry>>, JournalError> {
        let loaded = replay::load(&path(state_dir, forwarder)?, forwarder, usize::MAX)?;
        Ok(loaded.map(|Loaded { state, .. }| state.ledger.iter().cloned().collect()))
    }

    /// After [`JournalError::Damaged`], once an operator accepted the loss: keeps the damaged file beside as
    /// `journal.damaged-<milliseconds>` and begins a new one, which knows of nothing. Gives the path of what was kept.
    ///
    /// # Errors
    /// As [`Journal::open`]; the damaged file may then have been renamed already, unless its directory is refused.
    pub fn start_over(state_dir: &Path, forwarder: &str) -> Result<PathBuf, JournalError> {
        let path = path(state_dir, forwarder)?;
        // Another user's must not be renamed and then not be begun anew.
        create_dirs(&path)?;
        let aside = path.with_file_name(format!("journal.damaged-{}", UnixMillis::now().0));
        match std::fs::rename(&path, &aside) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(JournalError::Io { path, source }),
            _ => Self::open(state_dir, forwarder)?,
        };
        Ok(aside)
    }

    /// Appends records in one write; they survive the process, and a power cut after the next sync.
    ///
    /// # Errors
    /// [`JournalAppendError`] says whether the records count.
    pub fn append(&mut self, records: &[JournalRecord]) -> Result<(), JournalAppendError> {
        let mut refused = None;
        self.storage.buffer.clear();
        for record in records {
            let taken = self
                .state
                .check(record)
                .and_then(|()| lines::encode(&mut self.storage.buffer, record).map_err(|e| e.to_string()));
            if let Err(why) = taken {
                refused = Some(why);
                break;
            }
            self.state.apply(record);
        }
        let stored = self.store();
        match refused {
            Some(why) => Err(JournalAppendError::Refused(why)),
            None => Ok(stored?),
        }
    }

    /// Where everything before is settled, by what was appended: `min(read cursor, lowest outstanding byte)`.
    pub fn settled_cursors(&self, source: &str) -> SettledCursors {
        self.state.settled_cursors(source)
    }

    /// The same by what is known to be on disk: what a log may release by.
    pub fn durable_cursors(&self, source: &str) -> SettledCursors {
        self.synced.get(source).cloned().unwrap_or_default()
    }

    /// Where reading stands, per segment.
    pub fn read_cursors(&self, source: &str) -> Option<&ReadCursors> {
        self.state.read_cursors.get(source)
    }

    pub fn next_batch(&self) -> u64 {
        self.state.next_batch
    }

    /// Batches that are not settled; per source in the log's order.
    pub fn outstanding(&self) -> &[BatchRecord] {
        &self.state.outstanding
    }

    pub fn totals(&self, source: &str) -> Totals {
        self.state.totals.get(source).copied().unwrap_or_default()
    }

    /// When a batch of this source was announced last, of those that are remembered.
    pub fn last_announced(&self, source: &str) -> Option<UnixMillis> {
        let outstanding = self.state.outstanding.iter().rev().find(|batch| batch.source == source);
        let settled =
            || self.state.ledger.iter().rev().map(|entry| &entry.batch).find(|batch| batch.source == source);
        outstanding.or_else(settled).map(|batch| batch.at)
    }

    /// The newest settled batches, oldest first.
    pub fn ledger(&self) -> impl DoubleEndedIterator<Item = &LedgerEntry> {
        self.state.ledger.iter()
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The forwarders that have a directory under `stateDir/forwarders`, in order.
///
/// # Errors
/// Those of reading the directory; a missing one has no forwarders.
pub fn forwarders(state_dir: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(state_dir.join("forwarders")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn path(state_dir: &Path, forwarder: &str) -> Result<PathBuf, JournalError> {
    let path = state_dir.join("forwarders").join(forwarder).join("journal");
    let mut parts = Path::new(forwarder).components();
    if matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) && !forwarder.contains('/') {
        return Ok(path);
    }
    let source = io::Error::new(io::ErrorKind::InvalidInput, "no forwarder has such a name");
    Err(JournalError::Io { path, source })
}

/// Makes sure of the two directories above a journal.
fn create_dirs(journal: &Path) -> Result<(), JournalError> {
    for directory in journal.ancestors().skip(1).take(2).collect::<Vec<_>>().into_iter().rev() {
        durable::create_private_dir(directory)?;
    }
    Ok(())
}

/// A quarter. A limit beyond the address space is as good as none.
fn ledger_limit(limit: u64) -> usize {
    usize::try_from(limit / 4).unwrap_or(usize::MAX)
}

fn first(forwarder: &str, limit: u64) -> Loaded {
    let header = JournalHeader {
        v: VERSION,
        forwarder: forwarder.to_owned(),
        journal: format!("{:032x}", fastrand::u128(..)),
        created: UnixMillis::now(),
    };
    Loaded { header, state: JournalState::new(ledger_limit(limit)), damage: Damage::default() }
}

fn recovered(state: &JournalState, mut damage: Damage, fresh: bool) -> Recovered {
    damage.bytes = Vec::new();
    Recovered {
        fresh,
        next_batch: state.next_batch,
        read_cursors: state.read_cursors.clone(),
        outstanding: state.outstanding.clone(),
        totals: state.totals.clone(),
        gaps: state.gaps.iter().cloned().collect(),
        hold: state.hold.clone(),
        letters: state.letters.clone(),
        damage,
    }
}
