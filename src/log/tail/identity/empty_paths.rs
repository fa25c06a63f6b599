//! Paths whose files are all gone and delivered, so that no life is known of them any more.
//!
//! Such a path may get a file again, and that one be rotated away before it is looked at. What stands beside the path
//! is therefore remembered: what is there at the next scan and was not before was written there in between.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use super::{super::Tail, Listings};
use crate::log::identity::FileKey;

/// More paths are not remembered: names that have a date in them never come again.
const MOST: usize = 1000;

/// What stood beside each empty path at the last scan.
#[derive(Debug, Default)]
pub(in crate::log::tail) struct EmptyPaths {
    beside: HashMap<Arc<Path>, HashSet<FileKey>>,
    /// Paths that lost a life in this scan.
    left: Vec<Arc<Path>>,
}

impl EmptyPaths {
    pub(in crate::log::tail) fn lost(&mut self, lineage: &Arc<Path>) {
        self.left.push(lineage.clone());
    }

    pub(in crate::log::tail) fn paths(&self) -> impl Iterator<Item = &Arc<Path>> {
        self.beside.keys()
    }

    /// What stood beside this path, if it has no file.
    pub(in crate::log::tail) fn beside(&self, path: &Path) -> Option<&HashSet<FileKey>> {
        self.beside.get(path)
    }

    fn list_beside(&mut self, lived_in: &HashSet<Arc<Path>>, listings: &mut Listings) {
        let left = self.left.drain(..).map(|path| (path, HashSet::new()));
        self.beside.extend(left);
        self.beside.retain(|path, _| !lived_in.contains(path));
        for (path, beside) in &mut self.beside {
            *beside = listings.siblings(path).into_iter().map(|(_, stat)| stat.key).collect();
        }
        while self.beside.len() > MOST
            && let Some(any) = self.beside.keys().next().cloned()
        {
            self.beside.remove(&any);
        }
    }
}

impl Tail {
    /// The end of a scan: which paths have no file now, and what stands beside them.
    pub(in crate::log::tail) fn look_beside_empty_paths(&mut self) {
        if self.empty_paths.left.is_empty() && self.empty_paths.beside.is_empty() {
            return;
        }
        let lived_in = self.lives.iter().map(|life| life.segment.lineage.clone()).collect();
        self.empty_paths.list_beside(&lived_in, &mut self.listings);
    }
}
