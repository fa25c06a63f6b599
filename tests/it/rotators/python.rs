//! Python's handlers, and loguru.

use std::{path::PathBuf, process::Command};

use super::{AUDIT, Program, assert_complete, assert_exact};
use crate::{
    sidecar::Sidecar,
    tools::{has, skipped, works},
};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/rotators/python/rotate.py");

/// That of the packages that `.ci/run` installs, or any where the handler is Python's own.
fn python(module: &str) -> Option<String> {
    let ours = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/rotators/python/bin/python3");
    let ours = ours.display().to_string();
    let mut interpreters = [ours.as_str(), "python3"].into_iter();
    interpreters.find(|python| works(&[python, "-c", &format!("import {module}")])).map(str::to_owned)
}

fn rotate(python: &str, handler: &str) -> Command {
    let mut command = Command::new(python);
    command.args([SCRIPT, handler, AUDIT]);
    command
}

/// Logs with each of these handlers of a module.
fn assert_exact_with(test: &str, module: &str, handlers: &[&str]) {
    let Some(python) = python(module) else {
        return skipped(test, &format!("no Python has {module}: .ci/run installs it"));
    };
    for handler in handlers {
        let start = |sidecar: &Sidecar| Program::piped(sidecar, &mut rotate(&python, handler));
        assert_exact(&format!("Python, {handler}"), &[AUDIT, "logs/audit*.log*"], start);
    }
}

#[test]
fn python_rotating_file_handler() {
    assert_exact_with("python_rotating_file_handler", "logging", &["rotating", "rotating-gzip"]);
}

#[test]
fn python_timed_rotating_file_handler() {
    let test = "python_timed_rotating_file_handler";
    let Some(python) = python("logging").filter(|_| has("faketime")) else {
        return skipped(test, "python3 or faketime is not in PATH");
    };
    let start = |sidecar: &Sidecar| Program::piped_in_a_hurry(sidecar, &rotate(&python, "timed"));
    assert_exact("Python, timed", &[AUDIT, "logs/audit*.log*"], start);
}

#[test]
fn python_concurrent_log_handler() {
    assert_exact_with("python_concurrent_log_handler", "concurrent_log_handler", &["concurrent"]);
}

// It compresses after the next file has begun, and leaves the time of that: where many came between two looks, neither
// time nor number says for certain which is older.
#[test]
fn python_concurrent_log_handler_with_gzip() {
    let test = "python_concurrent_log_handler_with_gzip";
    let Some(python) = python("concurrent_log_handler") else {
        return skipped(test, "no Python has concurrent_log_handler: .ci/run installs it");
    };
    let start = |sidecar: &Sidecar| Program::piped(sidecar, &mut rotate(&python, "concurrent-gzip"));
    assert_complete("Python, concurrent-gzip", &[AUDIT, "logs/audit*.log*"], start);
}

#[test]
fn python_loguru() {
    assert_exact_with("python_loguru", "loguru", &["loguru", "loguru-gzip"]);
}
