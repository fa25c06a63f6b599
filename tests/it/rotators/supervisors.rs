//! Loggers of process supervisors: they take lines, write `current`, and rename it to `@…` with the time.

use std::process::Command;

use super::{LOGS, Program, assert_exact};
use crate::{
    sidecar::Sidecar,
    tools::{has, skipped},
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
