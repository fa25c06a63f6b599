//! What stands in a file arrives, byte for byte.

use std::{
    fs::{File, FileTimes},
    time::{Duration, SystemTime},
};

use super::{QUICK_FORWARDER, assert_exactly, tailing, tailing_with};
use crate::{events, receiver::Receiver, sidecar::Sidecar};

// A1, B25, I22
#[test]
fn ten_thousand_lines_arrive_verbatim_and_in_order() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/*.ndjson", &receiver);
    sidecar.write_lines("logs/audit.ndjson", 0..10_000);
    sidecar.start_again();
    assert_exactly(&mut sidecar, &receiver, 0..10_000);
    let size = sidecar.read("logs/audit.ndjson").len();
    let (status, stdout, _) = sidecar.command(&["cursors", "list"]);
    assert_eq!(status, 0);
    assert!(stdout.contains("10000 delivered") && stdout.contains(&format!("settled to {size} ")), "{stdout}");
    let sent: Vec<u8> = receiver.deliveries().iter().flat_map(|delivery| delivery.body.to_vec()).collect();
    assert!(sent == sidecar.read("logs/audit.ndjson").as_bytes(), "the bytes are not those of the file");
}

// A2
#[test]
fn start_at_end_sends_only_what_comes_later() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with("logs/*.ndjson", "startAt: end", &receiver, QUICK_FORWARDER);
    sidecar.write_lines("logs/audit.ndjson", 0..10);
    sidecar.start_again();
    sidecar.wait_for_log("reading a file");
    sidecar.write_lines("logs/audit.ndjson", 10..15);
    receiver.wait_for_lines(5);
    // A3: a file that appears later is read from its beginning all the same; and so it is after a restart.
    sidecar.write_lines("logs/later.ndjson", 15..20);
    receiver.wait_for_lines(10);
    sidecar.restart();
    sidecar.write_lines("logs/audit.ndjson", 20..22);
    assert_exactly(&mut sidecar, &receiver, 10..22);
}

// A40, A41
#[test]
fn the_time_of_a_file_decides_nothing() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/*.ndjson", &receiver);
    sidecar.write_lines("logs/audit.ndjson", 0..3);
    set_modified(&sidecar, 86_400);
    sidecar.start_again();
    receiver.wait_for_lines(3);
    for (n, seconds) in [(3, 86_400), (4, 4_102_444_800), (5, 1)] {
        sidecar.write_lines("logs/audit.ndjson", n..n + 1);
        set_modified(&sidecar, seconds);
        receiver.wait_for_lines(n as usize + 1);
    }
    assert_exactly(&mut sidecar, &receiver, 0..6);
}

fn set_modified(sidecar: &Sidecar, seconds: u64) {
    let file = File::options().append(true).open(sidecar.path("logs/audit.ndjson")).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

// A27
#[test]
fn two_sources_may_follow_the_same_file() {
    let receiver = Receiver::start();
    let mut sidecar =
        tailing("logs/*.ndjson", &receiver).file_source_with("twin", "logs/audit.ndjson", super::QUICK_SOURCE);
    sidecar.write_lines("logs/audit.ndjson", 0..500);
    sidecar.start_again();
    let mut arrived = events::numbers(&receiver.wait_for_lines(1000));
    arrived.sort_unstable();
    assert_eq!(arrived, (0..500).flat_map(|n| [n, n]).collect::<Vec<_>>());
    sidecar.assert_books_balance();
    assert_eq!(sidecar.stop(), 0);
}

// A26, A28, A31, A32
#[test]
fn one_file_under_several_names_is_read_once() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/*.ndjson", &receiver);
    sidecar.write_lines("logs/audit.ndjson", 0..5);
    sidecar.symlink("logs/audit.ndjson", "logs/symbolic.ndjson");
    sidecar.symlink("logs/loop.ndjson", "logs/loop.ndjson");
    sidecar.symlink("logs/missing", "logs/dangling.ndjson");
    std::fs::hard_link(sidecar.path("logs/audit.ndjson"), sidecar.path("logs/hard.ndjson")).unwrap();
    sidecar.start_again();
    receiver.wait_for_lines(5);
    sidecar.wait_for_log("two paths name one file");
    sidecar.write_lines("logs/symbolic.ndjson", 5..8);
    receiver.wait_for_lines(8);
    sidecar.write_lines("logs/hard.ndjson", 8..9);
    assert_exactly(&mut sidecar, &receiver, 0..9);
    for name in ["loop.ndjson", "dangling.ndjson"] {
        let said = sidecar.stderr();
        let lines: Vec<&str> =
            said.lines().filter(|line| line.contains("cannot look") && line.contains(name)).collect();
        assert_eq!(lines.len(), 1, "{name} is told of once: {said}");
    }
}
