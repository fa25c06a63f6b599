//! `auditpost schema`: the JSON Schema of the configuration, as it is derived from the types that read it.

use super::{exit::Exit, failure::report};
use crate::config;

/// Prints it. An editor that knows it names wrong keys and words while they are written.
pub fn run() -> Exit {
    report(|out| {
        writeln!(out, "{:#}", config::json_schema())?;
        Ok(Exit::Ok)
    })
}
