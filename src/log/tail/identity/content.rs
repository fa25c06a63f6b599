//! Whether a life still has its bytes.

use std::{io, path::Path, time::Instant};

use tracing::warn;

use super::{
    super::{Examined, FileLife, NewFile, Tail, Whereabouts, lives::ContentFile},
    Listings, Named,
    listing::Generation,
};
use crate::log::{
    PathTarget,
    identity::{self, FileKey, FileStat, OpenFile},
    position::{Anchor, Cursor, SegmentId},
    segment::Segment,
};

impl Tail {
    /// Step 2: matches the lives that are sought with files: by what the paths name, by their last path, by their inode
    /// in the directory, then with compressed ones. The content decides; a device number that changed does not matter.
    ///
    /// A file that stands under a rotated name with other bytes than those that were seen is returned as a new one.
    pub fn resolve(&mut self, named: &Named, now: Instant) -> Vec<NewFile> {
        let mut rewritten = Vec::new();
        for id in self.lives.ids(FileLife::is_sought) {
            let Some(life) = self.lives.get_mut(id) else { continue };
            if life.replaced_by().is_some() && !life.is_copied() {
                self.is_gone(id); // It had no name.
                continue;
            }
            let Some(found) = find_again(&life.segment, named, &mut self.listings) else { continue };
            match life.is_found_in(&found) {
                Ok(true) => {
                    life.quiet_since = now;
                    let hold = !life.is_copied() && self.pins.take(life.segment.state());
                    let has_moved = !life.segment.stands_at(&found.path) && *life.segment.lineage != *found.path;
                    let at = if has_moved { Whereabouts::Rotated } else { life.found() };
                    self.lives.rekey(id, found, hold);
                    self.lives.advance(id, at);
                }
                Ok(false) => {
                    let shorter = found.stat.size < life.seen.offset;
                    if !named.has(&found.stat.key) {
                        rewritten.push(NewFile::rewritten(found.path, found.stat, life.segment.lineage.clone()));
                    }
                    let how = if shorter { "truncated" } else { "rewritten" };
                    self.lose_content(id, &format!("{how} while we were stopped"));
                }
                Err(error) => self.notices.cannot_open(&found.path, &error),
            }
        }
        self.find_whole_compressed(FileLife::is_sought, now);
        self.know_released_again(named);
        rewritten
    }

    /// Before it: a life that began while its file might be read, and that a link leads to elsewhere now, is not read on.
    /// Only those of the catalog can be such: afterwards a path that names another file begins another life.
    pub fn leave_what_is_elsewhere(&mut self) {
        if self.links.is_boundless() {
            return;
        }
        for id in self.lives.ids(|life| life.is_sought() && matches!(life.content(), ContentFile::Original)) {
            let Some(life) = self.lives.get(id) else { continue };
            let (path, key) = (life.segment.path(), life.segment.key());
            if self.allowed.contains_key(&path) {
                continue;
            }
            if let Ok(PathTarget::Elsewhere { stat, place }) = self.links.look(&path)
                && stat.key.same_but_device(&key)
            {
                warn!(source = %self.log.name, path = %path.display(), segment = %id, target = %place.display(),
                    "the file was read before, and `followLinks` does not allow it any more; what was not read of it is recorded as a gap");
                self.lives.advance(id, Whereabouts::Gone);
            }
        }
    }

    /// A released life whose file has another device number since a remount is known again, so that a rotated file in
    /// the glob is not taken for a new one.
    fn know_released_again(&mut self, named: &Named) {
        for id in self.lives.ids(|life| life.is_released() && life.missing == 0) {
            let Some(life) = self.lives.get(id) else { continue };
            let key = life.segment.key();
            if !named.has(&key)
                && let Some((path, stat)) = named.same_but_device(&key)
                && !self.lives.knows(&stat.key)
                && let Ok(opened) = OpenFile::open(path)
                && life.is_intact(&opened).unwrap_or(false)
            {
                self.lives.rekey(id, opened, false);
            }
        }
    }

    /// Step 3: looks at every life whose file changed. A file that lost its bytes begins another life: where no path
    /// names it, it is returned as a new one.
    pub fn verify(&mut self, named: &Named, now: Instant) -> Vec<NewFile> {
        let suspicions = self.log.take_suspicions();
        let mut rewritten = Vec::new();
        for id in self.lives.ids(FileLife::is_followed) {
            let Some(life) = self.lives.get_mut(id) else { continue };
            let segment = life.segment.clone();
            let key = segment.key();
            let stat = match named.stat(&key).map_or_else(|| look_through(&segment), |stat| Ok(Some(stat))) {
                Ok(Some(stat)) => stat,
                Ok(None) => continue,
                Err(error) => {
                    self.notices.cannot_look(&segment.path(), &error);
                    continue;
                }
            };
            let (seen, before) = (life.seen, life.changed);
            let is_short = seen.offset < Anchor::BYTES as u64;
            let changed = stat.changed != before && !suspicions.contains_key(&id);
            if is_short && changed && self.was_cut_since(&segment, &seen, before) {
                if seen.offset == 0 {
                    self.lives.advance(id, Whereabouts::ContentLost { later: None });
                } else {
                    self.lose_content(id, "truncated and written anew");
                }
                continue;
            }
            let Some(life) = self.lives.get_mut(id) else { continue };
            match life.examine(&stat, suspicions.get(&id), now, self.source.seal_after) {
                Ok(Examined::Unchanged) => {}
                Ok(Examined::Changed { is_news }) => self.lives.touch_if(is_news),
                Ok(Examined::Lost(how)) => {
                    self.lose_content(id, how);
                    if !named.has(&key)
                        && let Some(path) = self.listings.find_by_key([&segment.lineage, &segment.path()], &key)
                    {
                        rewritten.push(NewFile::rewritten(path, stat, segment.lineage.clone()));
                    }
                }
                Err(error) => self.notices.cannot_open(&segment.path(), &error),
            }
        }
        rewritten
    }

    /// Whether generations were made beside a file since it had nothing, or few bytes, that are no copies of what it has now: then it
    /// was cut since as well, for a file that is renamed is not at its path any more. Its own bytes cannot tell: there were
    /// none, or many files begin with them.
    fn was_cut_since(&mut self, segment: &Segment, seen: &Cursor, since: (i64, u32)) -> bool {
        let is_new = |key: &FileKey, changed| key.born.unwrap_or(changed) > since && !self.lives.knows(key);
        let Some(directory) = segment.lineage.parent() else { return false };
        let mut generations = self.listings.generations(&segment.lineage, directory);
        generations.retain(|generation| is_new(&generation.stat.key, generation.stat.modified));
        // Another instance's file may begin as this one does.
        let was_cut = |Generation { path, stat, is_certain }: &Generation| {
            let has_more = || self.has_what_was_cut(path, &stat.key, segment, seen).unwrap_or(false);
            seen.offset == 0 || (*is_certain && has_more())
        };
        // After they were looked at: what is renamed meanwhile has younger ones beside it.
        generations.iter().any(was_cut)
            && identity::stat_path(&segment.lineage).is_ok_and(|stat| stat.key == segment.key())
    }

    /// Step 4: the files that no life is known of.
    pub fn new_files(&mut self, named: &Named) -> Vec<NewFile> {
        let lost = self.lives.iter().filter(|life| life.has_lost_content());
        let was_cut = |key: &&FileKey| named.has(key) && !self.lives.knows(key);
        let cut = self.cut.iter().filter(was_cut).copied().chain(lost.map(|life| life.segment.key())).collect();
        self.lives.touch_if(cut != self.cut);
        self.cut = cut;
        let unknown = named.iter().filter(|(_, stat)| !self.lives.knows(&stat.key));
        unknown.map(|(path, stat)| NewFile::named(path, *stat, self.cut.contains(&stat.key))).collect()
    }

    /// The bytes of this life are gone from its file.
    fn lose_content(&mut self, id: SegmentId, how: &str) {
        let Some(life) = self.lives.get(id) else { return };
        warn!(source = %self.log.name, path = %life.segment.path().display(), segment = %id, bytes = life.segment.size(),
            "the file was {how}; what it has now is read, and what was not read before is looked for in its copies");
        self.lives.advance(id, Whereabouts::ContentLost { later: None });
        self.facts.truncations += 1;
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

/// The file of a life that the catalog remembers: among those named, at its last path, by its inode in the directory
/// and in those beside its path.
fn find_again(segment: &Segment, named: &Named, listings: &mut Listings) -> Option<OpenFile> {
    let key = segment.key();
    // A copy of ours is known by its name: the state directory may have been moved to another disk.
    let ours = segment.kept_from.is_some();
    let open = |path: &Path| OpenFile::open(path).ok().filter(|opened| ours || opened.stat.key.same_but_device(&key));
    let path = segment.path();
    if ours {
        return open(&path);
    }
    let met = named.same_but_device(&key).and_then(|(path, _)| open(path));
    met.or_else(|| open(&path)).or_else(|| {
        let around = segment.lineage.parent().map(|directory| listings.around(directory)).unwrap_or_default();
        let directories = path.parent().map(Path::to_owned).into_iter().chain(around);
        directories.into_iter().find_map(|directory| {
            let paths = listings.with_inode(&directory, key.inode);
            paths.iter().find_map(|path| open(path))
        })
    })
}
