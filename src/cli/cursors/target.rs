//! The byte that a cursor is put to: always where a line begins, as far as the file is known.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use crate::cli::{exit::Exit, failure::Failure};

use super::To;

/// The byte to stand at. Where the file is known, a line must begin there.
pub(super) fn target(to: &To, file: Option<&Path>) -> Result<u64, Failure> {
    match (to.offset, file) {
        (Some(offset), Some(path)) => match begins_line(path, offset) {
            Ok(true) => Ok(offset),
            Ok(false) => Err(Failure::usage(format!("no line of {} begins at byte {offset}", path.display()))),
            Err(e) => Err(Failure::Told(Exit::Storage, format!("cannot look at {}: {e}", path.display()))),
        },
        (Some(offset), None) => Ok(offset),
        (None, _) if to.beginning => Ok(0),
        (None, Some(path)) => last_line_end(path)
            .map_err(|e| Failure::Told(Exit::Storage, format!("cannot look at {}: {e}", path.display()))),
        (None, None) => Err(Failure::usage("the segment's file is not known here, so its end is not: give --offset")),
    }
}

fn begins_line(path: &Path, offset: u64) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let Some(before) = offset.checked_sub(1) else {
        return Ok(true);
    };
    file.seek(SeekFrom::Start(before))?;
    let mut byte = [0];
    Ok(file.read(&mut byte)? == 1 && byte[0] == b'\n')
}

fn last_line_end(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut end = file.metadata()?.len();
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(1 << 16);
        file.seek(SeekFrom::Start(start))?;
        block.clear();
        (&file).take(end - start).read_to_end(&mut block)?;
        if let Some(at) = memchr::memrchr(b'\n', &block) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
