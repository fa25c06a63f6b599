//! The files that a source's paths name in one scan, to be found by what they are.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use crate::log::identity::{FileKey, FileStat};

/// Regular files, each under one path.
#[derive(Debug, Default)]
pub struct Named {
    files: HashMap<FileKey, (PathBuf, FileStat)>,
    /// Inodes with what they are of, in order.
    inodes: Vec<(u64, FileKey)>,
}

impl Named {
    /// Adds a file; gives the path under which it is there already, if it is.
    pub fn add(&mut self, path: &Path, stat: FileStat) -> Option<&PathBuf> {
        if self.files.contains_key(&stat.key) {
            return self.path(&stat.key);
        }
        self.files.insert(stat.key, (path.to_owned(), stat));
        None
    }

    /// Prefers another path of the same file.
    pub fn rename(&mut self, key: &FileKey, path: &Path) {
        if let Some((known_as, _)) = self.files.get_mut(key) {
            path.clone_into(known_as);
        }
    }

    /// All are there: from now on they can be found by their inodes.
    pub fn complete(&mut self) {
        self.inodes = self.files.keys().map(|key| (key.inode, *key)).collect();
        self.inodes.sort_unstable();
    }

    pub fn len(&self) -> usize {
        self.files.len()
    }

    pub fn has(&self, key: &FileKey) -> bool {
        self.files.contains_key(key)
    }

    pub fn path(&self, key: &FileKey) -> Option<&PathBuf> {
        self.files.get(key).map(|(path, _)| path)
    }

    /// As it was when it was met in this scan.
    pub fn stat(&self, key: &FileKey) -> Option<FileStat> {
        self.files.get(key).map(|(_, stat)| *stat)
    }

    pub fn paths(&self) -> HashSet<&Path> {
        self.files.values().map(|(path, _)| path.as_path()).collect()
    }

    pub fn iter(&self) -> impl Iterator<Item = &(PathBuf, FileStat)> {
        self.files.values()
    }

    /// The same file as far as inode and birth tell.
    pub fn same_but_device(&self, key: &FileKey) -> Option<&(PathBuf, FileStat)> {
        let from = self.inodes.partition_point(|(inode, _)| *inode < key.inode);
        let mut same = self.inodes[from..].iter().take_while(|(inode, _)| *inode == key.inode);
        same.find(|(_, other)| other.same_but_device(key)).and_then(|(_, other)| self.files.get(other))
    }
}
