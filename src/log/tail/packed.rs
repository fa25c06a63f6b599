//! Generations that were compressed before they were read to their end.
//!
//! Where a life's file is gone and nobody holds it open, a gzip file beside its path may have its content. It is
//! decompressed and compared: the same first bytes, and the same bytes before every mark that is remembered. Then the
//! content is put into a file of ours (`<stateDir>/sources/<source>/restored/<segment>`), which is that segment's file
//! from now on: the same offsets, the same reader. It is removed when the segment is released; the compressed file
//! stays known by its inode and birth, so that it is not taken for a generation that was missed.
//!
//! A restored file that no life of the catalog has is what a crash left: it is removed at the next start, and made
//! again.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use tracing::{error, info, warn};

use super::{Life, Tail, Unknown, retire::MISSING_SCANS};
use crate::log::{
    identity::{self, FileKey, Sight},
    position::{Anchor, Mark, SegmentId},
    segment::{Segment, State},
    unpack::{self, Content, Origin, Survey, Wanted},
};

/// How long a compressed file is left alone that could not be restored for want of room or rights.
pub(super) const PAUSE: Duration = Duration::from_secs(10);

/// What is known of compressed files beside the lives.
#[derive(Debug)]
pub(super) struct Packed {
    /// Where content is restored.
    dir: PathBuf,
    progress: Arc<AtomicU64>,
    /// Lives whose content stands in a compressed file that cannot be restored now, and when that is tried again.
    waiting: HashMap<SegmentId, Instant>,
    /// Missed generations of which the same holds, with their lineage.
    missed: HashMap<FileKey, (Arc<Path>, Instant)>,
    /// Bombs: they are looked at once.
    refused: HashSet<FileKey>,
    /// Restored segments that may lack something, and why: told as long as they are not released.
    doubts: BTreeMap<SegmentId, (PathBuf, String)>,
}

/// A compressed file that has a life's content.
struct Match {
    path: PathBuf,
    sight: Sight,
    file: File,
    content: Content,
}

impl Packed {
    pub(super) fn new(source: &Path) -> Self {
        Self {
            dir: unpack::restored_dir(source),
            progress: Arc::default(),
            waiting: HashMap::new(),
            missed: HashMap::new(),
            refused: HashSet::new(),
            doubts: BTreeMap::new(),
        }
    }

    pub(super) fn progress(&self) -> Arc<AtomicU64> {
        self.progress.clone()
    }

    pub(super) fn waits_for(&self, id: SegmentId) -> bool {
        self.waiting.contains_key(&id)
    }

    /// Removes a file if it is one of the restored ones.
    pub(super) fn remove(&self, path: &Path) {
        if path.starts_with(&self.dir) {
            // One that stays is removed at the next start.
            let _ = std::fs::remove_file(path);
        }
    }

    pub(super) fn remove_orphans(&self, lives: &BTreeMap<SegmentId, Life>) {
        let theirs: HashSet<PathBuf> =
            lives.values().filter(|life| !life.released).map(|life| life.segment.path()).collect();
        unpack::remove_others(&self.dir, |path| theirs.contains(path));
    }

    fn place(&self, id: SegmentId) -> PathBuf {
        self.dir.join(format!("{:020}", id.0))
    }
}

impl Tail {
    /// Looks among compressed files for the content of every life whose file is gone.
    pub(super) fn find_packed_of_deleted(&mut self, now: Instant) {
        for id in self.unresolved.clone() {
            if self.lives.get(&id).is_some_and(|life| self.seeks_a_copy(life)) {
                self.find_packed_life(id, now);
            }
        }
    }

    /// The same for those whose file was cut, and is in no copy that is not compressed.
    pub(super) fn find_packed_of_bereft(&mut self, now: Instant) {
        let bereft = self.lives.values().filter(|life| life.bereft && self.seeks_a_copy(life));
        for id in bereft.map(|life| life.segment.id).collect::<Vec<_>>() {
            self.find_packed_life(id, now);
        }
    }

    /// Whether a life goes on in a compressed file's content, or will once there is room for it.
    pub(super) fn find_packed_life(&mut self, id: SegmentId, now: Instant) -> bool {
        if self.packed.waiting.get(&id).is_some_and(|until| now < *until) {
            return true;
        }
        self.packed.waiting.remove(&id);
        let found = match self.packed_match(id) {
            Ok(Some(found)) => found,
            Ok(None) => return false,
            Err((path, error)) => return self.unpack_later(id, &path, &error, now),
        };
        match self.go_on_in_content(id, &found) {
            Ok(()) => true,
            Err(error) => self.unpack_later(id, &found.path, &error, now),
        }
    }

    fn unpack_later(&mut self, id: SegmentId, path: &Path, error: &io::Error, now: Instant) -> bool {
        self.notices.cannot_unpack(path, error);
        self.packed.waiting.insert(id, now + PAUSE);
        true
    }

    /// The compressed file that has a life's content: one that has all of it, else the one that has the most.
    fn packed_match(&mut self, id: SegmentId) -> Result<Option<Match>, (PathBuf, io::Error)> {
        let Some(life) = self.lives.get(&id).filter(|life| life.segment.head().offset > 0) else { return Ok(None) };
        let (lineage, modified, seen) = (life.segment.lineage.clone(), life.modified, life.seen.offset);
        let (head, marks) = (life.segment.head(), life.marks());
        let mut siblings = self.listings.siblings(&lineage);
        // gzip leaves its file the time of the last write: what was last written earlier is older than this life.
        siblings.retain(|(_, sight)| {
            sight.modified >= modified && self.newest.get(&sight.key).is_none_or(|owner| *owner == id)
        });
        siblings.sort_by_key(|(_, sight)| sight.modified);
        let mut best: Option<Match> = None;
        for (path, sight) in siblings {
            let wanted = Wanted { head, marks: &marks, seen };
            let (file, content) = match self.survey(&path, &lineage, &sight, &wanted) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) => return Err((path, error)),
            };
            // Without damage one that lacks the end must prove that it is no other file with the same beginning.
            if content.decoded < seen && content.damage.is_none() && content.marks == 0 {
                continue;
            }
            let whole = content.size >= seen;
            if best.as_ref().is_none_or(|best| content.size > best.content.size) {
                best = Some(Match { path, sight, file, content });
            }
            if whole {
                break;
            }
        }
        Ok(best)
    }

    /// What a compressed file holds, if it has what is wanted.
    fn survey(
        &mut self,
        path: &Path,
        lineage: &Path,
        sight: &Sight,
        wanted: &Wanted<'_>,
    ) -> io::Result<Option<(File, Content)>> {
        let original = path.with_extension("");
        // A compressor that is not done, or died, leaves the original: that one counts.
        if self.packed.refused.contains(&sight.key) || (original != lineage && original.exists()) {
            return Ok(None);
        }
        let (file, now) = match identity::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if now.key != sight.key || !now.regular || !unpack::is_gzip(&file)? {
            return Ok(None);
        }
        match unpack::survey(&file, wanted, &self.packed.progress)? {
            Survey::Other => Ok(None),
            Survey::Bomb(why) => {
                self.notices.bomb(path, &why);
                self.packed.refused.insert(sight.key);
                Ok(None)
            }
            Survey::Holds(content) => Ok(Some((file, content))),
        }
    }

    /// Restores a life's content, where somebody still has to read from it.
    fn go_on_in_content(&mut self, id: SegmentId, found: &Match) -> io::Result<()> {
        let Some(life) = self.lives.get(&id) else { return Ok(()) };
        let (segment, since, content) = (life.segment.clone(), life.since(), &found.content);
        let size = content.size.max(segment.size());
        if self.log.board.all_past(id, segment.start.offset, size) {
            segment.set_state(State::Sealed);
        } else {
            let place = self.packed.place(id);
            unpack::restore(&found.file, content.size, &place, &self.packed.progress)?;
            let (file, sight) = identity::open(&place)?;
            info!(source = %self.log.name, segment = %id, path = %found.path.display(), was = %segment.path().display(),
                bytes = content.size, restored = %place.display(),
                "the file was compressed before it was read to its end: its content is restored and reading continues in it");
            self.live_in(id, &place, file, &sight, content)?;
        }
        self.doubt(id, &found.path, content);
        let Some(life) = self.lives.get_mut(&id) else { return Ok(()) };
        life.bereft = false;
        life.missing = 0;
        life.packed = Some(Origin { path: found.path.clone(), key: found.sight.key, since });
        self.unresolved.remove(&id);
        self.newest.insert(found.sight.key, id);
        self.dirty = true;
        Ok(())
    }

    /// From now on the restored file is the segment's.
    fn live_in(&mut self, id: SegmentId, place: &Path, file: File, sight: &Sight, content: &Content) -> io::Result<()> {
        let Some(life) = self.lives.get_mut(&id) else { return Ok(()) };
        let segment = life.segment.clone();
        let old = segment.key();
        if self.newest.get(&old) == Some(&id) {
            self.newest.remove(&old);
        }
        segment.grow_to(content.decoded);
        if content.size < segment.size() {
            warn!(source = %self.log.name, segment = %id, bytes = segment.size() - content.size,
                "the compressed file does not have the last bytes that were seen: they are recorded as a gap");
            segment.lose_from(content.size);
        }
        life.seen = identity::mark_at(&file, content.size)?;
        life.modified = sight.modified;
        life.quiet_since = Instant::now();
        let pin = self.pins.take(State::Draining).then(|| Arc::new(file));
        segment.continue_in(place.to_owned(), sight.key, pin);
        segment.set_state(State::Draining);
        self.newest.insert(sight.key, id);
        Ok(())
    }

    /// Says so where a compressed file was damaged, as long as the segment is read.
    fn doubt(&mut self, id: SegmentId, path: &Path, content: &Content) {
        let Some(damage) = &content.damage else { return };
        let text = format!(
            "of the compressed file {} bytes could be restored, {damage}; what stood behind them is lost",
            content.size
        );
        error!(source = %self.log.name, segment = %id, path = %path.display(), "{text}");
        self.packed.doubts.insert(id, (path.to_owned(), text));
    }

    pub(super) fn tell_of_doubts(&mut self) {
        self.packed.doubts.retain(|id, _| self.lives.get(id).is_some_and(|life| !life.released));
        for (path, text) in self.packed.doubts.values() {
            self.notices.doubtful(path, text);
        }
    }
}

impl Tail {
    /// Missed generations that could not be restored, once more.
    pub(super) fn packed_that_wait(&mut self, unknown: &mut Vec<Unknown>, now: Instant) {
        let due: Vec<_> =
            self.packed.missed.iter().filter(|(_, (_, until))| *until <= now).map(|(key, _)| *key).collect();
        for key in due {
            let Some((lineage, _)) = self.packed.missed.remove(&key) else { continue };
            if let Some(path) = self.listings.find_by_key(&lineage, &key)
                && let Ok(sight) = identity::look(&path)
                && unknown.iter().all(|unknown| unknown.sight.key != key)
            {
                let lineage = Some(lineage);
                unknown.push(Unknown { path, sight, lineage, only_as_copy: false, reborn: false });
            }
        }
    }

    /// A generation that came, was rotated away and compressed while nobody looked: a life of its own, unless it has
    /// the beginning of one that is known.
    pub(super) fn arrive_packed(
        &mut self,
        path: &Path,
        lineage: &Arc<Path>,
        file: &File,
        sight: &Sight,
        now: Instant,
    ) -> io::Result<()> {
        let first = unpack::first_bytes(file)?;
        if first.is_empty() || self.begins_as_a_known_one(lineage, &first) {
            return Ok(());
        }
        let later = |tail: &mut Self, error: &io::Error| {
            tail.notices.cannot_unpack(path, error);
            tail.packed.missed.insert(sight.key, (lineage.clone(), now + PAUSE));
        };
        let content = match self.survey(path, lineage, sight, &Wanted::default()) {
            Ok(Some((_, content))) => content,
            Ok(None) => return Ok(()),
            Err(error) => {
                later(self, &error);
                return Ok(());
            }
        };
        let id = SegmentId(self.next);
        let place = self.packed.place(id);
        if let Err(error) = unpack::restore(file, content.size, &place, &self.packed.progress) {
            later(self, &error);
            return Ok(());
        }
        self.begin_restored(id, path, lineage, sight, &content, now)
    }

    fn begin_restored(
        &mut self,
        id: SegmentId,
        path: &Path,
        lineage: &Arc<Path>,
        sight: &Sight,
        content: &Content,
        now: Instant,
    ) -> io::Result<()> {
        let place = self.packed.place(id);
        let (restored, restored_sight) = identity::open(&place)?;
        self.next += 1;
        let key = restored_sight.key;
        let size = content.decoded;
        let state = State::Draining;
        let segment = Segment::new(id, lineage.clone(), Mark::default(), size, state, place.clone(), key);
        segment.set_head(identity::head(&restored, content.size)?);
        if content.size < size {
            segment.lose_from(content.size);
        }
        let seen = identity::mark_at(&restored, content.size)?;
        if self.pins.take(state) {
            segment.pin(Arc::new(restored));
        }
        info!(source = %self.log.name, path = %path.display(), segment = %id, bytes = content.size, restored = %place.display(),
            "a generation was rotated away and compressed before it was seen: its content is restored and read");
        let mut life = Life::new(segment, seen, restored_sight.modified, now);
        life.packed = Some(Origin { path: path.to_owned(), key: sight.key, since: sight.modified });
        self.doubt(id, path, content);
        self.newest.insert(key, id);
        self.newest.insert(sight.key, id);
        self.lives.insert(id, life);
        self.dirty = true;
        Ok(())
    }

    fn begins_as_a_known_one(&self, lineage: &Path, first: &[u8]) -> bool {
        let mut lives = self.lives.values().filter(|life| *life.segment.lineage == *lineage);
        lives.any(|life| {
            let segment = &life.segment;
            let head = segment.head();
            if !begins(first, &head) || head.offset == Anchor::BYTES as u64 {
                return begins(first, &head);
            }
            // Few bytes prove little: what the file has now counts, or that there never were more.
            let now = segment.open().and_then(|file| identity::head(&file, identity::look_at(&file)?.size));
            now.map_or(first.len() as u64 == segment.size(), |head| begins(first, &head))
        })
    }

    /// A released file is gone: if it was compressed, the life is remembered as long as that file exists.
    pub(super) fn remember_as_packed(&mut self, id: SegmentId) -> bool {
        let (path, key) = match self.untouched_since(id) {
            Some(known) => known,
            None => match self.packed_match(id) {
                Ok(Some(found)) if self.has_more(id, &found.content) => return self.reopen_packed(id),
                Ok(Some(found)) => (found.path, found.sight.key),
                Ok(None) | Err(_) => return false,
            },
        };
        let Some(life) = self.lives.get_mut(&id) else { return false };
        let old = life.segment.key();
        if self.newest.get(&old) == Some(&id) {
            self.newest.remove(&old);
        }
        self.newest.insert(key, id);
        life.packed = Some(Origin { path, key, since: life.since() });
        life.missing = 0;
        self.dirty = true;
        true
    }

    /// A compressed file with the first bytes of a life and the very time of its last change: it need not be read whole
    /// to be known again.
    fn untouched_since(&mut self, id: SegmentId) -> Option<(PathBuf, FileKey)> {
        let life = self.lives.get(&id)?;
        let (head, modified) = (life.segment.head(), life.modified);
        let siblings = self.listings.siblings(&life.segment.lineage);
        let alike = siblings.into_iter().filter(|(_, sight)| sight.modified == modified);
        let mut strangers = alike.filter(|(_, sight)| !self.newest.contains_key(&sight.key));
        let begins_so = |path: &Path| -> io::Result<bool> {
            let (file, _) = identity::open(path)?;
            Ok(unpack::is_gzip(&file)? && begins(&unpack::first_bytes(&file)?, &head))
        };
        let (path, sight) = strangers.find(|(path, _)| begins_so(path).unwrap_or(false))?;
        Some((path, sight.key))
    }

    fn has_more(&self, id: SegmentId, content: &Content) -> bool {
        self.lives.get(&id).is_some_and(|life| content.size > life.segment.size())
    }

    /// What a late writer added to a released file before it was compressed is a segment of its own.
    fn reopen_packed(&mut self, id: SegmentId) -> bool {
        let Some(mut life) = self.lives.remove(&id) else { return false };
        let old = life.segment.clone();
        let next = SegmentId(self.next);
        self.next += 1;
        let (lineage, size) = (old.lineage.clone(), old.size());
        let segment = Segment::new(next, lineage, life.seen, size, State::Draining, old.path(), old.key());
        segment.set_head(old.head());
        if self.newest.get(&old.key()) == Some(&id) {
            self.newest.remove(&old.key());
        }
        life.segment = Arc::new(segment);
        life.released = false;
        life.bereft = true; // Until its content is found, in this scan or a later one.
        self.lives.insert(next, life);
        self.dirty = true;
        self.find_packed_life(next, Instant::now());
        true
    }

    /// A released life whose content is in a compressed file is remembered as long as that exists.
    pub(super) fn keep_or_drop_packed(&mut self, id: SegmentId, consistent: bool) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        let Some(origin) = &mut life.packed else { return };
        if identity::look(&origin.path).is_ok_and(|sight| sight.key == origin.key) {
            life.missing = 0;
        } else if let Some(path) = self.listings.find_by_key(&life.segment.lineage, &origin.key) {
            origin.path = path;
            life.missing = 0;
            self.dirty = true;
        } else if consistent {
            life.missing += 1;
            if life.missing >= MISSING_SCANS {
                self.forget(id);
            }
        }
    }
}

/// Whether content begins as a life's head says.
fn begins(first: &[u8], head: &Mark) -> bool {
    let same = |bytes: &[u8]| head.anchor == Some(Anchor::of(bytes));
    head.offset > 0 && first.get(..head.offset as usize).is_some_and(same)
}
