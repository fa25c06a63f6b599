//! Exit statuses, as docs/commands.md lists them (the names of `sysexits.h` where it has one).

use crate::{
    app::StartError,
    forwarder::journal::JournalError,
    lock::LockError,
    log::{catalog::CatalogError, spool::SpoolError},
    source::{SourceStartError, listener::ListenError},
};

/// What a command ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; or drained, and everything is delivered.
    Ok = 0,
    /// Stopped with a backlog that is safe on disk, or before it was known whether there is one.
    Backlog = 10,
    /// Drained, but events were set aside or lost in this run, or could not be read.
    Shortfall = 11,
    /// Wrong arguments.
    Usage = 64,
    /// `verify-konnect` found a record that is not as it was signed, or no keys.
    Invalid = 65,
    /// `ping` found a receiver that does not take events.
    Unavailable = 69,
    /// A bug in auditpost.
    Software = 70,
    /// The state directory or a socket cannot be created.
    CannotCreate = 73,
    /// Storage fails.
    Storage = 74,
    /// Another instance holds the state directory.
    Locked = 75,
    /// The configuration is invalid.
    Config = 78,
    /// `demo` was ended before it could say anything, as a shell says of Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<&StartError> for Exit {
    fn from(error: &StartError) -> Self {
        match error {
            StartError::StateDir { .. } | StartError::Private(_) | StartError::Admin(_) => Self::CannotCreate,
            StartError::Lock(error) => error.into(),
            StartError::Journal { source, .. } => source.into(),
            StartError::DeadLetters { .. } => Self::Storage,
            StartError::Webhook { .. } => Self::Config,
            StartError::Source(error) => error.into(),
        }
    }
}

impl From<&SourceStartError> for Exit {
    fn from(error: &SourceStartError) -> Self {
        use SourceStartError::{Catalog, Copied, Listen, Private, Spool};
        match error {
            Private(_) => Self::CannotCreate,
            Catalog { source, .. } | Spool { source: SpoolError::Catalog(source), .. } => match source {
                CatalogError::Newer { .. } => Self::Config,
                CatalogError::Read { .. } | CatalogError::Unreadable { .. } => Self::Storage,
            },
            Copied { .. } | Spool { source: SpoolError::Dir { .. }, .. } => Self::Storage,
            Listen { source: ListenError::Configured(_), .. } => Self::Config,
            Listen { .. } => Self::CannotCreate,
        }
    }
}

impl From<&LockError> for Exit {
    fn from(error: &LockError) -> Self {
        match error {
            LockError::Held { .. } => Self::Locked,
            LockError::Io { .. } => Self::CannotCreate,
        }
    }
}

impl From<&JournalError> for Exit {
    fn from(error: &JournalError) -> Self {
        match error {
            JournalError::Directory(_) => Self::CannotCreate,
            JournalError::Newer { .. } | JournalError::OtherForwarder { .. } => Self::Config,
            JournalError::Io { .. } | JournalError::Damaged { .. } => Self::Storage,
        }
    }
}
