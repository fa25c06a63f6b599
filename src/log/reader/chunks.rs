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

use super::Take;
use crate::log::{
    ItemKind, LogItem, Segment, data_end, identity,
    lines::{HandedOut, LineShape, SegmentBytes},
    long::{LongEnd, LongRecord},
    position::{Anchor, Cursor, SegmentId, SegmentRange},
};

/// Bytes read at a time, and a lineage's turn.
pub const CHUNK: usize = 256 * 1024;

/// The buffer, and what is known of over-long lines.
#[derive(Debug)]
pub(super) struct Chunks {
    shape: LineShape,
    pub(super) buffer: Vec<u8>,
    /// The parts of a record that was written in parts.
    pub(super) joined: Vec<u8>,
    /// Over-long lines whose end is not found yet, and how often their segment had been cut.
    long: HashMap<SegmentId, (u32, LongRecord)>,
}

/// How far a segment is read: never further than a scan has seen of it, for what stands there may be room that its
/// writer has taken, and not filled yet.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    pub(super) end: u64,
    /// No bytes will follow: what stands behind the last line end is a line.
    pub(super) is_complete: bool,
    /// As the segment's extent has it.
    pub(super) cuts: u32,
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
    pub(super) fn new(shape: LineShape) -> Self {
        Self { shape, buffer: Vec::new(), joined: Vec::new(), long: HashMap::new() }
    }

    pub(super) fn forget_all_but(&mut self, known: &HashSet<SegmentId>) {
        self.long.retain(|id, _| known.contains(id));
    }

    pub(super) fn shape(&self) -> LineShape {
        self.shape
    }

    /// Reads one chunk at the cursor and hands out what is whole in it.
    pub(super) fn step(
        &mut self,
        file: &File,
        of: &Segment,
        cursor: Cursor,
        reach: Reach,
        take: &mut dyn FnMut(LogItem<'_>) -> Take,
    ) -> io::Result<Step> {
        let segment = of.id;
        let head = of.head();
        let dry = |end| Step { cursor, end };
        let is_this = |(cuts, long): &(u32, LongRecord)| *cuts == reach.cuts && long.start() == cursor.offset;
        if let Some((_, long)) = self.long.get(&segment).copied().filter(is_this) {
            return self.skip_long(file, segment, cursor, long, reach, take);
        }
        let before = cursor.anchor.map_or(0, |anchor| usize::from(anchor.len));
        let most_held = self.shape.most_held();
        let mut want = CHUNK;
        loop {
            let limit = want.min((reach.end - cursor.offset) as usize);
            self.buffer.resize(before + limit, 0);
            let got = read_fully(file, &mut self.buffer, cursor.offset - before as u64)?;
            let known = match cursor.anchor {
                Some(anchor) => got >= before && Anchor::of(&self.buffer[..before]) == anchor,
                None => cursor.offset > 0 || begins_with(&self.buffer[..got], &head, reach.end),
            };
            if !known {
                return Ok(dry(StepEnd::Suspect));
            }
            let data = &self.buffer[before..got];
            if let Some(hole) = hole_end(file, cursor.offset, data, reach)? {
                return pass_hole(file, segment, cursor, hole, take);
            }
            let is_all = cursor.offset + data.len() as u64 >= reach.end;
            let ends_here = reach.is_complete && is_all;
            let of = SegmentBytes { segment, start: cursor.offset, bytes: data, is_complete: ends_here };
            let HandedOut { taken, stopped } = self.shape.hand_out(of, &mut self.joined, take);
            if taken > 0 || stopped {
                let offset = cursor.offset + taken as u64;
                let upto = before + taken;
                let anchor = if taken == 0 { cursor.anchor } else { anchor_at(file, offset, &self.buffer[..upto])? };
                let full = got == before + limit && !is_all;
                let end = if stopped {
                    StepEnd::Stopped
                } else if full || ends_here {
                    StepEnd::More
                } else {
                    StepEnd::Dry
                };
                return Ok(Step { cursor: Cursor { offset, anchor }, end });
            }
            if data.len() > most_held {
                self.long.insert(segment, (reach.cuts, LongRecord::new(self.shape.format, cursor.offset)));
                return Ok(dry(StepEnd::More));
            }
            if got < before + limit || is_all {
                return Ok(dry(StepEnd::Dry));
            }
            want = (want * 2).min(most_held + 1 + CHUNK);
        }
    }

    /// Looks for the end of a record that is longer than allowed, without keeping its bytes.
    fn skip_long(
        &mut self,
        file: &File,
        segment: SegmentId,
        cursor: Cursor,
        mut long: LongRecord,
        reach: Reach,
        take: &mut dyn FnMut(LogItem<'_>) -> Take,
    ) -> io::Result<Step> {
        self.buffer.resize(CHUNK, 0);
        let LongEnd { end, is_ours, .. } = loop {
            let from = long.looked();
            let limit = CHUNK.min(reach.end.saturating_sub(from) as usize);
            let got = read_fully(file, &mut self.buffer[..limit], from)?;
            let is_all = from + got as u64 >= reach.end;
            if let Some(end) = long.feed(&self.buffer[..got], reach.is_complete && is_all) {
                break end;
            }
            if let Some(hole) = hole_end(file, from, &self.buffer[..got], reach)?.filter(|_| !is_all) {
                long.pass_hole(hole);
            }
            self.long.insert(segment, (reach.cuts, long));
            if got < limit || is_all {
                return Ok(Step { cursor, end: StepEnd::Dry });
            }
        };
        let range = SegmentRange { segment, start: cursor.offset, end };
        let answer = take(LogItem::new(range, if is_ours { ItemKind::TooLong } else { ItemKind::Other(1) }));
        if answer == Take::Not {
            return Ok(Step { cursor, end: StepEnd::Stopped });
        }
        self.long.remove(&segment);
        let stopped = if answer == Take::Last { StepEnd::Stopped } else { StepEnd::More };
        Ok(Step { cursor: identity::cursor_at(file, end)?, end: stopped })
    }
}

/// Where the hole ends, or the written zeros, with which what was read at `offset` begins, if it is as large as all of
/// that.
fn hole_end(file: &File, offset: u64, read: &[u8], reach: Reach) -> io::Result<Option<u64>> {
    if read.len() < CHUNK || read[0] != 0 || data_end::data_len(read) > 0 {
        return Ok(None);
    }
    data_end::next_data(file, offset + read.len() as u64, reach.end).map(Some)
}

/// Hands out a hole without reading it.
fn pass_hole(
    file: &File,
    segment: SegmentId,
    cursor: Cursor,
    end: u64,
    take: &mut dyn FnMut(LogItem<'_>) -> Take,
) -> io::Result<Step> {
    let range = SegmentRange { segment, start: cursor.offset, end };
    Ok(match take(LogItem::new(range, ItemKind::Blank)) {
        Take::Not => Step { cursor, end: StepEnd::Stopped },
        Take::Last => Step { cursor: identity::cursor_at(file, end)?, end: StepEnd::Stopped },
        Take::More => Step { cursor: identity::cursor_at(file, end)?, end: StepEnd::More },
    })
}

/// Whether bytes read from a file's beginning have its head, as far as they reach.
pub(super) fn begins_with(read: &[u8], head: &Cursor, end: u64) -> bool {
    if end < head.offset {
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
