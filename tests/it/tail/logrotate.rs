//! The real logrotate, under a busy writer.

use std::{
    fs::OpenOptions,
    io::Write,
    panic::AssertUnwindSafe,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use super::{on_disk, sorted, tailing};
use crate::{
    events,
    receiver::{PATIENCE, Receiver},
    sidecar::Sidecar,
    tools::{has, skipped},
};

pub(super) const LOG: &str = "logs/audit.ndjson";

/// Rotates once, whatever the clock says.
pub(super) fn logrotate(sidecar: &Sidecar, options: &str) {
    let output = command(sidecar, options).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // A writer that makes the file anew before logrotate does ends it there: what it renamed stays as it is.
    let was_too_late = said.contains("error creating output file") && said.contains("File exists");
    assert!(output.status.success() || was_too_late, "{said}");
}

/// The same, to be started by the caller.
pub(super) fn command(sidecar: &Sidecar, options: &str) -> Command {
    let config = sidecar.path("logrotate.conf");
    let log = sidecar.path(LOG).display().to_string();
    std::fs::write(&config, format!("\"{log}\" {{\n rotate 50\n missingok\n nocompress\n{options}\n}}\n")).unwrap();
    let state = sidecar.path("logrotate.state");
    let mut command = Command::new("logrotate");
    command.args(["-f", "-s"]).arg(state).arg(config).stdin(Stdio::null());
    command
}

/// Writes lines one by one until it is told to stop, opening the file anew for each as a writer that is told to
/// reopen does, or keeping it open. Gives how many it wrote.
fn write_busily(sidecar: &Sidecar, reopen: bool, stop: &AtomicBool) -> u64 {
    let open = || OpenOptions::new().create(true).append(true).open(sidecar.path(LOG)).unwrap();
    let mut file = open();
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        if reopen {
            file = open();
        }
        file.write_all(events::lines(n..n + 1).as_bytes()).unwrap();
        n += 1;
        if n % 20 == 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    n
}

/// Rotates while somebody writes, and has a line written behind the last rotation.
pub(super) fn rotate_while_writing(sidecar: &Sidecar, reopen: bool, rotations: usize, options: &str) -> u64 {
    let stop = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_busily(sidecar, reopen, &stop));
        // What is rotated away before anybody looked is not ours.
        sidecar.wait_for_log("reading a file");
        // Whatever fails, the writer ends.
        let rotated = std::panic::catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..rotations {
                std::thread::sleep(Duration::from_millis(80));
                logrotate(sidecar, options);
            }
        }));
        stop.store(true, Ordering::Relaxed);
        let written = writer.join().unwrap();
        rotated.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        written
    });
    sidecar.write_lines(LOG, written..written + 1);
    written + 1
}

// B1, B4
#[test]
fn logrotate_in_create_mode_under_a_busy_writer_loses_and_repeats_nothing() {
    if !has("logrotate") {
        return skipped("logrotate_in_create_mode", "logrotate is not in PATH");
    }
    for (include, options) in [(LOG, " create"), ("logs/audit.ndjson*", " create\n dateext\n dateformat -%s")] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(include, &receiver);
        std::fs::create_dir(sidecar.path("logs")).unwrap();
        sidecar.start_again();
        // Dated names differ by the second.
        let rotations = if options.contains("dateext") { 1 } else { 10 };
        let written = rotate_while_writing(&sidecar, true, rotations, options);
        let arrived = sorted(&receiver.wait_for_lines(written as usize));
        assert_eq!(arrived, (0..written).collect::<Vec<_>>());
        sidecar.assert_books_balance();
        assert_eq!(sidecar.stop(), 0);
        assert_eq!(receiver.accepted_lines().len(), written as usize, "nothing twice");
    }
}

// B35, B36: what logrotate loses between its copy and its cut is on no disk any more.
#[test]
fn logrotate_in_copytruncate_mode_under_a_busy_writer_delivers_all_that_is_on_disk() {
    if !has("logrotate") {
        return skipped("logrotate_in_copytruncate_mode", "logrotate is not in PATH");
    }
    for include in [LOG, "logs/audit.ndjson*"] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(include, &receiver);
        std::fs::create_dir(sidecar.path("logs")).unwrap();
        sidecar.start_again();
        let written = rotate_while_writing(&sidecar, false, 3, " copytruncate");
        let last = events::event(written - 1);
        receiver.wait_until("the last line", PATIENCE, |deliveries| {
            deliveries.iter().any(|delivery| delivery.accepted() && delivery.text().contains(&last))
        });
        sidecar.assert_books_balance();
        // The file that is copied and cut may end amid a line.
        assert!([0, 10, 11].contains(&sidecar.stop()), "{}", sidecar.stderr());
        let on_disk = on_disk(&sidecar, "logs");
        let arrived = sorted(&receiver.accepted_lines());
        let missing: Vec<&u64> = on_disk.iter().filter(|n| arrived.binary_search(n).is_err()).collect();
        assert!(missing.is_empty(), "{include}: {} are missing\n{}", missing.len(), sidecar.stderr());
    }
}

// B35: a quiet writer.
#[test]
fn logrotate_in_copytruncate_mode_between_bursts_is_exact() {
    if !has("logrotate") {
        return skipped("logrotate_between_bursts", "logrotate is not in PATH");
    }
    for include in [LOG, "logs/audit.ndjson*"] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(include, &receiver);
        std::fs::create_dir(sidecar.path("logs")).unwrap();
        sidecar.start_again();
        for burst in 0..5 {
            sidecar.write_lines(LOG, burst * 200..burst * 200 + 200);
            receiver.wait_for_lines(burst as usize * 200 + 200);
            logrotate(&sidecar, " copytruncate");
        }
        super::assert_exactly(&mut sidecar, &receiver, 0..1000);
    }
}
