//! Generations that were compressed before they were read to their end.
//!
//! Where a life's file is gone and nobody holds it open, a compressed file beside its path may have its content: gzip,
//! zstd, xz, bzip2 or lz4, told by its first bytes. It is decompressed and compared: the same first bytes, and the same
//! bytes before every cursor that is remembered; no time decides that, for compressors give any. Then the content is put
//! into a file of ours (`<stateDir>/sources/<source>/restored/<segment>`), which is that segment's file
//! from now on: the same offsets, the same reader. It is removed when the segment is released; the compressed file
//! stays known by its inode and birth, so that it is not taken for a generation that was missed.
//!
//! A restored file that no life of the catalog has is what a crash left: it is removed at the next start, and made
//! again.

mod finished;
mod format;
mod looked;
mod members;
mod missed;
mod unpack;

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::Instant,
};

use tracing::{error, info, warn};

pub(super) use self::format::PackedFormat;
pub use self::members::{MOST_MEMORY, PackedReader};
use self::{
    looked::{LookedInto, PackedBeginning},
    unpack::Content,
};
use super::{
    FileLife, Tail, Whereabouts,
    identity::{is_compressed, original_paths},
    lives::{ContentFile, Later},
};
use crate::log::{
    catalog::{CompressedOrigin, PostponedGeneration},
    identity::{self, FileKey, FileStat, OpenFile},
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
    /// Missed generations that cannot be restored now, with their lineage.
    postponed: HashMap<FileKey, (Arc<Path>, Later)>,
    /// What will not be decompressed, and why: told as long as it is there.
    refused: HashMap<FileKey, (PathBuf, String)>,
    looked: LookedInto,
    /// Restored segments that may lack something, and why: told as long as they are not released.
    doubts: BTreeMap<SegmentId, (PathBuf, String)>,
}

/// How much of a life's content a compressed file must have to be its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WantedShare {
    /// All that was seen.
    All,
    /// Some that proves that there was no other.
    Any,
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
            refused: HashMap::new(),
            looked: LookedInto::default(),
            doubts: BTreeMap::new(),
        }
    }

    /// What the catalog is to say of missed generations that wait: once younger ones are known, no look would find them.
    pub(super) fn postponed_to_keep(&self) -> Vec<PostponedGeneration> {
        let kept = self.postponed.iter().map(|(key, (lineage, later))| PostponedGeneration {
            path: later.path.clone(),
            key: *key,
            lineage: lineage.to_path_buf(),
        });
        kept.collect()
    }

    /// Those of a run before this one.
    pub(super) fn remember_postponed(&mut self, kept: Vec<PostponedGeneration>) {
        for PostponedGeneration { path, key, lineage } in kept {
            let key = match identity::stat_path(&path) {
                Ok(stat) if stat.key.same_but_device(&key) => stat.key,
                _ => key, // Renamed, or gone: the scans see which.
            };
            self.postpone(key, lineage.into(), path);
        }
    }

    /// Removes a file if it is one of the restored ones.
    pub(super) fn remove(&self, path: &Path) {
        if path.starts_with(&self.dir) {
            // One that stays is removed at the next start.
            let _ = std::fs::remove_file(path);
        }
    }

    /// A generation is looked at in the next scan.
    pub(super) fn postpone(&mut self, key: FileKey, lineage: Arc<Path>, path: PathBuf) {
        let later = Later { until: Instant::now(), path, why: "its events wait for the next look".to_owned() };
        self.postponed.insert(key, (lineage, later));
    }

    pub(super) fn place(&self, id: SegmentId) -> PathBuf {
        self.dir.join(format!("{:020}", id.0))
    }
}

impl Tail {
    /// Looks among compressed files for all of the content of every life that looks for it for this reason.
    pub(super) fn find_whole_compressed(&mut self, seeks: fn(&FileLife) -> bool, now: Instant) {
        for id in self.lives.ids(|life| seeks(life) && life.seeks_a_copy()) {
            self.goes_on_in_share(id, WantedShare::All, now);
        }
    }

    /// Looks among compressed files for as much as there is of the content of every life that looks for it.
    pub(super) fn find_compressed(&mut self, now: Instant) {
        for id in self.lives.ids(FileLife::seeks_a_copy) {
            self.goes_on_compressed(id, now);
        }
    }

    /// Whether a life goes on in a compressed file's content, or will once that can be restored.
    pub(super) fn goes_on_compressed(&mut self, id: SegmentId, now: Instant) -> bool {
        self.goes_on_in_share(id, WantedShare::Any, now)
    }

    fn goes_on_in_share(&mut self, id: SegmentId, share: WantedShare, now: Instant) -> bool {
        let Some(life) = self.lives.get(id) else { return false };
        if life.later().is_some_and(|later| now < later.until) {
            return true;
        }
        let waited = life.later().is_some();
        let done = match self.compressed_match(id, share) {
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
    fn compressed_match(
        &mut self,
        id: SegmentId,
        share: WantedShare,
    ) -> Result<Option<CompressedMatch>, (PathBuf, io::Error)> {
        let Some(life) = self.lives.get(id).filter(|life| life.segment.head().offset > 0) else { return Ok(None) };
        let (head, modified, changed, seen) = (life.segment.head(), life.modified, life.changed, life.seen.offset);
        let (is_small, since) = (head.offset < Anchor::BYTES as u64, life.since());
        let lineage = life.segment.lineage.to_path_buf();
        let mut siblings = self.files_beside(id);
        siblings.retain(|(_, stat)| self.lives.of_file(&stat.key).is_none_or(|owner| owner.segment.id == id));
        // Many files begin with the same few bytes: one that was made before the life's own file has others.
        siblings.retain(|(_, stat)| !is_small || stat.key.born.is_none_or(|born| born >= since));
        // Most compressors leave their file the time of the last write: those that do not are looked into last.
        siblings.sort_by_key(|(_, stat)| (stat.modified < modified, stat.modified));
        let mut best: Option<(PathBuf, FileKey, Content)> = None;
        let (mut failed, mut refused) = (None, Vec::new());
        for (path, stat) in siblings.clone() {
            let found = match self.beginning(&path, &stat) {
                Ok(PackedBeginning::Content(first)) if begins(&first, &head) => self.content_of(id, &path, &stat),
                Ok(PackedBeginning::Refused(why)) => {
                    // One that was made before the life's last bytes came has not those.
                    let made = stat.key.born.unwrap_or(stat.modified);
                    refused.extend((made >= changed).then_some((path, stat.key, why)));
                    continue;
                }
                Ok(_) => continue,
                Err(error) => Err(error),
            };
            let content = match found {
                Ok(Some(content)) => content,
                Ok(None) => continue,
                Err(error) => {
                    // Somebody else's file beside it holds nothing up.
                    failed = failed.or_else(|| is_compressed(&path).then_some((path, error)));
                    continue;
                }
            };
            // Without damage one that lacks the end must prove that it is no other file with the same beginning.
            let is_proven = content.decoded >= seen || content.damage.is_some() || content.cursors > 0;
            let is_enough = content.size >= seen;
            if !is_proven || share == WantedShare::All && !is_enough {
                continue;
            }
            if best.as_ref().is_none_or(|(_, _, best)| content.size > best.size) {
                best = Some((path, stat.key, content));
            }
            if is_enough {
                break;
            }
        }
        match (best, failed) {
            (Some((path, key, content)), _) => {
                let opened = OpenFile::open_known(&path, &key).map_err(|error| (path, error))?;
                Ok(opened.map(|opened| CompressedMatch { opened, content }))
            }
            (None, Some(failed)) => Err(failed),
            (None, None) => {
                for (path, key, why) in refused.into_iter().filter(|_| share == WantedShare::Any) {
                    self.refuse(&path, &key, why);
                }
                let stands = |(path, stat): &(PathBuf, FileStat)| {
                    identity::stat_path(path).is_ok_and(|there| there.key == stat.key)
                };
                if !siblings.iter().all(stands) {
                    self.overtaken.insert(lineage);
                }
                Ok(None)
            }
        }
    }

    /// What may be compressed from a life's file: what has a name like its path's, like that of the file whose
    /// generation it seems to be, or like its last one.
    fn files_beside(&mut self, id: SegmentId) -> Vec<(PathBuf, FileStat)> {
        let Some(life) = self.lives.get(id) else { return Vec::new() };
        let mut paths = vec![life.segment.lineage.to_path_buf()];
        paths.extend(original_paths(&life.segment.lineage).into_iter().map(|(original, _)| original));
        if matches!(life.content(), ContentFile::Original) {
            paths.push(life.segment.path());
        }
        let mut files: Vec<_> = paths.iter().flat_map(|path| self.listings.alike(path)).collect();
        files.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        files.dedup_by(|(one, _), (other, _)| one == other);
        files
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
        life.note_times(&restored.stat);
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
        let (listings, notices) = (&mut self.listings, &mut self.notices);
        self.compressed.refused.retain(|key, (path, why)| {
            let there = listings.find_by_key([path, path], key);
            there.inspect(|path| notices.refused(path, why)).is_some()
        });
        self.compressed.looked.forget_others(|id| self.lives.get(id).is_some());
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
