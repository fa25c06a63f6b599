//! Where lines begin and end in a run of bytes.
//!
//! A line ends at `\n`; one `\r` before it is trimmed. Lines of nothing but white space, and runs of NUL where a line would begin (the
//! hole that copytruncate leaves under a writer that kept its offset), are no events but move the cursor. A byte
//! order mark at offset 0 belongs to the first line and is trimmed from it.
//!
//! What always holds: which items a run of bytes gives depends on those bytes alone, not on how many of them were
//! there when a reader first looked. A record is too long by its own bytes, never because more followed.

use memchr::memchr;

use super::{
    cri::{MAX_HEAD, Records},
    item::{ItemKind, LogItem},
    position::{SegmentId, SegmentRange},
    reader::Take,
};
use crate::config::LineFormat;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Bytes of a segment that are at hand.
#[derive(Clone, Copy, Debug)]
pub struct SegmentBytes<'a> {
    pub segment: SegmentId,
    /// The offset of the first byte, where an item begins.
    pub start: u64,
    pub bytes: &'a [u8],
    /// No more bytes will come: what stands after the last `\n` is a line.
    pub is_complete: bool,
}

impl<'a> SegmentBytes<'a> {
    /// An item that covers the bytes at `places`.
    pub(super) fn item<'i>(&self, places: std::ops::Range<usize>, kind: ItemKind<'i>) -> LogItem<'i> {
        let [start, end] = [places.start, places.end].map(|at| self.start + at as u64);
        LogItem::new(SegmentRange { segment: self.segment, start, end }, kind)
    }

    /// The bytes that an item of this run covers.
    pub fn of(&self, range: SegmentRange) -> &'a [u8] {
        &self.bytes[(range.start - self.start) as usize..(range.end - self.start) as usize]
    }
}

/// How the lines of a source look: their format, and how long one may be.
#[derive(Clone, Copy, Debug)]
pub struct LineShape {
    pub format: LineFormat,
    max_line: usize,
    /// What a record of that length may take in its file; no bound of its own for plain lines.
    max_raw: u64,
}

/// How far the items of a run of bytes were taken.
#[derive(Clone, Copy, Debug)]
pub struct HandedOut {
    /// How many bytes the items cover that were taken.
    pub taken: usize,
    /// The taker wants no more.
    pub stopped: bool,
}

impl LineShape {
    pub fn new(format: LineFormat, max_line: usize) -> Self {
        let max_raw = match format {
            LineFormat::Lines => u64::MAX,
            // Some tens of bytes before each part of some thousands, a few lines of the other stream, a line end.
            LineFormat::Cri(_) => (max_line + max_line / 64 + 1024 + 1) as u64,
        };
        Self { format, max_line, max_raw }
    }

    /// Where more bytes than this are at hand and give no item, the record that begins there is too long.
    pub fn most_held(&self) -> usize {
        match self.format {
            LineFormat::Lines => BYTE_ORDER_MARK.len() + self.max_line + 1,
            // Only by its head can the line after a record be told to belong to it.
            LineFormat::Cri(_) => self.max_raw as usize + MAX_HEAD,
        }
    }

    /// The items of a run of bytes. `joined` is memory for records that were written in parts.
    pub fn items<'a>(&self, of: SegmentBytes<'a>, joined: &'a mut Vec<u8>) -> LogItems<'a> {
        let splitter = match self.format {
            LineFormat::Lines => FormatSplitter::Lines(LineSplitter::new(of)),
            LineFormat::Cri(stream) => FormatSplitter::Cri(Records::new(of, stream, joined)),
        };
        LogItems { splitter, shape: *self }
    }

    /// Hands out the items of a run of bytes until the taker stops it.
    pub fn hand_out(
        &self,
        of: SegmentBytes<'_>,
        joined: &mut Vec<u8>,
        take: &mut dyn FnMut(LogItem<'_>) -> Take,
    ) -> HandedOut {
        let mut items = self.items(of, joined);
        let mut taken = 0;
        while let Some(item) = items.next_item() {
            let is_record = matches!(item.kind, ItemKind::Line(_) | ItemKind::Blank);
            let answer = take(item);
            if answer != Take::Not {
                taken = items.consumed();
                let between = items.between();
                if is_record && between > 0 {
                    take(of.item(taken..taken, ItemKind::Other(between)));
                }
            }
            if answer != Take::More {
                return HandedOut { taken, stopped: true };
            }
        }
        HandedOut { taken, stopped: false }
    }

    /// What is found in one go is what would be found if it were larger than the memory for it.
    fn limited<'i>(&self, item: LogItem<'i>) -> LogItem<'i> {
        match item.kind {
            ItemKind::Line(bytes) | ItemKind::Foreign(bytes)
                if bytes.len() > self.max_line || item.range.len() > self.max_raw =>
            {
                LogItem::new(item.range, ItemKind::TooLong)
            }
            // A record whose parts are all empty is one, too.
            ItemKind::Line(bytes) if is_blank(bytes) => LogItem::new(item.range, ItemKind::Blank),
            _ => item,
        }
    }
}

/// The items of a run of bytes, in the format of its file.
#[derive(Debug)]
pub struct LogItems<'a> {
    splitter: FormatSplitter<'a>,
    shape: LineShape,
}

#[derive(Debug)]
enum FormatSplitter<'a> {
    Lines(LineSplitter<'a>),
    Cri(Records<'a>),
}

impl LogItems<'_> {
    pub fn next_item(&mut self) -> Option<LogItem<'_>> {
        let item = match &mut self.splitter {
            FormatSplitter::Lines(lines) => lines.next(),
            FormatSplitter::Cri(records) => records.next_item(),
        };
        item.map(|item| self.shape.limited(item))
    }

    /// How many bytes the items given so far cover.
    pub fn consumed(&self) -> usize {
        match &self.splitter {
            FormatSplitter::Lines(lines) => lines.consumed(),
            FormatSplitter::Cri(records) => records.consumed(),
        }
    }

    /// Whether the record that was given last has no last part because no more bytes come.
    pub fn is_cut(&self) -> bool {
        matches!(&self.splitter, FormatSplitter::Cri(records) if records.is_cut())
    }

    /// Whether there was no item because the bytes end amid a record, behind a whole line.
    pub fn is_open(&self) -> bool {
        matches!(&self.splitter, FormatSplitter::Cri(records) if records.is_open())
    }

    /// Lines of a stream that is not read, between the parts of the item that was given last.
    pub fn between(&self) -> u64 {
        match &self.splitter {
            FormatSplitter::Lines(_) => 0,
            FormatSplitter::Cri(records) => records.between(),
        }
    }
}

/// Iterates over the whole lines of a run of bytes.
#[derive(Debug)]
pub struct LineSplitter<'a> {
    of: SegmentBytes<'a>,
    at: usize,
}

impl<'a> LineSplitter<'a> {
    pub fn new(of: SegmentBytes<'a>) -> Self {
        Self { of, at: 0 }
    }

    /// How many bytes the items given so far cover.
    pub fn consumed(&self) -> usize {
        self.at
    }

    fn item(&mut self, bytes: &'a [u8], end: usize) -> LogItem<'a> {
        let bytes = without_mark(bytes, self.of.start + self.at as u64);
        self.upto(end, if bytes.is_empty() { ItemKind::Blank } else { ItemKind::Line(bytes) })
    }

    fn upto(&mut self, end: usize, kind: ItemKind<'a>) -> LogItem<'a> {
        let start = std::mem::replace(&mut self.at, end);
        self.of.item(start..end, kind)
    }
}

impl<'a> Iterator for LineSplitter<'a> {
    type Item = LogItem<'a>;

    fn next(&mut self) -> Option<LogItem<'a>> {
        let rest = &self.of.bytes[self.at..];
        if rest.first() == Some(&0) {
            let run = rest.iter().position(|byte| *byte != 0).unwrap_or(rest.len());
            return Some(self.upto(self.at + run, ItemKind::Blank));
        }
        match memchr(b'\n', rest) {
            Some(length) => {
                let line = &rest[..length];
                Some(self.item(line.strip_suffix(b"\r").unwrap_or(line), self.at + length + 1))
            }
            None if self.of.is_complete && !rest.is_empty() => Some(self.item(rest, self.of.bytes.len())),
            None => None,
        }
    }
}

/// Whether it is nothing but white space: such a line is no event in any format.
pub fn is_blank(line: &[u8]) -> bool {
    line.first().is_none_or(|first| first.is_ascii_whitespace() && line.trim_ascii_start().is_empty())
}

/// A line that begins at this offset, without the byte order mark of its file.
pub fn without_mark(line: &[u8], start: u64) -> &[u8] {
    if start == 0 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::CriStream;

    fn splitter(bytes: &[u8], start: u64, is_complete: bool) -> LineSplitter<'_> {
        LineSplitter::new(SegmentBytes { segment: SegmentId(1), start, bytes, is_complete })
    }

    fn texts(data: &[u8], start: u64, is_complete: bool) -> Vec<String> {
        splitter(data, start, is_complete).map(text).collect()
    }

    fn text(LogItem { range: SegmentRange { start, end, .. }, kind, .. }: LogItem<'_>) -> String {
        match kind {
            ItemKind::Line(bytes) => format!("{start}..{end} {}", String::from_utf8_lossy(bytes)),
            ItemKind::Blank => format!("{start}..{end}"),
            kind => panic!("{kind:?}"),
        }
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
    fn white_space_alone_is_no_event_in_any_format() {
        for line in ["", " ", "\t \t", " \r", "\u{c}"] {
            assert!(is_blank(line.as_bytes()), "{line:?}");
        }
        for line in ["x", " x", "\u{a0}", "\u{1}", "0"] {
            assert!(!is_blank(line.as_bytes()), "{line:?}");
        }
        let time = "2026-11-22T04:00:00.000000001Z stdout";
        for (format, text) in [
            (LineFormat::Lines, "  \n\t\r\n \n".to_owned()),
            (LineFormat::Cri(CriStream::Stdout), format!("{time} F  \t\n \n{time} P \n\t\n{time} F  \n  ")),
        ] {
            let of = SegmentBytes { segment: SegmentId(1), start: 0, bytes: text.as_bytes(), is_complete: true };
            let mut ends = Vec::new();
            LineShape::new(format, 100).hand_out(of, &mut Vec::new(), &mut |item| {
                assert_eq!(item.kind, ItemKind::Blank, "{text:?}");
                ends.push(item.range.end);
                Take::More
            });
            assert_eq!(ends.last(), Some(&(text.len() as u64)), "{text:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_trimmed_at_offset_zero_only() {
        assert_eq!(texts(b"\xEF\xBB\xBFa\n\xEF\xBB\xBFb\n", 0, false), ["0..5 a", "5..10 \u{FEFF}b"]);
        assert_eq!(texts(b"\xEF\xBB\xBFa\n", 5, false), ["5..10 \u{FEFF}a"]);
    }

    proptest! {
        #[test]
        fn items_cover_the_input_without_gaps(data in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(0), Just(b'\r'), any::<u8>()], 0..200), base in 0u64..9, complete: bool) {
            let mut at = base;
            let mut lines = splitter(&data, base, complete);
            for item in &mut lines {
                match item.kind {
                    ItemKind::Line(bytes) => prop_assert!(!bytes.is_empty() && !bytes.contains(&b'\n')),
                    kind => prop_assert_eq!(kind, ItemKind::Blank),
                }
                prop_assert_eq!(item.range.start, at);
                prop_assert!(!item.range.is_empty());
                at = item.range.end;
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
            let mut first = splitter(&data[..cut], 0, false);
            let mut parts: Vec<String> = first.by_ref().map(text).collect();
            let consumed = first.consumed();
            parts.extend(texts(&data[consumed..], consumed as u64, true));
            prop_assert_eq!(whole, parts);
        }
    }
}
