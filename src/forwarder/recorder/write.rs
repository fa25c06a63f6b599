//! What a forwarder asks its recorder to write down, as values: in the order in which they are asked for.

use std::{io, sync::Arc};

use super::Recorder;
use crate::{
    forwarder::{
        batch::{BatchBody, EventAt, RejectedLine},
        journal::{Coverage, Intent, Outcome},
        judge::EventRefusal,
    },
    log::{AnchoredRange, Log, LostRange, SegmentId},
};

/// One thing to write down.
#[derive(Clone, Debug)]
pub enum RecorderWrite {
    /// These lines can never be delivered.
    DeadLetters {
        source: Arc<str>,
        lines: Arc<[RejectedLine]>,
    },
    /// The same of a batch that was read again: those that were not written before.
    MissingDeadLetters {
        source: Arc<str>,
        lines: Arc<[RejectedLine]>,
    },
    /// The receiver refuses this event alone. `body` has it as its only one.
    RefusedEvent {
        source: Arc<str>,
        event: EventAt,
        body: Arc<BatchBody>,
        refusal: EventRefusal,
    },
    /// A batch is about to be sent for the first time.
    Intent(Intent),
    Settle {
        n: u64,
        outcome: Outcome,
        status: Option<u16>,
    },
    /// Reading moved over records that need no delivery.
    Advance {
        source: Arc<str>,
        span: Vec<AnchoredRange>,
        covers: Coverage,
    },
    /// Bytes that can never be delivered. `events` of them were read before.
    Gap {
        source: Arc<str>,
        ranges: Vec<LostRange>,
        events: u64,
        reason: String,
    },
    /// The receiver refuses us from now on.
    Hold {
        reason: &'static str,
        cause: String,
    },
    HoldEnd,
    /// The log may let go of everything up to and with this segment, once what was written before is durable.
    DetachUpTo {
        source: Arc<str>,
        last: SegmentId,
    },
}

impl Recorder {
    /// Writes these down in their order, up to the first that fails. `logs`: those that they are about.
    ///
    /// # Errors
    /// Where a dead letter cannot be written. The journal never fails: what it cannot write it keeps in memory, and
    /// raises an alarm.
    pub fn write_all(&self, logs: &[Log], writes: Vec<RecorderWrite>) -> io::Result<()> {
        writes.into_iter().try_for_each(|write| self.write(logs, write))
    }

    fn write(&self, logs: &[Log], write: RecorderWrite) -> io::Result<()> {
        let log = |source: &str| {
            logs.iter().find(|log| *log.name == *source).expect("what is written is of a source that is followed")
        };
        match write {
            RecorderWrite::DeadLetters { source, lines } => self.write_dead_letters(log(&source), &lines)?,
            RecorderWrite::MissingDeadLetters { source, lines } => {
                self.write_missing_dead_letters(log(&source), &lines)?;
            }
            RecorderWrite::RefusedEvent { source, event, body, refusal } => {
                self.dead_letter_refused(log(&source), &event, body.event_bytes(0), &refusal)?;
            }
            RecorderWrite::Intent(intent) => self.record_intent(intent),
            RecorderWrite::Settle { n, outcome, status } => self.settle(n, outcome, status),
            RecorderWrite::Advance { source, span, covers } => self.advance(&source, span, covers),
            RecorderWrite::Gap { source, ranges, events, reason } => self.gap(log(&source), &ranges, events, &reason),
            RecorderWrite::Hold { reason, cause } => self.held(reason, &cause),
            RecorderWrite::HoldEnd => self.hold_ended(),
            RecorderWrite::DetachUpTo { source, last } => self.detach_up_to(&source, last),
        }
        Ok(())
    }
}
