//! How it ends: a stop for another configuration, and a drain, in each state.

use super::*;

fn end(world: &World) -> Option<ForwarderEnd> {
    world.window.end(true, false, world.now)
}

fn drain(world: &mut World) -> Instant {
    let until = world.now + Duration::from_secs(20);
    world.on(WindowEvent::Order(ForwarderOrder::Drain(until)));
    until
}

#[test]
fn it_runs_until_it_is_told_otherwise() {
    let mut world = World::new(|_| {});
    assert_eq!(end(&world), None);
    world.arrive("a", 1);
    world.settle_down();
    assert_eq!(end(&world), None);
}

#[test]
fn a_stop_waits_for_the_answer_that_is_on_its_way_and_for_its_settlement() {
    let mut world = World::new(|_| {});
    (0..2).for_each(|_| world.arrive("a", 1));
    world.settle_down();
    world.on(WindowEvent::Order(ForwarderOrder::Stop));
    assert_eq!((end(&world), world.window.room()), (None, 0));
    world.answer_at(0, status(200));
    assert_eq!(end(&world), None, "the settlement is not written");
    world.settle_down();
    assert_eq!(world.wire.len(), 0, "nothing more is sent");
    assert_eq!(end(&world), Some(ForwarderEnd::Backlog));
    assert_eq!(world.window.end(true, true, world.now), None, "a source is being read");
    assert_eq!(world.journal.totals("a").delivered, 1);
}

#[test]
fn a_stop_settles_what_a_receiver_told_of_each_event() {
    let mut world = World::new(|_| {});
    world.arrive("a", 3);
    world.settle_down();
    world.on(WindowEvent::Order(ForwarderOrder::Stop));
    world.answer(items([Fate::Delivered, Fate::Delivered, Fate::Again]));
    assert_eq!(end(&world), Some(ForwarderEnd::Backlog));
    assert_eq!(world.journal.totals("a").delivered, 2);
    assert_eq!(world.journal.outstanding().len(), 1);
}

#[test]
fn a_stop_that_comes_while_a_batch_is_announced_leaves_it_in_the_journal_with_its_dead_letters() {
    let mut world = World::new(|_| {});
    world.rules.rejected = BTreeSet::from([0]);
    world.arrive("a", 2);
    world.on(WindowEvent::Order(ForwarderOrder::Stop));
    assert_eq!(end(&world), None);
    world.settle_down();
    assert_eq!((end(&world), world.wire.len()), (Some(ForwarderEnd::Backlog), 0));
    assert_eq!((world.letters.len(), world.journal.outstanding().len()), (1, 1));
    world.crash();
    world.on(WindowEvent::Scanned);
    world.read_again();
    world.settle_down();
    assert_eq!((world.sent(), world.repeated_letters.len()), (vec![vec![1]], 0));
}

#[test]
fn a_drain_in_each_state() {
    // What the receiver answered before, and after; how it ends, and whether at once.
    let table: [(&[u16], &[u16], ForwarderEnd, bool); 7] = [
        (&[], &[200], ForwarderEnd::Drained, true),
        // Backing off: the drain does not wait for its time.
        (&[503], &[200], ForwarderEnd::Drained, true),
        (&[503], &[503], ForwarderEnd::Backlog, false),
        // Held: one more try, and if that is refused too there is nothing to wait for.
        (&[404], &[200], ForwarderEnd::Drained, true),
        (&[404], &[404], ForwarderEnd::Backlog, true),
        (&[401, 401], &[401, 401], ForwarderEnd::Backlog, true),
        // Narrowing: a batch of two, in parts.
        (&[400], &[200, 200], ForwarderEnd::Drained, true),
    ];
    for (before, after, expected, is_prompt) in table {
        let mut world = World::new(|_| {});
        world.arrive("a", 2);
        world.settle_down();
        before.iter().for_each(|code| world.answer(status(*code)));
        let until = drain(&mut world);
        world.settle_down();
        for code in after {
            if !world.wire.is_empty() {
                world.answer(status(*code));
            }
        }
        if is_prompt {
            assert_eq!(end(&world), Some(expected), "{before:?} {after:?}");
        } else {
            assert_eq!(end(&world), None, "{before:?} {after:?}");
            assert!(world.window.wake_at(world.now).is_some_and(|then| then <= until));
            world.now = until;
            assert_eq!(end(&world), Some(expected));
        }
    }
}

#[test]
fn a_drain_is_not_done_while_there_is_something_to_read_or_to_write() {
    let mut world = World::new(|_| {});
    world.arrive("a", 1);
    drain(&mut world);
    assert_eq!(end(&world), None, "its intent is not written");
    world.settle_down();
    world.answer_at(0, status(200));
    assert_eq!(end(&world), None, "its settlement is not written");
    world.settle_down();
    assert_eq!(world.window.end(false, false, world.now), None, "the logs have more");
    assert_eq!(end(&world), Some(ForwarderEnd::Drained));
}

#[test]
fn a_drain_takes_up_what_a_restart_left() {
    let mut world = World::new(|_| {});
    world.arrive("a", 1);
    world.settle_down();
    world.crash();
    drain(&mut world);
    assert_eq!(end(&world), None);
    world.on(WindowEvent::Scanned);
    world.read_again();
    assert_eq!(end(&world), None);
    world.answer(status(200));
    assert_eq!(end(&world), Some(ForwarderEnd::Drained));
}

#[test]
fn a_drain_ends_in_time_though_dead_letters_cannot_be_written() {
    let mut world = World::new(|_| {});
    world.rules.rejected = BTreeSet::from([0]);
    world.is_full = true;
    world.arrive("a", 2);
    world.settle_down();
    let until = drain(&mut world);
    world.pass(Duration::from_secs(19));
    assert_eq!(end(&world), None);
    world.now = until;
    assert_eq!(end(&world), Some(ForwarderEnd::Backlog));
}

#[test]
fn a_second_drain_does_not_try_a_receiver_again() {
    let mut world = World::new(|_| {});
    world.arrive("a", 1);
    world.settle_down();
    world.answer(status(404));
    drain(&mut world);
    assert_eq!(world.wire.len(), 1);
    world.answer(status(404));
    drain(&mut world);
    assert_eq!(world.wire.len(), 0);
}
