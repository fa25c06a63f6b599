//! Kubernetes audit: `audit.k8s.io/v1` events, one a line, as the API server's log backend writes them.
//!
//! A rule calls a type `resource.verb` (`secrets.get`, `pods/exec.create`) or by the verb alone, which is all that a
//! request for no resource has. One `auditID` comes once for each stage of its request.

use super::{
    Facts, Field,
    system::{Definition, FieldSource, places},
};

places! { Kubernetes;
    AUDIT_ID = ["/auditID"];
    STAGE = ["/stage"];
    VERB = ["/verb"];
    REQUEST_URI = ["/requestURI"];
    USERNAME = ["/user/username"];
    USER_UID = ["/user/uid"];
    /// An array, of which a client can forge all but the last.
    SOURCE_IPS = ["/sourceIPs"];
    USER_AGENT = ["/userAgent"];
    RESOURCE = ["/objectRef/resource"];
    SUBRESOURCE = ["/objectRef/subresource"];
    NAMESPACE = ["/objectRef/namespace"];
    OBJECT_NAME = ["/objectRef/name"];
    OBJECT_UID = ["/objectRef/uid"];
    CODE = ["/responseStatus/code"];
    STATUS_REASON = ["/responseStatus/reason"];
    STATUS_MESSAGE = ["/responseStatus/message"];
    STAGE_TIMESTAMP = ["/stageTimestamp"];
    RECEIVED_TIMESTAMP = ["/requestReceivedTimestamp"];
    DECISION = ["/annotations/authorization.k8s.io~1decision"];
    DECISION_REASON = ["/annotations/authorization.k8s.io~1reason"];
    REQUEST_OBJECT = ["/requestObject"];
}

pub(super) const DEFINITION: Definition = Definition {
    pointers: POINTERS,
    marks: &[AUDIT_ID, STAGE, VERB],
    is: |facts| facts.says(AUDIT_ID) && facts.says(STAGE) && facts.says(VERB),
    field,
    also: (&[VERB], |facts, scratch, hears| facts.text(VERB, scratch).is_some_and(hears)),
};

fn field(field: Field) -> FieldSource {
    match field {
        Field::Id | Field::TraceId => FieldSource::At(&[AUDIT_ID]),
        Field::Type => FieldSource::Made(&[RESOURCE, SUBRESOURCE, VERB], event_type),
        Field::Time => FieldSource::At(&[STAGE_TIMESTAMP, RECEIVED_TIMESTAMP]),
        Field::ActorId => FieldSource::At(&[USER_UID]),
        Field::ActorName => FieldSource::At(&[USERNAME]),
        Field::ActorType => FieldSource::Made(&[USERNAME], |facts, _| Some(actor_type(facts.scalar(USERNAME)?.raw))),
        Field::SourceAddress => FieldSource::Made(&[SOURCE_IPS], |facts, _| last_text(facts.at(SOURCE_IPS)?.raw)),
        Field::Outcome => FieldSource::Made(&[DECISION, CODE], |facts, _| outcome(facts)),
        Field::Reason => FieldSource::At(&[STATUS_REASON, DECISION_REASON]),
        Field::TargetType => FieldSource::At(&[RESOURCE]),
        Field::TargetId => FieldSource::At(&[OBJECT_UID]),
        Field::TargetName => FieldSource::At(&[OBJECT_NAME]),
        Field::Message => FieldSource::At(&[STATUS_MESSAGE]),
        Field::OrganizationId => FieldSource::At(&[NAMESPACE]),
        Field::RequestMethod => FieldSource::At(&[VERB]),
        Field::RequestPath => FieldSource::At(&[REQUEST_URI]),
        Field::RequestStatus => FieldSource::At(&[CODE]),
        Field::UserAgent => FieldSource::At(&[USER_AGENT]),
        Field::Payload => {
            FieldSource::Made(&[REQUEST_OBJECT], |facts, scratch| Some(facts.at(REQUEST_OBJECT)?.text(scratch)))
        }
        Field::ActorEmail | Field::RequestQuery => FieldSource::Nowhere,
    }
}

fn event_type<'s>(facts: Facts<'s>, scratch: &'s mut String) -> Option<&'s str> {
    for (place, before) in [(RESOURCE, ""), (SUBRESOURCE, "/"), (VERB, ".")] {
        if let Some(value) = facts.scalar(place) {
            if !scratch.is_empty() {
                scratch.push_str(before);
            }
            scratch.push_str(value.raw);
        }
    }
    (!scratch.is_empty()).then_some(scratch)
}

fn actor_type(username: &str) -> &'static str {
    match username.strip_prefix("system:") {
        Some(rest) if rest.starts_with("serviceaccount:") => "serviceaccount",
        Some(rest) if rest.starts_with("node:") => "node",
        Some(_) => "system",
        None => "user",
    }
}

/// None for a stage that comes before the answer.
fn outcome(facts: Facts<'_>) -> Option<&'static str> {
    if facts.is(DECISION, "forbid") {
        return Some("denied");
    }
    match facts.scalar(CODE)?.raw.parse::<u16>().ok()? {
        401 | 403 => Some("denied"),
        code if code < 400 => Some("success"),
        _ => Some("failure"),
    }
}

/// The last text of an array of texts without escapes.
fn last_text(array: &str) -> Option<&str> {
    let text = array.strip_suffix(']')?.trim_end().strip_suffix('"')?;
    text.rsplit_once('"').map(|(_, last)| last).filter(|last| !last.is_empty())
}
