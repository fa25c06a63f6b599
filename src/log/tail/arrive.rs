//! Files that no life is known of.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tracing::info;

use super::{
    FileLife, Named, NewFile, PossibleCopy, Tail, Whereabouts,
    compressed::is_gzip,
    identity::{Generation, is_compressed, original_paths},
    lives::ContentFile,
};
use crate::{
    config::StartAt,
    log::{
        identity::{self, FileKey, OpenFile},
        segment::{Segment, SegmentState},
    },
};

/// How far back the last line end is looked for where reading starts at the end.
const LOOK_BACK: u64 = 1024 * 1024;

impl Tail {
    /// Step 5: generations that came and were rotated away between two scans, or while we were stopped: where a path
    /// names another file than before, its generations that were born since are read too; where it was never met, all
    /// of them.
    pub(super) fn missed_generations(&mut self, named: &Named, new_files: &mut Vec<NewFile>) {
        let moved_on = new_files.iter().map(|file| (file.path.clone(), Some(file.stat.key)));
        let mut changed: HashMap<PathBuf, Option<FileKey>> =
            self.abandoned(named).into_iter().map(|path| (path, None)).collect();
        changed.extend(self.empty_paths.keys().map(|path| (path.to_path_buf(), None)));
        changed.extend(moved_on);
        let mut listed: HashSet<FileKey> = new_files.iter().map(|file| file.stat.key).collect();
        let newest: HashMap<&Path, &FileLife> =
            self.lives.iter().map(|life| (&*life.segment.lineage, life)).collect();
        for (path, its_key) in changed {
            let before = newest.get(&*path).copied();
            let beside = self.empty_paths.get(&*path);
            let successor = its_key.and_then(|key| key.born);
            let is_missed = |generation: &Generation| {
                let key = generation.stat.key;
                let born = key.born.unwrap_or(generation.stat.modified);
                // A compressed one is made after its successor began, and keeps the time of the last write.
                let ended = if is_compressed(&generation.path) { generation.stat.modified } else { born };
                match (before, beside) {
                    // A truncated file keeps its birth: what was copied from it since we last saw it change is younger
                    // than that.
                    (Some(before), _) if its_key == Some(before.segment.key()) => {
                        key != before.segment.key() && born > before.modified
                    }
                    // Two files may be born in one tick of the clock. A name that may be another instance's is believed
                    // of a file that came between two generations.
                    (Some(before), _) => {
                        key != before.segment.key()
                            && born >= before.since()
                            && (generation.is_certain || successor.is_none_or(|successor| ended <= successor))
                    }
                    (None, Some(beside)) => !beside.contains(&key),
                    (None, None) => generation.is_certain && self.source.start_at == StartAt::Beginning,
                }
            };
            for generation in self.listings.generations(&path).into_iter().filter(is_missed) {
                let Generation { path: sibling, stat, .. } = generation;
                if self.lives.knows(&stat.key) {
                    continue;
                }
                if self.exclude.iter().any(|exclude| exclude.matches(&sibling)) {
                    self.notices.excluded_generation(&sibling, &path);
                    continue;
                }
                let lineage = before.map_or_else(|| path.as_path().into(), |before| before.segment.lineage.clone());
                if listed.insert(stat.key) && !named.has(&stat.key) {
                    new_files.push(NewFile::beside(sibling, stat, lineage));
                } else if is_compressed(&sibling)
                    && let Some(known) = new_files.iter_mut().find(|file| file.stat.key == stat.key)
                {
                    known.lineage = Some(lineage); // Named by a glob that has the compressed generations too.
                }
            }
        }
    }

    /// Lineages that have lives and no file at their path: what was there was rotated away, or deleted.
    fn abandoned(&self, named: &Named) -> Vec<PathBuf> {
        let paths = named.paths();
        let kept = self.lives.iter().filter(|life| !life.is_released());
        let lineages: HashSet<&Path> = kept.map(|life| &*life.segment.lineage).collect();
        let absent = lineages.into_iter().filter(|path| !paths.contains(path) && !path.exists());
        absent.map(Path::to_owned).collect()
    }

    /// Step 7: gives the new files their numbers, oldest first. One that a rotation moved meanwhile keeps what is younger
    /// in its lineage waiting for the next scan: behind that it would be taken for an old one, and never be read.
    pub(super) fn arrive(&mut self, mut new_files: Vec<NewFile>, named: &Named, now: Instant) {
        self.add_postponed(&mut new_files, now);
        if new_files.is_empty() {
            return;
        }
        new_files.sort_by_cached_key(NewFile::age);
        let around = Around {
            named,
            originals: self.originals(&new_files),
            cut: new_files.iter().filter(|file| file.truncated).map(|file| file.path.clone()).collect(),
            bases: self.lives.iter().map(|life| life.segment.lineage.to_path_buf()).collect(),
        };
        let lineage_of = |file: &NewFile| file.lineage.clone().unwrap_or_else(|| around.lineage(&file.path));
        let has_moved = |file: &&NewFile| {
            !self.starts_at_end() && !identity::stat_path(&file.path).is_ok_and(|stat| stat.key == file.stat.key)
        };
        // Those that came after it stand among the new ones.
        let moved: Vec<_> = new_files.iter().filter(has_moved).map(lineage_of).collect();
        self.overtaken.extend(moved.into_iter().map(|lineage| lineage.to_path_buf()));
        for new_file in &new_files {
            let lineage = lineage_of(new_file);
            if self.overtaken.contains(&*lineage) {
                continue;
            }
            match self.arrive_one(new_file, &lineage, &around, now) {
                Ok(true) => {}
                // What `startAt: end` begins with is not read in the next scan either.
                Ok(false) => _ = !self.starts_at_end() && self.overtaken.insert(lineage.to_path_buf()),
                Err(error) => self.notices.cannot_open(&new_file.path, &error),
            }
        }
    }

    /// Step 8: what has lost its content and was found in no file is gone, unless a compressed one waits to be restored.
    pub(super) fn give_up_lost(&mut self) {
        let is_given_up = |life: &FileLife| {
            let is_overtaken = self.overtaken.contains(&*life.segment.lineage);
            life.has_lost_content() && life.later().is_none() && !is_overtaken
        };
        for id in self.lives.ids(is_given_up) {
            self.lives.advance(id, Whereabouts::Gone);
        }
    }

    /// False where a rotation came between.
    fn arrive_one(
        &mut self,
        new_file: &NewFile,
        lineage: &Arc<Path>,
        around: &Around<'_>,
        now: Instant,
    ) -> io::Result<bool> {
        let Some(opened) = OpenFile::open_known(&new_file.path, &new_file.stat.key)? else { return Ok(false) };
        let OpenFile { path, file, stat } = &opened;
        if new_file.lineage.is_some() && is_gzip(file)? {
            return self.arrive_compressed(lineage, &opened, now);
        }
        if !self.is_readable(path, file, new_file.lineage.is_some())? {
            return Ok(true);
        }
        if let Some(original) = self.copy_in_the_making(&opened, &around.originals)? {
            let held = self.held.entry(stat.key).or_insert(PossibleCopy { size: stat.size, since: now });
            if held.size != stat.size {
                *held = PossibleCopy { size: stat.size, since: now };
            }
            if now - held.since < self.source.seal_after {
                self.notices.held(path, &original);
                // What is cut before it is opened must not come before its copy.
                return Ok(stat.size == 0 || !around.cut.contains(&original));
            }
        }
        self.held.remove(&stat.key);
        let start = if self.starts_at_end() { last_line_end(file, stat.size)? } else { 0 };
        let start = identity::cursor_at(file, start)?;
        let id = self.lives.next_id();
        let state = if around.named.has(&stat.key) { SegmentState::Active } else { SegmentState::Draining };
        let segment = Segment::new(id, lineage.clone(), start, stat.size, state, path.clone(), stat.key);
        let life = FileLife::begin(segment, &opened, stat.size, ContentFile::Original, now)?;
        if new_file.truncated && self.listings.has_newer(lineage) {
            return Ok(false); // It was copied and cut once more: what was seen in it now is younger than that copy.
        }
        info!(source = %self.log.name, path = %path.display(), segment = %id, size = stat.size, start = start.offset, "reading a file");
        self.insert(life, opened.file);
        Ok(true)
    }

    /// A life begins, and its file is held.
    pub(super) fn insert(&mut self, life: FileLife, file: Arc<File>) {
        if self.pins.take(life.segment.state()) {
            life.segment.pin(file);
        }
        self.lives.insert(life);
    }

    fn is_readable(&mut self, path: &Path, file: &File, missed: bool) -> io::Result<bool> {
        let mut first = [0; 4];
        let got = file.read_at(&mut first, 0)?;
        if got < first.len() && is_compressed(path) {
            return Ok(false); // A compressor has just begun it.
        }
        if first[..got].starts_with(&[0x1F, 0x8B]) || first[..got].starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
            if !missed {
                self.notices.compressed(path);
            }
            return Ok(false);
        }
        if first[..got].starts_with(&[0xFF, 0xFE]) || first[..got].starts_with(&[0xFE, 0xFF]) {
            self.notices.utf16(path);
            return Ok(false);
        }
        if path.canonicalize().is_ok_and(|path| path.starts_with(&self.state_dir)) {
            self.notices.our_own(path);
            return Ok(false);
        }
        Ok(true)
    }
}

/// What a file that arrives is compared with.
struct Around<'a> {
    named: &'a Named,
    originals: HashSet<PathBuf>,
    /// Those that were cut.
    cut: HashSet<PathBuf>,
    /// The lineages that are known.
    bases: HashSet<PathBuf>,
}

impl Around<'_> {
    /// Of a file that a path names: its own path, or that of the file whose rotated generation it seems to be.
    fn lineage(&self, path: &Path) -> Arc<Path> {
        let is_met = |(of, is_certain): &(PathBuf, bool)| {
            *is_certain && (self.bases.contains(of) || self.originals.contains(of))
        };
        original_paths(path).into_iter().find(is_met).map_or_else(|| path.into(), |(of, _)| of.into())
    }
}

/// Where the last whole line ends.
fn last_line_end(file: &File, size: u64) -> io::Result<u64> {
    let mut chunk = vec![0; LOOK_BACK.min(size) as usize];
    let from = size - chunk.len() as u64;
    file.read_exact_at(&mut chunk, from)?;
    Ok(memchr::memrchr(b'\n', &chunk).map_or(if from == 0 { 0 } else { size }, |at| from + at as u64 + 1))
}
