//! How `receive` misbehaves when it is asked to, and its answers where it is not.

use std::{str::FromStr, time::Duration};

use bytes::Bytes;
use hyper::StatusCode;
use memchr::memmem;

use crate::config::Secret;

/// What a receiver does with requests. The default takes everything.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// A request with another bearer token is answered 401, before anything else.
    pub token: Option<Secret>,
    /// Used up from the first on, one request each time.
    pub faults: Vec<StatusFault>,
    /// What happens to the requests after the faults.
    pub then: Then,
    /// Passes before every answer.
    pub delay: Duration,
    /// A batch with this text in one of its events is answered 400.
    pub reject_line: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Then {
    #[default]
    Answer,
    /// Never answers.
    Hang,
    /// Resets the connection once the request has been read.
    Reset,
}

/// A status for a number of requests: `503:3`, `429:1:retry-after=2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusFault {
    pub status: StatusCode,
    pub requests: u32,
    /// Seconds, for the header of that name.
    pub retry_after: Option<u32>,
}

/// What is done with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptedAnswer {
    Status {
        status: StatusCode,
        retry_after: Option<u32>,
        /// For the peer, and for the one who watches.
        why: Option<String>,
    },
    Hang,
    Reset,
}

impl Behaviour {
    /// The answer to a request that was read and decoded; uses up a fault where one is left.
    pub(super) fn answer(&mut self, bearer: Option<&str>, events: &[Bytes]) -> ScriptedAnswer {
        if let Some(token) = &self.token
            && bearer != Some(token.expose())
        {
            return ScriptedAnswer::refusal(StatusCode::UNAUTHORIZED, "wrong or no bearer token");
        }
        while let Some(fault) = self.faults.first_mut() {
            if fault.requests > 0 {
                fault.requests -= 1;
                return ScriptedAnswer::Status {
                    status: fault.status,
                    retry_after: fault.retry_after,
                    why: Some("as asked for".to_owned()),
                };
            }
            self.faults.remove(0);
        }
        match self.then {
            Then::Hang => return ScriptedAnswer::Hang,
            Then::Reset => return ScriptedAnswer::Reset,
            Then::Answer => {}
        }
        let Some(text) = &self.reject_line else {
            return ScriptedAnswer::ok();
        };
        let finder = memmem::Finder::new(text);
        match events.iter().position(|event| finder.find(event).is_some()) {
            Some(place) => {
                let why = format!("event {} holds the text to reject", place + 1);
                ScriptedAnswer::refusal(StatusCode::BAD_REQUEST, why)
            }
            None => ScriptedAnswer::ok(),
        }
    }
}

impl ScriptedAnswer {
    pub fn ok() -> Self {
        Self::Status { status: StatusCode::OK, retry_after: None, why: None }
    }

    pub(super) fn refusal(status: StatusCode, why: impl Into<String>) -> Self {
        Self::Status { status, retry_after: None, why: Some(why.into()) }
    }

    /// Whether the sender may forget the batch.
    pub fn accepts(&self) -> bool {
        matches!(self, Self::Status { status, .. } if status.is_success())
    }
}

impl FromStr for StatusFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(':');
        let status = parts.next().and_then(|part| part.parse::<u16>().ok());
        let status = status
            .filter(|status| (200..=599).contains(status))
            .and_then(|status| StatusCode::from_u16(status).ok())
            .ok_or("the first part is a status, 200 to 599, as in 503:3")?;
        let requests = parts
            .next()
            .and_then(|part| part.parse().ok())
            .ok_or("the second part is the number of requests that get the status, as in 503:3")?;
        let retry_after = match parts.next() {
            None => None,
            Some(part) => Some(
                part.strip_prefix("retry-after=")
                    .and_then(|seconds| seconds.parse().ok())
                    .ok_or("the third part is retry-after=SECONDS, as in 429:1:retry-after=2")?,
            ),
        };
        match parts.next() {
            Some(_) => Err("there are three parts at most, as in 429:1:retry-after=2".to_owned()),
            None => Ok(Self { status, requests, retry_after }),
        }
    }
}

/// `500ms`, `2s`, `1m`.
pub(super) fn parse_delay(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => return Err("a time is written 500ms, 2s or 1m".to_owned()),
    };
    let number: u32 = number.parse().map_err(|_| "a time is written 500ms, 2s or 1m".to_owned())?;
    Ok(Duration::from_millis(u64::from(number) * millis))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::slice::from_ref;

    use super::*;

    fn status(answer: &ScriptedAnswer) -> u16 {
        match answer {
            ScriptedAnswer::Status { status, .. } => status.as_u16(),
            ScriptedAnswer::Hang => 1,
            ScriptedAnswer::Reset => 2,
        }
    }

    #[test]
    fn faults_are_used_up_in_their_order_and_a_wrong_token_uses_none() {
        let mut behaviour = Behaviour {
            token: Some(Secret::new("t")),
            faults: vec!["503:2".parse().unwrap(), "200:0".parse().unwrap(), "429:1:retry-after=2".parse().unwrap()],
            reject_line: Some("bad".to_owned()),
            ..Behaviour::default()
        };
        let (good, bad) = (Bytes::from("good"), Bytes::from("a bad one"));
        let asked: Vec<u16> = [Some("t"), None, Some("x"), Some("t"), Some("t"), Some("t")]
            .map(|bearer| status(&behaviour.answer(bearer, &[good.clone(), bad.clone()])))
            .into();
        assert_eq!(asked, [503, 401, 401, 503, 429, 400]);
        assert!(behaviour.answer(Some("t"), from_ref(&good)).accepts());
        behaviour.then = Then::Hang;
        assert_eq!(behaviour.answer(Some("t"), from_ref(&good)), ScriptedAnswer::Hang);
    }

    #[test]
    fn a_fault_is_read_as_documented() {
        let fault: StatusFault = "429:1:retry-after=2".parse().unwrap();
        assert_eq!((fault.status.as_u16(), fault.requests), (429, 1));
        assert_eq!(fault.retry_after, Some(2));
        for wrong in ["503", "abc:1", "99:1", "600:1", "503:x", "429:1:after=2", "429:1:retry-after=2:3", ""] {
            assert!(wrong.parse::<StatusFault>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_delay_has_a_unit() {
        assert_eq!(parse_delay("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_delay("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["2", "s", "2h", "-1s", "99999999999s", ""] {
            assert!(parse_delay(wrong).is_err(), "{wrong}");
        }
    }
}
