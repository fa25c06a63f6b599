//! Files that are deleted, and files under an inode that was another's.

use std::{fs, os::unix::fs::MetadataExt};

use super::{assert_each_batch_once, assert_exactly, tailing, tailing_with, without_repeats};
use crate::{
    events,
    receiver::{PATIENCE, Receiver, Reply},
    sidecar::Sidecar,
    tools::wait_until,
};

const LOG: &str = "logs/audit.ndjson";
const SMALL: &str = "batch: {maxEvents: 10, maxAge: 20ms}\nretry: {initial: 50ms, max: 100ms}";

fn files_open(sidecar: &Sidecar, count: f64) {
    sidecar.wait_for_metrics(&format!("{count} open files"), |metrics| {
        metrics.get("auditpost_files_open", &[("source", "app")]) == Some(count)
    });
}

// B13, B16
#[test]
fn a_deleted_file_is_delivered_to_its_end_and_then_let_go() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let mut sidecar = tailing_with(LOG, "", &receiver, SMALL);
    // The last line has no end: it counts once the file is finished.
    sidecar.append(LOG, events::lines(0..300) + &events::event(300));
    sidecar.start_again();
    receiver.wait_for_requests(1);
    sidecar.remove(LOG);
    sidecar.wait_for_log("held open until its events are delivered");
    let deleted = |sidecar: &Sidecar| {
        let fds = fs::read_dir(format!("/proc/{}/fd", sidecar.pid())).unwrap();
        fds.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok())
            .filter(|target| target.to_string_lossy().contains("audit.ndjson (deleted)"))
            .count()
    };
    assert_eq!(deleted(&sidecar), 1);
    receiver.always(Reply::status(200));
    receiver.wait_for_lines(301);
    files_open(&sidecar, 0.0);
    assert_eq!(deleted(&sidecar), 0, "the disk has its space back");
    assert_exactly(&mut sidecar, &receiver, 0..301);
}

// B15
#[test]
fn a_file_deleted_while_it_is_stopped_is_a_recorded_gap_if_it_was_not_read() {
    let receiver = Receiver::start();
    receiver.script([Reply::status(200)]);
    receiver.always(Reply::status(503));
    let mut sidecar = tailing_with(LOG, "", &receiver, SMALL);
    sidecar.write_lines(LOG, 0..30);
    sidecar.start_again();
    receiver.wait_for_requests(2);
    sidecar.kill();
    sidecar.remove(LOG);
    receiver.always(Reply::status(200));
    sidecar.start_again();
    sidecar.wait_for_log("a gap is recorded");
    let lost = (events::lines(0..30).len() - events::lines(0..10).len()) as u64;
    // The batch that was outstanding and the bytes behind it.
    wait_until("both parts of the gap", || {
        sidecar.status()["forwarders"][0]["sources"][0]["gapBytes"].as_u64() == Some(lost)
    });
    sidecar.assert_books_balance();
    sidecar.wait_for_alarm("gap", "can never be delivered");
    sidecar.write_lines(LOG, 30..31);
    assert_exactly(&mut sidecar, &receiver, (0..10).chain(30..31));
    // It is told once, and known for good.
    sidecar.start_again();
    sidecar.wait_for_log("forwarding");
    assert_eq!(sidecar.stop(), 0);
    for told in ["a gap is recorded", "nobody knows how many: a gap of unknown size is recorded"] {
        assert_eq!(
            sidecar.stderr().matches(told).count(),
            1,
            "the batch that was outstanding, and what stands behind it"
        );
    }
    let (_, cursors, _) = sidecar.command(&["cursors", "list"]);
    assert!(cursors.contains(&format!("({lost} bytes, and 1 of unknown size)")), "{cursors}");
}

// B15: delivered before, so nothing is lost and nothing is said of a loss.

/// Makes the file anew until it has the inode it had, as ext4 gives it out; false where it never does.
fn make_anew_under_the_same_inode(sidecar: &Sidecar, text: &str) -> bool {
    let inode = fs::metadata(sidecar.path(LOG)).unwrap().ino();
    (0..100).any(|_| {
        sidecar.remove(LOG);
        sidecar.append(LOG, text);
        fs::metadata(sidecar.path(LOG)).unwrap().ino() == inode
    })
}

// B17, B19, B20
#[test]
fn a_file_made_anew_under_the_same_inode_is_read_from_its_beginning() {
    // Alive, stopped and shorter than before, stopped and longer than before.
    for (alive, new) in [(true, 100..110), (false, 100..110), (false, 100..300)] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(LOG, &receiver);
        sidecar.write_lines(LOG, 0..100);
        sidecar.start_again();
        receiver.wait_for_lines(100);
        if alive {
            sidecar.pause();
        } else {
            sidecar.kill();
        }
        // Where inodes are not given out again at once, it is a new file like any other.
        make_anew_under_the_same_inode(&sidecar, &events::lines(new.clone()));
        if alive {
            sidecar.resume();
        } else {
            sidecar.start_again();
        }
        assert_each_batch_once(&mut sidecar, &receiver, 0..new.end);
    }
}

// B21, B22: banners that are all the same, files that are the same for a while.
#[test]
fn files_that_look_alike_are_not_mixed_up() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with("logs/*.ndjson", "schema: raw", &receiver, super::QUICK_FORWARDER);
    let banner = format!("# {}\n", "banner ".repeat(300));
    for name in ["a", "b", "c"] {
        sidecar.append(&format!("logs/{name}.ndjson"), &banner);
    }
    sidecar.start_again();
    receiver.wait_for_lines(3);
    for round in 0..5 {
        for name in ["a", "b", "c"] {
            sidecar.append(&format!("logs/{name}.ndjson"), format!("{name} {round}\n"));
        }
        if round % 2 == 1 {
            sidecar.kill();
            sidecar.start_again();
        }
    }
    receiver.wait_until("all", PATIENCE, |deliveries| without_repeats(deliveries).len() >= 18);
    assert_eq!(sidecar.stop(), 0);
    let mut lines = without_repeats(&receiver.deliveries());
    assert_eq!(lines.len(), 18);
    lines.retain(|line| !line.starts_with('#'));
    for name in ["a", "b", "c"] {
        let own: Vec<&String> = lines.iter().filter(|line| line.starts_with(name)).collect();
        assert_eq!(own, (0..5).map(|round| format!("{name} {round}")).collect::<Vec<_>>().iter().collect::<Vec<_>>());
    }
}

// B23
#[test]
fn a_hundred_empty_files_that_each_get_a_line() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/*.ndjson", &receiver);
    for n in 0..100 {
        sidecar.append(&format!("logs/{n}.ndjson"), "");
    }
    sidecar.start_again();
    sidecar.wait_for_metrics("100 files", |metrics| {
        metrics.get("auditpost_files_open", &[("source", "app")]) == Some(100.0)
    });
    for n in 0..100 {
        sidecar.write_lines(&format!("logs/{n}.ndjson"), n..n + 1);
    }
    let mut arrived = super::sorted(&receiver.wait_for_lines(100));
    arrived.dedup();
    assert_eq!(arrived.len(), 100);
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(receiver.accepted_lines().len(), 100);
}
