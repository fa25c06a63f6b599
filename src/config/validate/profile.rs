//! What a profile sets, and what there is without one: the tables of docs/siem.md.

use super::{
    super::{Answers, Compression, CompressionLevel, Format, Framing, written::Profile},
    delivery::{MAX_BYTES, MAX_EVENTS},
    intakes,
};
use crate::VERSION;

/// Defaults of one forwarder. A key beside the profile wins.
pub(super) struct Defaults {
    /// `None`: what format and framing say.
    pub(super) content_type: Option<&'static str>,
    pub(super) content_encoding: &'static str,
    pub(super) compression: Compression,
    pub(super) user_agent: String,
    pub(super) framing: Framing,
    pub(super) wrap: Option<WrapText>,
    /// The header of a token, and the word before it.
    pub(super) token: (&'static str, Option<&'static str>),
    /// Of OAuth 2.
    pub(super) scope: Option<&'static str>,
    pub(super) max_events: usize,
    pub(super) max_bytes: usize,
    pub(super) answers: Answers,
}

/// A wrap as its keys would have it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WrapText {
    pub(super) event: &'static str,
    pub(super) prefix: &'static str,
    pub(super) suffix: &'static str,
}

impl Defaults {
    fn ours() -> Self {
        Self {
            content_type: None,
            content_encoding: "gzip",
            compression: Compression::Gzip(CompressionLevel::Default),
            user_agent: format!("auditpost/{VERSION}"),
            framing: Framing::Lines,
            wrap: None,
            token: ("authorization", Some("Bearer")),
            scope: None,
            max_events: MAX_EVENTS,
            max_bytes: MAX_BYTES,
            answers: Answers::Status,
        }
    }
}

pub(super) fn defaults(profile: Profile) -> Defaults {
    let ours = Defaults::ours();
    match profile {
        Profile::None => ours,
        Profile::Konnect => {
            Defaults { content_type: Some("application/text"), content_encoding: "application/gzip", ..ours }
        }
        Profile::Chainloop => Defaults {
            content_type: Some("application/json"),
            compression: Compression::None,
            user_agent: "Chainloop-Audit-Logger/1.0".to_owned(),
            framing: Framing::Single,
            ..ours
        },
        intake => intakes::defaults(intake, ours),
    }
}

/// What a body is where neither a profile nor a key says it. Whatever the format, what is wrapped is JSON.
pub(super) fn content_type(format: Format, framing: Framing, wrapped: bool) -> &'static str {
    match (format, framing) {
        (Format::Cef, _) if !wrapped => "text/plain; charset=utf-8",
        (_, Framing::Lines) => "application/x-ndjson",
        (_, Framing::Array | Framing::Single) => "application/json",
    }
}
