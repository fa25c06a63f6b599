//! Finished generations that are compressed: known by their compressed file, as long as that exists, so that they are not
//! taken for generations that were missed.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use super::{Tail, compressed::begins, retire::MISSING_SCANS};
use crate::log::{
    identity::{self, FileKey},
    position::SegmentId,
    segment::{Segment, SegmentState},
    unpack::{self, CompressedOrigin, Content},
};

impl Tail {
    /// A released file is gone: if it was compressed, the life is remembered as long as that file exists.
    pub(super) fn remember_as_packed(&mut self, id: SegmentId) -> bool {
        let (path, key) = match self.untouched_since(id) {
            Some(known) => known,
            None => match self.packed_match(id) {
                Ok(Some(found)) if self.has_more(id, &found.content) => return self.reopen_packed(id),
                Ok(Some(found)) => (found.path, found.stat.key),
                Ok(None) | Err(_) => return false,
            },
        };
        let Some(life) = self.lives.get_mut(&id) else { return false };
        let old = life.segment.key();
        if self.newest.get(&old) == Some(&id) {
            self.newest.remove(&old);
        }
        self.newest.insert(key, id);
        life.packed = Some(CompressedOrigin { path, key, since: life.since() });
        life.missing = 0;
        self.dirty = true;
        true
    }

    /// A compressed file with the first bytes of a life and the very time of its last change: it need not be read whole
    /// to be known again.
    fn untouched_since(&mut self, id: SegmentId) -> Option<(PathBuf, FileKey)> {
        let life = self.lives.get(&id)?;
        let (head, modified) = (life.segment.head(), life.modified);
        let siblings = self.listings.siblings(&life.segment.lineage);
        let alike = siblings.into_iter().filter(|(_, stat)| stat.modified == modified);
        let mut strangers = alike.filter(|(_, stat)| !self.newest.contains_key(&stat.key));
        let begins_so = |path: &Path| -> io::Result<bool> {
            let (file, _) = identity::open(path)?;
            Ok(unpack::is_gzip(&file)? && begins(&unpack::first_bytes(&file)?, &head))
        };
        let (path, stat) = strangers.find(|(path, _)| begins_so(path).unwrap_or(false))?;
        Some((path, stat.key))
    }

    fn has_more(&self, id: SegmentId, content: &Content) -> bool {
        self.lives.get(&id).is_some_and(|life| content.size > life.segment.size())
    }

    /// What a late writer added to a released file before it was compressed is a segment of its own.
    fn reopen_packed(&mut self, id: SegmentId) -> bool {
        let Some(mut life) = self.lives.remove(&id) else { return false };
        let old = life.segment.clone();
        let next = SegmentId(self.next);
        self.next += 1;
        let (lineage, size) = (old.lineage.clone(), old.size());
        let segment = Segment::new(next, lineage, life.seen, size, SegmentState::Draining, old.path(), old.key());
        segment.set_head(old.head());
        if self.newest.get(&old.key()) == Some(&id) {
            self.newest.remove(&old.key());
        }
        life.segment = Arc::new(segment);
        life.released = false;
        life.content_lost = true; // Until its content is found, in this scan or a later one.
        self.lives.insert(next, life);
        self.dirty = true;
        self.find_packed_life(next, Instant::now());
        true
    }

    /// A released life whose content is in a compressed file is remembered as long as that exists.
    pub(super) fn keep_or_drop_packed(&mut self, id: SegmentId, consistent: bool) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        let Some(origin) = &mut life.packed else { return };
        if identity::stat_path(&origin.path).is_ok_and(|stat| stat.key == origin.key) {
            life.missing = 0;
        } else if let Some(path) = self.listings.find_by_key(&life.segment.lineage, &origin.key) {
            origin.path = path;
            life.missing = 0;
            self.dirty = true;
        } else if consistent {
            life.missing += 1;
            if life.missing >= MISSING_SCANS {
                self.forget(id);
            }
        }
    }
}
