//! The configuration: what the operator wrote, checked once, as the rest of the program takes it.
//!
//! A [`Config`] that exists is valid. [`load()`] reports every problem of a file at once, each with
//! `file:line:column`, the path of the key, a caret and the nearest valid word; nothing is opened, created or
//! sent before that.

mod cef;
mod editor;
mod exclude;
mod expect;
mod file;
mod format;
mod http;
mod interpolate;
mod load;
mod nearest;
mod parse;
mod path;
mod problem;
mod pushed;
mod quote;
mod report;
mod secret;
mod shape;
mod template;
mod tree;
mod units;
mod uri;
mod validate;
mod written;

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, time::Duration};

use reqwest::{Method, header::HeaderName};

use crate::schema::Field;

pub use crate::schema::Schema;
pub use cef::{CefConfig, Dialect, Ipv6, Mapped, MappedFrom, MappedKey, PrefixPart};
pub use exclude::Exclude;
pub use file::{FileSource, FollowLinks, StartAt};
pub use format::{CriStream, LineFormat};
pub(crate) use http::base64;
pub use http::{DECODED, Hmac, HmacAlgorithm, HmacEncoding, HttpIntake, Senders, webhook_key};
pub use load::{environment, load, load_text, load_to_read};
pub use problem::Problems;
pub use pushed::{
    HttpSource, OnFull, SourceFraming, SourceTls, SpoolKeys, StdinSource, StreamLimits, SyncPolicy, TcpSource,
    UdpSource, UnixSocket, UnixSource,
};
pub use secret::Secret;
pub use template::{TemplateInput, WrapTemplate};
pub use units::size_text;
pub use uri::Uri;

/// The configuration file, where none is named; in the working directory.
pub const DEFAULT_PATH: &str = "config.yaml";

/// The JSON Schema of the configuration, for editors. What it cannot say, [`load()`] checks.
pub fn json_schema() -> serde_json::Value {
    editor::with_variables(expect::json_schema())
}

/// A valid configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub state_dir: PathBuf,
    pub drain_timeout: Duration,
    pub sources: Vec<Source>,
    pub forwarders: Vec<Forwarder>,
    pub admin: Option<Admin>,
    pub diagnostics: Diagnostics,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub name: String,
    pub kind: SourceKind,
    pub schema: Schema,
    /// JSON pointers to fields that are not where the schema has them.
    pub fields: Vec<(Field, String)>,
    /// A longer line goes to the dead letters; bytes without the line end.
    pub max_event_bytes: usize,
    /// A line that is no JSON object, nor CEF where that is an event, is filtered; else it goes to the dead letters.
    pub only_json: bool,
}

/// The kinds of source that are built. Others are refused when the configuration is checked.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    File(FileSource),
    Stdin(StdinSource),
    Unix(UnixSource),
    Tcp(TcpSource),
    Udp(UdpSource),
    Http(HttpSource),
}

impl SourceKind {
    /// How the spool is kept, where the source has one.
    pub fn spool(&self) -> Option<SpoolKeys> {
        match self {
            Self::File(source) => source.spool,
            Self::Stdin(source) => Some(source.spool),
            Self::Unix(source) => Some(source.spool),
            Self::Tcp(source) => Some(source.spool),
            Self::Udp(source) => Some(source.spool),
            Self::Http(source) => Some(source.spool),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Forwarder {
    pub name: String,
    pub uri: Uri,
    pub method: Method,
    pub auth: Auth,
    pub headers: Vec<(HeaderName, Secret)>,
    /// Names of the sources it follows, in the configuration's order.
    pub sources: Vec<String>,
    pub filter: FilterRules,
    pub format: Format,
    /// Of format [`Format::Cef`].
    pub cef: CefConfig,
    pub framing: Framing,
    /// What stands round each event and round the batch.
    pub wrap: Option<Wrap>,
    pub compression: Compression,
    /// Of the body as it is sent; the profile's unless overridden.
    pub content_type: String,
    /// The header's text where the body is compressed.
    pub content_encoding: String,
    pub user_agent: String,
    /// Of a whole request, from connecting to the end of the response's head.
    pub timeout: Duration,
    pub batch: BatchLimits,
    pub retry: Retry,
    /// How often a receiver that refuses us is tried again; after a 410 twelve times as long.
    pub probe: Duration,
    pub in_flight: usize,
    pub tls: Tls,
    /// Statuses whose verdict the operator changed.
    pub responses: Vec<(u16, AnswerVerdict)>,
    pub answers: Answers,
}

/// How a forwarder shows who it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Auth {
    None,
    /// `header: scheme token`, or `header: token` where there is no scheme.
    Token {
        token: Token,
        header: HeaderName,
        scheme: Option<String>,
    },
    /// RFC 7617.
    Basic {
        username: String,
        password: Token,
    },
    OAuth2(Box<OAuth2>),
}

/// The client credentials grant (RFC 6749, section 4.4): what it gives is sent as a bearer token.
#[derive(Clone, Debug, PartialEq)]
pub struct OAuth2 {
    pub token_url: Uri,
    pub client_id: String,
    pub client_secret: Token,
    pub scope: Option<String>,
    pub audience: Option<String>,
}

/// A token, a password or a client's secret.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    Inline(Secret),
    /// Re-read when it changes and after a 401.
    File(PathBuf),
}

/// What a forwarder lets pass: events that pass every rule. The default lets all pass.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterRules {
    pub enabled: EventTypes,
    pub disabled: EventTypes,
    /// Empty: any outcome. The same goes for the next two.
    pub outcomes: Vec<String>,
    /// Ids, names or e-mail addresses.
    pub actors: Vec<String>,
    /// Types, ids or names.
    pub targets: Vec<String>,
    pub conditions: Vec<ConditionRule>,
}

impl Default for FilterRules {
    fn default() -> Self {
        Self {
            enabled: EventTypes::All,
            disabled: EventTypes::These(BTreeSet::new()),
            outcomes: Vec::new(),
            actors: Vec::new(),
            targets: Vec::new(),
            conditions: Vec::new(),
        }
    }
}

/// What must be true of one place in an event. A place that is absent is in no list and matches nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct ConditionRule {
    pub asked: Asked,
    pub is_in: Option<Vec<String>>,
    pub not_in: Vec<String>,
    pub matches: Option<Pattern>,
    pub exists: Option<bool>,
}

/// What a condition is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Field(Field),
    /// A JSON pointer through objects.
    Pointer(String),
}

/// A regular expression that is looked for anywhere in a text, in time linear in its length.
#[derive(Clone, Debug)]
pub struct Pattern(pub regex_lite::Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum EventTypes {
    All,
    These(BTreeSet<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Cef,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Each event ends with `\n`, the last too.
    Lines,
    /// One JSON array.
    Array,
    /// One event a request, as it is.
    Single,
}

/// What an intake wants round an event and round the whole body. The framing stands within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrap {
    pub event: WrapTemplate,
    pub prefix: String,
    pub suffix: String,
    /// A variable stood in it, so that it may hold what must not be shown.
    pub has_variable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip(CompressionLevel),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionLevel {
    Fast,
    Default,
    Best,
    /// The backend's own number.
    Number(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    pub max_events: usize,
    /// Bytes of the body before compression; one event above it goes alone.
    pub max_bytes: usize,
    pub max_age: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    pub initial: Duration,
    pub max: Duration,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM roots to trust instead of the platform's.
    pub ca_file: Option<PathBuf>,
    /// PEM chain and key of the client certificate; both or neither.
    pub client: Option<ClientCertificate>,
    pub insecure_skip_verify: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

/// What an answer means for the batch and for the forwarder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerVerdict {
    /// The receiver has the batch.
    Delivered,
    /// Try again later, for ever.
    Retry,
    /// Read the token again, try once more at once, then hold.
    Unauthorized,
    /// The receiver refuses us: keep everything, raise an alarm, probe slowly.
    Hold,
    /// Too large: halve.
    Halve,
    /// The receiver refuses this batch: narrow it down to the event that causes it.
    Narrow,
}

/// What of an answer counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Its status.
    Status,
    /// In a 2xx the status of each item too, as Elasticsearch's `_bulk` gives them.
    Bulk,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    pub listen: SocketAddr,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    pub level: tracing::Level,
    pub format: DiagnosticsFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiagnosticsFormat {
    Text,
    Json,
}
