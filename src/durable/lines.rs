//! Checksummed lines: the shape of every line format that only auditpost reads.
//!
//! ```text
//! 1c291ca3 {"record":"settled","batch":7,…}\n
//! └crc32─┘ └JSON, no raw line end ┘
//! ```
//!
//! The checksum (IEEE CRC-32 of the JSON's bytes, 8 lower-case hex digits) stands first, so that a cut line cannot
//! look whole; the line end stands last, so that a line without one is known to be torn. A torn last line is what a
//! crash leaves and is reported as such; a bad line before it is damage. Either costs that line, never the file.

use std::{
    io::{self, BufRead},
    ops::Range,
};

use serde::Serialize;

/// The longest line, with its line end, that is written or taken into memory.
pub const MAX_LINE: usize = 16 << 20;

const PREFIX: usize = 9;

/// Appends `record` to `out` as one line.
///
/// # Errors
/// What cannot be JSON, or would be longer than [`MAX_LINE`]; `out` is then as it was.
pub fn encode(out: &mut Vec<u8>, record: &impl Serialize) -> io::Result<()> {
    let start = out.len();
    out.extend_from_slice(&[b' '; PREFIX]);
    let body = start + PREFIX;
    let result = serde_json::to_writer(&mut *out, record).map_err(io::Error::from).and_then(|()| {
        if out.len() - start < MAX_LINE {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a record is longer than {MAX_LINE} bytes")))
    });
    if let Err(e) = result {
        out.truncate(start);
        return Err(e);
    }
    let checksum = crc32fast::hash(&out[body..]);
    for (i, digit) in out[start..start + 8].iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(checksum >> (28 - 4 * i)) as usize & 15];
    }
    out.push(b'\n');
    Ok(())
}

/// One line as it was found.
#[derive(Debug, PartialEq, Eq)]
pub enum ChecksummedLine<'a> {
    /// The checksum is right.
    Whole { json: &'a [u8], at: Range<u64> },
    /// Damage: not such a line, or a wrong checksum. `bytes` is the line, to at most [`MAX_LINE`].
    Bad { bytes: &'a [u8], at: Range<u64> },
    /// The file ends within the line.
    Torn { at: Range<u64> },
}

/// Reads lines; memory is bounded by the longest line and by [`MAX_LINE`].
#[derive(Debug)]
pub struct ChecksummedLines<R> {
    reader: R,
    line: Vec<u8>,
    offset: u64,
}

impl<R: BufRead> ChecksummedLines<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), offset: 0 }
    }

    /// The next line, or `None` at the end of the file.
    ///
    /// # Errors
    /// Those of reading; damage is no error.
    pub fn next_line(&mut self) -> io::Result<Option<ChecksummedLine<'_>>> {
        let start = self.offset;
        let ended = self.fill()?;
        let at = start..self.offset;
        if at.is_empty() {
            return Ok(None);
        }
        if !ended {
            return Ok(Some(ChecksummedLine::Torn { at }));
        }
        let whole = at.end - at.start == self.line.len() as u64;
        Ok(Some(match open(&self.line) {
            Some(json) if whole => ChecksummedLine::Whole { json, at },
            _ => ChecksummedLine::Bad { bytes: &self.line, at },
        }))
    }

    /// Takes one line into `self.line`, as much of it as may be kept. True when it has its line end.
    fn fill(&mut self) -> io::Result<bool> {
        self.line.clear();
        loop {
            let available = match self.reader.fill_buf() {
                Ok(available) => available,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if available.is_empty() {
                return Ok(false);
            }
            let end = memchr::memchr(b'\n', available);
            let taken = end.map_or(available.len(), |end| end + 1);
            let kept = taken.min(MAX_LINE - self.line.len());
            self.line.extend_from_slice(&available[..kept]);
            self.reader.consume(taken);
            self.offset += taken as u64;
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

/// The JSON of a line that has its line end, where the checksum is right.
fn open(line: &[u8]) -> Option<&[u8]> {
    let json = line.get(PREFIX..)?.strip_suffix(b"\n")?;
    if line[8] != b' ' || line[..8].iter().any(|b| !matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let written = u32::from_str_radix(str::from_utf8(&line[..8]).ok()?, 16).ok()?;
    (written == crc32fast::hash(json)).then_some(json)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn three() -> Vec<u8> {
        let mut out = Vec::new();
        for text in ["one", "two\n", "three"] {
            encode(&mut out, &text).unwrap();
        }
        out
    }

    fn read(bytes: &[u8]) -> Vec<String> {
        let mut lines = ChecksummedLines::new(io::BufReader::with_capacity(7, bytes));
        let mut found = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            found.push(match line {
                ChecksummedLine::Whole { json, .. } => String::from_utf8(json.to_vec()).unwrap(),
                ChecksummedLine::Bad { at, .. } => format!("bad {at:?}"),
                ChecksummedLine::Torn { at } => format!("torn {at:?}"),
            });
        }
        found
    }

    #[test]
    fn lines_are_written_as_documented_and_read_back() {
        let mut out = Vec::new();
        encode(&mut out, &"123456789").unwrap();
        // The checksum of the quoted text, by another implementation (zlib).
        assert_eq!(String::from_utf8(out).unwrap(), "83593021 \"123456789\"\n");
        assert_eq!(read(&three()), [r#""one""#, r#""two\n""#, r#""three""#]);
    }

    #[test]
    fn a_file_cut_at_any_byte_yields_the_lines_before_and_says_torn() {
        let all = three();
        let ends: Vec<usize> = memchr::memchr_iter(b'\n', &all).map(|at| at + 1).collect();
        for cut in 0..all.len() {
            let found = read(&all[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let torn = cut != 0 && !ends.contains(&cut);
            assert_eq!(found.len(), whole + usize::from(torn), "cut at {cut}: {found:?}");
            assert_eq!(found.last().is_some_and(|last| last.starts_with("torn")), torn, "cut at {cut}");
        }
    }

    #[test]
    fn any_flipped_bit_costs_its_own_line_or_joins_two_and_never_gives_another_text() {
        let all = three();
        let originals = read(&all);
        for bit in 0..all.len() * 8 {
            let mut damaged = all.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let found = read(&damaged);
            let whole: Vec<_> = found.iter().filter(|line| line.starts_with('"')).collect();
            assert!(whole.iter().all(|line| originals.contains(line)), "bit {bit}: {found:?}");
            assert!(whole.len() < 3 && !whole.is_empty(), "bit {bit}: {found:?}");
        }
    }

    #[test]
    fn a_line_beyond_the_limit_is_passed_over_without_being_held() {
        let mut out = Vec::new();
        encode(&mut out, &"before").unwrap();
        out.resize(out.len() + MAX_LINE + 5, b'x');
        out.push(b'\n');
        encode(&mut out, &"after").unwrap();
        let found = read_sizes(&out);
        assert_eq!(found, [(true, 8), (false, MAX_LINE), (true, 7)]);
        let big = "x".repeat(MAX_LINE);
        let length = out.len();
        assert!(encode(&mut out, &big).is_err());
        assert_eq!(out.len(), length, "what cannot be read back is not written");
    }

    fn read_sizes(bytes: &[u8]) -> Vec<(bool, usize)> {
        let mut lines = ChecksummedLines::new(bytes);
        let mut found = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            found.push(match line {
                ChecksummedLine::Whole { json, .. } => (true, json.len()),
                ChecksummedLine::Bad { bytes, .. } => (false, bytes.len()),
                ChecksummedLine::Torn { .. } => panic!("torn"),
            });
        }
        found
    }
}
