//! `forwarders`, as written.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Duration, SecretText, Size, WrittenAnswers, WrittenAuth, WrittenCef, WrittenJson};

/// Where events go to.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Forwarder")]
pub(in crate::config) struct WrittenForwarder {
    /// Unique; lower-case letters, digits and `-`, at most 63. Default: the host of the uri
    #[schemars(regex(pattern = "^[a-z0-9-]{1,63}$"))]
    pub(in crate::config) name: Option<String>,
    /// How it is sent. Default: webhook
    pub(in crate::config) kind: Option<ForwarderKind>,
    /// The webhook, http or https.
    #[schemars(required, extend("format" = "uri"))]
    pub(in crate::config) uri: Option<String>,
    /// Takes plain http to a host other than this machine. Default: false
    pub(in crate::config) allow_http: Option<bool>,
    /// The request's method. Default: POST
    pub(in crate::config) method: Option<Method>,
    /// The bearer token, or what `auth` and the profile make of it. Default: none
    pub(in crate::config) token: Option<SecretText>,
    /// A file that holds the token; read again when it changes and after a 401. Default: none
    pub(in crate::config) token_file: Option<PathBuf>,
    /// How we show who we are, where it is not by a bearer token. Default: none
    pub(in crate::config) auth: Option<WrittenAuth>,
    /// More headers, by name; their values are never shown. Default: none
    #[schemars(extend("writeOnly" = true))]
    pub(in crate::config) headers: Option<BTreeMap<String, SecretText>>,
    /// Names of the sources it follows. Default: every source
    pub(in crate::config) sources: Option<Vec<String>>,
    /// Event types to send. Default: `[all]`
    pub(in crate::config) enabled_events: Option<Vec<String>>,
    /// Event types not to send, taken from the enabled ones. Default: none
    pub(in crate::config) disabled_events: Option<Vec<String>>,
    /// Outcomes to send: success, failure, denied, or an application's own words. Default: any
    pub(in crate::config) outcomes: Option<Vec<String>>,
    /// Ids, names or e-mail addresses of actors whose events to send. Default: any
    pub(in crate::config) actors: Option<Vec<String>>,
    /// Types, ids or names of targets to send events of. Default: any
    pub(in crate::config) targets: Option<Vec<String>>,
    /// What else must be true of an event to be sent; all of it. Default: nothing
    #[serde(rename = "where")]
    pub(in crate::config) conditions: Option<Vec<WrittenCondition>>,
    /// json sends events byte for byte; cef writes a line of CEF for each. Default: json
    pub(in crate::config) format: Option<WrittenFormat>,
    /// How CEF is written, with format cef. Default: as its keys say
    pub(in crate::config) cef: Option<WrittenCef>,
    /// How a batch makes a body: a line each, one JSON array, or one event a request. Default: lines
    pub(in crate::config) framing: Option<WrittenFraming>,
    /// What stands round the events, of either format. Default: nothing
    pub(in crate::config) json: Option<WrittenJson>,
    /// Defaults of other keys, for a known receiver; any key beside it wins. Default: none
    pub(in crate::config) profile: Option<Profile>,
    /// How bodies are compressed. Default: gzip
    pub(in crate::config) compression: Option<WrittenCompression>,
    /// The Content-Type header. Default: what format, framing and profile say
    pub(in crate::config) content_type: Option<String>,
    /// The Content-Encoding header of a compressed body. Default: `gzip`
    pub(in crate::config) content_encoding: Option<String>,
    /// The User-Agent header. Default: auditpost/VERSION
    pub(in crate::config) user_agent: Option<String>,
    /// How long a whole request may take, from connecting to the answer's head; then it is tried again. Default: 5s
    pub(in crate::config) timeout: Option<Duration>,
    /// When a batch is full and sent. Default: as its keys say
    pub(in crate::config) batch: Option<WrittenBatch>,
    /// How it is tried again. Default: as its keys say
    pub(in crate::config) retry: Option<WrittenRetry>,
    /// Batches on the way at once; above 1 their order may change. Default: 1
    #[schemars(range(min = 1, max = 64))]
    pub(in crate::config) in_flight: Option<usize>,
    /// TLS of https. Default: the platform's roots
    pub(in crate::config) tls: Option<WrittenTls>,
    /// What a status means, where the receiver does not keep to HTTP: status to verdict. Default: as HTTP has it
    pub(in crate::config) responses: Option<BTreeMap<String, WrittenVerdict>>,
    /// What of an answer counts: its status, or with bulk also the status of each item in it. Default: status
    pub(in crate::config) answers: Option<WrittenAnswers>,
}

/// What must be true of one place in an event.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Condition")]
pub(in crate::config) struct WrittenCondition {
    /// The name of a field, such as request.method, or a JSON pointer, such as /request/method.
    #[schemars(required)]
    pub(in crate::config) field: Option<String>,
    /// It is one of these. Default: anything
    #[serde(rename = "in")]
    pub(in crate::config) is_in: Option<Vec<String>>,
    /// It is none of these, or absent. Default: nothing
    pub(in crate::config) not_in: Option<Vec<String>>,
    /// A regular expression is found in it; write `$$` for a `$`. Default: none
    pub(in crate::config) matches: Option<String>,
    /// It is there, or it is not. Default: either
    pub(in crate::config) exists: Option<bool>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum ForwarderKind {
    Webhook,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(in crate::config) enum Method {
    Post,
    Put,
    Patch,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Format")]
pub(in crate::config) enum WrittenFormat {
    Json,
    Cef,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Framing")]
pub(in crate::config) enum WrittenFraming {
    Lines,
    Array,
    Single,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum Profile {
    #[default]
    None,
    Konnect,
    Chainloop,
    SplunkHec,
    SplunkHecRaw,
    Sumo,
    Datadog,
    ElasticBulk,
    Sentinel,
    Secops,
    Panther,
    Logscale,
    Loki,
    BetterStack,
    Dynatrace,
}

/// An algorithm, or an algorithm and its level.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Compression")]
pub(in crate::config) enum WrittenCompression {
    Short(Algorithm),
    Long(CompressionForm),
}

/// The long form.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct CompressionForm {
    /// What compresses it. Default: gzip
    pub(in crate::config) algorithm: Option<Algorithm>,
    /// How hard it is compressed: a word, or the number of the library, 0 to 12. Default: default
    pub(in crate::config) level: Option<WrittenLevel>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Algorithm {
    Gzip,
    None,
}

/// A name, or the backend's own number.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Level")]
pub(in crate::config) enum WrittenLevel {
    Named(LevelName),
    Number(#[schemars(range(max = 12))] u8),
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum LevelName {
    Fast,
    Default,
    Best,
}

/// When a batch is full; whichever comes first.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Batch")]
pub(in crate::config) struct WrittenBatch {
    /// How many events it may have. Default: 1000
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(in crate::config) max_events: Option<usize>,
    /// Its size before compression, 1KiB to 64MiB; a larger event goes alone. Default: 1MB
    pub(in crate::config) max_bytes: Option<Size>,
    /// How long the first event of a batch waits for others. Default: 1s
    pub(in crate::config) max_age: Option<Duration>,
}

/// The pauses between attempts: they double from one to the other, with jitter. There is no last attempt.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Retry")]
pub(in crate::config) struct WrittenRetry {
    /// The first pause. Default: 1s
    pub(in crate::config) initial: Option<Duration>,
    /// The longest pause; `Retry-After` may ask for a longer one, up to an hour. Default: 60s
    pub(in crate::config) max: Option<Duration>,
    /// How often a receiver that refuses us is tried again; after a 410 twelve times as long. Default: 5m
    pub(in crate::config) probe: Option<Duration>,
}

/// TLS of a forwarder.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Tls")]
pub(in crate::config) struct WrittenTls {
    /// PEM roots to trust instead of the platform's. Default: none
    pub(in crate::config) ca_file: Option<PathBuf>,
    /// PEM chain of the client certificate. Default: none
    pub(in crate::config) cert_file: Option<PathBuf>,
    /// PEM key of the client certificate. Default: none
    pub(in crate::config) key_file: Option<PathBuf>,
    /// Trusts whoever answers. For a trial only. Default: false
    pub(in crate::config) insecure_skip_verify: Option<bool>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Verdict")]
pub(in crate::config) enum WrittenVerdict {
    Delivered,
    Retry,
    Unauthorized,
    Hold,
    Halve,
    Narrow,
}
