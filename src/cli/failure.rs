//! Why a command ended without its result, and with which status.

use std::io::{self, Write};

use crate::{forwarder::journal::JournalError, lock::LockError};

use super::exit::Exit;

#[derive(Debug)]
pub(super) enum Failure {
    /// Nobody reads the output any more, which is no fault of anybody.
    ClosedPipe,
    Told(Exit, String),
}

impl Failure {
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::Told(Exit::Usage, message.into())
    }

    /// Both are told; the first decides the status.
    pub(super) fn and(self, later: Self) -> Self {
        match (self, later) {
            (Self::Told(exit, first), Self::Told(_, second)) => {
                Self::Told(exit, format!("{first}\nauditpost: {second}"))
            }
            (Self::ClosedPipe, _) | (_, Self::ClosedPipe) => Self::ClosedPipe,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            io::ErrorKind::InvalidInput => Self::usage(error.to_string()),
            _ => Self::Told(Exit::Storage, error.to_string()),
        }
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        Self::Told((&error).into(), error.to_string())
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::Told((&error).into(), error.to_string())
    }
}

/// Runs a command against standard output and says on standard error why it failed.
pub(super) fn report(command: impl FnOnce(&mut dyn Write) -> Result<Exit, Failure>) -> Exit {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let result = command(&mut out).and_then(|exit| Ok(out.flush().map(|()| exit)?));
    match result {
        Ok(exit) => exit,
        Err(Failure::ClosedPipe) => Exit::Ok,
        Err(Failure::Told(exit, message)) => {
            // What was found before the failure is the result so far. Where nobody hears us the status tells.
            let _ = out.flush();
            let _ = writeln!(io::stderr(), "auditpost: {message}");
            exit
        }
    }
}
