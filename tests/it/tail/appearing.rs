//! Files and directories that are not there yet, or not always.

use std::fs;

use super::{assert_exactly, sorted, tailing};
use crate::receiver::Receiver;

// A3, A4
#[test]
fn a_file_that_appears_later_is_read_from_its_beginning() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/app/audit.ndjson", &receiver).start();
    sidecar.wait_for_log("no file matches");
    sidecar.wait_for_metrics("some scans", |metrics| {
        metrics.get("auditpost_files_matched", &[("source", "app")]) == Some(0.0)
    });
    sidecar.write_lines("logs/app/audit.ndjson", 0..5);
    receiver.wait_for_lines(5);
    assert_exactly(&mut sidecar, &receiver, 0..5);
    let said = sidecar.stderr();
    assert_eq!(said.matches("no file matches").count(), 1, "once, not at every scan: {said}");
    assert!(said.contains("audit.ndjson"), "it names the path: {said}");
}

// A5
#[test]
fn directories_that_appear_later_are_looked_into() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/*/audit.ndjson", &receiver).start();
    sidecar.wait_for_log("no file matches");
    sidecar.write_lines("logs/one/audit.ndjson", 0..3);
    receiver.wait_for_lines(3);
    sidecar.write_lines("logs/two/audit.ndjson", 3..6);
    receiver.wait_for_lines(6);
    sidecar.write_lines("logs/one/audit.ndjson", 6..7);
    assert_exactly(&mut sidecar, &receiver, 0..7);
}

// A6
#[test]
fn a_directory_that_is_removed_and_made_again_begins_anew() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/*/audit.ndjson", &receiver);
    let mut n = 0;
    sidecar.start_again();
    for _ in 0..3 {
        sidecar.write_lines("logs/app/audit.ndjson", n..n + 4);
        n += 4;
        receiver.wait_for_lines(n as usize);
        fs::remove_dir_all(sidecar.path("logs/app")).unwrap();
    }
    sidecar.write_lines("logs/app/audit.ndjson", n..n + 2);
    assert_exactly(&mut sidecar, &receiver, 0..n + 2);
}

// A29, A30
#[test]
fn a_symbolic_link_that_is_pointed_elsewhere_is_followed_and_its_old_target_finished() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/current", &receiver);
    sidecar.write_lines("logs/target-0", 0..10);
    sidecar.symlink("logs/target-0", "logs/current");
    sidecar.start_again();
    for round in 1..10 {
        let n = round * 10;
        receiver.wait_for_lines(n as usize);
        sidecar.write_lines(&format!("logs/target-{round}"), n + 5..n + 10);
        sidecar.symlink(&format!("logs/target-{round}"), "logs/current");
        // The writer had the old one still open.
        sidecar.write_lines(&format!("logs/target-{}", round - 1), n..n + 5);
    }
    assert_eq!(sorted(&receiver.wait_for_lines(100)), (0..100).collect::<Vec<_>>());
    sidecar.remove("logs/target-9");
    sidecar.wait_for_log("cannot look at the file");
    sidecar.stop_drained();
}
