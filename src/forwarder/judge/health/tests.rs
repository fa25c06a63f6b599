//! The transitions, told as stories with made-up times.

#![expect(clippy::unwrap_used, reason = "a test")]

mod holds;

use super::*;
use crate::forwarder::judge::judge;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A forwarder whose clock the test moves.
struct Story {
    health: ReceiverHealth,
    now: Instant,
    batch: u64,
}

impl Story {
    fn new() -> Self {
        let now = Instant::now();
        let retry = Retry { initial: SECOND, max: MINUTE };
        Self { health: ReceiverHealth::new(retry, ProbeIntervals::default(), Rng::with_seed(3), now), now, batch: 1 }
    }

    fn get(&mut self, answer: &Answer) -> (Act, Option<Notice>) {
        let attempt = Attempt { batch: self.batch, begun: self.now };
        self.now += SECOND / 10;
        self.health.on_answer(attempt, judge(answer, &[]), answer, self.now)
    }

    fn act(&mut self, answer: &Answer) -> Act {
        self.get(answer).0
    }

    fn after(&mut self, wait: Duration) -> &mut Self {
        self.now += wait;
        self
    }

    fn wait(&self) -> Duration {
        match self.health.may_send(self.now) {
            SendAllowance::NotBefore(until) => until - self.now,
            _ => Duration::ZERO,
        }
    }

    /// Until a request may be sent again.
    fn wait_out(&mut self) -> &mut Self {
        self.after(self.wait())
    }

    fn state(&self) -> ForwarderState {
        self.health.state()
    }
}

fn status(code: u16) -> Answer {
    Answer::Status { code, retry_after: None, excerpt: String::new(), premature: false }
}

fn asks(code: u16, wait: Duration) -> Answer {
    Answer::Status { code, retry_after: Some(wait), excerpt: String::new(), premature: false }
}

fn failed(kind: FailureKind) -> Answer {
    Answer::Failed { kind, text: kind.label().to_owned() }
}

#[test]
fn a_transient_failure_backs_off_and_a_success_ends_it() {
    let mut story = Story::new();
    let (act, notice) = story.get(&status(503));
    assert_eq!((act, story.state()), (Act::Keep, ForwarderState::BackingOff));
    assert!(matches!(notice, Some(Notice::Failing { .. })));
    assert!(story.wait() > Duration::ZERO && story.wait() <= SECOND);
    story.wait_out();
    assert_eq!(story.health.may_send(story.now), SendAllowance::Yes);
    let (act, notice) = story.get(&status(200));
    assert_eq!((act, story.state(), story.health.failures), (Act::Settle, ForwarderState::Ready, 0));
    assert!(matches!(notice, Some(Notice::Recovered { .. })));
    assert_eq!(story.health.cause(), "");
}

#[test]
fn five_failures_in_a_row_leave_one_request_at_a_time() {
    let mut story = Story::new();
    for failure in 1..5 {
        story.wait_out().get(&status(500));
        assert_eq!((story.state(), story.health.failures), (ForwarderState::BackingOff, failure));
    }
    let (_, notice) = story.wait_out().get(&status(500));
    assert_eq!(story.state(), ForwarderState::Open);
    assert!(matches!(notice, Some(Notice::Open { failures: 5, .. })));
    story.wait_out();
    assert_eq!(story.health.may_send(story.now), SendAllowance::OnlyOne);
    let (_, notice) = story.get(&status(500));
    assert_eq!((story.state(), notice), (ForwarderState::Open, None), "told once");
    story.wait_out().get(&status(200));
    assert_eq!(story.health.may_send(story.now), SendAllowance::Yes);
}

#[test]
fn a_minute_of_failing_opens_it_too() {
    let mut story = Story::new();
    story.get(&failed(FailureKind::Timeout));
    story.after(59 * SECOND).get(&failed(FailureKind::Timeout));
    assert_eq!(story.state(), ForwarderState::BackingOff);
    story.after(2 * SECOND).get(&failed(FailureKind::Timeout));
    assert_eq!((story.state(), story.health.failures), (ForwarderState::Open, 3));
}

#[test]
fn there_is_no_last_attempt_and_no_wait_beyond_the_cap() {
    let mut story = Story::new();
    for _ in 0..5000 {
        assert_eq!(story.act(&failed(FailureKind::Connect)), Act::Keep);
        assert!(story.wait() <= MINUTE && story.wait() > Duration::ZERO);
        story.wait_out();
    }
    assert_eq!(story.act(&status(200)), Act::Settle);
    assert_eq!(story.state(), ForwarderState::Ready);
}

#[test]
fn sporadic_failures_never_open_it() {
    let mut story = Story::new();
    for round in 0..1000 {
        let answer = if round % 5 == 4 { status(200) } else { status(503) };
        story.wait_out().get(&answer);
        assert_ne!(story.state(), ForwarderState::Open);
    }
}

#[test]
fn what_the_receiver_refuses_of_a_batch_says_that_the_receiver_works() {
    let mut story = Story::new();
    for _ in 0..50 {
        assert_eq!(story.act(&status(413)), Act::Halve { said: true });
        assert_eq!(story.act(&status(422)), Act::Narrow);
        assert_eq!(story.state(), ForwarderState::Ready);
    }
    (0..6).for_each(|_| drop(story.wait_out().get(&status(500))));
    story.wait_out().get(&status(400));
    assert_eq!((story.state(), story.health.failures), (ForwarderState::Ready, 0));
}

#[test]
fn retry_after_is_the_least_wait() {
    let mut story = Story::new();
    story.get(&asks(429, 7 * SECOND));
    assert!(story.wait() >= 7 * SECOND && story.wait() <= 7 * SECOND + SECOND * 7 / 10);
}

#[test]
fn requests_that_were_on_their_way_together_fail_as_one() {
    let mut story = Story::new();
    let begun = story.now;
    for batch in 0..8 {
        story.after(SECOND / 100);
        let answer = status(503);
        story.health.on_answer(Attempt { batch, begun }, AnswerVerdict::Retry, &answer, story.now);
    }
    assert_eq!((story.health.failures, story.state()), (1, ForwarderState::BackingOff));
}

#[test]
fn a_connection_closed_while_idle_is_replaced_once_without_counting() {
    let mut story = Story::new();
    assert_eq!(story.act(&failed(FailureKind::Closed)), Act::Keep, "there was no connection to be closed");
    story.wait_out().get(&status(200));
    for _ in 0..1000 {
        assert_eq!(story.get(&failed(FailureKind::Closed)), (Act::AgainAtOnce, None));
        assert_eq!((story.state(), story.health.failures), (ForwarderState::Ready, 0));
        assert_eq!(story.act(&status(200)), Act::Settle);
    }
    assert_eq!(story.act(&failed(FailureKind::Reset { sending: false })), Act::AgainAtOnce);
    assert_eq!(story.act(&failed(FailureKind::Closed)), Act::Keep, "the new connection failed as well");
    assert_eq!(story.state(), ForwarderState::BackingOff);
    assert_eq!(story.wait_out().act(&status(200)), Act::Settle);
    assert_eq!(story.act(&failed(FailureKind::Timeout)), Act::Keep, "that is no closed connection");
}

#[test]
fn three_resets_of_one_batch_while_it_was_sent_make_it_suspect() {
    let reset = failed(FailureKind::Reset { sending: true });
    let mut story = Story::new();
    assert_eq!(story.act(&reset), Act::Keep);
    assert_eq!(story.wait_out().act(&reset), Act::Keep);
    story.batch = 2;
    assert_eq!(story.wait_out().act(&reset), Act::Keep, "another batch");
    story.batch = 1;
    assert_eq!(story.wait_out().act(&reset), Act::Halve { said: false });
    assert_ne!(story.wait(), Duration::ZERO, "its halves wait like any other");
    assert_eq!(story.wait_out().act(&reset), Act::Keep, "counted anew");
}

#[test]
fn resets_after_the_body_or_with_a_status_between_make_nothing_suspect() {
    let mut story = Story::new();
    for _ in 0..9 {
        assert_eq!(story.wait_out().act(&failed(FailureKind::Reset { sending: false })), Act::Keep);
    }
    let reset = failed(FailureKind::Reset { sending: true });
    for answer in [&reset, &reset, &status(503)] {
        assert_ne!(story.wait_out().act(answer), Act::Halve { said: false });
    }
    for _ in 0..2 {
        assert_ne!(story.wait_out().act(&reset), Act::Halve { said: false });
    }
    assert_eq!(story.health.resets.len(), 1);
    story.wait_out().get(&status(200));
    assert_eq!(story.health.resets.len(), 0, "what is settled is forgotten");
}

#[test]
fn a_receiver_that_comes_and_goes_gets_a_few_lines_a_minute_and_the_last_is_true() {
    let mut story = Story::new();
    let start = story.now;
    let mut last = None;
    let mut lines = 0;
    while story.now < start + 10 * MINUTE {
        for answer in [status(503), status(200)] {
            if let (_, Some(notice)) = story.wait_out().get(&answer) {
                lines += 1;
                last = Some(notice);
            }
        }
    }
    assert!((10..=22).contains(&lines), "{lines} lines in ten minutes");
    story.after(MINUTE).get(&status(200));
    if let (_, Some(notice)) = story.after(MINUTE).get(&status(200)) {
        last = Some(notice);
    }
    story.after(MINUTE);
    assert!(matches!(story.get(&status(200)), (_, None)));
    assert!(matches!(last, Some(Notice::Recovered { .. })), "{last:?}");
}

#[test]
fn narrowing_shows_as_long_as_it_goes_well() {
    let mut story = Story::new();
    story.health.set_narrowing(true);
    assert_eq!(story.state().name(), "narrowing");
    story.get(&status(503));
    assert_eq!(story.state().name(), "backing_off");
    story.wait_out().get(&status(200));
    story.health.set_narrowing(false);
    assert_eq!(story.state(), ForwarderState::Ready);
}
