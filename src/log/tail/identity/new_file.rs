//! A file that is met, before a number is given to it.

use std::{
    cmp::Reverse,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::rotated_name::{RotationMark, originals_of, without_compression};
use crate::log::identity::FileStat;

/// Sorts the older first: what has a time in its name, before what has none.
type Age = (bool, Option<Vec<u8>>, (i64, u32), (i64, u32), Reverse<(u64, u64)>, PathBuf);

/// A file that no life is known of.
#[derive(Debug)]
pub struct NewFile {
    pub path: PathBuf,
    pub stat: FileStat,
    /// Where no path names it: that of the file whose generation it is.
    pub lineage: Option<Arc<Path>>,
    /// It counts only as the continuation of a life that lost its content.
    pub only_as_copy: bool,
    /// It lost the bytes of an earlier life.
    pub truncated: bool,
    /// It was written after all that is known of its lineage, and rotated away while nobody looked, as far as names and times tell.
    pub is_missed: bool,
    /// What stands before this was read from another file.
    pub start: u64,
}

impl NewFile {
    /// One that a path of the source names.
    pub fn named(path: &Path, stat: FileStat, truncated: bool) -> Self {
        Self {
            path: path.to_owned(),
            stat,
            lineage: None,
            only_as_copy: false,
            truncated,
            is_missed: false,
            start: 0,
        }
    }

    /// One that stands beside its lineage's path.
    pub fn beside(path: PathBuf, stat: FileStat, lineage: Arc<Path>) -> Self {
        Self { lineage: Some(lineage), ..Self::named(&path, stat, false) }
    }

    /// One that no path of the source names, and that has other bytes than it had.
    pub fn rewritten(path: PathBuf, stat: FileStat, lineage: Arc<Path>) -> Self {
        Self { truncated: true, ..Self::beside(path, stat, lineage) }
    }

    /// What orders generations: the time in the name; then birth, or the last change where births are not kept. A
    /// truncated file keeps its birth; what it holds now is younger than the copies that were made of it. Within one
    /// tick of the clock the last change decides, then the rotation's number: `.2` is older than `.1`, and that than the
    /// plain name. A number that may be the name's own comes last. `successor`: when the file was born that stands at its
    /// lineage's path.
    pub fn age(&self, successor: Option<(i64, u32)>) -> Age {
        let (mut birth, mut modified) = (self.stat.key.born, self.stat.modified);
        if is_compressed(&self.path) {
            // It is made after its successor, and most compressors leave it the time of the last write. Whatever another
            // one leaves it, its content is older than its successor.
            modified = successor.map_or(modified, |successor| modified.min(successor));
            birth = None;
        }
        let birth = if self.truncated { (i64::MAX, 0) } else { birth.unwrap_or(modified) };
        let name = self.path.file_name().unwrap_or_default().as_bytes();
        let (mut time, mut certain, mut number) = (None, 0, 0);
        for of in originals_of(name) {
            match of.mark {
                RotationMark::Time(digits) => time = time.max(Some(digits)),
                RotationMark::Number(of_rotation) if of.is_certain => certain = certain.max(of_rotation),
                RotationMark::Number(of_rotation) => number = number.max(of_rotation),
                RotationMark::Old => {}
            }
        }
        (time.is_none(), time, birth, modified, Reverse((certain, number)), self.path.clone())
    }
}

/// As far as its name says.
pub fn is_compressed(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    without_compression(name).len() < name.len()
}
