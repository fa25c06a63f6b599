//! Who may hand events to an `http` source, as written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::SecretText;

/// An HMAC of the body as it is sent, in a header.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Hmac")]
pub(in crate::config) struct WrittenHmac {
    /// The secret itself, instead of a file. Default: none
    pub(in crate::config) secret: Option<SecretText>,
    /// A file that holds the secret, in one line; read again when it changes. Default: none
    pub(in crate::config) secret_file: Option<PathBuf>,
    /// The header that the HMAC is in.
    #[schemars(required)]
    pub(in crate::config) header: Option<String>,
    /// The hash. Default: sha256
    pub(in crate::config) algorithm: Option<WrittenHmacAlgorithm>,
    /// How its bytes are written. Default: hex
    pub(in crate::config) encoding: Option<WrittenHmacEncoding>,
    /// Stands before the HMAC in the header, such as sha256=. Default: nothing
    pub(in crate::config) prefix: Option<String>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "HmacAlgorithm")]
pub(in crate::config) enum WrittenHmacAlgorithm {
    Sha256,
    Sha1,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "HmacEncoding")]
pub(in crate::config) enum WrittenHmacEncoding {
    Hex,
    Base64,
}

/// Signatures of Standard Webhooks.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Signature {
    /// The secret itself, instead of a file: whsec_ and base64. Default: none
    pub(in crate::config) secret: Option<SecretText>,
    /// A file that holds the secret, in one line; read again when it changes. Default: none
    pub(in crate::config) secret_file: Option<PathBuf>,
}
