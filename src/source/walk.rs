//! The walk along a glob: which paths there are now.
//!
//! What always holds:
//! - Names are bytes. No entry stops the walk from seeing the others, whatever it is called, and whether it vanishes
//!   meanwhile, may not be listed, or is a link that leads nowhere or in a circle.
//! - A directory is entered once for each part of the glob, told by device and inode, so links to directories above
//!   end. What has several paths is found under the one without a link, else under the first. A directory that an
//!   `exclude` covers is not entered, so that it stays to be found under its other names.
//! - It ends: it enters so many directories, looks at so many entries and goes so deep ([`WalkLimits`]), and tells
//!   where that is not enough.
//! - What cannot be looked at, though it may be there, is told; what is not there is not.

use std::{
    collections::{HashSet, VecDeque},
    ffi::OsStr,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, RawDir, fstat, openat},
    io::Errno,
};

use crate::{
    config::Exclude,
    glob::{PathBranch, PathGlob, PathPart},
    log::tail::FoundPaths,
};

/// How far the walk along one `include` goes.
#[derive(Clone, Copy, Debug)]
pub struct WalkLimits {
    pub directories: u64,
    pub entries: u64,
    /// Below the first wildcard.
    pub depth: usize,
}

impl WalkLimits {
    /// Far more than any directory of logs has, and yet done within seconds.
    pub const GENEROUS: Self = Self { directories: 100_000, entries: 1_000_000, depth: 256 };
}

/// A buffer for the entries of directories: some hundred at a time.
const LISTING_BYTES: usize = 32 * 1024;

/// PATH_MAX of Linux.
const LONGEST_PATH: usize = 4096;

pub struct PathWalk<'w> {
    exclude: &'w [Exclude],
    limits: WalkLimits,
    /// Moves as the walk goes on.
    progress: &'w AtomicU64,
    found: &'w mut FoundPaths,
    directories: u64,
    entries: u64,
    /// What is too deep was told.
    told_of_depth: bool,
    /// Those that were entered: device, inode, and for which part of the glob.
    entered: HashSet<(u64, u64, usize)>,
    plain: VecDeque<DirectoryVisit>,
    /// Directories by a link, and what may be one: after the plain ones.
    linked: VecDeque<DirectoryVisit>,
    buffer: Vec<u8>,
}

/// A directory that is to be looked into.
#[derive(Debug)]
struct DirectoryVisit {
    path: PathBuf,
    /// Which part of the glob its entries are for.
    part: usize,
    depth: usize,
}

/// Why the rest of an `include` was not looked at.
#[derive(Debug)]
struct WalkCutShort {
    path: PathBuf,
    why: String,
}

impl<'w> PathWalk<'w> {
    pub fn new(
        exclude: &'w [Exclude],
        limits: WalkLimits,
        progress: &'w AtomicU64,
        found: &'w mut FoundPaths,
    ) -> Self {
        Self {
            exclude,
            limits,
            progress,
            found,
            directories: 0,
            entries: 0,
            told_of_depth: false,
            entered: HashSet::new(),
            plain: VecDeque::new(),
            linked: VecDeque::new(),
            buffer: Vec::with_capacity(LISTING_BYTES),
        }
    }

    /// Adds all that one `include` means, in no order.
    pub fn along(mut self, glob: &PathGlob) {
        for branch in glob.branches() {
            if let Err(WalkCutShort { path, why }) = self.along_branch(branch) {
                self.found.unreadable.push((path, io::Error::other(why)));
                return;
            }
        }
    }

    fn along_branch(&mut self, branch: &PathBranch) -> Result<(), WalkCutShort> {
        self.entered.clear();
        self.plain.clear();
        self.linked.clear();
        self.go_on(branch, DirectoryVisit { path: branch.start().to_owned(), part: 0, depth: 0 });
        while let Some(visit) = self.plain.pop_front().or_else(|| self.linked.pop_front()) {
            self.enter(branch, visit)?;
        }
        Ok(())
    }

    /// Follows the plain names of the glob: to its end, or to a directory whose entries are asked for.
    fn go_on(&mut self, branch: &PathBranch, mut visit: DirectoryVisit) {
        while let Some(PathPart::Plain(name)) = branch.parts().get(visit.part) {
            if name != "." || !visit.path.as_os_str().is_empty() {
                visit.path.push(name);
            }
            visit.part += 1;
        }
        if visit.part < branch.parts().len() {
            self.plain.push_back(visit);
            return;
        }
        self.progress.fetch_add(1, Ordering::Relaxed);
        match visit.path.symlink_metadata() {
            Ok(_) => self.found.paths.push(visit.path),
            Err(error) if leads_nowhere(&error, &visit.path, visit.depth) => {}
            Err(error) => self.found.unreadable.push((visit.path, error)),
        }
    }

    fn enter(&mut self, branch: &PathBranch, visit: DirectoryVisit) -> Result<(), WalkCutShort> {
        if self.exclude.iter().any(|exclude| exclude.covers(&visit.path)) {
            return Ok(());
        }
        if visit.depth > self.limits.depth {
            if !std::mem::replace(&mut self.told_of_depth, true) {
                let why = format!(
                    "it is more than {} directories deep, and what is in it not looked for",
                    self.limits.depth
                );
                self.found.unreadable.push((visit.path, io::Error::other(why)));
            }
            return Ok(());
        }
        let name = if visit.path.as_os_str().is_empty() { Path::new(".") } else { &visit.path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(CWD, name, flags, Mode::empty()).and_then(|fd| Ok((fstat(&fd)?, fd)));
        let (stat, fd) = match opened.map_err(io::Error::from) {
            Ok(opened) => opened,
            Err(error) if leads_nowhere(&error, &visit.path, visit.depth) => return Ok(()),
            Err(error) => {
                self.found.unreadable.push((visit.path, error));
                return Ok(());
            }
        };
        if visit.depth > 0
            && let Some(place) = self.leads_elsewhere(&visit.path, &fd)
        {
            self.found.elsewhere.push((visit.path, place));
            return Ok(());
        }
        if !self.entered.insert((stat.st_dev, stat.st_ino, visit.part)) {
            return Ok(());
        }
        count(&mut self.directories, self.limits.directories, "directories", &visit.path)?;
        let mut buffer = std::mem::take(&mut self.buffer);
        let listed = self.list(branch, &visit, RawDir::new(fd, buffer.spare_capacity_mut()));
        self.buffer = buffer;
        listed
    }

    /// Where a directory stands that is not to be entered. Whatever is found in one is judged itself, before it is read: here it
    /// only saves the way.
    fn leads_elsewhere(&self, path: &Path, fd: &OwnedFd) -> Option<PathBuf> {
        self.found.links.leads_elsewhere(path, fd).ok().flatten()
    }

    fn list(
        &mut self,
        branch: &PathBranch,
        visit: &DirectoryVisit,
        mut listing: RawDir<'_, OwnedFd>,
    ) -> Result<(), WalkCutShort> {
        let goes_deeper = matches!(branch.parts()[visit.part], PathPart::AnyFolders);
        let part = visit.part + usize::from(goes_deeper);
        if let PathPart::Plain(_) = branch.parts()[part] {
            self.go_on(branch, DirectoryVisit { path: visit.path.clone(), part, depth: visit.depth });
        }
        let is_last = part + 1 == branch.parts().len();
        let first = self.found.paths.len();
        let mut below = Vec::new();
        while let Some(entry) = listing.next() {
            let entry = match entry {
                Ok(entry) => entry,
                // It was removed meanwhile.
                Err(Errno::NOENT) => break,
                Err(error) => {
                    self.found.unreadable.push((visit.path.clone(), error.into()));
                    break;
                }
            };
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            self.progress.fetch_add(1, Ordering::Relaxed);
            count(&mut self.entries, self.limits.entries, "entries of directories", &visit.path)?;
            let kind = entry.file_type();
            let may_be_directory = matches!(kind, FileType::Directory | FileType::Symlink | FileType::Unknown);
            let is_meant = branch.parts()[part].means(name);
            if is_meant && is_last && !(branch.only_files() && kind == FileType::Directory) {
                self.found.paths.push(child(&visit.path, name));
            }
            if may_be_directory && is_meant && !is_last {
                below.push((name.to_owned(), kind, part + 1));
            }
            if may_be_directory && goes_deeper && name[0] != b'.' {
                below.push((name.to_owned(), kind, visit.part));
            }
        }
        // Here they differ in their names only, so this is cheaper than leaving all of it to the sorting at the end.
        self.found.paths[first..].sort_unstable_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
        below.sort_unstable_by(|(a, _, first), (b, _, second)| (a, first).cmp(&(b, second)));
        for (name, kind, part) in below {
            let path = child(&visit.path, &name);
            let visit = DirectoryVisit { path, part, depth: visit.depth + 1 };
            if let PathPart::Plain(_) = branch.parts()[part] {
                self.go_on(branch, visit);
            } else if kind == FileType::Directory {
                self.plain.push_back(visit);
            } else {
                self.linked.push_back(visit);
            }
        }
        Ok(())
    }
}

/// As `join`, with one allocation instead of two.
fn child(directory: &Path, name: &[u8]) -> PathBuf {
    let mut path = PathBuf::with_capacity(directory.as_os_str().len() + 1 + name.len());
    path.push(directory);
    path.push(OsStr::from_bytes(name));
    path
}

/// Counts one more; an error where that is too many.
fn count(counted: &mut u64, most: u64, of_what: &str, path: &Path) -> Result<(), WalkCutShort> {
    if *counted == most {
        let why = format!(
            "looking for files was given up here after {most} {of_what}: name the directories more closely in \
             `include`, or leave some out with `exclude`"
        );
        return Err(WalkCutShort { path: path.to_owned(), why });
    }
    *counted += 1;
    Ok(())
}

/// Whether nothing is there. At a depth, whose names no configuration says, a link in a circle leads nowhere: whoever
/// may make one would otherwise keep every other file of the source in doubt. A path that has become too long does lead
/// somewhere.
fn leads_nowhere(error: &io::Error, path: &Path, depth: usize) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    match errno {
        Some(Errno::LOOP) => depth > 0,
        Some(Errno::NAMETOOLONG) => path.as_os_str().len() < LONGEST_PATH,
        _ => is_absence(error),
    }
}

/// Whether an error says that there is no such path.
pub fn is_absence(error: &io::Error) -> bool {
    use std::io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
