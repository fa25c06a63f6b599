//! The spool: a log whose segments are our own files, for sources that hand their events over.
//!
//! ```text
//! <stateDir>/spool/<source>/00000000000000000017.ndjson     plain lines; appended to, sealed when it is full
//! <stateDir>/spool/<source>/reserve                         empty blocks, given up when the disk is full
//! <stateDir>/sources/<source>/catalog                       which segments there are, and where sealed ones end
//! ```
//!
//! What always holds: a record is in its file, and synced where that was asked for, before it is visible to a
//! forwarder or acknowledged. A file that was mended, or whose sync failed, is never appended to again: what was not
//! acknowledged goes to a new one. A number is never used twice. A segment is removed once every forwarder is durably
//! past it: marked in the catalog, then unlinked.
//!
//! A crash leaves at most one line torn at the end of the last file, which nobody was told is ours: it is left out.

mod detach;
mod files;
mod open;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::watch;
use tracing::{error, info, warn};

use self::files::Reserve;
use super::{
    Log, Segment, SegmentState, Segments,
    catalog::{Catalog, CatalogEntry, CatalogStage},
    identity,
    position::{Cursor, SegmentId},
};
use crate::durable;

pub use files::SEGMENT_BYTES;
pub use open::SpoolError;

/// How much a spool may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A segment is sealed once it has so many bytes.
    pub segment: u64,
    /// Of all segments together.
    pub total: u64,
}

/// Why records were not taken. None of them is visible to anybody.
#[derive(Debug, thiserror::Error)]
pub enum SpoolAppendError {
    #[error("the spool is full: {used} of {total} bytes wait for a forwarder")]
    Full { used: u64, total: u64 },
    #[error("the spool cannot be written: {0}")]
    Io(#[from] io::Error),
}

#[derive(Debug)]
pub struct Spool {
    log: Log,
    publish: watch::Sender<Segments>,
    dir: PathBuf,
    catalog: PathBuf,
    limits: Limits,
    segments: BTreeMap<SegmentId, SpoolSegment>,
    next: u64,
    current: Option<Current>,
    reserve: Reserve,
    catalog_failure: Option<String>,
    /// What was found to be damaged, for a human.
    damage: Vec<String>,
    /// Sealed segments that were not compared with their checksums since the start.
    unverified: Vec<SegmentId>,
}

/// A segment that is not released.
#[derive(Debug)]
struct SpoolSegment {
    segment: Arc<Segment>,
    /// Of the bytes of a sealed segment.
    crc32: Option<u32>,
}

/// The segment that is appended to.
#[derive(Debug)]
struct Current {
    id: SegmentId,
    file: File,
    /// Bytes that were accepted: what stands behind them in the file is nobody's.
    accepted: u64,
    synced: u64,
    crc32: crc32fast::Hasher,
}

impl Current {
    /// Writes all of it, or says why not; then the file must not be appended to any more.
    fn write(&mut self, lines: &[u8], sync: bool) -> io::Result<()> {
        self.file.write_all(lines)?;
        if sync {
            self.file.sync_data()?;
            self.synced = self.accepted + lines.len() as u64;
        }
        self.accepted += lines.len() as u64;
        self.crc32.update(lines);
        Ok(())
    }
}

impl Spool {
    /// Appends whole lines, all or none. With `sync` they are on disk when this returns.
    ///
    /// Where a write or a sync fails, what was accepted before stays as it is, and the lines are tried once more in a
    /// new file.
    pub fn append(&mut self, lines: &[u8], sync: bool) -> Result<(), SpoolAppendError> {
        debug_assert!(lines.ends_with(b"\n"), "a record is a whole line");
        let (used, total) = (self.used(), self.limits.total);
        if used.saturating_add(lines.len() as u64) > total {
            return Err(SpoolAppendError::Full { used, total });
        }
        match self.try_append(lines, sync) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.abandon_current(&error);
                if error.kind() == io::ErrorKind::StorageFull {
                    self.reserve.free();
                }
                self.try_append(lines, sync).map_err(|error| {
                    self.abandon_current(&error);
                    error.into()
                })
            }
        }
    }

    fn try_append(&mut self, lines: &[u8], sync: bool) -> io::Result<()> {
        if self.current.as_ref().is_some_and(|current| current.accepted >= self.limits.segment) {
            self.seal_current()?;
        }
        if self.current.is_none() {
            self.current = Some(self.create()?);
        }
        let current = self.current.as_mut().expect("it was made where there was none");
        current.write(lines, sync)?;
        let (id, accepted) = (current.id, current.accepted);
        self.segments[&id].segment.grow_to(accepted);
        // Wakes those who wait for the log to change.
        self.publish.send_modify(|_| {});
        Ok(())
    }

    /// Makes what was appended without `sync` durable. After a failure the file is not appended to any more: its
    /// next sync would lie.
    pub fn sync(&mut self) -> io::Result<()> {
        let Some(current) = self.current.as_mut().filter(|current| current.synced < current.accepted) else {
            return Ok(());
        };
        match current.file.sync_data() {
            Ok(()) => {
                current.synced = current.accepted;
                Ok(())
            }
            Err(error) => {
                self.abandon_current(&error);
                Err(error)
            }
        }
    }

    /// Removes the segments that every forwarder is durably past, or gave up; true where room was made.
    pub fn release(&mut self) -> bool {
        if self.current.as_ref().is_some_and(|current| current.accepted >= self.limits.segment) {
            let _ = self.seal_current();
        }
        let current = self.current.as_ref().map(|current| current.id);
        let past =
            |segment: &Segment| self.log.release_gate.all_past(segment.id, segment.start.offset, segment.size());
        let done: Vec<SegmentId> = self
            .segments
            .iter()
            .filter(|(id, kept)| Some(**id) != current && past(&kept.segment))
            .map(|(id, _)| *id)
            .collect();
        if done.is_empty() {
            return false;
        }
        let paths: Vec<PathBuf> = done.iter().map(|id| self.segments[id].segment.path()).collect();
        self.save(&done);
        if self.catalog_failure.is_some() {
            return false; // Removed without a note they would be missed at the next start.
        }
        self.segments.retain(|id, _| !done.contains(id));
        self.publish_all();
        for path in paths {
            if let Err(error) = std::fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                warn!(source = %self.log.name, path = %path.display(), %error,
                    "a segment of the spool is delivered and cannot be removed; it is removed at the next start");
            }
        }
        true
    }

    /// What readers found to be changed under them is set aside: nobody can say any more what stood there.
    pub fn look_into_suspicions(&mut self) {
        for (id, cursor) in self.log.take_suspicions() {
            let Some(kept) = self.segments.get(&id) else { continue };
            let segment = kept.segment.clone();
            let path = segment.path();
            let intact = segment.open().is_ok_and(|file| identity::still_has(&file, &cursor).unwrap_or(true));
            if !intact {
                let text = format!(
                    "{} was changed on disk: what forwarders have not read of it is a gap; the file is kept as {}",
                    path.display(),
                    files::damaged(&path).display()
                );
                error!(source = %self.log.name, "{text}");
                self.damage.push(text);
                if self.current.as_ref().is_some_and(|current| current.id == id) {
                    self.current = None;
                }
                segment.set_state(SegmentState::Gone);
                let _ = std::fs::rename(&path, files::damaged(&path));
            }
            self.log.count_scan();
            self.publish.send_modify(|_| {});
        }
    }

    /// Bytes of records that are not released.
    pub fn used(&self) -> u64 {
        self.segments.values().map(|kept| kept.segment.size()).sum()
    }

    pub fn limits(&self) -> Limits {
        self.limits
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Why the catalog cannot be written, if so.
    pub fn catalog_failure(&self) -> Option<&str> {
        self.catalog_failure.as_deref()
    }

    /// What was found to be damaged since the last call.
    pub fn take_damage(&mut self) -> Vec<String> {
        std::mem::take(&mut self.damage)
    }

    /// Takes room for hard times back, where there is enough of it.
    pub fn keep_reserve(&mut self) {
        self.reserve.recreate();
    }

    /// Syncs and seals, so that the next start has nothing to mend.
    pub fn close(mut self) -> io::Result<()> {
        self.sync()?;
        match self.current {
            Some(_) => self.seal_current(),
            None => Ok(()),
        }
    }

    fn create(&mut self) -> io::Result<Current> {
        let id = SegmentId(self.next);
        let path = files::path(&self.dir, id);
        // The number is used up before the file exists, so that no number is ever used twice.
        self.next += 1;
        self.save(&[]);
        if let Some(failure) = &self.catalog_failure {
            return Err(io::Error::other(format!("its catalog cannot be written: {failure}")));
        }
        let file = match durable::create_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Somebody removed the directory.
                files::create_dir(&self.dir)?;
                durable::create_file(&path)
            }
            created => created,
        }?;
        let segment = files::segment(&self.dir, id, &path, 0, SegmentState::Active)?;
        self.segments.insert(id, SpoolSegment { segment: Arc::new(segment), crc32: None });
        self.publish_all();
        // Known before anything in it is acknowledged: should it be gone at the next start, that is noticed.
        self.save(&[]);
        Ok(Current { id, file, accepted: 0, synced: 0, crc32: crc32fast::Hasher::new() })
    }

    fn seal_current(&mut self) -> io::Result<()> {
        self.sync()?;
        if let Some(current) = self.current.take() {
            self.seal(current);
        }
        Ok(())
    }

    /// The file failed: what was accepted stays, what was not is cut off, and nothing is appended to it any more.
    fn abandon_current(&mut self, error: &io::Error) {
        let Some(current) = self.current.take() else { return };
        warn!(source = %self.log.name, segment = %current.id, %error,
            "a segment of the spool cannot be written to any more; a new one is begun");
        // Where this fails too, the catalog says where it ends.
        let _ = current.file.set_len(current.accepted);
        self.seal(current);
    }

    fn seal(&mut self, current: Current) {
        let kept = self.segments.get_mut(&current.id).expect("the current segment is one of them");
        kept.segment.set_state(SegmentState::Sealed);
        kept.crc32 = Some(current.crc32.finalize());
        self.publish.send_modify(|_| {});
        self.save(&[]);
    }

    fn publish_all(&self) {
        self.publish.send_replace(Arc::new(self.segments.values().map(|kept| kept.segment.clone()).collect()));
    }

    /// Writes the catalog; `released`: those that are about to be removed.
    fn save(&mut self, released: &[SegmentId]) {
        let lives = self.segments.values().map(|kept| {
            let segment = &kept.segment;
            let stage = match segment.state() {
                _ if released.contains(&segment.id) => CatalogStage::Released,
                SegmentState::Active => CatalogStage::Active,
                SegmentState::Draining => CatalogStage::Draining,
                SegmentState::Sealed => CatalogStage::Sealed,
                SegmentState::Gone => CatalogStage::Gone,
            };
            CatalogEntry {
                id: segment.id,
                lineage: segment.lineage.to_path_buf(),
                path: segment.path(),
                key: segment.key(),
                stage,
                head: segment.head(),
                seen: Cursor::default(),
                trail: Vec::new(),
                torn_from: None,
                modified: (0, 0),
                changed: None,
                start: segment.start,
                size: segment.size(),
                gone_from: segment.gone_from(),
                has_unseen: false,
                held_late: false,
                replaced_by: None,
                is_copy: false,
                absorbed: None,
                crc32: kept.crc32,
                packed: None,
            }
        });
        let catalog =
            Catalog { log: self.log.id.to_string(), next: self.next, lives: lives.collect(), ..Catalog::default() };
        let failed = catalog.save(&self.catalog).err().map(|error| error.to_string());
        if let Some(failure) = &failed
            && self.catalog_failure.is_none()
        {
            error!(source = %self.log.name, "the catalog of the spool cannot be written: {failure}");
        } else if failed.is_none() && self.catalog_failure.is_some() {
            info!(source = %self.log.name, "the catalog of the spool is written again");
        }
        self.catalog_failure = failed;
    }
}

/// Where the spool of a source is.
pub fn dir(state_dir: &Path, source: &str) -> PathBuf {
    state_dir.join("spool").join(source)
}
