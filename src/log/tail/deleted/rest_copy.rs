//! A copy of what stands in a file behind some position: the same bytes at the same offsets, and a hole before them.
//!
//! Positions, anchors and checksums of batches hold in the copy as they did in the file. It is made in parts, so that
//! whoever makes it can do other things in between. What always holds: when [`RestCopy::finish`] returns, the copy is on disk
//! under its name; before that it is nothing, and removed where it is given up. A crash leaves it there, and only who
//! wrote down that it is finished may believe it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::{
    durable,
    log::{identity::OpenFile, position::Anchor},
};

/// Bytes copied at a time; a run of so many zeros stays a hole.
const BLOCK: usize = 256 * 1024;

/// Where file systems let holes end.
const PAGE: u64 = 4096;

/// A copy in the making.
#[derive(Debug)]
pub struct RestCopy {
    path: PathBuf,
    out: File,
    /// Copied up to here.
    at: u64,
    end: u64,
    /// Where these bytes stand in the file that they are read from, they stand so much earlier.
    moved_by: u64,
    buffer: Vec<u8>,
    finished: bool,
}

impl RestCopy {
    /// Begins a copy of the first `head` bytes, and of those from `from` (with the ones before it that an anchor needs)
    /// to `end`.
    ///
    /// # Errors
    /// `StorageFull` before anything is written, where there is no room; else those of reading and writing.
    pub fn begin(file: &File, head: u64, from: u64, end: u64, path: PathBuf) -> io::Result<Self> {
        Self::begin_at(file, head, from.saturating_sub(Anchor::BYTES as u64) / PAGE * PAGE, end, path)
    }

    /// Begins a copy of what another file has of these bytes, `moved_by` bytes before where they stood.
    ///
    /// # Errors
    /// As [`RestCopy::begin`].
    pub fn begin_moved(file: &File, moved_by: u64, from: u64, end: u64, path: PathBuf) -> io::Result<Self> {
        let at = from.saturating_sub(Anchor::BYTES as u64).max(moved_by);
        let mut rest = Self::begin_at(file, 0, at, end, path)?;
        rest.moved_by = moved_by;
        Ok(rest)
    }

    fn begin_at(file: &File, head: u64, at: u64, end: u64, path: PathBuf) -> io::Result<Self> {
        let directory = path.parent().unwrap_or(Path::new("."));
        durable::create_private_dir(directory).map_err(io::Error::other)?;
        durable::need_room(directory, end.saturating_sub(at))?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let out = durable::create_new(&path)?;
        let mut rest =
            Self { path, out, at: 0, end: head.min(at), moved_by: 0, buffer: vec![0; BLOCK], finished: false };
        rest.copy_some(file, u64::MAX)?;
        (rest.at, rest.end) = (at, end);
        Ok(rest)
    }

    /// Copies up to so many bytes more; true where nothing is left to copy.
    ///
    /// # Errors
    /// Those of reading, `UnexpectedEof` where the file is shorter than it was, and of writing. Then it is to be given up.
    pub fn go_on(&mut self, file: &File, most: u64) -> io::Result<bool> {
        self.copy_some(file, most)?;
        self.out.sync_data()?;
        Ok(self.at >= self.end)
    }

    /// How far it is copied.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Makes it durable under its name, with the file's own time of the last change.
    ///
    /// # Errors
    /// Those of writing; then it is given up.
    pub fn finish(mut self, file: &File) -> io::Result<OpenFile> {
        self.out.set_len(self.end)?; // The last bytes may be a hole.
        self.out.set_modified(file.metadata()?.modified()?)?;
        self.out.sync_all()?;
        durable::sync_directory(self.path.parent().unwrap_or(Path::new(".")))?;
        let opened = OpenFile::open(&self.path)?;
        self.finished = true;
        Ok(opened)
    }

    fn copy_some(&mut self, file: &File, most: u64) -> io::Result<()> {
        let stop = self.at.saturating_add(most).min(self.end);
        while self.at < stop {
            let block = &mut self.buffer[..(BLOCK as u64).min(stop - self.at) as usize];
            file.read_exact_at(block, self.at - self.moved_by)?;
            if block.iter().any(|byte| *byte != 0) {
                self.out.write_all_at(block, self.at)?;
            }
            self.at += block.len() as u64;
        }
        Ok(())
    }
}

impl Drop for RestCopy {
    fn drop(&mut self) {
        if !self.finished {
            // What stays is removed at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::log::identity;

    #[test]
    fn the_rest_stands_where_it_stood_and_what_is_before_it_takes_no_room() {
        let dir = tempfile::tempdir().unwrap();
        let original: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_be_bytes).collect();
        let path = dir.path().join("original");
        fs::write(&path, &original).unwrap();
        let file = File::open(&path).unwrap();
        let end = original.len() as u64;
        for from in [0, 1, 300, 5_000, 9_000_000, end - 1] {
            let to = dir.path().join("absorbed").join("7");
            let mut rest = RestCopy::begin(&file, 256, from, end, to.clone()).unwrap();
            let mut parts = 1;
            while !rest.go_on(&file, 1_000_000).unwrap() {
                parts += 1;
            }
            assert_eq!(parts, (end - from.saturating_sub(256) / PAGE * PAGE).div_ceil(1_000_000));
            let OpenFile { path: named, file: copy, stat } = rest.finish(&file).unwrap();
            assert_eq!((named, stat.size), (to.clone(), end));
            assert_eq!(stat.modified, identity::stat_path(&path).unwrap().modified);
            let bytes = fs::read(&to).unwrap();
            let kept = from.saturating_sub(256) as usize;
            assert!(bytes[kept..] == original[kept..], "from {from}");
            assert!(bytes[..256] == original[..256], "the head, from {from}");
            for at in [from, end] {
                let cursor = identity::cursor_at(&file, at).unwrap();
                assert!(identity::still_has(&copy, &cursor).unwrap(), "the anchor at {at}");
            }
            let taken = fs::metadata(&to).unwrap().blocks() * 512;
            assert!(taken <= end - kept as u64 + 64 * 1024, "{taken} bytes from {from}");
        }
    }

    #[test]
    fn a_copy_that_is_given_up_leaves_nothing_and_a_file_that_shrinks_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("original");
        fs::write(&path, vec![b'x'; 100_000]).unwrap();
        let file = File::open(&path).unwrap();
        let to = dir.path().join("absorbed").join("7");
        let mut rest = RestCopy::begin(&file, 256, 0, 200_000, to.clone()).unwrap();
        assert_eq!(rest.go_on(&file, u64::MAX).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(to.exists());
        drop(rest);
        assert!(!to.exists());
    }

    #[test]
    fn a_run_of_zeros_stays_a_hole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("original");
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        file.write_all_at(b"line\n", 64 << 20).unwrap();
        let end = (64 << 20) + 5 + (1 << 20);
        file.set_len(end).unwrap();
        let to = dir.path().join("absorbed").join("7");
        let mut rest = RestCopy::begin(&file, 256, 0, end, to.clone()).unwrap();
        assert!(rest.go_on(&file, u64::MAX).unwrap());
        rest.finish(&file).unwrap();
        let copy = fs::metadata(&to).unwrap();
        assert_eq!(copy.len(), end);
        assert!(copy.blocks() * 512 < 1 << 20, "{} blocks", copy.blocks());
    }
}
