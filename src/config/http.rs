//! What an `http` source takes, and from whom.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use reqwest::header::HeaderName;

use super::Token;

/// With padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Clone, Debug, PartialEq)]
pub struct HttpIntake {
    /// The one path that is posted to; any where there is none.
    pub path: Option<String>,
    /// Of a body as it is sent. Decoded it may have [`DECODED`] times as many.
    pub max_body_bytes: usize,
    pub max_connections: usize,
    pub senders: Senders,
}

/// A body may decode to so many times [`HttpIntake::max_body_bytes`].
pub const DECODED: usize = 4;

/// How senders show who they are: each way that is set must be right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Senders {
    /// In `Authorization`, as `Bearer TOKEN`.
    pub token: Option<Token>,
    pub hmac: Option<Hmac>,
    /// The secret of Standard Webhooks' signatures, `whsec_` and base64.
    pub signature: Option<Token>,
}

/// An HMAC of the body as it is sent, in a header.
#[derive(Clone, Debug, PartialEq)]
pub struct Hmac {
    pub secret: Token,
    pub header: HeaderName,
    pub algorithm: HmacAlgorithm,
    pub encoding: HmacEncoding,
    /// Stands in the header before the HMAC, `sha256=` for example.
    pub prefix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HmacAlgorithm {
    Sha256,
    Sha1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HmacEncoding {
    Hex,
    Base64,
}

/// The bytes of a secret of Standard Webhooks, `whsec_` and base64; `None` where it is none.
pub fn webhook_key(text: &str) -> Option<Vec<u8>> {
    base64(text.strip_prefix("whsec_")?.as_bytes()).filter(|bytes| !bytes.is_empty())
}

/// Decodes base64 with its padding or without.
pub(crate) fn base64(text: &[u8]) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}
