//! What becomes of a line: decided here and nowhere else.
//!
//! Reading for the first time, reading a batch again after a restart and `explain` all ask [`LineRule::judge`] and
//! then [`JudgedLine::take_into`]. So a batch that is read again has the same bytes by construction: the verdict
//! follows from the line and the configuration alone, and a [`TakeMode`] changes only what a draft may refuse and
//! what it holds.

use std::{fmt, sync::Arc, time::Instant};

use super::{
    batch::{BatchDraft, BodyLimits, Pushed, RejectedLine},
    dead_letter::Reason,
    encode::{EventWriter, Stub},
    filter::{EventFilter, FilterVerdict},
    stats::{FilterRule, Tally},
};
use crate::{
    config,
    log::{ContainerOrigin, CutPart, ItemKind, Log, LogItem, SegmentId, SegmentRange, Take, Unread},
    scan::Invalid,
    schema::{Checker, Event, Needs},
};

/// Judges a source's lines for a forwarder and writes its events.
#[derive(Debug)]
pub struct LineRule {
    checker: Checker,
    filter: EventFilter,
    writer: EventWriter,
    origins: ContainerOrigins,
}

/// What becomes of a line.
#[derive(Debug)]
pub enum LineVerdict<'r> {
    /// It is nothing.
    Blank,
    /// It is sent.
    Passes(Event<'r>),
    /// A rule keeps so many lines back. The event, where the rule asked for one.
    Filtered { rule: FilterRule, lines: u64, event: Option<Event<'r>> },
    /// It can never be sent.
    Rejected { fault: LineFault, bytes: &'r [u8] },
    /// It is longer than allowed: a stub is sent in its place.
    TooLong,
    /// Its bytes are not there.
    Gone,
}

/// Why a line can never be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFault {
    Invalid(Invalid),
    /// It is not in the format of its file.
    Foreign,
}

/// A line of which it is known what becomes of it.
#[derive(Debug)]
pub struct JudgedLine<'r> {
    pub verdict: LineVerdict<'r>,
    range: SegmentRange,
    continued: &'r [SegmentRange],
    cut: Option<&'r CutPart<'r>>,
    writer: &'r mut EventWriter,
    origins: &'r mut ContainerOrigins,
}

/// How lines are taken into a draft.
#[derive(Clone, Copy, Debug)]
pub struct TakeContext<'a> {
    pub mode: TakeMode<'a>,
    pub lines_of: LinesOf<'a>,
    pub now: Instant,
}

/// What a draft may do with lines.
#[derive(Clone, Copy, Debug)]
pub enum TakeMode<'a> {
    /// For the first time: it refuses what it has no room for, and holds the bytes of rejected lines, for their file
    /// may be cut before they are written down.
    Fresh(&'a BodyLimits),
    /// As they were in a batch before a restart: it refuses nothing. Rejected lines were written down then.
    Again,
}

/// Where lines come from.
#[derive(Clone, Copy, Debug)]
pub enum LinesOf<'a> {
    Log(&'a Log),
    /// A stream that is no log; `stub` is what stands for its present line, should that be too long.
    Stream {
        origin: &'a Option<Arc<ContainerOrigin>>,
        stub: Stub<'a>,
    },
}

impl LineRule {
    /// `beside`: what the caller asks of events itself.
    pub fn new(forwarder: &config::Forwarder, source: &config::Source, beside: Needs) -> Self {
        let filter = EventFilter::new(&forwarder.filter);
        let writer = EventWriter::new(forwarder, &source.name);
        let needs = writer.needs().max(filter.needs()).max(beside);
        let checker = Checker::with(source.schema, &source.fields, needs, filter.pointers());
        Self { checker: checker.only_json(source.only_json), filter, writer, origins: ContainerOrigins::default() }
    }

    /// Decides what becomes of an item: it is checked, the rules are asked, and only of what passes them whether it
    /// can be sent in the forwarder's format.
    pub fn judge<'r>(&'r mut self, item: LogItem<'r>) -> JudgedLine<'r> {
        let Self { checker, filter, writer, origins } = self;
        let verdict = match item.kind {
            ItemKind::Line(bytes) => judge_line(bytes, item.cut, checker, filter, writer),
            ItemKind::Blank => LineVerdict::Blank,
            ItemKind::Foreign(bytes) => LineVerdict::Rejected { fault: LineFault::Foreign, bytes },
            ItemKind::Other(lines) => LineVerdict::Filtered { rule: FilterRule::Stream, lines, event: None },
            ItemKind::TooLong => LineVerdict::TooLong,
            ItemKind::Gap { .. } => LineVerdict::Gone,
        };
        JudgedLine { verdict, range: item.range, continued: item.continued, cut: item.cut, writer, origins }
    }

    /// How many values were cut to the length of their key since this was last asked.
    pub fn take_cuts(&mut self) -> u64 {
        self.writer.take_cuts()
    }
}

fn judge_line<'r>(
    bytes: &'r [u8],
    cut: Option<&'r CutPart<'r>>,
    checker: &'r mut Checker,
    filter: &mut EventFilter,
    writer: &EventWriter,
) -> LineVerdict<'r> {
    // How a record begins tells whether it is one that is wanted.
    let beginning = if let Some(CutPart::Rest { message, .. }) = cut { message } else { bytes };
    if checker.passes_over(beginning) && checker.passes_over(bytes) {
        return LineVerdict::Filtered { rule: FilterRule::OnlyJson, lines: 1, event: None };
    }
    let fault = match checker.check(bytes) {
        Err(invalid) => invalid,
        Ok(event) => match filter.verdict(&event) {
            FilterVerdict::Dropped(rule) => return LineVerdict::Filtered { rule, lines: 1, event: Some(event) },
            FilterVerdict::Pass => match writer.takes(&event) {
                Ok(()) => return LineVerdict::Passes(event),
                Err(invalid) => invalid,
            },
        },
    };
    LineVerdict::Rejected { fault: LineFault::Invalid(fault), bytes }
}

impl JudgedLine<'_> {
    /// Does with a draft what the verdict says, and counts it. An error or [`Take::Not`] leaves the draft as it was.
    ///
    /// An empty draft refuses nothing that can be read.
    pub fn take_into(
        self,
        draft: &mut BatchDraft,
        tally: &mut Tally,
        context: &TakeContext<'_>,
    ) -> Result<Take, Unread> {
        let Self { verdict, range, continued, cut, writer, origins } = self;
        let TakeContext { mode, lines_of, now } = *context;
        let mut take = Take::More;
        let lines = match verdict {
            LineVerdict::Blank => 0,
            LineVerdict::Filtered { rule, lines, .. } => {
                draft.filter(rule, lines, range);
                lines
            }
            LineVerdict::Rejected { fault, bytes } => {
                let payload = matches!(mode, TakeMode::Fresh(_)).then(|| bytes.to_vec());
                let detail = cut.map_or_else(|| fault.to_string(), |part| format!("{fault}; {}", part.other()));
                let continued = continued.into();
                let rejected = RejectedLine { range, continued, reason: fault.reason(), detail, payload };
                if !draft.reject(mode.limits(), rejected) {
                    return Ok(Take::Not);
                }
                1
            }
            LineVerdict::Passes(event) => {
                let Some(out) = begin(draft, mode, origins.of(lines_of, range)) else { return Ok(Take::Not) };
                writer.write(&event, out);
                take = end(draft, mode, range, continued, false);
                1
            }
            LineVerdict::TooLong => {
                take = take_stub(draft, mode, lines_of, origins, writer, range)?;
                1
            }
            LineVerdict::Gone => return Err(Unread::Gone("they were gone before they were read".to_owned())),
        };
        if take == Take::Not {
            return Ok(take);
        }
        if lines > 0 {
            tally.read(lines, [range].iter().chain(continued).map(SegmentRange::len).sum());
        }
        [range].iter().chain(continued).for_each(|range| draft.cover(*range, now));
        Ok(take)
    }
}

/// Where the next event is to be written; `None` where the draft takes none. Events of several containers make no batch:
/// a request names one.
fn begin<'d>(
    draft: &'d mut BatchDraft,
    mode: TakeMode<'_>,
    origin: &Option<Arc<ContainerOrigin>>,
) -> Option<&'d mut Vec<u8>> {
    let is_of_another = !draft.body.is_empty() && draft.origin != *origin;
    if is_of_another && matches!(mode, TakeMode::Fresh(_)) {
        return None;
    }
    draft.begin_event(origin, mode.limits())
}

fn end(
    draft: &mut BatchDraft,
    mode: TakeMode<'_>,
    range: SegmentRange,
    continued: &[SegmentRange],
    stub: bool,
) -> Take {
    match draft.end_event(mode.limits(), range, continued, stub) {
        Pushed::Full => Take::Not,
        Pushed::In if draft.body.is_full(mode.limits()) => Take::Last,
        Pushed::In => Take::More,
    }
}

/// The event that takes the place of a line that is too long; the line itself goes to the dead letters.
fn take_stub(
    draft: &mut BatchDraft,
    mode: TakeMode<'_>,
    lines_of: LinesOf<'_>,
    origins: &mut ContainerOrigins,
    writer: &EventWriter,
    range: SegmentRange,
) -> Result<Take, Unread> {
    let (event_id, sha256);
    let stub = match lines_of {
        LinesOf::Log(log) => {
            let digest = log.digest(range)?;
            (event_id, sha256) = (log.event_id(range.segment, range.start), digest.hex());
            Stub { event_id: &event_id, bytes: digest.bytes, sha256: &sha256 }
        }
        LinesOf::Stream { stub, .. } => stub,
    };
    let Some(out) = begin(draft, mode, origins.of(lines_of, range)) else { return Ok(Take::Not) };
    writer.write_stub(&stub, out);
    let take = end(draft, mode, range, &[], true);
    if take != Take::Not {
        let detail = format!("the line is {} bytes long, more than maxEventBytes allows", stub.bytes);
        let (reason, continued) = (Reason::LineTooLong, Box::default());
        draft.reject_stubbed(RejectedLine { range, continued, reason, detail, payload: None });
    }
    Ok(take)
}

impl TakeMode<'_> {
    fn limits(&self) -> &BodyLimits {
        match self {
            Self::Fresh(limits) => limits,
            Self::Again => &BodyLimits::NONE,
        }
    }
}

impl LineFault {
    pub fn reason(&self) -> Reason {
        match self {
            Self::Invalid(Invalid::Utf8 { .. }) => Reason::InvalidUtf8,
            Self::Invalid(Invalid::Json { .. } | Invalid::TooDeep { .. } | Invalid::Cef) => Reason::InvalidJson,
            Self::Foreign => Reason::InvalidCri,
        }
    }
}

/// What is wrong, for a person.
impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::Foreign => f.write_str("it is no line of the CRI format: time, stdout or stderr, P or F, message"),
        }
    }
}

/// The container of the segment that was asked for last: records of one come in runs.
#[derive(Debug, Default)]
struct ContainerOrigins {
    last: Option<SegmentId>,
    origin: Option<Arc<ContainerOrigin>>,
}

impl ContainerOrigins {
    fn of<'o>(&'o mut self, lines_of: LinesOf<'o>, range: SegmentRange) -> &'o Option<Arc<ContainerOrigin>> {
        let log = match lines_of {
            LinesOf::Log(log) => log,
            LinesOf::Stream { origin, .. } => return origin,
        };
        if self.last != Some(range.segment) {
            self.last = Some(range.segment);
            self.origin = log.origin(range.segment).map(Arc::new);
        }
        &self.origin
    }
}
