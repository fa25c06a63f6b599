//! How rotated files are named, and which of their names a glob has.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

/// A rotator's way of naming; each is one of the rows of a real program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamingScheme {
    /// `a.log.1` is the newest, as logrotate has it.
    AfterName,
    /// `a-<time>.log`, as lumberjack and the Kubernetes API server have it.
    TimeBeforeExtension,
    /// `a.1.log` is the newest.
    NumberBeforeExtension,
    /// `a.1.log` is the oldest, as winston and pino-roll have it.
    NumberUpward,
    /// `<time>-a.log`, as rotating-file-stream has it.
    TimeBeforeName,
    /// `current` becomes `@<time>.s`, as svlogd and s6-log have it.
    CurrentToAt,
    /// `old/a.log.1` is the newest, as logrotate has it with `olddir`.
    OldDirectory,
}

impl NamingScheme {
    pub(super) const ALL: [Self; 7] = [
        Self::AfterName,
        Self::TimeBeforeExtension,
        Self::NumberBeforeExtension,
        Self::NumberUpward,
        Self::TimeBeforeName,
        Self::CurrentToAt,
        Self::OldDirectory,
    ];

    /// The file that is written to.
    pub(super) fn active(self) -> OsString {
        if self == Self::CurrentToAt { "current" } else { "a.log" }.into()
    }

    /// The name of the generation that is rotated away in this round.
    pub(super) fn rotated(self, round: u32) -> OsString {
        let (minute, second) = (round / 60, round % 60);
        let name = match self {
            Self::AfterName => "a.log.1".to_owned(),
            Self::TimeBeforeExtension => format!("a-2026-11-29T20-{minute:02}-{second:02}.000.log"),
            Self::NumberBeforeExtension => "a.1.log".to_owned(),
            Self::NumberUpward => format!("a.{round}.log"),
            Self::TimeBeforeName => format!("20261129-20{minute:02}-{second:02}-a.log"),
            Self::CurrentToAt => format!("@400000006b1c{round:04x}2f5c3a1c.s"),
            Self::OldDirectory => "old/a.log.1".to_owned(),
        };
        name.into()
    }

    /// The name of the generation that is the `n`th from the newest, where they move up at each rotation.
    pub(super) fn shifted(self, n: u32) -> Option<String> {
        match self {
            Self::AfterName => Some(format!("a.log.{n}")),
            Self::NumberBeforeExtension => Some(format!("a.{n}.log")),
            Self::OldDirectory => Some(format!("old/a.log.{n}")),
            _ => None,
        }
    }

    /// Whether a glob has this name that has the active file and its generations.
    pub(super) fn is_in_glob(self, name: &OsStr) -> bool {
        let name = name.as_bytes();
        match self {
            Self::AfterName | Self::OldDirectory => name.starts_with(b"a.log"),
            Self::TimeBeforeExtension | Self::NumberBeforeExtension | Self::NumberUpward => {
                name.starts_with(b"a") && name.windows(4).any(|part| part == b".log")
            }
            Self::TimeBeforeName => name.windows(5).any(|part| part == b"a.log"),
            Self::CurrentToAt => name == b"current" || name.starts_with(b"@"),
        }
    }
}

/// A name with a byte that is in no UTF-8.
pub(super) fn odd_name(begin: &str, round: u32) -> OsString {
    let mut name = begin.as_bytes().to_vec();
    name.push(0xFF);
    name.extend(round.to_string().bytes());
    OsString::from_vec(name)
}

pub(super) fn with_suffix(name: &OsStr, suffix: &str) -> OsString {
    let mut name = name.to_owned();
    name.push(suffix);
    name
}
