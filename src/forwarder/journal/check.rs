//! What may be appended: only what continues what is known.
//!
//! A record that does not is a bug, found here before it could hide a byte.

use std::collections::HashMap;

use crate::log::{AnchoredRange, SegmentRange};

use super::{
    record::{Forget, Intent, JournalRecord, Outstanding, Settled},
    span,
    state::JournalState,
};

impl JournalState {
    /// Whether a record may be appended: it must continue what is known.
    pub(super) fn check(&self, record: &JournalRecord) -> Result<(), String> {
        match record {
            JournalRecord::Intent(intent) => self.check_intent(intent),
            JournalRecord::Settled(Settled { n, .. }) => self.check_settled(*n),
            JournalRecord::Advance(advance) => self.check_continues(&advance.source, &advance.span),
            JournalRecord::Gap(gap) if gap.start > gap.end || gap.start > self.offset(&gap.source, gap.segment) => {
                Err(format!(
                    "the gap {}..{} in segment {} of {} begins behind byte {}, where reading stands",
                    gap.start,
                    gap.end,
                    gap.segment,
                    gap.source,
                    self.offset(&gap.source, gap.segment)
                ))
            }
            JournalRecord::Forget(forget) => self.check_forget(forget),
            _ => Ok(()),
        }
    }

    fn check_intent(&self, intent: &Intent) -> Result<(), String> {
        let Intent { n, source, span, of, .. } = intent;
        if *n < self.next_batch {
            return Err(format!("batch number {n} was used; the next is {}", self.next_batch));
        }
        if span.is_empty() || span.iter().any(|r| r.range.is_empty()) {
            return Err(format!("batch {n} covers an empty range"));
        }
        let Some(of) = of else {
            return self.check_continues(source, span);
        };
        let parent = self.outstanding.iter().find(|o| o.n == *of && o.source == *source);
        let parent = parent.ok_or_else(|| format!("batch {n} is a part of batch {of}, which is not outstanding"))?;
        match span::cut(&parent.span, span) {
            Some(cut) if cut.is_prefix() => Ok(()),
            _ => Err(format!("batch {n} is not the first part of what remains of batch {of}")),
        }
    }

    fn check_settled(&self, n: u64) -> Result<(), String> {
        match self.outstanding.iter().find(|o| o.n == n) {
            Some(Outstanding { id: Some(_), .. }) => Ok(()),
            // Were the line lost that cut a part off, this one would settle the part too.
            Some(_) => {
                Err(format!("batch {n} is settled, but needs an intent of its own first: parts were cut off it"))
            }
            None => Err(format!("batch {n} is settled, but is not outstanding")),
        }
    }

    fn check_continues(&self, source: &str, span: &[AnchoredRange]) -> Result<(), String> {
        let mut stands = HashMap::with_capacity(span.len());
        for AnchoredRange { range: SegmentRange { segment, start, end }, .. } in span {
            let stood = stands.insert(*segment, *end).unwrap_or_else(|| self.offset(source, *segment));
            if stood != *start || end < start {
                return Err(format!(
                    "the range {start}..{end} in segment {segment} of {source} does not continue at byte {stood}"
                ));
            }
        }
        Ok(())
    }

    fn check_forget(&self, forget: &Forget) -> Result<(), String> {
        let ours = self.outstanding.iter().filter(|o| o.source == forget.source);
        match ours.flat_map(|o| &o.span).find(|r| forget.segments.contains(&r.range.segment)) {
            Some(r) => Err(format!("segment {} of {} still has outstanding bytes", r.range.segment, forget.source)),
            None => Ok(()),
        }
    }
}
