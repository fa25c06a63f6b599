//! `app | auditpost run`.

use std::{fs::OpenOptions, io::Write};

use super::{QUICK_FORWARDER, alive, arrived, dead, with_source};
use crate::{events::lines, receiver::Receiver, sidecar::Sidecar, tools};

/// With this file of its directory as standard input.
fn reading(sidecar: Sidecar, input: &str) -> Sidecar {
    sidecar.through(&["sh", "-c", &format!("exec \"$@\" < {{dir}}/{input}"), "sh"])
}

#[test]
fn the_end_of_input_drains_and_ends_the_process() {
    let receiver = Receiver::start();
    let mut sidecar = reading(with_source("kind: stdin", &receiver), "in");
    // The last line has no end, and counts all the same.
    sidecar.append("in", lines(0..5000).trim_end());
    sidecar.start_again();
    assert_eq!(sidecar.wait(), 0, "{}", sidecar.stderr());
    assert_eq!(arrived(&receiver), (0..5000).collect::<Vec<_>>());
    assert_eq!(receiver.accepted_lines().len(), 5000);
}

#[test]
fn input_that_ended_before_its_receiver_came_back_is_kept_for_the_next_start() {
    let receiver = Receiver::start();
    dead(&receiver);
    let mut sidecar = reading(with_source("kind: stdin", &receiver).top("drainTimeout: 500ms"), "in");
    sidecar.write_lines("in", 0..10);
    sidecar.start_again();
    assert_eq!(sidecar.wait(), 10, "a backlog");
    alive(&receiver);
    let mut sidecar = sidecar.through(&["sh", "-c", "exec \"$@\" < /dev/null", "sh"]);
    sidecar.start_again();
    assert_eq!(sidecar.wait(), 0, "{}", sidecar.stderr());
    assert_eq!(arrived(&receiver), (0..10).collect::<Vec<_>>());
}

#[test]
fn another_source_keeps_it_running_when_the_input_ended() {
    let receiver = Receiver::start();
    let sidecar = Sidecar::new().source("app", "kind: stdin").file_source("file", "logs/*.ndjson").forwarder(
        "siem",
        &receiver.url(),
        QUICK_FORWARDER,
    );
    let mut sidecar = reading(sidecar, "in");
    sidecar.write_lines("in", 0..10);
    sidecar.start_again();
    sidecar.wait_for_log("standard input ended");
    receiver.wait_for_lines(10);
    sidecar.write_lines("logs/a.ndjson", 10..20);
    receiver.wait_for_lines(20);
    assert!(!sidecar.has_ended());
    assert_eq!(sidecar.stop(), 0);
    assert!(!sidecar.stderr().contains("panicked"), "the source goes on without its input: {}", sidecar.stderr());
    assert_eq!(sidecar.stderr().matches("standard input ended").count(), 1, "{}", sidecar.stderr());
}

// A reload must not lose the half of a line that was read before it.
#[test]
fn a_half_line_outlives_a_reload_of_its_source() {
    let receiver = Receiver::start();
    let sidecar = with_source("kind: stdin", &receiver);
    assert!(tools::works(&["mkfifo", sidecar.path("in").to_str().unwrap()]));
    let fifo = sidecar.path("in");
    let mut sidecar = reading(sidecar, "in");
    let writer = std::thread::spawn(move || OpenOptions::new().write(true).open(fifo).unwrap());
    sidecar.start_again();
    let mut input = writer.join().unwrap();
    let text = lines(0..2);
    let (first, second) = text.split_at(text.len() - 20);
    input.write_all(first.as_bytes()).unwrap();
    receiver.wait_for_lines(1);
    let changed = sidecar.yaml().replace("kind: stdin", "kind: stdin\n  sync: never");
    sidecar.set_config(&changed);
    sidecar.hup();
    sidecar.wait_for_log_times("taking events", 2);
    input.write_all(second.as_bytes()).unwrap();
    drop(input);
    assert_eq!(sidecar.wait(), 0, "{}", sidecar.stderr());
    assert_eq!(arrived(&receiver), [0, 1]);
}
