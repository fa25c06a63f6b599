//! Which change of state is told, and when: each once, none more than once a minute.

use std::time::{Duration, Instant};

use super::{HoldReason, Notice, Phase, ReceiverHealth};

/// A receiver that comes and goes gets no more lines than one of a kind in this time.
const AT_MOST_EVERY: Duration = Duration::from_secs(60);

/// What an operator would be told of a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Topic {
    #[default]
    Ready,
    Failing,
    Open,
    Held(HoldReason),
}

/// What the operator was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    last: Topic,
    /// Since when it has not been Ready, as the operator was told.
    trouble: Option<Instant>,
    /// What was told in the last minute.
    lately: Vec<(Topic, Instant)>,
}

impl ReceiverHealth {
    /// The state, where it is not what the operator was last told. A line held back for the minute's sake is told with
    /// a later answer if it is still true then.
    pub(super) fn tell(&mut self, now: Instant) -> Option<Notice> {
        let topic = Topic::of(self.phase);
        self.told.lately.retain(|(_, when)| now.saturating_duration_since(*when) < AT_MOST_EVERY);
        if topic == self.told.last || self.told.lately.iter().any(|(told, _)| *told == topic) {
            return None;
        }
        self.told.last = topic;
        self.told.lately.push((topic, now));
        let troubled_since = match self.phase {
            Phase::Ready => self.told.trouble.take(),
            _ => Some(*self.told.trouble.get_or_insert(now)),
        };
        let cause = self.cause.clone();
        let left = |until: Instant| until.saturating_duration_since(now);
        Some(match self.phase {
            Phase::Ready => Notice::Recovered { after: now.saturating_duration_since(troubled_since.unwrap_or(now)) },
            Phase::BackingOff { until } => Notice::Failing { cause, retry_in: left(until) },
            Phase::Open { until } => Notice::Open {
                cause,
                failures: self.failures,
                failing_for: now.saturating_duration_since(self.failing_since.unwrap_or(now)),
                retry_in: left(until),
            },
            Phase::Held { why, until } => Notice::Held { why, cause, probe_in: left(until) },
        })
    }
}

impl Topic {
    fn of(phase: Phase) -> Self {
        match phase {
            Phase::Ready => Self::Ready,
            Phase::BackingOff { .. } => Self::Failing,
            Phase::Open { .. } => Self::Open,
            Phase::Held { why, .. } => Self::Held(why),
        }
    }
}
