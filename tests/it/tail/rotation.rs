//! Rotation by renaming.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::{QUICK_FORWARDER, assert_each_batch_once, assert_exactly, sorted, tailing, tailing_with};
use crate::{
    events::{self, numbers},
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tools::wait_until,
};

const LOG: &str = "logs/audit.ndjson";

fn open(sidecar: &Sidecar, file: &str) -> File {
    OpenOptions::new().create(true).append(true).open(sidecar.path(file)).unwrap()
}

/// `.1` becomes `.2` and so on, then the file itself `.1`.
fn rotate(sidecar: &Sidecar) {
    for n in (1..50).rev() {
        let (from, to) = (format!("{LOG}.{n}"), format!("{LOG}.{}", n + 1));
        if sidecar.path(&from).exists() {
            sidecar.rename(&from, &to);
        }
    }
    sidecar.rename(LOG, &format!("{LOG}.1"));
}

// B2, B3, B4, B43: with the rotated name in the glob and not.
#[test]
fn a_renamed_file_is_read_to_its_end_while_its_writer_keeps_it_open() {
    for include in ["logs/audit.ndjson", "logs/audit.ndjson*"] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(include, &receiver);
        sidecar.write_lines(LOG, 0..10);
        let mut old = open(&sidecar, LOG);
        sidecar.start_again();
        receiver.wait_for_lines(10);
        rotate(&sidecar);
        old.write_all(events::lines(10..15).as_bytes()).unwrap();
        receiver.wait_for_lines(15);
        sidecar.write_lines(LOG, 15..20);
        receiver.wait_for_lines(20);
        // The writer goes on in the old one, and after it was taken for finished.
        old.write_all(events::lines(20..22).as_bytes()).unwrap();
        receiver.wait_for_lines(22);
        sidecar.wait_for_metrics("the old file is let go", |metrics| {
            metrics.get("auditpost_files_open", &[("source", "app")]) == Some(1.0)
        });
        old.write_all(events::lines(22..24).as_bytes()).unwrap();
        receiver.wait_for_lines(24);
        sidecar.restart();
        sidecar.write_lines(LOG, 24..25);
        assert_exactly(&mut sidecar, &receiver, 0..25);
        assert!(!sidecar.stderr().contains("gap"), "{}", sidecar.stderr());
    }
}

// B3
#[test]
fn a_file_moved_to_another_directory_is_drained() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..2000);
    fs::create_dir(sidecar.path("archive")).unwrap();
    sidecar.start_again();
    receiver.wait_for_requests(1);
    sidecar.rename(LOG, "archive/old.ndjson");
    sidecar.write_lines("archive/old.ndjson", 2000..3000);
    sidecar.write_lines(LOG, 3000..3001);
    sidecar.wait_for_log("held open until its events are delivered");
    receiver.always(Reply::status(200));
    assert_exactly(&mut sidecar, &receiver, 0..3001);
}

// A11, A12
#[test]
fn a_line_begun_before_a_rotation_is_finished_in_the_old_file_or_ends_with_it() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    let line = events::event(1) + "\n";
    sidecar.append(LOG, events::lines(0..1) + &line[..50]);
    let mut old = open(&sidecar, LOG);
    sidecar.start_again();
    receiver.wait_for_lines(1);
    rotate(&sidecar);
    // The last line of the second file never gets its line end.
    sidecar.append(LOG, events::lines(2..3) + &events::event(3));
    old.write_all(&line.as_bytes()[50..]).unwrap();
    receiver.wait_for_lines(3);
    rotate(&sidecar);
    sidecar.write_lines(LOG, 4..5);
    // It counts as whole once the file is finished.
    assert_eq!(sorted(&receiver.wait_for_lines(5)), [0, 1, 2, 3, 4]);
    sidecar.assert_books_balance();
    assert_eq!(sidecar.stop(), 0);
    assert!(sidecar.dead_letters("siem").is_empty());
}

// B5, B6, B45: while stopped, thrice, with names of either kind.
#[test]
fn rotations_while_it_is_stopped_are_read_in_order() {
    for include in ["logs/audit.ndjson", "logs/audit.ndjson*"] {
        for dated in [false, true] {
            let receiver = Receiver::start();
            let mut sidecar = tailing(include, &receiver);
            sidecar.write_lines(LOG, 0..100);
            sidecar.start_again();
            receiver.wait_for_lines(100);
            sidecar.kill();
            rotate_thrice(&sidecar, dated);
            sidecar.start_again();
            assert_each_batch_once(&mut sidecar, &receiver, 0..450);
        }
    }
}

// B7: all between two scans, which a stopped process stands for.
#[test]
fn rotations_between_two_scans_are_read_in_order() {
    for dated in [false, true] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(LOG, &receiver);
        sidecar.write_lines(LOG, 0..100);
        sidecar.start_again();
        receiver.wait_for_lines(100);
        sidecar.pause();
        rotate_thrice(&sidecar, dated);
        sidecar.resume();
        assert_exactly(&mut sidecar, &receiver, 0..450);
    }
}

/// Events 100 to 450, in what is left of the first file and three more.
fn rotate_thrice(sidecar: &Sidecar, dated: bool) {
    for round in 0..3_u64 {
        let n = 100 + round * 100;
        sidecar.write_lines(LOG, n..n + 100);
        if dated {
            sidecar.rename(LOG, &format!("{LOG}-2026080{}", round + 1));
        } else {
            rotate(sidecar);
        }
    }
    sidecar.write_lines(LOG, 400..450);
}

// B8, B44: five generations are kept; everything read is let go.
#[test]
fn rapid_rotation_under_load_loses_nothing_and_leaves_nothing_open() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..100);
    sidecar.start_again();
    receiver.wait_for_lines(100);
    let mut n = 100;
    for round in 0..40 {
        for _ in 0..10 {
            sidecar.write_lines(LOG, n..n + 20);
            n += 20;
            std::thread::sleep(Duration::from_millis(4));
        }
        rotate(&sidecar);
        let _ = fs::remove_file(sidecar.path(format!("{LOG}.{}", 6)));
        if round % 3 == 0 {
            std::thread::sleep(Duration::from_millis(30));
        }
    }
    sidecar.write_lines(LOG, n..n + 1);
    let arrived = numbers(&receiver.wait_for_lines(n as usize + 1));
    assert_eq!(arrived, (0..=n).collect::<Vec<_>>(), "in order, each once");
    sidecar.wait_for_metrics("old files are let go", |metrics| {
        metrics.get("auditpost_files_open", &[("source", "app")]) == Some(1.0)
    });
    wait_until("a line of the catalog for each file that exists", || {
        sidecar.read("state/sources/app/catalog").lines().count() <= 8
    });
    assert_exactly(&mut sidecar, &receiver, 0..=n);
    let (_, cursors, _) = sidecar.command(&["cursors", "list"]);
    assert!(cursors.lines().count() <= 9, "{cursors}");
}

// B1 without logrotate, B24: tiny files, some of them empty.
#[test]
fn a_busy_writer_is_followed_over_rotations_of_tiny_files() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with("logs/audit.ndjson*", "", &receiver, QUICK_FORWARDER);
    fs::create_dir(sidecar.path("logs")).unwrap();
    sidecar.start_again();
    let stop = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let sidecar = &sidecar;
        let writer = scope.spawn(|| {
            let mut n = 0;
            while !stop.load(Ordering::Relaxed) {
                sidecar.write_lines(LOG, n..n + 1);
                n += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            n
        });
        for _ in 0..12 {
            std::thread::sleep(Duration::from_millis(60));
            if sidecar.path(LOG).exists() {
                rotate(sidecar);
                let _ = open(sidecar, LOG);
            }
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    let arrived = sorted(&receiver.wait_for_lines(written as usize));
    assert_eq!(arrived, (0..written).collect::<Vec<_>>());
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(receiver.accepted_lines().len(), written as usize);
}
