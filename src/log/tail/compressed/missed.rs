//! Generations that came, were rotated away and were compressed while nobody looked.
//!
//! What was born since the last generation that is known, and begins as none that is, is a life of its own: its content
//! is restored and read from its beginning. A crash before the catalog is written leaves a restored file that no life has.

use std::{fs::File, io, path::Path, sync::Arc, time::Instant};

use tracing::info;

use super::{
    super::{FileLife, NewFile, Tail, lives::ContentFile},
    Content, Later, WantedContent, begins, unpack,
};
use crate::log::{
    catalog::CompressedOrigin,
    identity::{self, FileStat},
    position::{Anchor, Cursor},
    segment::{Segment, SegmentState},
};

impl Tail {
    /// Missed generations that could not be restored, once more.
    pub(in crate::log::tail) fn add_postponed(&mut self, new_files: &mut Vec<NewFile>, now: Instant) {
        let due = self.compressed.postponed.iter().filter(|(_, (_, later))| later.until <= now);
        let due: Vec<_> = due.map(|(key, (lineage, _))| (*key, lineage.clone())).collect();
        for (key, lineage) in due {
            if let Some(path) = self.listings.find_by_key(&lineage, &key)
                && let Ok(stat) = identity::stat_path(&path)
                && new_files.iter().all(|file| file.stat.key != key)
            {
                new_files.push(NewFile::beside(path, stat, lineage));
            } else {
                self.compressed.postponed.remove(&key);
            }
        }
    }

    /// A generation that came, was rotated away and compressed while nobody looked: a life of its own, unless it has
    /// the beginning of one that is known.
    pub(in crate::log::tail) fn arrive_compressed(
        &mut self,
        path: &Path,
        lineage: &Arc<Path>,
        file: &File,
        stat: &FileStat,
        now: Instant,
    ) -> io::Result<()> {
        let again = self.compressed.postponed.remove(&stat.key).is_some();
        let first = unpack::first_bytes(file)?;
        if first.is_empty() || self.begins_as_a_known_one(lineage, &first) {
            return Ok(());
        }
        let later = |tail: &mut Self, error: &io::Error| {
            if !again {
                tail.notices.cannot_unpack(path, error);
            }
            tail.compressed.postponed.insert(stat.key, (lineage.clone(), Later::new(path, error, now)));
        };
        let content = match self.survey(path, lineage, stat, &WantedContent::default()) {
            Ok(Some((_, content))) => content,
            Ok(None) => return Ok(()),
            Err(error) => {
                later(self, &error);
                return Ok(());
            }
        };
        let id = self.lives.next_id();
        let place = self.compressed.place(id);
        if let Err(error) = unpack::restore(file, content.size, &place, &self.compressed.progress) {
            later(self, &error);
            return Ok(());
        }
        self.begin_restored(path, lineage, stat, &content, now)
    }

    fn begin_restored(
        &mut self,
        path: &Path,
        lineage: &Arc<Path>,
        stat: &FileStat,
        content: &Content,
        now: Instant,
    ) -> io::Result<()> {
        let id = self.lives.next_id();
        let place = self.compressed.place(id);
        let (restored, restored_stat) = identity::open(&place)?;
        let size = content.decoded;
        let state = SegmentState::Draining;
        let start = Cursor::default();
        let segment = Segment::new(id, lineage.clone(), start, size, state, place.clone(), restored_stat.key);
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
        let origin = CompressedOrigin { path: path.to_owned(), key: stat.key, since: stat.modified };
        let content_file = ContentFile::Restored(origin);
        self.lives.insert(FileLife::new(segment, seen, restored_stat.modified, content_file, now));
        self.doubt(id, path, content);
        Ok(())
    }

    fn begins_as_a_known_one(&self, lineage: &Path, first: &[u8]) -> bool {
        let mut lives = self.lives.iter().filter(|life| *life.segment.lineage == *lineage);
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
