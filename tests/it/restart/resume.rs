//! A start goes on where the last run stood.

use crate::{
    events::{self, numbers},
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tail::{QUICK_FORWARDER, QUICK_SOURCE, assert_each_batch_once, assert_exactly, tailing},
};

const LOG: &str = "logs/audit.ndjson";

// C1: under load, and without a single duplicate where the stop was clean.
#[test]
fn clean_restarts_under_load_lose_and_repeat_nothing() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    let mut n = 0;
    for _ in 0..8 {
        sidecar.write_lines(LOG, n..n + 500);
        n += 500;
        sidecar.start_again();
        sidecar.admin(); // It listens for signals by now.
        sidecar.write_lines(LOG, n..n + 300);
        n += 300;
        assert_eq!(sidecar.stop(), 0);
        // Written while it is stopped.
        sidecar.write_lines(LOG, n..n + 100);
        n += 100;
    }
    sidecar.start_again();
    assert_exactly(&mut sidecar, &receiver, 0..n);
}

// A9, A10
#[test]
fn a_line_written_in_parts_over_restarts_arrives_once_and_whole() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..1);
    sidecar.start_again();
    receiver.wait_for_lines(1);
    for n in 1..10 {
        let line = events::event(n) + "\n";
        for part in line.as_bytes().chunks(line.len() / 3) {
            sidecar.append(LOG, part);
            // Sometimes before it was seen, sometimes after.
            if n % 2 == 0 {
                sidecar.wait_for_log("forwarding");
            } else {
                sidecar.admin(); // It listens for signals by now.
            }
            if n % 3 == 0 {
                sidecar.restart();
            } else {
                sidecar.kill();
                sidecar.start_again();
            }
        }
    }
    assert_each_batch_once(&mut sidecar, &receiver, 0..10);
}

// G55 over a restart: the number, the id and the bytes stay; the attempt counts from one again.
#[test]
fn an_outstanding_batch_keeps_its_number_id_and_bytes_over_kills_and_stops() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let mut sidecar = Sidecar::new().top("drainTimeout: 300ms").file_source_with("app", LOG, QUICK_SOURCE).forwarder(
        "siem",
        &receiver.url(),
        "batch: {maxEvents: 50, maxAge: 20ms}\nretry: {initial: 50ms, max: 100ms}",
    );
    sidecar.write_lines(LOG, 0..120);
    for round in 0..6 {
        let seen = receiver.deliveries().len();
        sidecar.start_again();
        receiver.wait_for_requests(seen + 2);
        if round % 2 == 0 {
            sidecar.kill();
        } else {
            assert_eq!(sidecar.stop(), 10, "stopped with a backlog");
        }
    }
    let refused = receiver.deliveries();
    receiver.always(Reply::status(200));
    sidecar.start_again();
    let accepted: Vec<_> = receiver
        .wait_until("all", crate::receiver::PATIENCE, |deliveries| {
            deliveries.iter().filter(|d| d.accepted()).map(|d| d.line_count()).sum::<usize>() >= 120
        })
        .into_iter()
        .filter(|delivery| delivery.accepted())
        .collect();
    let first = &accepted[0];
    assert_eq!((first.header("auditpost-batch"), first.line_count()), (Some("1"), 50));
    for delivery in refused.iter().filter(|delivery| delivery.complete) {
        assert_eq!(delivery.id(), first.id());
        assert_eq!(delivery.header("auditpost-batch"), Some("1"));
        assert_eq!(delivery.header("idempotency-key"), first.header("idempotency-key"));
        assert!(delivery.body == first.body && delivery.wire == first.wire, "the bytes on the wire are the same");
    }
    let batches: Vec<_> = accepted.iter().map(|delivery| delivery.header("auditpost-batch").unwrap()).collect();
    assert_eq!(batches, ["1", "2", "3"], "numbers without holes");
    assert_exactly(&mut sidecar, &receiver, 0..120);
}

// A changed configuration gives other bytes: another id, so that nobody takes them for the same.
#[test]
fn an_outstanding_batch_that_is_encoded_otherwise_after_a_restart_gets_another_id() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..30);
    sidecar.start_again();
    let before = receiver.wait_for_requests(1)[0].clone();
    sidecar.kill();
    receiver.clear();
    receiver.always(Reply::status(200));
    let yaml = sidecar.yaml().replace("- name: siem", "- name: siem\n  disabledEvents: [delete]");
    sidecar.set_config(&yaml);
    sidecar.start_again();
    let lines = receiver.wait_for_lines(20);
    assert_eq!(numbers(&lines), (0..30).filter(|n| n % 3 != 2).collect::<Vec<_>>());
    let after = &receiver.deliveries()[0];
    assert_ne!(after.id(), before.id());
    assert_ne!(after.header("auditpost-batch"), before.header("auditpost-batch"));
    sidecar.assert_books_balance();
    assert_eq!(sidecar.stop(), 0);
    let (_, cursors, _) = sidecar.command(&["cursors", "list"]);
    assert!(cursors.contains("20 delivered, 10 filtered") && cursors.contains("0 outstanding"), "{cursors}");
}

// B25: what is known of a file that was tiny still holds when it has grown.
#[test]
fn a_file_that_grows_from_nothing_over_restarts_is_read_once() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.append(LOG, "");
    sidecar.start_again();
    sidecar.wait_for_log("reading a file");
    sidecar.restart();
    sidecar.append(LOG, &events::event(0)[..20]);
    sidecar.restart();
    sidecar.append(LOG, events::event(0)[20..].to_owned() + "\n");
    for n in [1, 2, 20, 300] {
        sidecar.restart();
        sidecar.write_lines(
            LOG,
            n..if n == 2 {
                20
            } else if n == 20 {
                300
            } else {
                n + 1
            },
        );
    }
    assert_exactly(&mut sidecar, &receiver, 0..301);
}

// K14 in part, C29: a forwarder that is added later has its own cursor and disturbs nobody's.
#[test]
fn a_forwarder_added_later_reads_from_the_beginning_and_the_other_goes_on() {
    let (old, new) = (Receiver::start(), Receiver::start());
    let mut sidecar = tailing(LOG, &old);
    sidecar.write_lines(LOG, 0..40);
    sidecar.start_again();
    old.wait_for_lines(40);
    assert_eq!(sidecar.stop(), 0);
    let mut sidecar = sidecar.forwarder("late", &new.url(), QUICK_FORWARDER);
    sidecar.start_again();
    sidecar.write_lines(LOG, 40..45);
    assert_eq!(numbers(&new.wait_for_lines(45)), (0..45).collect::<Vec<_>>());
    assert_exactly(&mut sidecar, &old, 0..45);
}
