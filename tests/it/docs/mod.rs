//! What is written for people and editors: the schema, completions, manual pages, `docs/` and the README.

mod commands;
mod schema;

use std::{path::Path, process::Command};

/// The sources' directory.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a command prints to standard output, of one that must end well.
#[track_caller]
fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_auditpost")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
