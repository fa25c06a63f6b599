//! Finished generations that are compressed: known by their compressed file, as long as that exists, so that they are not
//! taken for generations that were missed.

use std::{path::PathBuf, time::Instant};

use super::{
    super::{Tail, Whereabouts, lives::ContentFile},
    WantedShare, begins,
    looked::PackedBeginning,
};
use crate::log::{
    catalog::CompressedOrigin,
    identity::{self, FileKey},
    position::SegmentId,
};

impl Tail {
    /// A released file is gone: if it was compressed, the life is remembered as long as that file exists.
    pub fn remember_compressed(&mut self, id: SegmentId) -> bool {
        let (path, key) = match self.untouched_since(id) {
            Some(known) => known,
            None => match self.compressed_match(id, WantedShare::Any) {
                Ok(Some(found))
                    if self.lives.get(id).is_some_and(|life| found.content.size > life.segment.size()) =>
                {
                    return self.reopen_compressed(id);
                }
                Ok(Some(found)) => (found.opened.path, found.opened.stat.key),
                Ok(None) | Err(_) => return false,
            },
        };
        let Some(life) = self.lives.get_mut(id) else { return false };
        life.missing = 0;
        let origin = CompressedOrigin { path, key, since: life.since() };
        self.lives.set_content(id, ContentFile::Restored(origin));
        true
    }

    /// The compressed file with the first bytes of a life and the very time of its last change, where there is no second:
    /// it need not be read whole to be known again.
    fn untouched_since(&mut self, id: SegmentId) -> Option<(PathBuf, FileKey)> {
        let life = self.lives.get(id)?;
        let (head, modified) = (life.segment.head(), life.modified);
        let mut alike = self.files_beside(id);
        alike.retain(|(_, stat)| stat.modified == modified && !self.lives.knows(&stat.key));
        alike.retain(|(path, stat)| match self.beginning(path, stat) {
            Ok(PackedBeginning::Content(first)) => begins(&first, &head),
            _ => false,
        });
        let (path, stat) = alike.pop()?;
        alike.is_empty().then_some((path, stat.key))
    }

    /// What a late writer added to a released file before it was compressed is a segment of its own, whose content is
    /// found in this scan or a later one.
    fn reopen_compressed(&mut self, id: SegmentId) -> bool {
        let now = Instant::now();
        let Some(size) = self.lives.get(id).map(|life| life.segment.size()) else { return false };
        let lost = Whereabouts::ContentLost { later: None };
        let Some(next) = self.lives.begin_again(id, size, lost, now) else { return false };
        self.goes_on_compressed(next, now);
        true
    }

    /// A released life whose content is in a compressed file is remembered as long as that exists.
    pub fn keep_or_drop_compressed(&mut self, id: SegmentId, consistent: bool) {
        let Some(life) = self.lives.get_mut(id) else { return };
        let ContentFile::Restored(origin) = life.content().clone() else { return };
        let lineage = life.segment.lineage.clone();
        if identity::stat_path(&origin.path).is_ok_and(|stat| stat.key == origin.key) {
            life.missing = 0;
        } else if let Some(path) = self.listings.find_by_key([&lineage, &origin.path], &origin.key) {
            life.missing = 0;
            self.lives.set_content(id, ContentFile::Restored(CompressedOrigin { path, ..origin }));
        } else if life.count_missing(consistent) {
            self.forget(id);
        }
    }
}
