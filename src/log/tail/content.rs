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

use super::{Life, Named, Tail, Unknown, retire::find_by_key};
use crate::log::{
    identity::{self, FileKey, Sight},
    position::{Anchor, Mark, SegmentId},
    segment::State,
};

impl Tail {
    /// Step 2: looks at every life whose file changed. A file that lost its bytes and is still named begins
    /// another life: it is returned as unknown.
    pub(super) fn check(
        &mut self,
        named: &Named,
        suspicions: &HashMap<SegmentId, Mark>,
        now: Instant,
    ) -> Vec<Unknown> {
        let mut reborn = Vec::new();
        let ids: Vec<SegmentId> = self.lives.keys().copied().collect();
        for id in ids {
            let Some(life) = self.lives.get_mut(&id) else { continue };
            if life.released || life.bereft || life.segment.state() == State::Gone || self.unresolved.contains(&id) {
                continue;
            }
            let segment = life.segment.clone();
            match look_through(&segment.path(), &segment) {
                Ok(Some(sight)) => match life.examine(&sight, suspicions.get(&id), now) {
                    Ok(Examined::Unchanged) => {}
                    Ok(Examined::Grown { head_grew }) => self.dirty |= head_grew,
                    Ok(Examined::Lost(how)) => {
                        self.bereave(id, how);
                        let key = segment.key();
                        if let Some(path) = named.keys.get(&key) {
                            reborn.push(Unknown {
                                path: path.clone(),
                                sight,
                                lineage: None,
                                only_as_copy: false,
                                reborn: true,
                            });
                        } else if let Some(path) = find_by_key(&segment.lineage, &key) {
                            let lineage = Some(segment.lineage.clone());
                            reborn.push(Unknown { path, sight, lineage, only_as_copy: false, reborn: true });
                        }
                    }
                    Err(error) => self.notices.cannot_open(&segment.path(), &error),
                },
                Ok(None) => {}
                Err(error) => self.notices.cannot_look(&segment.path(), &error),
            }
        }
        reborn
    }

    /// Matches the lives of the catalog with files: by what the paths name, by their last path, by their inode in
    /// the directory. The content decides; a device number that changed does not matter.
    ///
    /// A file that stands under a rotated name with other bytes than those that were seen is returned as unknown.
    pub(super) fn resolve(&mut self, sights: &[(PathBuf, Sight)], now: Instant) -> Vec<Unknown> {
        let mut reborn = Vec::new();
        let known: Vec<SegmentId> = self.lives.keys().copied().collect();
        for id in known {
            let Some(life) = self.lives.get_mut(&id) else { continue };
            if life.missing > 0 && !self.unresolved.contains(&id) {
                continue;
            }
            let key = life.segment.key();
            if !self.unresolved.contains(&id) {
                // Released lives are only known again, so that a rotated file in the glob is not taken for a new one.
                if life.released
                    && !sights.iter().any(|(_, sight)| sight.key == key)
                    && let Some((path, sight)) = sights.iter().find(|(_, sight)| sight.key.same_but_device(&key))
                    && sight.key != key
                    && !self.newest.contains_key(&sight.key)
                    && identity::open(path).is_ok_and(|(file, sight)| life.is_intact(&file, &sight).unwrap_or(false))
                {
                    life.segment.continue_in(path.clone(), sight.key, None);
                    self.newest.remove(&key);
                    self.newest.insert(sight.key, id);
                    self.dirty = true;
                }
                continue;
            }
            let Some((path, file, sight)) = find_again(&life.segment.path(), &life.segment.lineage, &key, sights)
            else {
                continue;
            };
            match life.is_intact(&file, &sight) {
                Ok(true) => {
                    self.unresolved.remove(&id);
                    life.quiet_since = now;
                    let pin = (self.pins > 0).then(|| Arc::new(file));
                    self.pins = self.pins.saturating_sub(1);
                    self.dirty |= life.segment.path() != path || sight.key != key;
                    life.segment.continue_in(path, sight.key, pin);
                    self.newest.remove(&key);
                    self.newest.insert(sight.key, id);
                }
                Ok(false) => {
                    self.unresolved.remove(&id);
                    let how = if sight.size < life.seen.offset {
                        "truncated while we were stopped"
                    } else {
                        "rewritten while we were stopped"
                    };
                    if !sights.iter().any(|(named, _)| *named == path) {
                        let lineage = Some(life.segment.lineage.clone());
                        reborn.push(Unknown { path, sight, lineage, only_as_copy: false, reborn: true });
                    }
                    self.bereave(id, how);
                }
                Err(error) => self.notices.cannot_open(&path, &error),
            }
        }
        reborn
    }

    /// The bytes of this life are gone from its file.
    pub(super) fn bereave(&mut self, id: SegmentId, how: &str) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        life.bereft = true;
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

pub(super) enum Examined {
    Unchanged,
    Grown { head_grew: bool },
    Lost(&'static str),
}

impl Life {
    /// Compares the file with what was seen of it.
    fn examine(&mut self, sight: &Sight, suspicion: Option<&Mark>, now: Instant) -> io::Result<Examined> {
        if sight.size < self.seen.offset.max(self.segment.size()) {
            return Ok(Examined::Lost("truncated"));
        }
        if sight.size == self.seen.offset && sight.modified == self.modified && suspicion.is_none() {
            return Ok(Examined::Unchanged);
        }
        let file = self.segment.open()?;
        let as_seen = identity::still_has(&file, &self.seen)?;
        let as_read = suspicion.map_or(Ok(true), |mark| identity::still_has(&file, mark))?;
        if !as_read && let Some(mark) = suspicion {
            self.seen = *mark; // A copy is known by the bytes that were read, not by those that replaced them.
        }
        if !as_seen || !as_read {
            return Ok(Examined::Lost("truncated and written anew"));
        }
        let grew = sight.size > self.seen.offset;
        let head_grew = grew && self.segment.head().offset < Anchor::BYTES as u64;
        if head_grew {
            self.segment.set_head(identity::head(&file, sight.size)?);
        }
        if grew {
            self.seen = identity::mark_at(&file, sight.size)?;
            self.quiet_since = now;
            if self.segment.state() == State::Sealed {
                self.segment.set_state(State::Draining);
            }
        }
        self.modified = sight.modified;
        self.segment.grow_to(sight.size);
        Ok(Examined::Grown { head_grew })
    }

    /// Whether a file has this life's first bytes and those before the furthest mark.
    pub(super) fn is_intact(&self, file: &File, sight: &Sight) -> io::Result<bool> {
        Ok(sight.size >= self.seen.offset
            && identity::still_has(file, &self.segment.head())?
            && identity::still_has(file, &self.seen)?)
    }
}

/// Looks at a segment's file: the pinned descriptor, else what its path names if that is still the same file.
fn look_through(path: &Path, segment: &crate::log::Segment) -> io::Result<Option<Sight>> {
    if segment.is_pinned() {
        return identity::look_at(&*segment.open()?).map(Some);
    }
    match identity::look(path) {
        Ok(sight) => Ok((sight.key == segment.key()).then_some(sight)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn find_again(
    path: &Path,
    lineage: &Path,
    key: &FileKey,
    sights: &[(PathBuf, Sight)],
) -> Option<(PathBuf, File, Sight)> {
    let open = |path: &Path| {
        let (file, sight) = identity::open(path).ok()?;
        sight.key.same_but_device(key).then(|| (path.to_owned(), file, sight))
    };
    if let Some(found) =
        sights.iter().find(|(_, sight)| sight.key.same_but_device(key)).and_then(|(path, _)| open(path))
    {
        return Some(found);
    }
    if let Some(found) = open(path) {
        return Some(found);
    }
    let directories = [path.parent(), lineage.parent()];
    directories.into_iter().flatten().find_map(|directory| {
        let entries = std::fs::read_dir(directory).ok()?;
        entries
            .filter_map(Result::ok)
            .filter(|entry| std::os::unix::fs::DirEntryExt::ino(entry) == key.inode)
            .find_map(|entry| open(&entry.path()))
    })
}
