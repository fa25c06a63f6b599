//! Giving up what holds a full spool, where the source has `onFull: detach`: as a recorded gap, never in silence.
//!
//! Which segments, the spool says at its log's release gate. The draft is ended, the reader passes over what is unread in
//! them, and the detachment arrives behind all that was read. While it is in the queue everything before it is admitted,
//! whether or not it may be sent: so the gap begins where the batches end that are in memory and announced in the journal.
//! These are still delivered. Once the gap is durable the recorder tells the log, which may then release the segments.
//!
//! A crash before that leaves the segments. A crash after it leaves announced batches that cannot be read again: each
//! becomes a gap when it is taken up.

use super::{Arrival, Detachment, Window, write::AfterWrite};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    forwarder::recorder::RecorderWrite,
    log::{LostRange, SegmentRange, Span},
};

impl Window {
    /// Whether a gap waits for what stands before it, all of which is admitted then.
    pub(super) fn has_gap_queued(&self) -> bool {
        self.queue.iter().any(|arrival| matches!(arrival, Arrival::Detach(_) | Arrival::Gap(..)))
    }

    /// What is to be written for the detachment that the first of the queue is: a gap. The bytes of batches that a restart left and that were not read
    /// again yet are part of it; one that is being taken up is in memory, and is waited for.
    pub(super) fn record_detachment(&mut self) -> (Vec<RecorderWrite>, AfterWrite) {
        let Some(Arrival::Detach(Detachment { source, last, unread })) = self.queue.front_mut() else {
            return (Vec::new(), AfterWrite::Nothing);
        };
        let (source, last, unread) = (source.clone(), *last, std::mem::take(unread));
        let is_given_up = |range: &SegmentRange| range.segment <= last;
        let mut span = Span::default();
        let mut events = 0;
        for batch in self.restart.outstanding.iter_mut().filter(|batch| *batch.source == *source) {
            let ranges: Vec<SegmentRange> = batch.span.iter().map(|range| range.range).collect();
            events += if ranges.iter().all(is_given_up) { batch.covers.events } else { 0 };
            for range in ranges.into_iter().filter(is_given_up) {
                span.push(range);
                batch.withdraw(range);
            }
        }
        self.restart.outstanding.retain(|batch| !batch.span.is_empty());
        if self.restart.outstanding.iter().all(|batch| *batch.source != *source) {
            // What could not be read again is given up.
            self.clear(AlarmSubject::source(&source), AlarmKind::Stalled);
        }
        unread.into_iter().for_each(|range| span.push(range));
        let (mut writes, gap) = (Vec::new(), span.bytes());
        if !span.is_empty() {
            let reason = format!(
                "the spool needed room and forwarder {} held its oldest segments: it gave up what it had not read, up to \
                 segment {last} (onFull: detach)",
                self.config.name
            );
            writes.push(RecorderWrite::Gap {
                source: source.clone(),
                ranges: span.0.into_iter().map(LostRange::from).collect(),
                events,
                reason,
            });
        }
        writes.push(RecorderWrite::DetachUpTo { source: source.clone(), last });
        (writes, AfterWrite::Detach { source, gap })
    }
}
