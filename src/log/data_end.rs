//! Where the data of a file ends.
//!
//! A writer may take room before it writes: the file is larger than what was written, and NUL stands behind that (a
//! preallocated file, a mapped one). So where the last byte of a file is NUL, its size says nothing. Nothing here reads
//! a hole, however large it is, and a file whose last byte is not NUL costs no look of its own.

use std::{fs::File, io, os::unix::fs::FileExt};

use memchr::{memchr, memrchr2};
use rustix::{
    fs::{SeekFrom, seek},
    io::Errno,
};

use super::identity::AnchorBytes;

/// Bytes read at a time.
const BLOCK: usize = 64 * 1024;

/// Where file systems let holes end.
const PAGE: u64 = 4096;

/// Compared as a whole, which is fast.
const ZEROS: [u8; PAGE as usize] = [0; PAGE as usize];

/// Bytes that one look goes through in search of the first NUL; the next look goes on from there.
const MOST: u64 = 256 * 1024 * 1024;

/// How far back the last line end is looked for in a file that is met.
pub const LOOK_BACK: u64 = 16 * 1024 * 1024;

/// Whether the bytes of a file end in NUL. `before`: those before its end.
pub fn is_reserved(before: &AnchorBytes) -> bool {
    before.bytes().last() == Some(&0)
}

/// How many bytes there are without the NUL at their end.
pub fn data_len(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while rest.ends_with(&ZEROS) {
        rest = &rest[..rest.len() - ZEROS.len()];
    }
    rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// Where the first NUL from `from` on stands; `size` where there is none.
pub fn first_nul(file: &File, from: u64, size: u64) -> io::Result<u64> {
    let stop = size.min(from.saturating_add(MOST));
    let mut block = vec![0; PAGE as usize];
    let mut at = from;
    while at < stop {
        let part = piece(&mut block, stop - at);
        file.read_exact_at(part, at)?;
        if let Some(run) = memchr(0, part) {
            return Ok(at + run as u64);
        }
        at += part.len() as u64;
        block.resize(BLOCK, 0);
    }
    Ok(at)
}

/// The end of the last byte in `from..size` that is not NUL; `from` where there is none.
pub fn last_data(file: &File, from: u64, size: u64) -> io::Result<u64> {
    let mut block = vec![0; PAGE as usize];
    let mut end = size;
    while end > from {
        let start = end.saturating_sub(block.len() as u64).max(from);
        if next_data(file, start, end)? == end {
            end = hole_start(file, from, start)?;
            continue;
        }
        let part = piece(&mut block, end - start);
        file.read_exact_at(part, start)?;
        let data = data_len(part) as u64;
        if data > 0 {
            return Ok(start + data);
        }
        end = start;
        block.resize(BLOCK, 0);
    }
    Ok(from)
}

/// Where the first byte in `from..end` stands that is in no hole; `end` where there is none.
pub fn next_data(file: &File, from: u64, end: u64) -> io::Result<u64> {
    match seek(file, SeekFrom::Data(from)) {
        Ok(at) => Ok(at.clamp(from, end)),
        Err(Errno::NXIO) => Ok(end),
        Err(Errno::INVAL) => Ok(from), // A file system that knows no holes.
        Err(error) => Err(error.into()),
    }
}

/// Where the last line ends in `from..end`, or a run of NUL between two of them.
pub fn last_line_end(file: &File, from: u64, end: u64) -> io::Result<Option<u64>> {
    let mut block = vec![0; PAGE as usize];
    let mut at = end;
    while at > from {
        let start = at.saturating_sub(block.len() as u64).max(from);
        let part = piece(&mut block, at - start);
        file.read_exact_at(part, start)?;
        if let Some(last) = memrchr2(b'\n', 0, part) {
            return Ok(Some(start + last as u64 + 1));
        }
        at = start;
        block.resize(BLOCK, 0);
    }
    Ok(None)
}

/// From where on nothing but a hole stands before `end`; not before `from`.
fn hole_start(file: &File, from: u64, end: u64) -> io::Result<u64> {
    // Whether data stands behind a position: from some position on none does.
    let (mut data, mut hole) = (from, end);
    if next_data(file, from, end)? == end {
        return Ok(from);
    }
    while hole - data > PAGE {
        let middle = data + (hole - data) / 2;
        match next_data(file, middle, end)? {
            at if at == end => hole = middle,
            at => data = at,
        }
    }
    Ok(hole)
}

fn piece(block: &mut [u8], left: u64) -> &mut [u8] {
    let length = (block.len() as u64).min(left) as usize;
    &mut block[..length]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const TIB: u64 = 1 << 40;

    fn file(pieces: &[(u64, &[u8])], size: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        pieces.iter().for_each(|(at, bytes)| file.write_all_at(bytes, *at).unwrap());
        file
    }

    #[test]
    fn the_last_byte_is_found_before_holes_and_before_written_zeros() {
        let zeros = vec![0; 300_000];
        for (at, size) in [(0, 1), (0, 9), (5000, 5000 + 4096), (100_000, 400_000), (TIB - 77_777, TIB), (7, TIB)] {
            let holes = file(&[(at, b"x")], size);
            assert_eq!(last_data(&holes, 0, size).unwrap(), at + 1, "{at} of {size}");
            assert_eq!(last_data(&holes, at + 1, size).unwrap(), at + 1);
            let written = file(&[(at, b"x"), (at + 1, &zeros)], at + 300_001);
            assert_eq!(last_data(&written, 0, at + 300_001).unwrap(), at + 1, "{at}, written");
        }
        assert_eq!(last_data(&file(&[], TIB), 0, TIB).unwrap(), 0);
        assert_eq!(last_data(&file(&[], 0), 0, 0).unwrap(), 0);
    }

    #[test]
    fn the_first_nul_and_the_next_data_are_found_wherever_they_stand() {
        let text = vec![b'x'; 200_000];
        let some = file(&[(0, &text), (TIB, b"y\n")], TIB + 2);
        assert_eq!(first_nul(&some, 0, TIB + 2).unwrap(), 200_000);
        assert_eq!(first_nul(&some, TIB, TIB + 2).unwrap(), TIB + 2);
        let data = next_data(&some, 300_000, TIB + 2).unwrap();
        assert!(data > TIB - 4 * PAGE && data <= TIB, "{data}");
        assert_eq!(next_data(&some, 300_000, 400_000).unwrap(), 400_000);
    }

    #[test]
    fn a_line_ends_behind_its_line_feed_and_behind_the_nul_that_follows() {
        let long = [b"one\n".to_vec(), vec![b'x'; 100_000]].concat();
        let some = file(&[(0, &long), (100_004, b"\0\0two")], 100_009);
        assert_eq!(last_line_end(&some, 0, 100_004).unwrap(), Some(4));
        assert_eq!(last_line_end(&some, 4, 100_004).unwrap(), None);
        assert_eq!(last_line_end(&some, 0, 100_009).unwrap(), Some(100_006));
    }
}
