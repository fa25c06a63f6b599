//! Lives that come to their end.

use std::{io, path::PathBuf, sync::Arc, time::Instant};

use tracing::{info, warn};

use super::{Named, Tail};
use crate::log::{
    identity::{self, FileKey, FileStat},
    position::SegmentId,
    segment::{Segment, SegmentState},
};

/// Scans in a row that must not find a file before it counts as gone: one may have looked while it was renamed.
pub(super) const MISSING_SCANS: u8 = 2;

impl Tail {
    /// Step 4: lives whose path names another file, or none, drain; the quiet ones are sealed; what every
    /// forwarder is durably past is released.
    pub(super) fn retire(&mut self, named: &Named, consistent: bool, now: Instant) {
        let busy = self.lives.iter().filter(|(_, life)| !life.stands_as_it_stood(named));
        for id in busy.map(|(id, _)| *id).collect::<Vec<_>>() {
            if self.lives.get(&id).is_some_and(|life| life.released) {
                self.keep_or_drop_released(id, named, consistent, now);
                continue;
            }
            self.follow_its_name(id, named, consistent, now);
            self.pin_file(id);
            self.seal_if_quiet(id, now);
            self.release_if_past(id);
        }
    }

    fn follow_its_name(&mut self, id: SegmentId, named: &Named, consistent: bool, now: Instant) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        let segment = life.segment.clone();
        let (state, key, path) = (segment.state(), segment.key(), segment.path());
        if state == SegmentState::Gone || self.newest.get(&key) != Some(&id) {
            return;
        }
        match named.path(&key) {
            Some(name) if *name == path => {
                life.missing = 0;
                life.nameless = None;
                if state == SegmentState::Draining && *segment.lineage == **name {
                    segment.set_state(SegmentState::Active);
                    self.dirty = true;
                }
                return;
            }
            Some(name) => return self.renamed(id, name.clone()),
            None => {}
        }
        if life.missing >= MISSING_SCANS || self.packed.waits_for(id) {
            return; // Deleted: held by its descriptor alone, or to be restored.
        }
        let stands = stands_there(&identity::stat_path(&path), &key);
        if stands == Some(true) {
            life.missing = 0;
            if state == SegmentState::Active {
                self.drain(id);
            }
            return;
        }
        if let Some(name) = self.listings.find_by_key(&segment.lineage, &key) {
            return self.renamed(id, name);
        }
        if consistent && stands.is_some() {
            life.missing += 1;
            if life.missing >= MISSING_SCANS {
                self.lost_its_name(id, now);
            }
        }
    }

    fn renamed(&mut self, id: SegmentId, name: PathBuf) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        info!(source = %self.log.name, segment = %id, from = %life.segment.path().display(), to = %name.display(), "the file was renamed");
        life.missing = 0;
        life.nameless = None;
        life.segment.moved_to(name);
        self.dirty = true;
        if life.segment.state() == SegmentState::Active {
            self.drain(id);
        }
    }

    /// No path names it any more.
    fn lost_its_name(&mut self, id: SegmentId, now: Instant) {
        if self.lives.get(&id).is_some_and(|life| !life.segment.is_pinned() && life.absorbed.is_none())
            && self.find_packed_life(id, now)
        {
            return;
        }
        let Some(life) = self.lives.get_mut(&id) else { return };
        let path = life.segment.path();
        self.unresolved.remove(&id);
        self.dirty = true;
        if life.segment.is_pinned() {
            life.nameless = Some(now);
            info!(source = %self.log.name, segment = %id, path = %path.display(),
                "the file was deleted; it is held open until its events are delivered, or else its rest is copied");
            self.drain(id);
        } else {
            warn!(source = %self.log.name, segment = %id, path = %path.display(), seen_bytes = life.segment.size(),
                "the file is gone and was not held open; what was not read of it is recorded as a gap");
            life.segment.set_state(SegmentState::Gone);
            let key = life.segment.key();
            self.newest.remove(&key);
        }
    }

    /// From now on its descriptor is all that keeps it readable.
    fn drain(&mut self, id: SegmentId) {
        let Some(life) = self.lives.get(&id) else { return };
        if life.segment.state() == SegmentState::Active {
            life.segment.set_state(SegmentState::Draining);
        }
        self.dirty = true;
    }

    /// Holds the descriptor of a file that has none, as far as there are descriptors.
    fn pin_file(&mut self, id: SegmentId) {
        let Some(life) = self.lives.get(&id) else { return };
        let segment = &life.segment;
        if segment.state() != SegmentState::Gone
            && !segment.is_pinned()
            && life.absorbed.is_none()
            && !self.unresolved.contains(&id)
            && self.pins.take(segment.state())
            && let Ok(file) = segment.open()
        {
            segment.pin(file);
        }
    }

    fn seal_if_quiet(&mut self, id: SegmentId, now: Instant) {
        let seal_after = self.seal_after();
        let Some(life) = self.lives.get(&id) else { return };
        if life.segment.state() == SegmentState::Draining
            && !self.unresolved.contains(&id)
            && now.saturating_duration_since(life.quiet_since) >= seal_after
        {
            life.segment.set_state(SegmentState::Sealed);
            self.dirty = true;
        }
    }

    fn release_if_past(&mut self, id: SegmentId) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        let segment = &life.segment;
        let at_rest = matches!(segment.state(), SegmentState::Sealed | SegmentState::Gone);
        if !at_rest || !self.log.release_gate.all_past(id, segment.start.offset, segment.size()) {
            return;
        }
        self.dirty = true;
        segment.unpin();
        if life.absorbed.is_some() {
            self.release_copy(id);
            return;
        }
        if let Some(origin) = &life.packed {
            // What it was restored to is needed no more; what it was restored from is not to be read again.
            let key = segment.key();
            if key != origin.key && self.newest.get(&key) == Some(&id) {
                self.newest.remove(&key);
            }
            self.packed.remove(&segment.path());
        }
        if segment.state() == SegmentState::Gone {
            self.empty_paths.lost(&segment.lineage);
            self.lives.remove(&id);
        } else {
            life.released = true;
            life.missing = 0;
        }
    }

    /// A released file is remembered as long as it exists, so that it is not taken for a new one.
    fn keep_or_drop_released(&mut self, id: SegmentId, named: &Named, consistent: bool, now: Instant) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        let segment = life.segment.clone();
        if life.packed.is_some() {
            return self.keep_or_drop_packed(id, consistent);
        }
        if life.absorbed.is_some() {
            return self.drop_absorbed(id, consistent);
        }
        let (key, mut path) = (segment.key(), segment.path());
        let mut looked = identity::stat_path(&path);
        let stands = stands_there(&looked, &key);
        let name = named.path(&key).cloned().or_else(|| match stands {
            Some(true) => None,
            _ => self.listings.find_by_key(&segment.lineage, &key),
        });
        if let Some(name) = name.filter(|name| *name != path) {
            path = name;
            looked = identity::stat_path(&path);
            segment.moved_to(path.clone());
            self.dirty = true;
        }
        let there = segment.extent().there;
        match looked {
            Ok(stat) if stat.key == key && stat.size > there => {
                let intact =
                    identity::open(&path).is_ok_and(|(file, stat)| life.is_intact(&file, &stat).unwrap_or(false));
                if intact {
                    self.reopen(id, stat, now);
                } else {
                    self.forget(id);
                }
            }
            Ok(stat) if stat.key == key && stat.size < there => self.forget(id),
            Ok(stat) if stat.key == key => life.missing = 0,
            _ if consistent && stands.is_some() => {
                life.missing += 1;
                if life.missing >= MISSING_SCANS && !self.remember_as_packed(id) {
                    self.forget(id);
                }
            }
            _ => {}
        }
    }

    /// What a late writer adds to a released file is a segment of its own, which begins where the old one ended.
    fn reopen(&mut self, id: SegmentId, stat: FileStat, now: Instant) {
        let Some(mut life) = self.lives.remove(&id) else { return };
        let old = &life.segment;
        let next = SegmentId(self.next);
        self.next += 1;
        info!(source = %self.log.name, segment = %next, continues = %id, path = %old.path().display(), "a finished file was written to again");
        let segment = Segment::new(
            next,
            old.lineage.clone(),
            life.seen,
            stat.size,
            SegmentState::Draining,
            old.path(),
            old.key(),
        );
        segment.set_head(old.head());
        self.newest.insert(old.key(), next);
        life.segment = Arc::new(segment);
        life.released = false;
        life.quiet_since = now;
        self.lives.insert(next, life);
        self.drain(next);
        self.pin_file(next);
    }

    /// The file under this key, if it is met again, is a new one.
    pub(super) fn forget(&mut self, id: SegmentId) {
        if let Some(life) = self.lives.remove(&id) {
            self.empty_paths.lost(&life.segment.lineage);
            for key in [Some(life.segment.key()), life.packed.map(|origin| origin.key)].into_iter().flatten() {
                if self.newest.get(&key) == Some(&id) {
                    self.newest.remove(&key);
                }
            }
            self.dirty = true;
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
