//! The configuration as it is written: the mirror of `config.example.yaml` and nothing else.
//!
//! The one source of the key names: files are checked against the JSON Schema that is derived from these types, and
//! the comments on the fields are its descriptions. Every field is optional here; what must be there says
//! `required`, and defaults are `validate`'s.

mod cef;
mod forwarder;
mod http;
mod intake;
mod source;
mod value;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use cef::{WrittenCef, WrittenDialect, WrittenIpv6, WrittenMapping};
pub(super) use forwarder::{
    Algorithm, CompressionForm, ForwarderKind, LevelName, Method, Profile, WrittenBatch, WrittenCompression,
    WrittenCondition, WrittenFormat, WrittenForwarder, WrittenFraming, WrittenLevel, WrittenRetry, WrittenTls,
    WrittenVerdict,
};
pub(super) use http::{Signature, WrittenHmac, WrittenHmacAlgorithm, WrittenHmacEncoding};
pub(super) use intake::{Basic, WrittenAnswers, WrittenAuth, WrittenJson, WrittenOAuth2, WrittenWrap};
pub(super) use source::{
    Detach, EventSchema, FieldMap, FileFormat, OnFullForm, OnFullWord, ReadyMap, SocketType, Stream, Sync,
    WrittenFollowLinks, WrittenOnFull, WrittenSource, WrittenSourceFraming, WrittenSourceKind, WrittenStartAt,
};
pub(super) use value::{Duration, SecretText, Size, UNIT};

/// The configuration of auditpost.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "auditpost")]
pub(super) struct ConfigFile {
    /// Where cursors, journals and dead letters are kept, across restarts; for one process alone.
    /// Default: `./auditpost-state`
    pub(super) state_dir: Option<PathBuf>,
    /// How long a stop may take to deliver what waits; the rest stays on disk for the next start. Default: 20s
    pub(super) drain_timeout: Option<Duration>,
    /// Where events come from; at least one. Default: none, and it is needed
    pub(super) sources: Option<Vec<WrittenSource>>,
    /// Where events go to; at least one. Default: none, and it is needed
    pub(super) forwarders: Option<Vec<WrittenForwarder>>,
    /// Another name for `forwarders`; only one of them can be used. Default: none
    pub(super) audit_log_forwarders: Option<Vec<WrittenForwarder>>,
    /// Health, metrics and status, read-only, for whoever reaches the address. Default: off
    pub(super) admin: Option<WrittenAdmin>,
    /// auditpost's own diagnostics, on standard error. Default: as its keys say
    pub(super) log: Option<WrittenLog>,
}

/// Health, metrics and status, read-only.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Admin")]
pub(super) struct WrittenAdmin {
    /// Address and port, such as 127.0.0.1:9600.
    #[schemars(required)]
    pub(super) listen: Option<String>,
}

/// auditpost's own diagnostics.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Log")]
pub(super) struct WrittenLog {
    /// What is told, from the least to the most: errors alone, warnings, what happens, details. Default: info
    pub(super) level: Option<LogLevel>,
    /// How it is written: lines for people, or JSON. Default: text
    pub(super) format: Option<LogFormat>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
    Text,
    Json,
}
