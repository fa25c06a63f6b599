//! `sources`, as written.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Duration, Hmac, SecretText, Signature, Size};

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
    /// When what was handed over is on disk. Default: always
    pub(in crate::config) sync: Option<Sync>,
    /// How much may wait for forwarders. Default: 256MiB
    pub(in crate::config) max_bytes: Option<Size>,
    /// What happens when as much waits. Default: block
    pub(in crate::config) on_full: Option<OnFull>,
    /// Address and port of kinds tcp, udp and http, such as 127.0.0.1:5140.
    pub(in crate::config) listen: Option<String>,
    /// The socket's file, of kind unix; the only path that is posted to, of kind http, where it is any by default.
    pub(in crate::config) path: Option<PathBuf>,
    /// Of kind unix. Default: stream
    pub(in crate::config) socket_type: Option<SocketType>,
    /// The permissions of the socket's file, in octal digits, of kind unix. Default: "0660"
    pub(in crate::config) mode: Option<String>,
    /// Users by uid or name who alone may connect, of kind unix. Default: whoever may open the file
    pub(in crate::config) allow_users: Option<Vec<String>>,
    /// What is the event in what arrives. Default: lines
    pub(in crate::config) framing: Option<SourceFraming>,
    /// Whether clients are told what is taken, of kinds tcp and unix. Default: false
    pub(in crate::config) acks: Option<bool>,
    /// More clients wait, of kinds tcp and unix, or are told to come again, of kind http. Default: 1000
    #[schemars(range(min = 1, max = 100_000))]
    pub(in crate::config) max_connections: Option<u32>,
    /// A client that has completed no record for so long is let go if it has begun one, or if maxConnections is reached; of kinds
    /// tcp and unix. Default: 5m
    pub(in crate::config) idle_timeout: Option<Duration>,
    /// TLS of kinds tcp and http.
    pub(in crate::config) tls: Option<SourceTls>,
    /// The bearer token that senders must show, of kind http.
    pub(in crate::config) token: Option<SecretText>,
    /// A file that holds the token; read again when it changes.
    pub(in crate::config) token_file: Option<PathBuf>,
    /// An HMAC of the body that senders must show, of kind http.
    pub(in crate::config) hmac: Option<Hmac>,
    /// Signatures of Standard Webhooks that senders must show, of kind http.
    pub(in crate::config) signature: Option<Signature>,
    /// The largest body as it is sent, of kind http; decoded it may have four times as much. Default: 16MiB
    pub(in crate::config) max_body_bytes: Option<Size>,
}

/// When what was handed over is on disk.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Sync {
    Always,
    Interval,
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum OnFull {
    Block,
    Detach,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum SocketType {
    Stream,
    Datagram,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum SourceFraming {
    Lines,
    Syslog,
}

/// The certificate that clients see, and whether they must show one.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct SourceTls {
    /// PEM chain of the certificate.
    #[schemars(required)]
    pub(in crate::config) cert_file: Option<PathBuf>,
    /// PEM key of the certificate.
    #[schemars(required)]
    pub(in crate::config) key_file: Option<PathBuf>,
    /// PEM roots; clients must show a certificate of one of them.
    pub(in crate::config) client_ca_file: Option<PathBuf>,
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
