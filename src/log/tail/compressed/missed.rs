//! Generations that came, were rotated away and were compressed while nobody looked.
//!
//! What was born since the last generation that is known, and begins as none that is, is a life of its own: its content
//! is restored and read from its beginning. A crash before the catalog is written leaves a restored file that no life has.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tracing::info;

use super::{
    super::{FileLife, NewFile, Tail, identity::original_paths, lives::ContentFile},
    Later, begins,
    format::PackedFormat,
    looked::{PackedBeginning, no_decoder},
    unpack::{self, Content, WantedContent},
};
use crate::log::{
    catalog::CompressedOrigin,
    data_end::data_len,
    identity::{self, FileStat, OpenFile},
    position::{Anchor, Cursor, SegmentId},
    segment::{Segment, SegmentState},
};

impl Tail {
    /// Missed generations that could not be restored, once more.
    pub fn add_postponed(&mut self, new_files: &mut Vec<NewFile>, now: Instant) {
        let due = self.compressed.postponed.iter().filter(|(_, (_, later))| later.until <= now);
        let due: Vec<_> = due.map(|(key, (lineage, later))| (*key, lineage.clone(), later.path.clone())).collect();
        for (key, lineage, path) in due {
            if let Some(path) = self.listings.find_by_key([&lineage, &path], &key)
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

    /// A generation that came, was rotated away and compressed while nobody looked: a life of its own, unless one that
    /// is known has its content. False where a rotation came between.
    pub fn arrive_compressed(&mut self, lineage: &Arc<Path>, opened: &OpenFile, now: Instant) -> io::Result<bool> {
        let OpenFile { path, stat, .. } = opened;
        let again = self.compressed.postponed.remove(&stat.key).is_some();
        let first = match self.beginning(path, stat)? {
            PackedBeginning::Content(first) => first,
            PackedBeginning::Refused(why) => {
                self.refuse(path, &stat.key, why);
                return Ok(true);
            }
            PackedBeginning::Plain => return Ok(true),
        };
        if first.is_empty()
            || self.original_counts(path, lineage)
            || self.is_content_of_a_known_one(Some(lineage), path, stat, &first)?
        {
            return Ok(true);
        }
        if !identity::stat_path(path).is_ok_and(|there| there.key == stat.key) {
            return Ok(false); // Under another name it was not looked into.
        }
        if self.is_excluded(path) {
            return self.lose_generation(lineage, opened, now).map(|()| true);
        }
        let place = self.compressed.place(self.lives.next_id());
        let restored = self.survey(opened, &WantedContent::default()).and_then(|found| {
            let Some(content) = found else { return Ok(None) };
            let restored = unpack::restore(&opened.file, content.size, &place, &self.compressed.progress)?;
            Ok(Some((restored, content)))
        });
        match restored {
            Ok(Some((restored, content))) => {
                self.begin_restored(lineage, opened, restored, &content, now)?;
                Ok(true)
            }
            Ok(None) => Ok(true), // Refused, which is told.
            Err(error) => {
                if !again {
                    self.notices.cannot_unpack(path, &error);
                }
                let later = Later::new(path, &error, now);
                self.compressed.postponed.insert(stat.key, (lineage.clone(), later));
                if !again {
                    self.lives.is_changed();
                }
                Ok(true)
            }
        }
    }

    /// A compressed file that is not read: no lineage needs it, or there is no decoder for it.
    pub fn leave_compressed(&mut self, new_file: &NewFile, format: PackedFormat, now: Instant) -> io::Result<()> {
        let NewFile { path, stat, lineage, .. } = new_file;
        let beginning = self.beginning(path, stat)?;
        let since = self.compressed.looked.seen_since(&stat.key);
        if since.is_none_or(|since| now.saturating_duration_since(since) < self.source.seal_after) {
            return Ok(()); // Its compressor may not be done.
        }
        // A generation that is gone just now is likely to be what it was made from. It is told of by itself.
        let is_gone = |life: &FileLife| life.missing > 0 || life.is_sought();
        let is_from = |life: &FileLife| lineage.as_ref() == Some(&life.segment.lineage) && is_gone(life);
        match (format, beginning) {
            (PackedFormat::Undecodable(how), _) if lineage.is_some() && !self.lives.iter().any(is_from) => {
                self.refuse(path, &stat.key, no_decoder(how));
            }
            (PackedFormat::Packed, PackedBeginning::Content(first))
                if self.is_content_of_a_known_one(None, path, stat, &first)? => {}
            _ => self.notices.compressed(path),
        }
        Ok(())
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

    /// Whether some life has the content of a compressed file, of which these are the first bytes: one of this lineage,
    /// or of a file that the name may be a generation of.
    fn is_content_of_a_known_one(
        &mut self,
        lineage: Option<&Path>,
        path: &Path,
        stat: &FileStat,
        first: &[u8],
    ) -> io::Result<bool> {
        let mut originals: HashSet<PathBuf> =
            original_paths(path).into_iter().map(|(original, _)| original).collect();
        originals.insert(path.with_extension(""));
        originals.extend(lineage.map(Path::to_owned));
        let is_related = |lineage: &Path| {
            let mut related = original_paths(lineage).into_iter();
            originals.contains(lineage) || related.any(|(original, _)| originals.contains(&original))
        };
        // Of many lives most are known by as many bytes.
        let mut anchors: HashMap<u64, Option<Anchor>> = HashMap::new();
        let mut begins_so = |head: &Cursor| {
            let anchor = || first.get(..head.offset as usize).map(Anchor::of);
            head.offset > 0 && *anchors.entry(head.offset).or_insert_with(anchor) == head.anchor
        };
        let lives = self.lives.iter().map(|life| &life.segment);
        let alike = lives.filter(|segment| begins_so(&segment.head()) && is_related(&segment.lineage));
        let ids: Vec<SegmentId> = alike.map(|segment| segment.id).collect();
        for id in ids {
            let Some(life) = self.lives.get(id) else { continue };
            let segment = &life.segment;
            let is_known = if segment.head().offset < Anchor::BYTES as u64 {
                // Few bytes prove little: what the file has now counts, and that there are no more of them.
                let now = segment.open().and_then(|file| identity::head(&file, identity::stat_file(&file)?.size));
                let has_no_more = |end: u64| data_len(first) as u64 <= end;
                now.map_or(data_len(first) as u64 == segment.size(), |head| {
                    begins(first, &head) && (head.offset == Anchor::BYTES as u64 || has_no_more(head.offset))
                })
            } else if life.modified == stat.modified {
                true // Its compressor left it the time of the last write: it need not be read whole.
            } else {
                let seen = life.seen.offset;
                let content = self.content_of(id, path, stat)?;
                let is_its = |it: &Content| it.decoded >= seen || it.cursors > 0 || it.damage.is_some();
                let has_more = |it: &Content| self.lives.get(id).is_some_and(|life| ends_before(life, it.size));
                content.is_some_and(|it| is_its(&it) && !has_more(&it))
            };
            if is_known {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a life's file is there, has what was seen of it, and has fewer bytes than that: then nothing that has more was
/// made from it.
fn ends_before(life: &FileLife, size: u64) -> bool {
    let has_all = !life.is_copied();
    let ends = |file: &File| Ok(identity::stat_file(file)?.size < size && identity::still_has(file, &life.seen)?);
    has_all && life.segment.open().and_then(|file| ends(&file)).unwrap_or(false)
}
