//! HashiCorp Vault and OpenBao audit devices: one `request` and one `response` entry for each call.
//!
//! A rule calls a type `request.OPERATION` or `response.OPERATION` (`response.update`), by the operation or by `request`
//! and `response` alone. Both entries of a call have its id. A request tells no outcome yet, unless it failed.

use super::{
    Facts, Field,
    system::{Definition, FieldSource, places},
};

places! { Vault;
    TYPE = ["/type"];
    TIME = ["/time"];
    ERROR = ["/error"];
    ENTITY_ID = ["/auth/entity_id"];
    DISPLAY_NAME = ["/auth/display_name"];
    TOKEN_TYPE = ["/auth/token_type"];
    REQUEST_ID = ["/request/id"];
    OPERATION = ["/request/operation"];
    PATH = ["/request/path"];
    MOUNT_TYPE = ["/request/mount_type"];
    NAMESPACE = ["/request/namespace/path", "/request/namespace/id"];
    REMOTE_ADDRESS = ["/request/remote_address"];
    DATA = ["/request/data"];
}

pub(super) const DEFINITION: Definition = Definition {
    pointers: POINTERS,
    marks: &[TYPE, OPERATION, PATH],
    is: |facts| {
        (facts.is(TYPE, "request") || facts.is(TYPE, "response")) && facts.says(OPERATION) && facts.says(PATH)
    },
    field,
    also: (&[TYPE, OPERATION], |facts, scratch, hears| {
        facts.text(OPERATION, scratch).is_some_and(&mut *hears) || facts.text(TYPE, scratch).is_some_and(hears)
    }),
};

fn field(field: Field) -> FieldSource {
    match field {
        Field::Id | Field::TraceId => FieldSource::At(&[REQUEST_ID]),
        Field::Type => FieldSource::Made(&[TYPE, OPERATION], event_type),
        Field::Time => FieldSource::At(&[TIME]),
        Field::ActorId => FieldSource::At(&[ENTITY_ID]),
        Field::ActorName => FieldSource::At(&[DISPLAY_NAME]),
        Field::ActorType => FieldSource::At(&[TOKEN_TYPE]),
        Field::SourceAddress => FieldSource::At(&[REMOTE_ADDRESS]),
        Field::Outcome => FieldSource::Made(&[TYPE, ERROR], |facts, _| outcome(facts)),
        Field::Reason => FieldSource::At(&[ERROR]),
        Field::TargetType => FieldSource::At(&[MOUNT_TYPE]),
        Field::TargetName => FieldSource::At(&[PATH]),
        Field::OrganizationId => FieldSource::At(&[NAMESPACE]),
        Field::RequestMethod => FieldSource::At(&[OPERATION]),
        Field::RequestPath => FieldSource::At(&[PATH]),
        Field::Payload => FieldSource::Made(&[DATA], |facts, scratch| Some(facts.at(DATA)?.text(scratch))),
        Field::ActorEmail
        | Field::TargetId
        | Field::Message
        | Field::RequestStatus
        | Field::RequestQuery
        | Field::UserAgent => FieldSource::Nowhere,
    }
}

fn event_type<'s>(facts: Facts<'s>, scratch: &'s mut String) -> Option<&'s str> {
    for place in [TYPE, OPERATION] {
        if let Some(value) = facts.scalar(place) {
            if !scratch.is_empty() {
                scratch.push('.');
            }
            scratch.push_str(value.raw);
        }
    }
    (!scratch.is_empty()).then_some(scratch)
}

fn outcome(facts: Facts<'_>) -> Option<&'static str> {
    match facts.scalar(ERROR) {
        Some(error) if error.raw.contains("permission denied") => Some("denied"),
        Some(_) => Some("failure"),
        None => facts.is(TYPE, "response").then_some("success"),
    }
}
