//! Records that a rotation cut: their parts at the end of one file are joined with those at the beginning of the next.
//!
//! What always holds: no cursor stands inside a record. The cursor of the old file stays before the record until all of it
//! is there, and what comes after it in the lineage waits; then both files' cursors move at once, with the item. A record
//! that is given without its last part ends what is read for now, so that no span has it and what follows it in another
//! file: what is read again is joined by the span alone.

use std::{cell::OnceCell, collections::HashMap, fs::File, io, path::Path, sync::Arc};

use super::{
    Reader, Take,
    chunks::{Chunks, Reach, StepEnd},
    gathered::{First, Gathered, Given},
};
use crate::{
    config::LineFormat,
    log::{
        CutPart, Extent, ItemKind, LogItem, Segment, SegmentId, SegmentRange, SegmentState, Segments,
        position::Cursor,
    },
};

/// What stands behind a segment in its lineage, at one moment.
type Followers = Vec<(SegmentId, Extent)>;

/// A segment whose last record cannot be given yet.
#[derive(Debug)]
pub(super) struct OpenTail {
    looked_at: Followers,
    /// Whether what stands behind it in its lineage waits for it.
    holds_back: bool,
}

/// What a segment's unread end means for its lineage.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TailState {
    /// Nothing.
    None,
    /// It is to be looked at: what stands behind it changed.
    LookAgain,
    HoldsBack,
}

/// A record that was given without its last part.
#[derive(Debug)]
pub(super) struct CutRecord {
    place: String,
    /// How it begins.
    message: Vec<u8>,
}

/// What can be done with the bytes that are gathered.
enum TailEnd {
    /// Their first item is whole.
    Whole,
    /// No more of it comes, or not in time.
    Ends { is_complete: bool },
    /// More may come.
    Waits { holds_back: bool },
    /// Something is not as it was: after the next scan.
    Unclear(Option<Arc<Segment>>),
}

/// For each lineage, the last of its segments.
pub(super) type Newest<'s> = HashMap<&'s Path, SegmentId>;

impl Reader {
    pub(super) fn joins(&self) -> bool {
        matches!(self.log.format, LineFormat::Cri(_))
    }

    /// What the unread end of a segment that is not ready means for those behind it.
    pub(super) fn tail_state<'s>(
        &self,
        segment: &Segment,
        segments: &'s Segments,
        newest: &OnceCell<Newest<'s>>,
    ) -> TailState {
        let extent = segment.extent();
        let has_tail = extent.state != SegmentState::Gone && self.offset(segment) < extent.there && !segment.waits();
        if !self.joins() || !has_tail {
            return TailState::None;
        }
        let last_of_each = || segments.iter().map(|segment| (&*segment.lineage, segment.id)).collect();
        if newest.get_or_init(last_of_each).get(&*segment.lineage) == Some(&segment.id) {
            return TailState::None;
        }
        let open = self.open.get(&segment.id);
        let followers = self.followers(segment, segments);
        let was_set_aside = self.faults.contains_key(&segment.id) || self.unclear.contains_key(&segment.id);
        let is_as_it_was = || open.is_some_and(|open| open.looked_at == extents(&followers));
        if followers.is_empty() {
            TailState::None
        } else if self.is_set_aside(segment) || !was_set_aside && is_as_it_was() {
            if open.is_some_and(|open| open.holds_back) { TailState::HoldsBack } else { TailState::None }
        } else {
            TailState::LookAgain
        }
    }

    /// The segments that may have the rest of a record that is open where this one ends: those of its lineage that are
    /// read from their beginning, and nothing of which was read.
    fn followers(&self, segment: &Segment, segments: &Segments) -> Vec<Arc<Segment>> {
        let behind = segments
            .iter()
            .filter(|other| other.id > segment.id && other.start.offset == 0 && other.lineage == segment.lineage);
        let is_there = |other: &&Arc<Segment>| {
            let is_whole = other.state() != SegmentState::Gone && other.kept_from.is_none_or(|kept| kept == 0);
            is_whole && self.offset(other) == 0
        };
        behind.take_while(is_there).cloned().collect()
    }

    /// What is unread at the end of a segment, of which reading found nothing whole: its last record goes on in the
    /// next, ends here, or waits. True where the taker stopped it, or what is read for now ends.
    pub(super) fn read_tail(
        &mut self,
        segment: &Segment,
        extent: Extent,
        take: &mut dyn FnMut(LogItem<'_>) -> Take,
    ) -> io::Result<bool> {
        let cursor = self.cursors.get(&segment.id).copied().unwrap_or(segment.start);
        let followers = self.followers(segment, &self.log.segments());
        // Before any of them is read: what comes meanwhile is a change.
        let looked_at = extents(&followers);
        let may_end = ends_for_good(&extent);
        if cursor.offset >= extent.there || followers.is_empty() && !may_end {
            return Ok(false);
        }
        let file = segment.open()?;
        if self.chunks.is_too_much(extent.there - cursor.offset) {
            if may_end {
                let reach = Reach { end: extent.there, is_complete: true, cuts: extent.cuts };
                let step = self.chunks.step(&file, segment, cursor, reach, take)?;
                self.waiting.remove(&segment.id);
                self.cursors.insert(segment.id, step.cursor);
                return Ok(step.end == StepEnd::Stopped);
            }
            self.keep_open(segment, looked_at, extent.state != SegmentState::Active);
            return Ok(false);
        }
        let range = SegmentRange { segment: segment.id, start: cursor.offset, end: extent.there };
        let mut gathered = self.chunks.gather(&file, range)?;
        let tail = gather_rest(&mut self.chunks, &mut gathered, &extent, &followers);
        let done = match tail {
            Ok(TailEnd::Waits { holds_back }) => {
                self.keep_open(segment, looked_at, holds_back);
                Ok(false)
            }
            Ok(TailEnd::Unclear(follower)) => {
                let scans = self.log.scans();
                if let Some(follower) = follower {
                    self.is_unclear(follower.id, scans);
                    self.log.suspect(follower.id, follower.head());
                }
                self.keep_open(segment, looked_at, true);
                self.is_unclear(segment.id, scans);
                self.log.scan_soon();
                Ok(false)
            }
            Ok(TailEnd::Whole) => self.give(&gathered, segment, false, None, take),
            Ok(TailEnd::Ends { is_complete }) => {
                let rest = followers.get(gathered.files() - 1).map(|follower| place(follower));
                self.give(&gathered, segment, is_complete, rest, take)
            }
            Err(error) => Err(error),
        };
        self.chunks.put_back(gathered);
        done
    }

    /// Gives the first item of what is gathered. `rest`: where its last part may be, if it has none.
    fn give(
        &mut self,
        gathered: &Gathered,
        segment: &Segment,
        is_complete: bool,
        rest: Option<String>,
        take: &mut dyn FnMut(LogItem<'_>) -> Take,
    ) -> io::Result<bool> {
        let is_cut = matches!(self.chunks.first(gathered, is_complete), First::Item { is_cut: true, .. });
        let rest = rest.filter(|_| is_cut);
        let rest =
            rest.map(|place| format!("it is the beginning of a record that was cut; what follows is in {place}"));
        let cut = rest.as_deref().map(|rest| CutPart::Head { rest });
        self.waiting.remove(&segment.id);
        let Given { answer, cursors } = self.chunks.give_first(gathered, is_complete, cut.as_ref(), take)?;
        if answer == Take::Not {
            return Ok(true);
        }
        self.cursors.extend(cursors);
        self.open.remove(&segment.id);
        if is_cut {
            let record = CutRecord { place: place(segment), message: gathered.beginning() };
            self.cut.insert(segment.lineage.clone(), record);
        }
        Ok(is_cut || answer == Take::Last)
    }

    fn keep_open(&mut self, segment: &Segment, looked_at: Followers, holds_back: bool) {
        self.open.insert(segment.id, OpenTail { looked_at, holds_back });
    }

    /// Lets the first record that is read after one that was cut say so.
    pub(super) fn after_cut(
        &mut self,
        segment: &Segment,
        take: &mut dyn FnMut(LogItem<'_>) -> Take,
        read: impl FnOnce(&mut Self, &mut dyn FnMut(LogItem<'_>) -> Take) -> io::Result<bool>,
    ) -> io::Result<bool> {
        let Some(CutRecord { place, message }) = self.cut.remove(&segment.lineage) else { return read(self, take) };
        let head = format!("it follows a record that was cut, the beginning of which is in {place}");
        let rest = CutPart::Rest { head: &head, message: &message };
        let mut is_told = false;
        let result = read(self, &mut |item| {
            let is_rest = !is_told && !matches!(item.kind, ItemKind::Other(_) | ItemKind::Gap { .. });
            let answer = take(LogItem { cut: is_rest.then_some(&rest).or(item.cut), ..item });
            is_told |= is_rest && answer != Take::Not;
            answer
        });
        if !is_told {
            self.cut.insert(segment.lineage.clone(), CutRecord { place, message });
        }
        result
    }
}

/// Adds the beginnings of the segments behind the first until its last record is whole, or nothing is left to add.
fn gather_rest(
    chunks: &mut Chunks,
    gathered: &mut Gathered,
    extent: &Extent,
    followers: &[Arc<Segment>],
) -> io::Result<TailEnd> {
    // What follows in other files shows that the first has all that is its own.
    let (mut is_complete, mut holds_back) = (ends_for_good(extent), extent.state != SegmentState::Active);
    let mut followers = followers.iter();
    loop {
        match chunks.first(gathered, false) {
            First::Item { len, is_too_long: true, .. } if len > gathered.first_len() => {
                gathered.only_first();
                return Ok(TailEnd::Ends { is_complete: true });
            }
            First::Item { .. } => return Ok(TailEnd::Whole),
            First::Open | First::Torn if chunks.is_too_much(gathered.len()) => {
                gathered.only_first();
                return Ok(TailEnd::Ends { is_complete: true });
            }
            First::Torn if is_complete => return Ok(TailEnd::Ends { is_complete }),
            First::Torn => return Ok(TailEnd::Waits { holds_back }),
            First::Open => {}
        }
        let Some(follower) = followers.next() else {
            return Ok(if is_complete { TailEnd::Ends { is_complete } } else { TailEnd::Waits { holds_back: true } });
        };
        if follower.waits() {
            return Ok(TailEnd::Waits { holds_back: false });
        }
        let its = follower.extent();
        let file: Arc<File> = match follower.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(TailEnd::Unclear(None)),
            file => file?,
        };
        let end = its.there.min(gathered.wanted(chunks));
        if !gathered.add(follower, &file, end)? {
            return Ok(TailEnd::Unclear(Some(follower.clone())));
        }
        // A runtime writes no more to a file once it has written to the next one: what was read of the one before is all.
        if end > 0 && gathered.one_before_last_grew()? {
            return Ok(TailEnd::Unclear(None));
        }
        is_complete = ends_for_good(&its) && (is_complete || end > 0);
        holds_back = true;
    }
}

/// Joins the end of a range that is read again with the ranges behind it in its span, which are cut by what was joined. The
/// bytes that are in no whole item are given as they were.
pub(super) fn read_tail_again(
    chunks: &mut Chunks,
    (segment, file): (&Segment, &Arc<File>),
    range: SegmentRange,
    behind: &mut [(Arc<Segment>, SegmentRange)],
    take: &mut dyn FnMut(LogItem<'_>) -> Take,
) -> io::Result<Option<Cursor>> {
    if chunks.is_too_much(range.len()) {
        return Ok(None);
    }
    let mut gathered = chunks.gather(file, range)?;
    let mut added = 0;
    for (follower, its) in behind.iter() {
        let is_next =
            its.start == 0 && !its.is_empty() && follower.id > segment.id && follower.lineage == segment.lineage;
        if !is_next || chunks.first(&gathered, false) != First::Open || chunks.is_too_much(gathered.len()) {
            break;
        }
        let end = its.end.min(gathered.wanted(chunks));
        gathered.add(follower, &follower.open()?, end)?;
        added += 1;
    }
    let is_complete = chunks.first(&gathered, false) == First::Open && !chunks.is_too_much(gathered.len());
    let joined = match chunks.first(&gathered, is_complete) {
        First::Item { is_too_long: false, len, .. } if added > 0 && len > gathered.first_len() => {
            Some(chunks.give_first(&gathered, is_complete, None, take)?)
        }
        _ => None,
    };
    chunks.put_back(gathered);
    let Some(Given { cursors, .. }) = joined else { return Ok(None) };
    for (id, cursor) in &cursors {
        let piece = behind.iter_mut().take(added).find(|(follower, _)| follower.id == *id);
        piece.into_iter().for_each(|(_, its)| its.start = cursor.offset);
    }
    Ok(cursors.first().map(|(_, cursor)| *cursor))
}

/// Whether no bytes will follow those that are there.
fn ends_for_good(extent: &Extent) -> bool {
    extent.state == SegmentState::Sealed || extent.there < extent.size
}

fn extents(segments: &[Arc<Segment>]) -> Followers {
    segments.iter().map(|segment| (segment.id, segment.extent())).collect()
}

fn place(segment: &Segment) -> String {
    format!("segment {}, {}", segment.id, segment.path().display())
}
