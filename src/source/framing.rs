//! Where records begin and end in a stream of bytes, for sources that are sent them.
//!
//! A record ends at `\n`, with one `\r` before it trimmed; or its length is stated before it, as RFC 6587 has it
//! (octet counting: `12 <record>`), which is recognised record by record. Empty records and leading NUL are nothing.
//! What always holds: whatever the pieces in which the bytes arrive, the records are the same; a record holds no
//! line feed, for it is to be a line; memory is bounded by the longest record allowed.

use memchr::memchr;

use crate::log::{RecordDigest, RecordHasher};

/// The digits of a stated length: no record is longer than 999,999,999 bytes.
const DIGITS: usize = 9;

/// Bytes of memory that may be kept for the next half record.
const KEPT: usize = 4 * 1024;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub enum FramedItem<'a> {
    Record(&'a [u8]),
    /// A record that was longer than allowed: its bytes are gone, their number and hash are not.
    TooLong(RecordDigest),
}

/// Finds records in one connection's bytes.
#[derive(Debug)]
pub struct Framer {
    most: usize,
    /// The beginning of a record of which the end has not come.
    partial: Vec<u8>,
    state: FramingState,
}

#[derive(Debug)]
enum FramingState {
    /// At the beginning of a record, or within one that ends at a line end.
    Line,
    /// Within a record of which so many bytes are to come.
    Counted(usize),
    /// Within a line that is too long.
    SkippingLine(RecordHasher),
    /// Within a record of stated length that is too long, of which so many bytes are to come.
    SkippingCounted(RecordHasher, usize),
}

/// What stands at the beginning of a record.
#[derive(Debug, PartialEq, Eq)]
enum Beginning {
    /// A length and the number of bytes that state it.
    Length { length: usize, stated_in: usize },
    /// No length.
    Line,
    /// More bytes are needed to tell.
    Unclear,
}

impl Framer {
    /// `most`: the longest record allowed, in bytes without its end.
    pub fn new(most: usize) -> Self {
        Self { most, partial: Vec::new(), state: FramingState::Line }
    }

    /// Bytes that it holds of a record whose end has not come.
    pub fn held(&self) -> usize {
        self.partial.len()
    }

    /// Whether it is within a record, of which the end has not come.
    pub fn is_within(&self) -> bool {
        !self.partial.is_empty() || !matches!(self.state, FramingState::Line)
    }

    /// Takes the next bytes and hands out what they complete.
    pub fn feed(&mut self, mut bytes: &[u8], take: &mut impl FnMut(FramedItem<'_>)) {
        while !bytes.is_empty() {
            bytes = match std::mem::replace(&mut self.state, FramingState::Line) {
                FramingState::Line => self.line(bytes, take),
                FramingState::Counted(left) => self.counted(bytes, left, take),
                FramingState::SkippingLine(skipped) => self.skip_line(bytes, skipped, take),
                FramingState::SkippingCounted(skipped, left) => self.skip_counted(bytes, skipped, left, take),
            };
        }
        // One long record must not cost its memory for as long as the client stays.
        if self.partial.capacity() > KEPT.max(2 * self.partial.len()) {
            self.partial.shrink_to(self.partial.len());
        }
    }

    /// The stream ended: what stands behind the last line end is a record too. A record of which the stated length
    /// did not come is none; true where there was one.
    pub fn finish(&mut self, take: &mut impl FnMut(FramedItem<'_>)) -> bool {
        let cut = match std::mem::replace(&mut self.state, FramingState::Line) {
            // One byte more was held, in case it was a `\r`.
            FramingState::Line if self.partial.len() > self.most => {
                take(FramedItem::TooLong(RecordDigest::of(&self.partial)));
                false
            }
            FramingState::Line => {
                record(&mut self.partial, take);
                false
            }
            FramingState::SkippingLine(skipped) => {
                take(FramedItem::TooLong(skipped.finish()));
                false
            }
            FramingState::Counted(_) | FramingState::SkippingCounted(..) => true,
        };
        self.partial.clear();
        cut
    }

    fn line<'b>(&mut self, bytes: &'b [u8], take: &mut impl FnMut(FramedItem<'_>)) -> &'b [u8] {
        if self.partial.len() <= DIGITS
            && let Some(rest) = self.length(bytes)
        {
            return rest;
        }
        let end = memchr(b'\n', bytes);
        let part = &bytes[..end.unwrap_or(bytes.len())];
        // One more, for a `\r` that is no part of it.
        if self.partial.len() + part.len() > self.most + 1 {
            let begun = std::mem::take(&mut self.partial);
            self.state = FramingState::SkippingLine(RecordHasher::default().with(&begun));
            return bytes;
        }
        if self.partial.is_empty() && end.is_some() && part.first() != Some(&0) {
            whole(part.strip_suffix(b"\r").unwrap_or(part), self.most, take);
            return &bytes[part.len() + 1..];
        }
        self.partial.extend_from_slice(part);
        if end.is_none() {
            return &[];
        }
        if self.partial.last() == Some(&b'\r') {
            self.partial.pop();
        }
        if self.partial.len() > self.most {
            take(FramedItem::TooLong(RecordDigest::of(&self.partial)));
            self.partial.clear();
        }
        record(&mut self.partial, take);
        &bytes[part.len() + 1..]
    }

    /// Where a length stands at the beginning, or may: what is behind it, or nothing until there is more.
    fn length<'b>(&mut self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        let held = self.partial.len();
        let mut first = [0; DIGITS + 1];
        let known = (held + bytes.len()).min(first.len());
        first[..held].copy_from_slice(&self.partial);
        first[held..known].copy_from_slice(&bytes[..known - held]);
        match beginning(&first[..known]) {
            Beginning::Line => None,
            Beginning::Unclear => {
                self.partial.extend_from_slice(bytes);
                Some(&[])
            }
            Beginning::Length { length, stated_in } => {
                self.partial.clear();
                self.state = if length > self.most {
                    FramingState::SkippingCounted(RecordHasher::default(), length)
                } else {
                    FramingState::Counted(length)
                };
                Some(&bytes[stated_in - held..])
            }
        }
    }

    fn counted<'b>(&mut self, bytes: &'b [u8], left: usize, take: &mut impl FnMut(FramedItem<'_>)) -> &'b [u8] {
        let (part, rest) = bytes.split_at(left.min(bytes.len()));
        self.partial.extend_from_slice(part);
        if part.len() < left {
            self.state = FramingState::Counted(left - part.len());
        } else {
            // Some count the line end that they send all the same.
            while self.partial.last() == Some(&b'\n') {
                self.partial.pop();
            }
            if self.partial.last() == Some(&b'\r') {
                self.partial.pop();
            }
            record(&mut self.partial, take);
        }
        rest
    }

    fn skip_line<'b>(
        &mut self,
        bytes: &'b [u8],
        skipped: RecordHasher,
        take: &mut impl FnMut(FramedItem<'_>),
    ) -> &'b [u8] {
        match memchr(b'\n', bytes) {
            None => {
                self.state = FramingState::SkippingLine(skipped.with(bytes));
                &[]
            }
            Some(end) => {
                take(FramedItem::TooLong(skipped.with(&bytes[..end]).finish()));
                &bytes[end + 1..]
            }
        }
    }

    fn skip_counted<'b>(
        &mut self,
        bytes: &'b [u8],
        skipped: RecordHasher,
        left: usize,
        take: &mut impl FnMut(FramedItem<'_>),
    ) -> &'b [u8] {
        let (part, rest) = bytes.split_at(left.min(bytes.len()));
        let skipped = skipped.with(part);
        match left - part.len() {
            0 => take(FramedItem::TooLong(skipped.finish())),
            left => self.state = FramingState::SkippingCounted(skipped, left),
        }
        rest
    }
}

/// Hands out a record that was put together, and forgets it.
fn record(partial: &mut Vec<u8>, take: &mut impl FnMut(FramedItem<'_>)) {
    for byte in partial.iter_mut().filter(|byte| **byte == b'\n') {
        *byte = b' ';
    }
    let blank = partial.iter().take_while(|byte| **byte == 0).count();
    if partial.len() > blank {
        take(FramedItem::Record(&partial[blank..]));
    }
    partial.clear();
}

/// Hands out a record that came in one piece.
fn whole(record: &[u8], most: usize, take: &mut impl FnMut(FramedItem<'_>)) {
    match record {
        [] => {}
        long if long.len() > most => take(FramedItem::TooLong(RecordDigest::of(long))),
        record => take(FramedItem::Record(record)),
    }
}

fn beginning(bytes: &[u8]) -> Beginning {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match bytes.get(digits) {
        _ if bytes.first() == Some(&b'0') || digits > DIGITS => Beginning::Line,
        None => Beginning::Unclear,
        Some(b' ') if digits > 0 => {
            let length = bytes[..digits].iter().fold(0, |length, digit| 10 * length + usize::from(digit - b'0'));
            Beginning::Length { length, stated_in: digits + 1 }
        }
        Some(_) => Beginning::Line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(pieces: &[&[u8]], most: usize) -> Vec<String> {
        let mut framer = Framer::new(most);
        let mut found = Vec::new();
        let mut take = |frame: FramedItem<'_>| {
            found.push(match frame {
                FramedItem::Record(record) => String::from_utf8_lossy(record).into_owned(),
                FramedItem::TooLong(digest) => format!("-{}", digest.bytes),
            });
        };
        for piece in pieces {
            framer.feed(piece, &mut take);
        }
        let cut = framer.finish(&mut take);
        if cut {
            found.push("cut".to_owned());
        }
        found
    }

    #[test]
    fn lines_and_stated_lengths_may_follow_each_other() {
        assert_eq!(
            frames(&[b"one\r\ntwo\n\n\r\n5 three4 four\nfive\n3 six"], 100),
            ["one", "two", "three", "four", "five", "six"]
        );
        assert_eq!(
            frames(&[b"42\n{\"a\":1}\n007 x\n1234567890 x\n"], 100),
            ["42", "{\"a\":1}", "007 x", "1234567890 x"]
        );
    }

    #[test]
    fn what_is_no_line_end_is_part_of_the_record_and_a_record_is_one_line() {
        assert_eq!(frames(&[b"a\rb\r\r\n"], 100), ["a\rb\r"]);
        assert_eq!(frames(&[b"\0\0a\0b\n\0\n"], 100), ["a\0b"]);
        assert_eq!(frames(&[b"8 a\nb\r\nc\n\n"], 100), ["a b\r c"]);
    }

    #[test]
    fn a_record_at_the_limit_is_taken_and_a_longer_one_leaves_its_length_and_the_next_is_whole() {
        let input = b"12345\r\n123456\nok\n5 123456 123456ok\n".as_slice();
        assert_eq!(frames(&[input], 5), ["12345", "-6", "ok", "12345", "-6", "ok"]);
        assert_eq!(frames(&[b"999999999 abc"], 5), ["cut"]);
        assert_eq!(frames(&[&[b'x'; 100]], 5), ["-100"]);
        assert_eq!(frames(&[b"ok\n123456"], 5), ["ok", "-6"]);
        let mut digests = Vec::new();
        Framer::new(2).feed(b"abc\n", &mut |frame| {
            if let FramedItem::TooLong(digest) = frame {
                digests.push(digest);
            }
        });
        assert_eq!(digests, [RecordDigest::of(b"abc")]);
    }

    #[test]
    fn the_end_of_the_stream_ends_a_line_and_not_a_record_of_stated_length() {
        assert_eq!(frames(&[b"one\ntwo"], 100), ["one", "two"]);
        assert_eq!(frames(&[b"one\n7 two"], 100), ["one", "cut"]);
        assert_eq!(frames(&[b"12"], 100), ["12"]);
    }

    #[test]
    fn no_more_is_held_than_a_record_may_have() {
        let mut framer = Framer::new(1000);
        for _ in 0..1000 {
            framer.feed(&[b'x'; 777], &mut |_| panic!("there is no end"));
            assert!(framer.held() <= 1001);
        }
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(
            records in proptest::collection::vec(("[ -~\\r\\x00]{0,30}", any::<bool>()), 0..20),
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20),
        ) {
            let mut input = Vec::new();
            for (record, counted) in &records {
                if *counted && !record.is_empty() {
                    input.extend_from_slice(format!("{} {record}", record.len()).as_bytes());
                } else {
                    input.extend_from_slice(format!("{record}\n").as_bytes());
                }
            }
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
            at.extend([0, input.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
            prop_assert_eq!(frames(&pieces, 20), frames(&[&input], 20));
        }
    }
}
