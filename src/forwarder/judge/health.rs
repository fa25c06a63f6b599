//! The forwarder's state machine.
//!
//! ```text
//!  Ready ──transient──► BackingOff ──5 in a row or 60 s──► Open (one request at a time) ──ok──► Ready
//!    └──the receiver refuses us──► Held (slow probe; never discards) ──ok──► Ready
//! ```
//!
//! It decides about time and about the batch, never about an event: nothing here drops anything. Any answer that shows
//! that the receiver judged the batch, a 400 or 413 as much as a 200, makes it Ready: a bad event is no bad receiver.

mod resets;
mod topic;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use fastrand::Rng;

use super::{
    answer::{Answer, FailureKind},
    backoff::Backoff,
    notice::{HoldReason, Notice},
};
use crate::{
    config::{AnswerVerdict, Retry},
    forwarder::stats::ForwarderState,
};
use resets::Resets;
use topic::Told;

/// Failures in a row after which one request at a time is enough.
const OPEN_AFTER: u32 = 5;
const OPEN_AFTER_TIME: Duration = Duration::from_secs(60);

/// Answers in a row that are not TLS or HTTP, after which waiting is not expected to help.
const GARBLED: u32 = 3;

/// How often a held forwarder tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeIntervals {
    pub hold: Duration,
    /// After a 410.
    pub gone: Duration,
}

impl Default for ProbeIntervals {
    fn default() -> Self {
        Self { hold: Duration::from_secs(5 * 60), gone: Duration::from_secs(3600) }
    }
}

/// Whether a request may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendAllowance {
    Yes,
    /// If no other is on its way.
    OnlyOne,
    NotBefore(Instant),
}

/// Which request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What tells this body from others: the batch's number, or that of a part of it.
    pub batch: u64,
    /// When it was sent.
    pub begun: Instant,
}

/// What becomes of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The receiver has it.
    Settle,
    /// Keep it, and send it again when [`ReceiverHealth::may_send`] allows.
    Keep,
    /// Send it again at once: over a new connection, or with the token read again.
    AgainAtOnce,
    /// Halve it, if it has more than one event; the halves wait for [`ReceiverHealth::may_send`]. Where the receiver did not
    /// `say` that it is too large, one event alone is kept and sent again.
    Halve { said: bool },
    /// Narrow it down to the events that the receiver refuses.
    Narrow,
}

/// The state machine. Times come from the caller, chance from the generator given.
#[derive(Debug)]
pub struct ReceiverHealth {
    backoff: Backoff,
    probes: ProbeIntervals,
    rng: Rng,
    phase: Phase,
    narrowing: bool,
    /// Of the phase.
    since: Instant,
    /// The last answer that was no success, in words.
    cause: String,
    /// Of the failures in a row.
    failing_since: Option<Instant>,
    failures: u32,
    garbled: u32,
    last_failure: Option<Instant>,
    /// The last answer had a status, so that the next request may meet its connection, closed meanwhile.
    reuses: bool,
    /// The token was read again since the last answer that was no 401.
    token_is_fresh: Option<Instant>,
    resets: Resets,
    told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Ready,
    BackingOff { until: Instant },
    Open { until: Instant },
    Held { why: HoldReason, until: Instant },
}

impl ReceiverHealth {
    pub fn new(retry: Retry, probes: ProbeIntervals, rng: Rng, now: Instant) -> Self {
        Self {
            backoff: Backoff::new(retry),
            probes,
            rng,
            phase: Phase::Ready,
            narrowing: false,
            since: now,
            cause: String::new(),
            failing_since: None,
            failures: 0,
            garbled: 0,
            last_failure: None,
            reuses: false,
            token_is_fresh: None,
            resets: Resets::default(),
            told: Told::default(),
        }
    }

    pub fn may_send(&self, now: Instant) -> SendAllowance {
        match self.phase {
            Phase::Ready => SendAllowance::Yes,
            Phase::BackingOff { until } | Phase::Open { until } | Phase::Held { until, .. } if now < until => {
                SendAllowance::NotBefore(until)
            }
            Phase::BackingOff { .. } => SendAllowance::Yes,
            Phase::Open { .. } | Phase::Held { .. } => SendAllowance::OnlyOne,
        }
    }

    /// Takes in what came back for `attempt`: what becomes of its batch, and what to tell the operator, if anything.
    pub fn on_answer(
        &mut self,
        attempt: Attempt,
        verdict: AnswerVerdict,
        answer: &Answer,
        now: Instant,
    ) -> (Act, Option<Notice>) {
        let reused = std::mem::replace(&mut self.reuses, answer.code().is_some());
        let suspect = self.resets.make_suspect(attempt.batch, answer);
        if verdict != AnswerVerdict::Unauthorized {
            self.token_is_fresh = None;
        }
        let act = match verdict {
            AnswerVerdict::Delivered => self.judged(Act::Settle, now),
            // While nearly everything is refused, one more refusal is no sign of health.
            AnswerVerdict::Narrow | AnswerVerdict::Halve if self.is_held_for(HoldReason::Systemic) => {
                self.hold_for(HoldReason::Systemic, None, now)
            }
            AnswerVerdict::Narrow => self.judged(Act::Narrow, now),
            AnswerVerdict::Halve => self.judged(Act::Halve { said: true }, now),
            AnswerVerdict::Unauthorized => self.unauthorized(attempt, answer, now),
            AnswerVerdict::Hold => {
                self.cause = answer.to_string();
                self.hold_for(reason(answer), answer.retry_after(), now)
            }
            AnswerVerdict::Retry if suspect => {
                self.transient(attempt, answer, now);
                Act::Halve { said: false }
            }
            AnswerVerdict::Retry if reused && is_broken_connection(answer) => Act::AgainAtOnce,
            AnswerVerdict::Retry => self.transient(attempt, answer, now),
        };
        (act, self.tell(now))
    }

    /// Holds for a reason that lies beyond a single answer, as when the [`RefusalBreaker`](super::RefusalBreaker) says so.
    pub fn hold(&mut self, why: HoldReason, cause: String, now: Instant) -> Option<Notice> {
        self.cause = cause;
        self.hold_for(why, None, now);
        self.tell(now)
    }

    /// Lets the next request go at once, whatever the state: a token or certificate changed, or we are stopping.
    pub fn probe_now(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Ready => {}
            Phase::BackingOff { until } | Phase::Open { until } | Phase::Held { until, .. } => {
                *until = now.min(*until)
            }
        }
    }

    /// A batch is being narrowed down, or no longer; shows in [`ReceiverHealth::state`] alone.
    pub fn set_narrowing(&mut self, narrowing: bool) {
        self.narrowing = narrowing;
    }

    pub fn state(&self) -> ForwarderState {
        match self.phase {
            Phase::Ready if self.narrowing => ForwarderState::Narrowing,
            Phase::Ready => ForwarderState::Ready,
            Phase::BackingOff { .. } => ForwarderState::BackingOff,
            Phase::Open { .. } => ForwarderState::Open,
            Phase::Held { .. } => ForwarderState::Held,
        }
    }

    /// Why the state is not Ready, in words; empty where it is.
    pub fn cause(&self) -> &str {
        if self.phase == Phase::Ready { "" } else { &self.cause }
    }

    pub fn hold_reason(&self) -> Option<HoldReason> {
        match self.phase {
            Phase::Held { why, .. } => Some(why),
            _ => None,
        }
    }

    fn judged(&mut self, act: Act, now: Instant) -> Act {
        self.clear_failures();
        self.enter(Phase::Ready, now);
        act
    }

    fn transient(&mut self, attempt: Attempt, answer: &Answer, now: Instant) -> Act {
        // Requests that were on their way together fail together, and count as one.
        if self.last_failure.is_some_and(|last| attempt.begun < last) {
            return Act::Keep;
        }
        self.cause = answer.to_string();
        self.last_failure = Some(now);
        self.failures = self.failures.saturating_add(1);
        let failing_since = *self.failing_since.get_or_insert(now);
        self.garbled = if is_garbled(answer) { self.garbled.saturating_add(1) } else { 0 };
        if self.garbled >= GARBLED {
            return self.hold_for(HoldReason::Protocol, None, now);
        }
        let until = now + self.backoff.delay(self.failures, answer.retry_after(), &mut self.rng);
        let failing = now.saturating_duration_since(failing_since);
        let open = self.failures >= OPEN_AFTER || failing >= OPEN_AFTER_TIME;
        self.enter(if open { Phase::Open { until } } else { Phase::BackingOff { until } }, now);
        Act::Keep
    }

    /// The first refusal has the token read again; a second, with the token read since, holds.
    fn unauthorized(&mut self, attempt: Attempt, answer: &Answer, now: Instant) -> Act {
        match self.token_is_fresh {
            None => {
                self.token_is_fresh = Some(now);
                Act::AgainAtOnce
            }
            Some(since) if attempt.begun < since => Act::Keep,
            Some(_) => {
                self.cause = answer.to_string();
                self.hold_for(HoldReason::Unauthorized, answer.retry_after(), now)
            }
        }
    }

    fn hold_for(&mut self, why: HoldReason, retry_after: Option<Duration>, now: Instant) -> Act {
        let interval = if why == HoldReason::Gone { self.probes.gone } else { self.probes.hold };
        let until = now + retry_after.map_or(interval, |asked| asked.max(interval));
        if why != HoldReason::Protocol {
            self.clear_failures();
        }
        self.enter(Phase::Held { why, until }, now);
        Act::Keep
    }

    fn enter(&mut self, phase: Phase, now: Instant) {
        if std::mem::discriminant(&phase) != std::mem::discriminant(&self.phase) {
            self.since = now;
        }
        self.phase = phase;
    }

    fn clear_failures(&mut self) {
        self.failures = 0;
        self.garbled = 0;
        self.failing_since = None;
    }

    fn is_held_for(&self, reason: HoldReason) -> bool {
        self.hold_reason() == Some(reason)
    }
}

fn reason(answer: &Answer) -> HoldReason {
    match answer {
        Answer::Status { code: 410, .. } => HoldReason::Gone,
        Answer::Status { .. } | Answer::Items { .. } => HoldReason::Refused,
        Answer::Failed { kind: FailureKind::Local, .. } => HoldReason::Local,
        Answer::Failed { kind: FailureKind::Token { .. }, .. } => HoldReason::Unauthorized,
        Answer::Failed { kind: FailureKind::TlsCertificate, .. } => HoldReason::Certificate,
        Answer::Failed { .. } => HoldReason::Protocol,
    }
}

/// What a connection looks like that the receiver closed while it was idle.
fn is_broken_connection(answer: &Answer) -> bool {
    matches!(answer.failure(), Some(FailureKind::Reset { .. } | FailureKind::Closed))
}

fn is_garbled(answer: &Answer) -> bool {
    matches!(answer.failure(), Some(FailureKind::Protocol | FailureKind::TlsHandshake))
}
