//! Reading a response: the status decides; the body is read only for a short quotation, and in bounds.

use std::time::{Duration, SystemTime};

use reqwest::{
    Response,
    header::{CONTENT_ENCODING, DATE, HeaderMap, RETRY_AFTER},
};
use tokio::time::{Instant, timeout_at};

use super::{excerpt::excerpt, failure::failed, retry_after};
use crate::config::{AnswerVerdict, Answers};
use crate::forwarder::judge::{
    Answer, FailureKind, Fate,
    bulk::{self, Bulk, BulkItem},
    judge as verdict,
};

/// No more of a body is read; reading a short one to its end lets the connection be used again.
const READ: usize = 64 * 1024;

/// No more is read, in bytes, where the body says what became of each event.
pub const BULK_ANSWER: usize = 4 * 1024 * 1024;

/// A receiver that has taken the batch holds us up no longer than this.
const AFTER_SUCCESS: Duration = Duration::from_millis(200);
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// What to make of a response.
pub(super) struct ResponseReading<'a> {
    pub(super) premature: bool,
    pub(super) deadline: Instant,
    pub(super) answers: Answers,
    /// How many events the request held.
    pub(super) events: usize,
    /// The operator's verdicts, by status.
    pub(super) overrides: &'a [(u16, AnswerVerdict)],
    /// Scheme, host and port, for diagnostics.
    pub(super) peer: &'a str,
}

/// The answer in `response`, at the latest by the deadline. Where its status alone counts, an error while reading its
/// body changes nothing.
pub(super) async fn read<'s>(
    mut response: Response,
    reading: &ResponseReading<'_>,
    secrets: impl Iterator<Item = &'s str> + Clone,
) -> Answer {
    let ResponseReading { premature, deadline, .. } = *reading;
    let status = response.status();
    let retry_after = wait(response.headers(), SystemTime::now());
    let patience = if status.is_success() { AFTER_SUCCESS } else { AFTER_REFUSAL };
    let items_count = reading.answers == Answers::Bulk && status.is_success() && !premature;
    let (limit, until) =
        if items_count { (BULK_ANSWER, deadline) } else { (READ, deadline.min(Instant::now() + patience)) };
    let mut body = Vec::new();
    // Running out of time leaves what was read until then.
    let whole = timeout_at(until, read_body(&mut response, limit, &mut body)).await.unwrap_or(false);
    let coded = response.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    if items_count {
        let bulk = if coded && !body.is_empty() {
            Bulk::Unknown("it is compressed, which was not asked for".to_owned())
        } else {
            bulk::read(&body, reading.events)
        };
        return of_items(bulk, status.as_u16(), retry_after, whole, reading, secrets);
    }
    let excerpt = if coded && !body.is_empty() { "(a compressed body)".to_owned() } else { excerpt(&body, secrets) };
    Answer::Status { code: status.as_u16(), retry_after, excerpt, premature }
}

/// Where all events share one fate, the answer is as if the whole request had been answered so.
fn of_items<'s>(
    bulk: Bulk,
    code: u16,
    retry_after: Option<Duration>,
    whole: bool,
    reading: &ResponseReading<'_>,
    secrets: impl Iterator<Item = &'s str> + Clone,
) -> Answer {
    let said = |code, text: &str| {
        let excerpt = excerpt(text.as_bytes(), secrets.clone());
        Answer::Status { code, retry_after, excerpt, premature: false }
    };
    let items = match bulk {
        Bulk::AllDelivered => return said(code, ""),
        Bulk::Unknown(why) => {
            let text = format!("answered {code}, but what became of the events is not known: {why}");
            // Nonsense, again and again, is held; an answer that broke off is tried again.
            let kind = if whole { FailureKind::Protocol } else { FailureKind::Timeout };
            return failed(kind, reading.peer, &text);
        }
        Bulk::Items(items) => items,
    };
    let first_bad = items.iter().find(|item| !matches!(item.status, 200..=299 | 409)).cloned();
    let mut fates: Vec<Fate> = Vec::with_capacity(reading.events);
    for BulkItem { status, cause } in items {
        let cause = if cause.is_empty() { cause } else { excerpt(cause.as_bytes(), secrets.clone()) };
        fates.push(BulkItem { status, cause }.fate(verdict(&said(status, ""), reading.overrides)));
    }
    // What the answer no longer said was not taken.
    fates.resize(reading.events, Fate::Again);
    match first_bad {
        None if fates.iter().all(|fate| *fate == Fate::Delivered) => said(code, ""),
        Some(item) if fates.iter().all(|fate| *fate == Fate::Again) || fates.len() == 1 => {
            said(item.status, &item.cause)
        }
        first_bad => {
            let text = first_bad.map_or_else(
                || "the answer broke off".to_owned(),
                |item| format!("first an item of {} {}", item.status, item.cause),
            );
            Answer::Items { code, fates, excerpt: excerpt(text.as_bytes(), secrets) }
        }
    }
}

/// Whether the whole body came and had room.
async fn read_body(response: &mut Response, limit: usize, body: &mut Vec<u8>) -> bool {
    loop {
        let Ok(chunk) = response.chunk().await else { return false };
        let Some(chunk) = chunk else { return true };
        let room = limit - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            return false;
        }
    }
}

fn wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let values = headers.get_all(RETRY_AFTER).iter().map(|value| value.as_bytes());
    retry_after::parse(values, headers.get(DATE).map(|date| date.as_bytes()), now)
}
