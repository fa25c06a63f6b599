//! What stands in the directories that a scan looks into: each is listed once a scan, however many files are looked
//! for in it.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ffi::{OsStr, OsString},
    fs,
    os::unix::{ffi::OsStrExt, fs::DirEntryExt},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use super::rotated_name::originals_of;
use crate::log::{
    LinkPolicy, PathTarget,
    identity::{self, FileKey, FileStat},
};

/// By the name of the file that they are generations of: their names, and whether they are nothing else for certain.
type GenerationNames = HashMap<Vec<u8>, Vec<(OsString, bool)>>;

/// The listings of one scan. A directory that cannot be listed counts as empty, and what may not be read as not there.
#[derive(Debug, Default)]
pub struct Listings {
    links: LinkPolicy,
    listed: HashMap<PathBuf, Listing>,
}

#[derive(Debug, Default)]
struct Listing {
    /// In order.
    names: Vec<OsString>,
    /// The directories among them, none of which is hidden or a link.
    directories: Vec<OsString>,
    by_inode: HashMap<u64, Vec<OsString>>,
    /// Made when they are first asked for.
    generations: OnceLock<GenerationNames>,
}

/// A file that has the name of a rotated generation.
#[derive(Debug)]
pub struct Generation {
    pub path: PathBuf,
    pub stat: FileStat,
    /// A rotator gave it that name, and nobody else.
    pub is_certain: bool,
}

/// So many directories beside a path are looked into for its generations.
const MOST_INNER: usize = 100;

impl Listings {
    pub fn new(links: LinkPolicy) -> Self {
        Self { links, listed: HashMap::new() }
    }

    /// The rotated generations of a path that stand in a directory, as far as names tell: all of one moment, for where
    /// names moved on since the listing one may stand under a name that it did not have.
    pub fn generations(&mut self, path: &Path, directory: &Path) -> Vec<Generation> {
        const TRIES: usize = 3;
        let Some(name) = path.file_name() else { return Vec::new() };
        let links = self.links.clone();
        let (mut found, mut is_as_listed) = self.of(directory).generations(directory, name, &links);
        for _ in 1..TRIES {
            if !is_as_listed {
                (found, is_as_listed) = Listing::read(directory).generations(directory, name, &links);
            }
        }
        found
    }

    /// What stands where logrotate's `renamecopy` puts a path's file while it copies it.
    pub fn being_copied(&self, path: &Path) -> Option<Generation> {
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        let stat = readable(Path::new(&name), &self.links)?;
        Some(Generation { path: name.into(), stat, is_certain: false })
    }

    /// What may have the bytes that a path's file had, under whatever name, beside it or in a directory there: its
    /// generations, and what begins as its name does. The bytes must tell.
    pub fn alike(&mut self, path: &Path) -> Vec<(PathBuf, FileStat)> {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
        let directories = self.around(directory);
        directories.iter().flat_map(|directory| self.alike_in(directory, path, name)).collect()
    }

    /// A directory, and those in it where a rotator may put what it rotates away.
    pub fn around(&mut self, directory: &Path) -> Vec<PathBuf> {
        let inner = self.of(directory).directories.iter().take(MOST_INNER).map(|name| directory.join(name));
        std::iter::once(directory.to_owned()).chain(inner).collect()
    }

    /// Where the file stands now in the directories of these paths, under whatever name.
    pub fn find_by_key(&mut self, beside: [&Path; 2], key: &FileKey) -> Option<PathBuf> {
        let mut directories: Vec<&Path> = beside.into_iter().filter_map(Path::parent).collect();
        directories.dedup();
        let stands = |path: &PathBuf| identity::stat_path(path).is_ok_and(|stat| stat.key == *key);
        directories.into_iter().find_map(|directory| {
            let paths = self.with_inode(directory, key.inode);
            let was_listed = !paths.is_empty();
            paths.into_iter().find(stands).or_else(|| {
                // It may have been renamed since.
                let now = was_listed.then(|| Listing::read(directory).with_inode(directory, key.inode));
                now.into_iter().flatten().find(stands)
            })
        })
    }

    /// They are listed anew when they are asked for.
    pub fn forget(&mut self, directories: &BTreeSet<PathBuf>) {
        self.listed.retain(|directory, _| !directories.contains(directory));
    }

    fn alike_in(&mut self, directory: &Path, path: &Path, name: &OsStr) -> Vec<(PathBuf, FileStat)> {
        let stem = path.file_stem().unwrap_or(name).as_bytes();
        let links = self.links.clone();
        let listing = self.of(directory);
        let from = listing.names.partition_point(|other| other.as_bytes() < stem);
        let same_beginning = listing.names[from..].iter().take_while(|other| other.as_bytes().starts_with(stem));
        let generations = listing.generations_of(name).iter().map(|(name, _)| name);
        let mut names: Vec<&OsString> = same_beginning.chain(generations).collect();
        names.sort_unstable();
        names.dedup();
        let paths = names.into_iter().map(|name| directory.join(name)).filter(|other| other != path);
        paths.filter_map(|path| readable(&path, &links).map(|stat| (path, stat))).collect()
    }

    /// The paths in a directory that have this inode.
    pub fn with_inode(&mut self, directory: &Path, inode: u64) -> Vec<PathBuf> {
        self.of(directory).with_inode(directory, inode)
    }

    /// Whether a generation of a path came since its directory was listed.
    pub fn has_newer(&mut self, path: &Path) -> bool {
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return false };
        let before = self.of(directory).inodes_of_generations(name);
        !Listing::read(directory).inodes_of_generations(name).is_subset(&before)
    }

    fn of(&mut self, directory: &Path) -> &Listing {
        self.listed.entry(directory.to_owned()).or_insert_with(|| Listing::read(directory))
    }
}

impl Listing {
    fn read(directory: &Path) -> Self {
        let mut listing = Self::default();
        // A relative path without a directory is in the working directory.
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !name.as_bytes().starts_with(b".") && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                listing.directories.push(name.clone());
            }
            listing.by_inode.entry(entry.ino()).or_default().push(name.clone());
            listing.names.push(name);
        }
        listing.names.sort_unstable();
        listing.directories.sort_unstable();
        listing
    }

    fn with_inode(&self, directory: &Path, inode: u64) -> Vec<PathBuf> {
        let names = self.by_inode.get(&inode);
        names.into_iter().flatten().map(|name| directory.join(name)).collect()
    }

    /// The generations of a name, and whether each has the inode that it was listed with.
    fn generations(&self, directory: &Path, original: &OsStr, links: &LinkPolicy) -> (Vec<Generation>, bool) {
        let (mut generations, mut is_as_listed) = (Vec::new(), true);
        for (name, is_certain) in self.generations_of(original) {
            let path = directory.join(name);
            let stat = identity::stat_entry(&path).ok();
            let listed = stat.and_then(|stat| self.by_inode.get(&stat.key.inode));
            is_as_listed &= listed.is_some_and(|names| names.contains(name));
            if let Some(stat) = stat.filter(|stat| stat.regular && may_be_read(&path, links)) {
                generations.push(Generation { path, stat, is_certain: *is_certain });
            }
        }
        (generations, is_as_listed)
    }

    fn generations_of(&self, original: &OsStr) -> &[(OsString, bool)] {
        let generations = self.generations.get_or_init(|| {
            let mut generations = GenerationNames::new();
            for name in &self.names {
                for of in originals_of(name.as_bytes()) {
                    generations.entry(of.original).or_default().push((name.clone(), of.is_certain));
                }
            }
            generations
        });
        generations.get(original.as_bytes()).map_or(&[], Vec::as_slice)
    }

    fn inodes_of_generations(&self, original: &OsStr) -> HashSet<u64> {
        let names: HashSet<&OsString> = self.generations_of(original).iter().map(|(name, _)| name).collect();
        let have_one = self.by_inode.iter().filter(|(_, has)| has.iter().any(|name| names.contains(name)));
        have_one.map(|(inode, _)| *inode).collect()
    }
}

/// A link is no file that a rotator left: it could lead anywhere.
fn readable(path: &Path, links: &LinkPolicy) -> Option<FileStat> {
    identity::stat_entry(path).ok().filter(|stat| stat.regular && may_be_read(path, links))
}

fn may_be_read(path: &Path, links: &LinkPolicy) -> bool {
    links.is_boundless() || matches!(links.look(path), Ok(PathTarget::Allowed(_)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn generations_have_a_rotators_name_and_a_file_is_found_under_any() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.log", "a.log.1", "a.log-2026", "a-1.log", "a.lo", "b.log", "a.logs", "a.log.secret"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("a.log.d")).unwrap();
        let path = dir.path().join("a.log");
        let mut listings = Listings::default();
        let generations = listings.generations(&path, dir.path());
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut names: Vec<_> = generations.iter().map(|it| (name(&it.path), it.is_certain)).collect();
        names.sort();
        let expected = [("a-1.log", false), ("a.log-2026", true), ("a.log.1", true)];
        assert_eq!(names, expected.map(|(name, is_certain)| (name.to_owned(), is_certain)));
        let alike: Vec<_> = listings.alike(&path).iter().map(|(path, _)| name(path)).collect();
        assert_eq!(alike, ["a-1.log", "a.lo", "a.log-2026", "a.log.1", "a.log.secret", "a.logs"]);

        let key = identity::stat_path(&dir.path().join("a.log.1")).unwrap().key;
        assert_eq!(listings.find_by_key([&path; 2], &key), Some(dir.path().join("a.log.1")));
        let other = identity::stat_path(&dir.path().join("b.log")).unwrap().key;
        assert_eq!(listings.find_by_key([&path; 2], &other), Some(dir.path().join("b.log")));
        assert_eq!(listings.find_by_key([&path; 2], &FileKey { inode: 0, ..other }), None);
    }
}
