//! Finished generations that are compressed: known by their compressed file, as long as that exists, so that they are not
//! taken for generations that were missed.

use std::{
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    super::{Tail, Whereabouts, lives::ContentFile},
    begins, unpack,
};
use crate::log::{
    catalog::CompressedOrigin,
    identity::{self, FileKey, OpenFile},
    position::SegmentId,
};

impl Tail {
    /// A released file is gone: if it was compressed, the life is remembered as long as that file exists.
    pub fn remember_compressed(&mut self, id: SegmentId) -> bool {
        let (path, key) = match self.untouched_since(id) {
            Some(known) => known,
            None => match self.compressed_match(id) {
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

    /// A compressed file with the first bytes of a life and the very time of its last change: it need not be read whole
    /// to be known again.
    fn untouched_since(&mut self, id: SegmentId) -> Option<(PathBuf, FileKey)> {
        let life = self.lives.get(id)?;
        let (head, modified) = (life.segment.head(), life.modified);
        let alike =
            self.listings.alike(&life.segment.lineage).into_iter().filter(|(_, stat)| stat.modified == modified);
        let mut unknown = alike.filter(|(_, stat)| !self.lives.knows(&stat.key));
        let begins_so = |path: &Path| -> io::Result<bool> {
            let file = OpenFile::open(path)?.file;
            Ok(unpack::is_gzip(&file)? && begins(&unpack::first_bytes(&file)?, &head))
        };
        let (path, stat) = unknown.find(|(path, _)| begins_so(path).unwrap_or(false))?;
        Some((path, stat.key))
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
        if identity::stat_path(&origin.path).is_ok_and(|stat| stat.key == origin.key) {
            life.missing = 0;
        } else if let Some(path) = self.listings.find_by_key([&life.segment.lineage, &origin.path], &origin.key) {
            life.missing = 0;
            self.lives.set_content(id, ContentFile::Restored(CompressedOrigin { path, ..origin }));
        } else if life.count_missing(consistent) {
            self.forget(id);
        }
    }
}
