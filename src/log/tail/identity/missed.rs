//! Generations that came and were rotated away while nobody looked.
//!
//! Where a path names another file than before, or none, what a rotator would have named after it is read too, as far as
//! it was written since: beside it, and where its files were moved to (`olddir` of logrotate). So is a file that logrotate's
//! `renamecopy` is about to copy, and that goes when that is done.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use super::{
    super::{FileLife, NewFile, Tail, lives::FileLives},
    Named,
    listing::{Generation, Listings},
    new_file::is_compressed,
};
use crate::{config::StartAt, log::identity::FileKey};

/// A path that names another file than at the last scan, or none.
struct ChangedPath<'a> {
    /// What it names now.
    key: Option<FileKey>,
    /// The newest life that is known of it.
    before: Option<&'a FileLife>,
    /// What stood beside it at the last scan, where no life was known then.
    beside: Option<&'a HashSet<FileKey>>,
    /// Where no life was ever known: what ended since then counts.
    since: (i64, u32),
}

impl Tail {
    /// Step 5: generations that came and were rotated away between two scans, or while we were stopped: where a path
    /// names another file than before, its generations that were born since are read too; where it was never met, all
    /// of them, or with `startAt: end` those that ended since the first start.
    pub fn missed_generations(&mut self, named: &Named, new_files: &mut Vec<NewFile>, now: Instant) {
        let changed = self.changed_paths(named, new_files);
        if changed.is_empty() {
            return;
        }
        // A copy is no generation, nor is what was replaced.
        let is_other = |life: &&FileLife| life.is_copy() || life.replaced_by().is_some();
        let (copies, others): (Vec<&FileLife>, Vec<&FileLife>) = self.lives.iter().partition(is_other);
        let newest: HashMap<&Path, &FileLife> =
            copies.into_iter().chain(others).map(|life| (&*life.segment.lineage, life)).collect();
        let elsewhere = moved_to(&self.lives);
        let since = if self.source.start_at == StartAt::Beginning { (0, 0) } else { self.begun };
        let mut listed: HashSet<FileKey> = new_files.iter().map(|file| file.stat.key).collect();
        for (path, key) in changed {
            let before = newest.get(&*path).copied();
            let changed = ChangedPath { key, before, beside: self.empty_paths.get(&*path), since };
            let mut directories = elsewhere.get(&*path).cloned().unwrap_or_default();
            let rotated = before.and_then(|before| before.segment.last_path_by_descriptor());
            let directory_of = |path: &Path| path.parent().map(Path::to_owned);
            directories.extend([Some(&*path), rotated.as_deref()].into_iter().flatten().filter_map(directory_of));
            let lineage = before.map_or_else(|| path.as_path().into(), |before| before.segment.lineage.clone());
            let look = |listings: &mut Listings| -> Vec<Generation> {
                let all = directories.iter().flat_map(|directory| listings.generations(&path, directory));
                let all = all.map(|it| Generation { is_certain: it.is_certain || named.has(&it.stat.key), ..it });
                let mut missed: Vec<Generation> = all.filter(|it| changed.misses(it)).collect();
                missed.extend(listings.being_copied(&path).filter(|it| changed.was_here(it)));
                missed.retain(|it| !self.lives.knows(&it.stat.key));
                missed
            };
            let age = |it: &Generation| NewFile::beside(it.path.clone(), it.stat, lineage.clone()).age(None);
            let mut missed = look(&mut self.listings);
            if let Some(newest) = missed.iter().map(age).max() {
                // A listing may have one that came while it was read, and not those that came before that: they are in
                // one that is begun now.
                self.listings.forget(&directories);
                missed = look(&mut self.listings);
                missed.retain(|it| age(it) <= newest);
            }
            missed.sort_by_cached_key(age);
            // One that was met at an earlier scan was made of what was known then.
            let new = missed.iter().filter(|it| !self.was_looked_into(&it.stat.key, now));
            let behind_known = changed.behind_known(&new.collect::<Vec<_>>(), &mut self.listings);
            for Generation { path: sibling, stat, is_certain } in missed {
                let is_followed = changed.before.is_some() || changed.beside.is_some();
                if self.is_excluded(&sibling) && !(is_certain && is_followed) {
                    self.notices.excluded_generation(&sibling, &path);
                } else if listed.insert(stat.key) && !named.has(&stat.key) {
                    let is_missed = behind_known.contains(&stat.key);
                    new_files.push(NewFile { is_missed, ..NewFile::beside(sibling, stat, lineage.clone()) });
                } else if is_compressed(&sibling)
                    && let Some(known) = new_files.iter_mut().find(|file| file.stat.key == stat.key)
                {
                    known.lineage = Some(lineage.clone()); // Named by a glob that has the compressed generations too.
                }
            }
        }
    }

    /// The paths that name another file than at the last scan, with that, or none.
    fn changed_paths(&self, named: &Named, new_files: &[NewFile]) -> HashMap<PathBuf, Option<FileKey>> {
        let abandoned = self.abandoned(named).into_iter();
        let empty = self.empty_paths.keys().map(|path| path.to_path_buf());
        let moved_on = new_files.iter().map(|file| (file.path.clone(), Some(file.stat.key)));
        abandoned.chain(empty).map(|path| (path, None)).chain(moved_on).collect()
    }

    /// Lineages that have lives and no file at their path: what was there was rotated away, or deleted.
    fn abandoned(&self, named: &Named) -> Vec<PathBuf> {
        let paths = named.paths();
        let lineages: HashSet<&Path> = self.lives.iter().map(|life| &*life.segment.lineage).collect();
        let absent = lineages.into_iter().filter(|path| !paths.contains(path) && !path.exists());
        absent.map(Path::to_owned).collect()
    }
}

impl ChangedPath<'_> {
    /// Those compressed generations, the oldest first, that have what was written after all that is known.
    fn behind_known(&self, missed: &[&Generation], listings: &mut Listings) -> HashSet<FileKey> {
        let is_found = |before: &FileLife| {
            let segment = &before.segment;
            before.is_followed()
                && listings.find_by_key([&segment.lineage, &segment.path()], &segment.key()).is_some()
        };
        // Where the one that is known is not there any more, the oldest may be that.
        let known = usize::from(!self.before.is_none_or(is_found));
        missed.iter().filter(|it| self.is_behind(it)).skip(known).map(|it| it.stat.key).collect()
    }

    /// Whether a compressed generation has what was written after all that is known, and not that itself, as its time says.
    fn is_behind(&self, Generation { path, stat, is_certain }: &Generation) -> bool {
        let is_behind = match (self.before, self.beside) {
            (Some(before), _) => {
                self.key != Some(before.segment.key()) && !before.is_empty() && stat.modified > before.modified
            }
            (None, beside) => beside.is_some(),
        };
        *is_certain && is_compressed(path) && is_behind
    }

    /// Whether a generation of the path was written after what is known of it.
    fn misses(&self, Generation { path, stat, is_certain }: &Generation) -> bool {
        let key = stat.key;
        let born = key.born.unwrap_or(stat.modified);
        // A compressed one is made after its successor began, and keeps the time of the last write.
        let ended = if is_compressed(path) { stat.modified } else { born };
        let successor = self.key.and_then(|key| key.born);
        match (self.before, self.beside) {
            (Some(before), _) if key == before.segment.key() => false,
            // A truncated file keeps its birth: what was copied from it since we last saw it change is younger than that.
            (Some(before), _) if self.key == Some(before.segment.key()) => born > before.changed,
            // Two files may be born in one tick of the clock. A name that may be another instance's is believed of a
            // file that came between two generations.
            (Some(before), _) => {
                born >= before.since() && (*is_certain || successor.is_none_or(|successor| ended <= successor))
            }
            (None, Some(beside)) => !beside.iter().any(|other| other.same_but_device(&key)),
            (None, None) => *is_certain && ended >= self.since,
        }
    }

    /// Whether a file beside the path stood there, between what is known of it and what it names now. What a program is about to
    /// rename over its file is younger than that.
    fn was_here(&self, Generation { stat, .. }: &Generation) -> bool {
        let born = stat.key.born.unwrap_or(stat.modified);
        let successor = self.key.and_then(|key| key.born);
        self.before.is_some_and(|before| born >= before.since())
            && successor.is_none_or(|successor| born <= successor)
    }
}

/// The directories to which files of a lineage were moved from that of its path.
fn moved_to(lives: &FileLives) -> HashMap<Arc<Path>, BTreeSet<PathBuf>> {
    let mut directories = HashMap::<Arc<Path>, BTreeSet<PathBuf>>::new();
    for life in lives.iter() {
        let lineage = &life.segment.lineage;
        let directory = life.application_path().and_then(|path| path.parent().map(Path::to_owned));
        if let Some(directory) = directory.filter(|directory| Some(&**directory) != lineage.parent()) {
            directories.entry(lineage.clone()).or_default().insert(directory);
        }
    }
    directories
}
