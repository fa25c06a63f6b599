//! Which lives of files are which segments, durably.
//!
//! ```text
//! {"v":1,"log":"5f0c…","next":18,…}        the header: format, the log's random id, the next segment number,
//!                                          paths that had files of which no life is known any more, generations
//!                                          that wait to be restored, cut files
//! {"id":17,"path":"…","key":{…},…}         one line a life, oldest first
//! ```
//!
//! Every line is framed by a checksum ([`crate::durable::lines`]). The file is small and is replaced as a whole when lives begin, move or end: a
//! crash leaves the old one or the new one. A line that was damaged on disk is reported and left out: its file is
//! then met as a new one and read from its beginning, which costs duplicates and loses nothing.

use std::{
    io::{self, BufReader},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    identity::FileKey,
    position::{Cursor, SegmentId},
};
use crate::durable::{
    self,
    lines::{self, ChecksummedLine, ChecksummedLines},
};

/// The version of the format that this program writes.
const VERSION: u32 = 1;

#[derive(Debug, Default)]
pub struct Catalog {
    pub log: String,
    pub next: u64,
    pub lives: Vec<CatalogEntry>,
    pub empty_paths: Vec<EmptyPath>,
    pub postponed: Vec<PostponedGeneration>,
    /// Files that were cut and in which no life began since: what they hold is younger than all copies.
    pub cut: Vec<FileKey>,
    /// Lines that could not be read.
    pub damaged: usize,
}

/// A path that had a file, of which no life is known any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmptyPath {
    #[serde(with = "durable::path")]
    pub path: PathBuf,
    /// What stood beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<FileKey>,
}

/// A generation that was missed, and could not be restored from its compressed file yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PostponedGeneration {
    #[serde(with = "durable::path")]
    pub path: PathBuf,
    pub key: FileKey,
    #[serde(with = "durable::path")]
    pub lineage: PathBuf,
}

/// One life of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CatalogEntry {
    pub id: SegmentId,
    #[serde(with = "durable::path")]
    pub lineage: PathBuf,
    #[serde(with = "durable::path")]
    pub path: PathBuf,
    pub key: FileKey,
    pub stage: CatalogStage,
    /// Where its first bytes end, with their hash.
    pub head: Cursor,
    /// Where the scanner last looked, with the hash of the bytes before it.
    pub seen: Cursor,
    /// Where it looked before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<Cursor>,
    /// Where the last line began, if it was not whole then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torn_from: Option<Cursor>,
    /// When it was last changed, as far as was seen: seconds and nanoseconds.
    pub modified: (i64, u32),
    /// The same by the file system's own clock, where that says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<(i64, u32)>,
    pub start: Cursor,
    pub size: u64,
    /// Where the bytes end that its file still has, if the last ones are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_from: Option<u64>,
    /// The last position of `size` stands for bytes that nobody saw.
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_unseen: bool,
    /// No path named it, and somebody might write to it: after a crash nobody knows where it ended.
    #[serde(default, skip_serializing_if = "is_false")]
    pub held_late: bool,
    /// It had no name any more, for the file of this life had replaced it: after a crash it is nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<SegmentId>,
    /// All that its file had when it was met was in another: nothing before its start was read from it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_copy: bool,
    /// Where its file is our copy of the rest of a deleted one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absorbed: Option<Absorbed>,
    /// Of a sealed segment of a spool: its checksum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc32: Option<u32>,
    /// The compressed file that its content was taken from, or is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packed: Option<CompressedOrigin>,
}

/// The copy of a deleted file's rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absorbed {
    /// The first position whose bytes are there.
    pub from: u64,
    /// When the deleted file was born: what is younger in the lineage is a later generation.
    pub since: (i64, u32),
}

/// The compressed file whose content a segment has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompressedOrigin {
    #[serde(with = "durable::path")]
    pub path: PathBuf,
    pub key: FileKey,
    /// When the file was born that was compressed, or last written where that is not known: what is younger in the
    /// lineage is a later generation.
    pub since: (i64, u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatalogStage {
    Active,
    Draining,
    Sealed,
    Gone,
    Released,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[derive(Debug, Serialize, Deserialize)]
struct CatalogHeader {
    v: u32,
    log: String,
    next: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    empty_paths: Vec<EmptyPath>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    postponed: Vec<PostponedGeneration>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cut: Vec<FileKey>,
}

#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("cannot read the catalog {path}: {source}; nothing was started, so that no file is read twice")]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "the catalog {path} is of version {found}, written by a newer auditpost; this one knows version {VERSION}: run that one, or move the state directory away to begin anew"
    )]
    Newer { path: PathBuf, found: u32 },
    #[error(
        "the catalog {path} has no readable header; it was left as it is. Move it away to begin anew: every file that still exists is then read from its beginning"
    )]
    Unreadable { path: PathBuf },
}

impl Catalog {
    /// Reads the catalog; `None` where there is none yet.
    pub fn load(path: &Path) -> Result<Option<Self>, CatalogError> {
        let unreadable = |source| CatalogError::Read { path: path.to_owned(), source };
        let file = match durable::read_file(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(unreadable(source)),
        };
        let mut lines = ChecksummedLines::new(BufReader::new(file));
        let header: CatalogHeader = match lines.next_line().map_err(unreadable)? {
            Some(ChecksummedLine::Whole { json, .. }) => serde_json::from_slice(json).ok(),
            _ => None,
        }
        .ok_or_else(|| CatalogError::Unreadable { path: path.to_owned() })?;
        if header.v > VERSION {
            return Err(CatalogError::Newer { path: path.to_owned(), found: header.v });
        }
        let CatalogHeader { log, next, empty_paths, postponed, cut, .. } = header;
        let mut catalog = Self { log, next, empty_paths, postponed, cut, ..Self::default() };
        while let Some(line) = lines.next_line().map_err(unreadable)? {
            let entry = match line {
                ChecksummedLine::Whole { json, .. } => serde_json::from_slice::<CatalogEntry>(json).ok(),
                ChecksummedLine::Bad { .. } | ChecksummedLine::Torn { .. } => None,
            };
            match entry {
                Some(entry) => catalog.lives.push(entry),
                None => catalog.damaged += 1,
            }
        }
        let newest = catalog.lives.iter().map(|life| life.id.0 + 1).max().unwrap_or(0);
        catalog.next = catalog.next.max(newest);
        Ok(Some(catalog))
    }

    /// Replaces the file; when this returns, the new one is on disk.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(256 * (self.lives.len() + 1));
        let header = CatalogHeader {
            v: VERSION,
            log: self.log.clone(),
            next: self.next,
            empty_paths: self.empty_paths.clone(),
            postponed: self.postponed.clone(),
            cut: self.cut.clone(),
        };
        lines::encode(&mut bytes, &header)?;
        for life in &self.lives {
            lines::encode(&mut bytes, life)?;
        }
        match durable::replace(path, &bytes) {
            // Somebody removed the state directory: it is made again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                for directory in path.ancestors().skip(1).take(3).collect::<Vec<_>>().into_iter().rev() {
                    durable::create_private_dir(directory).map_err(io::Error::other)?;
                }
                durable::replace(path, &bytes)
            }
            replaced => replaced,
        }
    }
}
