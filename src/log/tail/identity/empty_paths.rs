//! Paths whose files are all gone and delivered, so that no life is known of them any more.
//!
//! Such a path may get a file again, and that one be rotated away before it is looked at. What stands beside the path
//! is therefore remembered, over a restart too: what is there at the next scan and was not before was written there in
//! between. A crash leaves what stood there when the last life of the path was forgotten.

use std::{
    collections::{HashMap, HashSet},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::Arc,
};

use super::{
    super::Tail,
    rotated_name::{RotationMark, originals_of},
};
use crate::log::{catalog::EmptyPath, identity::FileKey};

/// More paths are not remembered: names that have a date in them never come again.
const MOST: usize = 1000;

/// What stood beside each empty path at the last scan.
pub type EmptyPaths = HashMap<Arc<Path>, HashSet<FileKey>>;

impl Tail {
    /// Step 11: which paths have no file now, and what stands beside them.
    pub(in crate::log::tail) fn look_beside_empty_paths(&mut self) {
        if self.empty_paths.is_empty() {
            return;
        }
        let lived_in: HashSet<_> = self.lives.iter().map(|life| life.segment.lineage.clone()).collect();
        self.empty_paths.retain(|path, _| !lived_in.contains(path));
        let surplus = self.empty_paths.len().saturating_sub(MOST);
        for path in self.empty_paths.keys().take(surplus).cloned().collect::<Vec<_>>() {
            self.empty_paths.remove(&path);
        }
        // Where a scan was overtaken, what it did not get to was not there before all the same.
        for (path, beside) in self.empty_paths.iter_mut().filter(|(path, _)| !self.overtaken.contains(&***path)) {
            let Some(directory) = path.parent() else { continue };
            let generations = self.listings.generations(path, directory).into_iter();
            *beside = generations.map(|generation| generation.stat.key).collect();
        }
    }
}

/// What the catalog keeps of them: not those with a time in their name, which never come again.
pub fn empty_paths_to_keep(paths: &EmptyPaths) -> Vec<EmptyPath> {
    let is_dated = |path: &Path| {
        let originals = originals_of(path.file_name().unwrap_or_default().as_bytes());
        originals.iter().any(|of| matches!(of.mark, RotationMark::Time(_)))
    };
    let kept = paths.iter().filter(|(path, _)| !is_dated(path));
    kept.map(|(path, beside)| EmptyPath { path: path.to_path_buf(), beside: beside.iter().copied().collect() })
        .collect()
}
