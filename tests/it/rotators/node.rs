//! Node's rotators. Those that open the next file rather than rename are followed by a glob: each of their files is one
//! of its own, and there is no order over files.

use std::{path::PathBuf, process::Command, time::Duration};

use super::{AUDIT, LOGS, Program, assert_complete, assert_exact};
use crate::{
    sidecar::Sidecar,
    tools::{has, skipped},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rotators/node/rotate.js");

const PAUSE: Duration = Duration::from_millis(10);

/// Starts a rotator of these packages, with options as JSON behind its name; `None`, and said, where they are not here.
fn node(test: &str) -> Option<impl Fn(&Sidecar, &str) -> Program> {
    let modules = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/rotators/node/node_modules");
    if !has("node") || !modules.join("winston").is_dir() {
        skipped(test, "node is not in PATH, or its packages are not in target/rotators: .ci/run installs them");
        return None;
    }
    Some(move |sidecar: &Sidecar, rotator: &str| {
        Program::piped(sidecar, Command::new("node").args([SCRIPT, rotator, LOGS]).env("NODE_PATH", &modules))
    })
}

#[test]
fn node_rotating_file_stream() {
    let Some(start) = node("node_rotating_file_stream") else { return };
    for rotator in ["rotating-file-stream", "rotating-file-stream {\"rotate\":5000}"] {
        assert_exact(rotator, &[AUDIT], |sidecar| start(sidecar, rotator));
    }
    let compressed = "rotating-file-stream {\"compress\":\"gzip\"}";
    assert_exact(compressed, &[AUDIT], |sidecar| start(sidecar, compressed));
}

// In a burst winston's own stream leaves events out, and `tailable` always does: those are on no disk.
#[test]
fn node_winston_file() {
    let Some(start) = node("node_winston_file") else { return };
    let start = |sidecar: &Sidecar| start(sidecar, "winston-file").pausing(PAUSE);
    assert_complete("winston-file", &["logs/audit*.log"], start);
}

// Its greatest number is the newest, which births tell where they are a tick of the clock apart.
#[test]
fn node_winston_daily_rotate_file() {
    let Some(start) = node("node_winston_daily_rotate_file") else { return };
    assert_complete("winston-daily", &["logs/audit-*.log*"], |sidecar| {
        start(sidecar, "winston-daily").pausing(PAUSE)
    });
}

#[test]
fn node_log4js() {
    let Some(start) = node("node_log4js") else { return };
    for rotator in ["log4js", "log4js {\"compress\":true}"] {
        assert_exact(rotator, &[AUDIT, "logs/audit*"], |sidecar| start(sidecar, rotator));
    }
}

#[test]
fn node_pino_roll() {
    let Some(start) = node("node_pino_roll") else { return };
    assert_complete("pino-roll", &["logs/audit*.log"], |sidecar| start(sidecar, "pino-roll"));
}
