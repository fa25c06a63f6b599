//! Which file this is.
//!
//! A path says little: it names another file after a rotation. An inode says little more: ext4 gives the same
//! number out again at once. A file is the same one when inode and birth time agree *and* the bytes before the
//! offset that is about to be used still hash to the [`Anchor`] that was taken there. The device number is
//! trusted while this process runs and is no more than a hint over a restart: it may change with a remount.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::FileExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Statx, StatxAttributes, StatxFlags};
use serde::{Deserialize, Serialize};

use super::position::{Anchor, Cursor};

/// What the kernel says of which file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileKey {
    pub device: (u32, u32),
    pub inode: u64,
    /// Seconds and nanoseconds of its birth; `None` where the file system does not keep it.
    pub born: Option<(i64, u32)>,
}

impl FileKey {
    /// The same file as far as inode and birth tell, for use over a restart.
    pub fn same_but_device(&self, other: &Self) -> bool {
        self.inode == other.inode
            && match (self.born, other.born) {
                (Some(a), Some(b)) => a == b,
                _ => true,
            }
    }
}

/// A file as it was at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    pub key: FileKey,
    pub size: u64,
    /// Seconds and nanoseconds.
    pub modified: (i64, u32),
    /// When its content, names or rights last changed: once it has no name, when it lost the last one.
    pub changed: (i64, u32),
    /// How many names it has.
    pub names: u32,
    pub regular: bool,
    /// Another file system begins here: of a regular file, that it was mounted by itself.
    pub is_mount: bool,
}

/// Looks at what `path` names, through symbolic links.
pub fn stat_path(path: &Path) -> io::Result<FileStat> {
    Ok(rustix::fs::statx(CWD, path, AtFlags::empty(), WANTED).map(stat)?)
}

/// Looks at what stands at `path` itself, a symbolic link or not.
pub fn stat_entry(path: &Path) -> io::Result<FileStat> {
    Ok(rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, WANTED).map(stat)?)
}

/// Where an open file stands now, or stood when it was deleted, as the kernel says.
pub fn path_of(file: &File) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
}

/// Looks at an open file.
pub fn stat_file(file: &impl AsFd) -> io::Result<FileStat> {
    Ok(rustix::fs::statx(file.as_fd(), "", AtFlags::EMPTY_PATH, WANTED).map(stat)?)
}

/// A file that is open, under the path by which it was opened.
#[derive(Debug)]
pub struct OpenFile {
    pub path: PathBuf,
    pub file: Arc<File>,
    pub stat: FileStat,
}

impl OpenFile {
    /// Opens for reading without waiting (a FIFO without a writer would) and says what was opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = Arc::new(File::from(rustix::fs::open(path, flags, Mode::empty())?));
        let stat = stat_file(&file)?;
        Ok(Self { path: path.to_owned(), file, stat })
    }

    /// The same where the path still names this regular file; `None` where it names another, or none.
    pub fn open_known(path: &Path, key: &FileKey) -> io::Result<Option<Self>> {
        match Self::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(|opened| Some(opened).filter(|it| it.stat.key == *key && it.stat.regular)),
        }
    }
}

/// The bytes that the anchor of an offset is taken from.
#[derive(Debug)]
pub struct AnchorBytes {
    offset: u64,
    bytes: [u8; Anchor::BYTES],
    length: usize,
}

impl AnchorBytes {
    /// Fails with `UnexpectedEof` where the file is shorter.
    pub fn before(file: &File, offset: u64) -> io::Result<Self> {
        let (mut bytes, length) = ([0; Anchor::BYTES], Anchor::len_at(offset));
        if length > 0 {
            file.read_exact_at(&mut bytes[..length], offset - length as u64)?;
        }
        Ok(Self { offset, bytes, length })
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub fn cursor(&self) -> Cursor {
        let anchor = (self.length > 0).then(|| Anchor::of(self.bytes()));
        Cursor { offset: self.offset, anchor }
    }
}

/// The cursor at `offset`: fails with `UnexpectedEof` where the file is shorter.
pub fn cursor_at(file: &File, offset: u64) -> io::Result<Cursor> {
    Ok(AnchorBytes::before(file, offset)?.cursor())
}

/// Whether the file still has, before the cursor, the bytes that were there when the cursor was taken.
/// A file that is too short has not.
pub fn still_has(file: &File, cursor: &Cursor) -> io::Result<bool> {
    match cursor_at(file, cursor.offset) {
        Ok(now) => Ok(cursor.anchor.is_none() || now.anchor == cursor.anchor),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The cursor at the end of a file's head: its first bytes, [`Anchor::BYTES`] at most. `end`: where its data ends.
pub fn head(file: &File, end: u64) -> io::Result<Cursor> {
    cursor_at(file, end.min(Anchor::BYTES as u64))
}

const WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

fn stat(stat: Statx) -> FileStat {
    let has_birth = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
    FileStat {
        key: FileKey {
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            born: has_birth.then_some((stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec)),
        },
        size: stat.stx_size,
        modified: (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
        changed: (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
        names: stat.stx_nlink,
        is_mount: stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
        regular: FileType::from_raw_mode(u32::from(stat.stx_mode)) == FileType::RegularFile,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_truncated_and_grew_again_is_told_by_its_anchor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        let OpenFile { file, stat: before, .. } = OpenFile::open(&path).unwrap();
        let cursor = cursor_at(&file, 8).unwrap();
        assert!(still_has(&file, &cursor).unwrap());
        std::fs::write(&path, "ONE\nTWO\nTHREE\nFOUR\n").unwrap();
        let after = stat_path(&path).unwrap();
        assert_eq!(after.key, before.key);
        assert!(after.size > cursor.offset);
        assert!(!still_has(&file, &cursor).unwrap());
        std::fs::write(&path, "ONE\n").unwrap();
        assert!(!still_has(&file, &cursor).unwrap());
    }

    #[test]
    fn a_fifo_without_a_writer_is_opened_without_waiting_and_is_not_regular() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(!OpenFile::open(&path).unwrap().stat.regular);
    }

    #[test]
    fn the_device_number_may_change_over_a_restart() {
        let key = FileKey { device: (1, 2), inode: 7, born: Some((5, 6)) };
        assert!(key.same_but_device(&FileKey { device: (9, 9), ..key }));
        assert!(!key.same_but_device(&FileKey { born: Some((5, 7)), ..key }));
        assert!(!key.same_but_device(&FileKey { inode: 8, ..key }));
    }
}
