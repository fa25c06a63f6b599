//! Giving up what holds a full spool, where the source has `onFull: detach`: as a recorded gap, never in silence.
//!
//! Which segments, the spool says on the log's board. The draft is ended, the reader passes over what is unread in them,
//! and the gap is queued behind all that was read. While it is in the queue everything before it is admitted, whether or
//! not it may be sent: so the gap begins where the batches end that are in memory and announced in the journal. These
//! are still delivered. Once the gap is durable the desk tells the log, which may then release the segments.
//!
//! A crash before that leaves the segments. A crash after it leaves announced batches that cannot be read again: each
//! becomes a gap when it is taken up.

use std::sync::Arc;

use super::{Order, Task, fill::Queued};
use crate::{
    forwarder::stats::Tally,
    log::{Range, SegmentId, Span, Wish},
};

/// What a source asked for, with the bytes that were not read.
pub(super) struct GivenUp {
    source: Arc<str>,
    last: SegmentId,
    unread: Vec<Range>,
}

impl Task {
    /// Does what its logs ask for. A source that is being read at this moment comes back, and is asked again; while the
    /// journal cannot be written nothing is given up, for nothing could be released.
    pub(super) fn give_up_what_is_asked(&mut self) {
        for index in 0..self.logs.len() {
            match self.logs[index].board.wish(&self.config.name) {
                None => {}
                Some(Wish::Report) => self.sync(),
                Some(Wish::GiveUp(_)) if self.order != Order::Run || self.desk.is_degraded() => {}
                Some(Wish::GiveUp(last)) => self.give_up(index, last),
            }
        }
    }

    /// Queues the gap.
    fn give_up(&mut self, index: usize, last: SegmentId) {
        let source = self.logs[index].name.clone();
        let Some(follow) = &mut self.follows[index] else { return };
        if self.given_up.get(&source) >= Some(&last) {
            return;
        }
        let draft = follow.flush();
        let unread = follow.pass_over(last);
        if let Some(finished) = draft {
            self.enqueue(finished);
        }
        self.given_up.insert(source.clone(), last);
        self.queue.push_back(Queued::GivenUp(GivenUp { source, last, unread }));
    }

    /// Whether a gap waits for what stands before it.
    pub(super) fn is_giving_up(&self) -> bool {
        self.queue.iter().any(|queued| matches!(queued, Queued::GivenUp(_)))
    }

    /// Writes the gap down. The bytes of batches that a restart left and that were not read again yet are part of it.
    pub(super) fn record(&mut self, GivenUp { source, last, unread }: GivenUp) {
        let is_given_up = |range: &Range| range.segment <= last;
        let mut span = Span::default();
        let mut events = 0;
        for batch in self.outstanding.iter().filter(|batch| *batch.source == *source) {
            let ranges: Vec<Range> = batch.span.iter().map(|range| range.range).collect();
            events += if ranges.iter().all(is_given_up) { batch.events } else { 0 };
            ranges.into_iter().filter(is_given_up).for_each(|range| span.push(range));
        }
        unread.into_iter().for_each(|range| span.push(range));
        if !span.is_empty() {
            let mut tally = Tally::default();
            tally.gap(span.bytes());
            self.stats.enter(&source, &tally);
            let reason = format!(
                "the spool needed room and forwarder {} held its oldest segments: it gave up what it had not read, up to \
                 segment {last} (onFull: detach)",
                self.config.name
            );
            tokio::task::block_in_place(|| self.desk.gap(&source, &span.0, events, &reason));
            let left = self.desk.outstanding();
            self.outstanding.retain_mut(|batch| {
                let left = left.iter().find(|left| left.n == batch.n);
                left.inspect(|left| batch.clone_from(left)).is_some()
            });
        }
        self.desk.give_up_to(&source, last);
        // At once: a source waits for it.
        self.sync();
    }
}
