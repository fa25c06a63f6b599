//! The lines of an input, each in bounded memory; what a container wrote is put together as its source does it.

use std::io::{self, BufRead};

use crate::{config::LineFormat, log::cri};

/// What may stand before a message is shorter, in bytes.
const HEAD: usize = cri::MAX_HEAD;

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InputLine {
    /// The first is 1.
    pub(super) number: u64,
    /// No more than what is needed to see that it is too long.
    pub(super) bytes: Vec<u8>,
    /// Of the whole line.
    pub(super) length: u64,
    pub(super) kind: InputLineKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputLineKind {
    Record,
    /// Of the stream that the source does not read.
    Other,
    /// Not in the format of the source.
    Foreign,
}

/// Gives lines as a source takes them: a `\r` before the end, a byte order mark and empty lines are no events.
pub(super) struct InputLines<R> {
    input: R,
    most: usize,
    number: u64,
    format: LineFormat,
    /// A record of which the end was not read yet, and a line that was read behind it.
    open: Option<InputLine>,
    next: Option<InputLine>,
}

impl<R: BufRead> InputLines<R> {
    pub(super) fn new(input: R, most: usize, format: LineFormat) -> Self {
        Self { input, most, number: 0, format, open: None, next: None }
    }

    /// The next record, or what is none.
    pub(super) fn next(&mut self) -> io::Result<Option<InputLine>> {
        let LineFormat::Cri(stream) = self.format else { return self.next_line() };
        loop {
            let line = match self.next.take() {
                Some(line) => Some(line),
                None => self.next_line()?,
            };
            let Some(mut line) = line else { return Ok(self.open.take()) };
            let parsed = cri::CriLine::parse(&line.bytes);
            let Some(cri::CriLine { stream: its, partial, message }) = parsed else {
                if self.open.is_some() {
                    self.next = Some(line);
                    return Ok(self.open.take());
                }
                return Ok(Some(InputLine { kind: InputLineKind::Foreign, ..line }));
            };
            let head = line.bytes.len() - message.len();
            if its != stream {
                // One that stands between the parts of a record is shown before it.
                return Ok(Some(InputLine { kind: InputLineKind::Other, ..line }));
            }
            line.bytes.drain(..head);
            line.length -= head as u64;
            if let Some(mut open) = self.open.take() {
                open.length += line.length;
                let room = (self.most + 2).saturating_sub(open.bytes.len());
                open.bytes.extend_from_slice(&line.bytes[..line.bytes.len().min(room)]);
                line = open;
            }
            if partial {
                self.open = Some(line);
            } else if line.length > 0 {
                return Ok(Some(line));
            }
        }
    }

    fn next_line(&mut self) -> io::Result<Option<InputLine>> {
        loop {
            let Some(mut line) = self.read()? else { return Ok(None) };
            if self.number == 1 && line.bytes.starts_with(b"\xEF\xBB\xBF") {
                line.bytes.drain(..3);
                line.length -= 3;
            }
            if line.bytes.last() == Some(&b'\r') && line.length == line.bytes.len() as u64 {
                line.bytes.pop();
                line.length -= 1;
            }
            if line.length > 0 {
                return Ok(Some(line));
            }
        }
    }

    fn read(&mut self) -> io::Result<Option<InputLine>> {
        let mut line =
            InputLine { number: self.number + 1, bytes: Vec::new(), length: 0, kind: InputLineKind::Record };
        let mut ended = false;
        while !ended {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', buffer);
            let part = &buffer[..end.unwrap_or(buffer.len())];
            // Two more than the limit, for the `\r` and for what shows that it is too long.
            let room = (self.most + 2 + HEAD).saturating_sub(line.bytes.len());
            line.bytes.extend_from_slice(&part[..part.len().min(room)]);
            line.length += part.len() as u64;
            ended = end.is_some();
            let used = part.len() + usize::from(ended);
            self.input.consume(used);
        }
        if !ended && line.length == 0 {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(line))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::config::CriStream;

    fn lines(input: &[u8], capacity: usize) -> Vec<(u64, Vec<u8>, u64)> {
        let input = io::BufReader::with_capacity(capacity, input);
        let mut lines = InputLines::new(input, 8, LineFormat::Lines);
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push((line.number, line.bytes, line.length));
        }
        all
    }

    #[test]
    fn lines_are_numbered_as_in_an_editor_and_blank_ones_are_left_out() {
        for capacity in [1, 2, 3, 64] {
            let all = lines(b"\xEF\xBB\xBFone\r\n\n\r\nfour\nfive", capacity);
            let expected = [(1, &b"one"[..]), (4, b"four"), (5, b"five")];
            let expected: Vec<_> = expected.map(|(number, text)| (number, text.to_vec(), text.len() as u64)).into();
            assert_eq!(all, expected, "{capacity}");
        }
    }

    #[test]
    fn a_long_line_takes_no_more_memory_than_the_limit_and_tells_its_length() {
        let mut input = vec![b'x'; 1000];
        input.extend_from_slice(b"\nnext\n");
        let all = lines(&input, 16);
        assert_eq!((all[0].1.len(), all[0].2), (10 + HEAD, 1000));
        assert_eq!(all[1], (2, b"next".to_vec(), 4));
    }

    #[test]
    fn what_a_container_wrote_is_put_together_as_its_source_does_it() {
        let time = "2026-11-22T04:00:00Z";
        let input = format!(
            "{time} stdout P ab\n{time} stderr F oops\n{time} stdout F cd\r\nwhat\n{time} stdout P e\nno\n{time} stdout F \n{time} stdout P f"
        );
        let mut lines = InputLines::new(input.as_bytes(), 100, LineFormat::Cri(CriStream::Stdout));
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let text = String::from_utf8(line.bytes).unwrap();
            assert!(line.kind != InputLineKind::Record || line.length == text.len() as u64);
            all.push((line.number, line.kind, text));
        }
        let expected = [
            (2, InputLineKind::Other, format!("{time} stderr F oops")),
            (1, InputLineKind::Record, "abcd".to_owned()),
            (4, InputLineKind::Foreign, "what".to_owned()),
            (5, InputLineKind::Record, "e".to_owned()),
            (6, InputLineKind::Foreign, "no".to_owned()),
            (8, InputLineKind::Record, "f".to_owned()),
        ];
        assert_eq!(all, expected);
    }
}
