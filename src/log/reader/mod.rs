//! The one reader: it hands a log's lines to a forwarder, from the forwarder's own cursors.
//!
//! It reads with `pread` into one reused buffer and gives out slices of it; a line is not copied here. Every
//! read begins with the bytes that the cursor's anchor was taken from, and hands nothing out where they changed:
//! the file is another life then, and a scan is asked for. Segments of one lineage are read oldest first,
//! lineages take turns of [`CHUNK`] bytes, so a large file does not starve small ones.

mod again;
mod chunks;
mod gathered;
mod join;

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::warn;

use self::{
    chunks::{Chunks, Reach, StepEnd},
    join::{CutRecord, OpenTail, TailState},
};
use super::{
    Extent, ItemKind, Log, LogItem, LostRange, Segment, SegmentState,
    lines::LineShape,
    position::{Cursor, SegmentId, SegmentRange},
};

pub use self::chunks::CHUNK;
pub(super) use self::chunks::read_fully;

/// How long a file that could not be read is left alone.
const FAULT_PAUSE: Duration = Duration::from_secs(1);

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

/// Why a span could not be read again.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// It never can be.
    #[error("{0}")]
    Gone(String),
    /// Its file cannot be read, or is not found, at this moment.
    #[error("{0}")]
    NotNow(#[from] io::Error),
}

/// How many scans there had been when a segment's file was found not to be what it was.
#[derive(Clone, Copy, Debug)]
struct UnclearSince {
    first: u64,
    last: u64,
}

impl UnclearSince {
    /// Whether what comes after it in its lineage waits, too. The scan that was under way may have looked before the
    /// file changed; the one after it knows. If its content can still not be had then, nothing else waits for it.
    fn holds_back(self, scans: u64) -> bool {
        scans < self.first + 2
    }
}

#[derive(Debug)]
pub struct Reader {
    log: Log,
    cursors: BTreeMap<SegmentId, Cursor>,
    /// Segments without a whole line past the cursor, as far as they extend.
    waiting: HashMap<SegmentId, Extent>,
    /// Segments whose file is not what it was, until a scan finds out what became of it.
    unclear: HashMap<SegmentId, UnclearSince>,
    faults: HashMap<SegmentId, Instant>,
    /// Segments whose last record is open, and may go on in the next.
    open: HashMap<SegmentId, OpenTail>,
    /// The record of a lineage that was given last, where it has no last part.
    cut: HashMap<Arc<Path>, CutRecord>,
    chunks: Chunks,
    last_turn: SegmentId,
}

impl Reader {
    /// A reader that stands at `cursors`, and at its beginning in every other segment.
    pub fn new(log: Log, max_line: usize, cursors: BTreeMap<SegmentId, Cursor>) -> Self {
        let chunks = Chunks::new(LineShape::new(log.format, max_line));
        Self {
            log,
            cursors,
            waiting: HashMap::new(),
            unclear: HashMap::new(),
            faults: HashMap::new(),
            open: HashMap::new(),
            cut: HashMap::new(),
            chunks,
            last_turn: SegmentId(0),
        }
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Where it stands in a segment that it has read from.
    pub fn cursor(&self, segment: SegmentId) -> Option<Cursor> {
        self.cursors.get(&segment).copied()
    }

    /// Whether a read may find something.
    pub fn has_more(&self) -> bool {
        // Where a segment is ready it may be held back; where none is, one that holds back others may be looked at again.
        let is_one_ready = || self.log.segments().iter().any(|segment| self.is_ready(segment));
        match self.unclear.is_empty() && self.open.is_empty() {
            true if self.joins() => is_one_ready() && !self.turns().is_empty(),
            true => is_one_ready(),
            false => !self.turns().is_empty(),
        }
    }

    /// Hands out items until the taker stops it, `budget` bytes are read, or nothing whole is left.
    /// Blocks on the file system.
    pub fn read(&mut self, budget: usize, take: &mut dyn FnMut(LogItem<'_>) -> Take) -> ReadEnd {
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
                let turn_before = std::mem::replace(&mut self.last_turn, segment.id);
                let before = self.offset(&segment);
                let stopped = match self.after_cut(&segment, take, |reader, take| reader.read_turn(&segment, take)) {
                    Ok(stopped) => stopped,
                    Err(error) => {
                        self.fault(&segment, &error);
                        false
                    }
                };
                left = left.saturating_sub((self.offset(&segment) - before) as usize);
                if stopped {
                    if self.offset(&segment) == before {
                        self.last_turn = turn_before; // Nothing of it was taken: its turn is still to come.
                    }
                    return ReadEnd::Stopped;
                }
                if self.is_ready(&segment) {
                    turns.push_back(segment);
                }
            }
        }
    }

    /// Stands at the end of every segment up to and with this one, and gives what it passes over by that.
    pub fn pass_over(&mut self, last: SegmentId) -> Vec<SegmentRange> {
        let mut passed = Vec::new();
        for segment in self.log.segments().iter().take_while(|segment| segment.id <= last) {
            let range = SegmentRange { segment: segment.id, start: self.offset(segment), end: segment.size() };
            if range.start < range.end {
                passed.push(range);
                self.cursors.insert(segment.id, Cursor { offset: range.end, anchor: None });
                self.unclear.remove(&segment.id);
            }
        }
        passed
    }

    /// Reads nothing of a segment for a moment: a record of it could not be read, and was not taken.
    /// Whether something is lost before which nothing is unread in its segment.
    pub fn has_lost(&self) -> bool {
        self.log.segments().iter().any(|segment| self.lost_of(segment).is_some())
    }

    /// Passes over what is lost, before which nothing is unread in its segment, and gives it: no other bytes are waited for.
    pub fn pass_lost(&mut self) -> Vec<LostRange> {
        let lost: Vec<LostRange> = self.log.segments().iter().filter_map(|segment| self.lost_of(segment)).collect();
        for LostRange { range, .. } in &lost {
            self.cursors.insert(range.segment, Cursor { offset: range.end, anchor: None });
            self.unclear.remove(&range.segment);
        }
        lost
    }

    fn lost_of(&self, segment: &Segment) -> Option<LostRange> {
        let (extent, offset) = (segment.extent(), self.offset(segment));
        let is_lost = extent.state == SegmentState::Gone || offset >= extent.there;
        if !is_lost || !self.is_ready(segment) {
            return None;
        }
        let range = SegmentRange { segment: segment.id, start: offset, end: extent.size };
        Some(LostRange { range, is_unknown: segment.has_unseen() })
    }

    pub fn leave_alone(&mut self, segment: SegmentId) {
        self.faults.insert(segment, Instant::now());
    }

    fn offset(&self, segment: &Segment) -> u64 {
        self.cursors.get(&segment.id).map_or(segment.start.offset, |cursor| cursor.offset)
    }

    fn is_ready(&self, segment: &Segment) -> bool {
        let (extent, offset) = (segment.extent(), self.offset(segment));
        extent.size > offset
            && !segment.waits()
            && (offset >= extent.there || self.waiting.get(&segment.id) != Some(&extent))
            && !self.is_set_aside(segment)
    }

    /// Its file was not what it was, or could not be read, a moment ago.
    fn is_set_aside(&self, segment: &Segment) -> bool {
        self.unclear.get(&segment.id).is_some_and(|since| since.last >= self.log.scans())
            || self.faults.get(&segment.id).is_some_and(|at| at.elapsed() < FAULT_PAUSE)
    }

    /// The oldest ready segment of each lineage, beginning behind the last turn; none where an older one is unclear, or
    /// ends with a record of which it may have the rest.
    fn turns(&self) -> VecDeque<Arc<Segment>> {
        let mut lineages: HashSet<Arc<Path>> = HashSet::new();
        let mut turns: VecDeque<_> = VecDeque::new();
        let scans = self.log.scans();
        // After the last scan nothing more becomes known.
        let may_be_scanned = self.log.may_be_scanned();
        let holds_back = |segment: &Segment| {
            let since = self.unclear.get(&segment.id).filter(|_| may_be_scanned && !segment.waits());
            since.is_some_and(|since| since.holds_back(scans))
        };
        let segments = self.log.segments();
        let newest = OnceCell::new();
        for segment in segments.iter() {
            let is_ready = self.is_ready(segment);
            let tail = if is_ready { TailState::None } else { self.tail_state(segment, &segments, &newest) };
            if is_ready || tail == TailState::LookAgain {
                if lineages.insert(segment.lineage.clone()) {
                    turns.push_back(segment.clone());
                }
            } else if holds_back(segment) || tail == TailState::HoldsBack {
                lineages.insert(segment.lineage.clone());
            }
        }
        let behind = turns.iter().take_while(|segment| segment.id <= self.last_turn).count();
        turns.rotate_left(behind % turns.len().max(1));
        turns
    }

    /// One lineage's turn; true where the taker stopped it.
    fn read_turn(&mut self, segment: &Segment, take: &mut dyn FnMut(LogItem<'_>) -> Take) -> io::Result<bool> {
        // Before the file is looked at: a scan that ends meanwhile knows more, and later segments must not go first.
        let scans = self.log.scans();
        let extent = segment.extent();
        let cursor = self.cursors.get(&segment.id).copied().unwrap_or(segment.start);
        if extent.state == SegmentState::Gone || cursor.offset >= extent.there {
            let range = SegmentRange { segment: segment.id, start: cursor.offset, end: extent.size };
            let answer = take(LogItem::new(range, ItemKind::Gap { is_unknown: segment.has_unseen() }));
            if answer != Take::Not {
                self.cursors.insert(segment.id, Cursor { offset: extent.size, anchor: None });
                self.unclear.remove(&segment.id);
            }
            return Ok(answer != Take::More);
        }
        if let Some(kept) = segment.kept_from.filter(|kept| cursor.offset < *kept) {
            let range = SegmentRange { segment: segment.id, start: cursor.offset, end: kept };
            let answer = take(LogItem::new(range, ItemKind::Gap { is_unknown: false }));
            if answer != Take::Not {
                self.cursors.insert(segment.id, Cursor { offset: kept, anchor: None });
            }
            return Ok(answer != Take::More);
        }
        let cursor = verifiable(cursor, segment.kept_from);
        let file = match segment.open() {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.is_unclear(segment.id, scans);
                self.log.scan_soon();
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        // A record that is open at its end may go on in another file.
        let is_complete = extent.state == SegmentState::Sealed && !self.joins();
        let reach = Reach { end: extent.there, is_complete, cuts: extent.cuts };
        let step = self.chunks.step(&file, segment, cursor, reach, take)?;
        if step.end != StepEnd::Suspect {
            self.unclear.remove(&segment.id);
        }
        if step.cursor.offset > cursor.offset {
            self.cursors.insert(segment.id, step.cursor);
        }
        match step.end {
            StepEnd::Suspect => {
                self.is_unclear(segment.id, scans);
                self.log.suspect(segment.id, if cursor.offset == 0 { segment.head() } else { cursor });
            }
            // The size at the time of the look, not now: what came in between makes the segment ready again.
            StepEnd::Dry => {
                self.waiting.insert(segment.id, extent);
            }
            StepEnd::More | StepEnd::Stopped => {}
        }
        let is_at_tail = step.end == StepEnd::Dry && self.joins();
        let stopped = step.end == StepEnd::Stopped || is_at_tail && self.read_tail(segment, extent, take)?;
        self.faults.remove(&segment.id);
        Ok(stopped)
    }

    fn is_unclear(&mut self, segment: SegmentId, scans: u64) {
        let since = self.unclear.entry(segment).or_insert(UnclearSince { first: scans, last: scans });
        since.last = scans;
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
        self.unclear.retain(|id, _| known.contains(id));
        self.open.retain(|id, _| known.contains(id));
        self.chunks.forget_all_but(&known);
        self.faults.retain(|id, _| known.contains(id));
    }
}

/// A cursor without its anchor where the copy of ours that has the bytes behind it has not all that the anchor covers.
fn verifiable(cursor: Cursor, kept_from: Option<u64>) -> Cursor {
    let is_covered = |from: u64| cursor.anchor.is_none_or(|anchor| cursor.offset >= from + u64::from(anchor.len));
    if kept_from.is_none_or(is_covered) { cursor } else { Cursor { anchor: None, ..cursor } }
}
