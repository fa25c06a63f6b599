//! One source as one forwarder follows it: lines in, drafts out.
//!
//! All of this is plain and blocking: it runs where blocking is allowed. What always holds: a draft covers exactly
//! what was read since the one before, so no cursor passes over a hole.

use std::{io::Read, sync::Arc, time::Instant};

use sha2::{Digest, Sha256};
use tracing::warn;

use super::{
    batch::{BatchDraft, BodyLimits, BodyPool, Pushed, RejectedLine, SealedBatch},
    dead_letter::Reason,
    encode::{EventWriter, Stub},
    filter::{EventFilter, FilterVerdict},
    journal::BatchRecord,
    stats::{FilterRule, Tally},
};
use crate::{
    config,
    log::{ContainerOrigin, Log, LogItem, ReadEnd, Reader, SegmentId, SegmentRange, Span, Take, Unread},
    scan::Invalid,
    schema::{Checker, Event, Needs},
};

/// Bytes read before others have a turn, where a filter lets nothing pass.
const BUDGET: usize = 8 * 1024 * 1024;

/// Bytes that a draft may cover while few of its events pass: what a crash makes us read again.
const MAX_COVERED: u64 = 64 * 1024 * 1024;

#[derive(Debug)]
pub struct FollowedSource {
    source: Arc<str>,
    reader: Reader,
    checker: Checker,
    filter: EventFilter,
    writer: EventWriter,
    origins: ContainerOrigins,
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
    Gap(SegmentRange),
    /// There is more to read.
    More,
    /// Nothing whole is left to read now; a draft may have been begun.
    CaughtUp,
}

impl FollowedSource {
    pub fn new(forwarder: &config::Forwarder, source: &config::Source, reader: Reader, bodies: BodyPool) -> Self {
        let (checker, filter, writer) = judges(forwarder, source, Needs::Validity);
        let name: Arc<str> = source.name.as_str().into();
        Self {
            checker,
            draft: BatchDraft::new(name.clone(), bodies.take()),
            source: name,
            reader,
            filter,
            writer,
            origins: ContainerOrigins::default(),
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
        let mut stop = None;
        let log = self.reader.log().clone();
        let Self { reader, checker, filter, writer, origins, draft, covered, .. } = self;
        let end = reader.read(BUDGET, &mut |item| {
            let range = match &item {
                LogItem::Line { range, .. } | LogItem::Blank { range } | LogItem::Foreign { range, .. } => *range,
                LogItem::Other { range, .. } | LogItem::TooLong { range } | LogItem::Gap { range } => *range,
            };
            let take = match item {
                LogItem::Blank { .. } => Take::More,
                LogItem::Other { lines, .. } => {
                    draft.filter(FilterRule::Stream, lines, range);
                    tally.read(lines, range.len());
                    Take::More
                }
                LogItem::Foreign { bytes, .. } => reject(draft, fit, foreign(range, Some(bytes)), tally),
                LogItem::Line { bytes, .. } => match judge(bytes, checker, filter, writer) {
                    Err(invalid) => reject(draft, fit, dead(range, &invalid, Some(bytes)), tally),
                    Ok(Judged::Dropped(rule)) => {
                        draft.filter(rule, 1, range);
                        tally.read_event(range.len());
                        Take::More
                    }
                    Ok(Judged::Passes(event)) => {
                        let origin = origins.of(&log, range.segment);
                        if !draft.body.is_empty() && draft.origin != *origin {
                            return Take::Not;
                        }
                        match draft.push_of(origin, fit, range, |out| writer.write(&event, out)) {
                            Pushed::Full => Take::Not,
                            Pushed::In => {
                                tally.read_event(range.len());
                                if draft.body.is_full(fit) { Take::Last } else { Take::More }
                            }
                        }
                    }
                },
                LogItem::TooLong { .. } | LogItem::Gap { .. } if !draft.is_empty() => Take::Not,
                LogItem::TooLong { .. } => {
                    stop = Some(StoppedAt::TooLong(range));
                    return Take::Last;
                }
                LogItem::Gap { .. } => {
                    stop = Some(StoppedAt::Gap(range));
                    return Take::Last;
                }
            };
            if take != Take::Not {
                draft.cover(range, now);
                *covered += range.len();
            }
            take
        });
        tally.values_cut(self.writer.take_cuts());
        match stop {
            Some(StoppedAt::Gap(range)) => ReadOutcome::Gap(range),
            Some(StoppedAt::TooLong(range)) => match self.put_stub(range, now) {
                Ok(()) => {
                    tally.read_event(range.len());
                    ReadOutcome::More
                }
                Err(Unread::Gone(_)) => ReadOutcome::Gap(range),
                Err(Unread::NotNow(error)) => {
                    // The next scan finds out what became of its file.
                    self.reader.log().scan_soon();
                    warn!(source = %self.source, %error, "cannot read a line that is too long; it is tried again");
                    self.reader.put_back(range);
                    ReadOutcome::CaughtUp
                }
            },
            None => match end {
                ReadEnd::Stopped => ReadOutcome::Sealed(self.finish()),
                ReadEnd::Budget if self.draft.body.is_empty() || self.covered > MAX_COVERED => {
                    ReadOutcome::Sealed(self.finish())
                }
                ReadEnd::Budget => ReadOutcome::More,
                ReadEnd::CaughtUp => ReadOutcome::CaughtUp,
            },
        }
    }

    /// Puts a batch together again as it was before a restart. What it adds to the tally counts only where that is done.
    pub fn again(&mut self, batch: &BatchRecord, tally: &mut Tally) -> Result<SealedBatch, Unread> {
        let now = Instant::now();
        let whole = BodyLimits { max_events: usize::MAX, max_bytes: usize::MAX };
        let span = Span(batch.span.iter().map(|anchored| anchored.range).collect());
        let mut draft = BatchDraft::new(self.source.clone(), self.bodies.take());
        let mut failed = None;
        let log = self.reader.log().clone();
        let Self { reader, checker, filter, writer, origins, .. } = self;
        reader.read_again(&span, &mut |item| match item {
            LogItem::Blank { range } | LogItem::Gap { range } => draft.cover(range, now),
            LogItem::Other { range, lines } => {
                tally.read(lines, range.len());
                draft.filter(FilterRule::Stream, lines, range);
                draft.cover(range, now);
            }
            LogItem::Foreign { range, .. } => {
                tally.read_event(range.len());
                let _ = draft.reject(&whole, foreign(range, None));
                draft.cover(range, now);
            }
            LogItem::TooLong { range } => {
                tally.read_event(range.len());
                match push_stub(&log, origins, writer, &mut draft, range) {
                    Ok(()) => draft.cover(range, now),
                    Err(error) => failed = Some(error),
                }
            }
            LogItem::Line { range, bytes } => {
                tally.read_event(range.len());
                draft.cover(range, now);
                match judge(bytes, checker, filter, writer) {
                    // Written down before the batch was first sent.
                    Err(invalid) => _ = draft.reject(&whole, dead(range, &invalid, None)),
                    Ok(Judged::Dropped(rule)) => draft.filter(rule, 1, range),
                    // A body without limits takes it.
                    Ok(Judged::Passes(event)) => {
                        let origin = origins.of(&log, range.segment);
                        let _ = draft.push_of(origin, &whole, range, |out| writer.write(&event, out));
                    }
                }
            }
        })?;
        tally.values_cut(self.writer.take_cuts());
        if let Some(error) = failed {
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

    fn put_stub(&mut self, range: SegmentRange, now: Instant) -> Result<(), Unread> {
        let log = self.reader.log().clone();
        push_stub(&log, &mut self.origins, &self.writer, &mut self.draft, range)?;
        self.draft.cover(range, now);
        self.covered += range.len();
        Ok(())
    }

    fn finish(&mut self) -> SealedBatch {
        let fresh = BatchDraft::new(self.source.clone(), self.bodies.take());
        let draft = std::mem::replace(&mut self.draft, fresh);
        self.covered = 0;
        let span = draft.span(|segment| self.reader.cursor(segment));
        draft.seal(span)
    }
}

enum StoppedAt {
    TooLong(SegmentRange),
    Gap(SegmentRange),
}

/// The container of the segment that was asked for last: records of one come in runs.
#[derive(Debug, Default)]
struct ContainerOrigins {
    last: Option<SegmentId>,
    origin: Option<Arc<ContainerOrigin>>,
}

impl ContainerOrigins {
    fn of(&mut self, log: &Log, segment: SegmentId) -> &Option<Arc<ContainerOrigin>> {
        if self.last != Some(segment) {
            self.last = Some(segment);
            self.origin = log.origin(segment).map(Arc::new);
        }
        &self.origin
    }
}

/// What becomes of a line that is an event.
pub enum Judged<'a> {
    Passes(Event<'a>),
    Dropped(FilterRule),
}

/// What judges a source's lines for a forwarder and writes its events. `beside`: what the caller asks of events itself.
pub fn judges(
    forwarder: &config::Forwarder,
    source: &config::Source,
    beside: Needs,
) -> (Checker, EventFilter, EventWriter) {
    let filter = EventFilter::new(&forwarder.filter);
    let writer = EventWriter::new(forwarder, &source.name);
    let needs = writer.needs().max(filter.needs()).max(beside);
    let checker = Checker::with(source.schema, &source.fields, needs, filter.pointers());
    (checker.only_json(source.only_json), filter, writer)
}

/// Checks a line, asks the rules, and only of what passes them whether it can be sent in the forwarder's format.
pub fn judge<'a>(
    line: &'a [u8],
    checker: &'a mut Checker,
    filter: &mut EventFilter,
    writer: &EventWriter,
) -> Result<Judged<'a>, Invalid> {
    if checker.passes_over(line) {
        return Ok(Judged::Dropped(FilterRule::OnlyJson));
    }
    let event = checker.check(line)?;
    match filter.verdict(&event) {
        FilterVerdict::Dropped(rule) => Ok(Judged::Dropped(rule)),
        FilterVerdict::Pass => writer.takes(&event).map(|()| Judged::Passes(event)),
    }
}

fn dead(range: SegmentRange, invalid: &Invalid, payload: Option<&[u8]>) -> RejectedLine {
    let reason = match invalid {
        Invalid::Utf8 { .. } => Reason::InvalidUtf8,
        Invalid::Json { .. } | Invalid::TooDeep { .. } | Invalid::Cef => Reason::InvalidJson,
    };
    RejectedLine { range, reason, detail: invalid.to_string(), payload: payload.map(<[u8]>::to_vec) }
}

/// What a line is that its file should not have.
pub const FOREIGN: &str = "it is no line of the CRI format: time, stdout or stderr, P or F, message";

fn foreign(range: SegmentRange, payload: Option<&[u8]>) -> RejectedLine {
    let (detail, payload) = (FOREIGN.to_owned(), payload.map(<[u8]>::to_vec));
    RejectedLine { range, reason: Reason::InvalidCri, detail, payload }
}

fn reject(draft: &mut BatchDraft, fit: &BodyLimits, dead: RejectedLine, tally: &mut Tally) -> Take {
    let length = dead.range.len();
    if !draft.reject(fit, dead) {
        return Take::Not;
    }
    tally.read_event(length);
    Take::More
}

/// The event that takes the place of a line that is too long; the line itself goes to the dead letters.
fn push_stub(
    log: &Log,
    origins: &mut ContainerOrigins,
    writer: &EventWriter,
    draft: &mut BatchDraft,
    range: SegmentRange,
) -> Result<(), Unread> {
    let (bytes, sha256) = hash(log, range)?;
    let stub = Stub { event_id: &log.event_id(range.segment, range.start), bytes, sha256: &sha256 };
    let detail = format!("the line is {bytes} bytes long, more than maxEventBytes allows");
    let line = RejectedLine { range, reason: Reason::LineTooLong, detail, payload: None };
    draft.push_stub(origins.of(log, range.segment), line, |out| writer.write_stub(&stub, out));
    Ok(())
}

fn hash(log: &Log, range: SegmentRange) -> Result<(u64, String), Unread> {
    let mut record = log.record(range)?;
    let mut length = 0;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match record.read(&mut chunk)? {
            0 => break,
            got => {
                hasher.update(&chunk[..got]);
                length += got as u64;
            }
        }
    }
    Ok((length, hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}
