//! What an answer says of the receiver: held, probed, and what an operator would have it mean.

use super::{refused::play, *};
use crate::config::{AnswerVerdict, Framing};

#[test]
fn fates_of_other_events_than_those_that_were_sent_hold_and_settle_nothing() {
    for (events, fates) in [(1, vec![Fate::Delivered]), (3, vec![Fate::Delivered; 2])] {
        let mut world = World::new(|_| {});
        world.arrive("a", events);
        world.settle_down();
        let (n, begun) = (world.wire.remove(0).n, world.now);
        world.on(WindowEvent::Answered { n, begun, answer: items(fates) });
        world.settle_down();
        assert_eq!((world.wire.len(), world.state), (0, Some(ForwarderState::Held)));
        assert_eq!(world.journal.outstanding().len(), 1);
        assert!(world.has_told("these are not the events that were sent"));
    }
}

#[test]
fn a_receiver_that_refuses_us_is_probed_slowly_and_one_that_is_gone_twelve_times_more_slowly() {
    for (code, minutes) in [(404, 5), (302, 5), (501, 5), (410, 60)] {
        let mut world = World::new(|_| {});
        world.arrive("a", 1);
        world.settle_down();
        world.answer(status(code));
        assert_eq!(world.state, Some(ForwarderState::Held));
        assert_eq!(world.window.wake_at(world.now), Some(world.now + Duration::from_secs(60 * minutes)), "{code}");
    }
}

#[test]
fn an_operator_says_what_a_status_means() {
    // The status, what it means, the events that are sent next without waiting, and the state.
    let table: [(u16, AnswerVerdict, &[u64], ForwarderState); 6] = [
        (409, AnswerVerdict::Delivered, &[], ForwarderState::Ready),
        (404, AnswerVerdict::Retry, &[], ForwarderState::BackingOff),
        (503, AnswerVerdict::Hold, &[], ForwarderState::Held),
        (418, AnswerVerdict::Unauthorized, &[0, 1, 2, 3], ForwarderState::Ready),
        (500, AnswerVerdict::Halve, &[0, 1], ForwarderState::Narrowing),
        (404, AnswerVerdict::Narrow, &[0, 1], ForwarderState::Narrowing),
    ];
    for (code, verdict, next, state) in table {
        let mut world = World::new(|config| config.responses = vec![(code, verdict)]);
        let configured = world.window.limits();
        world.arrive("a", 4);
        world.settle_down();
        world.answer(status(code));
        assert_eq!((world.sent().concat(), world.state), (next.to_vec(), Some(state)), "{verdict:?}");
        let delivered = if verdict == AnswerVerdict::Delivered { 4 } else { 0 };
        assert_eq!(world.journal.totals("a").delivered, delivered, "{verdict:?}");
        assert_eq!(world.window.limits() != configured, verdict == AnswerVerdict::Halve, "{verdict:?}");
    }
}

#[test]
fn a_bad_event_now_and_then_is_no_reason_to_hold_and_more_than_half_of_them_are() {
    let mut world = World::new(|_| {});
    for _ in 0..60 {
        world.arrive("a", 10);
        play(&mut world, |events| status(if events.iter().any(|event| event % 10 == 3) { 400 } else { 200 }));
        assert_eq!(world.state, Some(ForwarderState::Ready));
    }
    assert_eq!((world.letters.len(), world.taken.len()), (60, 540));
    let mut world = World::new(|config| config.framing = Framing::Single);
    for _ in 0..200 {
        assert_ne!(world.state, Some(ForwarderState::Held));
        world.arrive("a", 1);
        play(&mut world, |events| status(if events[0].is_multiple_of(3) { 200 } else { 400 }));
    }
    // Two in three are refused: of the first 200 that is before there is a window to look at.
    assert_eq!((world.letters.len(), world.state), (132, Some(ForwarderState::Held)));
}
