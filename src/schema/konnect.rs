//! Kong Konnect and its Dev Portal: the records that its webhook sends as CEF, JSON or CPS (the JSON within
//! `{"event":…}`), and those that its pull API lists, which have other names.
//!
//! A record is classed by its name, never by its class id: `AUTHENTICATION_OUTCOME_…` is `authn`, `Authz.…` is `authz`,
//! `Ingress` is `access`. A rule calls a type by its name (`AUTHENTICATION_OUTCOME_LOCKED`, `Authz.portals`, `Ingress`), by its
//! class, by its class id (`AUTHENTICATION_TYPE_PAT`, `servicehub`), or for `Authz.control-planes/ID` by what stands
//! before the `/`. Records of the pull API are called as the webhook would have called them.

use super::{
    Facts, Field,
    system::{Definition, FieldSource, places},
};

places! { Konnect;
    CEF_VERSION = ["/cef_version", "/event/cef_version"];
    EVENT_VENDOR = ["/event_vendor", "/event/event_vendor"];
    EVENT_PRODUCT = ["/event_product", "/event/event_product"];
    EVENT_VERSION = ["/event_version", "/event/event_version"];
    EVENT_CLASS_ID = ["/event_class_id", "/event/event_class_id"];
    /// Whole seconds; of a CEF line what stands before the host.
    EVENT_TS = ["/event_ts", "/event/event_ts"];
    NAME = ["/name", "/event/name"];
    SEVERITY = ["/severity", "/event/severity"];
    /// Milliseconds since 1970, as a number or as a text of digits.
    RT = ["/rt", "/event/rt"];
    SRC = ["/src", "/event/src", "/client_ip"];
    REQUEST = ["/request", "/event/request", "/uri"];
    SUCCESS = ["/success", "/event/success", "/successful"];
    ACTION = ["/action", "/event/action"];
    GRANTED = ["/granted", "/event/granted"];
    /// The HTTP method.
    ACT = ["/act", "/event/act", "/method"];
    STATUS = ["/status", "/event/status", "/status_code"];
    ORG_ID = ["/org_id", "/event/org_id"];
    PORTAL_ID = ["/portal_id", "/event/portal_id"];
    PRINCIPAL_ID = ["/principal_id", "/event/principal_id"];
    /// `name (email)`, where it is configured.
    PRINCIPAL_NAME = ["/principal_name", "/event/principal_name"];
    /// Who acts as the principal; mostly empty.
    ACTOR_ID = ["/actor_id", "/event/actor_id"];
    KONG_INITIATED = ["/kong_initiated", "/event/kong_initiated"];
    /// A text of 32 digits or, in older records, an integer that may be above 2^53.
    TRACE_ID = ["/trace_id", "/event/trace_id"];
    USER_AGENT = ["/user_agent", "/event/user_agent"];
    QUERY = ["/query", "/event/query"];
    SIG = ["/sig", "/event/sig", "/signature"];
    /// `authentication`, `authorization` or `gateway_access`: only in the pull API's records, as all below.
    PULL_TYPE = ["/type"];
    PULL_TS = ["/ts"];
    PULL_SERVICE = ["/service"];
    PULL_RESOURCE = ["/resource"];
    PULL_OUTCOME = ["/outcome"];
    PULL_AUTHENTICATION_TYPE = ["/authentication_type"];
}

/// The keys of its CEF extension, over all classes.
pub const KEYS: [&str; 18] = [
    "rt",
    "src",
    "request",
    "act",
    "status",
    "success",
    "action",
    "granted",
    "org_id",
    "portal_id",
    "principal_id",
    "principal_name",
    "actor_id",
    "kong_initiated",
    "trace_id",
    "user_agent",
    "query",
    "sig",
];

/// What a record tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Somebody proved who they are, or did not.
    Authn,
    /// Somebody was allowed something, or was not.
    Authz,
    /// A request to Konnect's own API.
    Access,
}

const OUTCOME_PREFIX: &str = "AUTHENTICATION_OUTCOME_";
const AUTHZ_PREFIX: &str = "Authz.";
const ACCESS_NAME: &str = "Ingress";

pub(super) const DEFINITION: Definition = Definition {
    pointers: POINTERS,
    marks: &[EVENT_CLASS_ID, CEF_VERSION, NAME, PULL_TYPE, PULL_TS, SIG],
    is: |facts| {
        let pushed = facts.says(EVENT_CLASS_ID) && facts.says(CEF_VERSION) && facts.says(NAME);
        pushed || (facts.says(PULL_TS) && facts.says(SIG) && pulled_class(facts).is_some())
    },
    field,
    also: (
        &[
            NAME,
            EVENT_CLASS_ID,
            SUCCESS,
            GRANTED,
            ACTION,
            ACT,
            STATUS,
            PULL_TYPE,
            PULL_AUTHENTICATION_TYPE,
            PULL_SERVICE,
        ],
        also,
    ),
};

fn field(field: Field) -> FieldSource {
    match field {
        Field::Id => FieldSource::At(&[SIG]),
        Field::Type => FieldSource::Made(&[NAME, PULL_TYPE, PULL_OUTCOME, PULL_RESOURCE], event_type),
        Field::Time => FieldSource::At(&[RT, EVENT_TS, PULL_TS]),
        Field::ActorId => FieldSource::At(&[PRINCIPAL_ID]),
        Field::ActorName => FieldSource::Made(&[PRINCIPAL_NAME], |facts, scratch| {
            let whole = facts.text(PRINCIPAL_NAME, scratch)?;
            Some(split_name(whole).map_or(whole, |(name, _)| name))
        }),
        Field::ActorEmail => FieldSource::Made(&[PRINCIPAL_NAME], |facts, scratch| {
            split_name(facts.text(PRINCIPAL_NAME, scratch)?).map(|(_, email)| email)
        }),
        Field::SourceAddress => FieldSource::At(&[SRC]),
        Field::Outcome => {
            FieldSource::Made(&[NAME, PULL_TYPE, PULL_OUTCOME, SUCCESS, GRANTED, ACTION, ACT, STATUS], |facts, _| {
                outcome(facts)
            })
        }
        Field::Reason => {
            FieldSource::Made(&[NAME, PULL_TYPE, PULL_OUTCOME, SUCCESS, GRANTED, ACTION, ACT, STATUS], reason)
        }
        Field::TargetType => FieldSource::Made(&[NAME, PULL_RESOURCE], |facts, scratch| {
            let resource = resource(facts, scratch)?;
            Some(resource.split_once('/').map_or(resource, |(kind, _)| kind))
        }),
        Field::TargetId => FieldSource::Made(&[NAME, PULL_RESOURCE], |facts, scratch| {
            resource(facts, scratch)?.split_once('/').map(|(_, id)| id).filter(|id| *id != "*")
        }),
        Field::TraceId => FieldSource::At(&[TRACE_ID]),
        Field::OrganizationId => FieldSource::At(&[ORG_ID]),
        Field::RequestMethod => FieldSource::At(&[ACT]),
        Field::RequestPath => FieldSource::At(&[REQUEST]),
        Field::RequestStatus => FieldSource::At(&[STATUS]),
        Field::RequestQuery => FieldSource::At(&[QUERY]),
        Field::UserAgent => FieldSource::At(&[USER_AGENT]),
        Field::ActorType | Field::TargetName | Field::Message | Field::Payload => FieldSource::Nowhere,
    }
}

/// The record's class: by its name or, where that is none that is known, by the members that only one class has.
pub fn class(facts: Facts<'_>) -> Option<Class> {
    let name = facts.scalar(NAME).map_or("", |name| name.raw);
    match name {
        _ if name.starts_with(OUTCOME_PREFIX) => Some(Class::Authn),
        _ if name.starts_with(AUTHZ_PREFIX) => Some(Class::Authz),
        ACCESS_NAME => Some(Class::Access),
        _ => pulled_class(facts).or_else(|| {
            if facts.says(SUCCESS) {
                Some(Class::Authn)
            } else if facts.says(GRANTED) || facts.says(ACTION) {
                Some(Class::Authz)
            } else {
                (facts.says(ACT) || facts.says(STATUS)).then_some(Class::Access)
            }
        }),
    }
}

/// Whether a record of this name is of one of the three classes.
pub(super) fn names_a_class(name: &str) -> bool {
    name == ACCESS_NAME || name.starts_with(OUTCOME_PREFIX) || name.starts_with(AUTHZ_PREFIX)
}

impl Class {
    /// As a rule writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Authn => "authn",
            Class::Authz => "authz",
            Class::Access => "access",
        }
    }
}

fn pulled_class(facts: Facts<'_>) -> Option<Class> {
    match facts.scalar(PULL_TYPE)?.raw {
        "authentication" => Some(Class::Authn),
        "authorization" => Some(Class::Authz),
        "gateway_access" => Some(Class::Access),
        _ => None,
    }
}

fn event_type<'s>(facts: Facts<'s>, scratch: &'s mut String) -> Option<&'s str> {
    if facts.says(NAME) {
        return facts.text(NAME, scratch);
    }
    match pulled_class(facts)? {
        Class::Authn => {
            scratch.push_str(OUTCOME_PREFIX);
            scratch.push_str(facts.scalar(PULL_OUTCOME)?.raw);
            scratch.make_ascii_uppercase();
        }
        Class::Authz => {
            scratch.push_str(AUTHZ_PREFIX);
            scratch.push_str(pulled_resource(facts.scalar(PULL_RESOURCE)?.raw));
        }
        Class::Access => return Some(ACCESS_NAME),
    }
    Some(scratch)
}

fn also(facts: Facts<'_>, scratch: &mut String, hears: &mut dyn FnMut(&str) -> bool) -> bool {
    let class = class(facts);
    if class.is_some_and(|class| hears(class.name())) || facts.text(EVENT_CLASS_ID, scratch).is_some_and(&mut *hears)
    {
        return true;
    }
    match class {
        Some(Class::Authn) => facts.scalar(PULL_AUTHENTICATION_TYPE).is_some_and(|kind| {
            scratch.clear();
            scratch.push_str("AUTHENTICATION_TYPE_");
            scratch.push_str(kind.raw);
            scratch.make_ascii_uppercase();
            hears(scratch)
        }),
        Some(Class::Authz) => {
            facts.text(PULL_SERVICE, scratch).is_some_and(&mut *hears)
                || facts
                    .get(Field::Type, scratch)
                    .and_then(|name| name.split_once('/'))
                    .is_some_and(|(kind, _)| hears(kind))
        }
        _ => false,
    }
}

fn outcome(facts: Facts<'_>) -> Option<&'static str> {
    let good = |good: bool, bad: &'static str| if good { "success" } else { bad };
    match class(facts)? {
        Class::Authn => match facts.scalar(SUCCESS) {
            Some(success) => Some(good(success.raw == "true", "failure")),
            None => authn_outcome(facts).map(|outcome| good(outcome.eq_ignore_ascii_case("success"), "failure")),
        },
        Class::Authz => Some(good(facts.scalar(GRANTED)?.raw == "true", "denied")),
        Class::Access => match facts.scalar(STATUS)?.raw.parse::<u16>().ok()? {
            401 | 403 => Some("denied"),
            status => Some(good(status < 400, "failure")),
        },
    }
}

/// The outcome's word, as `INVALID_PASSWORD`; the pull API writes it in lower case.
fn authn_outcome(facts: Facts<'_>) -> Option<&str> {
    let name = facts.scalar(NAME).and_then(|name| name.raw.strip_prefix(OUTCOME_PREFIX));
    name.or_else(|| Some(facts.scalar(PULL_OUTCOME)?.raw))
}

fn reason<'s>(facts: Facts<'s>, scratch: &'s mut String) -> Option<&'s str> {
    if outcome(facts)? == "success" {
        return None;
    }
    match class(facts)? {
        Class::Authn => {
            scratch.push_str(authn_outcome(facts)?);
            scratch.make_ascii_lowercase();
        }
        Class::Authz => return None,
        Class::Access => {
            scratch.push_str("HTTP ");
            scratch.push_str(facts.scalar(STATUS)?.raw);
        }
    }
    Some(scratch)
}

/// What an authorization is about: `control-planes/ID`, `portals`.
fn resource<'s>(facts: Facts<'s>, scratch: &'s mut String) -> Option<&'s str> {
    if facts.says(PULL_RESOURCE) && !facts.says(NAME) {
        return facts.text(PULL_RESOURCE, scratch).map(pulled_resource);
    }
    facts.text(NAME, scratch)?.strip_prefix(AUTHZ_PREFIX)
}

/// The end of a resource name: `krn:konnect:reg/us:org/ID:control-planes/ID`.
fn pulled_resource(krn: &str) -> &str {
    krn.rsplit_once(':').map_or(krn, |(_, resource)| resource)
}

/// `Lena Fischer (lena@acme.example)` in its two parts.
fn split_name(whole: &str) -> Option<(&str, &str)> {
    let (name, email) = whole.strip_suffix(')')?.rsplit_once(" (")?;
    email.contains('@').then_some((name, email))
}
