//! `kill -9` at any moment: nothing is lost, and what comes again can be recognised.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::{
    events::numbers,
    receiver::{Delivery, PATIENCE, Receiver, Reply},
    sidecar::Sidecar,
    tail::{QUICK_SOURCE, assert_each_batch_once, tailing, without_repeats},
};

const LOG: &str = "logs/audit.ndjson";

/// Kills and starts it again, `rounds` times, each after a random while, and writes and rotates meanwhile. Gives the
/// number of events written.
fn kill_under_load(sidecar: &mut Sidecar, rounds: usize, rotate: bool) -> u64 {
    let mut rng = fastrand::Rng::new();
    eprintln!("seed {}", rng.get_seed());
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let logs = sidecar.path(LOG);
    let append = |text: &str| {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&logs).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut generation = 0;
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                append(&crate::events::lines(n..n + 40));
                n += 40;
                written.store(n, Ordering::Relaxed);
                if rotate && n % 2000 == 0 {
                    generation += 1;
                    std::fs::rename(&logs, format!("{}.{generation}", logs.display())).unwrap();
                }
                std::thread::sleep(Duration::from_millis(3));
            }
        });
        for _ in 0..rounds {
            std::thread::sleep(Duration::from_millis(rng.u64(5..350)));
            sidecar.kill();
            sidecar.start_again();
        }
        stop.store(true, Ordering::Relaxed);
    });
    written.load(Ordering::Relaxed)
}

// C2, O1 to O4; A10: a batch may come again, under its id and with its bytes; nothing else comes again.
#[test]
fn kills_at_random_moments_under_load_lose_nothing() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.append(LOG, "");
    sidecar.start_again();
    let written = kill_under_load(&mut sidecar, 15, false);
    assert_each_batch_once(&mut sidecar, &receiver, 0..written);
}

// C2, B46: with rotations, several batches on the way, and a receiver that fails now and then.
#[test]
fn kills_with_rotations_failures_and_batches_in_flight_lose_nothing() {
    let receiver = Receiver::start();
    receiver.rule(|delivery: &Delivery| match delivery.wire.len() % 7 {
        0 => Reply::status(503),
        1 => Reply::reset_after_body(),
        2 => Reply::status(200).delay(Duration::from_millis(30)),
        _ => Reply::status(200),
    });
    let forwarder = "inFlight: 3\nbatch: {maxEvents: 100, maxAge: 20ms}\nretry: {initial: 20ms, max: 50ms}";
    let mut sidecar = Sidecar::new().top("drainTimeout: 10s").file_source_with("app", LOG, QUICK_SOURCE).forwarder(
        "siem",
        &receiver.url(),
        forwarder,
    );
    sidecar.append(LOG, "");
    sidecar.start_again();
    sidecar.wait_for_log("reading a file");
    let written = kill_under_load(&mut sidecar, 15, true);
    receiver.always(Reply::status(200));
    receiver.wait_until("all", PATIENCE, |deliveries| without_repeats(deliveries).len() as u64 >= written);
    sidecar.assert_books_balance();
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    // With several on the way they may come in another order.
    let mut arrived = numbers(&without_repeats(&receiver.deliveries()));
    arrived.sort_unstable();
    assert!(arrived == (0..written).collect::<Vec<_>>(), "{} of {written}", arrived.len());
    assert!(!sidecar.stderr().contains("a bug"), "{}", sidecar.stderr());
}

// E12: the receiver refuses event 33 of each hundred, and the batch is being narrowed down when the kill comes.
#[test]
fn kills_while_a_batch_is_narrowed_lose_nothing_and_refuse_only_the_bad_event() {
    let receiver = Receiver::start();
    receiver.rule(|delivery: &Delivery| {
        let bad = delivery.text().contains("3333\",\"type\"");
        if bad { Reply::status(400) } else { Reply::status(200).delay(Duration::from_millis(8)) }
    });
    let forwarder = "batch: {maxEvents: 64, maxAge: 20ms}\nretry: {initial: 20ms, max: 50ms}";
    let mut sidecar = Sidecar::new().top("drainTimeout: 10s").file_source_with("app", LOG, QUICK_SOURCE).forwarder(
        "siem",
        &receiver.url(),
        forwarder,
    );
    sidecar.write_lines(LOG, 3300..3364);
    sidecar.write_lines(LOG, 13_300..13_364);
    for requests in [2, 4, 3, 5, 1, 7] {
        let seen = receiver.deliveries().len();
        sidecar.start_again();
        // Fewer come where little is left.
        let end = Instant::now() + Duration::from_millis(400);
        while receiver.deliveries().len() < seen + requests && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
        sidecar.kill();
    }
    sidecar.start_again();
    let good: Vec<u64> = (3300..3364).chain(13_300..13_364).filter(|n| n % 10_000 != 3333).collect();
    receiver.wait_until("the good ones", PATIENCE, |deliveries| {
        let mut arrived = numbers(&without_repeats(deliveries));
        arrived.sort_unstable();
        arrived.dedup();
        arrived == good
    });
    sidecar.wait_for_metrics("nothing in flight", |metrics| metrics.sum("auditpost_events_in_flight", &[]) == 0.0);
    sidecar.assert_books_balance();
    sidecar.stop_drained();
    // A part that was never sent as it is gets a new id after a kill; the same part under the same id comes whole.
    let letters: std::collections::BTreeSet<String> =
        sidecar.dead_letters("siem").iter().map(|letter| letter["event_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(letters.len(), 2, "only the bad events");
    assert!(!sidecar.stderr().contains("a bug"), "{}", sidecar.stderr());
}

// E12: while it waits to try again.
#[test]
fn a_kill_while_it_backs_off_keeps_the_queue() {
    let mut receiver = Receiver::start();
    receiver.stop();
    let forwarder = "batch: {maxEvents: 30, maxAge: 20ms}\nretry: {initial: 50ms, max: 200ms}";
    let mut sidecar = Sidecar::new().top("drainTimeout: 5s").file_source_with("app", LOG, QUICK_SOURCE).forwarder(
        "siem",
        &receiver.url(),
        forwarder,
    );
    sidecar.write_lines(LOG, 0..100);
    for _ in 0..3 {
        sidecar.start_again();
        sidecar.wait_for_metrics("failures", |metrics| metrics.sum("auditpost_requests_total", &[]) >= 2.0);
        sidecar.kill();
    }
    receiver.start_again();
    sidecar.start_again();
    assert_each_batch_once(&mut sidecar, &receiver, 0..100);
    assert_eq!(receiver.accepted_lines().len(), 100, "nothing had arrived before");
}

// E12: while dead letters are written.
#[test]
fn a_kill_while_dead_letters_are_written_leaves_files_that_can_be_read() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    let mut n = 0;
    sidecar.start_again();
    for _ in 0..8 {
        let text: String = (n..n + 200).map(|n| format!("bad line {n}\n")).collect();
        n += 200;
        sidecar.append(LOG, text);
        std::thread::sleep(Duration::from_millis(fastrand::u64(5..60)));
        sidecar.kill();
        sidecar.start_again();
    }
    sidecar.write_lines(LOG, 0..1);
    receiver.wait_for_lines(1);
    sidecar.stop_drained();
    let letters = sidecar.dead_letters("siem");
    let mut lines: Vec<String> =
        letters.iter().map(|letter| letter["payload"].as_str().unwrap().to_owned()).collect();
    lines.sort_by_key(|line| line[9..].parse::<u64>().unwrap());
    lines.dedup();
    assert_eq!(lines, (0..n).map(|n| format!("bad line {n}")).collect::<Vec<_>>());
    let (status, listed, _) = sidecar.command(&["dead-letters", "list"]);
    assert_eq!(status, 0);
    let rows = listed.lines().filter(|line| line.contains("invalid_json")).count() as u64;
    assert_eq!(rows, n, "each is listed once: {listed}");
}
