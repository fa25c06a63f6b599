//! Files of an overlay that were copied up.
//!
//! The first write to a file of a lower layer copies it to the upper one. Device and inode stay; its birth becomes
//! another, for descriptors that were open before, too, and those may go on showing what stood in the lower layer.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use tracing::info;

use super::super::{FileLife, Tail, identity::Named, lives::ContentFile};
use crate::log::{
    identity::{FileStat, OpenFile},
    position::{Anchor, SegmentId},
};

impl Tail {
    /// Lives whose file has another birth than it had go on in it, under a descriptor that is opened now.
    pub fn know_copied_up(&mut self, named: &Named) {
        let unknown: Vec<(PathBuf, FileStat)> =
            named.iter().filter(|(_, stat)| !self.lives.knows(&stat.key)).cloned().collect();
        if unknown.is_empty() {
            return;
        }
        let original = |life: &&FileLife| {
            matches!(life.content(), ContentFile::Original) && (life.is_followed() || life.is_released())
        };
        // The newest life of each file comes last.
        let by_inode: HashMap<_, SegmentId> = self.lives.iter().filter(original).map(place).collect();
        for (path, stat) in unknown {
            if let Some(id) = by_inode.get(&(stat.key.device, stat.key.inode)) {
                self.goes_on_copied_up(*id, &path, &stat);
            }
        }
    }

    fn goes_on_copied_up(&mut self, id: SegmentId, path: &Path, stat: &FileStat) {
        let Some(life) = self.lives.get(id) else { return };
        // The inode of a file that is held is given to no other.
        let is_proven = life.segment.is_pinned() || life.seen.offset >= Anchor::BYTES as u64;
        let Ok(Some(opened)) = OpenFile::open_known(path, &stat.key) else { return };
        if is_proven && life.is_intact(&opened).unwrap_or(false) {
            info!(source = %self.log.name, path = %path.display(), segment = %id,
                "the file has another birth time and the same content, as after the copy-up of an overlay: reading continues in it");
            let hold = life.segment.is_pinned() || (life.is_followed() && self.pins.take(life.segment.state()));
            self.lives.rekey(id, opened, hold);
        }
    }
}

fn place(life: &FileLife) -> (((u32, u32), u64), SegmentId) {
    let key = life.segment.key();
    ((key.device, key.inode), life.segment.id)
}
