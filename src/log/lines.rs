//! Where lines begin and end in a run of bytes.
//!
//! A line ends at `\n`; one `\r` before it is trimmed. Empty lines, and runs of NUL where a line would begin (the
//! hole that copytruncate leaves under a writer that kept its offset), are no events but move the cursor. A byte
//! order mark at offset 0 belongs to the first line and is trimmed from it.

use memchr::memchr;

use super::cri::Records;
use crate::config::LineFormat;

/// A piece of the input; pieces follow each other without gaps.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A line without its end; `start..end` are its bytes in the segment, the line end among them.
    Line { start: u64, end: u64, bytes: &'a [u8] },
    /// Bytes that are no event.
    Blank { start: u64, end: u64 },
    /// A line that is not in the format that the file should be in.
    Foreign { start: u64, end: u64, bytes: &'a [u8] },
    /// A line of a stream that is not read.
    Other { start: u64, end: u64 },
}

/// The pieces of a run of bytes, in the format of its file.
#[derive(Debug)]
pub enum Pieces<'a> {
    Lines(LineSplitter<'a>),
    Cri(Records<'a>),
}

impl<'a> Pieces<'a> {
    /// `complete`: no more bytes will come. `joined` is memory for records that were written in parts.
    pub fn new(format: LineFormat, data: &'a [u8], base: u64, complete: bool, joined: &'a mut Vec<u8>) -> Self {
        match format {
            LineFormat::Lines => Self::Lines(LineSplitter::new(data, base, complete)),
            LineFormat::Cri(stream) => Self::Cri(Records::new(data, base, stream, complete, joined)),
        }
    }

    pub fn next_piece(&mut self) -> Option<Piece<'_>> {
        match self {
            Self::Lines(lines) => lines.next(),
            Self::Cri(records) => records.next_piece(),
        }
    }

    /// How many bytes the pieces given so far cover.
    pub fn consumed(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.consumed(),
            Self::Cri(records) => records.consumed(),
        }
    }

    /// Lines of a stream that is not read, between the parts of the piece that was given last.
    pub fn between(&self) -> u64 {
        match self {
            Self::Lines(_) => 0,
            Self::Cri(records) => records.between(),
        }
    }
}

/// Iterates over the whole lines of `data`.
#[derive(Debug)]
pub struct LineSplitter<'a> {
    data: &'a [u8],
    /// The segment's offset of `data[0]`.
    base: u64,
    at: usize,
    /// No more bytes will come: what stands after the last `\n` is a line.
    complete: bool,
}

impl<'a> LineSplitter<'a> {
    pub fn new(data: &'a [u8], base: u64, complete: bool) -> Self {
        Self { data, base, at: 0, complete }
    }

    /// How many bytes the pieces given so far cover.
    pub fn consumed(&self) -> usize {
        self.at
    }

    fn offset(&self, at: usize) -> u64 {
        self.base + at as u64
    }

    fn piece(&mut self, bytes: &'a [u8], end: usize) -> Piece<'a> {
        let (start, end_offset) = (self.offset(self.at), self.offset(end));
        self.at = end;
        let bytes = if start == 0 { bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes) } else { bytes };
        match bytes {
            [] => Piece::Blank { start, end: end_offset },
            bytes => Piece::Line { start, end: end_offset, bytes },
        }
    }
}

impl<'a> Iterator for LineSplitter<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = &self.data[self.at..];
        if rest.first() == Some(&0) {
            let run = rest.iter().position(|byte| *byte != 0).unwrap_or(rest.len());
            let (start, end) = (self.offset(self.at), self.offset(self.at + run));
            self.at += run;
            return Some(Piece::Blank { start, end });
        }
        match memchr(b'\n', rest) {
            Some(length) => {
                let line = &rest[..length];
                Some(self.piece(line.strip_suffix(b"\r").unwrap_or(line), self.at + length + 1))
            }
            None if self.complete && !rest.is_empty() => Some(self.piece(rest, self.data.len())),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(data: &[u8], base: u64, complete: bool) -> Vec<String> {
        LineSplitter::new(data, base, complete)
            .map(|piece| match piece {
                Piece::Line { start, end, bytes } => format!("{start}..{end} {}", String::from_utf8_lossy(bytes)),
                Piece::Blank { start, end } => format!("{start}..{end}"),
                piece => panic!("{piece:?}"),
            })
            .collect()
    }

    #[test]
    fn one_carriage_return_is_trimmed_before_a_line_feed_only() {
        assert_eq!(texts(b"a\r\nb\rc\nd\r\r\n", 10, false), ["10..13 a", "13..17 b\rc", "17..21 d\r"]);
    }

    #[test]
    fn an_unterminated_line_waits_until_no_more_can_come() {
        assert_eq!(texts(b"a\nbc", 0, false), ["0..2 a"]);
        assert_eq!(texts(b"a\nbc", 0, true), ["0..2 a", "2..4 bc"]);
        assert_eq!(texts(b"a\n", 0, true), ["0..2 a"]);
    }

    #[test]
    fn empty_lines_and_holes_of_nul_are_no_events() {
        assert_eq!(texts(b"\n\r\n\0\0\0a\0b\n\0", 5, false), ["5..6", "6..8", "8..11", "11..15 a\0b", "15..16"]);
    }

    #[test]
    fn a_byte_order_mark_is_trimmed_at_offset_zero_only() {
        assert_eq!(texts(b"\xEF\xBB\xBFa\n\xEF\xBB\xBFb\n", 0, false), ["0..5 a", "5..10 \u{FEFF}b"]);
        assert_eq!(texts(b"\xEF\xBB\xBFa\n", 5, false), ["5..10 \u{FEFF}a"]);
    }

    proptest! {
        #[test]
        fn pieces_cover_the_input_without_gaps(data in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(0), Just(b'\r'), any::<u8>()], 0..200), base in 0u64..9, complete: bool) {
            let mut at = base;
            let mut lines = LineSplitter::new(&data, base, complete);
            for piece in &mut lines {
                let (start, end) = match piece {
                    Piece::Line { start, end, bytes } => { prop_assert!(!bytes.is_empty() && !bytes.contains(&b'\n')); (start, end) }
                    Piece::Blank { start, end } => (start, end),
                    piece => panic!("{piece:?}"),
                };
                prop_assert_eq!(start, at);
                prop_assert!(end > start);
                at = end;
            }
            let left = &data[lines.consumed()..];
            prop_assert_eq!(at, base + lines.consumed() as u64);
            prop_assert!(!left.contains(&b'\n') && (left.is_empty() || !complete));
        }

        #[test]
        fn cutting_the_input_anywhere_gives_the_same_lines(data in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'x'), Just(b'\r'), any::<u8>()], 0..100), cut in 0usize..100) {
            let data: Vec<u8> = data.into_iter().filter(|byte| *byte != 0).collect();
            let cut = cut.min(data.len());
            let whole = texts(&data, 0, true);
            let mut first = LineSplitter::new(&data[..cut], 0, false);
            let mut parts: Vec<String> = Vec::new();
            for piece in &mut first { parts.push(texts_of(piece)); }
            let consumed = first.consumed();
            parts.extend(texts(&data[consumed..], consumed as u64, true));
            prop_assert_eq!(whole, parts);
        }
    }

    fn texts_of(piece: Piece<'_>) -> String {
        match piece {
            Piece::Line { start, end, bytes } => format!("{start}..{end} {}", String::from_utf8_lossy(bytes)),
            Piece::Blank { start, end } => format!("{start}..{end}"),
            piece => panic!("{piece:?}"),
        }
    }
}
