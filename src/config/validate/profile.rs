//! What a profile sets, and what there is without one: the table of the README.

use super::super::{Compression, Format, Framing, Level, schema::Profile};
use crate::VERSION;

/// Defaults of one forwarder. A key beside the profile wins.
pub(super) struct Defaults {
    pub(super) content_type: &'static str,
    pub(super) content_encoding: &'static str,
    pub(super) compression: Compression,
    pub(super) user_agent: String,
}

/// The framing, where none is written.
pub(super) fn framing(profile: Profile) -> Framing {
    match profile {
        Profile::None | Profile::Konnect => Framing::Lines,
        Profile::Chainloop => Framing::Single,
    }
}

pub(super) fn defaults(profile: Profile, format: Format, framing: Framing) -> Defaults {
    let ours = Defaults {
        content_type: match (format, framing) {
            (Format::Cef, _) => "text/plain; charset=utf-8",
            (Format::Json, Framing::Lines) => "application/x-ndjson",
            (Format::Json, Framing::Array | Framing::Single) => "application/json",
        },
        content_encoding: "gzip",
        compression: Compression::Gzip(Level::Default),
        user_agent: format!("auditpost/{VERSION}"),
    };
    match profile {
        Profile::None => ours,
        Profile::Konnect => {
            Defaults { content_type: "application/text", content_encoding: "application/gzip", ..ours }
        }
        Profile::Chainloop => Defaults {
            content_type: "application/json",
            compression: Compression::None,
            user_agent: "Chainloop-Audit-Logger/1.0".to_owned(),
            ..ours
        },
    }
}
