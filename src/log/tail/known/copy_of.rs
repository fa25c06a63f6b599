//! Copies of files that are read: nothing that they have is delivered again.
//!
//! A file whose name is made of another's, as a rotator, an editor or a human makes it, and all of whose bytes are the
//! beginning of that one, is looked at until it has been at rest for `sealAfter`: it may be a copy in the making, or a
//! file of its own that has only begun. Then it is a copy, and its life begins where it ends. With fewer bytes than an
//! anchor has it is read: many files begin alike.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs::File,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use super::{
    super::{FileLife, NewFile, PossibleCopy, Tail, identity::original_paths},
    same_bytes::same_bytes,
};
use crate::log::{
    identity::{self, FileKey, FileStat, OpenFile},
    position::{Anchor, Cursor, SegmentId},
    segment::{Segment, SegmentState},
};

/// The lives of each lineage.
pub type LivesByLineage = HashMap<PathBuf, Vec<SegmentId>>;

impl Tail {
    pub fn lives_by_lineage(&self) -> LivesByLineage {
        let mut lives = LivesByLineage::new();
        for life in self.lives.iter() {
            lives.entry(life.segment.lineage.to_path_buf()).or_default().push(life.segment.id);
        }
        lives
    }

    /// The life whose bytes begin with all the bytes of this file, as far as anchors tell.
    pub fn original_of(
        &self,
        new_file: &NewFile,
        copy: &OpenFile,
        lives: &LivesByLineage,
    ) -> io::Result<Option<SegmentId>> {
        if copy.stat.size == 0 {
            return Ok(None);
        }
        // Many generations begin alike.
        let is_small = copy.stat.size < Anchor::BYTES as u64;
        let head = identity::head(&copy.file, copy.stat.size)?;
        let end = identity::cursor_at(&copy.file, copy.stat.size)?;
        let lineages = new_file.lineage.iter().map(|lineage| lineage.to_path_buf());
        for lineage in lineages.chain(named_after(&copy.path)) {
            for id in lives.get(&lineage).into_iter().flatten().rev() {
                if let Some(life) = self.lives.get(*id)
                    && (!is_small || may_be_copied_now(life))
                    && begins_with(life, &head, &end)?
                {
                    return Ok(Some(*id));
                }
            }
        }
        Ok(None)
    }

    /// Whether it is a copy for certain, byte by byte where the original can be read.
    pub fn is_copy_of(&self, id: SegmentId, copy: &OpenFile) -> io::Result<bool> {
        let size = copy.stat.size;
        let Some(life) = self.lives.get(id).filter(|_| size >= Anchor::BYTES as u64) else { return Ok(false) };
        match file_of(life) {
            Some((from, file)) if from < size => same_bytes(&file, &copy.file, from, size, &self.compressed.progress),
            _ => Ok(true),
        }
    }

    /// Whether a file has what was seen of another, and more that is not in that any longer.
    pub fn has_what_was_cut(&self, path: &Path, key: &FileKey, of: &Segment, seen: &Cursor) -> io::Result<bool> {
        let Some(OpenFile { file, stat, .. }) = OpenFile::open_known(path, key)? else { return Ok(false) };
        Ok(stat.size > seen.offset
            && identity::still_has(&file, seen)?
            && !same_bytes(&*of.open()?, &file, 0, stat.size, &self.compressed.progress)?)
    }

    /// Puts each file that was cut before the first of the files that are copies of what it has now.
    pub fn put_before_copies(&self, new_files: &mut [NewFile]) {
        for at in 0..new_files.len() {
            let (older, cut) = (&new_files[..at], &new_files[at]);
            if let Some(first) = self.first_copy(older, cut) {
                new_files[first..=at].rotate_right(1);
            }
        }
    }

    fn first_copy(&self, files: &[NewFile], cut: &NewFile) -> Option<usize> {
        if !cut.truncated {
            return None;
        }
        let original = OpenFile::open_known(&cut.path, &cut.stat.key).ok().flatten()?;
        let is_copy = |file: &NewFile| {
            let is_named =
                file.lineage.as_deref() == Some(&cut.path) || named_after(&file.path).any(|of| of == cut.path);
            let size = file.stat.size;
            if !is_named || size < Anchor::BYTES as u64 || size > original.stat.size {
                return Ok(false);
            }
            match OpenFile::open_known(&file.path, &file.stat.key)? {
                Some(copy) => same_bytes(&original.file, &copy.file, 0, size, &self.compressed.progress),
                None => Ok::<_, io::Error>(false),
            }
        };
        files.iter().position(|file| is_copy(file).unwrap_or(false))
    }

    /// Whether a file was left alone as it is now, and still is.
    pub fn waits_as_a_copy(&self, stat: &FileStat, now: Instant) -> bool {
        let held = self.held.get(&stat.key).filter(|held| held.size == stat.size);
        held.is_some_and(|held| now - held.since < self.source.seal_after)
    }

    /// Whether a file that repeats another is left alone for now: it may be a copy in the making.
    pub fn holds_back(&mut self, new_file: &NewFile, copy: &OpenFile, now: Instant) -> bool {
        let (key, size) = (copy.stat.key, copy.stat.size);
        let possible = PossibleCopy { size, since: now, beside: new_file.lineage.clone() };
        let held = self.held.entry(key).or_insert_with(|| possible.clone());
        if held.size != size {
            *held = possible;
        }
        now - held.since < self.source.seal_after
    }

    /// Held files that no path names are met again.
    pub fn add_held(&mut self, new_files: &mut Vec<NewFile>) {
        let beside = self.held.iter().filter_map(|(key, held)| Some((*key, held.beside.clone()?)));
        for (key, lineage) in beside.collect::<Vec<_>>() {
            let path = self.listings.find_by_key([&lineage; 2], &key).filter(|_| !self.lives.knows(&key));
            let stat = path.and_then(|path| Some((identity::stat_path(&path).ok()?, path)));
            match stat {
                Some((stat, path)) if new_files.iter().all(|file| file.stat.key != key) => {
                    new_files.push(NewFile::beside(path, stat, lineage));
                }
                Some(_) => {}
                None => drop(self.held.remove(&key)),
            }
        }
    }

    /// Files of which nothing is read because they are copies: a life that lost its file may go on in one.
    pub fn known_copies(&self) -> Vec<NewFile> {
        let copies = self.lives.iter().filter(|life| life.is_copy());
        let beside = copies.filter_map(|life| {
            let segment = &life.segment;
            let stat = identity::stat_path(&segment.path()).ok().filter(|stat| stat.key == segment.key())?;
            let beside = NewFile::beside(segment.path(), stat, segment.lineage.clone());
            Some(NewFile { only_as_copy: true, ..beside })
        });
        beside.collect()
    }

    /// The life that began behind a copy gives it up to the one whose content that is.
    pub fn give_up_copy(&mut self, key: &FileKey, to: SegmentId) {
        let owner = self.lives.of_file(key).map(|life| life.segment.id);
        if let Some(owner) = owner.filter(|owner| *owner != to) {
            self.lives.remove(owner);
        }
    }
}

/// Whether its file stands where rotators copy from: at its path, or, for `renamecopy`, at the one for a moment.
fn may_be_copied_now(life: &FileLife) -> bool {
    let segment = &life.segment;
    segment.state() == SegmentState::Active || segment.path().extension().is_some_and(|suffix| suffix == "tmp")
}

/// Whether a life's bytes begin with a file's, of which these are the head and the end.
fn begins_with(life: &FileLife, head: &Cursor, end: &Cursor) -> io::Result<bool> {
    let known = life.segment.head();
    if known.offset == 0 || (known.offset == head.offset && known != *head) {
        return Ok(false);
    }
    match file_of(life) {
        Some((0, file)) => Ok(identity::still_has(&file, head)? && identity::still_has(&file, end)?),
        // With the bytes that an anchor there needs.
        Some((from, file)) if from <= end.offset => Ok(known == *head && identity::still_has(&file, end)?),
        // Not to be read any more: it is known where both end alike.
        _ => Ok(known == *head && life.cursors().contains(end)),
    }
}

/// The file that has the bytes of a life, and from where on.
fn file_of(life: &FileLife) -> Option<(u64, Arc<File>)> {
    let file = if life.has_lost_content() { None } else { life.segment.open().ok() };
    Some((life.segment.kept_from.unwrap_or_default(), file?))
}

/// The paths that a name may be made of: as a rotator does it, or by something behind the whole name. While logrotate's
/// `renamecopy` copies a file, that has `.tmp` behind its name.
pub fn named_after(path: &Path) -> impl Iterator<Item = PathBuf> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let ends = (1..name.len()).rev().filter(|at| !name[*at].is_ascii_alphanumeric());
    let longer = ends.map(|at| path.with_file_name(OsStr::from_bytes(&name[..at])));
    let of_rotators = original_paths(path).into_iter().flat_map(|(original, _)| {
        let mut renamed = original.clone().into_os_string();
        renamed.push(".tmp");
        [original, renamed.into()]
    });
    of_rotators.chain(longer)
}
