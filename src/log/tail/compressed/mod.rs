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

mod finished;
mod missed;
mod unpack;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::Instant,
};

use tracing::{error, info, warn};

pub(super) use self::unpack::is_gzip;
use self::unpack::{Content, Survey, WantedContent};
use super::{
    FileLife, Tail, Whereabouts,
    lives::{ContentFile, Later},
};
use crate::log::{
    catalog::CompressedOrigin,
    identity::{self, FileKey, OpenFile},
    position::{Anchor, Cursor, SegmentId},
    segment::SegmentState,
};

/// What is known of compressed files beside the lives.
#[derive(Debug)]
pub(super) struct CompressedFiles {
    /// Where content is restored.
    pub(super) dir: PathBuf,
    /// Moves while they are read.
    pub(super) progress: Arc<AtomicU64>,
    /// Missed generations that cannot be restored now, with their lineage. A restart forgets them: nobody opened them yet.
    postponed: HashMap<FileKey, (Arc<Path>, Later)>,
    /// Bombs: they are looked at once.
    refused: HashSet<FileKey>,
    /// Restored segments that may lack something, and why: told as long as they are not released.
    doubts: BTreeMap<SegmentId, (PathBuf, String)>,
}

/// A compressed file that has a life's content.
struct CompressedMatch {
    opened: OpenFile,
    content: Content,
}

impl CompressedFiles {
    pub(super) fn new(source: &Path) -> Self {
        Self {
            dir: source.join("restored"),
            progress: Arc::default(),
            postponed: HashMap::new(),
            refused: HashSet::new(),
            doubts: BTreeMap::new(),
        }
    }

    /// Removes a file if it is one of the restored ones.
    pub(super) fn remove(&self, path: &Path) {
        if path.starts_with(&self.dir) {
            // One that stays is removed at the next start.
            let _ = std::fs::remove_file(path);
        }
    }

    pub(super) fn place(&self, id: SegmentId) -> PathBuf {
        self.dir.join(format!("{:020}", id.0))
    }
}

impl Tail {
    /// Looks among compressed files for the content of every life that looks for it for this reason.
    pub(super) fn find_compressed(&mut self, seeks: fn(&FileLife) -> bool, now: Instant) {
        for id in self.lives.ids(|life| seeks(life) && life.seeks_a_copy()) {
            self.goes_on_compressed(id, now);
        }
    }

    /// Whether a life goes on in a compressed file's content, or will once that can be restored.
    pub(super) fn goes_on_compressed(&mut self, id: SegmentId, now: Instant) -> bool {
        let Some(life) = self.lives.get(id) else { return false };
        if life.later().is_some_and(|later| now < later.until) {
            return true;
        }
        let waited = life.later().is_some();
        let done = match self.compressed_match(id) {
            Ok(Some(found)) => {
                self.go_on_in_content(id, &found).map(|()| true).map_err(|error| (found.opened.path, error))
            }
            Ok(None) => Ok(false),
            Err(failed) => Err(failed),
        };
        let later = match done {
            Ok(true) => return true,
            Ok(false) if !waited => return false,
            Ok(false) => None,
            Err((path, error)) => {
                if !waited {
                    self.notices.cannot_unpack(&path, &error);
                }
                Some(Later::new(&path, &error, now))
            }
        };
        let waits = later.is_some();
        if let Some(to) = self.lives.get(id).map(|life| life.whereabouts().waiting(later)) {
            self.lives.advance(id, to);
        }
        waits
    }

    /// The compressed file that has a life's content: one that has all of it, else the one that has the most.
    fn compressed_match(&mut self, id: SegmentId) -> Result<Option<CompressedMatch>, (PathBuf, io::Error)> {
        let Some(life) = self.lives.get(id).filter(|life| life.segment.head().offset > 0) else { return Ok(None) };
        let (lineage, modified, seen) = (life.segment.lineage.clone(), life.modified, life.seen.offset);
        let (head, cursors) = (life.segment.head(), life.cursors());
        // What it was restored from has its bytes, whatever the times say: those of the restored file are ours.
        let own = if let ContentFile::Restored(origin) = life.content() { Some(origin.key) } else { None };
        let mut siblings = self.listings.alike(&lineage);
        // gzip leaves its file the time of the last write: what was last written earlier is older than this life.
        siblings.retain(|(_, stat)| {
            (own == Some(stat.key) || stat.modified >= modified)
                && self.lives.of_file(&stat.key).is_none_or(|owner| owner.segment.id == id)
        });
        siblings.sort_by_key(|(_, stat)| stat.modified);
        let mut best: Option<CompressedMatch> = None;
        for (path, stat) in siblings {
            let wanted = WantedContent { head, cursors: &cursors, seen };
            let found = match self.survey(&path, &lineage, &stat.key, &wanted) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) => return Err((path, error)),
            };
            // Without damage one that lacks the end must prove that it is no other file with the same beginning.
            let content = &found.content;
            if content.decoded < seen && content.damage.is_none() && content.cursors == 0 {
                continue;
            }
            if best.as_ref().is_none_or(|best| content.size > best.content.size) {
                best = Some(found);
            }
            if best.as_ref().is_some_and(|best| best.content.size >= seen) {
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
        key: &FileKey,
        wanted: &WantedContent<'_>,
    ) -> io::Result<Option<CompressedMatch>> {
        let original = path.with_extension("");
        // A compressor that is not done, or died, leaves the original: that one counts.
        if self.compressed.refused.contains(key) || (original != lineage && original.exists()) {
            return Ok(None);
        }
        let Some(opened) = OpenFile::open_known(path, key)? else {
            self.overtaken.insert(lineage.to_owned());
            return Ok(None);
        };
        if !is_gzip(&opened.file)? {
            return Ok(None);
        }
        match unpack::survey(&opened.file, wanted, &self.compressed.progress)? {
            Survey::Other => Ok(None),
            Survey::Bomb(why) => {
                self.notices.bomb(path, &why);
                self.compressed.refused.insert(*key);
                Ok(None)
            }
            Survey::Holds(content) => Ok(Some(CompressedMatch { opened, content })),
        }
    }

    /// Restores a life's content, where somebody still has to read from it.
    fn go_on_in_content(&mut self, id: SegmentId, found: &CompressedMatch) -> io::Result<()> {
        let Some(life) = self.lives.get(id) else { return Ok(()) };
        let CompressedMatch { opened: OpenFile { path, file, stat }, content } = found;
        let (segment, since) = (life.segment.clone(), life.since());
        let size = content.size.max(segment.size());
        let is_needed = !self.log.release_gate.all_past(id, segment.start.offset, size);
        if is_needed {
            let place = self.compressed.place(id);
            let restored = unpack::restore(file, content.size, &place, &self.compressed.progress)?;
            info!(source = %self.log.name, segment = %id, path = %path.display(), was = %segment.path().display(),
                bytes = content.size, restored = %place.display(),
                "the file was compressed before it was read to its end: its content is restored and reading continues in it");
            self.live_in_content(id, restored, content)?;
        }
        self.doubt(id, path, content);
        self.lives
            .set_content(id, ContentFile::Restored(CompressedOrigin { path: path.clone(), key: stat.key, since }));
        self.lives.advance(id, if is_needed { Whereabouts::Rotated } else { Whereabouts::Released });
        Ok(())
    }

    /// From now on the restored file is the segment's.
    fn live_in_content(&mut self, id: SegmentId, restored: OpenFile, content: &Content) -> io::Result<()> {
        let Some(life) = self.lives.get_mut(id) else { return Ok(()) };
        let segment = &life.segment;
        segment.grow_to(content.decoded);
        if content.size < segment.size() {
            warn!(source = %self.log.name, segment = %id, bytes = segment.size() - content.size,
                "the compressed file does not have the last bytes that were seen: they are recorded as a gap");
            segment.lose_from(content.size);
        }
        segment.set_state(SegmentState::Draining);
        life.seen = identity::cursor_at(&restored.file, content.size)?;
        life.modified = restored.stat.modified;
        life.quiet_since = Instant::now();
        let hold = self.pins.take(SegmentState::Draining);
        self.lives.rekey(id, restored, hold);
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
        self.compressed.doubts.insert(id, (path.to_owned(), text));
    }

    pub(super) fn tell_of_doubts(&mut self) {
        self.compressed.doubts.retain(|id, _| self.lives.get(*id).is_some_and(|life| !life.is_released()));
        for (path, text) in self.compressed.doubts.values() {
            self.notices.doubtful(path, text);
        }
        let postponed = self.compressed.postponed.values().map(|(_, later)| later);
        for later in self.lives.iter().filter_map(FileLife::later).chain(postponed) {
            self.notices.doubtful(&later.path, &later.why);
        }
    }
}

/// Whether content begins as a life's head says.
fn begins(first: &[u8], head: &Cursor) -> bool {
    let same = |bytes: &[u8]| head.anchor == Some(Anchor::of(bytes));
    head.offset > 0 && first.get(..head.offset as usize).is_some_and(same)
}
