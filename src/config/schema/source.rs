//! `sources`, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Duration, Size};

/// Where events come from.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Source {
    /// Unique; lower-case letters, digits and `-`, at most 63.
    #[schemars(required, regex(pattern = "^[a-z0-9-]{1,63}$"))]
    pub(in crate::config) name: Option<String>,
    /// What is read. Default: file
    pub(in crate::config) kind: Option<SourceKind>,
    /// Paths or globs of the files to follow.
    pub(in crate::config) include: Option<Vec<String>>,
    /// Globs of files not to follow; without a `/` they are matched against the file name.
    pub(in crate::config) exclude: Option<Vec<String>>,
    /// Where to begin in files that are seen at the first start. Default: beginning
    pub(in crate::config) start_at: Option<StartAt>,
    /// What the lines are. Default: auto
    pub(in crate::config) schema: Option<EventSchema>,
    /// Where fields are: their names to JSON pointers, or the word of a map that is ready. Only with schema generic.
    pub(in crate::config) fields: Option<FieldMap>,
    /// A longer line goes to the dead letters. Default: 1MiB
    pub(in crate::config) max_event_bytes: Option<Size>,
    /// How often the paths are scanned. Default: 1s
    pub(in crate::config) scan_interval: Option<Duration>,
    /// How long a rotated or deleted file must be quiet before it counts as finished. Default: 30s
    pub(in crate::config) seal_after: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum SourceKind {
    File,
    Stdin,
    Unix,
    Tcp,
    Udp,
    Http,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum StartAt {
    Beginning,
    End,
}

/// A map that is ready, or names of fields to JSON pointers.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum FieldMap {
    Ready(ReadyMap),
    Own(BTreeMap<String, String>),
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum ReadyMap {
    Kubernetes,
    Vault,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum EventSchema {
    Auto,
    Connect,
    Infrakitchen,
    Konnect,
    Chainloop,
    Kubernetes,
    Vault,
    Generic,
    Raw,
}
