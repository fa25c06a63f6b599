//! File sources whose lines are copied to a spool as they come.

use std::{fs, path::PathBuf};

use super::{QUICK_FORWARDER, assert_each_batch_once, assert_exactly, logrotate::logrotate, sorted, tailing_with};
use crate::{
    events::{self, numbers},
    receiver::{PATIENCE, Receiver, Reply},
    sidecar::Sidecar,
    tools::{has, skipped, wait_until},
};

const LOG: &str = "logs/audit.ndjson";
const SMALL: &str = "batch: {maxEvents: 10, maxAge: 20ms}\nretry: {initial: 50ms, max: 100ms}";

/// The segments of the spool with their text, in order.
fn segments(sidecar: &Sidecar) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(sidecar.path("state/spool/app")).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == "ndjson"));
    let mut segments: Vec<_> =
        paths.filter_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?))).collect();
    segments.sort();
    segments
}

/// All whole lines in the spool.
fn spool(sidecar: &Sidecar) -> Vec<String> {
    let segments = segments(sidecar);
    let lines = segments.iter().flat_map(|(_, text)| text.split_inclusive('\n'));
    lines.filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
}

fn spooled(sidecar: &Sidecar) -> Vec<u64> {
    numbers(&spool(sidecar))
}

/// Waits until an event is in the spool.
fn wait_for_copy(sidecar: &Sidecar, n: u64) {
    wait_until("the copy", || spooled(sidecar).contains(&n));
}

// B35, B38: each rotation destroys what nobody delivered.
#[test]
fn what_copytruncate_destroys_while_the_receiver_is_dead_is_in_the_spool() {
    const TEST: &str = "what_copytruncate_destroys_while_the_receiver_is_dead_is_in_the_spool";
    if !has("logrotate") {
        return skipped(TEST, "logrotate is not in PATH");
    }
    for is_spooled in [true, false] {
        let receiver = Receiver::start();
        receiver.always(Reply::status(503));
        let mut sidecar = tailing_with(LOG, &format!("spool: {is_spooled}"), &receiver, SMALL);
        sidecar.append(LOG, "");
        sidecar.start_again();
        sidecar.wait_for_log("reading a file");
        for round in 0..5 {
            sidecar.write_lines(LOG, round * 100..round * 100 + 100);
            if is_spooled {
                wait_for_copy(&sidecar, round * 100 + 99);
            } else {
                let size = fs::metadata(sidecar.path(LOG)).unwrap().len() as f64;
                sidecar.wait_for_metrics("the lines to be seen", |metrics| {
                    metrics
                        .get("auditpost_backlog_bytes", &[("forwarder", "siem"), ("source", "app")])
                        .is_some_and(|b| b >= size)
                });
            }
            logrotate(&sidecar, " copytruncate\n rotate 0");
            assert_eq!(fs::metadata(sidecar.path(LOG)).unwrap().len(), 0);
            assert_eq!(fs::read_dir(sidecar.path("logs")).unwrap().count(), 1, "no copy is left");
        }
        sidecar.write_lines(LOG, 500..501);
        receiver.always(Reply::status(200));
        if is_spooled {
            assert_exactly(&mut sidecar, &receiver, 0..501);
            continue;
        }
        let last = events::event(500);
        receiver.wait_until("the last", PATIENCE, |deliveries| {
            deliveries.iter().any(|delivery| delivery.accepted() && delivery.text().contains(&last))
        });
        assert!(receiver.accepted_lines().len() < 400, "without the spool they are lost");
        sidecar.wait_for_alarm("gap", "can never be delivered");
    }
}

#[test]
fn a_kill_at_any_moment_copies_no_line_twice_and_loses_none() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let mut sidecar = tailing_with("logs/*.ndjson", "spool: true\nsync: interval", &receiver, SMALL);
    sidecar.start_again();
    let mut n = 0;
    for round in 0..12 {
        sidecar.wait_for_log("copying what files get");
        for burst in 0..20 {
            sidecar.write_lines(LOG, n..n + 40);
            n += 40;
            std::thread::sleep(std::time::Duration::from_millis(burst % 4));
        }
        sidecar.kill();
        if round % 3 == 2 {
            sidecar.rename(LOG, &format!("logs/audit-{round}.ndjson"));
        }
        sidecar.start_again();
    }
    wait_until("all to be copied", || spooled(&sidecar).len() as u64 >= n);
    let copied = spooled(&sidecar);
    assert!(copied.iter().copied().eq(0..n), "{} of {n} lines", copied.len());
    receiver.always(Reply::status(200));
    assert_each_batch_once(&mut sidecar, &receiver, 0..n);
}

/// What is delivered leaves the spool at the next start, and is not copied a second time for that.
#[test]
fn what_is_delivered_is_not_copied_again_after_a_stop_or_a_kill() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with("logs/*.ndjson", "spool: true", &receiver, SMALL);
    for n in 0..6 {
        sidecar.write_lines(LOG, n..n + 1);
        sidecar.start_again();
        receiver.wait_for_lines(n as usize + 1);
        if n % 2 == 0 {
            sidecar.kill();
        } else {
            assert_eq!(sidecar.stop(), 0);
        }
    }
    sidecar.start_again();
    sidecar.write_lines(LOG, 6..7);
    assert_each_batch_once(&mut sidecar, &receiver, 0..7);
    assert!(!sidecar.stderr().contains("cut short"), "{}", sidecar.stderr());
}

// C3: the process dies in the middle of a write to the spool.
#[test]
fn a_copy_that_was_cut_short_is_gone_on_with_where_it_was_cut() {
    for (lines, half) in [(0, 0), (3, 0), (3, 20), (60, 0)] {
        let receiver = Receiver::start();
        receiver.always(Reply::status(503));
        let mut sidecar = tailing_with("logs/*.ndjson", "spool: true", &receiver, SMALL);
        sidecar.write_lines("logs/a.ndjson", 0..50);
        sidecar.write_lines("logs/b.ndjson", 50..100);
        sidecar.start_again();
        wait_until("the copy", || spooled(&sidecar).len() == 100);
        sidecar.kill();
        let (path, text) = segments(&sidecar).remove(0);
        let kept: usize = text.split_inclusive('\n').take(100 - lines).map(str::len).sum();
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_len((kept - half) as u64).unwrap();
        sidecar.write_lines("logs/b.ndjson", 100..110);
        sidecar.start_again();
        wait_for_copy(&sidecar, 109);
        assert_eq!(
            sorted(&spool(&sidecar)),
            (0..110).collect::<Vec<_>>(),
            "{lines} lines and {half} bytes were cut off"
        );
        receiver.always(Reply::status(200));
        receiver.wait_for_lines(110);
        sidecar.wait_for_books();
        assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    }
}

// D, I: the files are the queue then, and what is destroyed in them is told.
#[test]
fn where_the_spool_is_full_copying_stops_and_goes_on_by_itself() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let source = "spool: true\nmaxBytes: 1MiB";
    let mut sidecar = tailing_with("logs/*.ndjson", source, &receiver, QUICK_FORWARDER);
    sidecar.write_lines(LOG, 0..10_000);
    sidecar.start_again();
    sidecar.wait_for_alarm("full", "no events are taken until there is room");
    let size: usize = segments(&sidecar).iter().map(|(_, text)| text.len()).sum();
    assert!(size <= 1 << 20, "{size} bytes");
    sidecar.write_lines("logs/other.ndjson", 10_000..10_010);
    receiver.always(Reply::status(200));
    let arrived = sorted(&receiver.wait_for_lines(10_010));
    assert!(arrived.into_iter().eq(0..10_010));
    wait_until("the alarm to be cleared", || sidecar.status()["alarms"].as_array().is_some_and(Vec::is_empty));

    receiver.always(Reply::status(503));
    sidecar.write_lines(LOG, 10_010..20_000);
    sidecar.wait_for_alarm("full", "no events are taken until there is room");
    sidecar.truncate(LOG, 0);
    sidecar.wait_for_log("the file was truncated");
    sidecar.write_lines(LOG, 20_000..20_001);
    receiver.always(Reply::status(200));
    sidecar.wait_for_alarm("gap", "were gone from their file before they were copied");
    let lost = sidecar.metrics().sum("auditpost_source_refused_total", &[("reason", "gone")]);
    assert_eq!(lost, 1.0);
    receiver.wait_until("what came later", PATIENCE, |deliveries| {
        deliveries.iter().any(|delivery| delivery.accepted() && delivery.text().contains(&events::event(20_000)))
    });
    sidecar.wait_for_books();
    assert_eq!(sidecar.stop(), 11, "{}", sidecar.stderr());
    assert!(sidecar.stderr().lines().last().unwrap().contains("were gone from their file"), "{}", sidecar.stderr());
}

#[test]
fn switching_the_spool_on_copies_what_is_not_delivered_and_switching_it_off_loses_nothing() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with(LOG, "spool: false", &receiver, QUICK_FORWARDER);
    let off = sidecar.yaml();
    let on = off.replace("spool: false", "spool: true");
    sidecar.write_lines(LOG, 0..100);
    sidecar.start_again();
    receiver.wait_for_lines(100);
    assert_eq!(sidecar.stop(), 0);
    sidecar.write_lines(LOG, 100..120);
    sidecar.set_config(&on);
    sidecar.start_again();
    wait_for_copy(&sidecar, 119);
    assert_eq!(numbers(&receiver.wait_for_lines(120)), (0..120).collect::<Vec<_>>());
    assert_eq!(spooled(&sidecar), (100..120).collect::<Vec<_>>(), "what was delivered is not copied");
    assert_eq!(sidecar.stop(), 0);
    sidecar.set_config(&off);
    sidecar.write_lines(LOG, 120..130);
    sidecar.start_again();
    receiver.wait_until("the last", PATIENCE, |deliveries| {
        deliveries.iter().any(|delivery| delivery.accepted() && delivery.text().contains(&events::event(129)))
    });
    assert_eq!(sidecar.stop(), 0);
    let mut arrived = sorted(&receiver.accepted_lines());
    arrived.dedup();
    assert_eq!(arrived, (0..130).collect::<Vec<_>>());
    assert!(!sidecar.stderr().contains("a gap is recorded"), "{}", sidecar.stderr());
}
