//! Lives whose bytes are in no file any more, and what that costs.
//!
//! | the life | is lost |
//! |---|---|
//! | was at rest (sealed), and every forwarder is past its end | nothing, and nothing is said |
//! | was at rest, and is not read to its end | what is unread: a gap of so many bytes |
//! | was not at rest, and its file was not looked at to the last: it vanished before the first look after a start, or was not held | what is unread, and what was added since the last look: a gap of unknown size |
//! | was empty, the generation after it is a compressed one that nobody saw, and an older one is there | nothing: it is that one, and read there |
//! | was replaced by a file with all that it had, and nobody was seen to write to it after that | what somebody may have written after we ended, and only a WARN says so |
//! | was not at rest, and its file was looked at to the last: it was truncated or rewritten | what is unread |
//!
//! A generation that nobody saw, and that `exclude` names or no decoder can read, is a life that is gone from the beginning,
//! where others of its lineage are known: a gap of unknown size. It is remembered as long as its file exists, and read
//! after a start at which nothing is in the way any more.
//!
//! The catalog knows a loss before any forwarder is told, and a forwarder's cursor is past it once its journal has it. A
//! crash in between tells it again.

use std::{io, path::Path, sync::Arc, time::Instant};

use tracing::{info, warn};

use super::{FileLife, Tail, Whereabouts, compressed::PackedFormat, lives::ContentFile};
use crate::log::{
    catalog::CompressedOrigin,
    identity::{self, OpenFile},
    position::{Cursor, SegmentId},
    segment::{Segment, SegmentState},
};

impl Tail {
    /// Neither its file nor a copy was found.
    pub(super) fn is_gone(&mut self, id: SegmentId) {
        let Some(life) = self.lives.get(id) else { return };
        let segment = life.segment.clone();
        let (path, seen_bytes) = (segment.path(), segment.size());
        if life.replaced_by().is_some() && segment.has_nothing() && segment.state() == SegmentState::Sealed {
            warn!(source = %self.log.name, segment = %id, path = %path.display(),
                "the file that was replaced by one with all that it had was held open, for somebody might still write to it; \
                 nobody was seen to do so, and what was written to it after auditpost ended is lost");
        } else if life.is_empty() && self.goes_on_in_missed(life) {
            info!(source = %self.log.name, segment = %id, path = %path.display(),
                "the file was empty when it was last looked at, and was compressed: its content is read as that of a new one");
        } else if may_have_grown(life) {
            let last_change =
                jiff::Timestamp::new(life.modified.0, life.modified.1.cast_signed()).unwrap_or_default();
            warn!(source = %self.log.name, segment = %id, path = %path.display(), seen_bytes, %last_change,
                "the file is gone, was not held open and may have been written to since it was last looked at: \
                 a gap of unknown size is recorded for each forwarder");
            self.lives.lose_unseen(id);
        } else if !self.log.release_gate.all_past(id, segment.start.offset, seen_bytes) {
            info!(source = %self.log.name, segment = %id, path = %path.display(), seen_bytes,
                "the file's content is gone; where a forwarder has not read it to its end, the rest is recorded as a gap");
        }
        self.lives.advance(id, Whereabouts::Gone);
    }

    /// Whether a file beside a lineage's path is not to be read.
    pub(super) fn is_excluded(&self, path: &Path) -> bool {
        self.exclude.iter().any(|exclude| exclude.matches(path))
    }

    /// A generation that nobody saw is not read.
    pub(super) fn lose_generation(&mut self, lineage: &Arc<Path>, opened: &OpenFile, now: Instant) -> io::Result<()> {
        let OpenFile { path, stat, .. } = opened;
        let id = self.lives.next_id();
        let start = Cursor::default();
        let place = self.compressed.place(id);
        let segment = Segment::new(id, lineage.clone(), start, 0, SegmentState::Gone, place, stat.key);
        segment.lose_unseen();
        let origin = CompressedOrigin { path: path.clone(), key: stat.key, since: stat.modified };
        warn!(source = %self.log.name, segment = %id, path = %path.display(), bytes = stat.size,
            "a generation was rotated away before it was seen, and is not read: a gap of unknown size is recorded for each forwarder");
        self.lives.insert(FileLife::begin(segment, opened, 0, ContentFile::Restored(origin), now)?);
        self.lives.advance(id, Whereabouts::Gone);
        Ok(())
    }

    /// Whether a file that was empty is the compressed generation that was met after it. No content tells that; but who
    /// deletes generations deletes the oldest, and an older one is there.
    fn goes_on_in_missed(&self, life: &FileLife) -> bool {
        let segment = &life.segment;
        let of_lineage = || self.lives.iter().filter(|other| other.segment.lineage == segment.lineage);
        let next = of_lineage().find(|other| other.segment.id > segment.id);
        let is_missed =
            |next: &FileLife| next.segment.id >= self.met_from && matches!(next.content(), ContentFile::Restored(_));
        let is_there = |older: &FileLife| {
            let path = older.application_path();
            path.is_some_and(|path| identity::stat_path(&path).is_ok_and(|stat| older.keys().contains(&stat.key)))
        };
        next.is_some_and(is_missed) && of_lineage().take_while(|other| other.segment.id < segment.id).any(is_there)
    }

    /// Says of generations that nobody saw and that are not read why that is, as long as they are there.
    pub(super) fn tell_of_lost_generations(&mut self) {
        for life in self.lives.iter() {
            let Some(CompressedOrigin { path, key, .. }) = lost_generation(life) else { continue };
            if !identity::stat_path(path).is_ok_and(|stat| stat.key == *key) {
                continue;
            }
            if self.is_excluded(path) {
                self.notices.lost_to_exclude(path, &life.segment.lineage);
            } else {
                self.notices.refused(path, "it is in a compression for which there is no decoder");
            }
        }
    }

    /// Generations that were not read, and that nothing keeps from that any more, are new files again.
    pub(super) fn read_lost_generations(&mut self) {
        for id in self.lives.ids(|life| lost_generation(life).is_some()) {
            let Some(life) = self.lives.get(id) else { continue };
            let Some(CompressedOrigin { path, key, .. }) = lost_generation(life).cloned() else { continue };
            let format = OpenFile::open_known(&path, &key).and_then(|opened| match opened {
                Some(opened) => PackedFormat::of(&opened.file, &path).map(Some),
                None => Ok(None),
            });
            if !self.is_excluded(&path) && matches!(format, Ok(Some(PackedFormat::Plain | PackedFormat::Packed))) {
                info!(source = %self.log.name, path = %path.display(), "a generation that was not read before may be read now");
                let lineage = life.segment.lineage.clone();
                self.lives.remove(id);
                self.compressed.postpone(key, lineage, path);
            }
        }
    }
}

/// The file of a generation that nobody saw and that is not read.
fn lost_generation(life: &FileLife) -> Option<&CompressedOrigin> {
    let ContentFile::Restored(origin) = life.content() else { return None };
    (life.segment.has_unseen() && life.segment.gone_from() == Some(0)).then_some(origin)
}

/// Whether bytes may have come that nobody saw.
fn may_have_grown(life: &FileLife) -> bool {
    let was_at_rest = life.segment.state() == SegmentState::Sealed && !life.is_held_late();
    let was_watched = life.has_lost_content() && life.had_file();
    // Copies of ours and compressed files do not grow, nor does what ends before bytes that are known to be gone.
    let can_grow = matches!(life.content(), ContentFile::Original) && life.segment.gone_from().is_none();
    can_grow && !was_at_rest && !was_watched
}
