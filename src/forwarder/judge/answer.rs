//! What came back for a request, and what it means.

use std::{fmt, time::Duration};

use reqwest::StatusCode;

use super::bulk::Fate;
use crate::{config::AnswerVerdict, forwarder::dead_letter::Reason};

/// Why an event that was sent alone is no event for the receiver.
#[derive(Clone, Debug)]
pub struct EventRefusal {
    pub reason: Reason,
    pub status: Option<u16>,
    pub excerpt: String,
}

/// What came back for one request: the receiver's status, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Status {
        code: u16,
        /// How long the receiver asked us to wait, at most an hour.
        retry_after: Option<Duration>,
        /// The beginning of the response's body in at most 512 bytes, control characters escaped, our secrets taken
        /// out.
        excerpt: String,
        /// The answer came before the body had been handed over, so that a 2xx cannot mean the whole batch.
        premature: bool,
    },
    /// The status is a success, and the events have different fates.
    Items {
        code: u16,
        /// One for each event of the request, in its order.
        fates: Vec<Fate>,
        /// The first that was not taken, as an excerpt is.
        excerpt: String,
    },
    Failed {
        kind: FailureKind,
        /// For an operator: which peer (scheme, host and port only), what happened, and often what to do.
        text: String,
    },
}

/// Why a request has no status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The name could not be resolved.
    Dns,
    /// Refused or unreachable.
    Connect,
    /// The connection was reset. `sending`: before the receiver had read the body, as far as that can be told.
    Reset { sending: bool },
    /// The receiver closed the connection without an answer.
    Closed,
    /// No answer within the configured timeout.
    Timeout,
    /// One side does not accept the other's certificate.
    TlsCertificate,
    /// The TLS handshake failed for another reason; the peer may not speak TLS at all.
    TlsHandshake,
    /// The answer is not HTTP as we understand it.
    Protocol,
    /// A file of ours, a token or certificate, cannot be used; nothing was sent.
    Local,
    /// The token endpoint gave no token; nothing was sent. `refused`: it will not give us one.
    Token { refused: bool },
}

impl Answer {
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } | Self::Items { code, .. } => Some(*code),
            Self::Failed { .. } => None,
        }
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Items { .. } | Self::Failed { .. } => None,
        }
    }

    pub fn failure(&self) -> Option<FailureKind> {
        match self {
            Self::Status { .. } | Self::Items { .. } => None,
            Self::Failed { kind, .. } => Some(*kind),
        }
    }

    /// For the metrics' `code` label: the status in three digits, or the kind of failure.
    pub fn label(&self) -> String {
        match self {
            Self::Status { code, .. } | Self::Items { code, .. } => code.to_string(),
            Self::Failed { kind, .. } => kind.label().to_owned(),
        }
    }
}

impl FailureKind {
    pub fn label(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Reset { .. } => "reset",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::TlsCertificate => "tls_certificate",
            Self::TlsHandshake => "tls_handshake",
            Self::Protocol => "protocol",
            Self::Local => "local",
            Self::Token { .. } => "token",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { text, .. } => f.write_str(text),
            Self::Items { code, fates, excerpt } => {
                let count = |is: fn(&Fate) -> bool| fates.iter().filter(|fate| is(fate)).count();
                write!(
                    f,
                    "answered {code}: of {} events {} were taken, {} refused and {} not taken now; {excerpt}",
                    fates.len(),
                    count(|fate| *fate == Fate::Delivered),
                    count(|fate| matches!(fate, Fate::Refused { .. })),
                    count(|fate| *fate == Fate::Again),
                )
            }
            Self::Status { code, excerpt, premature, .. } => {
                write!(f, "answered {code}")?;
                if let Some(reason) = StatusCode::from_u16(*code).ok().and_then(|code| code.canonical_reason()) {
                    write!(f, " {reason}")?;
                }
                if *premature {
                    f.write_str(" before the whole request was sent")?;
                }
                if !excerpt.is_empty() {
                    write!(f, ": {excerpt}")?;
                }
                Ok(())
            }
        }
    }
}

/// What an answer means. `overrides` are the operator's, by status; the last one for a status counts.
///
/// A 2xx that came before the body was handed over is tried again whatever the table says: the receiver cannot have
/// what it had not been sent.
pub fn judge(answer: &Answer, overrides: &[(u16, AnswerVerdict)]) -> AnswerVerdict {
    match answer {
        Answer::Failed { kind, .. } => match kind {
            FailureKind::TlsCertificate | FailureKind::Local | FailureKind::Token { refused: true } => {
                AnswerVerdict::Hold
            }
            FailureKind::Dns
            | FailureKind::Connect
            | FailureKind::Reset { .. }
            | FailureKind::Closed
            | FailureKind::Timeout
            | FailureKind::TlsHandshake
            | FailureKind::Protocol
            | FailureKind::Token { refused: false } => AnswerVerdict::Retry,
        },
        // Some of it was judged, which is no success and no failure of the receiver: the batch goes on in parts.
        Answer::Items { fates, .. } if fates.contains(&Fate::Delivered) => AnswerVerdict::Delivered,
        Answer::Items { .. } => AnswerVerdict::Narrow,
        Answer::Status { code, premature, .. } => {
            let changed = overrides.iter().rev().find(|(status, _)| status == code);
            let verdict = changed.map_or_else(|| by_status(*code), |(_, verdict)| *verdict);
            let success = (200..300).contains(code);
            if success && *premature && verdict == AnswerVerdict::Delivered { AnswerVerdict::Retry } else { verdict }
        }
    }
}

fn by_status(code: u16) -> AnswerVerdict {
    match code {
        200..=299 => AnswerVerdict::Delivered,
        401 | 403 | 407 => AnswerVerdict::Unauthorized,
        408 | 409 | 423 | 425 | 429 => AnswerVerdict::Retry,
        413 => AnswerVerdict::Halve,
        400 | 406 | 415 | 422 => AnswerVerdict::Narrow,
        501 | 505 => AnswerVerdict::Hold,
        // RFC 9110, section 15: a status beyond 599 is treated as a 5xx.
        500.. => AnswerVerdict::Retry,
        // Redirects, every other 4xx, and 101 for a protocol that we did not ask for.
        _ => AnswerVerdict::Hold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Answer {
        Answer::Status { code, retry_after: None, excerpt: String::new(), premature: false }
    }

    fn failed(kind: FailureKind) -> Answer {
        Answer::Failed { kind, text: String::new() }
    }

    #[test]
    fn every_status_has_the_verdict_of_the_table() {
        let unauthorized = [401, 403, 407];
        let retry = [408, 409, 423, 425, 429];
        let narrow = [400, 406, 415, 422];
        for code in 100..=599 {
            let expected = if code / 100 == 2 {
                AnswerVerdict::Delivered
            } else if unauthorized.contains(&code) {
                AnswerVerdict::Unauthorized
            } else if retry.contains(&code) || (code / 100 == 5 && code != 501 && code != 505) {
                AnswerVerdict::Retry
            } else if code == 413 {
                AnswerVerdict::Halve
            } else if narrow.contains(&code) {
                AnswerVerdict::Narrow
            } else {
                AnswerVerdict::Hold
            };
            assert_eq!(judge(&status(code), &[]), expected, "{code}");
        }
        assert_eq!(judge(&status(999), &[]), AnswerVerdict::Retry);
    }

    #[test]
    fn a_failure_without_a_status_is_tried_again_unless_waiting_cannot_mend_it() {
        use FailureKind::*;
        for kind in [Dns, Connect, Reset { sending: true }, Closed, Timeout, TlsHandshake, Protocol] {
            assert_eq!(judge(&failed(kind), &[]), AnswerVerdict::Retry, "{kind:?}");
        }
        assert_eq!(judge(&failed(TlsCertificate), &[]), AnswerVerdict::Hold);
        assert_eq!(judge(&failed(Local), &[]), AnswerVerdict::Hold);
        assert_eq!(judge(&failed(Token { refused: true }), &[]), AnswerVerdict::Hold);
        assert_eq!(judge(&failed(Token { refused: false }), &[]), AnswerVerdict::Retry);
    }

    #[test]
    fn an_override_changes_its_status_alone_and_the_last_one_counts() {
        let overrides = [(409, AnswerVerdict::Hold), (409, AnswerVerdict::Delivered)];
        assert_eq!(judge(&status(409), &overrides), AnswerVerdict::Delivered);
        assert_eq!(judge(&status(408), &overrides), AnswerVerdict::Retry);
    }

    #[test]
    fn a_premature_success_is_no_success() {
        let early = |code| Answer::Status { code, retry_after: None, excerpt: String::new(), premature: true };
        assert_eq!(judge(&early(200), &[]), AnswerVerdict::Retry);
        assert_eq!(judge(&early(202), &[(202, AnswerVerdict::Delivered)]), AnswerVerdict::Retry);
        assert_eq!(judge(&early(413), &[]), AnswerVerdict::Halve);
        assert_eq!(
            judge(&early(409), &[(409, AnswerVerdict::Delivered)]),
            AnswerVerdict::Delivered,
            "it has it already"
        );
    }

    #[test]
    fn an_answer_reads_as_a_line() {
        let answer =
            Answer::Status { code: 503, retry_after: None, excerpt: "try later".to_owned(), premature: false };
        assert_eq!(answer.to_string(), "answered 503 Service Unavailable: try later");
        assert_eq!(answer.label(), "503");
        assert_eq!(failed(FailureKind::Reset { sending: true }).label(), "reset");
    }
}
