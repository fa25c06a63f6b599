//! Events that cannot be delivered, kept with the reason, for people and for `dead-letters replay`.
//!
//! ```text
//! <stateDir>/dead-letters/<forwarder>/00000000000000000001.ndjson     plain JSON lines: cat, grep and jq work
//! {"v":1,"event_id":…,"forwarder":…,"source":…,"reason":…,"status":…,"excerpt":…,"time":…,"detail":…,
//!  "bytes":…,"payload":"text"}             or "payload_base64" where it is no UTF-8
//! {…,"payload_base64":…,"bytes":…,"sha256":…}                         where it was streamed
//! ```
//!
//! The payload stands behind what is known of it, so that a reader can pass over a huge one without holding it.
//!
//! What always holds: when a write returned, its letters are on disk. A crash leaves at most one torn last line, of a
//! letter that was not acknowledged; the next start cuts it off and writes to a new file, as after any failed write. A
//! letter may be written twice over a crash; readers show it once.

mod read;
#[cfg(test)]
mod tests;
mod write;

use jiff::Timestamp;

pub use read::{Letter, LetterFilter, Letters, select};
pub use write::DeadLetters;

/// Why an event is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    InvalidJson,
    InvalidUtf8,
    /// The file should be in the CRI format and the line is not.
    InvalidCri,
    LineTooLong,
    /// The receiver refused it, alone.
    Refused,
    /// The receiver found it too large, alone.
    TooLarge,
}

impl Reason {
    pub const ALL: [Self; 6] =
        [Self::InvalidJson, Self::InvalidUtf8, Self::InvalidCri, Self::LineTooLong, Self::Refused, Self::TooLarge];

    /// As it is written in the files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::InvalidCri => "invalid_cri",
            Self::LineTooLong => "line_too_long",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
        }
    }
}

/// What is said of an event beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct LetterEnvelope<'a> {
    pub event_id: &'a str,
    pub source: &'a str,
    pub reason: Reason,
    /// The receiver's HTTP status, where it was asked.
    pub status: Option<u16>,
    /// From the receiver's answer or from the line; at most [`MAX_TEXT`] bytes of it are kept.
    pub excerpt: &'a str,
    pub time: Timestamp,
    /// What is wrong, for a person; at most [`MAX_TEXT`] bytes of it are kept.
    pub detail: &'a str,
}

/// How much of an excerpt or a detail is kept, in bytes.
pub const MAX_TEXT: usize = 2048;

/// An event and why it cannot be delivered.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetter<'a> {
    pub envelope: LetterEnvelope<'a>,
    pub payload: &'a [u8],
}
