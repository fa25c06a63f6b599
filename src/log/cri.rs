//! What a container runtime writes: the CRI logging format, put together into records.
//!
//! ```text
//! 2026-11-22T04:00:00.123456789+00:00 stdout P {"type":"login",      a long line is written in parts,
//! 2026-11-22T04:00:00.123456790+00:00 stderr F connection reset      another stream may come between them,
//! 2026-11-22T04:00:00.123456791+00:00 stdout F "actor":"lena"}       and F ends it
//! ```
//!
//! A source reads one stream. A record goes from its first part to the end of its last one, so that no position
//! stands inside it, whatever was written between its parts: what is read from a position follows from the bytes
//! behind it alone. A record whose end never comes (its container died, its file was rotated amid it) ends where the
//! file does, once that is sealed, or where a line stands that is in no such format.
//!
//! The format: <https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>.

use std::{fs::File, io};

use memchr::memchr;

use super::{lines::Piece, reader::read_fully};
use crate::config::CriStream;

/// What stands before a message is shorter than this, in bytes.
pub const MAX_HEAD: usize = 128;

/// One line of the format.
#[derive(Debug, PartialEq, Eq)]
pub struct CriLine<'a> {
    pub stream: CriStream,
    /// More of the message follows in another line.
    pub partial: bool,
    pub message: &'a [u8],
}

impl<'a> CriLine<'a> {
    /// A line without its `\n`; None where it is in no such format. A `\r` stays: it may be the message's own.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let (time, rest) = word(line)?;
        let (stream, rest) = word(rest)?;
        let (tags, message) = word(rest)?;
        let is_time = time.len() >= "2026-11-22T04:00:00Z".len() && time[4] == b'-' && time[10] == b'T';
        if !is_time || !time[0].is_ascii_digit() {
            return None;
        }
        let stream = match stream {
            b"stdout" => CriStream::Stdout,
            b"stderr" => CriStream::Stderr,
            _ => return None,
        };
        // Further tags may follow, divided by colons.
        let partial = match tags.split(|byte| *byte == b':').next()? {
            b"P" => true,
            b"F" => false,
            _ => return None,
        };
        Some(Self { stream, partial, message })
    }
}

fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b' ', &text[..text.len().min(MAX_HEAD)])?;
    Some((&text[..end], &text[end + 1..]))
}

/// Goes through the whole records of `data`, as [`LineSplitter`](super::lines::LineSplitter) does through lines.
#[derive(Debug)]
pub struct Records<'a> {
    data: &'a [u8],
    /// The segment's offset of `data[0]`.
    base: u64,
    stream: CriStream,
    /// No more bytes will come: what stands there of a record is all of it.
    complete: bool,
    at: usize,
    /// The parts of the present record.
    joined: &'a mut Vec<u8>,
    between: u64,
}

/// A line of the file and where it ends, its `\n` included.
enum Raw<'a> {
    Line(&'a [u8], usize),
    /// Nothing, or NUL that a crash left.
    Blank(usize),
}

impl<'a> Records<'a> {
    pub fn new(data: &'a [u8], base: u64, stream: CriStream, complete: bool, joined: &'a mut Vec<u8>) -> Self {
        Self { data, base, stream, complete, at: 0, joined, between: 0 }
    }

    /// How many bytes the pieces given so far cover.
    pub fn consumed(&self) -> usize {
        self.at
    }

    /// Lines of the other stream between the parts of the record that was given last.
    pub fn between(&self) -> u64 {
        self.between
    }

    /// The next record, or what is none.
    pub fn next_piece(&mut self) -> Option<Piece<'_>> {
        let data = self.data;
        let begin = self.at;
        let start = self.base + begin as u64;
        self.joined.clear();
        self.between = 0;
        let (mut scan, mut open) = (begin, false);
        loop {
            let (line, end) = match raw(data, scan, self.complete) {
                None if open && self.complete => return Some(self.joined_until(begin, scan)),
                None => return None,
                Some(Raw::Blank(end)) if open => {
                    scan = end;
                    continue;
                }
                Some(Raw::Blank(end)) => {
                    self.at = end;
                    return Some(Piece::Blank { start, end: self.base + end as u64 });
                }
                Some(Raw::Line(line, end)) => (line, end),
            };
            match CriLine::parse(line) {
                None if open => return Some(self.joined_until(begin, scan)),
                None => {
                    self.at = end;
                    return Some(Piece::Foreign { start, end: self.base + end as u64, bytes: line });
                }
                Some(line) if line.stream != self.stream && open => self.between += 1,
                Some(line) if line.stream != self.stream => {
                    self.at = end;
                    return Some(Piece::Other { start, end: self.base + end as u64 });
                }
                Some(line) if line.partial => {
                    open = true;
                    self.joined.extend_from_slice(line.message);
                }
                Some(line) if open => {
                    self.joined.extend_from_slice(line.message);
                    return Some(self.joined_until(begin, end));
                }
                Some(line) => {
                    self.at = end;
                    return Some(piece(start, self.base + end as u64, trimmed(line.message)));
                }
            }
            scan = end;
        }
    }

    fn joined_until(&mut self, begin: usize, end: usize) -> Piece<'_> {
        self.at = end;
        piece(self.base + begin as u64, self.base + end as u64, trimmed(self.joined))
    }
}

fn piece(start: u64, end: u64, bytes: &[u8]) -> Piece<'_> {
    if bytes.is_empty() { Piece::Blank { start, end } } else { Piece::Line { start, end, bytes } }
}

fn trimmed(message: &[u8]) -> &[u8] {
    message.strip_suffix(b"\r").unwrap_or(message)
}

fn raw(data: &[u8], at: usize, complete: bool) -> Option<Raw<'_>> {
    let rest = &data[at..];
    if rest.first() == Some(&0) {
        let run = rest.iter().position(|byte| *byte != 0).unwrap_or(rest.len());
        return Some(Raw::Blank(at + run));
    }
    match memchr(b'\n', rest) {
        Some(0) => Some(Raw::Blank(at + 1)),
        Some(length) if &rest[..length] == b"\r" => Some(Raw::Blank(at + length + 1)),
        Some(length) => Some(Raw::Line(&rest[..length], at + length + 1)),
        None if complete && !rest.is_empty() => Some(Raw::Line(rest, data.len())),
        None => None,
    }
}

/// The end of a record that is too long to be held, and whether its stream is the one that is read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LongEnd {
    pub(super) end: u64,
    pub(super) ours: bool,
}

/// Looks for the end of the record that begins at `start`, without keeping its bytes. `looked`: a line end up to which
/// it did not end, which is moved on.
pub(super) fn long_end(
    file: &File,
    stream: CriStream,
    start: u64,
    looked: &mut u64,
    complete: Option<u64>,
) -> io::Result<Option<LongEnd>> {
    loop {
        let mut head = [0; MAX_HEAD];
        let most = complete.map_or(u64::MAX, |end| end.saturating_sub(*looked)).min(MAX_HEAD as u64) as usize;
        let got = read_fully(file, &mut head[..most], *looked)?;
        let hole = head[..got].iter().take_while(|byte| **byte == 0).count();
        if hole > 0 {
            *looked += hole as u64;
            continue;
        }
        let Some((end, terminated)) = line_end(file, *looked, complete)? else { return Ok(None) };
        let head = &head[..memchr(b'\n', &head[..got]).unwrap_or(got)];
        let closes = match CriLine::parse(head) {
            _ if head.is_empty() || head == b"\r" => false,
            None if *looked > start => return Ok(Some(LongEnd { end: *looked, ours: true })),
            None => true,
            Some(line) if line.stream != stream => {
                if *looked == start {
                    return Ok(Some(LongEnd { end, ours: false }));
                }
                false
            }
            Some(line) => !line.partial,
        };
        *looked = end;
        if closes || !terminated || complete == Some(end) {
            return Ok(Some(LongEnd { end, ours: true }));
        }
    }
}

/// Where the line that begins at `at` ends, and whether a `\n` ends it; None where that is not written yet.
fn line_end(file: &File, mut at: u64, complete: Option<u64>) -> io::Result<Option<(u64, bool)>> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let most = complete.map_or(buffer.len(), |end| buffer.len().min(end.saturating_sub(at) as usize));
        let got = read_fully(file, &mut buffer[..most], at)?;
        if let Some(length) = memchr(b'\n', &buffer[..got]) {
            return Ok(Some((at + length as u64 + 1, true)));
        }
        at += got as u64;
        if complete.is_some_and(|end| at >= end) {
            return Ok(Some((at, false)));
        }
        if got < most || got == 0 {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests;
