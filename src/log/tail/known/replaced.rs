//! Files that were replaced by their own content.
//!
//! Some programs write a file anew, with all that it had and a line more, and rename it over the old one; so do
//! `sed -i` and rsync. The old file has no name then, and the new one all of its content: the life goes on there, as it does in
//! a copy that was made beside the old one before that went.

use std::{collections::HashMap, fs::File, io, path::Path, sync::Arc, time::Instant};

use tracing::{debug, info};

use super::{
    super::{FileLife, NewFile, Tail, identity::Named, lives::ContentFile},
    copy_of::named_after,
    same_bytes::same_bytes,
};
use crate::log::{
    identity::{self, OpenFile},
    position::{Anchor, SegmentId},
};

/// A life whose file lost its last name.
#[derive(Clone)]
struct NamelessLife {
    id: SegmentId,
    /// The file, and when it lost that name, where it is held.
    held: Option<(Arc<File>, (i64, u32))>,
}

/// By lineage, the newest first.
type NamelessLives = HashMap<Arc<Path>, Vec<NamelessLife>>;

impl Tail {
    /// Lets lives whose file lost its last name go on in new files that have all of its content, and takes those off
    /// the list: files at its own path first, then those that have a rotated name.
    pub fn go_on_in_replacements(&mut self, new_files: &mut Vec<NewFile>, named: &Named, now: Instant) {
        // A copy may stand beside its path, and no path name it. One scan may have looked while it was renamed.
        self.list_beside(|life| life.missing > 0 && life.is_followed() && life.segment.is_pinned(), new_files);
        if new_files.is_empty() {
            return;
        }
        let nameless = self.nameless(named);
        if nameless.is_empty() {
            return;
        }
        new_files.retain(|file| !self.replaces(file, &nameless, &file.path, now));
        new_files.retain(|file| {
            let originals = file.lineage.iter().map(|path| path.to_path_buf());
            let mut originals = originals.chain(named_after(&file.path));
            !originals.any(|path| self.replaces(file, &nameless, &path, now))
        });
    }

    fn nameless(&mut self, named: &Named) -> NamelessLives {
        let mut nameless = NamelessLives::new();
        // What was replaced before gave its content on.
        let has_content =
            |life: &&FileLife| life.is_followed() && life.seen.offset > 0 && life.replaced_by().is_none();
        for life in self.lives.iter().filter(has_content) {
            let segment = &life.segment;
            let key = segment.key();
            if named.has(&key) || !matches!(life.content(), ContentFile::Original) {
                continue;
            }
            let held = if segment.is_pinned() {
                let Ok(file) = segment.open() else { continue };
                match identity::stat_file(&file) {
                    Ok(stat) if stat.names == 0 => Some((file, stat.changed)),
                    _ => continue,
                }
            } else if identity::stat_path(&segment.path()).is_ok_and(|stat| stat.key != key)
                && self.listings.find_by_key([&segment.lineage, &segment.path()], &key).is_none()
            {
                None
            } else {
                continue;
            };
            let id = segment.id;
            nameless.entry(segment.lineage.clone()).or_default().insert(0, NamelessLife { id, held });
        }
        nameless
    }

    fn replaces(&mut self, new_file: &NewFile, nameless: &NamelessLives, original: &Path, now: Instant) -> bool {
        let Some(candidates) = nameless.get(original) else { return false };
        let Ok(Some(opened)) = OpenFile::open_known(&new_file.path, &new_file.stat.key) else { return false };
        let has = |lost: &&NamelessLife| {
            let life = self.lives.get(lost.id).filter(|life| life.is_followed() && !stands_elsewhere(life, lost));
            life.is_some_and(|life| self.has_all(life, lost, &opened).unwrap_or(false))
        };
        let Some(lost) = candidates.iter().find(has) else { return false };
        self.go_on_in_replacement(lost, opened, now);
        true
    }

    /// Whether a file has every byte that was seen of one that lost its last name.
    ///
    /// A few bytes may be what an application writes whenever it begins. They count where the new file was there before
    /// the old one went, as one that is renamed over it is.
    fn has_all(&self, life: &FileLife, lost: &NamelessLife, opened: &OpenFile) -> io::Result<bool> {
        let seen = life.seen.offset;
        let born = opened.stat.key.born;
        let was_there = lost.held.as_ref().zip(born).is_some_and(|((_, gone), born)| born <= *gone);
        if !(was_there || seen >= Anchor::BYTES as u64) || !life.is_intact(opened)? {
            return Ok(false);
        }
        if let Some((file, _)) = &lost.held {
            return same_bytes(file, &opened.file, 0, seen, &self.compressed.progress);
        }
        life.cursors().iter().try_fold(true, |has, cursor| Ok(has && identity::still_has(&opened.file, cursor)?))
    }

    fn go_on_in_replacement(&mut self, lost: &NamelessLife, opened: OpenFile, now: Instant) {
        let next_id = self.lives.next_id();
        let Some(life) = self.lives.get_mut(lost.id) else { return };
        life.quiet_since = now;
        let behind = life.behind(next_id, life.seen).with_replacement(lost.id);
        let (was, path) = (life.segment.path(), opened.path.clone());
        // Some files are replaced every second.
        if !self.late.is_news(lost.id, "replaced") {
            debug!(source = %self.log.name, path = %path.display(), segment = %lost.id, "the file was replaced once more");
        } else {
            info!(source = %self.log.name, path = %path.display(), segment = %lost.id, was = %was.display(),
                "the file was replaced by one with the same content: reading continues in that where it stopped");
        }
        if self.go_on_in(lost.id, opened).is_ok() {
            self.leave_behind(lost.id, behind, lost.held.as_ref().map(|(file, _)| file.clone()));
        }
    }
}

/// Whether another file has a life's bytes since it was listed as nameless.
fn stands_elsewhere(life: &FileLife, lost: &NamelessLife) -> bool {
    let Some((file, _)) = &lost.held else { return false };
    !life.segment.is_pinned() || life.segment.open().is_ok_and(|now| !Arc::ptr_eq(&now, file))
}
