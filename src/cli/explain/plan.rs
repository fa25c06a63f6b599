//! What one forwarder would do with the lines of one source.

use std::{io::Write, sync::Arc, time::Instant};

use bytes::Bytes;

use super::lines::InputLine;
use crate::{
    cli::{exit::Exit, failure::Failure, printable::printable},
    config::{self, Forwarder, Source},
    forwarder::{
        batch::{BatchBody, BatchDraft, BodyFrame, BodyLimits},
        compress::Compressor,
        deliver::{Request, WebhookClient},
        encode::Stub,
        line_rule::{LineRule, LineVerdict, LinesOf, TakeContext, TakeMode},
        stats::{FilterRule, Tally},
    },
    log::{ContainerOrigin, Take},
    schema::{Event, Needs, System},
};

/// What stands for a batch's id, which is drawn at random when it is announced.
const ID: &str = "BATCH-ID";

/// In a stub: where the line stands in its log, and its digest.
const EVENT_ID: &str = "EVENT-ID";
const SHA256: &str = "SHA256-OF-THE-LINE";

pub(super) struct ExplainPlan<'c> {
    forwarder: &'c Forwarder,
    origin: Option<Arc<ContainerOrigin>>,
    rule: LineRule,
    webhook: WebhookClient,
    draft: BatchDraft,
    fit: BodyLimits,
    /// Requests that are complete.
    requests: u64,
}

impl<'c> ExplainPlan<'c> {
    pub(super) fn new(
        forwarder: &'c Forwarder,
        source: &Source,
        origin: Option<Arc<ContainerOrigin>>,
    ) -> Result<Self, Failure> {
        let webhook = WebhookClient::new(forwarder)
            .map_err(|error| Failure::Told(Exit::Config, format!("forwarder {}: {error}", forwarder.name)))?;
        Ok(Self {
            forwarder,
            origin,
            // The type is shown in any case.
            rule: LineRule::new(forwarder, source, Needs::Type),
            webhook,
            draft: BatchDraft::new(source.name.as_str().into(), BatchBody::new(BodyFrame::of(forwarder))),
            fit: BodyLimits::new(&forwarder.batch, forwarder.framing, None),
            requests: 0,
        })
    }

    pub(super) fn name(&self) -> &'c str {
        &self.forwarder.name
    }

    /// What becomes of the line, and the requests that it completes or that had no room for it.
    pub(super) fn take(&mut self, line: &InputLine<'_>) -> (String, Vec<u8>) {
        let mut requests = Vec::new();
        let (mut what, mut take) = self.put(line);
        if take == Take::Not {
            // Where the batch before had no room, the line is the first of the next one.
            requests.extend(self.flush().unwrap_or_default());
            (what, take) = self.put(line);
        }
        if what.starts_with("sent") {
            what += &format!(", in request {}", self.requests + 1);
        }
        if take == Take::Last {
            requests.extend(self.flush().unwrap_or_default());
        }
        (what, requests)
    }

    fn put(&mut self, line: &InputLine<'_>) -> (String, Take) {
        let Self { forwarder, origin, rule, draft, fit, .. } = self;
        let stub = Stub { event_id: EVENT_ID, bytes: line.length, sha256: SHA256 };
        let lines_of = LinesOf::Stream { origin, stub };
        let context = TakeContext { mode: TakeMode::Fresh(fit), lines_of, now: Instant::now() };
        let judged = rule.judge(line.item);
        let what = told(forwarder, &judged.verdict, line.length);
        let take = judged.take_into(draft, &mut Tally::default(), &context);
        (what, take.expect("a stream's lines are at hand, and it has no gaps"))
    }

    /// The request that the events make that wait for others, if there are any.
    pub(super) fn flush(&mut self) -> Option<Vec<u8>> {
        let empty = BatchDraft::new(self.draft.source.clone(), BatchBody::new(BodyFrame::of(self.forwarder)));
        let mut body = std::mem::replace(&mut self.draft, empty).body;
        if body.is_empty() {
            return None;
        }
        body.finish();
        self.requests += 1;
        let mut out = Vec::new();
        self.request(&body, &mut out).expect("a Vec takes every write");
        Some(out)
    }

    fn request(&self, body: &BatchBody, out: &mut Vec<u8>) -> std::io::Result<()> {
        let compressed = self.forwarder.compression != config::Compression::None;
        let (name, number, events) = (self.name(), self.requests, body.events().len());
        let raw = body.bytes();
        let wire = Compressor::new(self.forwarder.compression).compress(raw).unwrap_or_else(|_| Bytes::new());
        write!(out, "\n--- {name}, request {number}: {events} event{}, ", if events == 1 { "" } else { "s" })?;
        match compressed {
            true => writeln!(out, "{} bytes, gzipped to {}; shown as before gzip", raw.len(), wire.len())?,
            false => writeln!(out, "{} bytes", raw.len())?,
        }
        let request = Request {
            batch_id: ID,
            number,
            events,
            attempt: 1,
            body: wire,
            compressed,
            origin: self.origin.as_deref(),
        };
        match self.webhook.preview(&request) {
            Ok(head) => writeln!(out, "{head}")?,
            Err(error) => writeln!(out, "cannot be built: {error}")?,
        }
        out.write_all(raw)?;
        if raw.last() != Some(&b'\n') {
            out.push(b'\n');
        }
        writeln!(out, "---\n")
    }
}

/// What a verdict is for a person, but for the request that an event is in.
fn told(forwarder: &Forwarder, verdict: &LineVerdict<'_>, length: u64) -> String {
    match verdict {
        LineVerdict::Blank | LineVerdict::Gone => String::new(),
        LineVerdict::Passes(event) => format!("sent{}", what(event)),
        LineVerdict::Filtered { rule, event, .. } => {
            let condition = match rule {
                FilterRule::Where(number) => forwarder.filter.conditions.get(usize::from(*number)),
                _ => None,
            };
            let asked = condition.map(|condition| format!(" ({})", asked(condition))).unwrap_or_default();
            format!("filtered{}: {rule}{asked}", event.as_ref().map(what).unwrap_or_default())
        }
        LineVerdict::Rejected { fault, .. } => format!("dead letter: {}: {fault}", fault.reason().as_str()),
        LineVerdict::TooLong => {
            format!(
                "dead letter: line_too_long: {length} bytes are more than maxEventBytes; a stub is sent in its place"
            )
        }
    }
}

/// ` (connect trust_zone_creation)`: the system, where it is a known one, and the event's type.
fn what(event: &Event<'_>) -> String {
    let system = event.facts.map(|facts| facts.system()).filter(|system| *system != System::Generic);
    let words = [system.map(System::name), event.event_type].into_iter().flatten().map(printable);
    match words.collect::<Vec<_>>().join(" ") {
        nothing if nothing.is_empty() => nothing,
        words => format!(" ({words})"),
    }
}

/// A condition as it is written in the configuration.
fn asked(condition: &config::ConditionRule) -> String {
    let mut said = match &condition.asked {
        config::Asked::Field(field) => field.name().to_owned(),
        config::Asked::Pointer(pointer) => pointer.clone(),
    };
    if let Some(words) = &condition.is_in {
        said += &format!(" in [{}]", words.join(", "));
    }
    if !condition.not_in.is_empty() {
        said += &format!(" notIn [{}]", condition.not_in.join(", "));
    }
    if let Some(pattern) = &condition.matches {
        said += &format!(" matches {}", pattern.0.as_str());
    }
    if let Some(exists) = condition.exists {
        said += &format!(" exists: {exists}");
    }
    printable(&said)
}
