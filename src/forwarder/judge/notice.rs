//! What a forwarder's health is worth saying: a line per change of state, not per attempt.

use std::{fmt, time::Duration};

use tracing::Level;

/// Why a forwarder is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldReason {
    /// 401, 403 or 407, with the token read again.
    Unauthorized,
    /// 410.
    Gone,
    /// Another status that says that the receiver will not take what we send, here or like this.
    Refused,
    /// One side does not accept the other's certificate.
    Certificate,
    /// The peer does not speak TLS or HTTP, three times in a row.
    Protocol,
    /// A token or certificate file of ours cannot be used.
    Local,
    /// Too many single events were refused: see [`RefusalBreaker`](super::RefusalBreaker).
    Systemic,
}

/// A change of a forwarder's state, told once. The caller adds the forwarder's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    Failing { cause: String, retry_in: Duration },
    Open { cause: String, failures: u32, failing_for: Duration, retry_in: Duration },
    Held { why: HoldReason, cause: String, probe_in: Duration },
    Recovered { after: Duration },
}

impl HoldReason {
    pub fn label(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Gone => "gone",
            Self::Refused => "refused",
            Self::Certificate => "certificate",
            Self::Protocol => "protocol",
            Self::Local => "local",
            Self::Systemic => "systemic",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Unauthorized => {
                "check the token or client secret (a changed file is tried at once) and what it may do"
            }
            Self::Gone => {
                "the receiver says that this address is closed for good: change uri or remove the forwarder"
            }
            Self::Refused => "check uri, method, format and headers against what the receiver expects",
            Self::Certificate => "renew the certificate or correct tls, and check this machine's clock",
            Self::Protocol => "check scheme and port of uri",
            Self::Local => "mend the file; it is tried as soon as it changes",
            Self::Systemic => {
                "check format, framing, contentType and compression: nearly every event is refused, so none \
                 is dead-lettered any more"
            }
        }
    }
}

impl Notice {
    pub fn level(&self) -> Level {
        match self {
            Self::Recovered { .. } => Level::INFO,
            Self::Failing { .. } => Level::WARN,
            Self::Open { .. } | Self::Held { .. } => Level::ERROR,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failing { cause, retry_in } => {
                write!(f, "delivery failed: {cause}; nothing is lost, next attempt in {}", Rounded(*retry_in))
            }
            Self::Open { cause, failures, failing_for, retry_in } => write!(
                f,
                "receiver keeps failing, {failures} times in {}: {cause}; events are kept, one request at a time \
                 tries it, the next in {}",
                Rounded(*failing_for),
                Rounded(*retry_in)
            ),
            Self::Held { why, cause, probe_in } => write!(
                f,
                "deliveries are held ({}): {cause}; events are kept, next probe in {}; {}",
                why.label(),
                Rounded(*probe_in),
                why.advice()
            ),
            Self::Recovered { after } => {
                write!(f, "deliveries work again after {}", Rounded(*after))
            }
        }
    }
}

/// A duration as a person would say it: no more than a tenth of a second of detail.
struct Rounded(Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            0 => write!(f, "{} ms", self.0.as_millis()),
            1..60 => write!(f, "{:.1} s", self.0.as_secs_f64()),
            60..3600 => write!(f, "{} min", self.0.as_secs() / 60),
            _ => write!(f, "{} h {} min", self.0.as_secs() / 3600, self.0.as_secs() / 60 % 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_happened_what_it_costs_and_what_to_do() {
        let cause = "answered 401 Unauthorized".to_owned();
        let notice = Notice::Held { why: HoldReason::Unauthorized, cause, probe_in: Duration::from_secs(300) };
        assert_eq!(
            notice.to_string(),
            "deliveries are held (unauthorized): answered 401 Unauthorized; events are kept, next probe in 5 min; \
             check the token or client secret (a changed file is tried at once) and what it may do"
        );
        assert_eq!(notice.level(), Level::ERROR);
    }

    #[test]
    fn durations_are_rounded_for_people() {
        for (millis, text) in [(7, "7 ms"), (1540, "1.5 s"), (150_000, "2 min"), (3_660_000, "1 h 1 min")] {
            assert_eq!(Rounded(Duration::from_millis(millis)).to_string(), text);
        }
    }
}
