//! What an operator must know of requests that are not taken, without a line for each.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use hyper::StatusCode;
use tracing::warn;

use super::answer::IntakeAnswer;

/// At most one line for each status in so long.
const PAUSE: Duration = Duration::from_secs(60);

pub(super) struct Complaints {
    source: String,
    said: Mutex<HashMap<StatusCode, Said>>,
}

struct Said {
    at: Instant,
    since: u64,
}

impl Complaints {
    pub(super) fn new(source: &str) -> Self {
        Self { source: source.to_owned(), said: Mutex::default() }
    }

    /// Warns of a refusal that loses events where its sender does not come again.
    pub(super) fn note(&self, answer: &IntakeAnswer) {
        let status = answer.status();
        if status.is_success() {
            return;
        }
        if let Some(others) = self.due(status, Instant::now()) {
            let effect = if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
                "its sender has to mend it, or loses its events"
            } else {
                "its sender is asked to come again"
            };
            warn!(
                source = self.source,
                status = status.as_u16(),
                others,
                "a request was refused: {answer}; {effect}"
            );
        }
    }

    /// How many there were since the last line, where another is due.
    fn due(&self, status: StatusCode, now: Instant) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match said.get_mut(&status) {
            Some(said) if now.duration_since(said.at) < PAUSE => {
                said.since += 1;
                None
            }
            Some(said) => {
                said.at = now;
                Some(std::mem::take(&mut said.since))
            }
            None => {
                said.insert(status, Said { at: now, since: 0 });
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_refusals_of_a_kind_make_one_line_a_minute_that_counts_them() {
        let complaints = Complaints::new("app");
        let begin = Instant::now();
        let (denied, busy) = (StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(complaints.due(denied, begin), Some(0));
        assert_eq!(complaints.due(busy, begin), Some(0));
        assert_eq!((0..5).filter_map(|_| complaints.due(denied, begin)).count(), 0);
        assert_eq!(complaints.due(denied, begin + PAUSE), Some(5));
        assert_eq!(complaints.due(denied, begin + PAUSE), None);
    }
}
