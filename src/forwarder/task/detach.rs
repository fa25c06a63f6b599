//! Giving up what holds a full spool, where the source has `onFull: detach`: as a recorded gap, never in silence.
//!
//! Which segments, the spool says on the log's board. The draft is ended, the reader passes over what is unread in them,
//! and the gap is queued behind all that was read. While it is in the queue everything before it is admitted, whether or
//! not it may be sent: so the gap begins where the batches end that are in memory and announced in the journal. These
//! are still delivered. Once the gap is durable the recorder tells the log, which may then release the segments.
//!
//! A crash before that leaves the segments. A crash after it leaves announced batches that cannot be read again: each
//! becomes a gap when it is taken up.

use std::sync::Arc;

use super::{ForwarderOrder, ForwarderTask, fill::Queued};
use crate::{
    forwarder::stats::Tally,
    log::{FollowerRequest, SegmentId, SegmentRange, Span},
};

/// What a source asked for, with the bytes that were not read.
pub(super) struct Detachment {
    source: Arc<str>,
    last: SegmentId,
    unread: Vec<SegmentRange>,
}

impl ForwarderTask {
    /// Does what its logs ask for. A source that is being read at this moment comes back, and is asked again; while the
    /// journal cannot be written nothing is given up, for nothing could be released.
    pub(super) fn answer_requests(&mut self) {
        for index in 0..self.logs.len() {
            match self.logs[index].release_gate.request(&self.config.name) {
                None => {}
                Some(FollowerRequest::Report) => self.sync(),
                Some(FollowerRequest::Detach(_))
                    if self.order != ForwarderOrder::Run || self.recorder.is_degraded() => {}
                Some(FollowerRequest::Detach(last)) => self.detach(index, last),
            }
        }
    }

    /// Queues the gap.
    fn detach(&mut self, index: usize, last: SegmentId) {
        let source = self.logs[index].name.clone();
        let Some(follow) = &mut self.follows[index] else { return };
        if self.detached.get(&source) >= Some(&last) {
            return;
        }
        let draft = follow.flush();
        let unread = follow.pass_over(last);
        if let Some(sealed) = draft {
            self.enqueue(sealed);
        }
        self.detached.insert(source.clone(), last);
        self.queue.push_back(Queued::Detach(Detachment { source, last, unread }));
    }

    /// Whether a gap waits for what stands before it.
    pub(super) fn is_detaching(&self) -> bool {
        self.queue.iter().any(|queued| matches!(queued, Queued::Detach(_)))
    }

    /// Writes the gap down. The bytes of batches that a restart left and that were not read again yet are part of it.
    pub(super) fn record_detachment(&mut self, Detachment { source, last, unread }: Detachment) {
        let is_given_up = |range: &SegmentRange| range.segment <= last;
        let mut span = Span::default();
        let mut events = 0;
        for batch in self.outstanding.iter().filter(|batch| *batch.source == *source) {
            let ranges: Vec<SegmentRange> = batch.span.iter().map(|range| range.range).collect();
            events += if ranges.iter().all(is_given_up) { batch.covers.events } else { 0 };
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
            let log = self.log(&source);
            tokio::task::block_in_place(|| self.recorder.gap(&log, &span.0, events, &reason));
            let left = self.recorder.outstanding();
            self.outstanding.retain_mut(|batch| {
                let left = left.iter().find(|left| left.n == batch.n);
                left.inspect(|left| batch.clone_from(left)).is_some()
            });
        }
        self.recorder.detach_up_to(&source, last);
        // At once: a source waits for it.
        self.sync();
    }
}
