//! Generations that came and were rotated away while nobody looked.
//!
//! Where a path names another file than before, or none, what a rotator would have named after it is read too, as far as
//! it was written since: beside it, and where its files were moved to (`olddir` of logrotate).

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
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
    pub fn missed_generations(&mut self, named: &Named, new_files: &mut Vec<NewFile>) {
        let changed = self.changed_paths(named, new_files);
        if changed.is_empty() {
            return;
        }
        // A copy is no generation.
        let (copies, others): (Vec<&FileLife>, Vec<&FileLife>) = self.lives.iter().partition(|life| life.is_copy());
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
                all.filter(|it| changed.misses(it) && !self.lives.knows(&it.stat.key)).collect()
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
            for Generation { path: sibling, stat, .. } in missed {
                if self.exclude.iter().any(|exclude| exclude.matches(&sibling)) {
                    self.notices.excluded_generation(&sibling, &path);
                } else if listed.insert(stat.key) && !named.has(&stat.key) {
                    new_files.push(NewFile::beside(sibling, stat, lineage.clone()));
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
            (None, Some(beside)) => !beside.contains(&key),
            (None, None) => *is_certain && ended >= self.since,
        }
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
