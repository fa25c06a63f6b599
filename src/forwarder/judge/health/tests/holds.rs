//! What holds a forwarder, and what ends a hold.

use super::*;

#[test]
fn a_refusal_of_us_holds_probes_slowly_and_mends_itself() {
    for (code, interval, why) in [
        (404, 5 * MINUTE, HoldReason::Refused),
        (302, 5 * MINUTE, HoldReason::Refused),
        (410, 60 * MINUTE, HoldReason::Gone),
    ] {
        let mut story = Story::new();
        let (act, notice) = story.get(&status(code));
        assert_eq!((act, story.state(), story.wait()), (Act::Keep, ForwarderState::Held, interval));
        assert!(matches!(notice, Some(Notice::Held { why: told, .. }) if told == why));
        for _ in 0..10 {
            story.wait_out();
            assert_eq!(story.health.may_send(story.now), SendAllowance::OnlyOne);
            assert_eq!(story.get(&status(code)), (Act::Keep, None));
        }
        let (act, notice) = story.wait_out().get(&status(202));
        assert_eq!((act, story.state()), (Act::Settle, ForwarderState::Ready));
        assert!(matches!(notice, Some(Notice::Recovered { after }) if after >= 10 * interval));
    }
}

#[test]
fn a_refused_token_is_read_again_once_before_it_holds() {
    let mut story = Story::new();
    assert_eq!(story.get(&status(401)), (Act::AgainAtOnce, None));
    assert_eq!(story.health.may_send(story.now), SendAllowance::Yes);
    let (act, _) = story.get(&status(403));
    assert_eq!((act, story.health.hold_reason()), (Act::Keep, Some(HoldReason::Unauthorized)));
    story.wait_out();
    assert_eq!(story.act(&status(401)), Act::Keep, "no second immediate attempt with each probe");

    let changed = story.after(SECOND).now;
    story.health.probe_now(changed);
    assert_eq!(story.health.may_send(changed), SendAllowance::OnlyOne);
    assert_eq!(story.act(&status(200)), Act::Settle);
    assert_eq!(story.act(&status(401)), Act::AgainAtOnce, "a later refusal begins anew");
}

#[test]
fn a_request_sent_with_the_old_token_does_not_hold_the_new_one() {
    let mut story = Story::new();
    let begun = story.now;
    let answer = status(401);
    let mut get = |batch, begun, after| {
        let (act, _) =
            story.health.on_answer(Attempt { batch, begun }, AnswerVerdict::Unauthorized, &answer, begun + after);
        (act, story.health.state())
    };
    assert_eq!(get(1, begun, SECOND), (Act::AgainAtOnce, ForwarderState::Ready));
    assert_eq!(get(2, begun, 2 * SECOND), (Act::Keep, ForwarderState::Ready));
    assert_eq!(get(1, begun + 3 * SECOND, SECOND), (Act::Keep, ForwarderState::Held));
}

#[test]
fn three_answers_that_are_not_http_hold_and_keep_holding() {
    let mut story = Story::new();
    story.get(&failed(FailureKind::Protocol));
    story.wait_out().get(&failed(FailureKind::TlsHandshake));
    assert_eq!(story.state(), ForwarderState::BackingOff);
    story.wait_out().get(&failed(FailureKind::Protocol));
    assert_eq!(story.health.hold_reason(), Some(HoldReason::Protocol));
    story.wait_out().get(&failed(FailureKind::Protocol));
    assert_eq!((story.state(), story.wait()), (ForwarderState::Held, 5 * MINUTE));

    let mut story = Story::new();
    for kind in [FailureKind::Protocol, FailureKind::Protocol, FailureKind::Connect, FailureKind::Protocol] {
        story.wait_out().get(&failed(kind));
    }
    assert_eq!(story.state(), ForwarderState::BackingOff, "not three in a row");
    story.wait_out().get(&failed(FailureKind::Protocol));
    story.wait_out().get(&status(200));
    story.get(&failed(FailureKind::Protocol));
    assert_eq!(story.state(), ForwarderState::BackingOff, "nor across a success");
}

#[test]
fn a_systemic_hold_ends_with_a_delivery_and_not_with_a_refusal() {
    let mut story = Story::new();
    let notice = story.health.hold(HoldReason::Systemic, "20 events refused in a row".to_owned(), story.now);
    assert!(notice.unwrap().to_string().contains("20 events refused in a row"));
    for code in [400, 413, 422] {
        assert_eq!(story.wait_out().get(&status(code)), (Act::Keep, None));
        assert_eq!((story.state(), story.wait()), (ForwarderState::Held, 5 * MINUTE));
    }
    assert_eq!(story.wait_out().act(&status(200)), Act::Settle);
    assert_eq!(story.act(&status(400)), Act::Narrow);
}

#[test]
fn a_receiver_may_ask_for_a_longer_wait_between_probes_and_not_for_a_shorter_one() {
    for (asked, wait) in [(10 * MINUTE, 10 * MINUTE), (SECOND, 5 * MINUTE)] {
        let mut story = Story::new();
        story.get(&asks(404, asked));
        assert_eq!((story.state(), story.wait()), (ForwarderState::Held, wait));
        let mut story = Story::new();
        story.get(&asks(401, asked));
        story.get(&asks(401, asked));
        assert_eq!((story.state(), story.wait()), (ForwarderState::Held, wait));
    }
}

#[test]
fn another_reason_to_hold_is_told_at_once() {
    let mut story = Story::new();
    story.get(&status(404));
    let (_, notice) = story.get(&failed(FailureKind::TlsCertificate));
    assert!(matches!(notice, Some(Notice::Held { why: HoldReason::Certificate, .. })));
    let (_, notice) = story.get(&failed(FailureKind::Local));
    assert!(matches!(notice, Some(Notice::Held { why: HoldReason::Local, .. })));
}
