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
//! behind it alone. Where a rotation cut it, it goes on at the beginning of the next file: the
//! [`Reader`](super::Reader) joins them. A record whose end never comes (its container died, the runtime was restarted
//! amid it) ends where the last file does, once that is sealed, or where a line stands that is in no such format.
//!
//! The format: <https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md>.

use memchr::memchr;

use super::{
    item::{CutPart, ItemKind, LogItem},
    lines::{SegmentBytes, is_blank},
};
use crate::config::CriStream;

/// What stands before a message ends within so many bytes: these alone tell what a line is.
pub const MAX_HEAD: usize = 128;

/// What is said of a record that has no last part.
const NO_LAST_PART: CutPart<'static> =
    CutPart::Head { rest: "it is the beginning of a record whose last part did not come" };

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
        let head = &line[..line.len().min(MAX_HEAD)];
        let (time, rest) = word(head)?;
        let (stream, rest) = word(rest)?;
        let (tags, rest) = word(rest)?;
        let message = &line[head.len() - rest.len()..];
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
    let end = memchr(b' ', text)?;
    Some((&text[..end], &text[end + 1..]))
}

/// Goes through the whole records of a run of bytes, as [`LineSplitter`](super::lines::LineSplitter) does through lines.
#[derive(Debug)]
pub struct Records<'a> {
    of: SegmentBytes<'a>,
    stream: CriStream,
    at: usize,
    /// The parts of the present record.
    joined: &'a mut Vec<u8>,
    between: u64,
    end: RecordEnd,
}

/// How the bytes end that were looked at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RecordEnd {
    /// The last part of a record, or a line that is none.
    Whole,
    /// No more bytes come, and the record that was given has no last part.
    Cut,
    /// No record was given: the bytes end with a line, amid one.
    Open,
}

/// A line of the file and where it ends, its `\n` included.
enum Raw<'a> {
    Line(&'a [u8], usize),
    /// Nothing, white space shorter than a head, or NUL that a crash left.
    Blank(usize),
}

impl<'a> Records<'a> {
    pub fn new(of: SegmentBytes<'a>, stream: CriStream, joined: &'a mut Vec<u8>) -> Self {
        Self { of, stream, at: 0, joined, between: 0, end: RecordEnd::Whole }
    }

    /// How many bytes the items given so far cover.
    pub fn consumed(&self) -> usize {
        self.at
    }

    /// Lines of the other stream between the parts of the record that was given last.
    pub fn between(&self) -> u64 {
        self.between
    }

    /// Whether the record that was given last has no last part because no more bytes come.
    pub fn is_cut(&self) -> bool {
        self.end == RecordEnd::Cut
    }

    /// Whether there was no item because the bytes end amid a record, behind a whole line.
    pub fn is_open(&self) -> bool {
        self.end == RecordEnd::Open
    }

    /// The next record, or what is not one. A record is given where its message is empty too.
    pub fn next_item(&mut self) -> Option<LogItem<'_>> {
        let SegmentBytes { bytes: data, is_complete, .. } = self.of;
        let begin = self.at;
        self.joined.clear();
        self.between = 0;
        self.end = RecordEnd::Whole;
        let (mut scan, mut open) = (begin, false);
        loop {
            let (line, end) = match raw(data, scan, is_complete) {
                None if open && is_complete => return Some(self.cut_at(scan)),
                None if open && is_foreign(&data[scan..]) => return Some(self.without_last_part(scan)),
                None => {
                    self.end = if open && scan == data.len() { RecordEnd::Open } else { RecordEnd::Whole };
                    return None;
                }
                Some(Raw::Blank(end)) if open => {
                    scan = end;
                    continue;
                }
                Some(Raw::Blank(end)) => return Some(self.upto(end, ItemKind::Blank)),
                Some(Raw::Line(line, end)) => (line, end),
            };
            match CriLine::parse(line) {
                None if open => return Some(self.without_last_part(scan)),
                None => return Some(self.upto(end, ItemKind::Foreign(line))),
                Some(line) if line.stream != self.stream && open => self.between += 1,
                Some(line) if line.stream != self.stream => return Some(self.upto(end, ItemKind::Other(1))),
                Some(line) if line.partial => {
                    open = true;
                    self.joined.extend_from_slice(line.message);
                }
                Some(line) if open => {
                    self.joined.extend_from_slice(line.message);
                    return Some(self.joined_until(end));
                }
                Some(line) => return Some(self.upto(end, ItemKind::Line(trimmed(line.message)))),
            }
            scan = end;
        }
    }

    fn cut_at(&mut self, end: usize) -> LogItem<'_> {
        self.end = RecordEnd::Cut;
        self.without_last_part(end)
    }

    /// The same whether a line in another format follows or nothing: a span that ends here has no such line.
    fn without_last_part(&mut self, end: usize) -> LogItem<'_> {
        LogItem { cut: Some(&NO_LAST_PART), ..self.joined_until(end) }
    }

    fn joined_until(&mut self, end: usize) -> LogItem<'_> {
        let start = std::mem::replace(&mut self.at, end);
        self.of.item(start..end, ItemKind::Line(trimmed(self.joined)))
    }

    fn upto<'i>(&mut self, end: usize, kind: ItemKind<'i>) -> LogItem<'i> {
        let start = std::mem::replace(&mut self.at, end);
        self.of.item(start..end, kind)
    }
}

/// Whether a line of which the end is not written yet is in another format already: an open record ends before it
/// then, however long it becomes.
fn is_foreign(line: &[u8]) -> bool {
    line.len() >= MAX_HEAD && CriLine::parse(line).is_none()
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
        Some(length) if length < MAX_HEAD && is_blank(&rest[..length]) => Some(Raw::Blank(at + length + 1)),
        Some(length) => Some(Raw::Line(&rest[..length], at + length + 1)),
        None if complete && !rest.is_empty() && rest.len() < MAX_HEAD && is_blank(rest) => {
            Some(Raw::Blank(data.len()))
        }
        None if complete && !rest.is_empty() => Some(Raw::Line(rest, data.len())),
        None => None,
    }
}

#[cfg(test)]
mod tests;
