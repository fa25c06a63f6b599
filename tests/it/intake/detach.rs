//! A spool that is full because of one dead receiver: `onFull: block` waits for it, `onFull: detach` gives up on it alone.
//!
//! The receiver that lives gets everything, so what it got tells what the spool had. What the dead one did not get must
//! be in its gaps, to the byte.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{QUICK_FORWARDER, alive, dead, http::address};
use crate::{
    events::{event, lines, numbers},
    http,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tools::wait_until,
};

const DETACH: &str = "onFull: {detach: {after: 256KiB}}";

/// Events a request, of about 300 bytes each.
const POST: u64 = 60;

/// A source with the smallest spool, and two forwarders with small batches.
fn two(dying: &Receiver, live: &Receiver, on_full: &str) -> Sidecar {
    let quick = QUICK_FORWARDER.replace("maxAge", "maxEvents: 50, maxAge");
    Sidecar::new()
        .top("drainTimeout: 2s")
        .log_level("info")
        .source("app", &format!("kind: http\nlisten: \"127.0.0.1:0\"\nmaxBytes: 1MiB\n{on_full}"))
        .forwarder("dying", &dying.url(), &quick)
        .forwarder("live", &live.url(), &quick)
}

fn post(addr: SocketAddr, from: u64) -> std::io::Result<u16> {
    http::post(addr, "/", lines(from..from + POST).as_bytes())
}

/// Whether what was posted before `n` has arrived but for a little: one that lives is not outrun.
fn keeps_up(receiver: &Receiver, n: u64) -> bool {
    let deliveries = receiver.deliveries();
    let last =
        deliveries.iter().rev().find(|delivery| delivery.accepted()).and_then(|delivery| delivery.lines().pop());
    last.map_or(0, |line| numbers(&[line])[0]) + 300 >= n
}

/// Posts the events of `range` one after the other, as a sender does that comes again, no faster than `live` takes them.
fn post_all(addr: SocketAddr, live: &Receiver, range: std::ops::Range<u64>) {
    for from in range.step_by(POST as usize) {
        wait_until("the events before", || keeps_up(live, from));
        wait_until("room for a request", || match post(addr, from).unwrap() {
            202 => true,
            503 => false,
            status => panic!("{status}"),
        });
    }
}

fn bytes(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers.into_iter().map(|n| event(n).len() as u64 + 1).sum()
}

fn got(receiver: &Receiver) -> BTreeSet<u64> {
    numbers(&receiver.accepted_lines()).into_iter().collect()
}

/// Bytes in gaps since the journal began, which outlives restarts.
fn gap_bytes(sidecar: &Sidecar, forwarder: &str) -> u64 {
    let (status, listed, _) = sidecar.command(&["cursors", "list", "--forwarder", forwarder]);
    assert_eq!(status, 0, "{listed}");
    let (_, rest) = listed.split_once("in gaps (").unwrap_or_else(|| panic!("{listed}"));
    rest.split(' ').next().unwrap().parse().unwrap()
}

fn spool_bytes(sidecar: &Sidecar) -> u64 {
    let files = std::fs::read_dir(sidecar.path("state/spool/app")).unwrap().map(Result::unwrap);
    let segments = files.filter(|file| file.path().extension().is_some_and(|it| it == "ndjson"));
    segments.filter_map(|file| file.metadata().ok()).map(|it| it.len()).sum()
}

fn has_settled(sidecar: &Sidecar, forwarder: &str) {
    let of = [("forwarder", forwarder)];
    sidecar.wait_for_metrics("everything to be settled", |metrics| {
        metrics.assert_books_balance();
        metrics.sum("auditpost_backlog_bytes", &of) == 0.0 && metrics.sum("auditpost_events_in_flight", &of) == 0.0
    });
}

/// Runs of numbers without a hole.
fn runs(numbers: &BTreeSet<u64>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for n in numbers {
        match runs.last_mut() {
            Some((_, end)) if *end == *n => *end += 1,
            _ => runs.push((*n, n + 1)),
        }
    }
    runs
}

// D28
#[test]
fn a_spool_that_a_dead_receiver_fills_refuses_names_it_and_recovers_by_itself() {
    let (dying, live) = (Receiver::start(), Receiver::start());
    dead(&dying);
    let mut sidecar = two(&dying, &live, "").start();
    let addr = address(&sidecar);
    let mut taken = 0;
    while post(addr, taken).unwrap() == 202 {
        taken += POST;
        assert!(taken < 10_000, "it must be full some time");
    }
    assert!(bytes(0..taken) > 900 << 10, "{taken} events are no full spool");
    sidecar.wait_for_alarm("full", "wait for forwarder dying): no events are taken until there is room");
    // All that was accepted, and that it is settled there makes no room.
    wait_until("all that was accepted", || live.accepted_lines().len() as u64 >= taken);
    has_settled(&sidecar, "live");
    assert_eq!(post(addr, taken).unwrap(), 503);
    assert_eq!(numbers(&live.accepted_lines()), (0..taken).collect::<Vec<_>>());
    assert_eq!(sidecar.metrics().events("dying", "gap"), 0, "nothing is given up unasked");
    alive(&dying);
    post_all(addr, &live, taken..taken + 4020);
    for receiver in [&dying, &live] {
        receiver.wait_for_lines(taken as usize + 4020);
        assert_eq!(numbers(&receiver.accepted_lines()), (0..taken + 4020).collect::<Vec<_>>());
    }
    sidecar.wait_for_status("no alarm", |status| status["alarms"].as_array().unwrap().is_empty());
    sidecar.assert_books_balance();
    assert_eq!(sidecar.stop(), 0);
}

// D29: twice, for a receiver may die again.
#[test]
fn a_dead_receiver_is_given_up_alone_as_a_recorded_gap_and_goes_on_behind_it_when_it_is_back() {
    let (dying, live) = (Receiver::start(), Receiver::start());
    let mut sidecar = two(&dying, &live, DETACH).start();
    let addr = address(&sidecar);
    let mut posted = 0;
    for round in 1..=2 {
        dead(&dying);
        post_all(addr, &live, posted..posted + 9000);
        posted += 9000;
        let had = dying.accepted_lines().len();
        // Three spools full, and all of it has arrived while the other is dead.
        wait_until("all of it where it lives", || live.accepted_lines().len() as u64 >= posted);
        assert!(spool_bytes(&sidecar) <= 1 << 20);
        let status = sidecar.wait_for_status("the alarm", |status| {
            status["alarms"].as_array().unwrap().iter().any(|alarm| {
                let text = alarm["text"].as_str().unwrap();
                alarm["kind"] == "gap"
                    && alarm["object"] == "forwarder dying"
                    && text.contains("can never be delivered")
                    && text.contains("onFull: detach")
            })
        });
        let alarms = status["alarms"].as_array().unwrap();
        assert!(!alarms.iter().any(|alarm| alarm["object"] == "forwarder live"), "{status}");
        assert_eq!(dying.accepted_lines().len(), had);
        dying.always(Reply::status(200).delay(Duration::from_millis(20)));
        has_settled(&sidecar, "dying");
        let last = *got(&dying).last().unwrap();
        assert_eq!(last, posted - 1, "it goes on behind the gap, to the end");
        // What it may hold is not given up, and what was read before it was given up is not either.
        let (from, end) = *runs(&got(&dying)).last().unwrap();
        assert!(bytes(from..end) >= 100 << 10, "round {round}: {:?}", runs(&got(&dying)));
    }
    assert_eq!(numbers(&live.accepted_lines()), (0..posted).collect::<Vec<_>>(), "in order, nothing twice");
    let numbers = numbers(&dying.accepted_lines());
    assert!(numbers.is_sorted_by(|a, b| a < b), "in order, nothing twice");
    assert_eq!(dying.connections(), 1, "one request at a time, however many batches were kept");
    let gaps = sidecar.metrics().events("dying", "gap");
    assert!((2..60).contains(&gaps), "{gaps} gaps");
    assert_eq!(sidecar.metrics().events("live", "gap"), 0);
    sidecar.stop_drained();
    assert_eq!(gap_bytes(&sidecar, "dying"), bytes(0..posted) - bytes(numbers));
    assert_eq!(gap_bytes(&sidecar, "live"), 0);
}

/// What `live` got is what there was; each event of it arrived at the other or is in its gaps.
fn assert_accounted_for(sidecar: &mut Sidecar, dying: &Receiver, live: &Receiver, acknowledged: &BTreeSet<u64>) {
    has_settled(sidecar, "live");
    alive(dying);
    has_settled(sidecar, "dying");
    sidecar.stop_drained();
    let (all, some) = (got(live), got(dying));
    assert!(acknowledged.is_subset(&all), "{:?}", acknowledged.difference(&all).collect::<Vec<_>>());
    assert!(some.is_subset(&all));
    let missing = bytes(all.difference(&some).copied());
    assert!(missing > 0, "something must have been given up");
    assert_eq!(gap_bytes(sidecar, "dying"), missing, "neither delivered nor in a gap: {:?}", runs(&some));
    assert_eq!(gap_bytes(sidecar, "live"), 0);
    assert!(!sidecar.stderr().contains("a bug"), "{}", sidecar.stderr());
}

#[test]
fn a_kill_at_the_moment_of_giving_up_loses_nothing_that_is_not_in_a_gap() {
    let (dying, live) = (Receiver::start(), Receiver::start());
    dead(&dying);
    let mut sidecar = two(&dying, &live, DETACH);
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut acknowledged = BTreeSet::new();
    for round in 0..8_u64 {
        sidecar.start_again();
        let addr = address(&sidecar);
        stop.store(false, Ordering::Relaxed);
        let taken = thread::scope(|scope| {
            let posting = scope.spawn(|| {
                let mut taken = BTreeSet::new();
                let end = Instant::now() + Duration::from_secs(60);
                while !stop.load(Ordering::Relaxed) && Instant::now() < end {
                    // A number is posted again only where it was refused.
                    let from = next.load(Ordering::Relaxed);
                    if !keeps_up(&live, from) {
                        thread::sleep(Duration::from_millis(5));
                        continue;
                    }
                    match post(addr, from) {
                        Ok(202) => taken.extend(from..from + POST),
                        Ok(503) => continue,
                        // It was killed, with these events in the spool or without.
                        _ => stop.store(true, Ordering::Relaxed),
                    }
                    next.store(from + POST, Ordering::Relaxed);
                }
                taken
            });
            sidecar.wait_for_log("a gap is recorded");
            // From before the gap is on disk to after its segments are gone.
            thread::sleep(Duration::from_millis(round * 60));
            sidecar.kill();
            stop.store(true, Ordering::Relaxed);
            posting.join().unwrap()
        });
        acknowledged.extend(taken);
    }
    sidecar.start_again();
    post_all(address(&sidecar), &live, next.load(Ordering::Relaxed)..next.load(Ordering::Relaxed) + POST);
    assert_accounted_for(&mut sidecar, &dying, &live, &acknowledged);
}

#[test]
fn a_restart_while_a_receiver_is_given_up_turns_what_was_only_in_memory_into_a_gap() {
    let (dying, live) = (Receiver::start(), Receiver::start());
    dead(&dying);
    let mut sidecar = two(&dying, &live, DETACH).start();
    for round in 0..2 {
        let from = round * 9000;
        post_all(address(&sidecar), &live, from..from + 9000);
        wait_until("all of it where it lives", || live.accepted_lines().len() as u64 >= from + 9000);
        sidecar.wait_for_log("a gap is recorded");
        assert_eq!(sidecar.stop(), 10);
        sidecar.start_again();
    }
    sidecar.wait_for_metrics("what was in memory to be counted", |metrics| metrics.events("dying", "gap") > 0);
    assert_eq!(dying.accepted_lines().len(), 0);
    assert_accounted_for(&mut sidecar, &dying, &live, &(0..18_000).collect());
    assert_eq!(numbers(&live.accepted_lines()).len(), 18_000);
}

// They are not in memory, so their segments must not go before they are in a gap.
#[test]
fn batches_that_a_restart_left_unread_are_part_of_the_gap() {
    let (dying, live) = (Receiver::start(), Receiver::start());
    dead(&dying);
    let mut sidecar = two(&dying, &live, DETACH).start();
    let many =
        sidecar.yaml().replacen("maxEvents: 50, maxAge: 20ms}", "maxEvents: 50, maxAge: 20ms}\n  inFlight: 8", 1);
    let one = sidecar.yaml();
    sidecar.kill();
    sidecar.set_config(&many);
    sidecar.start_again();
    post_all(address(&sidecar), &live, 0..480);
    let outstanding = |sidecar: &Sidecar, batches: u32| {
        let (_, listed, _) = sidecar.command(&["cursors", "list", "--forwarder", "dying"]);
        listed.contains(&format!("; {batches} outstanding batches"))
    };
    wait_until("eight to be on the way", || outstanding(&sidecar, 8));
    sidecar.kill();
    sidecar.set_config(&one);
    sidecar.start_again();
    post_all(address(&sidecar), &live, 480..9480);
    sidecar.wait_for_log("a gap is recorded");
    assert_accounted_for(&mut sidecar, &dying, &live, &(0..9480).collect());
    assert_eq!(runs(&got(&dying))[0], (0, 50), "what was in memory is kept, and that alone");
    assert!(!sidecar.stderr().contains("its bytes are gone"), "{}", sidecar.stderr());
}

/// The configuration without the forwarder that dies.
fn without_it(sidecar: &Sidecar) -> String {
    let yaml = sidecar.yaml();
    let (before, rest) = yaml.split_once("- name: dying").unwrap();
    let (_, after) = rest.split_once("- name: live").unwrap();
    format!("{before}- name: live{after}")
}

#[test]
fn a_forwarder_that_is_removed_holds_a_spool_no_longer() {
    for by_reload in [true, false] {
        let (dying, live) = (Receiver::start(), Receiver::start());
        dead(&dying);
        let mut sidecar = two(&dying, &live, "").start();
        let addr = address(&sidecar);
        let mut posted = 0;
        while post(addr, posted).unwrap() == 202 {
            posted += POST;
        }
        wait_until("all that was accepted", || live.accepted_lines().len() as u64 >= posted);
        let yaml = without_it(&sidecar);
        if by_reload {
            sidecar.wait_for_alarm("full", "forwarder dying");
            sidecar.set_config(&yaml);
            sidecar.hup();
        } else {
            assert_eq!(sidecar.stop(), 10);
            sidecar.set_config(&yaml);
            sidecar.start_again();
        }
        post_all(address(&sidecar), &live, posted..posted + 9000);
        live.wait_for_lines(posted as usize + 9000);
        has_settled(&sidecar, "live");
        wait_until("the segments to be released", || spool_bytes(&sidecar) <= 512 << 10);
        assert_eq!(sidecar.status()["alarms"].as_array().unwrap().len(), 0, "{}", sidecar.status());
        assert_eq!(sidecar.stop(), 10, "of the last segment nothing was delivered to the one that was removed");
    }
}
