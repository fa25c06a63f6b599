//! Copies: a file whose content another one had.
//!
//! copytruncate copies a file and then cuts it to nothing. A life that lost its bytes, or whose file was not found
//! after a restart, goes on in the file that has them: the same first bytes, and the same bytes before the furthest
//! cursor. Where a busy writer wrote between the copy and the cut, the copy has only the beginning: the life goes on in
//! it all the same, and what only we saw of the rest is gone. A copy that is met before the truncation is held back.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsStr,
    fs::File,
    io,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tracing::{info, warn};

use super::{
    super::{FileLife, NewFile, Tail, Whereabouts},
    rotated_name::originals_of,
};
use crate::log::{
    data_end,
    identity::{self, FileKey, OpenFile},
    position::{Anchor, Cursor, SegmentId},
    segment::SegmentState,
};

/// Whether a file has all of a life's content, or its beginning.
type Comparison = fn(&FileLife, &OpenFile) -> io::Result<bool>;

/// The lives that look for their content, by their first bytes and where those end.
type Seekers = BTreeMap<u64, HashMap<Cursor, Vec<SegmentId>>>;

impl Tail {
    /// Step 6: lets the lives that look for their content go on in files that have it, and takes those files off the
    /// list. Those that have all of it come first, then those that have the most, then compressed ones.
    pub fn find_copies(&mut self, new_files: &mut Vec<NewFile>, now: Instant) {
        if self.list_beside(FileLife::seeks_a_copy, new_files) {
            let listed: HashSet<FileKey> = new_files.iter().map(|file| file.stat.key).collect();
            let copies = self.known_copies().into_iter();
            new_files.extend(copies.filter(|copy| !listed.contains(&copy.stat.key)));
        }
        let seekers = self.seekers();
        if !seekers.is_empty() {
            // Few bytes may begin several generations: the oldest follows on what was seen.
            new_files.sort_by_cached_key(|file| file.age(None));
        }
        new_files.retain(|file| !self.goes_on(&seekers, file, FileLife::is_intact));
        new_files.sort_by_key(|file| Reverse(file.stat.size));
        new_files.retain(|file| !self.goes_on(&seekers, file, FileLife::has_beginning_in) && !file.only_as_copy);
        self.find_compressed(now);
        new_files.retain(|file| !self.lives.knows(&file.stat.key));
    }

    /// Adds the files beside some lives, if there are any of those: they count as their copies only.
    pub fn list_beside(&mut self, which: fn(&FileLife) -> bool, new_files: &mut Vec<NewFile>) -> bool {
        let lives = self.lives.iter().filter(|life| which(life));
        let lineages: HashSet<Arc<Path>> = lives.map(|life| life.segment.lineage.clone()).collect();
        if lineages.is_empty() {
            return false;
        }
        let mut listed: HashSet<FileKey> = new_files.iter().map(|file| file.stat.key).collect();
        for lineage in lineages {
            for (path, stat) in self.listings.alike(&lineage) {
                if !self.lives.knows(&stat.key) && listed.insert(stat.key) {
                    let beside = NewFile::beside(path, stat, lineage.clone());
                    new_files.push(NewFile { only_as_copy: true, ..beside });
                }
            }
        }
        true
    }

    fn seekers(&self) -> Seekers {
        let mut seekers = Seekers::default();
        for life in self.lives.iter().filter(|life| life.seeks_a_copy()) {
            for first in life.first_bytes() {
                seekers.entry(first.offset).or_default().entry(first).or_default().push(life.segment.id);
            }
        }
        seekers
    }

    /// Whether a file was found to be the continuation of a life.
    fn goes_on(&mut self, seekers: &Seekers, new_file: &NewFile, has: Comparison) -> bool {
        if seekers.is_empty() {
            return false;
        }
        let Ok(Some(opened)) = OpenFile::open_known(&new_file.path, &new_file.stat.key) else { return false };
        let found = self.continuation(seekers, &opened, has);
        let Some(life) = found.and_then(|id| self.lives.get(id)) else { return false };
        let id = life.segment.id;
        info!(source = %self.log.name, path = %opened.path.display(), segment = %id, was = %life.segment.path().display(),
            "the file has the content of another: reading continues in it where it stopped");
        self.go_on_in(id, opened).is_ok()
    }

    /// The life whose content this file has.
    fn continuation(&self, seekers: &Seekers, opened: &OpenFile, has: Comparison) -> Option<SegmentId> {
        let same_head = |(offset, heads): (&u64, &'_ HashMap<Cursor, Vec<SegmentId>>)| {
            let head = identity::cursor_at(&opened.file, *offset).ok()?;
            heads.get(&head).cloned()
        };
        let ids = seekers.range(..=opened.stat.size).filter_map(same_head).flatten();
        let seeking = ids.filter_map(|id| self.lives.get(id)).filter(|life| life.seeks_a_copy());
        // A file begins with the same few bytes as many others: where they are less than a line nothing was read of it,
        // and nothing comes twice where its content, if this is it, is read from its beginning.
        let is_known = |life: &&FileLife| !life.is_sought() || has_line(&opened.file, life.segment.head().offset);
        let mut candidates: Vec<&FileLife> = seeking.filter(is_known).collect();
        // A whole directory that was moved to another file system: the same name is the first guess.
        candidates.sort_unstable_by_key(|life| (!life.segment.stands_at(&opened.path), life.segment.id));
        candidates.into_iter().find(|life| has(life, opened).unwrap_or(false)).map(|life| life.segment.id)
    }

    /// From now on this file has a life's bytes, or as many as it has of them.
    pub fn go_on_in(&mut self, id: SegmentId, opened: OpenFile) -> io::Result<()> {
        let OpenFile { path, file, stat } = &opened;
        self.give_up_copy(&stat.key, id);
        let Some(life) = self.lives.get_mut(id) else { return Ok(()) };
        if stat.size < life.seen.offset {
            warn!(source = %self.log.name, path = %path.display(), segment = %id, bytes = life.segment.size() - stat.size,
                "what was written between the copy and the truncation is in no file any more");
            life.seen = identity::cursor_at(file, stat.size)?;
            if stat.size < life.segment.head().offset {
                life.segment.set_head(life.seen);
            }
            life.segment.lose_from(stat.size);
        }
        life.note_times(stat);
        life.segment.grow_to(data_end::last_data(file, life.seen.offset, stat.size)?);
        let (at, state) = if *life.segment.lineage == **path {
            (Whereabouts::AtPath, SegmentState::Active)
        } else {
            (Whereabouts::Rotated, SegmentState::Draining)
        };
        life.segment.set_state(state);
        self.held.remove(&stat.key);
        let hold = self.pins.take(state);
        self.lives.rekey(id, opened, hold);
        self.lives.advance(id, at);
        Ok(())
    }

    /// Where a copy may be made from: the files that are read, and those that are about to be.
    pub fn originals(&self, new_files: &[NewFile]) -> HashSet<PathBuf> {
        let active = |life: &&FileLife| !life.is_released() && life.segment.state() == SegmentState::Active;
        let paths = self.lives.iter().filter(active).map(|life| life.segment.path());
        let arriving = new_files.iter().filter(|new_file| new_file.lineage.is_none());
        paths.chain(arriving.map(|new_file| new_file.path.clone())).collect()
    }
}

impl Tail {
    /// The file that this one repeats so far, where its name is that of a rotated generation: copytruncate may be
    /// between its copy and its truncation, or be done with both since this scan began.
    pub fn copy_in_the_making(&self, copy: &OpenFile, originals: &HashSet<PathBuf>) -> io::Result<Option<PathBuf>> {
        for (original, _) in original_paths(&copy.path).into_iter().filter(|(path, _)| originals.contains(path)) {
            let Ok(active) = OpenFile::open(&original) else { continue };
            // NUL behind the data of both makes no copy.
            let end = data_end::last_data(&copy.file, 0, copy.stat.size)?;
            let repeats = match identity::cursor_at(&active.file, end) {
                Ok(there) => there == identity::cursor_at(&copy.file, end)?,
                Err(_) => false, // Shorter than this one.
            };
            if repeats || self.has_just_lost(&active, &copy.file)? {
                return Ok(Some(original));
            }
        }
        Ok(None)
    }

    /// Whether a file that is read lost its bytes in this moment, and this one begins as it did.
    fn has_just_lost(&self, active: &OpenFile, copy: &File) -> io::Result<bool> {
        let Some(life) = self.lives.of_file(&active.stat.key) else { return Ok(false) };
        let head = life.segment.head();
        Ok(head.offset > 0 && !identity::still_has(&active.file, &life.seen)? && identity::still_has(copy, &head)?)
    }
}

/// Whether a line ends within the first bytes of a file.
fn has_line(file: &File, end: u64) -> bool {
    let mut bytes = vec![0; end.min(Anchor::BYTES as u64) as usize];
    end >= Anchor::BYTES as u64 || (file.read_exact_at(&mut bytes, 0).is_ok() && bytes.contains(&b'\n'))
}

/// Every path of which this one could be a rotated generation, and whether it could be nothing else.
pub fn original_paths(path: &Path) -> Vec<(PathBuf, bool)> {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let originals = originals_of(name).into_iter();
    originals.map(|of| (path.with_file_name(OsStr::from_bytes(&of.original)), of.is_certain)).collect()
}
