//! The tailed log's scanner: it turns what stands on disk into segments.
//!
//! A scan is what is correct; everything that only makes it prompt (inotify, a reader's suspicion) ends in one.
//! It goes through the same steps each time:
//!
//! 1. *match_paths*: match what the paths name with the lives that are known, by device, inode and birth;
//! 2. *verify_content*: see that each life still has the bytes it had; one that has not has lost its content;
//! 3. *arrive*: give the new files their numbers, oldest first — unless one is the copy of a life that did
//!    (copytruncate), which continues in it, or may be about to become one, which is held back for a while;
//! 4. *retire*: drain, seal and release lives whose path names another file, or none;
//! 5. *absorb*: copy what is unread of files that no path names any more, where they were held for long.
//!
//! New numbers are durable in the catalog before a segment is published. An offset is never given to a file
//! because its name or its first line is familiar, and no file is skipped because it is short.

mod absorb;
mod arrive;
mod compressed;
mod content;
mod copies;
mod empty_paths;
mod file_life;
mod finished;
mod listing;
mod missed;
mod named;
mod notices;
mod open;
mod pins;
mod retire;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use self::{
    absorb::Absorbing,
    compressed::CompressedFiles,
    empty_paths::EmptyPaths,
    file_life::{Examined, FileLife},
    listing::Listings,
    named::Named,
    notices::Notices,
    pins::Pins,
};
use super::{
    Log, Segments,
    catalog::Catalog,
    identity::{self, FileKey, FileStat},
    position::SegmentId,
};
use crate::config::{FileSource, StartAt};

/// What one look at the configured paths found.
#[derive(Debug, Default)]
pub struct FoundPaths {
    pub paths: Vec<PathBuf>,
    /// Directories that could not be listed: what is missing in this scan may be there all the same.
    pub unreadable: Vec<(PathBuf, io::Error)>,
}

/// Numbers of a source, for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TailFacts {
    pub files_matched: u64,
    pub files_open: u64,
    /// Files that lost bytes that were seen in them.
    pub truncations: u64,
}

#[derive(Debug)]
pub struct Tail {
    source: FileSource,
    log: Log,
    publish: watch::Sender<Segments>,
    facts: TailFacts,
    catalog: PathBuf,
    /// Files below it are our own and never read.
    state_dir: PathBuf,
    lives: BTreeMap<SegmentId, FileLife>,
    /// The newest life of each file.
    newest: HashMap<FileKey, SegmentId>,
    /// Copies that may be in the making, since when.
    held: HashMap<FileKey, PossibleCopy>,
    next: u64,
    /// The first scan of the first start: `startAt: end` applies.
    first: bool,
    /// Lives from the catalog, not yet matched with files.
    unresolved: BTreeSet<SegmentId>,
    pins: Pins,
    listings: Listings,
    packed: CompressedFiles,
    absorbing: Absorbing,
    empty_paths: EmptyPaths,
    dirty: bool,
    notices: Notices,
}

/// A file that is not read yet because it may be a copy in the making.
#[derive(Clone, Copy, Debug)]
struct PossibleCopy {
    size: u64,
    since: Instant,
}

/// A file that a path names and no life is known of.
#[derive(Debug)]
struct NewFile {
    path: PathBuf,
    stat: FileStat,
    /// Where it is a generation that was missed, or a possible copy, of this lineage.
    lineage: Option<Arc<Path>>,
    /// It counts only as the continuation of a life that lost its content.
    only_as_copy: bool,
    /// It lost the bytes of an earlier life.
    truncated: bool,
}

impl Tail {
    pub fn facts(&self) -> TailFacts {
        self.facts
    }

    /// Moves while a scan reads compressed files, which can take longer than a scan does otherwise.
    pub fn progress(&self) -> Arc<AtomicU64> {
        self.packed.progress()
    }

    /// What the last scan found that a human must look at: files that match and cannot be read.
    pub fn unread(&self) -> Option<String> {
        self.notices.unread()
    }

    /// Why the catalog cannot be written, if so.
    pub fn catalog_failure(&self) -> Option<&str> {
        self.notices.catalog_failure()
    }

    /// The directories to watch for prompt news.
    pub fn directories(&self) -> BTreeSet<PathBuf> {
        self.lives
            .values()
            .filter(|life| !life.released && life.segment.kept_from.is_none())
            .filter_map(|life| life.segment.path().parent().map(Path::to_owned))
            .collect()
    }

    /// One scan. Blocks on the file system.
    pub fn scan(&mut self, found: FoundPaths) {
        let now = Instant::now();
        self.pins.count(self.lives.values());
        let suspicions = self.log.take_suspicions();
        let consistent = found.unreadable.is_empty();
        for (path, error) in &found.unreadable {
            self.notices.unreadable(path, error);
        }
        let (named, mut new_files) = self.match_paths(&found.paths, now);
        new_files.extend(self.verify_content(&named, &suspicions, now));
        self.missed_generations(&named, &mut new_files);
        self.arrive(new_files, &named, now);
        self.retire(&named, consistent, now);
        self.absorb(now);
        self.first = false;
        self.look_beside_empty_paths();
        self.listings = Listings::default();
        self.tell_of_doubts();
        self.notices.end_of_scan();
        self.save_catalog();
        self.publish();
        self.sweep();
    }

    /// A hint that these paths were written to: takes note of the new sizes, no more. False where a scan is needed.
    ///
    /// A file that no life is known of is none of ours, or waits for a reason that a scan looks into in its own time.
    pub fn note_growth(&mut self, paths: &BTreeSet<PathBuf>) -> bool {
        let now = Instant::now();
        let mut grew = false;
        for path in paths {
            let Ok(stat) = identity::stat_path(path) else { return false };
            let id = self.newest.get(&stat.key);
            let Some(life) = id.and_then(|id| self.lives.get_mut(id)) else { continue };
            if life.released {
                return false; // What is added to it is a segment of its own.
            }
            match life.examine(&stat, None, now) {
                Ok(Examined::Unchanged) => {}
                Ok(Examined::Grown { head_grew }) => {
                    grew = true;
                    self.dirty |= head_grew;
                }
                // What it lost must not be counted by the size that it has grown to since.
                Ok(Examined::Lost(_)) | Err(_) => return false,
            }
        }
        if grew {
            self.publish.send_modify(|_| {});
        }
        true
    }

    /// Step 1: which life, if any, does each path name?
    fn match_paths(&mut self, paths: &[PathBuf], now: Instant) -> (Named, Vec<NewFile>) {
        let mut named = Named::default();
        for path in paths {
            let stat = match identity::stat_path(path) {
                Ok(stat) if stat.regular => stat,
                Ok(_) => {
                    self.notices.not_a_file(path);
                    continue;
                }
                // Removed or renamed since it was listed; a link that leads nowhere is worth a word.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => continue,
                Err(error) => {
                    self.notices.cannot_look(path, &error);
                    continue;
                }
            };
            if let Some(other) = named.add(path, stat) {
                self.notices.twice(path, other);
                if self.life_of(&stat.key).is_some_and(|life| life.segment.path() == *path) {
                    named.rename(&stat.key, path);
                }
            }
        }
        named.complete();
        self.facts.files_matched = named.len() as u64;
        let mut new_files = self.resolve(&named, now);
        let content_lost: HashSet<FileKey> =
            self.lives.values().filter(|life| life.content_lost).map(|life| life.segment.key()).collect();
        let strangers = named.iter().filter(|(_, stat)| !self.newest.contains_key(&stat.key));
        new_files.extend(strangers.map(|(path, stat)| NewFile {
            path: path.clone(),
            stat: *stat,
            lineage: None,
            only_as_copy: false,
            truncated: content_lost.contains(&stat.key),
        }));
        self.held.retain(|key, _| named.has(key));
        (named, new_files)
    }

    fn life_of(&self, key: &FileKey) -> Option<&FileLife> {
        self.newest.get(key).and_then(|id| self.lives.get(id))
    }

    /// Writes the catalog where lives began, moved or ended, and where somebody removed it. Until that works nothing
    /// new is told.
    fn save_catalog(&mut self) {
        if !self.dirty && self.catalog.exists() {
            return;
        }
        let catalog = Catalog {
            log: self.log.id.to_string(),
            next: self.next,
            lives: self.lives.values().map(FileLife::entry).collect(),
            damaged: 0,
        };
        match catalog.save(&self.catalog) {
            Ok(()) => {
                self.dirty = false;
                self.notices.catalog_written();
            }
            Err(error) => {
                self.dirty = true;
                self.notices.catalog_not_written(&self.catalog, &error);
            }
        }
    }

    /// Publishes the unreleased segments: those whose numbers are durable.
    fn publish(&mut self) {
        self.pins.count(self.lives.values());
        self.facts.files_open = self.pins.held() as u64;
        let published = self.publish.borrow().clone();
        if self.dirty {
            // New lives wait until the catalog can be written; those already told may have grown.
            self.publish.send_modify(|_| {});
            return;
        }
        let segments: Vec<_> =
            self.lives.values().filter(|life| !life.released).map(|life| life.segment.clone()).collect();
        let same =
            published.len() == segments.len() && published.iter().zip(&segments).all(|(a, b)| Arc::ptr_eq(a, b));
        if same {
            self.publish.send_modify(|_| {});
        } else {
            self.publish.send_replace(Arc::new(segments));
        }
        self.log.count_scan();
    }

    /// Whether a file was not found by one scan, which concludes nothing from that yet.
    pub fn is_in_doubt(&self) -> bool {
        self.lives.values().any(|life| life.segment.is_pinned() && (1..retire::MISSING_SCANS).contains(&life.missing))
    }

    /// Copies what is unread of files that nothing but us holds: nobody could find them again. Writes sizes and cursors
    /// as last seen: a better start next time, on which nothing depends.
    pub fn close(mut self) {
        self.absorb_all();
        self.dirty = true;
        self.save_catalog();
        self.publish();
        self.sweep();
    }

    fn seal_after(&self) -> Duration {
        self.source.seal_after
    }

    fn starts_at_end(&self) -> bool {
        self.first && self.source.start_at == StartAt::End
    }
}
