//! The one reader: it hands a log's lines to a forwarder, from the forwarder's own cursors.
//!
//! It reads with `pread` into one reused buffer and gives out slices of it; a line is not copied here. Every
//! read begins with the bytes that the cursor's anchor was taken from, and hands nothing out where they changed:
//! the file is another life then, and a scan is asked for. Segments of one lineage are read oldest first,
//! lineages take turns of [`CHUNK`] bytes, so a large file does not starve small ones.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use memchr::memchr;
use tracing::warn;

use super::{
    Log, Segment, State, identity,
    lines::{Lines, Piece},
    position::{Anchor, Mark, Range, SegmentId, Span},
};

/// Bytes read at a time, and a lineage's turn.
pub const CHUNK: usize = 256 * 1024;

/// How long a file that could not be read is left alone.
const FAULT_PAUSE: Duration = Duration::from_secs(1);

/// What stands in a log.
#[derive(Debug)]
pub enum Item<'a> {
    /// A line without its end. The range covers the line end too.
    Line { range: Range, bytes: &'a [u8] },
    /// An empty line or a run of NUL: no event.
    Blank { range: Range },
    /// A line longer than the source allows; its bytes stay in the file.
    TooLong { range: Range },
    /// Bytes that are gone before they were read.
    Gap { range: Range },
}

/// The taker's answer to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// Taken, go on.
    More,
    /// Taken, stop here.
    Last,
    /// Not taken: stop before it.
    Not,
}

/// Why a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadEnd {
    /// Nothing whole is left to read now.
    CaughtUp,
    /// The taker stopped it.
    Stopped,
    /// The budget of bytes is used up; there is more.
    Budget,
}

#[derive(Debug)]
pub struct Reader {
    log: Log,
    max_line: usize,
    cursors: BTreeMap<SegmentId, Mark>,
    /// Segments without a whole line past the cursor, at this size and in this state.
    waiting: HashMap<SegmentId, (u64, State)>,
    /// Over-long lines whose end is not found yet: how far it was looked for.
    long: HashMap<SegmentId, u64>,
    faults: HashMap<SegmentId, Instant>,
    buffer: Vec<u8>,
    last_turn: SegmentId,
}

impl Reader {
    /// A reader that stands at `cursors`, and at its beginning in every other segment.
    pub fn new(log: Log, max_line: usize, cursors: BTreeMap<SegmentId, Mark>) -> Self {
        Self {
            log,
            max_line,
            cursors,
            waiting: HashMap::new(),
            long: HashMap::new(),
            faults: HashMap::new(),
            buffer: Vec::new(),
            last_turn: SegmentId(0),
        }
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Where it stands in a segment that it has read from.
    pub fn mark(&self, segment: SegmentId) -> Option<Mark> {
        self.cursors.get(&segment).copied()
    }

    /// Bytes of the log that are past the cursors, unterminated lines among them.
    pub fn unread_bytes(&self) -> u64 {
        self.log.segments().iter().map(|segment| segment.size().saturating_sub(self.offset(segment))).sum()
    }

    /// Whether a read may find something.
    pub fn has_more(&self) -> bool {
        self.log.segments().iter().any(|segment| self.is_ready(segment))
    }

    /// Hands out items until the taker stops it, `budget` bytes are read, or nothing whole is left.
    /// Blocks on the file system.
    pub fn read(&mut self, budget: usize, take: &mut dyn FnMut(Item<'_>) -> Take) -> ReadEnd {
        let mut left = budget;
        loop {
            let mut turns = self.turns();
            if turns.is_empty() {
                self.forget_released();
                return ReadEnd::CaughtUp;
            }
            while let Some(segment) = turns.pop_front() {
                if left == 0 {
                    return ReadEnd::Budget;
                }
                self.last_turn = segment.id;
                let before = self.offset(&segment);
                let stopped = match self.turn(&segment, take) {
                    Ok(stopped) => stopped,
                    Err(error) => {
                        self.fault(&segment, &error);
                        false
                    }
                };
                left = left.saturating_sub((self.offset(&segment) - before) as usize);
                if stopped {
                    return ReadEnd::Stopped;
                }
                if self.is_ready(&segment) {
                    turns.push_back(segment);
                }
            }
        }
    }

    /// Hands out a span again, exactly as it was read, without moving the cursors. `Err` where a part of it is gone.
    pub fn read_again(&mut self, span: &Span, take: &mut dyn FnMut(Item<'_>)) -> io::Result<()> {
        let segments = self.log.segments();
        for range in &span.0 {
            let segment = segments.iter().find(|segment| segment.id == range.segment).ok_or_else(|| {
                io::Error::new(io::ErrorKind::NotFound, format!("segment {} is gone", range.segment))
            })?;
            if segment.state() == State::Gone {
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    format!("the bytes of segment {} are gone", segment.id),
                ));
            }
            let file = segment.open()?;
            let mut cursor = Mark { offset: range.start, anchor: None };
            while cursor.offset < range.end {
                let mut take_all = |item: Item<'_>| {
                    take(item);
                    Take::More
                };
                let step = self.step(&file, segment, cursor, Some(range.end), &mut take_all)?;
                if step.cursor.offset == cursor.offset {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        format!("segment {} is shorter than it was", segment.id),
                    ));
                }
                cursor = step.cursor;
            }
        }
        Ok(())
    }

    /// Stands before a record again that was taken and could not be dealt with; it is left alone for a moment.
    pub fn put_back(&mut self, range: Range) {
        self.cursors.insert(range.segment, Mark { offset: range.start, anchor: None });
        self.faults.insert(range.segment, Instant::now());
    }

    fn offset(&self, segment: &Segment) -> u64 {
        self.cursors.get(&segment.id).map_or(segment.start.offset, |mark| mark.offset)
    }

    fn is_ready(&self, segment: &Segment) -> bool {
        let size = segment.size();
        size > self.offset(segment)
            && self.waiting.get(&segment.id) != Some(&(size, segment.state()))
            && self.faults.get(&segment.id).is_none_or(|at| at.elapsed() >= FAULT_PAUSE)
    }

    /// The oldest ready segment of each lineage, beginning behind the last turn.
    fn turns(&self) -> VecDeque<Arc<Segment>> {
        let mut lineages: HashSet<Arc<Path>> = HashSet::new();
        let mut turns: VecDeque<_> = VecDeque::new();
        for segment in self.log.segments().iter() {
            if self.is_ready(segment) && lineages.insert(segment.lineage.clone()) {
                turns.push_back(segment.clone());
            }
        }
        let behind = turns.iter().take_while(|segment| segment.id <= self.last_turn).count();
        turns.rotate_left(behind % turns.len().max(1));
        turns
    }

    /// One lineage's turn; true where the taker stopped it.
    fn turn(&mut self, segment: &Segment, take: &mut dyn FnMut(Item<'_>) -> Take) -> io::Result<bool> {
        let (state, size) = (segment.state(), segment.size());
        let cursor = self.cursors.get(&segment.id).copied().unwrap_or(segment.start);
        if state == State::Gone {
            let range = Range { segment: segment.id, start: cursor.offset, end: size };
            let answer = take(Item::Gap { range });
            if answer != Take::Not {
                self.cursors.insert(segment.id, Mark { offset: size, anchor: None });
            }
            return Ok(answer != Take::More);
        }
        let file = match segment.open() {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.waiting.insert(segment.id, (size, state));
                self.log.scan_soon();
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let complete = (state == State::Sealed).then_some(size);
        let step = self.step(&file, segment, cursor, complete, take)?;
        self.faults.remove(&segment.id);
        if step.cursor.offset > cursor.offset {
            self.cursors.insert(segment.id, step.cursor);
        }
        match step.end {
            StepEnd::Suspect => {
                self.waiting.insert(segment.id, (size, state));
                self.log.suspect(segment.id, if cursor.offset == 0 { segment.head() } else { cursor });
            }
            // The size at the time of the look, not now: what came in between makes the segment ready again.
            StepEnd::Dry => {
                self.waiting.insert(segment.id, (size, state));
            }
            StepEnd::More | StepEnd::Stopped => {}
        }
        Ok(step.end == StepEnd::Stopped)
    }

    fn fault(&mut self, segment: &Segment, error: &io::Error) {
        if self.faults.insert(segment.id, Instant::now()).is_none() {
            warn!(
                source = %self.log.name, path = %segment.path().display(), %error,
                "cannot read the file; its events wait, reading is tried again every second"
            );
        }
    }

    fn forget_released(&mut self) {
        let known: HashSet<SegmentId> = self.log.segments().iter().map(|segment| segment.id).collect();
        if known.is_empty() {
            return; // Nothing may be published yet.
        }
        self.cursors.retain(|id, _| known.contains(id));
        self.waiting.retain(|id, _| known.contains(id));
        self.long.retain(|id, _| known.contains(id));
        self.faults.retain(|id, _| known.contains(id));
    }

    /// Reads one chunk at the cursor and hands out what is whole in it. `complete`: where the bytes end for good.
    fn step(
        &mut self,
        file: &File,
        of: &Segment,
        cursor: Mark,
        complete: Option<u64>,
        take: &mut dyn FnMut(Item<'_>) -> Take,
    ) -> io::Result<Step> {
        let segment = of.id;
        let head = of.head();
        let dry = |end| Step { cursor, end };
        if let Some(looked) = self.long.get(&segment).copied().filter(|looked| *looked > cursor.offset) {
            return self.skip_long(file, segment, cursor, looked, complete, take);
        }
        let before = cursor.anchor.map_or(0, |anchor| usize::from(anchor.len));
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
            let mut lines = Lines::new(data, cursor.offset, ends_here);
            let mut taken = 0;
            let mut stopped = false;
            while let Some(piece) = lines.next() {
                let answer = take(self::item(segment, piece, self.max_line));
                if answer != Take::Not {
                    taken = lines.consumed();
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
                return Ok(Step { cursor: Mark { offset, anchor }, end });
            }
            if data.len() > self.max_line + 1 {
                let looked = cursor.offset + data.len() as u64;
                self.long.insert(segment, looked);
                return Ok(dry(StepEnd::More));
            }
            if got < before + limit || data.is_empty() {
                return Ok(dry(StepEnd::Dry));
            }
            want = (want * 2).min(self.max_line + 2 + CHUNK);
        }
    }

    /// Looks for the end of a line that is longer than allowed, without keeping its bytes.
    fn skip_long(
        &mut self,
        file: &File,
        segment: SegmentId,
        cursor: Mark,
        mut looked: u64,
        complete: Option<u64>,
        take: &mut dyn FnMut(Item<'_>) -> Take,
    ) -> io::Result<Step> {
        self.buffer.resize(CHUNK, 0);
        let end = loop {
            let limit = complete.map_or(CHUNK, |end| CHUNK.min(end.saturating_sub(looked) as usize));
            let got = read_fully(file, &mut self.buffer[..limit], looked)?;
            if let Some(at) = memchr(b'\n', &self.buffer[..got]) {
                break looked + at as u64 + 1;
            }
            looked += got as u64;
            self.long.insert(segment, looked);
            if complete.is_some_and(|end| looked >= end) {
                break looked;
            }
            if got < limit {
                return Ok(Step { cursor, end: StepEnd::Dry });
            }
        };
        let range = Range { segment, start: cursor.offset, end };
        let answer = take(Item::TooLong { range });
        if answer == Take::Not {
            return Ok(Step { cursor, end: StepEnd::Stopped });
        }
        self.long.remove(&segment);
        let end = if answer == Take::Last { StepEnd::Stopped } else { StepEnd::More };
        Ok(Step { cursor: identity::mark_at(file, range.end)?, end })
    }
}

struct Step {
    cursor: Mark,
    end: StepEnd,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum StepEnd {
    /// There may be more behind the cursor.
    More,
    /// Nothing whole is left.
    Dry,
    Stopped,
    /// The bytes before the cursor are not those that were read.
    Suspect,
}

fn item(segment: SegmentId, piece: Piece<'_>, max_line: usize) -> Item<'_> {
    match piece {
        Piece::Line { start, end, bytes } if bytes.len() > max_line => {
            Item::TooLong { range: Range { segment, start, end } }
        }
        Piece::Line { start, end, bytes } => Item::Line { range: Range { segment, start, end }, bytes },
        Piece::Blank { start, end } => Item::Blank { range: Range { segment, start, end } },
    }
}

/// Whether bytes read from a file's beginning have its head, as far as they reach where they end for good.
fn begins_with(read: &[u8], head: &Mark, complete: Option<u64>) -> bool {
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
    Ok(identity::mark_at(file, offset)?.anchor)
}

/// Reads until the buffer is full or the file ends.
fn read_fully(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
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
