//! One source as one forwarder follows it: lines in, drafts out.
//!
//! All of this is plain and blocking: it runs where blocking is allowed. What always holds: a draft covers exactly
//! what was read since the one before, so no cursor passes over a hole.

use std::{sync::Arc, time::Instant};

use tracing::warn;

use super::{
    batch::{BatchDraft, BodyLimits, BodyPool, SealedBatch},
    journal::BatchRecord,
    line_rule::{LineRule, LinesOf, TakeContext, TakeMode},
    stats::Tally,
};
use crate::{
    config,
    log::{ItemKind, LostRange, ReadEnd, Reader, SegmentId, SegmentRange, Span, Take, Unread},
    schema::Needs,
};

/// Bytes read before others have a turn, where a filter lets nothing pass.
const BUDGET: usize = 8 * 1024 * 1024;

/// Bytes that a draft may cover while few of its events pass: what a crash makes us read again.
const MAX_COVERED: u64 = 64 * 1024 * 1024;

#[derive(Debug)]
pub struct FollowedSource {
    source: Arc<str>,
    reader: Reader,
    rule: LineRule,
    bodies: BodyPool,
    draft: BatchDraft,
    covered: u64,
}

/// What reading came to.
#[derive(Debug)]
pub enum ReadOutcome {
    /// A batch is complete.
    Sealed(SealedBatch),
    /// These bytes of the log are gone.
    Gap(LostRange),
    /// There is more to read.
    More,
    /// Nothing whole is left to read now; a draft may have been begun.
    CaughtUp,
}

impl FollowedSource {
    pub fn new(forwarder: &config::Forwarder, source: &config::Source, reader: Reader, bodies: BodyPool) -> Self {
        let name: Arc<str> = source.name.as_str().into();
        Self {
            rule: LineRule::new(forwarder, source, Needs::Validity),
            draft: BatchDraft::new(name.clone(), bodies.take()),
            source: name,
            reader,
            bodies,
            covered: 0,
        }
    }

    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// Whether a fill may find something.
    pub fn has_more(&self) -> bool {
        self.reader.has_more()
    }

    /// When the draft's first record was taken, if there is one.
    pub fn begun(&self) -> Option<Instant> {
        self.draft.begun
    }

    /// The draft as it is, if it covers anything.
    pub fn flush(&mut self) -> Option<SealedBatch> {
        (!self.draft.is_empty()).then(|| self.finish())
    }

    /// Reads until a draft is complete or nothing is left. `tally` takes what was read.
    pub fn fill(&mut self, fit: &BodyLimits, tally: &mut Tally) -> ReadOutcome {
        let now = Instant::now();
        let log = self.reader.log().clone();
        let context = TakeContext { mode: TakeMode::Fresh(fit), lines_of: LinesOf::Log(&log), now };
        let mut unread = None;
        let Self { reader, rule, draft, covered, .. } = self;
        let end = reader.read(BUDGET, &mut |item| {
            let bytes = item.bytes();
            let lost = LostRange { range: item.range, is_unknown: item.kind == ItemKind::Gap { is_unknown: true } };
            match rule.judge(item).take_into(draft, tally, &context) {
                Ok(Take::Not) => Take::Not,
                Ok(take) => {
                    *covered += bytes;
                    take
                }
                // A gap has no place in a draft: it comes after it, when the bytes are looked for again.
                Err(Unread::Gone(_)) if !draft.is_empty() => Take::Not,
                Err(error) => {
                    let take = if matches!(error, Unread::Gone(_)) { Take::Last } else { Take::Not };
                    unread = Some((lost, error));
                    take
                }
            }
        });
        tally.values_cut(self.rule.take_cuts());
        match (unread, end) {
            (Some((lost, Unread::Gone(_))), _) => ReadOutcome::Gap(lost),
            (Some((LostRange { range, .. }, Unread::NotNow(error))), _) => {
                // The next scan finds out what became of its file.
                log.scan_soon();
                warn!(source = %self.source, %error, "cannot read a line that is too long; it is tried again");
                self.reader.leave_alone(range.segment);
                ReadOutcome::CaughtUp
            }
            (None, ReadEnd::Stopped) => ReadOutcome::Sealed(self.finish()),
            (None, ReadEnd::Budget) if self.draft.body.is_empty() || self.covered > MAX_COVERED => {
                ReadOutcome::Sealed(self.finish())
            }
            (None, ReadEnd::Budget) => ReadOutcome::More,
            (None, ReadEnd::CaughtUp) => ReadOutcome::CaughtUp,
        }
    }

    /// Puts a batch together again as it was before a restart. What it adds to the tally counts only where that is done.
    pub fn again(&mut self, batch: &BatchRecord, tally: &mut Tally) -> Result<SealedBatch, Unread> {
        let log = self.reader.log().clone();
        let context = TakeContext { mode: TakeMode::Again, lines_of: LinesOf::Log(&log), now: Instant::now() };
        let span = Span(batch.span.iter().map(|anchored| anchored.range).collect());
        let mut draft = BatchDraft::new(self.source.clone(), self.bodies.take());
        let mut unread = None;
        let Self { reader, rule, .. } = self;
        reader.read_again(&span, &mut |item| {
            // Nothing is refused that is read again, so an error is all that can come of it.
            if let Err(error) = rule.judge(item).take_into(&mut draft, tally, &context) {
                unread.get_or_insert(error);
            }
        })?;
        tally.values_cut(self.rule.take_cuts());
        if let Some(error) = unread {
            return Err(error);
        }
        Ok(draft.seal(batch.span.clone()))
    }

    /// Reads nothing more up to and with this segment, and gives what it leaves out by that. The draft must have been
    /// flushed: what is read next does not continue it.
    pub fn pass_over(&mut self, last: SegmentId) -> Vec<SegmentRange> {
        debug_assert!(self.draft.is_empty(), "a draft has no holes");
        self.reader.pass_over(last)
    }

    /// Whether something is lost that stands behind nothing unread: it can be told before the rest is read.
    pub fn has_lost(&self) -> bool {
        self.reader.has_lost()
    }

    /// Passes over that. The draft must have been flushed.
    pub fn pass_lost(&mut self) -> Vec<LostRange> {
        debug_assert!(self.draft.is_empty(), "a draft has no holes");
        self.reader.pass_lost()
    }

    fn finish(&mut self) -> SealedBatch {
        let fresh = BatchDraft::new(self.source.clone(), self.bodies.take());
        let draft = std::mem::replace(&mut self.draft, fresh);
        self.covered = 0;
        let span = draft.span(|segment| self.reader.cursor(segment));
        draft.seal(span)
    }
}
