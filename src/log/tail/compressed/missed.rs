//! Generations that came, were rotated away and were compressed while nobody looked.
//!
//! What was born since the last generation that is known, and begins as none that is, is a life of its own: its content
//! is restored and read from its beginning. A crash before the catalog is written leaves a restored file that no life has.

use std::{io, path::Path, sync::Arc, time::Instant};

use tracing::info;

use super::{
    super::{FileLife, NewFile, Tail, lives::ContentFile},
    CompressedMatch, Content, Later, WantedContent, begins, unpack,
};
use crate::log::{
    catalog::CompressedOrigin,
    identity::{self, OpenFile},
    position::{Anchor, Cursor},
    segment::{Segment, SegmentState},
};

impl Tail {
    /// Missed generations that could not be restored, once more.
    pub fn add_postponed(&mut self, new_files: &mut Vec<NewFile>, now: Instant) {
        let due = self.compressed.postponed.iter().filter(|(_, (_, later))| later.until <= now);
        let due: Vec<_> = due.map(|(key, (lineage, _))| (*key, lineage.clone())).collect();
        for (key, lineage) in due {
            if let Some(path) = self.listings.find_by_key(&lineage, &key)
                && let Ok(stat) = identity::stat_path(&path)
                && !self.lives.knows(&key)
                && new_files.iter().all(|file| file.stat.key != key)
            {
                new_files.push(NewFile::beside(path, stat, lineage));
            } else {
                self.compressed.postponed.remove(&key);
            }
        }
    }

    /// A generation that came, was rotated away and compressed while nobody looked: a life of its own, unless it has
    /// the beginning of one that is known. False where a rotation came between.
    pub fn arrive_compressed(&mut self, lineage: &Arc<Path>, opened: &OpenFile, now: Instant) -> io::Result<bool> {
        let key = opened.stat.key;
        let again = self.compressed.postponed.remove(&key).is_some();
        let first = unpack::first_bytes(&opened.file)?;
        if first.is_empty() || self.begins_as_a_known_one(lineage, &first) {
            return Ok(true);
        }
        let place = self.compressed.place(self.lives.next_id());
        let restored = self.survey(&opened.path, lineage, &key, &WantedContent::default()).and_then(|found| {
            let Some(CompressedMatch { opened, content }) = found else { return Ok(None) };
            let restored = unpack::restore(&opened.file, content.size, &place, &self.compressed.progress)?;
            Ok(Some((restored, content)))
        });
        match restored {
            Ok(Some((restored, content))) => {
                self.begin_restored(lineage, opened, restored, &content, now)?;
                Ok(true)
            }
            Ok(None) => Ok(!self.overtaken.contains(&**lineage)),
            Err(error) => {
                if !again {
                    self.notices.cannot_unpack(&opened.path, &error);
                }
                let later = Later::new(&opened.path, &error, now);
                self.compressed.postponed.insert(key, (lineage.clone(), later));
                Ok(true)
            }
        }
    }

    fn begin_restored(
        &mut self,
        lineage: &Arc<Path>,
        origin: &OpenFile,
        restored: OpenFile,
        content: &Content,
        now: Instant,
    ) -> io::Result<()> {
        let id = self.lives.next_id();
        let OpenFile { path, stat, .. } = origin;
        let (size, key, place) = (content.decoded, restored.stat.key, restored.path.clone());
        info!(source = %self.log.name, path = %path.display(), segment = %id, bytes = content.size, restored = %place.display(),
            "a generation was rotated away and compressed before it was seen: its content is restored and read");
        let start = Cursor::default();
        let segment = Segment::new(id, lineage.clone(), start, size, SegmentState::Draining, place, key);
        if content.size < size {
            segment.lose_from(content.size);
        }
        let origin = CompressedOrigin { path: path.clone(), key: stat.key, since: stat.modified };
        let life = FileLife::begin(segment, &restored, content.size, ContentFile::Restored(origin), now)?;
        self.insert(life, restored.file);
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
