//! The byte that a cursor is put to: always where a line begins, as far as the file is known.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use crate::{
    cli::{exit::Exit, failure::Failure},
    log::data_end,
};

use super::To;

/// The byte to stand at: a line of the file must begin there.
pub(super) fn target(to: &To, file: &Path) -> Result<u64, Failure> {
    let cannot_look = |e: io::Error| Failure::Told(Exit::Storage, format!("cannot look at {}: {e}", file.display()));
    match to.offset {
        Some(offset) if begins_line(file, offset).map_err(cannot_look)? => Ok(offset),
        Some(offset) => Err(Failure::usage(format!("no line of {} begins at byte {offset}", file.display()))),
        None if to.beginning => Ok(0),
        None => last_line_end(file).map_err(cannot_look),
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
    let mut end = data_end::last_data(&file, 0, file.metadata()?.len())?;
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
