//! How a forwarder writes CEF.

use std::collections::BTreeMap;

use crate::{format::CefKey, schema::Field};

/// The checked `cef:` of a forwarder. What is None takes its default from the event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CefConfig {
    pub dialect: Dialect,
    pub vendor: Option<String>,
    pub product: Option<String>,
    pub version: Option<String>,
    /// The `{host}` of the prefix, and `dvchost`.
    pub host: Option<String>,
    /// What stands before `CEF:`.
    pub prefix: Vec<PrefixPart>,
    pub map: Vec<Mapped>,
    /// By event type or outcome; 0 to 10.
    pub severity: BTreeMap<String, u8>,
    pub ipv6: Ipv6,
    /// A space behind the header.
    pub leading_space: bool,
    /// The line itself, as far as 4000 characters.
    pub raw_event: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// The dictionary's keys; custom fields with labels.
    #[default]
    Strict,
    /// The keys that Kong Konnect uses.
    Konnect,
}

/// The key of an IPv6 source address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ipv6 {
    /// Where IPv4 stands too.
    #[default]
    Src,
    /// The custom field for it.
    C6a2,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrefixPart {
    Text(String),
    /// The event's own time.
    Time,
    Host,
}

/// One entry of `map`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    pub key: MappedKey,
    pub from: MappedFrom,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappedKey {
    /// A custom field has a label, others have none.
    Dictionary(CefKey, Option<String>),
    /// Letters, digits and `_`.
    Own(String),
}

/// Where a mapped value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappedFrom {
    /// A JSON pointer (RFC 6901) into the record, split and unescaped.
    Pointer(Vec<String>),
    Field(Field),
}
