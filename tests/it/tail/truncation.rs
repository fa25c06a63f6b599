//! Files that are cut, with a copy of what they held and without.

use std::{
    fs::OpenOptions,
    io::{Seek, Write},
};

use super::{
    QUICK_FORWARDER, assert_each_batch_once, assert_exactly, on_disk, sorted, tailing, tailing_with, without_repeats,
};
use crate::{
    events::{self, numbers},
    receiver::{PATIENCE, Receiver, Reply},
    sidecar::Sidecar,
    tools::{wait_until, works},
};

const LOG: &str = "logs/audit.ndjson";
const COPY: &str = "logs/audit.ndjson.1";

/// Small batches, so that a refusing receiver leaves most of a file unread.
const SMALL: &str = "batch: {maxEvents: 10, maxAge: 20ms}\nretry: {initial: 50ms, max: 100ms}";

fn truncations(sidecar: &Sidecar) -> f64 {
    sidecar.metrics().get("auditpost_truncations_total", &[("source", "app")]).unwrap_or(0.0)
}

// B29, B33
#[test]
fn a_truncated_file_is_read_from_its_beginning() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.start_again();
    for round in 0..20 {
        sidecar.write_lines(LOG, round * 3..round * 3 + 3);
        receiver.wait_for_lines(round as usize * 3 + 3);
        sidecar.truncate(LOG, 0);
    }
    sidecar.write_lines(LOG, 60..61);
    receiver.wait_for_lines(61);
    assert_eq!(truncations(&sidecar), 20.0);
    assert_eq!(sidecar.metrics().events("siem", "gap"), 0, "nothing was unread");
    assert_exactly(&mut sidecar, &receiver, 0..61);
}

// B30: grown past the old size before anybody looked.
#[test]
fn a_file_truncated_and_regrown_between_two_scans_gives_itself_away() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..10);
    sidecar.start_again();
    receiver.wait_for_lines(10);
    sidecar.pause();
    sidecar.truncate(LOG, 0);
    sidecar.write_lines(LOG, 10..100);
    sidecar.resume();
    assert_exactly(&mut sidecar, &receiver, 0..100);
}

// B31: cut while stopped, and grown to less and to more than before.
#[test]
fn a_file_truncated_while_it_is_stopped_is_read_from_its_beginning() {
    for more in [3, 300] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(LOG, &receiver);
        sidecar.write_lines(LOG, 0..100);
        sidecar.start_again();
        receiver.wait_for_lines(100);
        assert_eq!(sidecar.stop(), 0);
        sidecar.truncate(LOG, 0);
        sidecar.write_lines(LOG, 100..100 + more);
        sidecar.start_again();
        assert_exactly(&mut sidecar, &receiver, 0..100 + more);
    }
}

// B28, B32: an older content again. Duplicates are allowed, a loss is not.
#[test]
fn a_file_cut_in_the_middle_or_restored_from_a_copy_loses_nothing() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..100);
    sidecar.start_again();
    receiver.wait_for_lines(100);
    let half = events::lines(0..50).len() as u64;
    sidecar.truncate(LOG, half);
    sidecar.write_lines(LOG, 100..110);
    let expected: Vec<u64> = (0..100).chain(0..50).chain(100..110).collect();
    receiver.wait_for_lines(expected.len());
    std::fs::write(sidecar.path("restored"), events::lines(0..20)).unwrap();
    sidecar.rename("restored", LOG);
    sidecar.write_lines(LOG, 110..111);
    // What the new file has of the one that it replaced, and that is held, is known.
    assert_exactly(&mut sidecar, &receiver, expected.into_iter().chain(110..111));
}

fn wait_for_event(receiver: &Receiver, n: u64) {
    receiver.wait_until("an event", PATIENCE, |deliveries| {
        deliveries.iter().any(|delivery| delivery.accepted() && delivery.text().contains(&format!("evt-{n:010}")))
    });
}

// An application cuts, at its start, the line that it did not finish.
#[test]
fn a_torn_last_line_that_its_writer_cuts_is_no_truncation() {
    for way in ["running", "stopped", "killed"] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(LOG, &receiver);
        sidecar.start_again();
        for round in 0..4 {
            let (from, whole) = (round * 10, events::lines(0..round * 10 + 10).len() as u64);
            sidecar.write_lines(LOG, from..from + 10);
            sidecar.append(LOG, if round % 2 == 0 { &b"{\"id\": \"torn"[..] } else { &[0; 5000] });
            wait_for_event(&receiver, from + 9);
            match way {
                "stopped" => assert!([0, 10].contains(&sidecar.stop()), "{}", sidecar.stderr()),
                "killed" => sidecar.kill(),
                _ => {}
            }
            sidecar.truncate(LOG, whole);
            if way != "running" {
                sidecar.start_again();
            }
        }
        sidecar.write_lines(LOG, 40..60);
        wait_for_event(&receiver, 59);
        assert_eq!(truncations(&sidecar), 0.0, "{way}");
        assert_eq!(sidecar.stop(), 0);
        // A kill may have a batch sent again, under its id.
        let arrived = numbers(&without_repeats(&receiver.deliveries()));
        assert_eq!(arrived, (0..60).collect::<Vec<_>>(), "{way}");
        assert!(!sidecar.stderr().contains("truncated"), "{}", sidecar.stderr());
    }
}

// B34, B38: what nobody had read is a gap: in the journal, in the numbers, as an alarm.
#[test]
fn truncation_of_unread_bytes_is_a_gap_that_everybody_is_told_of() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let mut sidecar = tailing_with(LOG, "", &receiver, SMALL);
    sidecar.write_lines(LOG, 0..1000);
    sidecar.start_again();
    receiver.wait_for_requests(2);
    sidecar.truncate(LOG, 0);
    sidecar.write_lines(LOG, 1000..1010);
    sidecar.wait_for_log("the file was truncated");
    receiver.always(Reply::status(200));
    receiver.wait_until("what came later", PATIENCE, |deliveries| {
        deliveries.iter().any(|delivery| delivery.accepted() && delivery.text().contains("evt-0000001009"))
    });
    let arrived = numbers(&receiver.accepted_lines());
    let (read, later) = arrived.split_at(arrived.len() - 10);
    assert_eq!(later, (1000..1010).collect::<Vec<_>>());
    assert_eq!(read, (0..read.len() as u64).collect::<Vec<_>>(), "what was read before is delivered");
    assert!(read.len() < 1000);

    let lost = (events::lines(0..1000).len() - events::lines(0..read.len() as u64).len()) as u64;
    assert_eq!(sidecar.metrics().events("siem", "gap"), 1);
    assert_eq!(truncations(&sidecar), 1.0);
    let status = sidecar.status();
    assert_eq!(status["forwarders"][0]["sources"][0]["gapBytes"], lost, "{status}");
    sidecar.wait_for_alarm("gap", &format!("{lost} bytes"));
    sidecar.assert_books_balance();
    sidecar.stop_drained();
    let journal = sidecar.read("state/forwarders/siem/journal");
    assert!(
        journal.contains("\"record\":\"gap\"") || journal.contains(&format!("\"gap_bytes\":{lost}")),
        "{journal}"
    );
    let (_, cursors, _) = sidecar.command(&["cursors", "list"]);
    assert!(cursors.contains(&format!("in gaps ({lost} bytes)")), "{cursors}");
}

// B35: with unread bytes, alive.
#[test]
fn copytruncate_goes_on_in_the_copy() {
    for include in [LOG, "logs/audit.ndjson*"] {
        let receiver = Receiver::start();
        receiver.always(Reply::status(503));
        let mut sidecar = tailing_with(include, "", &receiver, SMALL);
        sidecar.write_lines(LOG, 0..500);
        sidecar.start_again();
        receiver.wait_for_requests(1);
        sidecar.write_lines(LOG, 500..600);
        sidecar.copytruncate(LOG, COPY);
        sidecar.write_lines(LOG, 600..700);
        sidecar.wait_for_log("the file has the content of another");
        receiver.always(Reply::status(200));
        assert_exactly(&mut sidecar, &receiver, 0..700);
        assert!(!sidecar.stderr().contains("a gap is recorded"), "{}", sidecar.stderr());
    }
}

// B35, B31: twice while stopped, with unread bytes in both copies.
#[test]
fn copytruncate_while_it_is_stopped_goes_on_in_the_copies() {
    for include in [LOG, "logs/audit.ndjson*"] {
        let receiver = Receiver::start();
        receiver.always(Reply::status(503));
        let mut sidecar = tailing_with(include, "", &receiver, SMALL);
        sidecar.write_lines(LOG, 0..500);
        sidecar.start_again();
        receiver.wait_for_requests(1);
        sidecar.kill();
        sidecar.write_lines(LOG, 500..600);
        // File times move in steps of a clock tick, and order the copies.
        for (generation, n) in [(2, 600), (1, 700)] {
            std::thread::sleep(std::time::Duration::from_millis(15));
            sidecar.copytruncate(LOG, &format!("{LOG}.{generation}"));
            sidecar.write_lines(LOG, n..n + 100);
        }
        receiver.always(Reply::status(200));
        sidecar.start_again();
        assert_exactly(&mut sidecar, &receiver, 0..800);
        assert!(!sidecar.stderr().contains("a gap is recorded"), "{}", sidecar.stderr());
    }
}

// A41: the same of a file whose time lies a day ahead, or long ago.
#[test]
fn copytruncate_of_a_file_with_any_time_loses_no_copy() {
    for (time, kills) in [("tomorrow", false), ("tomorrow", true), ("2001-01-01", true)] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(LOG, &receiver);
        sidecar.write_lines(LOG, 0..100);
        assert!(works(&["touch", "-d", time, &sidecar.path(LOG).display().to_string()]));
        sidecar.start_again();
        receiver.wait_for_lines(100);
        if kills {
            sidecar.kill();
        } else {
            sidecar.pause();
        }
        for (generation, n) in [(2, 100), (1, 200)] {
            std::thread::sleep(std::time::Duration::from_millis(15));
            sidecar.copytruncate(LOG, &format!("{LOG}.{generation}"));
            sidecar.write_lines(LOG, n..n + 100);
        }
        if kills {
            sidecar.start_again();
        } else {
            sidecar.resume();
        }
        assert_each_batch_once(&mut sidecar, &receiver, 0..300);
        assert!(!sidecar.stderr().contains("a gap is recorded"), "{time}: {}", sidecar.stderr());
    }
}

// B47: the copy is there and grows, the truncation comes later.
#[test]
fn a_copy_in_the_making_is_not_read_as_a_file_of_its_own() {
    let receiver = Receiver::start();
    let source = "sealAfter: 20s\nscanInterval: 50ms";
    let mut sidecar = Sidecar::new()
        .top("drainTimeout: 5s")
        .file_source_with("app", "logs/audit.ndjson*", source)
        .forwarder("siem", &receiver.url(), QUICK_FORWARDER);
    sidecar.write_lines(LOG, 0..200);
    sidecar.start_again();
    receiver.wait_for_lines(200);
    sidecar.write_lines(COPY, 0..100);
    sidecar.wait_for_log("it may be a rotation in the making");
    sidecar.write_lines(LOG, 200..210);
    receiver.wait_for_lines(210);
    sidecar.write_lines(COPY, 100..210);
    sidecar.truncate(LOG, 0);
    sidecar.write_lines(LOG, 210..220);
    assert_exactly(&mut sidecar, &receiver, 0..220);
}

// B37: a writer that kept its offset leaves a hole.
#[test]
fn the_hole_that_copytruncate_leaves_under_a_writer_without_append_is_skipped() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..2000);
    let mut writer = OpenOptions::new().write(true).open(sidecar.path(LOG)).unwrap();
    writer.seek(std::io::SeekFrom::End(0)).unwrap();
    sidecar.start_again();
    receiver.wait_for_lines(2000);
    sidecar.copytruncate(LOG, COPY);
    writer.write_all(events::lines(2000..2010).as_bytes()).unwrap();
    assert_exactly(&mut sidecar, &receiver, 0..2010);
    assert!(sidecar.dead_letters("siem").is_empty());
}

// B36: what stands on disk afterwards is delivered; what the rotator lost between its copy and its cut is not ours.
#[test]
fn copytruncate_under_a_busy_writer_delivers_all_that_is_on_disk() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..100);
    sidecar.start_again();
    receiver.wait_for_lines(100);
    let mut n = 100;
    for generation in 1..4 {
        let half = n + 1500;
        let later = half + 1500;
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| (n..later).for_each(|n| sidecar.write_lines(LOG, n..n + 1)));
            wait_until("half of it", || std::fs::metadata(sidecar.path(LOG)).unwrap().len() > 300_000);
            sidecar.copytruncate(LOG, &format!("{LOG}.{generation}"));
            writing.join().unwrap();
        });
        n = later;
    }
    let expected = on_disk(&sidecar, "logs");
    let last = events::event(n - 1);
    receiver.wait_until("the last", PATIENCE, |deliveries| {
        deliveries.iter().any(|delivery| delivery.accepted() && delivery.text().contains(&last))
    });
    sidecar.stop_drained();
    let arrived = sorted(&receiver.accepted_lines());
    let missing: Vec<&u64> = expected.iter().filter(|n| arrived.binary_search(n).is_err()).collect();
    assert!(missing.is_empty(), "{} are missing\n{}", missing.len(), sidecar.stderr());
}
