//! What a forwarder shows of itself: its books, state, last success and error, requests and backlog.
//!
//! The forwarder's task writes, the admin pages read. Everything of one forwarder stands behind one lock that is
//! held for arithmetic only, so a [`Snapshot`] is of one moment and its books balance. The task takes the lock once
//! for a batch, never for an event. Nothing here is on disk: the numbers begin at zero with the process, and go on where a
//! reload starts the forwarder again.

mod books;
mod filtered;
mod gap;
mod histogram;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;

pub use books::{Books, Tally};
pub use filtered::{FilterRule, FilteredCounts};
pub use gap::{GapCause, GapCounts};
pub use histogram::Histogram;

/// Shared between a forwarder's task and the admin pages.
#[derive(Debug)]
pub struct ForwarderStats {
    name: String,
    has_begun: AtomicBool,
    inner: Mutex<Snapshot>,
}

/// What a forwarder is doing; the label `state` of `auditpost_forwarder_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwarderState {
    Ready,
    BackingOff,
    /// Many failures in a row: one probe at a time.
    Open,
    /// The receiver refuses us; everything is kept and an alarm is raised.
    Held,
    /// Looking for the event that the receiver refuses.
    Narrowing,
    Stopped,
    /// It is no longer configured.
    Removed,
}

/// Everything of one forwarder at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub state: ForwarderState,
    /// Why it is in that state, for a human.
    pub reason: Option<String>,
    /// Since when it is in that state.
    pub since: Timestamp,
    pub last_success: Option<Timestamp>,
    pub last_error: Option<LastError>,
    /// By the answer's status (`200`) or the way the request failed (`timeout`, `refused`, …).
    pub requests: BTreeMap<String, Histogram>,
    /// Events a batch.
    pub batch_events: Histogram,
    /// Bytes a batch, before compression.
    pub batch_raw_bytes: Histogram,
    /// Bytes a batch, as sent.
    pub batch_wire_bytes: Histogram,
    /// In the configuration's order.
    pub sources: Vec<SourceSnapshot>,
}

#[derive(Clone, Debug)]
pub struct LastError {
    pub at: Timestamp,
    pub text: String,
}

/// What a forwarder made of one source.
#[derive(Clone, Debug)]
pub struct SourceSnapshot {
    pub source: String,
    pub books: Books,
    /// What the books have as filtered, by the rule that kept it back.
    pub filtered: FilteredCounts,
    pub backlog_bytes: u64,
    /// When the oldest event that is not settled was first seen; `None` where all is settled.
    pub oldest_unsettled: Option<Timestamp>,
}

impl ForwarderStats {
    /// Empty books for each of its sources; the state is [`ForwarderState::Ready`] since `now`.
    pub fn new<S: Into<String>>(
        name: impl Into<String>,
        sources: impl IntoIterator<Item = S>,
        now: Timestamp,
    ) -> Self {
        Self {
            name: name.into(),
            has_begun: AtomicBool::new(false),
            inner: Mutex::new(Snapshot {
                state: ForwarderState::Ready,
                reason: None,
                since: now,
                last_success: None,
                last_error: None,
                requests: BTreeMap::new(),
                batch_events: Histogram::of_events(),
                batch_raw_bytes: Histogram::of_bytes(),
                batch_wire_bytes: Histogram::of_bytes(),
                sources: sources.into_iter().map(|name| SourceSnapshot::new(name.into())).collect(),
            }),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A task counts from now on; true where one did before.
    pub fn begin(&self) -> bool {
        self.has_begun.swap(true, Ordering::Relaxed)
    }

    /// It starts, maybe again, with these sources: what was counted stays, and what was in flight is read again.
    pub fn start_again(&self, sources: &[String], now: Timestamp) {
        let mut inner = self.lock();
        for source in sources {
            inner.source(source);
        }
        for source in &mut inner.sources {
            source.books.start_again();
            (source.backlog_bytes, source.oldest_unsettled) = (0, None);
        }
        (inner.state, inner.reason, inner.since) = (ForwarderState::Ready, None, now);
    }

    /// Enters what happened to events of one source, all at once.
    pub fn enter(&self, source: &str, tally: &Tally) {
        self.lock().source(source).books.enter(tally);
    }

    /// The same with events that rules kept back, which `tally` does not have yet: so the sum of the rules' events is at
    /// any moment what the books have as filtered.
    pub fn enter_filtered(&self, source: &str, mut tally: Tally, filtered: &FilteredCounts) {
        tally.filtered(filtered.total());
        let mut inner = self.lock();
        let entry = inner.source(source);
        entry.books.enter(&tally);
        entry.filtered.enter(filtered);
    }

    /// Says how many bytes of the source wait behind the cursor, and when the oldest unsettled event was first seen.
    pub fn set_backlog(&self, source: &str, bytes: u64, oldest_unsettled: Option<Timestamp>) {
        let mut inner = self.lock();
        let entry = inner.source(source);
        entry.backlog_bytes = bytes;
        entry.oldest_unsettled = oldest_unsettled;
    }

    /// Changes the state; `since` moves only where the state is another one, the reason always.
    pub fn set_state(&self, state: ForwarderState, reason: Option<String>, now: Timestamp) {
        let mut inner = self.lock();
        if inner.state != state {
            inner.state = state;
            inner.since = now;
        }
        inner.reason = reason;
    }

    /// Counts one request that ended. `code` is the status or one word for the failure: a small closed set, because
    /// each is a time series of its own.
    pub fn request(&self, code: &str, took: Duration) {
        let mut inner = self.lock();
        if !inner.requests.contains_key(code) {
            inner.requests.insert(code.to_owned(), Histogram::of_seconds());
        }
        if let Some(requests) = inner.requests.get_mut(code) {
            requests.observe(took.as_secs_f64());
        }
    }

    /// Counts one batch that was made, not its retries.
    pub fn batch(&self, events: usize, raw_bytes: usize, wire_bytes: usize) {
        let mut inner = self.lock();
        inner.batch_events.observe(events as f64);
        inner.batch_raw_bytes.observe(raw_bytes as f64);
        inner.batch_wire_bytes.observe(wire_bytes as f64);
    }

    /// A batch was delivered.
    pub fn succeeded(&self, now: Timestamp) {
        self.lock().last_success = Some(now);
    }

    /// Something failed; the text is shown as it is and must hold no secret. A success does not remove it.
    pub fn failed(&self, error: impl fmt::Display, now: Timestamp) {
        let text = error.to_string();
        self.lock().last_error = Some(LastError { at: now, text });
    }

    /// All of it, of one moment.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        // A panic under the lock can only be that of an arithmetic check; the numbers are still worth showing.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ForwarderState {
    pub const ALL: [Self; 7] =
        [Self::Ready, Self::BackingOff, Self::Open, Self::Held, Self::Narrowing, Self::Stopped, Self::Removed];

    /// As in metrics and on pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::BackingOff => "backing_off",
            Self::Open => "open",
            Self::Held => "held",
            Self::Narrowing => "narrowing",
            Self::Stopped => "stopped",
            Self::Removed => "removed",
        }
    }
}

impl Snapshot {
    /// A source that a reload added has no entry yet.
    fn source(&mut self, name: &str) -> &mut SourceSnapshot {
        let place = match self.sources.iter().position(|entry| entry.source == name) {
            Some(place) => place,
            None => {
                self.sources.push(SourceSnapshot::new(name.to_owned()));
                self.sources.len() - 1
            }
        };
        &mut self.sources[place]
    }
}

impl SourceSnapshot {
    fn new(source: String) -> Self {
        Self {
            source,
            books: Books::default(),
            filtered: FilteredCounts::default(),
            backlog_bytes: 0,
            oldest_unsettled: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::constant(second, 0)
    }

    #[test]
    fn since_is_when_the_state_began_and_not_when_its_reason_changed() {
        let stats = ForwarderStats::new("siem", ["app"], at(1));
        stats.set_state(ForwarderState::Held, Some("401".to_owned()), at(2));
        stats.set_state(ForwarderState::Held, Some("403".to_owned()), at(3));
        let shown = stats.snapshot();
        assert_eq!((shown.state, shown.since), (ForwarderState::Held, at(2)));
        assert_eq!(shown.reason.as_deref(), Some("403"));
        stats.set_state(ForwarderState::Ready, None, at(4));
        assert_eq!(stats.snapshot().since, at(4));
    }

    #[test]
    fn sources_keep_their_own_books() {
        let stats = ForwarderStats::new("siem", ["a", "b"], at(0));
        let mut tally = Tally::default();
        tally.read(1, 10);
        stats.enter("b", &tally);
        stats.enter("late", &tally);
        let read: Vec<(String, u64)> =
            stats.snapshot().sources.into_iter().map(|entry| (entry.source, entry.books.read())).collect();
        assert_eq!(read, [("a".to_owned(), 0), ("b".to_owned(), 1), ("late".to_owned(), 1)]);
    }

    #[test]
    fn requests_are_counted_by_their_code() {
        let stats = ForwarderStats::new("siem", ["a"], at(0));
        stats.request("200", Duration::from_millis(30));
        stats.request("timeout", Duration::from_secs(5));
        stats.request("200", Duration::from_millis(50));
        let requests = stats.snapshot().requests;
        assert_eq!((requests["200"].count(), requests["timeout"].count()), (2, 1));
        assert!((requests["200"].sum() - 0.08).abs() < 1e-9);
    }
}
