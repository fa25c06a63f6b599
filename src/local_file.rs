//! A file of ours that deliveries need (a token, a CA, a certificate, a key), read again when it changes.
//!
//! Such files belong to others, who replace them while we run: Kubernetes by changing a symbolic link, `certbot` by
//! renaming, people by writing in place. Links are followed for that reason.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

/// Why nothing can be sent: a file of ours is not what it must be. It says nothing of the file's content.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    #[error("{what} {} cannot be read: {cause}", path.display())]
    Unreadable { what: &'static str, path: PathBuf, cause: io::Error },
    #[error("{what} {} cannot be used: {problem}", path.display())]
    Unusable { what: &'static str, path: PathBuf, problem: String },
    #[error("this machine has no CA certificates to trust: install its package ca-certificates or set tls.caFile")]
    NoRoots,
    #[error("the HTTP client cannot be built: {0}")]
    Client(String),
    #[error("the token and certificate files could not be read in time: is their file system hanging?")]
    Slow,
}

/// A file and what it looked like when it was last read.
#[derive(Debug)]
pub(crate) struct Watched {
    what: &'static str,
    path: PathBuf,
    limit: u64,
    seen: Option<Stamp>,
}

/// Tells one content of a file from the next without reading it.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Watched {
    /// `what` names the file in errors (`token file`); one above `limit` bytes is refused.
    pub(crate) fn new(what: &'static str, path: &Path, limit: u64) -> Self {
        Self { what, path: path.to_owned(), limit, seen: None }
    }

    /// It is another file, or has another content, than when it was last read; or it is there, and never was read.
    pub(crate) fn has_changed(&self) -> bool {
        self.stamp() != self.seen
    }

    /// The whole content. A file that cannot be read counts as seen all the same: it has changed once that may differ.
    pub(crate) fn read(&mut self) -> Result<(Vec<u8>, Metadata), LocalError> {
        self.seen = self.stamp();
        let (content, metadata) = self.content()?;
        // The stamp is that of the moment before reading: a change while we read shows as one afterwards.
        self.seen = Some(Stamp::of(&metadata));
        Ok((content, metadata))
    }

    pub(crate) fn unusable(&self, problem: impl Into<String>) -> LocalError {
        LocalError::Unusable { what: self.what, path: self.path.clone(), problem: problem.into() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn stamp(&self) -> Option<Stamp> {
        std::fs::metadata(&self.path).ok().map(|metadata| Stamp::of(&metadata))
    }

    fn content(&self) -> Result<(Vec<u8>, Metadata), LocalError> {
        let unreadable = |cause| LocalError::Unreadable { what: self.what, path: self.path.clone(), cause };
        let file = open(&self.path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(self.unusable("it is not a regular file"));
        }
        let mut content = Vec::new();
        file.take(self.limit + 1).read_to_end(&mut content).map_err(unreadable)?;
        if content.len() as u64 > self.limit {
            return Err(self.unusable(format!("it is larger than {} KiB", self.limit / 1024)));
        }
        Ok((content, metadata))
    }
}

/// Opening a FIFO must not wait for a writer.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_change_is_seen_however_the_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let mut file = Watched::new("token file", &path, 100);
        assert!(!file.has_changed(), "it is not there and never was");
        fs::write(&path, "one").unwrap();
        assert!(file.has_changed());
        assert_eq!(file.read().unwrap().0, b"one");
        assert!(!file.has_changed());

        fs::write(dir.path().join("next"), "two").unwrap();
        fs::rename(dir.path().join("next"), &path).unwrap();
        assert!(file.has_changed());
        assert_eq!(file.read().unwrap().0, b"two");

        fs::remove_file(&path).unwrap();
        assert!(file.has_changed());
        assert!(file.read().unwrap_err().to_string().starts_with("token file /"));
        assert!(!file.has_changed(), "still not there");
    }

    #[test]
    fn the_swap_of_a_mounted_secret_is_seen_through_its_links() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for version in ["..1", "..2"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("token"), version).unwrap();
        }
        std::os::unix::fs::symlink("..1", at("..data")).unwrap();
        std::os::unix::fs::symlink("..data/token", at("token")).unwrap();
        let mut file = Watched::new("token file", &at("token"), 100);
        assert_eq!(file.read().unwrap().0, b"..1");
        std::os::unix::fs::symlink("..2", at("..next")).unwrap();
        fs::rename(at("..next"), at("..data")).unwrap();
        assert!(file.has_changed());
        assert_eq!(file.read().unwrap().0, b"..2");
    }

    #[test]
    fn what_is_too_large_or_no_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, [b'x'; 101]).unwrap();
        assert!(matches!(Watched::new("t", &path, 100).read(), Err(LocalError::Unusable { .. })));
        assert!(Watched::new("t", &path, 101).read().is_ok());
        assert!(matches!(Watched::new("t", dir.path(), 100).read(), Err(LocalError::Unusable { .. })));
        let fifo = dir.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
        assert!(matches!(Watched::new("t", &fifo, 100).read(), Err(LocalError::Unusable { .. })));
    }
}
