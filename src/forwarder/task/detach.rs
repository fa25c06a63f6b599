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
    log::{Range, SegmentId, Span},
};

/// What a source asked for, with the bytes that were not read.
pub(super) struct GivenUp {
    source: Arc<str>,
    last: SegmentId,
    unread: Vec<Range>,
}

impl Task {
    /// Queues a gap for each source that asks for room and is not being read at this moment; one that is comes back.
    pub(super) fn give_up_what_is_asked(&mut self) {
        if self.order != Order::Run {
            return;
        }
        for index in 0..self.follows.len() {
            let Some(last) = self.logs[index].board.asked(&self.config.name) else { continue };
            let source = self.logs[index].name.clone();
            let Some(follow) = &mut self.follows[index] else { continue };
            if self.given_up.get(&source) >= Some(&last) {
                continue;
            }
            let draft = follow.flush();
            let unread = follow.pass_over(last);
            if let Some(finished) = draft {
                self.enqueue(finished);
            }
            self.given_up.insert(source.clone(), last);
            self.queue.push_back(Queued::GivenUp(GivenUp { source, last, unread }));
        }
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
                "the spool needed room and {} held its oldest segments, which it gave up up to number {last}, unread \
                 (onFull: detach)",
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
