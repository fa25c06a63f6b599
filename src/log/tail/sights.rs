//! The files that a source's paths name in one scan, to be found by what they are.

use std::path::{Path, PathBuf};

use crate::log::identity::{FileKey, Sight};

/// Regular files, each under one path.
#[derive(Debug, Default)]
pub(super) struct Sights {
    files: Vec<(PathBuf, Sight)>,
    /// Inodes with their places in `files`, in order.
    inodes: Vec<(u64, usize)>,
}

impl Sights {
    pub(super) fn new(files: Vec<(PathBuf, Sight)>) -> Self {
        let inode = |(place, (_, sight)): (usize, &(PathBuf, Sight))| (sight.key.inode, place);
        let mut inodes: Vec<_> = files.iter().enumerate().map(inode).collect();
        inodes.sort_unstable();
        Self { files, inodes }
    }

    pub(super) fn has(&self, key: &FileKey) -> bool {
        self.with_inode(key.inode).any(|(_, sight)| sight.key == *key)
    }

    pub(super) fn same_but_device(&self, key: &FileKey) -> Option<(&Path, &Sight)> {
        let mut same = self.with_inode(key.inode).filter(|(_, sight)| sight.key.same_but_device(key));
        same.next().map(|(path, sight)| (path.as_path(), sight))
    }

    fn with_inode(&self, inode: u64) -> impl Iterator<Item = &(PathBuf, Sight)> {
        let from = self.inodes.partition_point(|(other, _)| *other < inode);
        let places = self.inodes[from..].iter().take_while(move |(other, _)| *other == inode);
        places.map(|(_, place)| &self.files[*place])
    }
}

impl IntoIterator for Sights {
    type Item = (PathBuf, Sight);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.files.into_iter()
    }
}
