//! inotify: hints that make a scan prompt.
//!
//! Nothing depends on it. Where it cannot be had (limits, network file systems) that is said once and costs
//! latency only: the regular scan finds everything.

use std::{
    collections::{BTreeSet, HashMap},
    ffi::OsStr,
    io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

/// What a batch of events hints at.
#[derive(Debug, PartialEq, Eq)]
pub enum Hint {
    /// These files, and nothing else, were written to.
    Written(BTreeSet<PathBuf>),
    /// Names changed, or events were lost.
    Scan,
}

#[derive(Debug)]
pub struct Watch {
    inotify: AsyncFd<OwnedFd>,
    directories: HashMap<i32, PathBuf>,
    watched: BTreeSet<PathBuf>,
}

impl Watch {
    pub fn new() -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; this descriptor is owned, moved in, and closed by nobody else"
        )]
        let inotify = AsyncFd::new(fd)?;
        Ok(Self { inotify, directories: HashMap::new(), watched: BTreeSet::new() })
    }

    /// Watches these directories and no others. The first error is returned; the others are watched all the same.
    pub fn set(&mut self, directories: BTreeSet<PathBuf>) -> io::Result<()> {
        let mut first_error = Ok(());
        for gone in self.watched.difference(&directories) {
            let descriptors = self.directories.extract_if(|_, directory| directory == gone);
            for (descriptor, _) in descriptors.collect::<Vec<_>>() {
                // The kernel has removed it already where the directory is gone.
                let _ = inotify::remove_watch(&self.inotify, descriptor);
            }
        }
        self.watched.retain(|directory| directories.contains(directory));
        for directory in directories {
            if self.watched.contains(&directory) {
                continue;
            }
            match inotify::add_watch(&self.inotify, &directory, EVENTS) {
                Ok(descriptor) => {
                    self.directories.insert(descriptor, directory.clone());
                    self.watched.insert(directory);
                }
                Err(error) => first_error = first_error.and(Err(error.into())),
            }
        }
        first_error
    }

    /// The next hint; waits until there is one.
    pub async fn next(&mut self) -> io::Result<Hint> {
        loop {
            let mut ready = self.inotify.readable().await?;
            let mut written = BTreeSet::new();
            let mut scan = false;
            let mut buffer = [MaybeUninit::uninit(); 8 * 1024];
            let mut events = inotify::Reader::new(self.inotify.get_ref(), &mut buffer);
            let mut gone = Vec::new();
            loop {
                match events.next() {
                    Ok(event) if event.events().contains(ReadFlags::IGNORED) => gone.push(event.wd()),
                    Ok(event) => match (self.directories.get(&event.wd()), event.file_name()) {
                        (Some(directory), Some(name)) if event.events() == ReadFlags::MODIFY => {
                            written.insert(in_directory(directory, OsStr::from_bytes(name.to_bytes())));
                        }
                        _ => scan = true,
                    },
                    Err(rustix::io::Errno::WOULDBLOCK) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            ready.clear_ready();
            for descriptor in gone {
                scan = true;
                if let Some(directory) = self.directories.remove(&descriptor) {
                    self.watched.remove(&directory);
                }
            }
            if scan {
                return Ok(Hint::Scan);
            }
            if !written.is_empty() {
                return Ok(Hint::Written(written));
            }
        }
    }
}

const EVENTS: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ONLYDIR);

/// As the paths of the source are written: a bare name for the working directory.
fn in_directory(directory: &Path, name: &OsStr) -> PathBuf {
    if directory == Path::new(".") { PathBuf::from(name) } else { directory.join(name) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_write_hints_at_the_file_and_a_new_name_at_a_scan() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        std::fs::write(&path, "one\n").unwrap();
        let mut watch = Watch::new().unwrap();
        watch.set(BTreeSet::from([dir.path().to_owned()])).unwrap();
        std::fs::write(&path, "two\n").unwrap();
        assert_eq!(watch.next().await.unwrap(), Hint::Written(BTreeSet::from([path])));
        std::fs::write(dir.path().join("b.log"), "").unwrap();
        assert_eq!(watch.next().await.unwrap(), Hint::Scan);
        let missing = dir.path().join("missing");
        assert!(watch.set(BTreeSet::from([dir.path().to_owned(), missing])).is_err());
        std::fs::remove_file(dir.path().join("b.log")).unwrap();
        assert_eq!(watch.next().await.unwrap(), Hint::Scan, "what could be watched still is");
    }
}
