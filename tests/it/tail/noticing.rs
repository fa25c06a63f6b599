//! inotify makes it prompt; scanning makes it right.

use std::{fs, time::Instant};

use super::{QUICK_FORWARDER, assert_exactly, tailing};
use crate::{
    receiver::Receiver,
    sidecar::Sidecar,
    tools::{skipped, works},
};

/// Scans so seldom that only a hint can explain what is prompt.
const SELDOM: &str = "scanInterval: 25s";

fn seldom_scanning(include: &str, receiver: &Receiver) -> Sidecar {
    Sidecar::new().top("drainTimeout: 5s").file_source_with("app", include, SELDOM).forwarder(
        "siem",
        &receiver.url(),
        QUICK_FORWARDER,
    )
}

#[test]
fn writes_new_files_and_rotations_are_noticed_without_a_scan() {
    let receiver = Receiver::start();
    let mut sidecar = seldom_scanning("logs/*.ndjson", &receiver);
    sidecar.write_lines("logs/audit.ndjson", 0..1);
    sidecar.start_again();
    receiver.wait_for_lines(1);
    let begun = Instant::now();
    for n in 1..10 {
        sidecar.write_lines("logs/audit.ndjson", n..n + 1);
        receiver.wait_for_lines(n as usize + 1);
    }
    sidecar.write_lines("logs/new.ndjson", 10..11);
    receiver.wait_for_lines(11);
    sidecar.rename("logs/audit.ndjson", "logs/audit.ndjson.1");
    sidecar.write_lines("logs/audit.ndjson", 11..12);
    receiver.wait_for_lines(12);
    sidecar.truncate("logs/audit.ndjson", 0);
    sidecar.write_lines("logs/audit.ndjson", 12..14);
    receiver.wait_for_lines(14);
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    assert_exactly(&mut sidecar, &receiver, 0..14);
}

// A38: no inotify at all.
#[test]
fn without_inotify_the_scan_finds_everything() {
    let limit = "echo 0 > /proc/sys/user/max_inotify_instances; exec \"$@\"";
    let wrapper = ["unshare", "-Ur", "sh", "-c", limit, "sh"];
    if !works(&["unshare", "-Ur", "sh", "-c", "echo 0 > /proc/sys/user/max_inotify_instances"]) {
        return skipped("without_inotify_the_scan_finds_everything", "no user name space can be made");
    }
    let receiver = Receiver::start();
    let mut sidecar = Sidecar::new()
        .file_source_with("app", "logs/*.ndjson", "scanInterval: 1s")
        .forwarder("siem", &receiver.url(), QUICK_FORWARDER)
        .through(&wrapper);
    sidecar.write_lines("logs/audit.ndjson", 0..3);
    sidecar.start_again();
    receiver.wait_for_lines(3);
    sidecar.wait_for_log("inotify is not to be had");
    let begun = Instant::now();
    sidecar.write_lines("logs/audit.ndjson", 3..5);
    sidecar.write_lines("logs/new.ndjson", 5..6);
    let arrived = super::sorted(&receiver.wait_for_lines(6));
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    assert_eq!(arrived, (0..6).collect::<Vec<_>>());
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(sidecar.stderr().matches("inotify is not to be had").count(), 1);
}

// A39: more events than the kernel keeps, while it is not listening.
#[test]
fn an_overflow_of_the_event_queue_loses_nothing() {
    let limit = "/proc/sys/fs/inotify/max_queued_events";
    let events = fs::read_to_string(limit).ok().and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(16_384);
    if events > 20_000 {
        return skipped("an_overflow_of_the_event_queue_loses_nothing", "the queue is too long to overflow");
    }
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/*.ndjson", &receiver);
    sidecar.write_lines("logs/audit.ndjson", 0..1);
    sidecar.start_again();
    receiver.wait_for_lines(1);
    sidecar.pause();
    // A name made and removed is two events at the least.
    for n in 0..events / 2 {
        let name = sidecar.path(format!("logs/temporary-{}", n % 50));
        fs::write(&name, "").unwrap();
        fs::remove_file(name).unwrap();
    }
    for n in 1..30 {
        sidecar.write_lines(&format!("logs/audit-{n}.ndjson"), n..n + 1);
    }
    sidecar.resume();
    assert_eq!(super::sorted(&receiver.wait_for_lines(30)), (0..30).collect::<Vec<_>>());
    assert_eq!(sidecar.stop(), 0);
}

/// Processor time of the process so far, in clock ticks.
fn ticks(sidecar: &Sidecar) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", sidecar.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_busy_file_of_somebody_else_in_the_same_directory_costs_no_scans() {
    let receiver = Receiver::start();
    let mut sidecar = seldom_scanning("logs/*.ndjson", &receiver);
    for n in 0..2000 {
        sidecar.append(&format!("logs/quiet-{n}.ndjson"), "");
    }
    sidecar.append("logs/syslog", "not ours\n");
    sidecar.write_lines("logs/audit.ndjson", 0..1);
    sidecar.start_again();
    receiver.wait_for_lines(1);
    let before = ticks(&sidecar);
    let begun = Instant::now();
    while begun.elapsed().as_millis() < 2000 {
        sidecar.append("logs/syslog", "not ours\n");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    // A scan of two thousand files takes some milliseconds: a hundred of them would be seen.
    let spent = ticks(&sidecar) - before;
    let limit = if cfg!(debug_assertions) { 80 } else { 30 };
    assert!(spent < limit, "{spent} ticks");
    assert_exactly(&mut sidecar, &receiver, 0..1);
}
