//! Any JSON object, by the names that audit events commonly have.
//!
//! The indexes of [`TYPES`] and [`NAMES`] are those of the compiled paths where all members are wanted: `TYPES` come
//! first.

use super::{
    Facts,
    system::{Definition, FieldSource, NO_OTHER, places},
};
use crate::scan::{Fields, NodeId, Value};

/// The members that may hold the event's type; the first that is a string does.
pub const TYPES: [&str; 6] = ["/type", "/event_type", "/eventType", "/action", "/event", "/name"];

/// What else a member's name may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameHint {
    Id,
    Time,
    Name,
    Severity,
    Actor,
    ActorId,
    SourceAddress,
    Action,
    Outcome,
    Message,
}

/// The common names; those of a field stand together, the preferred ones first.
pub const NAMES: [(NameHint, &str); 45] = [
    (NameHint::Id, "/id"),
    (NameHint::Id, "/event_id"),
    (NameHint::Id, "/eventId"),
    (NameHint::Id, "/auditID"),
    (NameHint::Id, "/uuid"),
    (NameHint::Time, "/rt"),
    (NameHint::Time, "/time"),
    (NameHint::Time, "/timestamp"),
    (NameHint::Time, "/occurredAt"),
    (NameHint::Time, "/createdAt"),
    (NameHint::Time, "/event_ts"),
    (NameHint::Time, "/Timestamp"),
    (NameHint::Time, "/occurred_at"),
    (NameHint::Time, "/created_at"),
    (NameHint::Time, "/@timestamp"),
    (NameHint::Time, "/ts"),
    (NameHint::Name, "/name"),
    (NameHint::Severity, "/severity"),
    (NameHint::Actor, "/actor"),
    (NameHint::Actor, "/user"),
    (NameHint::Actor, "/username"),
    (NameHint::Actor, "/userName"),
    (NameHint::Actor, "/user_name"),
    (NameHint::Actor, "/principal_name"),
    (NameHint::Actor, "/principal"),
    (NameHint::ActorId, "/actor_id"),
    (NameHint::ActorId, "/actorId"),
    (NameHint::ActorId, "/user_id"),
    (NameHint::ActorId, "/userId"),
    (NameHint::ActorId, "/principal_id"),
    (NameHint::SourceAddress, "/src"),
    (NameHint::SourceAddress, "/sourceIp"),
    (NameHint::SourceAddress, "/source_ip"),
    (NameHint::SourceAddress, "/sourceIP"),
    (NameHint::SourceAddress, "/src_ip"),
    (NameHint::SourceAddress, "/clientIp"),
    (NameHint::SourceAddress, "/client_ip"),
    (NameHint::SourceAddress, "/remote_addr"),
    (NameHint::SourceAddress, "/ip"),
    (NameHint::Action, "/action"),
    (NameHint::Action, "/act"),
    (NameHint::Outcome, "/outcome"),
    (NameHint::Message, "/message"),
    (NameHint::Message, "/msg"),
    (NameHint::Message, "/description"),
];

/// The places of the type and of all other known fields, in the order of their indexes.
pub(super) fn pointers() -> Vec<&'static str> {
    TYPES.into_iter().chain(NAMES.into_iter().map(|(_, pointer)| pointer)).collect()
}

places! { Generic;
    TYPE = ["/type", "/event_type", "/eventType", "/action", "/event", "/name"];
    ID = ["/id", "/event_id", "/eventId", "/auditID", "/uuid"];
    TIME = [
        "/rt", "/time", "/timestamp", "/occurredAt", "/createdAt", "/event_ts", "/Timestamp", "/occurred_at",
        "/created_at", "/@timestamp", "/ts",
    ];
    ACTOR_ID = ["/actor_id", "/actorId", "/user_id", "/userId", "/principal_id", "/actor/id", "/user/id"];
    ACTOR_NAME = [
        "/actor", "/user", "/username", "/userName", "/user_name", "/principal_name", "/principal", "/actor/name",
        "/user/name",
    ];
    ACTOR_EMAIL = ["/email", "/actor_email", "/user_email", "/actor/email", "/user/email"];
    ACTOR_TYPE = ["/actor_type", "/actorType", "/actor/type", "/user/type"];
    SOURCE_ADDRESS = [
        "/src", "/sourceIp", "/source_ip", "/sourceIP", "/src_ip", "/clientIp", "/client_ip", "/remote_addr", "/ip",
    ];
    OUTCOME = ["/outcome", "/result", "/status"];
    REASON = ["/reason", "/error"];
    TARGET_TYPE = ["/target_type", "/targetType", "/target/type", "/target/kind", "/resource/type"];
    TARGET_ID = ["/target_id", "/targetId", "/target/id", "/resource/id"];
    TARGET_NAME = ["/target", "/target_name", "/targetName", "/target/name", "/resource", "/resource/name"];
    MESSAGE = ["/message", "/msg", "/description"];
    TRACE_ID = ["/trace_id", "/traceId", "/trace/id", "/request_id", "/requestId"];
    ORGANIZATION_ID = ["/org_id", "/orgId", "/organization_id", "/organizationId", "/tenant_id", "/tenantId"];
    REQUEST_METHOD = ["/method", "/http_method", "/request/method"];
    REQUEST_PATH = ["/path", "/uri", "/url", "/request/path", "/request"];
    REQUEST_STATUS = ["/status_code", "/statusCode", "/request/status", "/response/status"];
    REQUEST_QUERY = ["/query", "/request/query"];
    USER_AGENT = ["/user_agent", "/userAgent"];
    PAYLOAD = ["/data", "/details", "/payload"];
}

pub(super) const DEFINITION: Definition =
    Definition { pointers: POINTERS, marks: &[], is: |_| true, field, also: NO_OTHER };

fn field(field: super::Field) -> FieldSource {
    use super::Field as Of;
    match field {
        Of::Type => FieldSource::Made(&[TYPE], type_text),
        Of::Id => FieldSource::At(&[ID]),
        Of::Time => FieldSource::At(&[TIME]),
        Of::ActorId => FieldSource::At(&[ACTOR_ID]),
        Of::ActorName => FieldSource::At(&[ACTOR_NAME]),
        Of::ActorEmail => FieldSource::At(&[ACTOR_EMAIL]),
        Of::ActorType => FieldSource::At(&[ACTOR_TYPE]),
        Of::SourceAddress => FieldSource::At(&[SOURCE_ADDRESS]),
        Of::Outcome => FieldSource::At(&[OUTCOME]),
        Of::Reason => FieldSource::At(&[REASON]),
        Of::TargetType => FieldSource::At(&[TARGET_TYPE]),
        Of::TargetId => FieldSource::At(&[TARGET_ID]),
        Of::TargetName => FieldSource::At(&[TARGET_NAME]),
        Of::Message => FieldSource::At(&[MESSAGE]),
        Of::TraceId => FieldSource::At(&[TRACE_ID]),
        Of::OrganizationId => FieldSource::At(&[ORGANIZATION_ID]),
        Of::RequestMethod => FieldSource::At(&[REQUEST_METHOD]),
        Of::RequestPath => FieldSource::At(&[REQUEST_PATH]),
        Of::RequestStatus => FieldSource::At(&[REQUEST_STATUS]),
        Of::RequestQuery => FieldSource::At(&[REQUEST_QUERY]),
        Of::UserAgent => FieldSource::At(&[USER_AGENT]),
        Of::Payload => FieldSource::Made(&[PAYLOAD], |facts, scratch| Some(facts.at(PAYLOAD)?.text(scratch))),
    }
}

/// The first by preference that is a string, even an empty one.
fn type_text<'s>(facts: Facts<'s>, scratch: &'s mut String) -> Option<&'s str> {
    facts.alternatives(TYPE).find(|value| value.is_string()).map(|value| value.text(scratch))
}

/// The value that is the event's type, and the node it was found at.
pub fn event_type<'a>(fields: &Fields, text: &'a str) -> Option<(NodeId, Value<'a>)> {
    let mut found = (0..TYPES.len()).filter_map(|pointer| Some((fields.node(pointer), fields.get(pointer, text)?)));
    found.find(|(_, value)| value.is_string())
}

/// The values that may be `field`, most preferred first. Only where all members
/// were wanted.
pub fn candidates<'a>(field: NameHint, fields: &Fields, text: &'a str) -> impl Iterator<Item = (NodeId, Value<'a>)> {
    let (start, end) = RUNS[field as usize];
    (TYPES.len() + start..TYPES.len() + end)
        .filter_map(move |pointer| Some((fields.node(pointer), fields.get(pointer, text)?)))
}

/// For each field, where its names begin and end in [`NAMES`].
const RUNS: [(usize, usize); 10] = {
    let mut runs = [(0, 0); 10];
    let mut index = 0;
    while index < NAMES.len() {
        let field = NAMES[index].0 as usize;
        if runs[field].1 == 0 {
            runs[field].0 = index;
        }
        assert!(runs[field].1 == 0 || runs[field].1 == index, "a field's names stand together");
        runs[field].1 = index + 1;
        index += 1;
    }
    runs
};
