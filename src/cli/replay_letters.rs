//! `auditpost dead-letters replay`: dead letters once more to their forwarder's webhook.
//!
//! Each letter is a request of its own whose `webhook-id` is the event's id, so a receiver that has the event
//! knows it again, however often it is replayed. The letters stay where they are. A letter that would be refused for
//! the same reason as before is not sent.

use std::{
    collections::HashMap,
    io::{self, Write},
    time::{Duration, Instant},
};

use super::{exit::Exit, state_dir};
use crate::{
    config::{self, AnswerVerdict, Config},
    forwarder::{
        batch::{BatchBody, BodyFrame, BodyLimits},
        compress::Compressor,
        dead_letter::{Letter, Letters},
        deliver::{Request, WebhookClient},
        encode::EventWriter,
        judge::{Answer, Backoff, Fate, judge},
    },
    log::ContainerOrigin,
    schema::Checker,
};

/// A receiver that does not answer well for so many attempts ends the replay.
const ATTEMPTS: u32 = 5;

/// Sends the chosen letters; says for each what came of it.
pub fn send(state: &state_dir::StateDirArgs, letters: Letters) -> Exit {
    let config = match state.load() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("cannot start: {error}"), Exit::Software),
    };
    runtime.block_on(send_all(&config, letters))
}

async fn send_all(config: &Config, letters: Letters) -> Exit {
    let (mut sent, mut kept) = (0_u64, 0_u64);
    let mut webhooks: HashMap<String, WebhookClient> = HashMap::new();
    for letter in letters {
        let letter = match letter {
            Ok(letter) => letter,
            Err(error) => return complain(&format!("cannot read the dead letters: {error}"), Exit::Storage),
        };
        let Some(forwarder) = config.forwarders.iter().find(|forwarder| forwarder.name == letter.forwarder) else {
            kept += 1;
            print_line(&format!(
                "{}: kept: the configuration has no forwarder {}",
                letter.event_id, letter.forwarder
            ));
            continue;
        };
        let body = match body(config, forwarder, &letter) {
            Ok(body) => body,
            Err(why) => {
                kept += 1;
                print_line(&format!("{}: kept: {why}", letter.event_id));
                continue;
            }
        };
        if !webhooks.contains_key(&forwarder.name) {
            match WebhookClient::new(forwarder) {
                Ok(webhook) => webhooks.insert(forwarder.name.clone(), webhook),
                Err(error) => return complain(&format!("forwarder {}: {error}", forwarder.name), Exit::Config),
            };
        }
        let again = RepeatedBody { id: &letter.event_id, number: 0, body: &body, origin: None };
        match deliver(&webhooks[&forwarder.name], forwarder, &again).await {
            Ok(()) => {
                sent += 1;
                print_line(&format!("{}: sent to {}", letter.event_id, forwarder.name));
            }
            Err(ReplayStop::Refused(why)) => {
                kept += 1;
                print_line(&format!("{}: refused again: {why}", letter.event_id));
            }
            Err(ReplayStop::Receiver(why)) => {
                let text = format!(
                    "{}: {why}; {sent} sent, this and those behind it were not: run it again later",
                    letter.event_id
                );
                return complain(&text, Exit::Backlog);
            }
        }
    }
    print_line(&format!("{sent} sent, {kept} kept"));
    if kept == 0 { Exit::Ok } else { Exit::Backlog }
}

/// The event as the forwarder would send it today, or why it would not.
fn body(config: &Config, forwarder: &config::Forwarder, letter: &Letter) -> Result<BatchBody, String> {
    let source = config.sources.iter().find(|source| source.name == letter.source);
    let (schema, fields, most) = source.map_or((config::Schema::Auto, &[][..], usize::MAX), |source| {
        (source.schema, source.fields.as_slice(), source.max_event_bytes)
    });
    if letter.bytes > most as u64 {
        return Err(format!(
            "its {} bytes are still more than maxEventBytes of source {}",
            letter.bytes, letter.source
        ));
    }
    let mut payload = Vec::new();
    letter.copy_payload(&mut payload).map_err(|error| format!("its payload cannot be read: {error}"))?;
    let mut writer = EventWriter::new(forwarder, &letter.source);
    let mut checker = Checker::with(schema, fields, writer.needs(), &[]);
    let event = checker.check(&payload).map_err(|invalid| format!("it is still no event: {invalid}"))?;
    writer.takes(&event).map_err(|invalid| format!("it cannot be sent: {invalid}"))?;
    let mut body = BatchBody::new(BodyFrame::of(forwarder));
    let fit = BodyLimits { max_events: 1, max_bytes: usize::MAX };
    let range = crate::log::SegmentRange { segment: crate::log::SegmentId(0), start: 0, end: letter.bytes };
    if let Some(out) = body.begin_event(&fit) {
        writer.write(&event, out);
    }
    let _ = body.end_event(&fit, range, false);
    body.finish();
    Ok(body)
}

pub(super) enum ReplayStop {
    /// The receiver refuses this event.
    Refused(String),
    /// The receiver is not to be had, or refuses us.
    Receiver(String),
}

/// A body that is sent once more, and what its request says of it.
pub(super) struct RepeatedBody<'a> {
    pub(super) id: &'a str,
    /// 0 for what is no batch.
    pub(super) number: u64,
    pub(super) body: &'a BatchBody,
    /// Whose container wrote all of it.
    pub(super) origin: Option<&'a ContainerOrigin>,
}

/// Sends it until it is answered well, or so badly that going on makes no sense.
pub(super) async fn deliver(
    webhook: &WebhookClient,
    forwarder: &config::Forwarder,
    again: &RepeatedBody<'_>,
) -> Result<(), ReplayStop> {
    let compressed = forwarder.compression != config::Compression::None;
    let wire = Compressor::new(forwarder.compression)
        .compress(again.body.bytes())
        .map_err(|error| ReplayStop::Receiver(error.to_string()))?;
    let backoff = Backoff::new(forwarder.retry);
    let mut rng = fastrand::Rng::new();
    let begun = Instant::now();
    for attempt in 1.. {
        let request = Request {
            batch_id: again.id,
            number: again.number,
            events: again.body.events().len(),
            attempt,
            body: wire.clone(),
            compressed,
            origin: again.origin,
        };
        let answer = webhook.send(request).await;
        if matches!(&answer, Answer::Items { fates, .. } if fates.iter().any(|fate| *fate != Fate::Delivered)) {
            return Err(ReplayStop::Refused(answer.to_string()));
        }
        match judge(&answer, &forwarder.responses) {
            AnswerVerdict::Delivered => return Ok(()),
            AnswerVerdict::Narrow | AnswerVerdict::Halve => return Err(ReplayStop::Refused(answer.to_string())),
            AnswerVerdict::Retry if attempt < ATTEMPTS => {
                tokio::time::sleep(backoff.delay(attempt, answer.retry_after(), &mut rng)).await;
            }
            _ => {
                return Err(ReplayStop::Receiver(format!(
                    "{answer} after {:.1?}",
                    Duration::from_millis(begun.elapsed().as_millis() as u64)
                )));
            }
        }
    }
    unreachable!("the loop returns at the last attempt")
}

fn print_line(line: &str) {
    // A closed pipe is no reason to stop sending.
    let _ = writeln!(io::stdout(), "{line}");
}

fn complain(text: &str, exit: Exit) -> Exit {
    let _ = writeln!(io::stderr(), "auditpost: {text}");
    exit
}
