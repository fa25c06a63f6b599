//! What a restart left, under the same rules and others; and what a full spool makes a forwarder give up.

use super::*;
use crate::{
    forwarder::journal::Totals,
    log::{SegmentId, Unread},
};

/// Events of `a` were sent, and the process ended before an answer came.
fn interrupted(lines: u64, prepare: impl FnOnce(&mut World)) -> (World, Transmission) {
    let mut world = World::new(|_| {});
    prepare(&mut world);
    world.arrive("a", lines);
    world.settle_down();
    let sent = world.wire[0].clone();
    world.crash();
    (world, sent)
}

#[test]
fn a_batch_goes_again_as_it_was_under_its_number_and_id() {
    let (mut world, before) = interrupted(3, |world| world.rules.filtered = BTreeSet::from([1]));
    assert_eq!(world.to_read_again.as_ref().map(|record| record.n), None, "the files are not known yet");
    world.on(WindowEvent::Scanned);
    let journal = world.journal.len();
    world.read_again();
    let again = world.wire[0].clone();
    assert_eq!((again.n, &again.id, &again.wire), (before.n, &before.id, &before.wire));
    assert_eq!(world.journal.len(), journal, "the journal knows it already");
    assert!(world.has_told("SentAgain"));
    world.answer(status(200));
    assert_eq!((world.journal.totals("a").delivered, world.journal.totals("a").filtered), (2, 1));
    assert_eq!(world.in_flight("a"), 0);
}

#[test]
fn nothing_new_is_read_before_what_a_restart_left() {
    let (mut world, _) = interrupted(1, |_| {});
    assert_eq!(world.window.room(), 0);
    world.on(WindowEvent::Scanned);
    assert_eq!(world.window.room(), 0, "it is being read");
    world.read_again();
    assert_eq!(world.window.room(), 3);
}

#[test]
fn batches_are_taken_up_in_their_order_and_no_more_than_may_be_on_their_way() {
    let mut world = World::new(|config| config.in_flight = 2);
    (0..2).for_each(|_| world.arrive("a", 1));
    world.settle_down();
    world.config.in_flight = 1;
    world.crash();
    world.on(WindowEvent::Scanned);
    world.to_read_again.take().unwrap();
    let error = io::Error::from(io::ErrorKind::PermissionDenied);
    world.on(WindowEvent::ReadAgain(Err(Unread::NotNow(error))));
    world.pass(Duration::from_secs(1));
    world.read_again();
    assert_eq!((world.sent(), world.to_read_again.is_some()), (vec![vec![0]], false));
    world.answer(status(200));
    world.read_again();
    assert_eq!(world.sent(), [[1]]);
}

#[test]
fn what_other_rules_make_of_a_batch() {
    type Change = fn(&mut Rules);
    // What changes, what is sent, whether under the same id, and the line for it.
    let table: [(Change, &[u64], bool, &str); 5] = [
        (|rules| _ = rules.filtered.insert(0), &[1, 2], false, "SentAnew"),
        (|rules| _ = rules.rejected.insert(2), &[0, 1], false, "SentAnew"),
        (|rules| _ = rules.rejected.remove(&3), &[0, 1, 2, 3], false, "SentAnew"),
        // The same events; what stands beside them is counted otherwise.
        (
            |rules| {
                rules.rejected.remove(&3);
                rules.filtered.insert(3);
            },
            &[0, 1, 2],
            true,
            "Recounted",
        ),
        (|rules| rules.filtered = (0..4).collect(), &[], false, "NothingPasses"),
    ];
    for (change, events, is_same, line) in table {
        let (mut world, before) = interrupted(4, |world| world.rules.rejected = BTreeSet::from([3]));
        change(&mut world.rules);
        world.on(WindowEvent::Scanned);
        world.read_again();
        world.settle_down();
        assert!(world.has_told(line), "{line}: {:?}", world.told);
        if events.is_empty() {
            assert_eq!((world.wire.len(), world.journal.totals("a").filtered), (0, 4));
        } else {
            let again = world.wire[0].clone();
            assert_eq!(world.sent(), [events]);
            assert_eq!(again.id == before.id, is_same, "{line}");
            assert!(again.n > before.n, "what replaces a batch has a number of its own");
            world.answer(status(200));
        }
        let totals = world.journal.totals("a");
        assert_eq!(totals.delivered + totals.filtered + totals.dead_lettered, 4, "{line}");
        assert_eq!((world.in_flight("a"), world.journal.outstanding().len()), (0, 0));
    }
}

#[test]
fn a_batch_of_which_nothing_passes_any_more_is_progress() {
    let (mut world, _) = interrupted(1, |_| {});
    world.rules.filtered = BTreeSet::from([0]);
    world.now += Duration::from_secs(59);
    world.on(WindowEvent::Scanned);
    world.read_again();
    world.settle_down();
    world.arrive("b", 2);
    world.settle_down();
    world.now += Duration::from_secs(2);
    world.on(WindowEvent::Tick { has_all_read: false });
    assert!(world.sent().len() == 1 && !world.raised.contains("forwarder siem stalled"));
}

#[test]
fn lines_that_only_the_current_rules_set_aside_are_written_down_first() {
    let (mut world, _) = interrupted(2, |_| {});
    world.rules.rejected = BTreeSet::from([1]);
    world.is_full = true;
    world.on(WindowEvent::Scanned);
    world.read_again();
    world.settle_down();
    assert_eq!((world.wire.len(), world.letters.len()), (0, 0));
    assert!(world.has_told("raise source a stalled"));
    assert_eq!(world.window.wake_at(world.now), Some(world.now + Duration::from_secs(1)));
    world.is_full = false;
    world.pass(Duration::from_secs(1));
    assert_eq!((world.sent(), world.letters.len()), (vec![vec![0]], 1));
    assert!(world.has_told("clear source a stalled"));
}

#[test]
fn a_file_that_cannot_be_read_now_is_waited_for() {
    let (mut world, _) = interrupted(1, |_| {});
    world.on(WindowEvent::Scanned);
    for _ in 0..3 {
        world.to_read_again.take().unwrap();
        let error = io::Error::from(io::ErrorKind::PermissionDenied);
        world.on(WindowEvent::ReadAgain(Err(Unread::NotNow(error))));
        assert!(world.has_told("raise source a stalled") && world.to_read_again.is_none());
        assert_eq!(world.window.room(), 0);
        world.pass(Duration::from_secs(1));
    }
    world.read_again();
    world.answer(status(200));
    assert_eq!((world.journal.totals("a").delivered, world.in_flight("a")), (1, 0));
}

#[test]
fn a_file_that_is_gone_is_a_gap_of_its_events() {
    let (mut world, _) = interrupted(3, |_| {});
    world.on(WindowEvent::Scanned);
    world.to_read_again.take().unwrap();
    world.on(WindowEvent::ReadAgain(Err(Unread::Gone("it was deleted".to_owned()))));
    world.settle_down();
    let totals = world.journal.totals("a");
    assert_eq!((totals.gap, totals.gap_bytes, world.journal.outstanding().len()), (3, 30, 0));
    assert_eq!(world.in_flight("a"), 0);
    assert!(world.window.room() > 0);
}

#[test]
fn a_batch_of_a_source_that_is_not_followed_stays_as_it_is() {
    let (mut world, _) = interrupted(1, |_| {});
    world.window.sources = vec!["b".into()];
    world.on(WindowEvent::Scanned);
    assert!(world.has_told("Unfollowed") && world.window.room() > 0);
    world.arrive("b", 1);
    world.settle_down();
    assert_eq!(world.sent(), [[0]]);
    assert_eq!(world.journal.outstanding().len(), 2);
}

#[test]
fn a_restart_in_the_middle_of_narrowing_goes_on_with_what_is_not_settled_and_counts_nothing_twice() {
    let answer = |events: &[u64]| status(if events.contains(&2) { 400 } else { 200 });
    let sum = |totals: Totals| [totals.delivered, totals.filtered, totals.dead_lettered];
    for answers in 0..8 {
        let mut world = World::new(|_| {});
        world.rules.filtered = BTreeSet::from([0, 5, 9]);
        world.rules.rejected = BTreeSet::from([3]);
        world.rules.too_long = BTreeSet::from([6]);
        world.arrive("a", 10);
        world.settle_down();
        for _ in 0..answers {
            let Some(events) = world.sent().first().cloned() else { break };
            world.answer(answer(&events));
        }
        let (mut on_its_way, before) = (world.wire.first().cloned(), sum(world.journal.totals("a")));
        world.crash();
        world.on(WindowEvent::Scanned);
        for _ in 0..20 {
            if world.to_read_again.is_some() {
                world.read_again();
                world.settle_down();
            }
            if let Some(events) = world.sent().first().cloned() {
                if let Some(known) = on_its_way.take() {
                    let again = &world.wire[0];
                    assert_eq!((again.n, &again.id, &again.wire), (known.n, &known.id, &known.wire));
                }
                world.answer(answer(&events));
            }
        }
        assert_eq!(sum(world.journal.totals("a")), [4, 3, 3], "after {answers} answers");
        // The books begin with the process: with what was settled before they make the same.
        let books = world.books.get("a").copied().unwrap_or_default();
        let after = [books.delivered(), books.filtered(), books.dead_lettered()];
        assert_eq!([0, 1, 2].map(|n| before[n] + after[n]), [4, 3, 3], "after {answers} answers");
        assert_eq!(world.letters, [2, 3, 6].map(|line| ("a".to_owned(), line)).into());
        assert_eq!((world.in_flight("a"), world.journal.outstanding().len()), (0, 0));
    }
}

#[test]
fn a_hold_that_the_journal_remembers_ends_with_a_restart() {
    let mut world = World::new(|_| {});
    world.arrive("a", 1);
    world.settle_down();
    world.answer(status(404));
    let mut recovered = world.journal.recovered();
    recovered.hold = Some(crate::forwarder::journal::Hold {
        reason: "refused".to_owned(),
        cause: "answered 404".to_owned(),
        at: crate::forwarder::journal::tests::AT,
    });
    let sources = SOURCES.map(Arc::from).to_vec();
    let setup =
        WindowSetup { config: world.config.clone(), sources, recovered, is_counted: false, rng: Rng::with_seed(1) };
    let mut window = Window::new(setup, world.now);
    let effects = window.on(WindowEvent::Scanned, world.now);
    let ends = |effect: &WindowEffect| matches!(effect, WindowEffect::Write(_, writes) if matches!(writes[..], [RecorderWrite::HoldEnd]));
    assert!(effects.iter().any(ends), "{effects:?}");
}

fn detach(world: &mut World, last: u64, unread: u64) {
    let unread = world.lines.take("a", unread);
    let detachment = Detachment { source: "a".into(), last: SegmentId(last), unread };
    world.on(WindowEvent::Arrived(Arrival::Detach(detachment)));
}

#[test]
fn what_is_given_up_is_a_gap_behind_what_is_in_memory_which_is_delivered() {
    let mut world = World::new(|_| {});
    world.arrive("a", 4);
    world.arrive("a", 2);
    world.settle_down();
    assert_eq!((world.sent(), world.window.batches.len()), (vec![vec![0, 1, 2, 3]], 1));
    detach(&mut world, 1, 4);
    world.settle_down();
    assert_eq!(world.window.batches.len(), 2, "it is announced, whether or not it may be sent");
    assert_eq!(world.wire.len(), 1);
    assert!(world.has_told("detach a up to 1") && world.synced == 1);
    assert_eq!(world.journal.totals("a").gap_bytes, 40);
    world.answer(status(200));
    world.answer(status(200));
    assert_eq!(world.journal.totals("a").delivered, 6);
    assert_eq!(world.in_flight("a"), 0);
}

#[test]
fn a_batch_that_is_narrowed_down_when_its_segment_is_given_up_is_delivered_to_its_end() {
    let mut world = World::new(|_| {});
    world.arrive("a", 4);
    world.settle_down();
    world.answer(status(400));
    detach(&mut world, 1, 6);
    world.settle_down();
    assert!(world.has_told("detach a up to 1"));
    while !world.wire.is_empty() {
        let bad = world.sent()[0].contains(&3);
        world.answer(status(if bad { 400 } else { 200 }));
    }
    let totals = world.journal.totals("a");
    assert_eq!((totals.delivered, totals.dead_lettered, totals.gap_bytes), (3, 1, 60));
    assert_eq!((world.in_flight("a"), world.journal.outstanding().len()), (0, 0));
}

#[test]
fn nothing_is_given_up_while_dead_letters_before_it_cannot_be_written() {
    let mut world = World::new(|_| {});
    world.rules.rejected = BTreeSet::from([0]);
    world.is_full = true;
    world.arrive("a", 2);
    detach(&mut world, 1, 8);
    world.settle_down();
    assert!(!world.has_told("detach a") && world.synced == 0);
    world.is_full = false;
    world.pass(Duration::from_secs(1));
    assert!(world.has_told("detach a up to 1") && world.synced == 1);
}

#[test]
fn nothing_is_given_up_of_a_source_while_a_batch_of_it_is_being_taken_up() {
    let (mut world, _) = interrupted(2, |_| {});
    world.rules.rejected = BTreeSet::from([1]);
    world.is_full = true;
    world.on(WindowEvent::Scanned);
    detach(&mut world, 1, 8);
    world.settle_down();
    assert!(!world.has_told("detach a"), "it is being read");
    world.read_again();
    world.settle_down();
    assert!(!world.has_told("detach a"), "its dead letter is not written, and would lose its bytes");
    world.is_full = false;
    world.pass(Duration::from_secs(1));
    assert!(world.has_told("detach a up to 1") && world.letters.len() == 1);
    world.answer(status(200));
    let totals = world.journal.totals("a");
    assert_eq!((totals.delivered, totals.dead_lettered, totals.gap_bytes), (1, 1, 80));
}

#[test]
fn an_alarm_about_a_file_that_cannot_be_read_ends_where_its_batch_is_given_up() {
    let (mut world, _) = interrupted(4, |_| {});
    world.on(WindowEvent::Scanned);
    world.to_read_again.take().unwrap();
    let error = io::Error::from(io::ErrorKind::PermissionDenied);
    world.on(WindowEvent::ReadAgain(Err(Unread::NotNow(error))));
    assert!(world.raised.contains("source a stalled"));
    detach(&mut world, 1, 6);
    world.settle_down();
    assert!(world.has_told("detach a up to 1") && world.raised.is_empty());
}

#[test]
fn what_a_restart_left_and_nobody_read_again_is_part_of_what_is_given_up() {
    let (mut world, _) = interrupted(4, |_| {});
    detach(&mut world, 1, 6);
    world.settle_down();
    let totals = world.journal.totals("a");
    assert_eq!((totals.gap, totals.gap_bytes), (4, 100), "the events that were read once are known");
    assert_eq!(world.journal.outstanding().len(), 0);
    world.on(WindowEvent::Scanned);
    assert!(world.to_read_again.is_none() && world.window.room() > 0);
}

#[test]
fn a_batch_that_loses_a_part_goes_on_with_the_rest_under_a_new_id() {
    let (mut world, before) = interrupted(12, |_| {});
    detach(&mut world, 1, 0);
    world.settle_down();
    world.on(WindowEvent::Scanned);
    world.read_again();
    world.settle_down();
    assert_eq!(world.sent(), [[10, 11]]);
    assert_ne!(world.wire[0].id, before.id);
    world.answer(status(200));
    let totals = world.journal.totals("a");
    assert_eq!((totals.delivered, totals.gap, totals.gap_bytes), (2, 0, 100));
}
