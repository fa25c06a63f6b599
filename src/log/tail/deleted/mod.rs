//! Files that no path names any more, taken into the state directory.
//!
//! A deleted file that is not read to its end lives by our descriptor alone: its disk is not free, and a crash would
//! lose it. Once it is at rest, and was held for `holdDeleted` or descriptors are scarce, what is unread of it is copied
//! to `<stateDir>/sources/<source>/absorbed/<segment>`, at the same offsets, and the segment goes on in the copy: the
//! same positions, anchors and checksums. One that is still written to is left: its writer keeps the disk taken whatever
//! we do, and what it writes after the copy would be lost. A stop takes in all of them, at rest or not.
//!
//! What always holds: the copy is on disk before the catalog says that it is the segment's file, and the catalog is on
//! disk before the descriptor is let go; readers that are at it keep the descriptor until they are done. A copy that
//! the catalog does not know is what a crash left, and is removed at the next start; the file went with the process
//! then, and what was not read of it is a recorded gap.

mod late;
mod rest_copy;
mod writers;

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tracing::info;

pub(super) use self::{late::LateWriters, rest_copy::RestCopy, writers::FileWriters};
use super::{
    FileLife, Tail, Whereabouts,
    lives::{ContentFile, PAUSE},
};
use crate::log::{catalog::Absorbed, identity, position::SegmentId, segment::SegmentState};

/// Bytes copied in one scan: files that are rotated meanwhile must not wait long to be noticed.
const SLICE: u64 = 32 * 1024 * 1024;

/// One scan copies for no longer than this, and one slice.
const TURN: Duration = Duration::from_millis(250);

/// What is being copied, and what could not be.
#[derive(Debug)]
pub(super) struct DeletedFiles {
    pub(super) dir: PathBuf,
    job: Option<CopyJob>,
    /// Where a copy failed: when it is tried again, and why.
    waiting: BTreeMap<SegmentId, (Instant, String)>,
    /// Copies of released segments; they are removed once the catalog does not name them any more.
    done: Vec<PathBuf>,
}

/// One copy in the making.
#[derive(Debug)]
struct CopyJob {
    id: SegmentId,
    file: Arc<File>,
    /// The file's size when it was begun, and where its bytes ended: more would not be in the copy.
    size: u64,
    end: u64,
    /// The lowest cursor then.
    from: u64,
    rest: RestCopy,
}

impl DeletedFiles {
    pub(super) fn new(source: &Path) -> Self {
        Self { dir: source.join("absorbed"), job: None, waiting: BTreeMap::new(), done: Vec::new() }
    }

    pub(super) fn place(&self, id: SegmentId) -> PathBuf {
        self.dir.join(format!("{:020}", id.0))
    }

    /// Every forwarder is past a copy: it is removed once the catalog does not name it any more.
    pub(super) fn release(&mut self, copy: PathBuf) {
        self.done.push(copy);
    }

    /// The copies that nobody needs any more, and the catalog on disk does not name.
    pub(super) fn remove_finished_copies(&mut self) {
        for path in self.done.drain(..) {
            // One that stays is removed at the next start.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Tail {
    /// Step 10: goes on with copies for a moment. Asks for another scan where there is more to do.
    pub(super) fn copy_deleted(&mut self, now: Instant) {
        let stop = Instant::now() + TURN;
        let mut left = SLICE;
        while left > 0 && Instant::now() < stop {
            if !self.has_job() {
                let Some(id) = self.next_to_copy(now) else { break };
                self.begin_job(id, now);
            }
            left = left.saturating_sub(self.go_on_copying(left, now));
        }
        if self.deleted.job.is_some() || self.next_to_copy(now).is_some() {
            self.log.scan_soon();
        }
        self.deleted.waiting.retain(|id, _| self.lives.get(*id).is_some_and(|life| life.segment.is_pinned()));
        for (id, (_, why)) in &self.deleted.waiting {
            if let Some(life) = self.lives.get(*id) {
                self.notices.cannot_copy(&life.segment.path(), why);
            }
        }
    }

    /// All at once, before the process ends.
    pub(super) fn copy_all_deleted(&mut self) {
        let now = Instant::now();
        self.deleted.job = None; // More may have come than it was begun for.
        for id in self.lives.ids(|life| self.is_unread_and_deleted(life)) {
            self.begin_job(id, now);
            while self.deleted.job.is_some() {
                self.go_on_copying(SLICE, now);
            }
        }
    }

    /// Whether a copy is in the making that is still wanted.
    fn has_job(&mut self) -> bool {
        let Some(job) = &self.deleted.job else { return false };
        let same = |life: &FileLife| self.is_at_rest(life) && life.segment.extent().there == job.end;
        let wanted = self.lives.get(job.id).is_some_and(same);
        if !wanted {
            self.deleted.job = None;
        }
        wanted
    }

    /// The one that was deleted first, of those whose time has come.
    fn next_to_copy(&self, now: Instant) -> Option<SegmentId> {
        let scarce = self.pins.are_scarce();
        let waits = |id| self.deleted.waiting.get(&id).is_some_and(|(until, _)| now < *until);
        let ripe = self.lives.iter().filter_map(|life| {
            let since = deleted_since(life)?;
            let due = scarce || now.saturating_duration_since(since) >= self.source.hold_deleted;
            (due && self.is_at_rest(life) && !waits(life.segment.id)).then_some((since, life.segment.id))
        });
        ripe.min().map(|(_, id)| id)
    }

    fn is_at_rest(&self, life: &FileLife) -> bool {
        life.segment.state() == SegmentState::Sealed && self.is_unread_and_deleted(life)
    }

    /// The application's own file, that is: what was restored can be restored again.
    fn is_unread_and_deleted(&self, life: &FileLife) -> bool {
        let segment = &life.segment;
        deleted_since(life).is_some()
            && matches!(life.content(), ContentFile::Original)
            && segment.is_pinned()
            && self.log.release_gate.lowest(segment.id, segment.start.offset) < segment.extent().there
    }

    fn begin_job(&mut self, id: SegmentId, now: Instant) {
        let Some(life) = self.lives.get(id) else { return };
        let segment = &life.segment;
        let from = self.log.release_gate.lowest(id, segment.start.offset);
        let place = self.deleted.place(id);
        let begun = segment.open().and_then(|file| {
            let (size, end) = (identity::stat_file(&file)?.size, segment.extent().there);
            let rest = RestCopy::begin(&file, segment.head().offset, from, end, place)?;
            Ok(CopyJob { id, file, size, end, from, rest })
        });
        match begun {
            Ok(job) => self.deleted.job = Some(job),
            Err(error) => self.cannot_copy(id, &error, now),
        }
    }

    /// Copies some of it, and lets the segment go on in the copy once that is whole; gives how many bytes that took.
    fn go_on_copying(&mut self, most: u64, now: Instant) -> u64 {
        let Some(mut job) = self.deleted.job.take() else { return 0 };
        self.compressed.progress.fetch_add(1, Relaxed);
        let before = job.rest.at();
        let (id, whole) = (job.id, job.rest.go_on(&job.file, most));
        let copied = job.rest.at() - before;
        let done = match whole {
            Ok(false) => {
                self.deleted.job = Some(job);
                return copied;
            }
            Ok(true) => self.live_in_copy(job),
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => {
                self.deleted.waiting.remove(&id);
            }
            Err(error) => self.cannot_copy(id, &error, now),
        }
        copied
    }

    /// From now on the copy is the segment's file. The published segment, and the descriptor with it, is replaced once
    /// the catalog is written.
    fn live_in_copy(&mut self, job: CopyJob) -> io::Result<()> {
        let CopyJob { id, file, size, end, from, rest } = job;
        let Some(life) = self.lives.get_mut(id) else { return Ok(()) };
        let old = life.segment.clone();
        let changed = || io::Error::other("it changed while it was copied");
        // A forwarder may have come that begins before what was copied.
        if identity::stat_file(&file)?.size != size || self.log.release_gate.lowest(id, old.start.offset) < from {
            return Err(changed());
        }
        let copy = rest.finish(&file)?;
        if !life.is_intact(&copy)? {
            return Err(changed());
        }
        let (bytes, place, key) = (end - from, copy.path.clone(), copy.stat.key);
        info!(source = %self.log.name, segment = %id, path = %old.path().display(), bytes, absorbed = %place.display(),
            "what is unread of the deleted file was copied, and reading continues there");
        let content = ContentFile::Copied(Absorbed { from, since: life.since() });
        let behind = self.behind_copy(id, &file, &old);
        let Some(life) = self.lives.get_mut(id) else { return Ok(()) };
        life.note_times(&copy.stat);
        self.lives.replace(id, old.absorbed(identity::cursor_at(&copy.file, from)?, place, key), content);
        self.lives.advance(id, Whereabouts::Rotated);
        match behind {
            Some(life) => self.lives.insert(life),
            None => self.pins.give_back(),
        }
        Ok(())
    }

    fn cannot_copy(&mut self, id: SegmentId, error: &io::Error, now: Instant) {
        self.deleted.waiting.insert(id, (now + PAUSE, error.to_string()));
    }
}

fn deleted_since(life: &FileLife) -> Option<Instant> {
    if let Whereabouts::Deleted { since } = life.whereabouts() { Some(*since) } else { None }
}
