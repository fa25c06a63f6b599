//! Files that no path names any more and that somebody may still write to, though they are read to their end.
//!
//! | somebody has it open for writing | it is held |
//! |---|---|
//! | yes | as long as that is so; its writer keeps the disk taken, whatever we do |
//! | no | no longer: nobody can open it again |
//! | it cannot be asked, or the file has a name somewhere | for [`WAIT`] after the last write |
//!
//! What is added is read as before; behind what was copied of a file that may still be written to, it is a life of its own.
//! Where descriptors are scarce the one that was deleted first is let go first, and a WARN says that later lines are lost. A stop lets go of all, and says so of those that somebody writes to; these the
//! catalog keeps as unfinished, so that the next start tells of a loss of unknown size, as it does after a crash.

use std::{
    collections::BTreeSet,
    fs::File,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::{
    super::{FileLife, Tail, Whereabouts, lives::ContentFile},
    deleted_since,
    writers::FileWriters,
};
use crate::log::{
    identity,
    position::SegmentId,
    segment::{Segment, SegmentState},
};

/// How long a file is held after its last write, where nobody can say whether it is open for writing.
const WAIT: Duration = Duration::from_secs(6 * 60 * 60);

/// What was said of which files.
#[derive(Debug, Default)]
pub(in crate::log::tail) struct LateWriters {
    told: BTreeSet<(SegmentId, &'static str)>,
}

impl LateWriters {
    /// Whether it is to be said of this life: once.
    pub(in crate::log::tail) fn is_news(&mut self, of: SegmentId, what: &'static str) -> bool {
        self.told.insert((of, what))
    }
}

impl Tail {
    /// Whether late writers are to be waited for: `Some` where there are any, `None` where nothing more comes.
    pub(in crate::log::tail) fn late_writers(&mut self, id: SegmentId, now: Instant) -> FileWriters {
        let Some(life) = self.lives.get(id).filter(|life| may_be_written(life)) else { return FileWriters::None };
        let segment = life.segment.clone();
        let Ok(file) = segment.open() else { return FileWriters::None };
        match FileWriters::of(&file) {
            // What was written since this scan looked, the next one sees.
            FileWriters::None if identity::stat_file(&file).is_ok_and(|stat| stat.modified != life.modified) => {
                FileWriters::Some
            }
            FileWriters::None => FileWriters::None,
            FileWriters::Unknown if now.saturating_duration_since(life.quiet_since) >= WAIT => {
                info!(source = %self.log.name, segment = %id, path = %segment.path().display(),
                    "nothing was written for {WAIT:?} to the file that no path names any more: it is let go");
                FileWriters::None
            }
            FileWriters::Unknown => {
                self.tell_once(
                    &segment,
                    "somebody may have it open for writing; it is held for 6 hours after the last write",
                );
                self.lives.hold_late(id, false);
                FileWriters::Unknown
            }
            FileWriters::Some => {
                self.tell_once(&segment, "somebody has it open for writing");
                self.lives.hold_late(id, true);
                FileWriters::Some
            }
        }
    }

    /// A life of what late writers may add behind what was copied of a deleted file.
    pub(super) fn behind_copy(&self, id: SegmentId, file: &Arc<File>, old: &Segment) -> Option<FileLife> {
        match FileWriters::of(file) {
            FileWriters::Some | FileWriters::Unknown if !self.pins.are_scarce() => {
                let life = self.lives.get(id)?;
                let life = life.behind(self.lives.next_id(), life.seen);
                life.segment.pin(file.clone());
                Some(life)
            }
            FileWriters::None => {
                info!(source = %self.log.name, segment = %id, path = %old.path().display(), "the deleted file is let go: its disk is free");
                None
            }
            FileWriters::Some | FileWriters::Unknown => {
                warn!(source = %self.log.name, segment = %id, path = %old.path().display(),
                    "somebody may have the deleted file open for writing: what is written to it from now on is lost");
                None
            }
        }
    }

    /// Lets go of finished files as long as descriptors are scarce.
    pub(in crate::log::tail) fn let_go_where_scarce(&mut self) {
        while self.pins.are_scarce() {
            let finished = self.lives.iter().filter(|life| self.is_finished(life));
            let Some((_, id)) = finished.filter_map(|life| Some((deleted_since(life)?, life.segment.id))).min()
            else {
                break;
            };
            // Some files are replaced every second.
            let is_news = |life: &&FileLife| life.replaced_by().is_none_or(|of| self.late.is_news(of, "let go"));
            if let Some(life) = self.lives.get(id).filter(is_news) {
                warn!(source = %self.log.name, segment = %id, path = %life.segment.path().display(), bytes = life.segment.size(),
                    "descriptors are scarce: the file, which no path names any more, is let go; it is read to its end, \
                     and what is written to it from now on is lost");
            }
            self.lives.advance(id, Whereabouts::Released);
            self.pins.give_back();
        }
        self.late.told.retain(|(id, _)| self.lives.get(*id).is_some_and(|life| !life.is_released()));
    }

    /// What is at its end for good goes before the process ends; of what may still be written to that is said.
    pub(in crate::log::tail) fn let_go_of_all(&mut self) {
        let mut unknown: Option<(PathBuf, usize)> = None;
        for id in self.lives.ids(may_be_written) {
            let Some(life) = self.lives.get(id) else { continue };
            let Ok(file) = life.segment.open() else { continue };
            match FileWriters::of(&file) {
                FileWriters::None => self.lives.seal(id),
                FileWriters::Unknown => unknown.get_or_insert_with(|| (life.segment.path(), 0)).1 += 1,
                FileWriters::Some => {
                    warn!(source = %self.log.name, segment = %id, path = %life.segment.path().display(),
                    "somebody has the file open for writing, which no path names any more: what is written to it after \
                     this stop is lost; the next start records a gap of unknown size");
                    self.lives.hold_late(id, true);
                }
            }
            self.release_if_past(id);
        }
        if let Some((path, files)) = unknown {
            warn!(source = %self.log.name, path = %path.display(), files,
                "nobody can say whether somebody has files open for writing that no path names any more: what is written to \
                 them after this stop is lost");
        }
    }

    /// Held for late writers alone.
    pub(in crate::log::tail) fn is_finished(&self, life: &FileLife) -> bool {
        let segment = &life.segment;
        may_be_written(life) && self.log.release_gate.all_past(segment.id, segment.start.offset, segment.size())
    }

    fn tell_once(&mut self, segment: &Arc<Segment>, why: &str) {
        let is_read = self.log.release_gate.all_past(segment.id, segment.start.offset, segment.size());
        let of = self.lives.get(segment.id).and_then(FileLife::replaced_by);
        if is_read && self.late.is_news(of.unwrap_or(segment.id), "held") {
            info!(source = %self.log.name, segment = %segment.id, path = %segment.path().display(), bytes = segment.size(),
                "the file is read to its end, no path names it any more, and it is held open: {why}");
        }
    }
}

/// The application's own file, held by its descriptor alone, as far as it was read to what was known of it.
fn may_be_written(life: &FileLife) -> bool {
    deleted_since(life).is_some()
        && matches!(life.content(), ContentFile::Original)
        && life.segment.is_pinned()
        && life.segment.gone_from().is_none()
        && life.segment.state() != SegmentState::Gone
}
