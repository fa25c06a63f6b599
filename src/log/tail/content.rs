//! Whether a life still has its bytes.

use std::{
    collections::HashMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tracing::warn;

use super::{NewFile, Tail, file_life::Examined, listing::Listings, named::Named};
use crate::log::{
    identity::{self, FileStat},
    position::{Cursor, SegmentId},
    segment::{Segment, SegmentState},
};

impl Tail {
    /// Step 2: looks at every life whose file changed. A file that lost its bytes and is still named begins
    /// another life: it is returned as unknown.
    pub(super) fn verify_content(
        &mut self,
        named: &Named,
        suspicions: &HashMap<SegmentId, Cursor>,
        now: Instant,
    ) -> Vec<NewFile> {
        let mut truncated = Vec::new();
        let ids: Vec<SegmentId> = self.lives.keys().copied().collect();
        for id in ids {
            let Some(life) = self.lives.get_mut(&id) else { continue };
            if life.released
                || life.content_lost
                || life.segment.state() == SegmentState::Gone
                || self.unresolved.contains(&id)
            {
                continue;
            }
            let segment = life.segment.clone();
            let met = named.stat(&segment.key()).map_or_else(|| look_through(&segment), |stat| Ok(Some(stat)));
            match met {
                Ok(Some(stat)) => match life.examine(&stat, suspicions.get(&id), now) {
                    Ok(Examined::Unchanged) => {}
                    Ok(Examined::Grown { head_grew }) => self.dirty |= head_grew,
                    Ok(Examined::Lost(how)) => {
                        self.bereave(id, how);
                        let key = segment.key();
                        if let Some(path) = named.path(&key) {
                            truncated.push(NewFile {
                                path: path.clone(),
                                stat,
                                lineage: None,
                                only_as_copy: false,
                                truncated: true,
                            });
                        } else if let Some(path) = self.listings.find_by_key(&segment.lineage, &key) {
                            let lineage = Some(segment.lineage.clone());
                            truncated.push(NewFile { path, stat, lineage, only_as_copy: false, truncated: true });
                        }
                    }
                    Err(error) => self.notices.cannot_open(&segment.path(), &error),
                },
                Ok(None) => {}
                Err(error) => self.notices.cannot_look(&segment.path(), &error),
            }
        }
        truncated
    }

    /// Matches the lives of the catalog with files: by what the paths name, by their last path, by their inode in
    /// the directory. The content decides; a device number that changed does not matter.
    ///
    /// A file that stands under a rotated name with other bytes than those that were seen is returned as unknown.
    pub(super) fn resolve(&mut self, named: &Named, now: Instant) -> Vec<NewFile> {
        let mut truncated = Vec::new();
        let unsure = self.lives.iter().filter(|(id, life)| life.released || self.unresolved.contains(id));
        for id in unsure.map(|(id, _)| *id).collect::<Vec<_>>() {
            let Some(life) = self.lives.get_mut(&id) else { continue };
            if life.missing > 0 && !self.unresolved.contains(&id) {
                continue;
            }
            let key = life.segment.key();
            if !self.unresolved.contains(&id) {
                // Released lives are only known again, so that a rotated file in the glob is not taken for a new one.
                if life.released
                    && !named.has(&key)
                    && let Some((path, stat)) = named.same_but_device(&key)
                    && !self.newest.contains_key(&stat.key)
                    && identity::open(path).is_ok_and(|(file, stat)| life.is_intact(&file, &stat).unwrap_or(false))
                {
                    life.segment.continue_in(path.to_owned(), stat.key, None);
                    self.newest.remove(&key);
                    self.newest.insert(stat.key, id);
                    self.dirty = true;
                }
                continue;
            }
            let Some((path, file, stat)) = find_again(&life.segment, named, &mut self.listings) else {
                continue;
            };
            match life.is_intact(&file, &stat) {
                Ok(true) => {
                    self.unresolved.remove(&id);
                    life.quiet_since = now;
                    let ours = life.segment.kept_from.is_some();
                    let pin = (!ours && self.pins.take(life.segment.state())).then(|| Arc::new(file));
                    self.dirty |= life.segment.path() != path || stat.key != key;
                    life.segment.continue_in(path, stat.key, pin);
                    self.newest.remove(&key);
                    self.newest.insert(stat.key, id);
                }
                Ok(false) => {
                    self.unresolved.remove(&id);
                    let how = if stat.size < life.seen.offset {
                        "truncated while we were stopped"
                    } else {
                        "rewritten while we were stopped"
                    };
                    if !named.has(&stat.key) {
                        let lineage = Some(life.segment.lineage.clone());
                        truncated.push(NewFile { path, stat, lineage, only_as_copy: false, truncated: true });
                    }
                    self.bereave(id, how);
                }
                Err(error) => self.notices.cannot_open(&path, &error),
            }
        }
        truncated
    }

    /// The bytes of this life are gone from its file.
    pub(super) fn bereave(&mut self, id: SegmentId, how: &str) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        life.content_lost = true;
        life.segment.unpin();
        let key = life.segment.key();
        if self.newest.get(&key) == Some(&id) {
            self.newest.remove(&key);
        }
        self.dirty = true;
        self.facts.truncations += 1;
        warn!(source = %self.log.name, path = %life.segment.path().display(), segment = %id, bytes = life.segment.size(),
            "the file was {how}; it is read again from its beginning, and what was not read before is looked for in its copies");
    }
}

/// Looks at a segment's file: the pinned descriptor, else what its path names if that is still the same file.
fn look_through(segment: &Segment) -> io::Result<Option<FileStat>> {
    if segment.is_pinned() {
        return identity::stat_file(&*segment.open()?).map(Some);
    }
    match identity::stat_path(&segment.path()) {
        Ok(stat) => Ok((stat.key == segment.key()).then_some(stat)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The file of a life that the catalog remembers: among those named, at its last path, by its inode in the directory.
fn find_again(segment: &Segment, named: &Named, listings: &mut Listings) -> Option<(PathBuf, File, FileStat)> {
    let key = segment.key();
    // A copy of ours is known by its name: the state directory may have been moved to another disk.
    let ours = segment.kept_from.is_some();
    let open = |path: &Path| {
        let (file, stat) = identity::open(path).ok()?;
        (ours || stat.key.same_but_device(&key)).then(|| (path.to_owned(), file, stat))
    };
    let path = segment.path();
    if ours {
        return open(&path);
    }
    let met = named.same_but_device(&key).and_then(|(path, _)| open(path));
    met.or_else(|| open(&path)).or_else(|| {
        let directories = [path.parent(), segment.lineage.parent()];
        directories.into_iter().flatten().find_map(|directory| {
            let paths = listings.with_inode(directory, key.inode);
            paths.iter().find_map(|path| open(path))
        })
    })
}
