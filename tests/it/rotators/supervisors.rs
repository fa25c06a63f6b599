//! Loggers of process supervisors: they take lines, write `current`, and rename it to `@…` with the time.

use std::process::Command;

use super::{LOGS, Program, assert_exact};
use crate::{
    events,
    receiver::{PATIENCE, Receiver},
    sidecar::Sidecar,
    tail::tailing,
    tools::{has, skipped, wait_until},
};

const NAMES: [&str; 2] = ["logs/current", "logs/{current,@*}"];

/// Whether a program is here, which a package has.
fn is_here(test: &str, program: &str, package: &str) -> bool {
    let is_here = has(program);
    if !is_here {
        skipped(test, &format!("{program} is not in PATH: apt-get install {package}"));
    }
    is_here
}

fn svlogd(sidecar: &Sidecar, options: &[&str]) -> Program {
    std::fs::write(sidecar.path("logs/config"), "s10000\nn0\n").unwrap();
    Program::piped(sidecar, Command::new("svlogd").args(options).arg(LOGS))
}

#[test]
fn svlogd_of_runit() {
    if is_here("svlogd_of_runit", "svlogd", "runit") {
        assert_exact("svlogd", &NAMES, |sidecar| svlogd(sidecar, &[]));
    }
}

#[test]
fn s6_log() {
    if is_here("s6_log", "s6-log", "s6") {
        let words = ["-b", "-l", "0", "n5000", "s10000", "./logs"];
        assert_exact("s6-log", &NAMES, |sidecar| Program::piped(sidecar, Command::new("s6-log").args(words)));
    }
}

#[test]
fn multilog_of_daemontools() {
    if is_here("multilog_of_daemontools", "multilog", "daemontools") {
        let words = ["n5000", "s10000", "./logs"];
        assert_exact("multilog", &NAMES, |sidecar| Program::piped(sidecar, Command::new("multilog").args(words)));
    }
}

// Each part of a line that svlogd breaks is no JSON: it goes to the dead letters with its bytes.
#[test]
fn svlogd_breaks_long_lines_unless_it_is_told_their_length() {
    let test = "svlogd_breaks_long_lines_unless_it_is_told_their_length";
    if !is_here(test, "svlogd", "runit") {
        return;
    }
    let long = |n| events::typed_event(n, &"x".repeat(2000)) + "\n";
    for (options, is_broken) in [(&[][..], true), (&["-l", "4000", "-b", "4096"][..], false)] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(NAMES[0], &receiver);
        std::fs::create_dir(sidecar.path(LOGS)).unwrap();
        let mut program = svlogd(&sidecar, options);
        sidecar.start_again();
        program.write_text((0..20).map(long).collect::<String>().as_bytes());
        program.write(20..21);
        receiver.wait_until("the last event", PATIENCE, |deliveries| {
            deliveries.iter().any(|delivery| delivery.accepted() && delivery.text().contains(&events::event(20)))
        });
        drop(program);
        let arrived = events::numbers(&receiver.accepted_lines());
        assert!(arrived.is_sorted());
        let broken: Vec<u64> = (0..21).filter(|n| !arrived.contains(n)).collect();
        assert_eq!(!broken.is_empty(), is_broken, "{arrived:?}");
        // A first part waits for its end until its file is finished.
        wait_until("the parts of each broken line", || {
            let dead = sidecar.read_all("state/dead-letters").into_iter().map(|(_, text)| text).collect::<String>();
            broken.iter().all(|n| dead.contains(&format!("evt-{n:010}")))
        });
        sidecar.wait_for_books();
        sidecar.stop_drained();
    }
}
