//! Files that vanish while nobody holds them, and what is said of that.

use std::fs;

use super::{QUICK_FORWARDER, assert_exactly, tailing, tailing_with};
use crate::{events, receiver::Receiver, sidecar::Sidecar};

const LOG: &str = "logs/audit.ndjson";

type Vanish = fn(&Sidecar);

/// How a file may vanish, and how many events its successor has.
const WAYS: [(&str, Vanish, u64); 4] = [
    ("removed", |sidecar| sidecar.remove(LOG), 0),
    ("moved", |sidecar| sidecar.rename(LOG, "audit.ndjson"), 0),
    // As conmon does it where a log reaches its `max-size`.
    (
        "replaced",
        |sidecar| {
            sidecar.write_lines("logs/new.tmp", 20..22);
            sidecar.rename("logs/new.tmp", LOG);
        },
        2,
    ),
    ("cut", |sidecar| fs::write(sidecar.path(LOG), events::lines(20..22)).unwrap(), 2),
];

/// Ten events are delivered, and the file is given up in some way while auditpost is stopped, or killed.
fn vanished(receiver: &Receiver, kill: bool, vanish: Vanish) -> Sidecar {
    let mut sidecar = tailing(LOG, receiver);
    sidecar.write_lines(LOG, 0..10);
    sidecar.start_again();
    receiver.wait_for_lines(10);
    sidecar.wait_for_books();
    if kill {
        sidecar.kill();
    } else {
        assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    }
    sidecar.write_lines(LOG, 10..20);
    vanish(&sidecar);
    sidecar.start_again();
    sidecar
}

#[test]
fn what_was_added_to_a_file_that_vanished_while_stopped_is_a_gap_of_unknown_size_with_an_alarm() {
    for (way, vanish, new) in WAYS {
        for kill in [false, true] {
            let receiver = Receiver::start();
            let mut sidecar = vanished(&receiver, kill, vanish);
            sidecar.wait_for_alarm("gap", "nobody knows how much");
            sidecar.wait_for_metrics("the gap", |metrics| {
                metrics.get("auditpost_unknown_gaps_total", &[("forwarder", "siem"), ("source", "app")]) == Some(1.0)
            });
            let status = sidecar.status();
            let source = &status["forwarders"][0]["sources"][0];
            let told = (&source["gap"], &source["unknownGaps"], &source["gapBytes"]);
            // Of what was delivered last a killed process may not have written down that it was.
            assert!(kill || told == (&1.into(), &1.into(), &0.into()), "{way}: {status}");
            sidecar.assert_books_balance();
            receiver.wait_for_lines(10 + new as usize);
            // It is told once, and known for good.
            sidecar.wait_for_books();
            sidecar.stop_drained();
            let (_, cursors, _) = sidecar.command(&["cursors", "list"]);
            assert!(cursors.contains("and 1 of unknown size"), "{cursors}");
            sidecar.start_again();
            sidecar.write_lines(LOG, 22..23);
            assert_exactly(&mut sidecar, &receiver, (0..10).chain(20..20 + new).chain(22..23));
            let said = sidecar.stderr().matches("nobody knows how many: a gap of unknown size is recorded").count();
            assert_eq!(said, 1, "{way}, killed: {kill}");
        }
    }
}

#[test]
fn of_a_file_that_was_finished_there_is_no_word_when_it_is_gone() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..10);
    sidecar.start_again();
    receiver.wait_for_lines(10);
    sidecar.rename(LOG, "logs/audit.ndjson.1");
    sidecar.write_lines(LOG, 10..20);
    receiver.wait_for_lines(20);
    sidecar.wait_for_metrics("the rotated file is finished", |metrics| {
        metrics.get("auditpost_files_open", &[("source", "app")]) == Some(1.0)
    });
    sidecar.wait_for_books();
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    sidecar.remove("logs/audit.ndjson.1");
    sidecar.start_again();
    sidecar.write_lines(LOG, 20..30);
    receiver.wait_for_lines(30);
    assert_exactly(&mut sidecar, &receiver, 0..30);
    for word in ["is gone", "is recorded", "can never be delivered"] {
        assert!(!sidecar.stderr().contains(word), "{}", sidecar.stderr());
    }
}

#[test]
fn a_generation_that_exclude_names_is_a_gap_with_an_alarm_and_is_read_once_it_does_not() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with(LOG, "exclude: [\"*.1\"]", &receiver, QUICK_FORWARDER);
    sidecar.write_lines(LOG, 0..10);
    sidecar.start_again();
    receiver.wait_for_lines(10);
    sidecar.wait_for_books();
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    std::thread::sleep(std::time::Duration::from_millis(20)); // A tick of the clock that gives files their times.
    sidecar.rename(LOG, "logs/audit.ndjson.2");
    sidecar.write_lines(LOG, 10..20);
    sidecar.rename(LOG, "logs/audit.ndjson.1");
    sidecar.write_lines(LOG, 20..30);
    sidecar.start_again();
    sidecar.wait_for_alarm("file", "audit.ndjson.1: it was rotated away before it was seen, and `exclude` names it");
    sidecar.wait_for_alarm("gap", "nobody knows how much");
    assert_exactly(&mut sidecar, &receiver, (0..10).chain(20..30));
    let yaml = sidecar.yaml().replace("*.1", "*.2");
    sidecar.set_config(&yaml);
    sidecar.start_again();
    assert_exactly(&mut sidecar, &receiver, (0..10).chain(20..30).chain(10..20));
}
