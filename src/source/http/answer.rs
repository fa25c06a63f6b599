//! What a sender is told.
//!
//! A 4xx says that the same request will never be taken. Whatever passes is a 429 or a 503 and says when to come
//! again: there are senders that drop what is answered with a 4xx.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{self, HeaderValue},
};

use super::{auth::Denied, events::BadBody};
use crate::{
    body_decoder::DecodeError,
    source::{spool::Refused, stats::IntakeRefusal},
};

/// The outcome of one request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum IntakeAnswer {
    #[error("{0} events taken")]
    Taken(u64),
    #[error("not found")]
    NotFound,
    #[error("send events with POST, PUT or PATCH")]
    Method,
    #[error(transparent)]
    Denied(Denied),
    #[error("{0}{hint}", hint = hint(*.0))]
    Decode(DecodeError),
    #[error(transparent)]
    Bad(BadBody),
    #[error("the events of the body have {bytes} bytes, more than the spool ever has room for")]
    TooMuch { bytes: usize },
    #[error("the body broke off")]
    Cut,
    #[error("the body came too slowly")]
    Slow,
    #[error("too many connections")]
    Connections,
    #[error("{0}")]
    Refused(Refused),
    #[error("the spool does not answer")]
    Stuck,
}

/// Which key of the source sets a limit.
fn hint(error: DecodeError) -> &'static str {
    match error {
        DecodeError::TooLarge(_) => " (maxBodyBytes)",
        DecodeError::TooLargeDecoded(_) => " (four times maxBodyBytes)",
        _ => "",
    }
}

impl IntakeAnswer {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Taken(_) => StatusCode::ACCEPTED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Denied(Denied::NoSecret) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Denied(_) => StatusCode::UNAUTHORIZED,
            Self::Decode(error) => error.status(),
            Self::Bad(BadBody::TooLong { .. }) | Self::TooMuch { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Bad(_) | Self::Cut => StatusCode::BAD_REQUEST,
            Self::Connections => StatusCode::TOO_MANY_REQUESTS,
            Self::Slow | Self::Refused(_) | Self::Stuck => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What it counts as, where nothing was taken.
    pub(super) fn refusal(&self) -> Option<IntakeRefusal> {
        Some(match self {
            Self::Taken(_) => return None,
            Self::NotFound | Self::Method => IntakeRefusal::Request,
            Self::Denied(Denied::NoSecret) => IntakeRefusal::Storage,
            Self::Denied(_) => IntakeRefusal::Denied,
            Self::Decode(DecodeError::TooLarge(_) | DecodeError::TooLargeDecoded(_) | DecodeError::Bomb(_))
            | Self::Bad(BadBody::TooLong { .. })
            | Self::TooMuch { .. } => IntakeRefusal::Size,
            Self::Decode(DecodeError::Busy) | Self::Connections => IntakeRefusal::Busy,
            Self::Decode(_) | Self::Bad(_) => IntakeRefusal::Body,
            Self::Cut => IntakeRefusal::Cut,
            Self::Slow => IntakeRefusal::Slow,
            Self::Refused(Refused::Full) => IntakeRefusal::Full,
            Self::Refused(Refused::Storage) | Self::Stuck => IntakeRefusal::Storage,
            Self::Refused(Refused::Stopping) => IntakeRefusal::Stopped,
        })
    }

    /// When to come again, where that helps.
    fn retry_after(&self) -> Option<Duration> {
        let seconds = match self {
            Self::Decode(DecodeError::Busy) | Self::Connections => 1,
            Self::Denied(Denied::NoSecret) | Self::Refused(Refused::Stopping) | Self::Slow => 5,
            Self::Refused(Refused::Storage) | Self::Stuck => 10,
            // Long, for some senders come only four times.
            Self::Refused(Refused::Full) => 30,
            _ => return None,
        };
        Some(Duration::from_secs(seconds))
    }

    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        let (content_type, body) = match self {
            Self::Taken(count) => ("application/json", format!("{{\"accepted\":{count}}}\n")),
            other => ("text/plain; charset=utf-8", format!("{other}\n")),
        };
        let mut response = Response::new(Full::new(body.into()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(after) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, after.as_secs().into());
        }
        match self {
            Self::Method => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST, PUT, PATCH"));
            }
            Self::Decode(DecodeError::Unknown) => {
                headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, identity"));
            }
            Self::Denied(denied) => {
                let challenge = match denied {
                    Denied::Token => "Bearer realm=\"auditpost\"",
                    Denied::NoSecret => return response,
                    _ => "Signature realm=\"auditpost\"",
                };
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            _ => {}
        }
        response
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn what_passes_is_never_a_4xx_that_is_not_sent_again_and_says_when_to_come() {
        for passing in [
            IntakeAnswer::Denied(Denied::NoSecret),
            IntakeAnswer::Decode(DecodeError::Busy),
            IntakeAnswer::Slow,
            IntakeAnswer::Connections,
            IntakeAnswer::Refused(Refused::Full),
            IntakeAnswer::Refused(Refused::Storage),
            IntakeAnswer::Refused(Refused::Stopping),
            IntakeAnswer::Stuck,
        ] {
            let response = passing.response();
            assert!([429, 503].contains(&response.status().as_u16()), "{passing:?}");
            let after = response.headers()[header::RETRY_AFTER].to_str().unwrap();
            assert!(after.parse::<u32>().unwrap() >= 1, "{passing:?}");
        }
    }

    #[test]
    fn what_is_too_large_names_the_key_that_says_so_and_a_bomb_its_ratio() {
        let said = |error| IntakeAnswer::Decode(error).to_string();
        assert_eq!(said(DecodeError::TooLarge(9)), "the body has more than 9 bytes (maxBodyBytes)");
        let decoded = "the body decodes to more than 36 bytes (four times maxBodyBytes)";
        assert_eq!(said(DecodeError::TooLargeDecoded(9 * config::DECODED)), decoded);
        assert_eq!(said(DecodeError::Bomb(200)), "the body decodes to more than 200 times its compressed size");
    }

    #[test]
    fn who_is_denied_is_told_how_to_show_who_he_is() {
        let response = IntakeAnswer::Denied(Denied::Token).response();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer realm=\"auditpost\"");
        let response = IntakeAnswer::Denied(Denied::Stale).response();
        assert_eq!(
            (response.status().as_u16(), response.headers().contains_key(header::WWW_AUTHENTICATE)),
            (401, true)
        );
    }
}
