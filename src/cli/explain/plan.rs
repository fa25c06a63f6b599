//! What one forwarder would do with the lines of one source.

use std::io::Write;

use bytes::Bytes;

use super::lines::{InputLine, InputLineKind};
use crate::{
    cli::{exit::Exit, failure::Failure, printable::printable},
    config::{self, Forwarder, Source},
    forwarder::{
        batch::{BatchBody, BodyFrame, BodyLimits, Pushed},
        compress::Compressor,
        dead_letter::Reason,
        deliver::{Request, WebhookClient},
        encode::{EventWriter, Stub},
        filter::EventFilter,
        follow::{FOREIGN, Judged, judge, judges},
        stats::FilterRule,
    },
    log::{ContainerOrigin, SegmentId, SegmentRange},
    schema::{Checker, Event, Needs, System},
};

/// What stands for a batch's id, which is drawn at random when it is announced.
const ID: &str = "BATCH-ID";

/// In a stub: where the line stands in its log, and its digest.
const EVENT_ID: &str = "EVENT-ID";
const SHA256: &str = "SHA256-OF-THE-LINE";

pub(super) struct ExplainPlan<'c> {
    forwarder: &'c Forwarder,
    most: usize,
    origin: Option<&'c ContainerOrigin>,
    checker: Checker,
    filter: EventFilter,
    writer: EventWriter,
    webhook: WebhookClient,
    body: BatchBody,
    fit: BodyLimits,
    /// Requests that are complete.
    requests: u64,
}

impl<'c> ExplainPlan<'c> {
    pub(super) fn new(
        forwarder: &'c Forwarder,
        source: &Source,
        origin: Option<&'c ContainerOrigin>,
    ) -> Result<Self, Failure> {
        let webhook = WebhookClient::new(forwarder)
            .map_err(|error| Failure::Told(Exit::Config, format!("forwarder {}: {error}", forwarder.name)))?;
        // The type is shown in any case.
        let (checker, filter, writer) = judges(forwarder, source, Needs::Type);
        Ok(Self {
            forwarder,
            most: source.max_event_bytes,
            origin,
            checker,
            filter,
            writer,
            webhook,
            body: BatchBody::new(BodyFrame::of(forwarder)),
            fit: BodyLimits::new(&forwarder.batch, None),
            requests: 0,
        })
    }

    pub(super) fn name(&self) -> &'c str {
        &self.forwarder.name
    }

    /// What becomes of the line, and the request that it completes or that had no room for it.
    pub(super) fn take(&mut self, line: &InputLine) -> (String, Option<Vec<u8>>) {
        match line.kind {
            InputLineKind::Record => {}
            InputLineKind::Other => return (format!("filtered: {}", FilterRule::Stream), None),
            InputLineKind::Foreign => {
                return (format!("dead letter: {}: {FOREIGN}", Reason::InvalidCri.as_str()), None);
            }
        }
        if line.length > self.most as u64 {
            let stub = Stub { event_id: EVENT_ID, bytes: line.length, sha256: SHA256 };
            let mut bytes = Vec::new();
            self.writer.write_stub(&stub, &mut bytes);
            let request = self.push(true, &bytes);
            let what = format!(
                "dead letter: line_too_long: {} bytes are more than maxEventBytes; a stub is sent in its place",
                line.length
            );
            return (what, request);
        }
        let mut bytes = Vec::new();
        let event_type;
        match judge(&line.bytes, &mut self.checker, &mut self.filter, &self.writer) {
            Err(invalid) => return (format!("dead letter: {}: {invalid}", invalid.reason()), None),
            Ok(Judged::Dropped(rule)) => return (self.dropped(line, rule), None),
            Ok(Judged::Passes(event)) => {
                event_type = what(&event);
                self.writer.write(&event, &mut bytes);
            }
        }
        let number = self.requests + 1;
        let request = self.push(false, &bytes);
        // Where the batch before had no room, the event is the first of the next one.
        let number = if request.is_some() && !self.body.is_empty() { number + 1 } else { number };
        (format!("sent{event_type}, in request {number}"), request)
    }

    fn dropped(&mut self, line: &InputLine, rule: FilterRule) -> String {
        let condition = match rule {
            FilterRule::Where(number) => self.forwarder.filter.conditions.get(usize::from(number)),
            _ => None,
        };
        let asked = condition.map(|condition| format!(" ({})", asked(condition))).unwrap_or_default();
        let what = self.checker.check(&line.bytes).map(|event| what(&event)).unwrap_or_default();
        format!("filtered{what}: {rule}{asked}")
    }

    fn push(&mut self, stub: bool, bytes: &[u8]) -> Option<Vec<u8>> {
        let range = SegmentRange { segment: SegmentId(0), start: 0, end: bytes.len() as u64 };
        let mut request = None;
        if self.body.push(&self.fit, range, stub, |out| out.extend_from_slice(bytes)) == Pushed::Full {
            request = self.flush();
            let _ = self.body.push(&self.fit, range, stub, |out| out.extend_from_slice(bytes));
        }
        if request.is_none() && self.body.is_full(&self.fit) { self.flush() } else { request }
    }

    /// The request that the events make that wait for others, if there are any.
    pub(super) fn flush(&mut self) -> Option<Vec<u8>> {
        if self.body.is_empty() {
            return None;
        }
        self.body.finish();
        self.requests += 1;
        let mut out = Vec::new();
        self.request(&mut out).expect("a Vec takes every write");
        self.body.clear();
        Some(out)
    }

    fn request(&self, out: &mut Vec<u8>) -> std::io::Result<()> {
        let compressed = self.forwarder.compression != config::Compression::None;
        let (name, number, events) = (self.name(), self.requests, self.body.events().len());
        let raw = self.body.bytes();
        let wire = Compressor::new(self.forwarder.compression).compress(raw).unwrap_or_else(|_| Bytes::new());
        write!(out, "\n--- {name}, request {number}: {events} event{}, ", if events == 1 { "" } else { "s" })?;
        match compressed {
            true => writeln!(out, "{} bytes, gzipped to {}; shown as before gzip", raw.len(), wire.len())?,
            false => writeln!(out, "{} bytes", raw.len())?,
        }
        let request =
            Request { batch_id: ID, number, events, attempt: 1, body: wire, compressed, origin: self.origin };
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
