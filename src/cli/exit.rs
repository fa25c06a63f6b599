//! Exit statuses, as docs/commands.md lists them (the names of `sysexits.h` where it has one).

/// What a command ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or drained.
    Ok = 0,
    /// Stopped with a backlog that is safe on disk.
    Backlog = 10,
    /// Wrong arguments.
    Usage = 64,
    /// `verify-konnect` found a record that is not as it was signed, or no keys.
    Invalid = 65,
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
