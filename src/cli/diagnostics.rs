//! Our own messages: to standard error, in the format and at the level of the configuration.

use std::{
    fmt::{self as text, Write as _},
    io::{self, IsTerminal},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt,
    filter::LevelFilter,
    fmt::{self, format::Writer},
};

use super::printable::printable;
use crate::config::{Diagnostics, DiagnosticsFormat};

/// Installs the subscriber. Other crates' messages are shown from warnings on, for their bodies and headers are
/// none of ours to print.
pub fn install(diagnostics: &Diagnostics) {
    let level = LevelFilter::from_level(diagnostics.level);
    let filter = EnvFilter::new(format!("warn,auditpost={level}"));
    let builder = fmt::fmt().with_env_filter(filter).with_writer(Stderr::new).with_target(false);
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let installed = match diagnostics.format {
        DiagnosticsFormat::Text => {
            let fields = fmt::format::debug_fn(|to, field, value| match field.name() {
                "message" => write!(Printable { to, line_end: "\n    " }, "{value:?}"),
                name => write!(Printable { to, line_end: "\\n" }, "{name}={value:?}"),
            });
            builder.with_ansi(colours).fmt_fields(fields.delimited(" ")).try_init()
        }
        DiagnosticsFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    // A second installation in one process changes nothing.
    drop(installed);
}

/// Names of files and words of peers stand in messages: none of them begins a line or steers a terminal.
struct Printable<'a, 'w> {
    to: &'a mut Writer<'w>,
    line_end: &'static str,
}

impl text::Write for Printable<'_, '_> {
    fn write_str(&mut self, text: &str) -> text::Result {
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.to.write_str(self.line_end)?;
            }
            self.to.write_str(&printable(line))?;
        }
        Ok(())
    }
}

/// Standard error that is closed, full or not read is no reason to stop forwarding.
struct Stderr(io::Stderr);

/// How long a message waits for a reader that was prompt until now.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// What a pipe takes at once without blocking, once it says that it takes anything.
const AT_ONCE: usize = 4096;

/// Nobody reads: messages are dropped without waiting, until somebody does.
static STALLED: AtomicBool = AtomicBool::new(false);

impl Stderr {
    fn new() -> Self {
        Self(io::stderr())
    }

    fn takes_more(&self) -> bool {
        let patience = if STALLED.load(Relaxed) { Timespec::default() } else { PATIENCE };
        let mut fds = [PollFd::new(&self.0, PollFlags::OUT)];
        // Where it cannot be asked, writing tells.
        let takes = poll(&mut fds, Some(&patience)).is_err() || !fds[0].revents().is_empty();
        STALLED.store(!takes, Relaxed);
        takes
    }
}

impl io::Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for chunk in bytes.chunks(AT_ONCE) {
            if !self.takes_more() || self.0.write_all(chunk).is_err() {
                break;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}
