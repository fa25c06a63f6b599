//! Files that were replaced by their own content, and that a late writer may still have open.
//!
//! The last few descriptors are kept for a while. What is written to such a file, and not to the one in its place, is
//! a life of its own, which begins where the old one was left.

use std::{fs::File, io, path::PathBuf, sync::Arc, time::Duration, time::Instant};

use tracing::info;

use super::{
    super::{FileLife, Tail, Whereabouts, deleted::FileWriters, lives::ContentFile},
    same_bytes::same_bytes,
};
use crate::log::{
    identity::{self, FileKey, FileStat, OpenFile},
    position::{Cursor, SegmentId},
    segment::{Segment, SegmentState},
};

/// So many of one life, and of all.
const MOST_OF_ONE: usize = 4;
const MOST: usize = 16;

/// A writer that is quiet for longer is not waited for.
const HELD_FOR: Duration = Duration::from_secs(3600);

/// A file whose life went on in the one that replaced it.
#[derive(Debug)]
pub struct LeftBehind {
    pub of: SegmentId,
    path: PathBuf,
    key: FileKey,
    file: Arc<File>,
    /// Up to here its bytes are in the file that replaced it.
    end: Cursor,
    since: Instant,
}

impl Tail {
    pub fn leave_behind(
        &mut self,
        of: SegmentId,
        path: PathBuf,
        key: FileKey,
        file: Arc<File>,
        end: Cursor,
        since: Instant,
    ) {
        // Nobody can open it again.
        let is_finished = FileWriters::of(&file) == FileWriters::None
            && identity::stat_file(&file).is_ok_and(|stat| stat.size <= end.offset);
        if is_finished {
            return;
        }
        let own = |left: &LeftBehind| left.of == of;
        if self.left_behind.iter().filter(|left| own(left)).count() >= MOST_OF_ONE
            && let Some(oldest) = self.left_behind.iter().position(own)
        {
            self.left_behind.remove(oldest);
        } else if self.left_behind.len() >= MOST {
            self.left_behind.remove(0);
        }
        self.left_behind.push(LeftBehind { of, path, key, file, end, since });
    }

    /// What was written to files that were left behind is read.
    pub fn look_at_left_behind(&mut self, now: Instant) {
        for mut left in std::mem::take(&mut self.left_behind) {
            let is_kept = match identity::stat_file(&left.file) {
                Ok(stat) if stat.size > left.end.offset => {
                    self.is_ahead(&mut left, &stat) || !self.begin_left_behind(&left, stat, now)
                }
                Ok(_) => now.saturating_duration_since(left.since) < HELD_FOR,
                Err(_) => false,
            };
            if is_kept {
                self.left_behind.push(left);
            }
        }
    }

    /// Whether what was added to it is in the file that replaced it, too.
    fn is_ahead(&self, left: &mut LeftBehind, stat: &FileStat) -> bool {
        let life = self.lives.get(left.of).filter(|life| life.is_followed());
        let Some(Ok(file)) = life.map(|life| life.segment.open()) else { return false };
        let same = same_bytes(&left.file, &file, left.end.offset, stat.size, &self.compressed.progress);
        let end =
            same.and_then(|same| if same { identity::cursor_at(&left.file, stat.size).map(Some) } else { Ok(None) });
        let Ok(Some(end)) = end else { return false };
        left.end = end;
        true
    }

    fn begin_left_behind(&mut self, left: &LeftBehind, stat: FileStat, now: Instant) -> bool {
        let begun = self.life_left_behind(left, stat, now);
        let Ok(life) = begun else { return false };
        let id = life.segment.id;
        info!(source = %self.log.name, segment = %id, path = %left.path.display(), start = left.end.offset,
            "the file that was replaced is still written to: what comes there is read, too");
        life.segment.pin(left.file.clone()); // It was held before.
        self.lives.insert(life);
        self.lives.advance(id, Whereabouts::Deleted { since: now });
        true
    }

    fn life_left_behind(&self, left: &LeftBehind, stat: FileStat, now: Instant) -> io::Result<FileLife> {
        let of = self.lives.get(left.of).map(|life| life.segment.lineage.clone());
        let lineage = of.unwrap_or_else(|| left.path.as_path().into());
        let (id, path) = (self.lives.next_id(), left.path.clone());
        let segment = Segment::new(id, lineage, left.end, stat.size, SegmentState::Draining, path.clone(), left.key);
        let opened = OpenFile { path, file: left.file.clone(), stat };
        FileLife::begin(segment, &opened, stat.size, ContentFile::Original, now)
    }
}
