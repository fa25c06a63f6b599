//! Generations that came, were rotated away and were compressed while nobody looked.
//!
//! What was born since the last generation that is known, and begins as none that is, is a life of its own: its content
//! is restored and read from its beginning. A crash before the catalog is written leaves a restored file that no life has.

use std::{fs::File, io, path::Path, sync::Arc, time::Instant};

use tracing::info;

use super::{
    FileLife, NewFile, Tail,
    compressed::{Later, begins},
};
use crate::log::{
    identity::{self, FileStat},
    position::{Anchor, Cursor, SegmentId},
    segment::{Segment, SegmentState},
    unpack::{self, CompressedOrigin, Content, WantedContent},
};

impl Tail {
    /// Missed generations that could not be restored, once more.
    pub(super) fn packed_that_wait(&mut self, new_files: &mut Vec<NewFile>, now: Instant) {
        let due: Vec<_> =
            self.packed.missed.iter().filter(|(_, (_, later))| later.until <= now).map(|(key, _)| *key).collect();
        for key in due {
            let Some(lineage) = self.packed.missed.get(&key).map(|(lineage, _)| lineage.clone()) else { continue };
            if let Some(path) = self.listings.find_by_key(&lineage, &key)
                && let Ok(stat) = identity::stat_path(&path)
                && new_files.iter().all(|new_files| new_files.stat.key != key)
            {
                let lineage = Some(lineage);
                new_files.push(NewFile { path, stat, lineage, only_as_copy: false, truncated: false });
            } else {
                self.packed.missed.remove(&key);
            }
        }
    }

    /// A generation that came, was rotated away and compressed while nobody looked: a life of its own, unless it has
    /// the beginning of one that is known.
    pub(super) fn arrive_packed(
        &mut self,
        path: &Path,
        lineage: &Arc<Path>,
        file: &File,
        stat: &FileStat,
        now: Instant,
    ) -> io::Result<()> {
        let again = self.packed.missed.remove(&stat.key).is_some();
        let first = unpack::first_bytes(file)?;
        if first.is_empty() || self.begins_as_a_known_one(lineage, &first) {
            return Ok(());
        }
        let later = |tail: &mut Self, error: &io::Error| {
            if !again {
                tail.notices.cannot_unpack(path, error);
            }
            tail.packed.missed.insert(stat.key, (lineage.clone(), Later::new(path, error, now)));
        };
        let content = match self.survey(path, lineage, stat, &WantedContent::default()) {
            Ok(Some((_, content))) => content,
            Ok(None) => return Ok(()),
            Err(error) => {
                later(self, &error);
                return Ok(());
            }
        };
        let id = SegmentId(self.next);
        let place = self.packed.place(id);
        if let Err(error) = unpack::restore(file, content.size, &place, &self.packed.progress) {
            later(self, &error);
            return Ok(());
        }
        self.begin_restored(id, path, lineage, stat, &content, now)
    }

    fn begin_restored(
        &mut self,
        id: SegmentId,
        path: &Path,
        lineage: &Arc<Path>,
        stat: &FileStat,
        content: &Content,
        now: Instant,
    ) -> io::Result<()> {
        let place = self.packed.place(id);
        let (restored, restored_sight) = identity::open(&place)?;
        self.next += 1;
        let key = restored_sight.key;
        let size = content.decoded;
        let state = SegmentState::Draining;
        let segment = Segment::new(id, lineage.clone(), Cursor::default(), size, state, place.clone(), key);
        segment.set_head(identity::head(&restored, content.size)?);
        if content.size < size {
            segment.lose_from(content.size);
        }
        let seen = identity::cursor_at(&restored, content.size)?;
        if self.pins.take(state) {
            segment.pin(Arc::new(restored));
        }
        info!(source = %self.log.name, path = %path.display(), segment = %id, bytes = content.size, restored = %place.display(),
            "a generation was rotated away and compressed before it was seen: its content is restored and read");
        let mut life = FileLife::new(segment, seen, restored_sight.modified, now);
        life.packed = Some(CompressedOrigin { path: path.to_owned(), key: stat.key, since: stat.modified });
        self.doubt(id, path, content);
        self.newest.insert(key, id);
        self.newest.insert(stat.key, id);
        self.lives.insert(id, life);
        self.dirty = true;
        Ok(())
    }

    fn begins_as_a_known_one(&self, lineage: &Path, first: &[u8]) -> bool {
        let mut lives = self.lives.values().filter(|life| *life.segment.lineage == *lineage);
        lives.any(|life| {
            let segment = &life.segment;
            let head = segment.head();
            if !begins(first, &head) || head.offset == Anchor::BYTES as u64 {
                return begins(first, &head);
            }
            // Few bytes prove little: what the file has now counts, or that there never were more.
            let now = segment.open().and_then(|file| identity::head(&file, identity::stat_file(&file)?.size));
            now.map_or(first.len() as u64 == segment.size(), |head| begins(first, &head))
        })
    }
}
