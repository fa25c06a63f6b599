//! Answers that are no success: which requests follow, and what becomes of each event.

use super::*;
use crate::{config::Framing, forwarder::judge::FailureKind};

fn of_a(events: impl IntoIterator<Item = u64>) -> Vec<(char, u64)> {
    events.into_iter().map(|event| ('a', event)).collect()
}

fn refused() -> Fate {
    Fate::Refused { status: 400, cause: "mapping".to_owned() }
}

/// Answers by these verdicts over the events of each request, until nothing is on its way. What was sent, in order.
pub(super) fn play(world: &mut World, verdict: impl Fn(&[u64]) -> Answer) -> Vec<Vec<u64>> {
    let mut sent = Vec::new();
    world.settle_down();
    while let Some(events) = world.sent().first().cloned() {
        let answer = verdict(&events);
        sent.push(events);
        world.answer(answer);
    }
    sent
}

#[test]
fn a_refused_batch_is_narrowed_down_to_the_events_that_are_refused_whatever_the_framing() {
    /// Events, those that are bad, and the requests that follow.
    type Row<'a> = (u64, &'a [u64], &'a [&'a [u64]]);
    let table: [Row<'_>; 7] = [
        (1, &[], &[&[0]]),
        (1, &[0], &[&[0]]),
        (2, &[1], &[&[0, 1], &[0], &[1]]),
        (4, &[0], &[&[0, 1, 2, 3], &[0, 1], &[0], &[1], &[2, 3]]),
        (4, &[3], &[&[0, 1, 2, 3], &[0, 1], &[2, 3], &[2], &[3]]),
        (4, &[1, 2], &[&[0, 1, 2, 3], &[0, 1], &[0], &[1], &[2, 3], &[2], &[3]]),
        (5, &[0, 4], &[&[0, 1, 2, 3, 4], &[0, 1], &[0], &[1], &[2, 3, 4], &[2], &[3, 4], &[3], &[4]]),
    ];
    for (framing, (events, bad, requests)) in
        [Framing::Lines, Framing::Array].into_iter().flat_map(|framing| table.map(|row| (framing, row)))
    {
        let mut world = World::new(|config| config.framing = framing);
        world.arrive("a", events);
        let sent =
            play(&mut world, |events| status(if events.iter().any(|event| bad.contains(event)) { 400 } else { 200 }));
        assert_eq!(sent, requests);
        assert_eq!(world.taken, of_a((0..events).filter(|event| !bad.contains(event))));
        assert_eq!(world.letters, bad.iter().map(|event| ("a".to_owned(), *event)).collect());
        let totals = world.journal.totals("a");
        assert_eq!((totals.delivered, totals.dead_lettered), (events - bad.len() as u64, bad.len() as u64));
        assert_eq!((world.in_flight("a"), world.state), (0, Some(ForwarderState::Ready)));
    }
}

#[test]
fn the_state_says_narrowing_while_a_batch_goes_in_parts() {
    let mut world = World::new(|_| {});
    world.arrive("a", 2);
    world.settle_down();
    world.answer(status(400));
    assert_eq!(world.state, Some(ForwarderState::Narrowing));
    world.answer(status(200));
    assert_eq!(world.state, Some(ForwarderState::Narrowing));
    world.answer(status(200));
    assert_eq!(world.state, Some(ForwarderState::Ready));
}

#[test]
fn each_part_has_a_number_and_an_id_of_its_own_and_its_attempts_begin_at_one() {
    let mut world = World::new(|_| {});
    world.arrive("a", 2);
    world.settle_down();
    let whole = world.wire[0].clone();
    world.answer(status(503));
    world.pass(Duration::from_secs(2));
    assert_eq!((world.wire[0].n, &world.wire[0].id, world.wire[0].attempt), (whole.n, &whole.id, 2));
    world.answer(status(400));
    let part = world.wire[0].clone();
    assert!(part.n > whole.n && part.id != whole.id);
    assert_eq!((part.attempt, part.events), (1, 1));
}

#[test]
fn trouble_in_the_middle_of_narrowing_is_tried_again_under_the_id_of_the_part() {
    let failed = |kind| Answer::Failed { kind, text: "failed".to_owned() };
    let reset = failed(FailureKind::Reset { sending: false });
    let trouble = [status(500), failed(FailureKind::Timeout), reset, status(401), status(429), status(404)];
    let mut world = World::new(|_| {});
    world.arrive("a", 4);
    world.settle_down();
    world.answer(status(400));
    let part = world.wire[0].clone();
    for (attempt, answer) in (1..).zip(trouble) {
        let sent = &world.wire[0];
        assert_eq!((sent.n, &sent.id, &sent.wire, sent.attempt), (part.n, &part.id, &part.wire, attempt));
        world.answer(answer);
        if world.wire.is_empty() {
            world.pass(Duration::from_secs(301));
        }
    }
    assert_eq!((&world.wire[0].id, world.wire[0].attempt), (&part.id, 7));
    let sent = play(&mut world, |events| status(if events.contains(&2) { 400 } else { 200 }));
    assert_eq!(sent, [vec![0, 1], vec![2, 3], vec![2], vec![3]]);
    assert_eq!(world.taken, of_a([0, 1, 3]));
    assert_eq!(world.letters, BTreeSet::from([("a".to_owned(), 2)]));
}

#[test]
fn a_batch_that_is_too_large_is_halved_and_the_next_are_smaller() {
    let mut world = World::new(|_| {});
    world.arrive("a", 8);
    let configured = world.window.limits().max_bytes;
    let sent = play(&mut world, |events| status(if events.len() > 2 { 413 } else { 200 }));
    assert_eq!(sent.iter().map(Vec::len).collect::<Vec<_>>(), [8, 4, 2, 2, 2, 2]);
    assert_eq!(world.taken, of_a(0..8));
    assert!(world.letters.is_empty());
    assert!(world.window.limits().max_bytes < configured, "batches that are built now are smaller");
}

#[test]
fn one_event_that_is_too_large_alone_is_a_dead_letter() {
    let mut world = World::new(|_| {});
    world.arrive("a", 1);
    play(&mut world, |_| status(413));
    assert_eq!(world.letters, BTreeSet::from([("a".to_owned(), 0)]));
    assert_eq!(world.journal.totals("a").dead_lettered, 1);
}

#[test]
fn the_third_reset_while_sending_halves_a_batch_and_none_makes_a_dead_letter() {
    let reset = || Answer::Failed { kind: FailureKind::Reset { sending: true }, text: "reset".to_owned() };
    let mut world = World::new(|_| {});
    world.arrive("a", 2);
    world.settle_down();
    let (whole, limits) = (world.wire[0].clone(), world.window.limits());
    for attempt in 1..=3 {
        let sent = &world.wire[0];
        assert_eq!((&sent.id, sent.events, sent.attempt), (&whole.id, 2, attempt));
        world.answer(reset());
        world.pass(Duration::from_secs(60));
    }
    assert_eq!(world.sent(), [[0]]);
    assert_ne!(world.wire[0].id, whole.id);
    assert_eq!(world.window.limits(), limits, "on this evidence nothing is remembered");
    let half = world.wire[0].clone();
    for _ in 0..40 {
        world.answer(reset());
        world.pass(Duration::from_secs(60));
    }
    assert!(world.letters.is_empty());
    assert_eq!((world.sent(), &world.wire[0].id), (vec![vec![0]], &half.id), "one event is kept, and sent again");
    assert_eq!(play(&mut world, |_| status(200)), [[0], [1]]);
}

#[test]
fn an_unauthorized_answer_has_the_token_read_again_and_a_second_one_holds() {
    let mut world = World::new(|_| {});
    world.arrive("a", 1);
    world.settle_down();
    world.answer(status(401));
    assert_eq!(world.sent(), [[0]], "again at once, with the token read again");
    world.answer(status(401));
    assert_eq!((world.sent().len(), world.state), (0, Some(ForwarderState::Held)));
    assert!(world.has_told("raise forwarder siem held: answered 401") && world.has_told("write hold"));
    assert!(world.window.waits_for_files());
    world.told.clear();
    world.pass(Duration::from_secs(299));
    assert_eq!(world.sent().len(), 0);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.sent(), [[0]], "a probe");
    world.answer(status(401));
    assert_eq!(world.sent().len(), 0, "not twice");
    assert!(!world.has_told("log Receiver") && !world.has_told("held"), "it was told");
    // The file changed: no need to wait for the probe.
    world.on(WindowEvent::FilesChanged);
    assert_eq!((world.sent(), world.wire[0].attempt), (vec![vec![0]], 4));
    assert!(!world.window.waits_for_files(), "a request is on its way");
    world.answer(status(200));
    assert_eq!(world.state, Some(ForwarderState::Ready));
    assert!(world.has_told("clear forwarder siem held") && world.has_told("write hold end"));
    assert_eq!(world.taken, of_a([0]));
}

#[test]
fn what_waits_is_tried_when_its_time_has_come_and_not_before() {
    let mut world = World::new(|_| {});
    world.arrive("a", 1);
    world.settle_down();
    world.answer(status(503));
    assert_eq!(world.state, Some(ForwarderState::BackingOff));
    let then = world.window.wake_at(world.now).expect("there is something to wake for");
    assert!(then <= world.now + Duration::from_secs(1));
    world.now = then - Duration::from_nanos(1);
    world.on(WindowEvent::Woken);
    assert_eq!(world.wire.len(), 0);
    world.now = then;
    world.on(WindowEvent::Woken);
    assert_eq!(world.sent(), [[0]]);
    assert_eq!(world.window.wake_at(world.now), None, "an answer is all that it waits for");
}

#[test]
fn a_receiver_that_refuses_everything_gets_fewer_than_twenty_dead_letters() {
    for code in [400, 413, 415, 422] {
        let mut world = World::new(|_| {});
        world.arrive("a", 64);
        play(&mut world, |_| status(code));
        assert_eq!((world.letters.len(), world.state), (19, Some(ForwarderState::Held)), "{code}");
        assert!(world.has_told("nearly every event is refused, even alone"));
        world.pass(Duration::from_secs(301));
        assert_eq!(world.sent(), [[19]], "a probe asks for the event that was refused last");
        world.answer(status(code));
        assert_eq!(world.letters.len(), 19);
        world.pass(Duration::from_secs(301));
        play(&mut world, |_| status(200));
        assert_eq!(world.taken, of_a(19..64));
        assert_eq!((world.in_flight("a"), world.state), (0, Some(ForwarderState::Ready)));
        // That it took something ends it: a bad event is a dead letter again.
        world.arrive("a", 1);
        play(&mut world, |_| status(code));
        assert_eq!((world.letters.len(), world.in_flight("a")), (20, 0));
    }
}

#[test]
fn the_fates_of_events_are_settled_without_sending_them_again() {
    let delivered = Fate::Delivered;
    let table = [
        (vec![delivered.clone(), Fate::Again], vec![vec![0, 1], vec![1]], vec![]),
        (vec![Fate::Again, delivered.clone()], vec![vec![0, 1], vec![0]], vec![]),
        (vec![delivered.clone(), refused()], vec![vec![0, 1]], vec![1]),
        (
            vec![refused(), Fate::Again, Fate::Again, delivered.clone(), refused()],
            vec![vec![0, 1, 2, 3, 4], vec![1, 2]],
            vec![0, 4],
        ),
    ];
    for (fates, requests, dead) in table {
        let mut world = World::new(|_| {});
        world.arrive("a", fates.len() as u64);
        let sent = play(&mut world, |events| {
            if events[0] == 0 && events.len() == fates.len() { items(fates.clone()) } else { status(200) }
        });
        assert_eq!(sent, requests, "{fates:?}");
        assert_eq!(world.letters, dead.iter().map(|event| ("a".to_owned(), *event)).collect(), "{fates:?}");
        let events = fates.len() as u64;
        assert_eq!(world.journal.totals("a").delivered, events - dead.len() as u64);
        assert_eq!((world.in_flight("a"), world.journal.outstanding().len()), (0, 0));
    }
}

#[test]
fn what_stands_beside_the_events_is_counted_once_however_a_batch_goes() {
    let ways: [fn(&[u64]) -> Answer; 4] = [
        |_| status(200),
        |events| status(if events.len() > 1 { 413 } else { 200 }),
        |events| status(if events.contains(&9) { 422 } else { 200 }),
        |events| {
            items(
                events.iter().map(|event| if *event == 9 { refused() } else { Fate::Delivered }).collect::<Vec<_>>(),
            )
        },
    ];
    for (way, answer) in ways.into_iter().enumerate() {
        let mut world = World::new(|_| {});
        world.rules.filtered = BTreeSet::from([0, 1, 7, 11]);
        world.rules.rejected = BTreeSet::from([3, 4]);
        world.rules.too_long = BTreeSet::from([6]);
        world.arrive("a", 12);
        play(&mut world, answer);
        let refused = u64::from(way > 1);
        let truth = (5 - refused, 4, 3 + refused);
        let (totals, books) = (world.journal.totals("a"), world.books["a"]);
        assert_eq!((totals.delivered, totals.filtered, totals.dead_lettered), truth);
        assert_eq!((books.delivered(), books.filtered(), books.dead_lettered()), truth);
        assert_eq!((world.in_flight("a"), world.journal.outstanding().len()), (0, 0));
    }
}

#[test]
fn fates_within_a_part_are_fates_of_its_events() {
    let mut world = World::new(|_| {});
    world.arrive("a", 6);
    world.settle_down();
    world.answer(items([vec![Fate::Delivered; 2], vec![Fate::Again; 4]].concat()));
    assert_eq!(world.sent(), [[2, 3, 4, 5]]);
    world.answer(items([Fate::Again, Fate::Delivered, refused(), Fate::Delivered]));
    assert_eq!(world.sent(), [[2]]);
    world.answer(status(200));
    let taken: BTreeSet<_> = world.taken.iter().copied().collect();
    assert_eq!((taken, world.taken.len()), (of_a([0, 1, 2, 3, 5]).into_iter().collect(), 5), "each once");
    assert_eq!(world.letters, BTreeSet::from([("a".to_owned(), 4)]));
}

#[test]
fn while_nearly_all_is_refused_a_fate_that_refuses_counts_no_more_and_the_event_is_asked_for_again() {
    let mut world = World::new(|_| {});
    world.arrive("a", 30);
    world.settle_down();
    world.answer(items(vec![refused(); 30]));
    assert_eq!((world.letters.len(), world.state), (19, Some(ForwarderState::Held)));
    world.pass(Duration::from_secs(301));
    assert_eq!(world.sent(), [[19]]);
    play(&mut world, |_| status(200));
    assert_eq!(world.taken, of_a(19..30));
}

#[test]
fn a_stub_that_is_refused_is_no_second_dead_letter() {
    let mut world = World::new(|_| {});
    world.rules.too_long = BTreeSet::from([0]);
    world.arrive("a", 1);
    world.settle_down();
    assert_eq!(world.letters.len(), 1);
    world.is_full = true;
    world.answer(status(400));
    assert_eq!((world.journal.outstanding().len(), world.in_flight("a")), (0, 0));
    assert_eq!(world.journal.totals("a").dead_lettered, 1);
}

#[test]
fn several_requests_may_be_on_their_way_and_each_is_settled_by_its_own_answer() {
    let mut world = World::new(|config| config.in_flight = 3);
    (0..4).for_each(|_| world.arrive("a", 1));
    world.settle_down();
    assert_eq!(world.sent(), [[0], [1], [2]]);
    world.answer_at(1, status(200));
    world.settle_down();
    assert_eq!(world.sent(), [[0], [2], [3]]);
    assert_eq!(world.journal.outstanding().iter().map(|batch| batch.n).collect::<Vec<_>>(), [1, 3, 4]);
}

#[test]
fn an_open_receiver_gets_one_request_at_a_time() {
    let mut world = World::new(|config| config.in_flight = 3);
    (0..3).for_each(|_| world.arrive("a", 1));
    world.settle_down();
    for _ in 0..5 {
        while !world.wire.is_empty() {
            world.answer(status(503));
        }
        world.pass(Duration::from_secs(70));
    }
    assert_eq!((world.wire.len(), world.state), (1, Some(ForwarderState::Open)));
}

#[test]
fn a_framing_of_single_events_splits_what_a_restart_left_in_one_request() {
    let mut world = World::new(|_| {});
    world.arrive("a", 3);
    world.settle_down();
    world.config.framing = Framing::Single;
    world.crash();
    world.on(WindowEvent::Scanned);
    world.read_again();
    assert_eq!(play(&mut world, |_| status(200)), [[0], [1], [2]]);
    assert_eq!(world.journal.totals("a").delivered, 3);
}
