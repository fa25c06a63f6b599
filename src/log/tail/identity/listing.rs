//! What stands in the directories that a scan looks into: each is listed once a scan, however many files are looked
//! for in it.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs,
    os::unix::{ffi::OsStrExt, fs::DirEntryExt},
    path::{Path, PathBuf},
};

use crate::log::identity::{self, FileKey, FileStat};

/// The listings of one scan. A directory that cannot be listed counts as empty.
#[derive(Debug, Default)]
pub struct Listings(HashMap<PathBuf, Listing>);

#[derive(Debug, Default)]
struct Listing {
    /// In order.
    names: Vec<OsString>,
    by_inode: HashMap<u64, Vec<OsString>>,
}

impl Listings {
    /// The rotated generations of a path: regular files in its directory whose names begin with its name.
    pub fn siblings(&mut self, path: &Path) -> Vec<(PathBuf, FileStat)> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
        let listing = self.of(directory);
        let from = listing.names.partition_point(|other| other.as_os_str() <= name);
        let same_beginning = |other: &&OsString| other.as_bytes().starts_with(name.as_bytes());
        let siblings = listing.names[from..].iter().take_while(same_beginning).map(|name| directory.join(name));
        siblings
            .filter_map(|path| identity::stat_path(&path).ok().filter(|stat| stat.regular).map(|stat| (path, stat)))
            .collect()
    }

    /// Where the file stands now, under its lineage's name or among the siblings of that.
    pub fn find_by_key(&mut self, lineage: &Path, key: &FileKey) -> Option<PathBuf> {
        let name = lineage.file_name()?.as_bytes();
        let paths = self.with_inode(lineage.parent()?, key.inode);
        let related = |path: &PathBuf| path.file_name().map(OsStr::as_bytes).is_some_and(|it| it.starts_with(name));
        paths.into_iter().filter(related).find(|path| identity::stat_path(path).is_ok_and(|stat| stat.key == *key))
    }

    /// The paths in a directory that have this inode.
    pub fn with_inode(&mut self, directory: &Path, inode: u64) -> Vec<PathBuf> {
        let names = self.of(directory).by_inode.get(&inode);
        names.into_iter().flatten().map(|name| directory.join(name)).collect()
    }

    fn of(&mut self, directory: &Path) -> &Listing {
        self.0.entry(directory.to_owned()).or_insert_with(|| Listing::read(directory))
    }
}

impl Listing {
    fn read(directory: &Path) -> Self {
        let mut listing = Self::default();
        // A relative path without a directory is in the working directory.
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            listing.by_inode.entry(entry.ino()).or_default().push(entry.file_name());
            listing.names.push(entry.file_name());
        }
        listing.names.sort_unstable();
        listing
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn siblings_begin_with_the_name_and_a_file_is_found_by_its_key() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.log", "a.log.1", "a.log-2026", "a.lo", "b.log", "a.logs"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("a.log.d")).unwrap();
        let path = dir.path().join("a.log");
        let mut listings = Listings::default();
        let siblings = listings.siblings(&path).into_iter();
        let names: Vec<_> = siblings.map(|(path, _)| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["a.log-2026", "a.log.1", "a.logs"]);

        let key = identity::stat_path(&dir.path().join("a.log.1")).unwrap().key;
        assert_eq!(listings.find_by_key(&path, &key), Some(dir.path().join("a.log.1")));
        let elsewhere = identity::stat_path(&dir.path().join("b.log")).unwrap().key;
        assert_eq!(listings.find_by_key(&path, &elsewhere), None);
    }
}
