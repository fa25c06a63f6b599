//! `cef` of a forwarder, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// How CEF is written, with format cef.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Cef")]
pub(in crate::config) struct WrittenCef {
    /// strict: the dictionary's keys; konnect: the keys of Kong Konnect. Default: strict
    pub(in crate::config) dialect: Option<WrittenDialect>,
    /// The Device Vendor. Default: the system's
    pub(in crate::config) vendor: Option<String>,
    /// The Device Product. Default: the system's, or the name of the source
    pub(in crate::config) product: Option<String>,
    /// The Device Version. Default: the system's
    pub(in crate::config) version: Option<String>,
    /// The host that events are from: `{host}` of the prefix, and `dvchost`. Default: none
    pub(in crate::config) host: Option<String>,
    /// What stands before `CEF:`; `{time}` is the event's own time, `{host}` is host. Default: nothing
    pub(in crate::config) prefix: Option<String>,
    /// Keys to set from the event: key to a field or JSON pointer. They win over the mapping's own. Default: none
    pub(in crate::config) map: Option<BTreeMap<String, WrittenMapping>>,
    /// Severities, 0 to 10, by event type or outcome. Default: the mapping's own
    pub(in crate::config) severity: Option<BTreeMap<String, Severity>>,
    /// The key of an IPv6 source address. Default: src
    pub(in crate::config) ipv6: Option<WrittenIpv6>,
    /// A space behind the header, for readers that take the first key's first letter away. Default: false
    pub(in crate::config) leading_space: Option<bool>,
    /// Adds the event as it came, cut to 4000 characters. Default: false
    pub(in crate::config) raw_event: Option<bool>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Dialect")]
pub(in crate::config) enum WrittenDialect {
    Strict,
    Konnect,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Ipv6")]
pub(in crate::config) enum WrittenIpv6 {
    Src,
    C6a2,
}

/// A field or pointer, or that and the label of a custom field.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Mapped")]
pub(in crate::config) enum WrittenMapping {
    Short(String),
    Long(MappedForm),
}

/// Where a key's value comes from.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct MappedForm {
    /// A field, or a JSON pointer such as `/request/path`.
    #[schemars(required)]
    pub(in crate::config) from: Option<String>,
    /// The label of a custom field such as cs1. Default: none
    pub(in crate::config) label: Option<String>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
pub(in crate::config) struct Severity(#[schemars(range(max = 10))] pub(in crate::config) u8);
