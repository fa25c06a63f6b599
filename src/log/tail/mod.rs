//! The tailed log's scanner: it turns what stands on disk into segments.
//!
//! A scan is what is correct; everything that only makes it prompt (inotify, a reader's suspicion) ends in one. Each
//! life of a file is in one of the states of [`Whereabouts`], and a scan moves it from one to the next. It goes through
//! the same twelve steps each time:
//!
//! 1. *name_files*: look at what the paths name;
//! 2. *resolve*: find the files of lives that are sought: those of the catalog, after a start; and those that an overlay
//!    copied up;
//! 3. *verify*: see that each life still has the bytes it had; one that has not has lost its content;
//! 4. *new_files*: list the files that no life is known of;
//! 5. *missed_generations*: and those that came and were rotated away between two scans;
//! 6. *find_copies*: let lives without a file go on in those that have their content: what replaced theirs, or copies of
//!    it (copytruncate), plain or compressed;
//! 7. *arrive*: give the new files their numbers, oldest first; what may become a copy is held back for a while, what they
//!    have of files that are known is passed over, and what is younger than a file that a rotation moved meanwhile waits;
//! 8. *give_up_lost*: what has lost its content, and is in no file after it, is gone;
//! 9. *retire*: drain, seal and release lives whose path names another file, or none; seal logs of containers that
//!    ended;
//! 10. *copy_deleted*: copy what is unread of files that no path names any more, where they were held for long;
//! 11. *look_beside_empty_paths*: remember what stands beside paths that have no file now;
//! 12. *save*, *publish*: write the catalog, then tell the readers, then remove what the catalog no longer names.
//!
//! New numbers are durable in the catalog before a segment is published. An offset is never given to a file
//! because its name or its first line is familiar, and no file is skipped because it is short: the content decides, every
//! byte where the old file can be read ([`known`]).

mod arrive;
mod compressed;
mod deleted;
mod ended;
mod identity;
mod known;
mod lives;
mod notices;
mod open;
mod pins;
mod retire;
mod vanished;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::Instant,
};

use tokio::sync::watch;

pub use self::compressed::{MOST_MEMORY, PackedReader};
use self::{
    compressed::CompressedFiles,
    deleted::{DeletedFiles, LateWriters},
    identity::{EmptyPaths, Listings, Named, NewFile, empty_paths_to_keep},
    lives::{Examined, FileLife, FileLives, Whereabouts},
    notices::Notices,
    pins::Pins,
};
use super::{
    LinkPolicy, Log, PathTarget, Segments,
    catalog::Catalog,
    identity::{FileKey, FileStat, stat_path},
    position::SegmentId,
};
use crate::config::{Exclude, FileSource, StartAt};

/// What one look at the configured paths found.
#[derive(Debug, Default)]
pub struct FoundPaths {
    pub paths: Vec<PathBuf>,
    /// Directories that could not be listed: what is missing in this scan may be there all the same.
    pub unreadable: Vec<(PathBuf, io::Error)>,
    /// Where the source's files may stand.
    pub links: LinkPolicy,
    /// Directories that were not entered because a link led there, and where they stand.
    pub elsewhere: Vec<(PathBuf, PathBuf)>,
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
    lives: FileLives,
    /// The number of the first life that begins since we were started.
    met_from: SegmentId,
    /// Copies that may be in the making, since when.
    held: HashMap<FileKey, PossibleCopy>,
    /// Lineages of which a rotation moved a file between the look at its path and its opening, in this scan: what is younger in
    /// them waits for the next, and what was not found is not gone.
    overtaken: HashSet<PathBuf>,
    /// Files that were cut, until a life begins in them: what they hold is younger than all copies.
    cut: HashSet<FileKey>,
    /// The first scan of the first start: `startAt: end` applies.
    first: bool,
    /// When the log was first opened. With `startAt: end`, what ended before is not read.
    begun: (i64, u32),
    /// What is never read because of its name.
    exclude: Vec<Exclude>,
    /// Of this scan.
    links: LinkPolicy,
    /// What each path named in the last scan and may be read, where not everything may be.
    allowed: HashMap<PathBuf, FileKey>,
    pins: Pins,
    listings: Listings,
    compressed: CompressedFiles,
    deleted: DeletedFiles,
    late: LateWriters,
    empty_paths: EmptyPaths,
    notices: Notices,
}

/// A file that is not read yet because it may be a copy in the making.
#[derive(Clone, Debug)]
struct PossibleCopy {
    size: u64,
    since: Instant,
    /// Where no path names it: that of the file whose generation it is.
    beside: Option<Arc<Path>>,
}

impl Tail {
    pub fn facts(&self) -> TailFacts {
        self.facts
    }

    /// Moves while a scan reads compressed files, which can take longer than a scan does otherwise.
    pub fn progress(&self) -> Arc<AtomicU64> {
        self.compressed.progress.clone()
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
        let watched = self.lives.iter().filter(|life| !life.is_released() && !life.is_copied());
        watched.filter_map(|life| life.segment.path().parent().map(Path::to_owned)).collect()
    }

    /// One scan. Blocks on the file system.
    pub fn scan(&mut self, found: FoundPaths) {
        let now = Instant::now();
        let consistent = found.unreadable.is_empty();
        // Of a scan that panicked something may be left.
        self.listings = Listings::new(found.links.clone());
        self.links = found.links;
        self.overtaken.clear();
        self.notices.begin_scan();
        for (path, error) in &found.unreadable {
            self.notices.unreadable(path, error);
        }
        for (path, place) in &found.elsewhere {
            self.notices.elsewhere(path, place, self.source.follow_links);
        }
        self.pins.count(&self.lives);
        let named = self.name_files(&found.paths);
        self.leave_what_is_elsewhere();
        self.know_copied_up(&named);
        let mut new_files = self.resolve(&named, now);
        self.pass_what_replacements_have();
        new_files.extend(self.verify(&named, now));
        new_files.extend(self.new_files(&named));
        self.missed_generations(&named, &mut new_files, now);
        self.go_on_in_replacements(&mut new_files, &named, now);
        self.find_copies(&mut new_files, now);
        self.begin_behind_known(&mut new_files, &named, now);
        self.arrive(new_files, &named, now);
        self.take_rests(now);
        self.give_up_lost();
        self.retire(&named, consistent, now);
        self.end_finished_logs(now);
        self.copy_deleted(now);
        self.first = false;
        self.look_beside_empty_paths();
        self.tell_of_doubts();
        self.tell_of_lost_generations();
        self.listings = Listings::default();
        self.notices.end_scan();
        self.save();
        self.publish();
    }

    /// A hint that these paths were written to: takes note of the new sizes, no more. False where a scan is needed.
    ///
    /// A file that no life is known of is none of ours, or waits for a reason that a scan looks into in its own time.
    pub fn note_growth(&mut self, paths: &BTreeSet<PathBuf>) -> bool {
        let now = Instant::now();
        let mut grew = false;
        for path in paths {
            let Ok(stat) = stat_path(path) else { return false };
            let Some(id) = self.lives.of_file(&stat.key).map(|life| life.segment.id) else { continue };
            let Some(life) = self.lives.get_mut(id) else { continue };
            if life.is_released() || life.is_empty() {
                return false; // What is added is a segment of its own; or copies may have been made of it before.
            }
            match life.examine(&stat, None, now, self.source.seal_after) {
                Ok(Examined::Unchanged) => {}
                Ok(Examined::Changed { is_news }) => {
                    grew = true;
                    self.lives.touch_if(is_news);
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

    /// Whether a file was not found by one scan, which concludes nothing from that yet, or was overtaken by a rotation.
    pub fn is_in_doubt(&self) -> bool {
        !self.overtaken.is_empty()
            || self.lives.iter().any(|life| life.is_followed() && life.segment.is_pinned() && life.missing > 0)
    }

    /// Copies what is unread of files that nothing but us holds: nobody could find them again. Writes sizes and cursors
    /// as last seen: a better start next time, on which nothing depends.
    pub fn close(mut self) {
        self.copy_all_deleted();
        self.let_go_of_all();
        self.lives.touch_if(true);
        self.save();
        self.publish();
    }

    /// Step 1: what do the paths name?
    fn name_files(&mut self, paths: &[PathBuf]) -> Named {
        let mut named = Named::default();
        let mut allowed_before = std::mem::take(&mut self.allowed);
        for path in paths {
            let Some(stat) = self.look_at(path, &mut allowed_before) else { continue };
            if let Some(other) = named.add(path, stat) {
                self.notices.twice(path, other);
                if self.lives.of_file(&stat.key).is_some_and(|life| life.segment.stands_at(path)) {
                    named.rename(&stat.key, path);
                }
            }
        }
        named.complete();
        self.facts.files_matched = named.len() as u64;
        self.held.retain(|key, held| named.has(key) || held.beside.is_some());
        named
    }

    /// What a path names, where that is a file that may be read; else the reason is told.
    fn look_at(&mut self, path: &Path, allowed_before: &mut HashMap<PathBuf, FileKey>) -> Option<FileStat> {
        match self.target(path, allowed_before) {
            Ok(PathTarget::Allowed(stat)) if stat.regular => {
                self.notices.odd_file(path, &stat);
                return Some(stat);
            }
            Ok(PathTarget::Allowed(_)) => self.notices.not_a_file(path),
            Ok(PathTarget::Elsewhere { place, .. }) => {
                self.notices.elsewhere(path, &place, self.source.follow_links);
            }
            // Removed or renamed since it was listed; a link that leads nowhere is worth a word.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {}
            Err(error) => self.notices.cannot_look(path, &error),
        }
        None
    }

    /// Judges each file once: a path that names what it named in the last scan costs no more than a look.
    fn target(&mut self, path: &Path, allowed_before: &mut HashMap<PathBuf, FileKey>) -> io::Result<PathTarget> {
        let stat = stat_path(path)?;
        if self.links.is_boundless() || !stat.regular {
            return Ok(PathTarget::Allowed(stat));
        }
        let (known_as, target) = match allowed_before.remove_entry(path) {
            Some((path, key)) if key == stat.key => (path, PathTarget::Allowed(stat)),
            _ => (path.to_owned(), self.links.look(path)?),
        };
        if let PathTarget::Allowed(stat) = target {
            self.allowed.insert(known_as, stat.key);
        }
        Ok(target)
    }

    /// Step 12: writes the catalog where lives began, moved or ended, and where somebody removed it. Until that works
    /// nothing new is told.
    fn save(&mut self) {
        if !self.lives.is_dirty() && self.catalog.exists() {
            return;
        }
        let empty_paths = empty_paths_to_keep(&self.empty_paths);
        let catalog = self.lives.catalog(&self.log.id, &self.cut);
        let saved =
            Catalog { empty_paths, postponed: self.compressed.postponed_to_keep(), ..catalog }.save(&self.catalog);
        self.lives.saved(saved.is_ok());
        match saved {
            Ok(()) => self.notices.catalog_written(),
            Err(error) => self.notices.catalog_not_written(&self.catalog, &error),
        }
    }

    /// Publishes the unreleased segments: those whose numbers are durable.
    fn publish(&mut self) {
        self.pins.count(&self.lives);
        self.facts.files_open = self.pins.held() as u64;
        if self.lives.is_dirty() {
            // New lives wait until the catalog can be written; those already told may have grown.
            // What became of them is known all the same.
            self.publish.send_modify(|_| {
                if self.log.was_scanned() {
                    self.log.count_scan();
                }
            });
            return;
        }
        let segments = self.lives.segments();
        self.publish.send_modify(|published| {
            let same =
                published.len() == segments.len() && published.iter().zip(&*segments).all(|(a, b)| Arc::ptr_eq(a, b));
            if !same {
                *published = segments;
            }
            // Before anybody sees them: whoever waits for a scan reads what it found before what came after.
            self.log.count_scan();
        });
        self.deleted.remove_finished_copies();
    }

    fn starts_at_end(&self) -> bool {
        self.first && self.source.start_at == StartAt::End
    }
}
