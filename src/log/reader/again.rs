//! Reading again what was read: the spans of batches that a restart left.

use std::{io, sync::Arc};

use super::{
    Reader, Take, Unread,
    chunks::{Reach, StepEnd},
    join::read_tail_again,
};
use crate::log::{
    LogItem, Segment, SegmentRange, SegmentState,
    position::{Cursor, Span},
};

impl Reader {
    /// Hands out a span again, exactly as it was read, without moving the cursors.
    pub fn read_again(&mut self, span: &Span, take: &mut dyn FnMut(LogItem<'_>)) -> Result<(), Unread> {
        let mut pieces =
            span.0.iter().map(|range| Ok((self.segment_of(*range)?, *range))).collect::<Result<Vec<_>, Unread>>()?;
        for index in 0..pieces.len() {
            let (here, behind) = pieces[index..].split_at_mut(1);
            let (segment, range) = &here[0];
            // Where they are not in the file now, a scan finds out what became of it.
            self.read_range_again(segment, *range, behind, take)
                .inspect_err(|_| self.log.scan_soon())
                .map_err(Unread::NotNow)?;
        }
        Ok(())
    }

    /// The segment of a range, where all of that is there.
    fn segment_of(&self, range: SegmentRange) -> Result<Arc<Segment>, Unread> {
        let segments = self.log.segments();
        let segment = segments.iter().find(|segment| segment.id == range.segment);
        let segment = segment.ok_or_else(|| Unread::Gone(format!("segment {} is gone", range.segment)))?;
        let extent = segment.extent();
        let kept = segment.kept_from.is_none_or(|kept| kept <= range.start);
        if extent.state == SegmentState::Gone || range.end > extent.there || !kept {
            return Err(Unread::Gone(format!("the bytes of segment {} are gone", segment.id)));
        }
        Ok(segment.clone())
    }

    fn read_range_again(
        &mut self,
        segment: &Segment,
        range: SegmentRange,
        behind: &mut [(Arc<Segment>, SegmentRange)],
        take: &mut dyn FnMut(LogItem<'_>),
    ) -> io::Result<()> {
        let file = segment.open()?;
        let mut take_all = |item: LogItem<'_>| {
            take(item);
            Take::More
        };
        // The record at its end goes on in what follows in the span, if anything does.
        let is_complete = !self.joins() || behind.is_empty();
        let mut reach = Reach { end: range.end, is_complete, cuts: segment.extent().cuts };
        let mut cursor = Cursor { offset: range.start, anchor: None };
        while cursor.offset < range.end {
            let step = self.chunks.step(&file, segment, cursor, reach, &mut take_all)?;
            if step.cursor.offset > cursor.offset || step.end == StepEnd::More {
                cursor = step.cursor;
            } else if step.end == StepEnd::Dry && !reach.is_complete {
                reach.is_complete = true;
                let tail = SegmentRange { start: cursor.offset, ..range };
                if let Some(joined) =
                    read_tail_again(&mut self.chunks, (segment, &file), tail, behind, &mut take_all)?
                {
                    cursor = joined;
                }
            } else {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("segment {} is shorter than it was", segment.id),
                ));
            }
        }
        Ok(())
    }
}
