//! Our own messages: to standard error, in the format and at the level of the configuration.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, filter::LevelFilter, fmt};

use crate::config::{Diagnostics, DiagnosticsFormat};

/// Installs the subscriber. Other crates' messages are shown from warnings on, for their bodies and headers are
/// none of ours to print.
pub fn install(diagnostics: &Diagnostics) {
    let level = LevelFilter::from_level(diagnostics.level);
    let filter = EnvFilter::new(format!("warn,auditpost={level}"));
    let builder = fmt().with_env_filter(filter).with_writer(Stderr::new).with_target(false);
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let installed = match diagnostics.format {
        DiagnosticsFormat::Text => builder.with_ansi(colours).try_init(),
        DiagnosticsFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    // A second installation in one process changes nothing.
    drop(installed);
}

/// Standard error that is closed or full is no reason to stop forwarding.
struct Stderr(io::Stderr);

impl Stderr {
    fn new() -> Self {
        Self(io::stderr())
    }
}

impl io::Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}
