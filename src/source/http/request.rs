//! One request: judged by its head, read within limits, taken apart, stored, and only then answered.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response,
    body::{Body as _, Incoming},
    header,
};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use super::{
    HttpContext,
    answer::IntakeAnswer,
    auth::Claims,
    events::events,
    seen::{Claim, Fingerprint, Ours},
};
use crate::body_decoder::{BodyDecoder, DecodeError, DecodedBody, announces_gzip};

/// Longer ids are cut: what is remembered is their digest with the body's.
const ID_HEADERS: [&str; 2] = ["webhook-id", "idempotency-key"];

/// So many bytes are decoded before others get a turn.
const PIECE: usize = 16 << 10;

/// Of a body that nobody wants, so much is read, so that its sender comes to read the answer.
const DRAINED: usize = 1 << 20;

/// Answers one request. `overloaded`: there are too many connections.
pub(super) async fn answer(
    shared: Arc<HttpContext>,
    request: Request<Incoming>,
    overloaded: bool,
) -> Response<Full<Bytes>> {
    let (head, mut body) = request.into_parts();
    let early =
        if overloaded { Some(IntakeAnswer::Connections) } else { shared.judge(&head.method, head.uri.path(), &body) };
    let waits = head.headers.contains_key(header::EXPECT);
    let answer = match early {
        Some(answer) => answer,
        None => shared.clone().take(head.headers, &mut body).await.unwrap_or_else(|answer| answer),
    };
    if let Some(reason) = answer.refusal() {
        shared.stats.refuse(reason, 1);
    }
    shared.complaints.note(&answer);
    debug!(source = shared.name, status = answer.status().as_u16(), "{answer}");
    // Who waits for `100 Continue` sends nothing.
    if !waits && !body.is_end_stream() {
        drain(body, &shared).await;
    }
    answer.response()
}

impl HttpContext {
    /// What needs no more than the first lines.
    fn judge(&self, method: &Method, path: &str, body: &Incoming) -> Option<IntakeAnswer> {
        if self.path.as_deref().is_some_and(|only| only != path) {
            return Some(IntakeAnswer::NotFound);
        }
        if ![Method::POST, Method::PUT, Method::PATCH].contains(method) {
            return Some(IntakeAnswer::Method);
        }
        let announced = body.size_hint().exact();
        let most = self.limits.wire;
        announced
            .is_some_and(|bytes| bytes > most as u64)
            .then_some(IntakeAnswer::Decode(DecodeError::TooLarge(most)))
    }

    async fn take(self: Arc<Self>, headers: HeaderMap, body: &mut Incoming) -> Result<IntakeAnswer, IntakeAnswer> {
        let gzip = announces_gzip(&headers).map_err(IntakeAnswer::Decode)?;
        let shared = self.clone();
        let (headers, admitted) = blocking(move || {
            let admitted = shared.guard.admit(&headers, unix_now());
            (headers, admitted)
        })
        .await;
        let mut claims = admitted.map_err(IntakeAnswer::Denied)?;
        let decoder = BodyDecoder::new(gzip, self.limits, self.budget.clone());
        let read = self.read(body, decoder, &mut claims).await?;
        // A sender that goes away must not end it half way: what is stored is to be remembered too.
        let stored = self.storing.spawn(self.clone().store(headers, claims, read));
        match timeout(self.times.body, stored).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(IntakeAnswer::Stuck),
            Err(_) => Err(IntakeAnswer::Stuck),
        }
    }

    async fn read(
        &self,
        body: &mut Incoming,
        mut decoder: BodyDecoder,
        claims: &mut Claims,
    ) -> Result<DecodedBody, IntakeAnswer> {
        let end = Instant::now() + self.times.body;
        loop {
            let until = end.min(Instant::now() + self.times.idle);
            let frame = match timeout_at(until, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(_))) => return Err(IntakeAnswer::Cut),
                Ok(None) => break,
                Err(_) => return Err(IntakeAnswer::Slow),
            };
            let Ok(data) = frame.into_data() else { continue };
            claims.update(&data);
            for piece in data.chunks(PIECE) {
                decoder.push(piece).map_err(IntakeAnswer::Decode)?;
                tokio::task::consume_budget().await;
            }
        }
        decoder.finish().map_err(IntakeAnswer::Decode)
    }

    /// From a whole body to the answer.
    async fn store(
        self: Arc<Self>,
        headers: HeaderMap,
        claims: Claims,
        body: DecodedBody,
    ) -> Result<IntakeAnswer, IntakeAnswer> {
        let shared = self.clone();
        let DecodedBody { bytes, share } = body;
        let (events, fingerprint) = blocking(move || {
            shared.guard.verify(claims, &bytes).map_err(IntakeAnswer::Denied)?;
            let id = ID_HEADERS.iter().find_map(|name| headers.get(*name)).filter(|id| !id.is_empty());
            let fingerprint = id.map(|id| Fingerprint::of(id.as_bytes(), &bytes));
            let events = events(bytes, shared.schema).map_err(IntakeAnswer::Bad)?;
            Ok((events, fingerprint))
        })
        .await?;
        if events.count == 0 {
            return Ok(IntakeAnswer::Taken(0));
        }
        if events.lines.len() as u64 > self.spool_bytes {
            return Err(IntakeAnswer::TooMuch { bytes: events.lines.len() });
        }
        let ours = match fingerprint {
            Some(fingerprint) => match self.claim(fingerprint).await {
                Some(ours) => Some(ours),
                None => return Ok(IntakeAnswer::Taken(events.count)),
            },
            None => None,
        };
        self.intake.put(events.lines).await.map_err(IntakeAnswer::Refused)?;
        drop(share);
        if let Some(ours) = ours {
            blocking(move || ours.taken(unix_now())).await;
        }
        Ok(IntakeAnswer::Taken(events.count))
    }

    /// `None` where it was taken before; waits for one that is being stored.
    async fn claim(&self, fingerprint: Fingerprint) -> Option<Ours> {
        loop {
            match self.seen.claim(fingerprint, unix_now()) {
                Claim::Taken => return None,
                Claim::Ours(ours) => return Some(ours),
                // It ends with an error, for nothing is ever sent.
                Claim::Wait(mut other) => drop(other.changed().await),
            }
        }
    }
}

/// Reads what is left of a body nobody wants, a little and not for long.
async fn drain(mut body: Incoming, shared: &HttpContext) {
    let rest = async {
        let mut bytes = 0;
        while bytes < DRAINED {
            match body.frame().await {
                Some(Ok(frame)) => bytes += frame.into_data().map_or(0, |data| data.len()),
                _ => return,
            }
        }
    };
    let _ = timeout(shared.times.drain, rest).await;
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("judging a request does not panic")
}

pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
