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
    FileLife, Named, NewFile, Tail, compressed::PackedFormat, identity::original_paths, known::LivesByLineage,
    lives::ContentFile,
};
use crate::log::{
    data_end,
    identity::{self, AnchorBytes, OpenFile},
    position::Anchor,
    segment::{Segment, SegmentState},
};

impl Tail {
    /// Step 7: gives the new files their numbers, oldest first. One that a rotation moved meanwhile keeps what is younger
    /// in its lineage waiting for the next scan: behind that it would be taken for an old one, and never be read.
    pub(super) fn arrive(&mut self, mut new_files: Vec<NewFile>, named: &Named, now: Instant) {
        self.add_postponed(&mut new_files, now);
        self.add_held(&mut new_files);
        if new_files.is_empty() {
            return;
        }
        let at_paths = new_files.iter().filter(|file| file.lineage.is_none());
        let born: HashMap<PathBuf, _> = at_paths.map(|file| (file.path.clone(), file.stat.key.born)).collect();
        new_files.sort_by_cached_key(|file| {
            file.age(file.lineage.as_ref().and_then(|lineage| born.get(&**lineage).copied().flatten()))
        });
        self.put_before_copies(&mut new_files);
        let mut around = Around {
            named,
            originals: self.originals(&new_files),
            cut: new_files.iter().filter(|file| file.truncated).map(|file| file.path.clone()).collect(),
            lives: self.lives_by_lineage(),
        };
        let lineages: Vec<Arc<Path>> = new_files.iter().map(|file| around.lineage(file)).collect();
        let has_moved = |file: &NewFile| {
            !self.starts_at_end() && !identity::stat_path(&file.path).is_ok_and(|stat| stat.key == file.stat.key)
        };
        // Those that came after it stand among the new ones.
        let moved = new_files.iter().zip(&lineages).filter(|(file, _)| has_moved(file));
        let moved: Vec<PathBuf> = moved.map(|(_, lineage)| lineage.to_path_buf()).collect();
        self.overtaken.extend(moved);
        for (new_file, lineage) in new_files.iter().zip(&lineages) {
            if self.overtaken.contains(&**lineage) {
                continue;
            }
            match self.arrive_one(new_file, lineage, &mut around, now) {
                Ok(true) => {}
                // What `startAt: end` begins with is not read in the next scan either.
                Ok(false) => _ = !self.starts_at_end() && self.overtaken.insert(lineage.to_path_buf()),
                Err(_) if new_file.lineage.is_some() && self.is_excluded(&new_file.path) => {
                    self.notices.excluded_generation(&new_file.path, lineage);
                }
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
            self.is_gone(id);
        }
    }

    /// False where a rotation came between.
    fn arrive_one(
        &mut self,
        new_file: &NewFile,
        lineage: &Arc<Path>,
        around: &mut Around<'_>,
        now: Instant,
    ) -> io::Result<bool> {
        let Some(opened) = OpenFile::open_known(&new_file.path, &new_file.stat.key)? else { return Ok(false) };
        let OpenFile { path, file, stat } = &opened;
        match (PackedFormat::of(file, path)?, new_file.lineage.is_some()) {
            (PackedFormat::Plain, _) => {}
            (PackedFormat::Begun, _) => return Ok(true),
            (PackedFormat::Packed, true) => return self.arrive_compressed(lineage, &opened, now),
            (PackedFormat::Undecodable(_), true) if new_file.is_missed => {
                return self.lose_generation(lineage, &opened, now).map(|()| true);
            }
            (format, _) => return self.leave_compressed(new_file, format, now).map(|()| true),
        }
        let is_excluded = new_file.lineage.is_some() && self.is_excluded(path);
        if !is_excluded && !self.is_readable(path, file)? {
            return Ok(true);
        }
        let copied = self.original_of(new_file, &opened, &around.lives)?;
        // Of one that waits it was asked before.
        let waits = self.waits_as_a_copy(stat, now);
        let is_copy = !waits && copied.map_or(Ok(false), |id| self.is_copy_of(id, &opened))?;
        // A file that only ends alike is none; of a few bytes nobody can say yet.
        let copied = copied.filter(|_| waits || is_copy || stat.size < Anchor::BYTES as u64);
        let original = match copied.and_then(|id| self.lives.get(id)) {
            Some(life) => Some(life.segment.path()),
            None => self.copy_in_the_making(&opened, &around.originals)?,
        };
        if let Some(original) = &original
            && self.holds_back(new_file, &opened, now)
        {
            self.notices.held(path, original);
            // What is cut before it is opened must not come before its copy.
            return Ok(stat.size == 0 || !around.cut.contains(original));
        }
        self.held.remove(&stat.key);
        if is_excluded {
            let is_known = original.is_some() || stat.size == 0;
            return if is_known { Ok(true) } else { self.lose_generation(lineage, &opened, now).map(|()| true) };
        }
        let (start, end) = if self.starts_at_end() {
            last_line_end(file, stat.size)?
        } else {
            let is_reserved = data_end::is_reserved(&AnchorBytes::before(file, stat.size)?);
            let end = if is_reserved { data_end::first_nul(file, 0, stat.size)? } else { stat.size };
            (if is_copy { end } else { new_file.start }, end)
        };
        let start = identity::cursor_at(file, start)?;
        let id = self.lives.next_id();
        let state = if around.named.has(&stat.key) { SegmentState::Active } else { SegmentState::Draining };
        let segment = Segment::new(id, lineage.clone(), start, end, state, path.clone(), stat.key);
        let mut life = FileLife::begin(segment, &opened, end, ContentFile::Original, now)?;
        if new_file.truncated && self.listings.has_newer(lineage) {
            return Ok(false); // It was copied and cut once more: what was seen in it now is younger than that copy.
        }
        if is_copy {
            life = life.of_copy();
            info!(source = %self.log.name, path = %path.display(), segment = %id, size = stat.size,
                copy_of = %original.unwrap_or_default().display(),
                "the file is a copy of another: only what is added to it is read");
        } else {
            info!(source = %self.log.name, path = %path.display(), segment = %id, size = end, start = start.offset, "reading a file");
        }
        around.cut.remove(path);
        around.lives.entry(lineage.to_path_buf()).or_default().push(id);
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

    fn is_readable(&mut self, path: &Path, file: &File) -> io::Result<bool> {
        let mut first = [0; 2];
        let got = file.read_at(&mut first, 0)?;
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
    lives: LivesByLineage,
}

impl Around<'_> {
    /// That of the file whose generation it is; else its own path, or that of the file whose generation it seems to be.
    fn lineage(&self, new_file: &NewFile) -> Arc<Path> {
        let NewFile { path, lineage, .. } = new_file;
        let is_met = |(of, is_certain): &(PathBuf, bool)| {
            *is_certain && (self.lives.contains_key(of) || self.originals.contains(of))
        };
        let original = || original_paths(path).into_iter().find(is_met);
        let own = || original().map_or_else(|| path.as_path().into(), |(of, _)| of.into());
        lineage.clone().unwrap_or_else(own)
    }
}

/// Where the last whole line ends, and where the data does.
pub(super) fn last_line_end(file: &File, size: u64) -> io::Result<(u64, u64)> {
    let end = data_end::last_data(file, 0, size)?;
    let from = end.saturating_sub(data_end::LOOK_BACK);
    let line_end = data_end::last_line_end(file, from, end)?;
    Ok((line_end.unwrap_or(if from == 0 { 0 } else { end }), end))
}
