//! `sources`, as written.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Duration, SecretText, Signature, Size, WrittenHmac};

/// Where events come from.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Source")]
pub(in crate::config) struct WrittenSource {
    /// Unique; lower-case letters, digits and `-`, at most 63. What was read is kept under it: another name reads anew.
    #[schemars(required, regex(pattern = "^[a-z0-9-]{1,63}$"))]
    pub(in crate::config) name: Option<String>,
    /// What is read. Default: file
    pub(in crate::config) kind: Option<WrittenSourceKind>,
    /// Paths or globs of the files to follow, of kind file: `*`, `?`, `[a-z]`, `[!a]`, `**`, `{a,b}`. A `~` is not
    /// expanded. Default: none, and kind file needs it
    pub(in crate::config) include: Option<Vec<String>>,
    /// Globs of files not to follow; without a `/` they are matched against the file name. Default: none
    pub(in crate::config) exclude: Option<Vec<String>>,
    /// Which symbolic links are followed, of kind file: those that lead to files below the directories that `include`
    /// names, all, or none. Default: within
    pub(in crate::config) follow_links: Option<WrittenFollowLinks>,
    /// Where to begin in files that are there at the very first start, of kind file. Default: beginning
    pub(in crate::config) start_at: Option<WrittenStartAt>,
    /// What the lines are: a system by name, any JSON (generic), any text (raw), or told from each record.
    /// Default: auto
    pub(in crate::config) schema: Option<EventSchema>,
    /// Where fields are: their names to JSON pointers, or the word of a map that is ready. Only with schema generic.
    /// Default: common names
    pub(in crate::config) fields: Option<FieldMap>,
    /// How events stand in the files. Default: lines
    pub(in crate::config) format: Option<FileFormat>,
    /// The stream of a container that is read, of format cri. Default: stdout
    pub(in crate::config) stream: Option<Stream>,
    /// Whether lines that do not begin as JSON objects are filtered instead of going to the dead letters. Default: false
    pub(in crate::config) only_json: Option<bool>,
    /// A longer line goes to the dead letters; 1KiB to 64MiB. Default: 1MiB
    pub(in crate::config) max_event_bytes: Option<Size>,
    /// How often the paths are scanned, of kind file; at least 10ms. Default: 1s
    pub(in crate::config) scan_interval: Option<Duration>,
    /// How long a rotated or deleted file must be quiet before it counts as finished, of kind file. Default: 30s
    pub(in crate::config) seal_after: Option<Duration>,
    /// How long a deleted file is held open before what is unread of it is copied to stateDir. Default: 1m
    pub(in crate::config) hold_deleted: Option<Duration>,
    /// Whether the lines of files are copied to a spool as they come, for files that are cut (copytruncate). Default: false
    pub(in crate::config) spool: Option<bool>,
    /// When what a spool takes is on disk: always (before it is acknowledged), interval (each second), never (when the
    /// kernel likes). Of every kind but file, and of file with `spool: true`. Default: always
    pub(in crate::config) sync: Option<Sync>,
    /// How much may wait for forwarders in a spool; at least 1MiB. Default: 256MiB
    pub(in crate::config) max_bytes: Option<Size>,
    /// What happens when `maxBytes` wait: nothing is taken until there is room (block), or the forwarders that hold the
    /// oldest of it give up what is above a limit, as a recorded gap (detach). Default: block
    pub(in crate::config) on_full: Option<WrittenOnFull>,
    /// Address and port of kinds tcp, udp and http, such as 127.0.0.1:5140. Default: none, and those kinds need it
    pub(in crate::config) listen: Option<String>,
    /// The socket's file, which kind unix needs; of kind http the only path that is posted to. Default: any path
    pub(in crate::config) path: Option<PathBuf>,
    /// Whether clients connect or send datagrams, one event each, of kind unix. Default: stream
    pub(in crate::config) socket_type: Option<SocketType>,
    /// The permissions of the socket's file, in octal digits, of kind unix. Default: `"0660"`
    pub(in crate::config) mode: Option<String>,
    /// Users by uid or name who alone may connect, of kind unix. Default: whoever may open the file
    pub(in crate::config) allow_users: Option<Vec<String>>,
    /// What is the event in what arrives, of kinds unix, tcp and udp: the line, or the message behind a syslog header.
    /// Default: lines
    pub(in crate::config) framing: Option<WrittenSourceFraming>,
    /// Whether clients are told how many records are taken (`ok 12`), of kinds tcp and unix. Default: false
    pub(in crate::config) acks: Option<bool>,
    /// More clients wait, of kinds tcp and unix, or are told to come again, of kind http. Default: 1000
    #[schemars(range(min = 1, max = 100_000))]
    pub(in crate::config) max_connections: Option<u32>,
    /// A client that has completed no record for so long is let go if it has begun one, or if maxConnections is reached; of kinds
    /// tcp and unix. Default: 5m
    pub(in crate::config) idle_timeout: Option<Duration>,
    /// TLS of kinds tcp and http. Default: none
    pub(in crate::config) tls: Option<WrittenSourceTls>,
    /// The bearer token that senders must show, of kind http. Default: none
    pub(in crate::config) token: Option<SecretText>,
    /// A file that holds the token; read again when it changes. Default: none
    pub(in crate::config) token_file: Option<PathBuf>,
    /// An HMAC of the body that senders must show, of kind http. Default: none
    pub(in crate::config) hmac: Option<WrittenHmac>,
    /// Signatures of Standard Webhooks that senders must show, of kind http. Default: none
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

/// A word, or `detach` with its limit.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "OnFull")]
pub(in crate::config) enum WrittenOnFull {
    Word(OnFullWord),
    Long(OnFullForm),
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum OnFullWord {
    Block,
    Detach,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct OnFullForm {
    /// The forwarders that hold the oldest of a full spool give it up.
    #[schemars(required)]
    pub(in crate::config) detach: Option<Detach>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Detach {
    /// A forwarder that holds no more of the spool gives up nothing. Default: a quarter of maxBytes
    pub(in crate::config) after: Option<Size>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum SocketType {
    Stream,
    Datagram,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SourceFraming")]
pub(in crate::config) enum WrittenSourceFraming {
    Lines,
    Syslog,
}

/// The certificate that clients see, and whether they must show one.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "SourceTls")]
pub(in crate::config) struct WrittenSourceTls {
    /// PEM chain of the certificate.
    #[schemars(required)]
    pub(in crate::config) cert_file: Option<PathBuf>,
    /// PEM key of the certificate.
    #[schemars(required)]
    pub(in crate::config) key_file: Option<PathBuf>,
    /// PEM roots; clients must show a certificate of one of them. Default: none
    pub(in crate::config) client_ca_file: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SourceKind")]
pub(in crate::config) enum WrittenSourceKind {
    File,
    Stdin,
    Unix,
    Tcp,
    Udp,
    Http,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum FileFormat {
    Lines,
    Cri,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Stream {
    Stdout,
    Stderr,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "FollowLinks")]
pub(in crate::config) enum WrittenFollowLinks {
    Within,
    Always,
    Never,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "StartAt")]
pub(in crate::config) enum WrittenStartAt {
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
