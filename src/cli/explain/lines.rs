//! The lines of an input, each in bounded memory.

use std::io::{self, BufRead};

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The first is 1.
    pub(super) number: u64,
    /// No more than what is needed to see that it is too long.
    pub(super) bytes: Vec<u8>,
    /// Of the whole line.
    pub(super) length: u64,
}

/// Gives lines as a source takes them: a `\r` before the end, a byte order mark and empty lines are no events.
pub(super) struct Lines<R> {
    input: R,
    most: usize,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R, most: usize) -> Self {
        Self { input, most, number: 0 }
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
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

    fn read(&mut self) -> io::Result<Option<Line>> {
        let mut line = Line { number: self.number + 1, bytes: Vec::new(), length: 0 };
        let mut ended = false;
        while !ended {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', buffer);
            let part = &buffer[..end.unwrap_or(buffer.len())];
            // Two more than the limit, for the `\r` and for what shows that it is too long.
            let room = (self.most + 2).saturating_sub(line.bytes.len());
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

    fn lines(input: &[u8], capacity: usize) -> Vec<(u64, Vec<u8>, u64)> {
        let mut lines = Lines::new(io::BufReader::with_capacity(capacity, input), 8);
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
        assert_eq!((all[0].1.len(), all[0].2), (10, 1000));
        assert_eq!(all[1], (2, b"next".to_vec(), 4));
    }
}
