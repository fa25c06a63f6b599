//! The spool's files: their names, and the reserve.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::FallocateFlags;

use crate::{
    durable,
    log::{
        Segment, SegmentState, identity,
        position::{Cursor, SegmentId},
    },
};

/// A segment is sealed once it has so many bytes.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;

const EXTENSION: &str = "ndjson";
const DAMAGED: &str = "damaged";

/// `00000000000000000017.ndjson`
pub(super) fn path(dir: &Path, id: SegmentId) -> PathBuf {
    dir.join(format!("{:020}.{EXTENSION}", id.0))
}

/// Where a segment that was changed under us is kept.
pub(super) fn damaged(path: &Path) -> PathBuf {
    path.with_extension(DAMAGED)
}

/// The segment that a name stands for.
pub(super) fn id(name: &Path) -> Option<SegmentId> {
    let number = name.file_stem()?.to_str()?;
    let is_one = name.extension()? == EXTENSION && number.len() == 20 && number.bytes().all(|b| b.is_ascii_digit());
    is_one.then(|| number.parse().ok().map(SegmentId))?
}

/// A segment that is read from `path`, which is held open.
pub(super) fn segment(dir: &Path, id: SegmentId, path: &Path, size: u64, state: SegmentState) -> io::Result<Segment> {
    let file = durable::read_file(path)?;
    let stat = identity::stat_file(&file)?;
    if !stat.regular {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is no regular file", path.display())));
    }
    let segment = Segment::new(id, dir.into(), Cursor::default(), size, state, path.to_owned(), stat.key);
    segment.pin(Arc::new(file));
    Ok(segment)
}

/// The directory of a spool and the one that holds all spools, for nobody else to touch.
pub(super) fn create_dir(dir: &Path) -> io::Result<()> {
    for directory in [dir.parent(), Some(dir)].into_iter().flatten() {
        durable::create_private_dir(directory).map_err(io::Error::other)?;
    }
    Ok(())
}

/// Blocks of the disk that are ours before it is full, for a moment in which it is.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    pub(super) fn new(dir: &Path, bytes: u64) -> Self {
        Self { path: dir.join("reserve"), bytes }
    }

    /// Takes the blocks, unless that would leave less than as many for others.
    pub(super) fn recreate(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|it| it.is_file() && it.len() == self.bytes) {
            return;
        }
        let Some(dir) = self.path.parent() else { return };
        let has_room =
            rustix::fs::statvfs(dir).is_ok_and(|it| it.f_bavail.saturating_mul(it.f_frsize) >= 2 * self.bytes);
        if has_room && self.take().is_err() {
            self.free();
        }
    }

    fn take(&self) -> io::Result<()> {
        let file: File = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
        Ok(rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, self.bytes)?)
    }

    /// Gives the blocks to whoever writes next, us first.
    pub(super) fn free(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
