//! The lives of a source's files: their numbers, what each file is known by, and whether the catalog is behind.
//!
//! What always holds: a file's key leads to the newest life that has its bytes under that key, and to none where
//! no life has; a number is given once; which file has a life's bytes, and how far it has come, changes only here, and
//! marks the catalog as behind. How far a file was seen may change without that: the next start looks again. A crash
//! leaves the catalog as it was last saved.

mod examine;
mod life;
mod whereabouts;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

pub(super) use self::{
    examine::Examined,
    life::FileLife,
    whereabouts::{ContentFile, Later, PAUSE, Whereabouts},
};
use crate::log::{
    Segments,
    catalog::Catalog,
    identity::{FileKey, OpenFile},
    position::SegmentId,
    segment::{Segment, SegmentState},
};

#[derive(Debug)]
pub(super) struct FileLives {
    lives: BTreeMap<SegmentId, FileLife>,
    /// The newest life of each file.
    by_key: HashMap<FileKey, SegmentId>,
    next: SegmentId,
    is_dirty: bool,
}

impl FileLives {
    /// No lives yet; the first will have this number.
    pub(super) fn new(next: SegmentId) -> Self {
        Self { lives: BTreeMap::new(), by_key: HashMap::new(), next, is_dirty: false }
    }

    /// The number that the next new life has.
    pub(super) fn next_id(&self) -> SegmentId {
        self.next
    }

    pub(super) fn get(&self, id: SegmentId) -> Option<&FileLife> {
        self.lives.get(&id)
    }

    /// A life, to note what was seen of it. Where its bytes are, and under which key, changes by other calls.
    pub(super) fn get_mut(&mut self, id: SegmentId) -> Option<&mut FileLife> {
        self.lives.get_mut(&id)
    }

    /// The life that has its bytes under this key.
    pub(super) fn of_file(&self, key: &FileKey) -> Option<&FileLife> {
        self.lives.get(self.by_key.get(key)?)
    }

    pub(super) fn knows(&self, key: &FileKey) -> bool {
        self.by_key.contains_key(key)
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &FileLife> {
        self.lives.values()
    }

    /// The numbers of those of which something holds.
    pub(super) fn ids(&self, holds: impl Fn(&FileLife) -> bool) -> Vec<SegmentId> {
        self.iter().filter(|life| holds(life)).map(|life| life.segment.id).collect()
    }

    /// Adds a life; one of the catalog's keeps its number.
    pub(super) fn insert(&mut self, life: FileLife) {
        let id = life.segment.id;
        self.next = self.next.max(SegmentId(id.0 + 1));
        self.index(id, life.keys());
        self.lives.insert(id, life);
        self.is_dirty = true;
    }

    pub(super) fn remove(&mut self, id: SegmentId) -> Option<FileLife> {
        let life = self.lives.remove(&id)?;
        self.unindex(id, life.keys());
        self.is_dirty = true;
        Some(life)
    }

    /// The bytes of a life are somewhere else now: the ways from one place to another are drawn at [`Whereabouts`].
    pub(super) fn advance(&mut self, id: SegmentId, to: Whereabouts) {
        self.change(id, |life| life.advance(to));
    }

    /// The same bytes are in another file now, which is held from here on if `hold` says so. `advance` comes after it:
    /// it lets go of a descriptor where there is no file.
    pub(super) fn rekey(&mut self, id: SegmentId, OpenFile { path, file, stat }: OpenFile, hold: bool) {
        self.change(id, |life| life.segment.continue_in(path, stat.key, hold.then_some(file)));
    }

    /// The bytes of a life are in a file of another kind now.
    pub(super) fn set_content(&mut self, id: SegmentId, content: ContentFile) {
        self.change(id, |life| life.set_content(content));
        self.is_dirty = true;
    }

    /// The segment goes on in another file, of which those who read it keep the one that they have until they are done.
    pub(super) fn replace(&mut self, id: SegmentId, segment: Segment, content: ContentFile) {
        self.change(id, |life| {
            life.segment = Arc::new(segment);
            life.set_content(content);
        });
        self.is_dirty = true;
    }

    /// The file has another name now.
    pub(super) fn rename(&mut self, id: SegmentId, path: PathBuf) {
        self.change(id, |life| life.segment.moved_to(path));
    }

    /// Nothing was added to it for long: its bytes end where they end now.
    pub(super) fn seal(&mut self, id: SegmentId) {
        self.change(id, |life| {
            life.line_end = life.seen; // Its unterminated last line is one now.
            life.segment.set_state(SegmentState::Sealed);
        });
    }

    /// No path names it, and somebody may write to it, or does: then it is not at rest either.
    pub(super) fn hold_late(&mut self, id: SegmentId, is_written: bool) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        self.is_dirty |= !life.is_held_late();
        life.hold_late();
        if is_written {
            self.change(id, |life| life.segment.set_state(SegmentState::Draining));
        }
    }

    /// What a late writer adds to a released file, whose data ends at `size`, is a life of its own: it begins
    /// where the old one ended.
    pub(super) fn begin_again(
        &mut self,
        id: SegmentId,
        size: u64,
        at: Whereabouts,
        now: Instant,
    ) -> Option<SegmentId> {
        let next = self.next;
        let life = self.remove(id)?.begun_again(next, size, at, now);
        self.insert(life);
        Some(next)
    }

    /// Bytes may have been added to it that nobody saw, and are gone. Where its file vanished, they may have finished a line
    /// of which only the beginning was seen: that is told with them.
    pub(super) fn lose_unseen(&mut self, id: SegmentId) {
        if let Some(life) = self.lives.get_mut(&id) {
            if !life.has_lost_content() {
                life.forget_torn_line();
            }
            life.segment.lose_unseen();
            self.is_dirty = true;
        }
    }

    /// The catalog must be written where what it keeps of some life changed.
    pub(super) fn touch_if(&mut self, changed: bool) {
        self.is_dirty |= changed;
    }

    /// Whether the catalog on disk is behind, as far as is known.
    /// Something beside the lives is to be written down with them.
    pub(super) fn is_changed(&mut self) {
        self.is_dirty = true;
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    pub(super) fn saved(&mut self, is_saved: bool) {
        self.is_dirty = !is_saved;
    }

    /// What the catalog of the log of this name is to say.
    pub(super) fn catalog(&self, log: &str, cut: &HashSet<FileKey>) -> Catalog {
        let lives = self.iter().map(FileLife::entry).collect();
        let cut = cut.iter().copied().collect();
        Catalog { log: log.to_owned(), next: self.next.0, lives, cut, ..Catalog::default() }
    }

    /// What forwarders are to read.
    pub(super) fn segments(&self) -> Segments {
        Arc::new(self.iter().filter(|life| !life.is_released()).map(|life| life.segment.clone()).collect())
    }

    /// Removes the files in a directory of ours that no life has: what a crash left.
    pub(super) fn remove_others_from(&self, directory: &Path) {
        let unreleased = self.iter().filter(|life| !life.is_released());
        let theirs: HashSet<PathBuf> = unreleased.map(|life| life.segment.path()).collect();
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if !theirs.contains(&entry.path()) {
                // It is in nobody's way; the next start tries again.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    fn change(&mut self, id: SegmentId, change: impl FnOnce(&mut FileLife)) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        let (keys, path, stage) = (life.keys(), life.segment.path(), life.stage());
        change(life);
        self.is_dirty |= stage != life.stage() || !life.segment.stands_at(&path);
        let now = life.keys();
        if now != keys {
            self.is_dirty = true;
            self.unindex(id, keys);
            self.index(id, now);
        }
    }

    fn index(&mut self, id: SegmentId, keys: Vec<FileKey>) {
        for key in keys {
            self.by_key.entry(key).and_modify(|owner| *owner = id.max(*owner)).or_insert(id);
        }
    }

    fn unindex(&mut self, id: SegmentId, keys: Vec<FileKey>) {
        for key in keys {
            if self.by_key.get(&key) == Some(&id) {
                self.by_key.remove(&key);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
