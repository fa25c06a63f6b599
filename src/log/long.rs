//! A record that is too long to be held: where it ends, in bounded memory.
//!
//! It is fed the bytes of the log from the record's beginning on, in pieces of any length, and keeps none of them. What
//! always holds: it ends where [`LogItems`](super::lines::LogItems) ends it that holds all of its bytes.

use memchr::memchr;

use super::{
    cri::{CriLine, MAX_HEAD},
    lines::is_blank,
};
use crate::config::{CriStream, LineFormat};

/// How far the end of a record was looked for.
#[derive(Clone, Copy, Debug)]
pub struct LongRecord {
    format: LineFormat,
    start: u64,
    looked: u64,
    /// Bytes of the record so far, as [`RecordBytes`](super::record::RecordBytes) gives them.
    bytes: u64,
    /// The line in which looking stands; none at a line's beginning.
    line: Option<LongLine>,
    /// Whether the byte looked at last is a `\r` of the record.
    returns: bool,
}

/// A line of which the end is looked for.
#[derive(Clone, Copy, Debug)]
struct LongLine {
    /// Whether its bytes are the record's.
    counts: bool,
    /// Whether the record ends with it.
    closes: bool,
    is_ours: bool,
}

/// The end of a record that is too long to be held.
#[derive(Debug, PartialEq, Eq)]
pub struct LongEnd {
    pub end: u64,
    /// Whether its stream is the one that is read.
    pub is_ours: bool,
    /// How long the record is without its line end: of what a container wrote, the message.
    pub bytes: u64,
}

enum LineStart {
    /// So many bytes before what the line says.
    Line(LongLine, usize),
    /// So many NUL before the line.
    Hole(usize),
    /// The record ended before it.
    RecordEnded,
    /// It cannot be told yet.
    Unknown,
}

impl LongRecord {
    pub fn new(format: LineFormat, start: u64) -> Self {
        Self { format, start, looked: start, bytes: 0, line: None, returns: false }
    }

    pub fn start(&self) -> u64 {
        self.start
    }

    /// Where the bytes begin that it wants next.
    pub fn looked(&self) -> u64 {
        self.looked
    }

    /// Looks at the bytes that stand where it [`looked`](Self::looked) last. `is_complete`: none will follow them.
    pub fn feed(&mut self, data: &[u8], is_complete: bool) -> Option<LongEnd> {
        let mut rest = data;
        loop {
            let line = match self.line {
                Some(line) => line,
                None => match self.line_start(rest, is_complete) {
                    LineStart::Unknown => return None,
                    LineStart::RecordEnded => return Some(self.ended(true)),
                    LineStart::Hole(run) => {
                        self.returns = false;
                        rest = self.pass(rest, run);
                        continue;
                    }
                    LineStart::Line(line, head) => {
                        self.returns = false;
                        rest = self.pass(rest, head);
                        *self.line.insert(line)
                    }
                },
            };
            let length = memchr(b'\n', rest);
            let text = &rest[..length.unwrap_or(rest.len())];
            if line.counts {
                self.bytes += text.len() as u64;
                self.returns = text.last().map_or(self.returns, |last| *last == b'\r');
            }
            rest = self.pass(rest, text.len());
            if length.is_some() {
                rest = self.pass(rest, 1);
                self.line = None;
                if line.closes {
                    return Some(self.ended(line.is_ours));
                }
            } else if is_complete {
                self.returns = false; // It is trimmed before a line feed only.
                return Some(self.ended(line.is_ours));
            } else {
                return None;
            }
        }
    }

    /// Goes on at `end`: from where it [`looked`](Self::looked) last nothing but NUL stands before that.
    pub fn pass_hole(&mut self, end: u64) {
        let run = end - self.looked;
        if run == 0 {
            return;
        }
        if self.line.is_some_and(|line| line.counts) {
            self.bytes += run;
        }
        self.returns = false;
        self.looked = end;
    }

    fn pass<'a>(&mut self, rest: &'a [u8], bytes: usize) -> &'a [u8] {
        self.looked += bytes as u64;
        &rest[bytes..]
    }

    fn ended(&self, is_ours: bool) -> LongEnd {
        LongEnd { end: self.looked, is_ours, bytes: self.bytes - u64::from(self.returns) }
    }

    fn line_start(&self, rest: &[u8], is_complete: bool) -> LineStart {
        let is_first = self.looked == self.start;
        let whole = LongLine { counts: true, closes: true, is_ours: true };
        let LineFormat::Cri(stream) = self.format else { return LineStart::Line(whole, 0) };
        match rest.iter().take_while(|byte| **byte == 0).count() {
            0 => {}
            run => return LineStart::Hole(run),
        }
        if rest.is_empty() && is_complete {
            return LineStart::RecordEnded;
        }
        let head = &rest[..rest.len().min(MAX_HEAD)];
        let end = memchr(b'\n', head);
        if end.is_none() && head.len() < MAX_HEAD && !is_complete {
            return LineStart::Unknown;
        }
        let head = &head[..end.unwrap_or(head.len())];
        if head.len() < MAX_HEAD && is_blank(head) {
            return LineStart::Line(LongLine { counts: false, closes: false, is_ours: true }, 0);
        }
        match CriLine::parse(head) {
            None if is_first => LineStart::Line(whole, 0),
            None => LineStart::RecordEnded,
            Some(line) => LineStart::Line(Self::of(&line, stream, is_first), head.len() - line.message.len()),
        }
    }

    fn of(line: &CriLine<'_>, stream: CriStream, is_first: bool) -> LongLine {
        if line.stream == stream {
            LongLine { counts: true, closes: !line.partial, is_ours: true }
        } else {
            LongLine { counts: false, closes: is_first, is_ours: !is_first }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(format: LineFormat, data: &str, piece: usize, is_complete: bool) -> Option<(u64, u64)> {
        let mut long = LongRecord::new(format, 7);
        for upto in (0..data.len()).step_by(piece) {
            let from = (long.looked() - 7) as usize;
            if let Some(end) = long.feed(&data.as_bytes()[from..upto], false) {
                return Some((end.end - 7, end.bytes));
            }
        }
        let from = (long.looked() - 7) as usize;
        long.feed(&data.as_bytes()[from..], is_complete).map(|end| (end.end - 7, end.bytes))
    }

    #[test]
    fn a_line_ends_at_its_line_feed_and_one_return_before_it_does_not_count() {
        for piece in [1, 2, 3, 100] {
            let end = |data, is_complete| end(LineFormat::Lines, data, piece, is_complete);
            assert_eq!(end("abc\r\r\nrest", false), Some((6, 4)));
            assert_eq!(end("abc", false), None);
            assert_eq!(end("abc\r", true), Some((4, 4)));
        }
    }

    #[test]
    fn a_hole_that_is_passed_counts_as_its_nul_would() {
        let cri = LineFormat::Cri(CriStream::Stdout);
        let part = "2026-11-22T04:00:00.000000001Z stdout P ab\r";
        for (format, before) in [(LineFormat::Lines, "abc\r"), (cri, part), (cri, &format!("{part}\n"))] {
            let run = |passed: bool| {
                let mut long = LongRecord::new(format, 7);
                assert_eq!(long.feed(before.as_bytes(), false), None);
                if passed {
                    long.pass_hole(long.looked() + 9);
                } else {
                    assert_eq!(long.feed(&[0; 9], false), None);
                }
                long.feed(b"\nx", true)
            };
            assert_eq!(run(true), run(false), "{before}");
        }
    }

    #[test]
    fn a_container_record_ends_with_its_last_part_or_before_a_line_in_no_format() {
        let time = "2026-11-22T04:00:00.000000001Z";
        let parts = format!("{time} stdout P ab\r\n\0\0{time} stderr F oops\n\n");
        let last = format!("{time} stdout F cd\r\n");
        let cri = LineFormat::Cri(CriStream::Stdout);
        for piece in [1, 7, 1000] {
            let whole = format!("{parts}{last}rest");
            assert_eq!(end(cri, &whole, piece, false), Some(((parts.len() + last.len()) as u64, 5)));
            assert_eq!(end(cri, &parts, piece, false), None);
            assert_eq!(end(cri, &parts, piece, true), Some((parts.len() as u64, 3)));
            let torn = format!("{parts}what\n");
            assert_eq!(end(cri, &torn, piece, false), Some((parts.len() as u64, 3)));
        }
    }
}
