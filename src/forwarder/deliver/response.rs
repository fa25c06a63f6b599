//! Reading a response: the status decides; the body is read only for a short quotation, and in bounds.

use std::time::{Duration, SystemTime};

use reqwest::{
    Response,
    header::{CONTENT_ENCODING, DATE, HeaderMap, RETRY_AFTER},
};
use tokio::time::{Instant, timeout_at};

use super::{answer::Answer, excerpt::excerpt, retry_after};

/// No more of a body is read; reading a short one to its end lets the connection be used again.
const READ: usize = 64 * 1024;

/// A receiver that has taken the batch holds us up no longer than this.
const AFTER_SUCCESS: Duration = Duration::from_millis(200);
const AFTER_REFUSAL: Duration = Duration::from_secs(1);

/// The answer in `response`, at the latest by `deadline`. An error while reading its body changes nothing.
pub(super) async fn read(
    mut response: Response,
    premature: bool,
    deadline: Instant,
    secrets: impl Iterator<Item = &str>,
) -> Answer {
    let status = response.status();
    let retry_after = wait(response.headers(), SystemTime::now());
    let patience = if status.is_success() { AFTER_SUCCESS } else { AFTER_REFUSAL };
    let mut body = Vec::new();
    // Running out of time leaves what was read until then.
    let _ = timeout_at(deadline.min(Instant::now() + patience), read_body(&mut response, &mut body)).await;
    let excerpt = match response.headers().get(CONTENT_ENCODING) {
        Some(coding) if !body.is_empty() && coding != "identity" => "(a compressed body)".to_owned(),
        _ => excerpt(&body, secrets),
    };
    Answer::Status { code: status.as_u16(), retry_after, excerpt, premature }
}

async fn read_body(response: &mut Response, body: &mut Vec<u8>) {
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = READ - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            return;
        }
    }
}

fn wait(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let values = headers.get_all(RETRY_AFTER).iter().map(|value| value.as_bytes());
    retry_after::parse(values, headers.get(DATE).map(|date| date.as_bytes()), now)
}
