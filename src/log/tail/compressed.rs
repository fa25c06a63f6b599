//! Generations that were compressed before they were read to their end.
//!
//! Where a life's file is gone and nobody holds it open, a gzip file beside its path may have its content. It is
//! decompressed and compared: the same first bytes, and the same bytes before every cursor that is remembered. Then the
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

use super::{FileLife, Tail};
use crate::log::{
    identity::{self, FileKey, FileStat},
    position::{Anchor, Cursor, SegmentId},
    segment::SegmentState,
    unpack::{self, CompressedOrigin, Content, Survey, WantedContent},
};

/// How long a compressed file is left alone that could not be restored for want of room or rights.
pub(super) const PAUSE: Duration = Duration::from_secs(10);

/// What is known of compressed files beside the lives.
#[derive(Debug)]
pub(super) struct CompressedFiles {
    /// Where content is restored.
    pub(super) dir: PathBuf,
    pub(super) progress: Arc<AtomicU64>,
    /// Lives whose content stands in a compressed file that cannot be restored now.
    pub(super) waiting: HashMap<SegmentId, Later>,
    /// Missed generations of which the same holds, with their lineage. A restart forgets them: nobody opened them yet.
    pub(super) missed: HashMap<FileKey, (Arc<Path>, Later)>,
    /// Bombs: they are looked at once.
    pub(super) refused: HashSet<FileKey>,
    /// Restored segments that may lack something, and why: told as long as they are not released.
    pub(super) doubts: BTreeMap<SegmentId, (PathBuf, String)>,
}

/// A compressed file that cannot be restored for want of room or rights, and when that is tried again.
#[derive(Debug)]
pub(super) struct Later {
    pub(super) until: Instant,
    path: PathBuf,
    why: String,
}

impl Later {
    pub(super) fn new(path: &Path, error: &io::Error, now: Instant) -> Self {
        Self { until: now + PAUSE, path: path.to_owned(), why: format!("its events wait until it can be: {error}") }
    }
}

/// A compressed file that has a life's content.
pub(super) struct Match {
    pub(super) path: PathBuf,
    pub(super) stat: FileStat,
    file: File,
    pub(super) content: Content,
}

impl CompressedFiles {
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

    pub(super) fn remove_orphans(&self, lives: &BTreeMap<SegmentId, FileLife>) {
        let theirs: HashSet<PathBuf> =
            lives.values().filter(|life| !life.released).map(|life| life.segment.path()).collect();
        unpack::remove_others(&self.dir, |path| theirs.contains(path));
    }

    pub(super) fn place(&self, id: SegmentId) -> PathBuf {
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
    pub(super) fn find_compressed_of_lost(&mut self, now: Instant) {
        let lost = self.lives.values().filter(|life| life.content_lost && self.seeks_a_copy(life));
        for id in lost.map(|life| life.segment.id).collect::<Vec<_>>() {
            self.find_packed_life(id, now);
        }
    }

    /// Whether a life goes on in a compressed file's content, or will once there is room for it.
    pub(super) fn find_packed_life(&mut self, id: SegmentId, now: Instant) -> bool {
        if self.packed.waiting.get(&id).is_some_and(|later| now < later.until) {
            return true;
        }
        let done = match self.packed_match(id) {
            Ok(Some(found)) => self.go_on_in_content(id, &found).map(|()| true).map_err(|error| (found.path, error)),
            Ok(None) => Ok(false),
            Err(failed) => Err(failed),
        };
        match done {
            Ok(done) => {
                self.packed.waiting.remove(&id);
                done
            }
            Err((path, error)) => {
                if self.packed.waiting.insert(id, Later::new(&path, &error, now)).is_none() {
                    self.notices.cannot_unpack(&path, &error);
                }
                true
            }
        }
    }

    /// The compressed file that has a life's content: one that has all of it, else the one that has the most.
    pub(super) fn packed_match(&mut self, id: SegmentId) -> Result<Option<Match>, (PathBuf, io::Error)> {
        let Some(life) = self.lives.get(&id).filter(|life| life.segment.head().offset > 0) else { return Ok(None) };
        let (lineage, modified, seen) = (life.segment.lineage.clone(), life.modified, life.seen.offset);
        let (head, cursors) = (life.segment.head(), life.cursors());
        let mut siblings = self.listings.siblings(&lineage);
        // gzip leaves its file the time of the last write: what was last written earlier is older than this life.
        siblings.retain(|(_, stat)| {
            stat.modified >= modified && self.newest.get(&stat.key).is_none_or(|owner| *owner == id)
        });
        siblings.sort_by_key(|(_, stat)| stat.modified);
        let mut best: Option<Match> = None;
        for (path, stat) in siblings {
            let wanted = WantedContent { head, cursors: &cursors, seen };
            let (file, content) = match self.survey(&path, &lineage, &stat, &wanted) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) => return Err((path, error)),
            };
            // Without damage one that lacks the end must prove that it is no other file with the same beginning.
            if content.decoded < seen && content.damage.is_none() && content.cursors == 0 {
                continue;
            }
            let whole = content.size >= seen;
            if best.as_ref().is_none_or(|best| content.size > best.content.size) {
                best = Some(Match { path, stat, file, content });
            }
            if whole {
                break;
            }
        }
        Ok(best)
    }

    /// What a compressed file holds, if it has what is wanted.
    pub(super) fn survey(
        &mut self,
        path: &Path,
        lineage: &Path,
        stat: &FileStat,
        wanted: &WantedContent<'_>,
    ) -> io::Result<Option<(File, Content)>> {
        let original = path.with_extension("");
        // A compressor that is not done, or died, leaves the original: that one counts.
        if self.packed.refused.contains(&stat.key) || (original != lineage && original.exists()) {
            return Ok(None);
        }
        let (file, now) = match identity::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if now.key != stat.key || !now.regular || !unpack::is_gzip(&file)? {
            return Ok(None);
        }
        match unpack::survey(&file, wanted, &self.packed.progress)? {
            Survey::Other => Ok(None),
            Survey::Bomb(why) => {
                self.notices.bomb(path, &why);
                self.packed.refused.insert(stat.key);
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
        if self.log.release_gate.all_past(id, segment.start.offset, size) {
            segment.set_state(SegmentState::Sealed);
        } else {
            let place = self.packed.place(id);
            unpack::restore(&found.file, content.size, &place, &self.packed.progress)?;
            let (file, stat) = identity::open(&place)?;
            info!(source = %self.log.name, segment = %id, path = %found.path.display(), was = %segment.path().display(),
                bytes = content.size, restored = %place.display(),
                "the file was compressed before it was read to its end: its content is restored and reading continues in it");
            self.live_in(id, &place, file, &stat, content)?;
        }
        self.doubt(id, &found.path, content);
        let Some(life) = self.lives.get_mut(&id) else { return Ok(()) };
        life.content_lost = false;
        life.missing = 0;
        life.packed = Some(CompressedOrigin { path: found.path.clone(), key: found.stat.key, since });
        self.unresolved.remove(&id);
        self.newest.insert(found.stat.key, id);
        self.dirty = true;
        Ok(())
    }

    /// From now on the restored file is the segment's.
    fn live_in(
        &mut self,
        id: SegmentId,
        place: &Path,
        file: File,
        stat: &FileStat,
        content: &Content,
    ) -> io::Result<()> {
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
        life.seen = identity::cursor_at(&file, content.size)?;
        life.modified = stat.modified;
        life.quiet_since = Instant::now();
        let pin = self.pins.take(SegmentState::Draining).then(|| Arc::new(file));
        segment.continue_in(place.to_owned(), stat.key, pin);
        segment.set_state(SegmentState::Draining);
        self.newest.insert(stat.key, id);
        Ok(())
    }

    /// Says so where a compressed file was damaged, as long as the segment is read.
    pub(super) fn doubt(&mut self, id: SegmentId, path: &Path, content: &Content) {
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
        let lives = &self.lives;
        self.packed.waiting.retain(|id, _| lives.contains_key(id));
        for later in self.packed.waiting.values().chain(self.packed.missed.values().map(|(_, later)| later)) {
            self.notices.doubtful(&later.path, &later.why);
        }
    }
}

/// Whether content begins as a life's head says.
pub(super) fn begins(first: &[u8], head: &Cursor) -> bool {
    let same = |bytes: &[u8]| head.anchor == Some(Anchor::of(bytes));
    head.offset > 0 && first.get(..head.offset as usize).is_some_and(same)
}
