//! A segment: one life of a file, shared by the scanner that watches it and the forwarders that read it.
//!
//! ```text
//! Active ──its path names another file, or none──► Draining ──quiet at its end──► Sealed ──► released
//!    └──truncated or rewritten──► Gone             ▲──────────── growth ──────────┘
//! ```
//!
//! The descriptor is held from the first stat to the release: it is the pin that keeps a rotated or deleted
//! file readable. Where descriptors are short, a file that still stands at its path is opened on demand
//! instead, and verified.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use super::{
    identity::{self, FileKey, OpenFile},
    position::{Cursor, SegmentId},
};

/// How far a segment's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentState {
    /// Its path names it.
    Active,
    /// Rotated away or deleted; a writer may still have it open.
    Draining,
    /// At rest: its unterminated last line, if any, is a line now.
    Sealed,
    /// Its bytes are gone: truncated, rewritten, or deleted while nobody held it.
    Gone,
}

/// State and size of one moment: where a segment is sealed, its bytes end for good at that size and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub state: SegmentState,
    pub size: u64,
    /// Up to here the bytes are in the file; those behind, if any, are gone.
    pub there: u64,
    /// How often bytes of a line that was never whole were cut: those behind the last whole one may be others by now.
    pub cuts: u32,
}

#[derive(Debug)]
pub struct Segment {
    pub id: SegmentId,
    /// Segments of one lineage are generations of one file and are read oldest first.
    pub lineage: Arc<Path>,
    /// The first byte that counts: 0, or where the file ended when `startAt: end` first saw it.
    pub start: Cursor,
    /// The first position whose bytes are there, where the file is our copy of the rest of a deleted one.
    pub kept_from: Option<u64>,
    place: Mutex<SegmentFile>,
}

#[derive(Debug)]
struct SegmentFile {
    state: SegmentState,
    /// Bytes as last seen: where the data ends, and not the room that its writer may have taken behind it. It only
    /// grows, but for a line that was never whole, and that no reader has taken.
    size: u64,
    cuts: u32,
    /// Where the bytes end that are still there, if the last ones are gone.
    gone_from: Option<u64>,
    /// The last position of the size stands for bytes that nobody saw.
    has_unseen: bool,
    path: PathBuf,
    key: FileKey,
    /// Its bytes are in a compressed file that cannot be restored now: readers neither look for them nor wait.
    waits: bool,
    pin: Option<Arc<File>>,
    /// The file's first bytes: what a reader that stands at the beginning can know its file by.
    head: Cursor,
}

impl Segment {
    pub fn new(
        id: SegmentId,
        lineage: Arc<Path>,
        start: Cursor,
        size: u64,
        state: SegmentState,
        path: PathBuf,
        key: FileKey,
    ) -> Self {
        let place = SegmentFile {
            state,
            size,
            cuts: 0,
            gone_from: None,
            has_unseen: false,
            path,
            key,
            waits: false,
            pin: None,
            head: Cursor::default(),
        };
        Self { id, lineage, start, kept_from: None, place: Mutex::new(place) }
    }

    /// The same segment in a copy that has the same bytes at the same offsets from `from` on.
    pub fn absorbed(&self, from: Cursor, path: PathBuf, key: FileKey) -> Self {
        let start = if from.offset > self.start.offset { from } else { self.start };
        let Extent { state, size, cuts, .. } = self.extent();
        let place = SegmentFile {
            state,
            size,
            cuts,
            gone_from: self.gone_from(),
            has_unseen: self.has_unseen(),
            path,
            key,
            waits: false,
            pin: None,
            head: self.head(),
        };
        Self {
            id: self.id,
            lineage: self.lineage.clone(),
            start,
            kept_from: Some(from.offset),
            place: Mutex::new(place),
        }
    }

    /// The same segment in a copy that has only its bytes from `from` on: those before it are gone.
    pub fn taken_from(&self, from: Cursor, path: PathBuf, key: FileKey) -> Self {
        let taken = Self { start: self.start, ..self.absorbed(from, path, key) };
        taken.set_head(Cursor::default());
        taken
    }

    pub fn head(&self) -> Cursor {
        self.place().head
    }

    pub fn set_head(&self, head: Cursor) {
        self.place().head = head;
    }

    pub fn state(&self) -> SegmentState {
        self.place().state
    }

    pub fn set_state(&self, state: SegmentState) {
        self.place().state = state;
    }

    pub fn size(&self) -> u64 {
        self.place().size
    }

    pub fn extent(&self) -> Extent {
        let SegmentFile { state, size, cuts, gone_from, .. } = *self.place();
        Extent { state, size, there: gone_from.unwrap_or(size), cuts }
    }

    /// Where the bytes end that are still there, if the last ones are gone.
    pub fn gone_from(&self) -> Option<u64> {
        self.place().gone_from
    }

    /// The file that has its content has no more than this of it.
    pub fn lose_from(&self, offset: u64) {
        self.place().gone_from = Some(offset);
    }

    /// Bytes may have been added that nobody saw, and are gone: one position more, once.
    pub fn lose_unseen(&self) {
        let mut place = self.place();
        if !place.has_unseen {
            place.gone_from = place.gone_from.or(Some(place.size));
            place.size += 1;
            place.has_unseen = true;
        }
    }

    /// Whether the last position stands for bytes that nobody saw.
    pub fn has_unseen(&self) -> bool {
        self.place().has_unseen
    }

    /// As the catalog remembers it: the size has that position.
    pub fn remember_unseen(&self) {
        self.place().has_unseen = true;
    }

    /// More bytes were seen. What grows was not at rest: a sealed segment drains again. What stands behind bytes that
    /// are gone is not told apart from them.
    pub fn grow_to(&self, size: u64) {
        let mut place = self.place();
        if size > place.size && place.gone_from.is_none() {
            place.size = size;
            if place.state == SegmentState::Sealed {
                place.state = SegmentState::Draining;
            }
        }
    }

    /// The writer cut what it had written of a line behind this line end.
    pub fn cut_to(&self, line_end: u64) {
        let mut place = self.place();
        place.size = line_end;
        place.cuts += 1;
    }

    pub fn path(&self) -> PathBuf {
        self.place().path.clone()
    }

    pub fn stands_at(&self, path: &Path) -> bool {
        self.place().path == path
    }

    pub fn key(&self) -> FileKey {
        self.place().key
    }

    /// Nothing was seen behind its start.
    pub fn has_nothing(&self) -> bool {
        self.start.offset == self.size() && self.gone_from().is_none()
    }

    pub fn waits(&self) -> bool {
        self.place().waits
    }

    pub fn set_waits(&self, waits: bool) {
        self.place().waits = waits;
    }

    /// The file was renamed.
    pub fn moved_to(&self, path: PathBuf) {
        self.place().path = path;
    }

    /// The same content is now in another file: the copy that copytruncate made, or a move across file systems.
    pub fn continue_in(&self, path: PathBuf, key: FileKey, pin: Option<Arc<File>>) {
        let mut place = self.place();
        place.path = path;
        place.key = key;
        place.pin = pin;
    }

    /// Holds the descriptor from now on.
    pub fn pin(&self, file: Arc<File>) {
        self.place().pin = Some(file);
    }

    pub fn is_pinned(&self) -> bool {
        self.place().pin.is_some()
    }

    /// Lets go of the descriptor; readers that hold it keep it until they are done.
    pub fn unpin(&self) {
        self.place().pin = None;
    }

    /// Where the file that is held stands now; `None` where it is not held, or no path leads to it.
    pub fn path_by_descriptor(&self) -> Option<PathBuf> {
        let path = self.last_path_by_descriptor()?;
        identity::stat_entry(&path).is_ok_and(|stat| stat.key == self.key()).then_some(path)
    }

    /// The same of a file that was deleted there since; its name is not to be relied on then.
    pub fn last_path_by_descriptor(&self) -> Option<PathBuf> {
        let pin = self.place().pin.clone()?;
        identity::path_of(&pin)
    }

    /// The file, to read with offsets of one's own. `NotFound` where the path names another file by now.
    pub fn open(&self) -> io::Result<Arc<File>> {
        let (path, key) = {
            let place = self.place();
            if let Some(pin) = &place.pin {
                return Ok(pin.clone());
            }
            (place.path.clone(), place.key)
        };
        let opened = OpenFile::open(&path)?;
        if opened.stat.key != key {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the path names another file now"));
        }
        Ok(opened.file)
    }

    fn place(&self) -> MutexGuard<'_, SegmentFile> {
        self.place.lock().expect("nothing panics while it holds a segment's place")
    }
}
