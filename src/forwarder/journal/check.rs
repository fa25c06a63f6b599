//! What may be appended: only what continues what is known.
//!
//! A record that does not is a bug, found here before it could hide a byte.

use std::collections::HashMap;

use crate::log::{AnchoredRange, SegmentRange};

use super::{
    record::{BatchParent, BatchRecord, Forget, Gap, Intent, JournalRecord, Settled},
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
            JournalRecord::Gap(gap) => self.check_gap(gap),
            JournalRecord::Forget(forget) => self.check_forget(forget),
            _ => Ok(()),
        }
    }

    fn check_intent(&self, Intent { batch, parent }: &Intent) -> Result<(), String> {
        let BatchRecord { n, source, span, covers, .. } = batch;
        if *n < self.next_batch {
            return Err(format!("batch number {n} was used; the next is {}", self.next_batch));
        }
        if span.is_empty() || span.iter().any(|r| r.range.is_empty()) {
            return Err(format!("batch {n} covers an empty range"));
        }
        let Some(BatchParent::PartOf(of) | BatchParent::Replaces(of)) = *parent else {
            return self.check_continues(source, span);
        };
        let known = self.outstanding.iter().find(|o| o.n == of && o.source == *source);
        let known = known.ok_or_else(|| format!("batch {n} comes from batch {of}, which is not outstanding"))?;
        let cut = span::cut(&known.span, span).filter(span::Cut::is_prefix);
        let cut = cut.ok_or_else(|| format!("batch {n} is not the first part of what remains of batch {of}"))?;
        match parent {
            Some(BatchParent::Replaces(_)) if !cut.after.is_empty() => {
                Err(format!("batch {n} replaces batch {of} and leaves some of it out"))
            }
            Some(BatchParent::PartOf(_)) if known.counted && known.covers.checked_sub(*covers).is_none() => {
                Err(format!(
                    "batch {n} claims {covers:?}, more than batch {of}, of which it is a part, has left: {:?}",
                    known.covers
                ))
            }
            _ => Ok(()),
        }
    }

    fn check_gap(&self, gap: &Gap) -> Result<(), String> {
        let stands = self.offset(&gap.source, gap.segment);
        if gap.end.is_some_and(|end| gap.start > end) || gap.start > stands {
            let end = gap.end.map(|end| end.to_string()).unwrap_or_default();
            return Err(format!(
                "the gap {}..{end} in segment {} of {} begins after byte {stands}, where reading stands",
                gap.start, gap.segment, gap.source
            ));
        }
        Ok(())
    }

    fn check_settled(&self, n: u64) -> Result<(), String> {
        match self.outstanding.iter().find(|o| o.n == n) {
            Some(BatchRecord { id: Some(_), .. }) => Ok(()),
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
