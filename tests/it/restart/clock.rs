//! A wall clock that jumps. Waits are measured with the monotonic one; order and cursors look at none.

use std::{path::Path, time::Duration};

use crate::{
    receiver::{Delivery, Receiver, Reply},
    sidecar::Sidecar,
    tail::{QUICK_SOURCE, assert_exactly},
    tools::skipped,
};

const LOG: &str = "logs/audit.ndjson";

fn with_a_false_clock(test: &str, receiver: &Receiver, forwarder: &str) -> Option<Sidecar> {
    let directories = ["x86_64-linux-gnu/faketime", "aarch64-linux-gnu/faketime", "faketime"];
    let libraries = directories.map(|directory| format!("/usr/lib/{directory}/libfaketimeMT.so.1"));
    let Some(library) = libraries.iter().find(|library| Path::new(library).exists()) else {
        skipped(test, "libfaketime is not here");
        return None;
    };
    let sidecar = Sidecar::new().top("drainTimeout: 5s").file_source_with("app", LOG, QUICK_SOURCE);
    let sidecar = sidecar.forwarder("siem", &receiver.url(), forwarder);
    set_clock(&sidecar, "+0");
    let clock = sidecar.path("clock").display().to_string();
    let sidecar = sidecar.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", &clock);
    Some(sidecar.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1"))
}

/// From now on the clock says this: `+365d`, or `@` and a date from which it goes on.
fn set_clock(sidecar: &Sidecar, time: &str) {
    std::fs::write(sidecar.path("clock.new"), format!("{time}\n")).unwrap();
    sidecar.rename("clock.new", "clock");
}

fn timestamp(delivery: &Delivery) -> i64 {
    delivery.header("webhook-timestamp").unwrap().parse().unwrap()
}

const YEAR: i64 = 365 * 86_400;

// C28, F1, F2: a year back and two on, while it backs off and while a batch waits for its age.
#[test]
fn a_clock_that_jumps_moves_no_cursor_and_no_wait() {
    let test = "a_clock_that_jumps_moves_no_cursor_and_no_wait";
    let receiver = Receiver::start();
    let forwarder = "batch: {maxAge: 600ms}\nretry: {initial: 50ms, max: 100ms}";
    let Some(mut sidecar) = with_a_false_clock(test, &receiver, forwarder) else { return };
    sidecar.write_lines(LOG, 0..10);
    sidecar.start_again();
    receiver.wait_for_lines(10);
    let mut n = 10;
    let mut before = timestamp(&receiver.deliveries()[0]);
    for jump in ["-365d", "+365d", "+0"] {
        let known = receiver.deliveries().len();
        receiver.script([Reply::status(503).header("Retry-After", "1")]);
        // While the batch waits for its age.
        sidecar.write_lines(LOG, n..n + 10);
        n += 10;
        std::thread::sleep(Duration::from_millis(100));
        set_clock(&sidecar, jump);
        let first = receiver.wait_for_requests(known + 1)[known].clone();
        let moved = timestamp(&first) - before;
        assert!(moved.abs() > YEAR - 100, "the clock did not jump: {moved} s, {jump}");
        before = timestamp(&first);
        // While it backs off: as long as was asked for, and not for a year.
        set_clock(&sidecar, if jump == "-365d" { "+1d" } else { "-1d" });
        let again = receiver.wait_for_requests(known + 2)[known + 1].clone();
        let waited = again.at - first.at;
        assert!(waited >= Duration::from_millis(950) && waited < Duration::from_secs(4), "{jump}: {waited:?}");
        assert_eq!(first.id(), again.id());
        receiver.wait_for_lines(n as usize);
        set_clock(&sidecar, jump);
    }
    // And started in the past of its own journal.
    assert_eq!(sidecar.stop(), 0);
    set_clock(&sidecar, "-3650d");
    sidecar.write_lines(LOG, n..n + 10);
    sidecar.start_again();
    assert_exactly(&mut sidecar, &receiver, 0..n + 10);
}

// F6
#[test]
fn times_beyond_32_bits_are_written_and_read() {
    for (date, least) in
        [("@2038-01-19 03:14:05", i64::from(i32::MAX) - 90_000), ("@2100-02-28 23:59:58", 4_107_000_000)]
    {
        let receiver = Receiver::start();
        let Some(mut sidecar) = with_a_false_clock("times_beyond_32_bits", &receiver, "batch: {maxAge: 20ms}") else {
            return;
        };
        set_clock(&sidecar, date);
        sidecar.write_lines(LOG, 0..10);
        sidecar.append(LOG, "not json\n");
        sidecar.start_again();
        receiver.wait_for_lines(10);
        assert!(timestamp(&receiver.deliveries()[0]) >= least, "{date}");
        // Over the edge, if there is one: what was written is read again.
        std::thread::sleep(Duration::from_millis(2500));
        sidecar.write_lines(LOG, 10..20);
        receiver.wait_for_lines(20);
        sidecar.stop_drained();
        assert_eq!(sidecar.dead_letters("siem").len(), 1);
        sidecar.write_lines(LOG, 20..30);
        sidecar.start_again();
        assert_exactly(&mut sidecar, &receiver, 0..30);
    }
}
