//! Lives that come to their end.

use std::{io, path::PathBuf, time::Instant};

use tracing::info;

use super::{FileLife, Named, Tail, Whereabouts, deleted::FileWriters, lives::ContentFile};
use crate::log::{
    PathTarget,
    identity::{self, FileKey, FileStat, OpenFile},
    position::SegmentId,
    segment::SegmentState,
};

impl Tail {
    /// Step 9: lives whose path names another file, or none, drain; the quiet ones are sealed; what every
    /// forwarder is durably past is released.
    pub(super) fn retire(&mut self, named: &Named, consistent: bool, now: Instant) {
        let stands_as_it_stood = |life: &FileLife| {
            let segment = &life.segment;
            matches!(life.whereabouts(), Whereabouts::AtPath)
                && life.missing == 0
                && segment.is_pinned()
                && segment.state() != SegmentState::Draining
                && named.path(&segment.key()).is_some_and(|path| segment.stands_at(path))
        };
        for id in self.lives.ids(|life| !stands_as_it_stood(life)) {
            let consistent = consistent && !self.is_overtaken(id);
            if self.lives.get(id).is_some_and(FileLife::is_released) {
                self.keep_or_drop_released(id, named, consistent, now);
                continue;
            }
            self.follow_its_name(id, named, consistent, now);
            self.pin_file(id);
            let writers = self.late_writers(id, now);
            // Where descriptors are scarce what is unread is copied, whoever writes to it.
            if writers != FileWriters::Some || self.pins.are_scarce() {
                self.seal_if_quiet(id, now);
            }
            if writers == FileWriters::None {
                self.release_if_past(id);
            }
        }
        self.let_go_where_scarce();
    }

    fn follow_its_name(&mut self, id: SegmentId, named: &Named, consistent: bool, now: Instant) {
        let Some(life) = self.lives.get_mut(id) else { return };
        if !life.is_followed() && !life.is_sought() {
            return;
        }
        let segment = life.segment.clone();
        let (key, path) = (segment.key(), segment.path());
        match named.path(&key) {
            Some(name) if *name == path => {
                life.missing = 0;
                if life.is_followed() {
                    let at_path = segment.state() == SegmentState::Draining && *segment.lineage == **name;
                    let is_deleted = matches!(life.whereabouts(), Whereabouts::Deleted { .. });
                    let to = if at_path { Whereabouts::AtPath } else { life.found() };
                    if at_path || is_deleted {
                        self.lives.advance(id, to);
                    }
                }
                return;
            }
            Some(name) => return self.renamed(id, name.clone()),
            None => {}
        }
        if life.later().is_some() || matches!(life.whereabouts(), Whereabouts::Deleted { .. }) {
            return; // To be restored, or held by its descriptor alone.
        }
        let stands = stands_there(&identity::stat_path(&path), &key);
        if stands == Some(true) {
            life.missing = 0;
            if matches!(life.whereabouts(), Whereabouts::AtPath) {
                self.lives.advance(id, Whereabouts::Rotated);
            }
            return;
        }
        let beside = self.listings.find_by_key([&segment.lineage, &path], &key);
        // Where no source may look it is held without a name.
        let may_be_read = |path: &PathBuf| matches!(self.links.look(path), Ok(PathTarget::Allowed(_)));
        if let Some(name) = beside.or_else(|| segment.path_by_descriptor().filter(may_be_read)) {
            return self.renamed(id, name);
        }
        if life.count_missing(consistent && stands.is_some()) {
            self.lost_its_name(id, now);
        }
    }

    /// Whether a rotation came between in this scan, so that what was not found may be there all the same.
    fn is_overtaken(&self, id: SegmentId) -> bool {
        self.lives.get(id).is_some_and(|life| self.overtaken.contains(&*life.segment.lineage))
    }

    fn renamed(&mut self, id: SegmentId, name: PathBuf) {
        let Some(life) = self.lives.get_mut(id) else { return };
        info!(source = %self.log.name, segment = %id, from = %life.segment.path().display(), to = %name.display(), "the file was renamed");
        life.missing = 0;
        if life.is_followed() {
            self.lives.advance(id, Whereabouts::Rotated);
        }
        self.lives.rename(id, name);
    }

    /// No path names it any more.
    fn lost_its_name(&mut self, id: SegmentId, now: Instant) {
        let Some(life) = self.lives.get(id) else { return };
        let (segment, is_copied) = (life.segment.clone(), life.is_copied());
        let path = segment.path();
        if segment.is_pinned() {
            info!(source = %self.log.name, segment = %id, path = %path.display(),
                "the file was deleted; it is held open until its events are delivered, or else its rest is copied");
            self.lives.advance(id, Whereabouts::Deleted { since: now });
        } else if is_copied || (!self.goes_on_compressed(id, now) && !self.is_overtaken(id)) {
            self.is_gone(id);
        }
    }

    /// Holds the descriptor of a file that has none, as far as there are descriptors.
    fn pin_file(&mut self, id: SegmentId) {
        let Some(life) = self.lives.get(id) else { return };
        let segment = &life.segment;
        if life.is_followed()
            && !life.is_copied()
            && !segment.is_pinned()
            && self.pins.take(segment.state())
            && let Ok(file) = segment.open()
        {
            segment.pin(file);
        }
    }

    fn seal_if_quiet(&mut self, id: SegmentId, now: Instant) {
        let is_quiet = |life: &FileLife| {
            life.is_followed()
                && life.segment.state() == SegmentState::Draining
                && !life.waits_behind_nul()
                && now.saturating_duration_since(life.quiet_since) >= self.source.seal_after
        };
        if self.lives.get(id).is_some_and(is_quiet) {
            self.lives.seal(id);
        }
    }

    pub(super) fn release_if_past(&mut self, id: SegmentId) {
        // What waits to be restored is released once it is known by its compressed file; what somebody may have written
        // to since we were ended, once it is found, or is known to be gone.
        let is_unclear = |life: &FileLife| life.later().is_some() || (life.is_sought() && life.is_held_late());
        let is_settled = |life: &&FileLife| !life.is_released() && !is_unclear(life);
        let Some(life) = self.lives.get(id).filter(is_settled) else { return };
        let segment = &life.segment;
        let at_rest = matches!(segment.state(), SegmentState::Sealed | SegmentState::Gone);
        if !at_rest || !self.log.release_gate.all_past(id, segment.start.offset, segment.size()) {
            return;
        }
        match life.content() {
            ContentFile::Original if segment.state() == SegmentState::Gone => return self.forget(id),
            ContentFile::Original => {}
            // What it was restored to is needed no more; what it was restored from is not to be read again.
            ContentFile::Restored(_) => self.compressed.remove(&segment.path()),
            ContentFile::Copied(_) => self.deleted.release(segment.path()),
        }
        self.lives.advance(id, Whereabouts::Released);
    }

    /// A released file is remembered as long as it exists, so that it is not taken for a new one.
    fn keep_or_drop_released(&mut self, id: SegmentId, named: &Named, consistent: bool, now: Instant) {
        let Some(life) = self.lives.get_mut(id) else { return };
        match life.content() {
            ContentFile::Original => {}
            ContentFile::Restored(_) => return self.keep_or_drop_compressed(id, consistent),
            ContentFile::Copied(_) => return self.drop_missing(id, consistent),
        }
        let segment = life.segment.clone();
        let (key, mut path) = (segment.key(), segment.path());
        let mut looked = identity::stat_path(&path);
        let stands = stands_there(&looked, &key);
        let name = named.path(&key).cloned().or_else(|| match stands {
            Some(true) => None,
            _ => self.listings.find_by_key([&segment.lineage, &path], &key),
        });
        if let Some(name) = name.filter(|name| *name != path) {
            path = name;
            looked = identity::stat_path(&path);
            self.lives.rename(id, path.clone());
        }
        let Some(life) = self.lives.get_mut(id) else { return };
        let there = segment.extent().there;
        match looked {
            Ok(stat) if stat.key == key && stat.size > there => {
                if matches!(self.links.look(&path), Ok(PathTarget::Elsewhere { .. })) {
                    return; // Read when it was allowed. Should it be again, what was read is known.
                }
                match OpenFile::open(&path).and_then(|opened| life.late_end(&opened, now, self.source.seal_after)) {
                    Ok(Some(end)) if end > there => self.reopen(id, end, now),
                    Ok(Some(_)) => life.missing = 0,
                    Ok(None) | Err(_) => self.forget(id),
                }
            }
            Ok(stat) if stat.key == key && stat.size < there => self.forget(id),
            // Written to since, or another file of as many bytes under the same inode, where no birth tells them apart.
            Ok(stat) if stat.key == key && stat.modified != life.modified => {
                if OpenFile::open(&path).and_then(|opened| life.is_intact(&opened)).unwrap_or(true) {
                    life.note_times(&stat);
                    life.missing = 0;
                } else {
                    self.forget(id);
                }
            }
            Ok(stat) if stat.key == key => life.missing = 0,
            _ => self.drop_missing(id, consistent && stands.is_some()),
        }
    }

    /// What a late writer adds to a released file is a segment of its own, which begins where the old one ended.
    fn reopen(&mut self, id: SegmentId, end: u64, now: Instant) {
        let Some(next) = self.lives.begin_again(id, end, Whereabouts::Rotated, now) else { return };
        if let Some(life) = self.lives.get(next) {
            info!(source = %self.log.name, segment = %next, continues = %id, path = %life.segment.path().display(), "a finished file was written to again");
        }
        self.pin_file(next);
    }

    /// A released life whose file is gone is remembered where that was compressed: it is not to be read from there.
    fn drop_missing(&mut self, id: SegmentId, consistent: bool) {
        let Some(life) = self.lives.get_mut(id) else { return };
        if life.count_missing(consistent) && !self.remember_compressed(id) && !self.is_overtaken(id) {
            self.forget(id);
        }
    }

    /// The file under this key, if it is met again, is a new one.
    pub(super) fn forget(&mut self, id: SegmentId) {
        if let Some(life) = self.lives.remove(id) {
            self.empty_paths.entry(life.segment.lineage.clone()).or_default();
        }
    }
}

/// Whether this file is what was found at a path; `None` where that cannot be told now.
fn stands_there(looked: &io::Result<FileStat>, key: &FileKey) -> Option<bool> {
    match looked {
        Ok(stat) => Some(stat.key == *key),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Some(false),
        Err(_) => None,
    }
}
