//! Programs that a web server pipes its log through. With a glob each of their files is one of its own, and there is no
//! order over files.

use std::process::Command;

use super::{AUDIT, Program, assert_complete, assert_exact};
use crate::{
    sidecar::Sidecar,
    tools::{has, skipped},
};

fn is_here(test: &str, program: &str, package: &str) -> bool {
    let missing = [(program, package), ("faketime", "faketime")].into_iter().find(|(program, _)| !has(program));
    if let Some((program, package)) = missing {
        skipped(test, &format!("{program} is not in PATH: apt-get install {package}"));
    }
    missing.is_none()
}

// The link moves on to the newest file.
#[test]
fn rotatelogs_with_a_link() {
    if !is_here("rotatelogs_with_a_link", "rotatelogs", "apache2-utils") {
        return;
    }
    let words = ["-L", AUDIT, "logs/audit.%Y%m%d%H%M%S.log", "1"];
    let start = |sidecar: &Sidecar| Program::piped_in_a_hurry(sidecar, Command::new("rotatelogs").args(words));
    assert_exact("rotatelogs -L", &[AUDIT], start);
    assert_complete("rotatelogs", &["logs/audit.2*.log"], start);
}

// Its files are cut and used anew in a ring, which is larger here than what is written.
#[test]
fn rotatelogs_in_a_ring() {
    if !is_here("rotatelogs_in_a_ring", "rotatelogs", "apache2-utils") {
        return;
    }
    let words = ["-n", "5000", AUDIT, "10K"];
    assert_complete("rotatelogs -n", &["logs/audit.log*"], |sidecar| {
        Program::piped(sidecar, Command::new("rotatelogs").args(words))
    });
}

#[test]
fn cronolog() {
    if !is_here("cronolog", "cronolog", "cronolog") {
        return;
    }
    assert_complete("cronolog", &["logs/audit-*.log"], |sidecar| {
        let path = sidecar.path("logs/audit-%Y%m%d%H%M%S.log").display().to_string();
        Program::piped_in_a_hurry(sidecar, Command::new("cronolog").arg(path))
    });
}
