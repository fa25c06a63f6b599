//! Files that were replaced by their own content, and that a late writer may still have open.
//!
//! They are held as every file that no path names ([`super::super::deleted`]): what is added to one, and not to the one
//! in its place, is a life of its own, which begins where the old one was left. Where a file is replaced again and again
//! and nobody can say whether the old ones are open for writing, only the last few of them are held, and a WARN says so.

use std::{fs::File, io, sync::Arc};

use tracing::warn;

use super::{
    super::{FileLife, Tail, Whereabouts, deleted::FileWriters},
    same_bytes::same_bytes,
};
use crate::log::{
    identity::{self, FileStat},
    position::SegmentId,
    segment::SegmentState,
};

/// So many files that one life left behind, and of which nobody can say whether they are written to, are held.
const MOST_UNKNOWN: usize = 16;

impl Tail {
    /// Holds a file whose life went on in another, where somebody may write to it. `behind`: the life of what comes there.
    pub fn leave_behind(&mut self, of: SegmentId, behind: FileLife, held: Option<Arc<File>>) {
        let path = behind.segment.path();
        let Some(file) = held else {
            if self.late.is_news(of, "replaced and not held") {
                warn!(source = %self.log.name, segment = %of, path = %path.display(),
                    "the file that was replaced was not held open, for descriptors are scarce: what somebody may still write to it is lost");
            }
            return;
        };
        let is_whole = || identity::stat_file(&file).is_ok_and(|stat| stat.size <= behind.seen.offset);
        if FileWriters::of(&file) == FileWriters::None && is_whole() {
            return; // Nobody can open it again.
        }
        self.let_go_of_oldest(of);
        behind.segment.pin(file);
        self.lives.insert(behind);
    }

    /// Makes room for one more file that a life leaves behind.
    fn let_go_of_oldest(&mut self, of: SegmentId) {
        let is_quiet = |life: &FileLife| {
            life.replaced_by() == Some(of) && life.segment.state() == SegmentState::Sealed && self.is_finished(life)
        };
        let held = self.lives.ids(is_quiet);
        let Some(oldest) = held.first().copied().filter(|_| held.len() >= MOST_UNKNOWN) else { return };
        if let Some(life) = self.lives.get(oldest).filter(|_| self.late.is_news(of, "replaced often")) {
            warn!(source = %self.log.name, segment = %of, path = %life.segment.path().display(),
                "the file is replaced so often that only the last {MOST_UNKNOWN} of those that were replaced are held open: what \
                 somebody may still write to older ones is lost");
        }
        self.lives.advance(oldest, Whereabouts::Released);
        self.pins.give_back();
    }

    /// Passes over what was added to files that were replaced and is in the one in their place, too: a writer that had it
    /// in a buffer when it wrote that one.
    pub fn pass_what_replacements_have(&mut self) {
        let is_unread =
            |life: &FileLife| life.replaced_by().is_some() && life.is_followed() && life.segment.has_nothing();
        for id in self.lives.ids(is_unread) {
            // Where it cannot be compared it is read.
            if let Ok(Some((life, file))) = self.behind_what_replacement_has(id) {
                self.lives.remove(id);
                life.segment.pin(file);
                self.lives.insert(life);
            }
        }
    }

    fn behind_what_replacement_has(&self, id: SegmentId) -> io::Result<Option<(FileLife, Arc<File>)>> {
        let Some(life) = self.lives.get(id) else { return Ok(None) };
        let by = life.replaced_by().and_then(|by| self.lives.get(by)).filter(|by| by.is_followed());
        let file = life.segment.open()?;
        let FileStat { size, .. } = identity::stat_file(&file)?;
        let Some(by) = by.filter(|_| size > life.seen.offset) else { return Ok(None) };
        if !same_bytes(&file, &*by.segment.open()?, life.seen.offset, size, &self.compressed.progress)? {
            return Ok(None);
        }
        let behind = life.behind(self.lives.next_id(), identity::cursor_at(&file, size)?);
        Ok(Some((behind, file)))
    }
}
