//! What an intake asks for beside lines and a bearer token, as written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::SecretText;

/// How events stand in a body.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Json")]
pub(in crate::config) struct WrittenJson {
    /// What stands round each event and round the body. Default: nothing
    pub(in crate::config) wrap: Option<WrittenWrap>,
}

/// An event's wrapper and the envelope round the batch.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Wrap")]
pub(in crate::config) struct WrittenWrap {
    /// An event: %json% as it is, %text% as a JSON string, %source%, its %time.s%, %time.ms% or %time.ns%;
    /// what stands between %if.time% and %end% where it has a time. Default: `"%json%"`
    pub(in crate::config) event: Option<String>,
    /// What the body begins with. Default: nothing
    pub(in crate::config) prefix: Option<String>,
    /// What the body ends with. Default: nothing
    pub(in crate::config) suffix: Option<String>,
}

/// Who we are to the receiver.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Auth")]
pub(in crate::config) struct WrittenAuth {
    /// The word before the token. Default: `Bearer`
    pub(in crate::config) scheme: Option<String>,
    /// The header that the token is sent in; without a scheme, the token alone. Default: `Authorization`
    pub(in crate::config) header: Option<String>,
    /// A user and a password. Default: none
    pub(in crate::config) basic: Option<Basic>,
    /// A token that is fetched and renewed: OAuth 2 client credentials. Default: none
    pub(in crate::config) oauth2: Option<WrittenOAuth2>,
}

/// A user and a password.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Basic {
    /// Who we are; without a colon.
    #[schemars(required)]
    pub(in crate::config) username: Option<String>,
    /// The password itself, instead of a file. Default: none
    pub(in crate::config) password: Option<SecretText>,
    /// A file that holds the password; read again when it changes. Default: none
    pub(in crate::config) password_file: Option<PathBuf>,
}

/// OAuth 2 client credentials.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "OAuth2")]
pub(in crate::config) struct WrittenOAuth2 {
    /// Where the token comes from, http or https.
    #[schemars(required, extend("format" = "uri"))]
    pub(in crate::config) token_url: Option<String>,
    /// Who we are to the token's issuer.
    #[schemars(required)]
    pub(in crate::config) client_id: Option<String>,
    /// The client's secret itself, instead of a file. Default: none
    pub(in crate::config) client_secret: Option<SecretText>,
    /// A file that holds the client's secret; read again when it changes. Default: none
    pub(in crate::config) client_secret_file: Option<PathBuf>,
    /// What the token is to be good for. Default: the profile's, or none
    pub(in crate::config) scope: Option<String>,
    /// Whom the token is for, where the token's issuer wants to be told. Default: none
    pub(in crate::config) audience: Option<String>,
}

/// What of an answer counts.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Answers")]
pub(in crate::config) enum WrittenAnswers {
    Status,
    Bulk,
}
