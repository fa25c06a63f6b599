//! The lines of an input that may be a pipe, as the one splitter of the log finds them, with their numbers.
//!
//! Memory is bounded by the longest line allowed and [`CHUNK`]: of a longer one the end is looked for without keeping
//! its bytes.

use std::io::Read;

use memchr::{memchr, memchr_iter};

use crate::{
    cli::failure::Failure,
    config::LineFormat,
    log::{
        ItemKind, LogItem, SegmentId, SegmentRange, Take,
        cri::CriLine,
        lines::{HandedOut, LineShape, SegmentBytes, without_mark},
        long::{LongEnd, LongRecord},
    },
};

/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// How many bytes of a line that is too long are kept, to show it by.
const KEPT: usize = 1024;

/// The input is all of one segment.
const SEGMENT: SegmentId = SegmentId(0);

/// A line, or a record of several, that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InputLine<'a> {
    /// Of its first line, as an editor counts: the first is 1.
    pub(super) number: u64,
    pub(super) item: LogItem<'a>,
    /// What it says; only the beginning where it is too long.
    pub(super) text: &'a [u8],
    /// How long it is without its line end.
    pub(super) length: u64,
}

pub(super) struct InputLines<R> {
    input: R,
    ended: bool,
    shape: LineShape,
    /// What was read and makes no line yet.
    buffer: Vec<u8>,
    /// The offset of the buffer's first byte in the input, and the number of its line.
    start: u64,
    number: u64,
    joined: Vec<u8>,
    long: Option<LongInput>,
}

/// A line that is too long, of which the end was not found yet.
struct LongInput {
    record: LongRecord,
    number: u64,
    beginning: Vec<u8>,
}

type Seen<'s> = dyn FnMut(&InputLine<'_>) -> Result<(), Failure> + 's;

impl<R: Read> InputLines<R> {
    pub(super) fn new(input: R, max_line: usize, format: LineFormat) -> Self {
        Self {
            input,
            ended: false,
            shape: LineShape::new(format, max_line),
            buffer: Vec::new(),
            start: 0,
            number: 1,
            joined: Vec::new(),
            long: None,
        }
    }

    /// Shows each line in turn, until the input ends.
    pub(super) fn each(mut self, see: &mut Seen<'_>) -> Result<(), Failure> {
        while !self.ended {
            self.read_more()?;
            if self.long.is_some() {
                let used = self.look_for_end(see)?;
                self.pass(used);
            }
            if self.long.is_none() {
                let used = self.hand_out(see)?;
                self.pass(used);
                if self.buffer.len() > self.shape.most_held() {
                    self.begin_long();
                }
            }
        }
        Ok(())
    }

    fn read_more(&mut self) -> Result<(), Failure> {
        let held = self.buffer.len();
        self.buffer.resize(held + CHUNK, 0);
        let got = loop {
            match self.input.read(&mut self.buffer[held..]) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                got => break got?,
            }
        };
        self.buffer.truncate(held + got);
        self.ended = got == 0;
        Ok(())
    }

    fn pass(&mut self, bytes: usize) {
        self.start += bytes as u64;
        self.number += memchr_iter(b'\n', &self.buffer[..bytes]).count() as u64;
        self.buffer.drain(..bytes);
    }

    /// Shows the lines that are whole, and says how many bytes they have.
    fn hand_out(&mut self, see: &mut Seen<'_>) -> Result<usize, Failure> {
        let Self { shape, buffer, start, number, joined, ended, .. } = self;
        let of = SegmentBytes { segment: SEGMENT, start: *start, bytes: buffer, is_complete: *ended };
        let mut at = Numbered { number: *number, offset: *start };
        let mut last = SegmentRange { segment: SEGMENT, start: *start, end: *start };
        let mut seen = Ok(());
        let HandedOut { taken, .. } = shape.hand_out(of, joined, &mut |item| {
            if seen.is_err() {
                return Take::Not; // What stands between the parts of a record is given with it.
            }
            seen = match item.kind {
                ItemKind::Other(_) if item.range.is_empty() => see_between(shape.format, of, last, at, see),
                _ => {
                    last = item.range;
                    at.move_to(of, item.range.start);
                    see_item(shape.format, of, item, at.number, see)
                }
            };
            if seen.is_ok() { Take::More } else { Take::Last }
        });
        seen.map(|()| taken)
    }

    fn begin_long(&mut self) {
        let beginning = self.buffer[..self.buffer.len().min(KEPT)].to_vec();
        let record = LongRecord::new(self.shape.format, self.start);
        self.long = Some(LongInput { record, number: self.number, beginning });
    }

    /// How many bytes were looked at.
    fn look_for_end(&mut self, see: &mut Seen<'_>) -> Result<usize, Failure> {
        let Some(LongInput { record, number, beginning }) = &mut self.long else { return Ok(0) };
        let Some(LongEnd { end, is_ours, bytes }) = record.feed(&self.buffer, self.ended) else {
            return Ok((record.looked() - self.start) as usize);
        };
        let kind = if is_ours { ItemKind::TooLong } else { ItemKind::Other(1) };
        let range = SegmentRange { segment: SEGMENT, start: record.start(), end };
        let text = beginning_of(self.shape.format, beginning, range.start, is_ours);
        see(&InputLine { number: *number, item: LogItem::new(range, kind), text, length: bytes })?;
        self.long = None;
        Ok((end - self.start) as usize)
    }
}

/// The number of the line at an offset.
#[derive(Clone, Copy)]
struct Numbered {
    number: u64,
    offset: u64,
}

impl Numbered {
    fn move_to(&mut self, of: SegmentBytes<'_>, offset: u64) {
        let between = of.of(SegmentRange { segment: SEGMENT, start: self.offset, end: offset });
        self.number += memchr_iter(b'\n', between).count() as u64;
        self.offset = offset;
    }
}

fn see_item(
    format: LineFormat,
    of: SegmentBytes<'_>,
    item: LogItem<'_>,
    number: u64,
    see: &mut Seen<'_>,
) -> Result<(), Failure> {
    let raw = of.of(item.range);
    let (text, length) = match item.kind {
        ItemKind::Blank | ItemKind::Gap { .. } => return Ok(()),
        ItemKind::Line(bytes) => (bytes, bytes.len() as u64),
        ItemKind::Foreign(_) | ItemKind::Other(_) => (without_end(raw), raw.len() as u64),
        ItemKind::TooLong => {
            let end = LongRecord::new(format, item.range.start).feed(raw, true);
            let length = end.map_or(raw.len() as u64, |end| end.bytes);
            (beginning_of(format, raw, item.range.start, true), length)
        }
    };
    see(&InputLine { number, item, text, length })
}

/// Shows the lines of the other stream that stand between the parts of a record, each by itself.
fn see_between(
    format: LineFormat,
    of: SegmentBytes<'_>,
    record: SegmentRange,
    mut at: Numbered,
    see: &mut Seen<'_>,
) -> Result<(), Failure> {
    let LineFormat::Cri(stream) = format else { return Ok(()) };
    let mut start = record.start;
    for line in of.of(record).split_inclusive(|byte| *byte == b'\n') {
        let range = SegmentRange { segment: SEGMENT, start, end: start + line.len() as u64 };
        start = range.end;
        let hole = line.iter().take_while(|byte| **byte == 0).count();
        let text = without_end(&line[hole..]);
        if CriLine::parse(text).is_some_and(|line| line.stream != stream) {
            at.move_to(of, range.start);
            let item = LogItem::new(range, ItemKind::Other(1));
            see(&InputLine { number: at.number, item, text, length: text.len() as u64 })?;
        }
    }
    Ok(())
}

fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What a line begins with that is too long, where `raw` begins with it.
fn beginning_of(format: LineFormat, raw: &[u8], start: u64, is_ours: bool) -> &[u8] {
    let first = without_end(&raw[..memchr(b'\n', raw).unwrap_or(raw.len())]);
    match CriLine::parse(first) {
        Some(part) if is_ours && format != LineFormat::Lines => part.message,
        _ if format == LineFormat::Lines => without_mark(first, start),
        _ => first,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::config::CriStream;

    /// A reader that gives so many bytes at a time, as a pipe may.
    struct Pipe<'a>(&'a [u8], usize);

    impl Read for Pipe<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let got = self.1.min(self.0.len()).min(buffer.len());
            buffer[..got].copy_from_slice(&self.0[..got]);
            self.0 = &self.0[got..];
            Ok(got)
        }
    }

    fn lines(
        input: &[u8],
        piece: usize,
        max_line: usize,
        format: LineFormat,
    ) -> Vec<(u64, &'static str, String, u64)> {
        let mut all = Vec::new();
        let see = &mut |line: &InputLine<'_>| {
            let kind = match line.item.kind {
                ItemKind::Line(_) => "line",
                ItemKind::Foreign(_) => "foreign",
                ItemKind::Other(_) => "other",
                ItemKind::TooLong => "too long",
                kind => panic!("{kind:?}"),
            };
            all.push((line.number, kind, String::from_utf8_lossy(line.text).into_owned(), line.length));
            Ok(())
        };
        InputLines::new(Pipe(input, piece), max_line, format).each(see).unwrap();
        all
    }

    #[test]
    fn lines_are_numbered_as_in_an_editor_and_blank_ones_are_left_out() {
        for piece in [1, 2, 3, 64] {
            let all = lines(b"\xEF\xBB\xBFone\r\n\n\r\n\0\0four\nfive", piece, 8, LineFormat::Lines);
            let expected = [(1, "one"), (4, "four"), (5, "five")];
            let expected: Vec<_> =
                expected.map(|(number, text)| (number, "line", text.to_owned(), text.len() as u64)).into();
            assert_eq!(all, expected, "{piece}");
        }
    }

    #[test]
    fn a_long_line_takes_no_more_memory_than_the_limit_and_tells_its_length() {
        let mut input = vec![b'x'; 300_000];
        input.extend_from_slice(b"\r\nnext\n");
        for piece in [7, 1000, 1_000_000] {
            let all = lines(&input, piece, 8, LineFormat::Lines);
            assert_eq!((all[0].0, all[0].1, all[0].3), (1, "too long", 300_000));
            assert!(all[0].2.len() <= CHUNK && all[0].2.starts_with("xxxxxxxxxxxx"));
            assert_eq!(all[1], (2, "line", "next".to_owned(), 4));
        }
    }

    #[test]
    fn what_a_container_wrote_is_put_together_as_its_source_does_it() {
        let time = "2026-11-22T04:00:00Z";
        let input = format!(
            "{time} stdout P ab\n{time} stderr F oops\n{time} stdout F cd\r\nwhat\n{time} stdout P e\nno\n{time} stdout F \n{time} stdout P f"
        );
        let oops = format!("{time} stderr F oops");
        let expected = [
            (1, "line", "abcd"),
            (2, "other", &oops),
            (4, "foreign", "what"),
            (5, "line", "e"),
            (6, "foreign", "no"),
            (8, "line", "f"),
        ];
        for piece in [1, 10, 1000] {
            let all = lines(input.as_bytes(), piece, 100, LineFormat::Cri(CriStream::Stdout));
            let all: Vec<_> = all.iter().map(|(number, kind, text, _)| (*number, *kind, text.as_str())).collect();
            assert_eq!(all, expected);
        }
    }
}
