//! Reading one segment a chunk at a time: `pread` into one reused buffer, whole lines out of it.
//!
//! Every read begins with the bytes that the cursor's anchor was taken from; where they changed nothing is handed
//! out. Memory is bounded by the longest line allowed and [`CHUNK`]: the end of a longer line is looked for without
//! keeping its bytes.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::unix::fs::FileExt,
};

use memchr::memchr;

use super::{LogItem, Take};
use crate::{
    config::LineFormat,
    log::{
        Segment,
        cri::{self, LongEnd},
        identity,
        lines::{Piece, Pieces},
        position::{Anchor, Cursor, SegmentId, SegmentRange},
    },
};

/// Bytes read at a time, and a lineage's turn.
pub const CHUNK: usize = 256 * 1024;

/// The buffer, and what is known of over-long lines.
#[derive(Debug)]
pub(super) struct Chunks {
    format: LineFormat,
    max_line: usize,
    /// What a record of that length may take in the file, where that is more.
    max_raw: Option<usize>,
    buffer: Vec<u8>,
    /// The parts of a record that was written in parts.
    joined: Vec<u8>,
    /// Over-long lines whose end is not found yet.
    long: HashMap<SegmentId, Long>,
}

/// A line that is longer than allowed: where it begins, and how far its end was looked for.
#[derive(Clone, Copy, Debug)]
struct Long {
    start: u64,
    looked: u64,
}

/// What one step came to: where the cursor is now, and why it ended.
pub(super) struct Step {
    pub(super) cursor: Cursor,
    pub(super) end: StepEnd,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StepEnd {
    /// There may be more behind the cursor.
    More,
    /// Nothing whole is left.
    Dry,
    Stopped,
    /// The bytes before the cursor are not those that were read.
    Suspect,
}

impl Chunks {
    pub(super) fn new(format: LineFormat, max_line: usize) -> Self {
        let max_raw = match format {
            LineFormat::Lines => None,
            // Some tens of bytes before each part of some thousands, and a few lines of the other stream.
            LineFormat::Cri(_) => Some(max_line + max_line / 64 + 1024),
        };
        Self { format, max_line, max_raw, buffer: Vec::new(), joined: Vec::new(), long: HashMap::new() }
    }

    pub(super) fn forget_all_but(&mut self, known: &HashSet<SegmentId>) {
        self.long.retain(|id, _| known.contains(id));
    }

    /// Reads one chunk at the cursor and hands out what is whole in it. `complete`: where the bytes end for good.
    pub(super) fn step(
        &mut self,
        file: &File,
        of: &Segment,
        cursor: Cursor,
        complete: Option<u64>,
        take: &mut dyn FnMut(LogItem<'_>) -> Take,
    ) -> io::Result<Step> {
        let segment = of.id;
        let head = of.head();
        let dry = |end| Step { cursor, end };
        if let Some(long) = self.long.get(&segment).filter(|long| long.start == cursor.offset) {
            return self.skip_long(file, segment, cursor, long.looked, complete, take);
        }
        let before = cursor.anchor.map_or(0, |anchor| usize::from(anchor.len));
        let held = self.max_raw.unwrap_or(self.max_line);
        let mut want = CHUNK;
        loop {
            let limit = complete.map_or(want, |end| want.min((end - cursor.offset) as usize));
            self.buffer.resize(before + limit, 0);
            let got = read_fully(file, &mut self.buffer, cursor.offset - before as u64)?;
            let known = match cursor.anchor {
                Some(anchor) => got >= before && Anchor::of(&self.buffer[..before]) == anchor,
                None => cursor.offset > 0 || begins_with(&self.buffer[..got], &head, complete),
            };
            if !known {
                return Ok(dry(StepEnd::Suspect));
            }
            let data = &self.buffer[before..got];
            let ends_here = complete.is_some_and(|end| cursor.offset + data.len() as u64 >= end);
            let mut pieces = Pieces::new(self.format, data, cursor.offset, ends_here, &mut self.joined);
            let mut taken = 0;
            let mut stopped = false;
            while let Some(piece) = pieces.next_piece() {
                let item = self::item(segment, piece, self.max_line, self.max_raw);
                let is_record = matches!(item, LogItem::Line { .. });
                let answer = take(item);
                if answer != Take::Not {
                    taken = pieces.consumed();
                    if is_record && pieces.between() > 0 {
                        let end = cursor.offset + taken as u64;
                        take(LogItem::Other {
                            range: SegmentRange { segment, start: end, end },
                            lines: pieces.between(),
                        });
                    }
                }
                if answer != Take::More {
                    stopped = true;
                    break;
                }
            }
            if taken > 0 || stopped {
                let offset = cursor.offset + taken as u64;
                let upto = before + taken;
                let anchor = if taken == 0 { cursor.anchor } else { anchor_at(file, offset, &self.buffer[..upto])? };
                let full = got == before + limit;
                let end = if stopped {
                    StepEnd::Stopped
                } else if full || ends_here {
                    StepEnd::More
                } else {
                    StepEnd::Dry
                };
                return Ok(Step { cursor: Cursor { offset, anchor }, end });
            }
            if data.len() > held + 1 {
                let looked = match self.format {
                    LineFormat::Lines => cursor.offset + data.len() as u64,
                    LineFormat::Cri(_) => cursor.offset, // The parts are to be told apart.
                };
                self.long.insert(segment, Long { start: cursor.offset, looked });
                return Ok(dry(StepEnd::More));
            }
            if got < before + limit || data.is_empty() {
                return Ok(dry(StepEnd::Dry));
            }
            want = (want * 2).min(held + 2 + CHUNK);
        }
    }

    /// Looks for the end of a line that is longer than allowed, without keeping its bytes.
    fn skip_long(
        &mut self,
        file: &File,
        segment: SegmentId,
        cursor: Cursor,
        mut looked: u64,
        complete: Option<u64>,
        take: &mut dyn FnMut(LogItem<'_>) -> Take,
    ) -> io::Result<Step> {
        if let LineFormat::Cri(stream) = self.format {
            let start = cursor.offset;
            let Some(LongEnd { end, ours }) = cri::long_end(file, stream, start, &mut looked, complete)? else {
                self.long.insert(segment, Long { start, looked });
                return Ok(Step { cursor, end: StepEnd::Dry });
            };
            return self.take_long(file, SegmentRange { segment, start, end }, cursor, ours, take);
        }
        self.buffer.resize(CHUNK, 0);
        let end = loop {
            let limit = complete.map_or(CHUNK, |end| CHUNK.min(end.saturating_sub(looked) as usize));
            let got = read_fully(file, &mut self.buffer[..limit], looked)?;
            if let Some(at) = memchr(b'\n', &self.buffer[..got]) {
                break looked + at as u64 + 1;
            }
            looked += got as u64;
            self.long.insert(segment, Long { start: cursor.offset, looked });
            if complete.is_some_and(|end| looked >= end) {
                break looked;
            }
            if got < limit {
                return Ok(Step { cursor, end: StepEnd::Dry });
            }
        };
        self.take_long(file, SegmentRange { segment, start: cursor.offset, end }, cursor, true, take)
    }

    fn take_long(
        &mut self,
        file: &File,
        range: SegmentRange,
        cursor: Cursor,
        ours: bool,
        take: &mut dyn FnMut(LogItem<'_>) -> Take,
    ) -> io::Result<Step> {
        let answer = take(if ours { LogItem::TooLong { range } } else { LogItem::Other { range, lines: 1 } });
        if answer == Take::Not {
            return Ok(Step { cursor, end: StepEnd::Stopped });
        }
        self.long.remove(&range.segment);
        let end = if answer == Take::Last { StepEnd::Stopped } else { StepEnd::More };
        Ok(Step { cursor: identity::cursor_at(file, range.end)?, end })
    }
}

fn item(segment: SegmentId, piece: Piece<'_>, max_line: usize, max_raw: Option<usize>) -> LogItem<'_> {
    match piece {
        // What is found in one go is what would be found if it were larger than the buffer.
        Piece::Line { start, end, bytes } | Piece::Foreign { start, end, bytes }
            if bytes.len() > max_line || max_raw.is_some_and(|most| (end - start) as usize > most + 1) =>
        {
            LogItem::TooLong { range: SegmentRange { segment, start, end } }
        }
        Piece::Foreign { start, end, bytes } => {
            LogItem::Foreign { range: SegmentRange { segment, start, end }, bytes }
        }
        Piece::Other { start, end } => LogItem::Other { range: SegmentRange { segment, start, end }, lines: 1 },
        Piece::Line { start, end, bytes } => LogItem::Line { range: SegmentRange { segment, start, end }, bytes },
        Piece::Blank { start, end } => LogItem::Blank { range: SegmentRange { segment, start, end } },
    }
}

/// Whether bytes read from a file's beginning have its head, as far as they reach where they end for good.
fn begins_with(read: &[u8], head: &Cursor, complete: Option<u64>) -> bool {
    if complete.is_some_and(|end| end < head.offset) {
        return true;
    }
    read.get(..head.offset as usize).is_some_and(|read| head.anchor.is_none_or(|anchor| Anchor::of(read) == anchor))
}

/// The anchor at `offset`, from the bytes at hand where they reach back far enough.
fn anchor_at(file: &File, offset: u64, at_hand: &[u8]) -> io::Result<Option<Anchor>> {
    if at_hand.len() >= Anchor::len_at(offset) {
        return Ok(Some(Anchor::of(at_hand)));
    }
    Ok(identity::cursor_at(file, offset)?.anchor)
}

/// Reads until the buffer is full or the file ends.
pub(crate) fn read_fully(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match file.read_at(&mut buffer[got..], offset + got as u64) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}
