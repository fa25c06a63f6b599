//! Writes that are late, and writes that fail.

use super::*;

#[test]
fn a_batch_is_sent_when_its_intent_is_written_and_not_before() {
    let mut world = World::new(|_| {});
    world.arrive("a", 1);
    assert_eq!((world.writes.len(), world.wire.len()), (1, 0));
    world.pass_without_disk(Duration::from_secs(3600));
    assert_eq!(world.wire.len(), 0, "however long that takes");
    world.write_one();
    assert_eq!(world.sent(), [[0]]);
}

#[test]
fn dead_letters_are_written_before_the_intent_of_their_batch() {
    let mut world = World::new(|_| {});
    world.rules.rejected = BTreeSet::from([1]);
    world.arrive("a", 3);
    assert!(matches!(world.writes[0].1[..], [RecorderWrite::DeadLetters { .. }, RecorderWrite::Intent(_)]));
    world.settle_down();
    assert_eq!(world.sent(), [[0, 2]]);
}

#[test]
fn the_next_batch_is_announced_after_the_one_before_it_is_settled_and_with_no_wait_between() {
    let mut world = World::new(|_| {});
    world.arrive("a", 1);
    world.arrive("a", 1);
    world.settle_down();
    world.answer_at(0, status(200));
    let asked: Vec<_> = world.writes.iter().flat_map(|(_, writes)| writes).collect();
    assert!(matches!(asked[..], [RecorderWrite::Settle { n: 1, .. }, RecorderWrite::Intent(_)]), "{asked:?}");
    assert_eq!(world.journal.totals("a").delivered, 0);
    assert!(!world.has_told("succeeded"), "an event counts when its settlement is written");
    world.write_one();
    assert!(world.has_told("succeeded"));
    assert_eq!(world.wire.len(), 0);
    world.write_one();
    assert_eq!(world.sent(), [[1]]);
}

#[test]
fn where_dead_letters_cannot_be_written_reading_waits_and_says_so() {
    let mut world = World::new(|_| {});
    world.rules.rejected = BTreeSet::from([0]);
    world.is_full = true;
    world.arrive("a", 2);
    world.arrive("b", 1);
    world.settle_down();
    assert!(world.has_told("raise dead letters of siem state: dead letters cannot be written"));
    assert_eq!((world.wire.len(), world.journal.len()), (0, 0), "nothing is passed over");
    let again = world.window.wake_at(world.now).unwrap();
    assert_eq!(again, world.now + Duration::from_secs(1));
    world.on(WindowEvent::Woken);
    assert_eq!(world.writes.len(), 0, "the disk has a second of rest");
    world.pass(Duration::from_secs(10));
    assert_eq!(world.wire.len(), 0);
    world.is_full = false;
    world.told.clear();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sent(), [[1]]);
    assert!(world.has_told("clear dead letters of siem state"));
}

#[test]
fn after_a_failure_only_those_dead_letters_are_written_that_are_missing_and_of_the_next_batch_all() {
    for has_event in [true, false] {
        let mut world = World::new(|config| config.in_flight = 2);
        world.rules.rejected = if has_event { BTreeSet::from([0, 2]) } else { (0..4).collect() };
        world.is_full = true;
        world.arrive("a", 2);
        world.arrive("a", 2);
        world.settle_down();
        world.pass_without_disk(Duration::from_secs(1));
        assert!(matches!(world.writes[0].1[0], RecorderWrite::MissingDeadLetters { .. }));
        world.is_full = false;
        world.write_one();
        assert!(matches!(world.writes[0].1[0], RecorderWrite::DeadLetters { .. }));
        world.settle_down();
        assert!(world.repeated_letters.is_empty());
    }
}

#[test]
fn a_batch_of_dead_letters_alone_moves_the_cursor_once_they_are_written() {
    let mut world = World::new(|_| {});
    world.rules.rejected = BTreeSet::from([0, 1]);
    world.is_full = true;
    world.arrive("a", 2);
    world.settle_down();
    assert_eq!(world.journal.len(), 0);
    world.is_full = false;
    world.pass(Duration::from_secs(1));
    assert_eq!((world.journal.totals("a").dead_lettered, world.in_flight("a")), (2, 0));
    assert_eq!((world.letters.len(), world.wire.len()), (2, 0));
}

#[test]
fn a_refused_event_stays_until_it_is_a_dead_letter_and_nothing_is_admitted_meanwhile() {
    let mut world = World::new(|config| config.in_flight = 2);
    world.arrive("a", 1);
    world.settle_down();
    world.is_full = true;
    world.answer(status(400));
    world.arrive("a", 1);
    world.settle_down();
    assert_eq!((world.wire.len(), world.letters.len()), (0, 0));
    assert_eq!(world.journal.outstanding().len(), 1, "it is not settled before");
    world.pass(Duration::from_secs(5));
    assert_eq!(world.journal.outstanding().len(), 1);
    world.is_full = false;
    world.pass(Duration::from_secs(1));
    assert_eq!((world.letters.len(), world.sent()), (1, vec![vec![1]]));
    assert_eq!(world.journal.totals("a").dead_lettered, 1);
}

#[test]
fn what_an_answer_leads_to_waits_for_no_other_write() {
    let mut world = World::new(|config| config.in_flight = 2);
    world.arrive("a", 1);
    world.arrive("a", 2);
    world.settle_down();
    // The disk does nothing for a while.
    world.answer_at(0, status(200));
    world.answer_at(0, status(400));
    let settled = world.writes.iter().flat_map(|(_, writes)| writes);
    let kinds: Vec<bool> = settled.map(|write| matches!(write, RecorderWrite::Settle { .. })).collect();
    assert_eq!(kinds, [true, false], "the settlement of one, the intent of the other's first part");
    world.settle_down();
    assert_eq!(world.sent(), [[1]]);
}

#[test]
fn a_backlog_of_which_nothing_is_settled_is_an_alarm() {
    let mut world = World::new(|_| {});
    world.pass(Duration::from_secs(70));
    world.arrive("a", 1);
    world.settle_down();
    world.told.clear();
    let begun = world.now;
    world.now += Duration::from_secs(59);
    world.on(WindowEvent::Tick { has_all_read: false });
    assert!(world.has_told("stalled"), "time counts from the last settlement");
    assert!(world.has_told("nothing was settled for"));
    world.told.clear();
    world.answer(status(200));
    assert!(world.has_told("clear forwarder siem stalled"));
    world.told.clear();
    world.now = begun + Duration::from_secs(300);
    world.on(WindowEvent::Tick { has_all_read: true });
    assert!(!world.has_told("stalled"), "there is nothing to do");
}

#[test]
fn a_disk_that_does_not_answer_is_named_in_the_alarm() {
    let mut world = World::new(|_| {});
    world.arrive("a", 1);
    world.pass_without_disk(Duration::from_secs(61));
    assert!(world.has_told("for 61 s: a write to the state directory has not ended for 61 s"), "{:?}", world.told);
    assert_eq!(world.window.writing_for(world.now), Some(Duration::from_secs(61)));
    world.settle_down();
    assert_eq!(world.window.writing_for(world.now), None);
}

#[test]
fn while_the_disk_hangs_no_more_is_taken_in_though_nothing_of_it_is_to_be_sent() {
    let mut world = World::new(|_| {});
    world.rules.filtered = (0..100).collect();
    for _ in 0..10 {
        if world.window.room() > 0 {
            world.arrive("a", 1);
        }
    }
    assert_eq!((world.window.room(), world.writes.len()), (0, 1));
    world.settle_down();
    assert_eq!((world.window.room(), world.journal.totals("a").filtered), (4, 4));
}

#[test]
fn no_more_is_sent_than_may_be_on_its_way_while_a_settlement_is_not_written() {
    // Announced beyond what may be on its way, for a source needs room.
    let mut world = World::new(|_| {});
    (0..3).for_each(|_| world.arrive("a", 1));
    let unread = world.lines.take("a", 7);
    let detachment = Detachment { source: "a".into(), last: crate::log::SegmentId(1), unread };
    world.on(WindowEvent::Arrived(Arrival::Detach(detachment)));
    world.settle_down();
    assert_eq!((world.window.batches.len(), world.sent()), (3, vec![vec![0]]));
    world.answer_at(0, status(200));
    assert_eq!(world.wire.len(), 0, "a crash now would repeat one batch, and not two");
    world.write_one();
    assert_eq!(world.sent(), [[1]]);
}

#[test]
fn what_needs_no_delivery_is_progress_too() {
    let mut world = World::new(|_| {});
    world.arrive("b", 1);
    world.settle_down();
    world.answer(status(503));
    world.now += Duration::from_secs(59);
    world.rules.filtered = BTreeSet::from([0]);
    world.arrive("a", 1);
    world.settle_down();
    world.told.clear();
    world.now += Duration::from_secs(2);
    world.on(WindowEvent::Tick { has_all_read: false });
    assert!(!world.has_told("stalled"));
    let gap = world.lines.take("a", 1)[0];
    world.on(WindowEvent::Arrived(Arrival::Gap("a".into(), gap.into())));
    world.settle_down();
    assert_eq!(world.journal.totals("a").gap_bytes, 10);
}

#[test]
fn there_is_room_for_what_is_on_the_way_and_three_more() {
    let mut world = World::new(|_| {});
    assert_eq!(world.window.room(), 4);
    world.arrive("a", 1);
    assert_eq!(world.window.room(), 3);
    (0..3).for_each(|_| world.arrive("a", 1));
    world.settle_down();
    assert_eq!(world.window.room(), 0);
    world.answer(status(200));
    assert_eq!(world.window.room(), 1);
}

#[test]
fn batches_are_numbered_and_ids_are_never_used_twice() {
    let mut world = World::new(|_| {});
    let mut ids = BTreeSet::new();
    for n in 1..=50 {
        world.arrive("a", 1);
        world.settle_down();
        assert_eq!(world.wire[0].n, n);
        assert!(ids.insert(world.wire[0].id.clone()));
        assert_eq!(world.wire[0].id.len(), 32);
        world.answer(status(200));
    }
}
