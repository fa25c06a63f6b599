//! A journal read back: header first, then line by line, in bounded memory.
//!
//! A torn last line is dropped; a bad line is set aside and counted; what it said is made up for by reading again
//! (see `state`). A header that cannot be read, or is not ours, is an error, and the file stays untouched.

#[cfg(test)]
mod tests;

use std::{
    io::{self, BufRead, BufReader},
    ops::Range,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::durable::{
    self, PrivateDirError,
    lines::{ChecksummedLine, ChecksummedLines},
};

use super::{record::JournalLine, state::JournalState, v1, words::UnixMillis};

/// The version that is written, and the newest that is understood.
pub(super) const VERSION: u32 = 2;

/// A larger file is no journal of ours: it is compacted long before.
const MAX_BYTES: u64 = 1 << 30;

/// How much of the bad lines is kept for a person to look at.
const MAX_QUARANTINE: usize = 1 << 20;

const MAX_REPORTED: usize = 16;

/// Why a journal cannot be opened. The file is untouched. Exit 78 for `Newer` and `OtherForwarder`, 73 for `Directory`,
/// else 74.
#[derive(Debug, Error)]
pub enum JournalError {
    #[error(transparent)]
    Directory(#[from] PrivateDirError),
    #[error(
        "cannot read or create the journal {}: {source}; where this forwarder stands is unknown, so it is not started: \
         mend the storage and start again", path.display()
    )]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "the journal {} has format version {version} and this program understands {VERSION}; it was left as it is and the \
         forwarder is not started: use the newer version of auditpost again", path.display()
    )]
    Newer { path: PathBuf, version: u32 },
    #[error(
        "the journal {} belongs to forwarder '{found}', not to '{expected}'; it was left as it is and the forwarder is \
         not started: put the right file back, or rename the forwarder", path.display()
    )]
    OtherForwarder { path: PathBuf, found: String, expected: String },
    #[error(
        "the journal {} ({size} bytes) {damage}; where this forwarder stands is unknown, so it is not started rather than \
         skip events: restore the file from a backup, or accept that its state is lost and that all that the logs still \
         hold is sent to it again, from the beginning: stop auditpost and run `{}`", path.display(), way_out(path)
    )]
    Damaged { path: PathBuf, size: u64, damage: &'static str },
}

/// The command that begins a damaged journal anew; without `--yes` it says what that means.
fn way_out(path: &Path) -> String {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let forwarder = path.parent().map(name).unwrap_or_default();
    let state_dir = path.ancestors().nth(3).unwrap_or(path);
    // Whoever reads it may stand elsewhere than we.
    let state_dir = std::path::absolute(state_dir).unwrap_or_else(|_| state_dir.to_owned());
    let state_dir = state_dir.to_string_lossy();
    let is_plain = state_dir.chars().all(|c| c.is_alphanumeric() || "/._-".contains(c));
    let state_dir = if is_plain { state_dir.into_owned() } else { format!("'{}'", state_dir.replace('\'', r"'\''")) };
    format!("auditpost cursors forget --damaged --forwarder {forwarder} --state-dir {state_dir}")
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct JournalHeader {
    pub(super) v: u32,
    pub(super) forwarder: String,
    /// Random; stays the same over compactions.
    pub(super) journal: String,
    pub(super) created: UnixMillis,
}

/// Version 1 wrote its times as numbers.
#[derive(Deserialize)]
struct OldHeader {
    forwarder: String,
    journal: String,
    created: i64,
}

impl From<OldHeader> for JournalHeader {
    fn from(OldHeader { forwarder, journal, created }: OldHeader) -> Self {
        Self { v: VERSION, forwarder, journal, created: UnixMillis(created) }
    }
}

/// What every version's header has.
#[derive(Deserialize)]
struct AnyHeader {
    v: u32,
}

#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) header: JournalHeader,
    pub(super) state: JournalState,
    pub(super) damage: Damage,
}

/// What was wrong with a journal that could be read all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Bad lines that were set aside.
    pub quarantined: u64,
    /// The first of them: where in the file, and what is wrong.
    pub reported: Vec<(Range<u64>, String)>,
    /// The last line was cut off, as a crash leaves it.
    pub torn: bool,
    /// The bad lines themselves, as far as they are kept.
    pub(super) bytes: Vec<u8>,
}

impl Damage {
    fn note(&mut self, bytes: &[u8], at: Range<u64>, what: impl FnOnce() -> String) {
        self.quarantined += 1;
        if self.reported.len() < MAX_REPORTED {
            self.reported.push((at, what()));
        }
        let kept = bytes.len().min(MAX_QUARANTINE.saturating_sub(self.bytes.len()));
        self.bytes.extend_from_slice(&bytes[..kept]);
        if !self.bytes.ends_with(b"\n") {
            self.bytes.push(b'\n');
        }
    }
}

/// Reads a journal; `None` where there is none.
pub(super) fn load(path: &Path, forwarder: &str, ledger_limit: usize) -> Result<Option<Loaded>, JournalError> {
    let io = |source| JournalError::Io { path: path.to_owned(), source };
    let file = match durable::read_file(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io(e)),
    };
    let metadata = file.metadata().map_err(io)?;
    let damaged = |damage| JournalError::Damaged { path: path.to_owned(), size: metadata.len(), damage };
    if !metadata.is_file() {
        return Err(damaged("is not a regular file"));
    }
    if metadata.len() > MAX_BYTES {
        return Err(damaged("is larger than any journal gets"));
    }
    if metadata.len() == 0 {
        return Err(damaged("is empty"));
    }
    let mut lines = ChecksummedLines::new(BufReader::with_capacity(1 << 16, file));
    let header = match lines.next_line().map_err(io)? {
        Some(ChecksummedLine::Whole { json, .. }) => read_header(path, forwarder, json)?,
        _ => None,
    };
    let (header, version) = header.ok_or_else(|| damaged("has no readable header"))?;
    let (state, damage) = read_records(&mut lines, version, ledger_limit).map_err(io)?;
    Ok(Some(Loaded { header, state, damage }))
}

/// Applies the lines after the header of a file of this version.
pub(super) fn read_records(
    lines: &mut ChecksummedLines<impl BufRead>,
    version: u32,
    ledger_limit: usize,
) -> io::Result<(JournalState, Damage)> {
    let mut state = JournalState::new(ledger_limit);
    let mut damage = Damage::default();
    let parse = if version == 1 { v1::parse } else { JournalLine::parse };
    while let Some(line) = lines.next_line()? {
        match line {
            ChecksummedLine::Whole { json, at } => match parse(json) {
                Ok(entry) => state.apply_entry(entry),
                Err(e) => damage.note(json, at, || format!("no record of this version: {e}")),
            },
            ChecksummedLine::Bad { bytes, at } => damage.note(bytes, at, || "wrong checksum".into()),
            ChecksummedLine::Torn { .. } => damage.torn = true,
        }
    }
    state.number_holes();
    Ok((state, damage))
}

/// The header, in this version's words, and the version that the file has.
fn read_header(path: &Path, forwarder: &str, json: &[u8]) -> Result<Option<(JournalHeader, u32)>, JournalError> {
    let Ok(AnyHeader { v: version }) = serde_json::from_slice(json) else {
        return Ok(None);
    };
    if version > VERSION {
        return Err(JournalError::Newer { path: path.to_owned(), version });
    }
    let header = match version {
        1 => serde_json::from_slice::<OldHeader>(json).map(JournalHeader::from),
        _ => serde_json::from_slice::<JournalHeader>(json),
    };
    let Ok(header) = header else {
        return Ok(None);
    };
    if header.forwarder != forwarder {
        let expected = forwarder.to_owned();
        return Err(JournalError::OtherForwarder { path: path.to_owned(), found: header.forwarder, expected });
    }
    Ok(Some((header, version)))
}
