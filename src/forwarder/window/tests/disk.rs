//! The disk of a test: what is written to it, in memory, by the rules of the real journal.

use super::*;
use crate::{
    forwarder::journal::{BatchParent, Coverage, Settled, tests as records},
    log::SegmentId,
};

impl World {
    /// What a batch that was read again covers beside its events is counted when it is announced.
    pub(super) fn expect_beside(&mut self, writes: &[RecorderWrite]) {
        for write in writes {
            if let RecorderWrite::Intent(Intent { batch, parent: Some(BatchParent::Replaces(_)) }) = write {
                let beside = [0, batch.covers.filtered, batch.covers.dead_lettered, 0];
                self.expect(&batch.source, beside);
            }
        }
    }

    /// The books are to say so much more: delivered, filtered, dead-lettered, bytes lost.
    pub(super) fn expect(&mut self, source: &str, counts: [u64; 4]) {
        let expected = self.expected.entry(source.to_owned()).or_default();
        (0..4).for_each(|index| expected[index] += counts[index]);
    }

    /// The next of what was asked to be written is done, or fails where dead letters cannot be written.
    pub(super) fn write_one(&mut self) -> bool {
        let Some((id, writes)) = self.writes.pop_front() else { return false };
        let result = writes.into_iter().try_for_each(|write| self.write(write));
        self.on(WindowEvent::Written(id, result));
        true
    }

    fn write(&mut self, write: RecorderWrite) -> io::Result<()> {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let is_missing_only = matches!(write, RecorderWrite::MissingDeadLetters { .. });
        match write {
            RecorderWrite::DeadLetters { source, lines } | RecorderWrite::MissingDeadLetters { source, lines } => {
                if self.is_full {
                    return Err(full());
                }
                for line in lines.iter() {
                    let letter = (source.to_string(), logs::lines_of(line.range).start);
                    let is_written = self.letters.contains(&letter);
                    if !(is_written && is_missing_only) {
                        self.add_letter(letter);
                    }
                }
            }
            RecorderWrite::RefusedEvent { source, event, body, .. } => {
                if self.is_full {
                    return Err(full());
                }
                assert_eq!(body.events(), std::slice::from_ref(&event));
                self.add_letter((source.to_string(), logs::lines_of(event.range).start));
            }
            RecorderWrite::Intent(intent) => {
                if intent.parent.is_none() {
                    let Coverage { filtered, dead_lettered, .. } = intent.batch.covers;
                    self.expect(&intent.batch.source, [0, filtered, dead_lettered, 0]);
                }
                self.journal.append(JournalRecord::Intent(intent));
            }
            RecorderWrite::Settle { n, outcome, status } => {
                let known = self.journal.outstanding().iter().find(|batch| batch.n == n);
                let BatchRecord { source, covers, .. } =
                    known.unwrap_or_else(|| panic!("batch {n} is settled twice")).clone();
                let counts = match outcome {
                    Outcome::Delivered => [covers.events, 0, 0, 0],
                    Outcome::DeadLettered => [0, 0, covers.events, 0],
                    Outcome::Filtered | Outcome::Gap => [0; 4],
                };
                self.expect(&source, counts);
                let settled = Settled { n, outcome, status, at: records::AT };
                self.journal.append(JournalRecord::Settled(settled));
            }
            RecorderWrite::Advance { source, span, covers } => {
                self.expect(&source, [0, covers.filtered, covers.dead_lettered, 0]);
                self.journal.append(logs::advance(&source, span, covers));
            }
            RecorderWrite::Gap { source, ranges, events, .. } => {
                self.expect(&source, [0, 0, 0, ranges.iter().map(|lost| lost.range.len()).sum()]);
                for (index, lost) in ranges.into_iter().enumerate() {
                    let events = if index == 0 { events } else { 0 };
                    self.journal.append(logs::gap(&source, lost.range, events));
                }
            }
            RecorderWrite::Hold { .. } => self.told.push("write hold".to_owned()),
            RecorderWrite::HoldEnd => self.told.push("write hold end".to_owned()),
            RecorderWrite::DetachUpTo { source, last } => {
                // Everything up to there is known to the journal.
                for segment in 1..=last.0 {
                    let stands = self.journal.offset(&source, SegmentId(segment));
                    assert_eq!(stands, logs::SEGMENT, "segment {segment} of {source} is given up");
                }
                self.told.push(format!("detach {source} up to {last}"));
            }
        }
        Ok(())
    }

    fn add_letter(&mut self, letter: (String, u64)) {
        if !self.letters.insert(letter.clone()) {
            self.repeated_letters.push(letter);
        }
    }
}
