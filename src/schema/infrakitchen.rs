//! InfraKitchen: rows of `audit_logs`, as its GraphQL writes them (from v0.4.0) and as its REST did (to v0.3.2).
//!
//! Actions and models are open sets. A rule calls a type `model.action` (`resource.destroy`) or by the action alone
//! (`destroy`, and for feature flags the literal `Set to $True`). A row is written in the action's own transaction, so
//! every event is of a success.

use super::{
    Facts, Field,
    system::{Definition, FieldSource, places},
};

places! { InfraKitchen;
    ID = ["/id"];
    MODEL = ["/model"];
    ACTION = ["/action"];
    USER_ID = ["/userId", "/user_id"];
    ENTITY_ID = ["/entityId", "/entity_id"];
    CREATED_AT = ["/createdAt", "/created_at"];
    REVISION = ["/revisionNumber", "/revision_number"];
    IDENTIFIER = ["/creator/identifier"];
    PROVIDER = ["/creator/provider"];
    DISPLAY_NAME = ["/creator/displayName", "/creator/display_name"];
    EMAIL = ["/creator/email"];
    /// The live entity, or null where it was deleted.
    ENTITY_DATA = ["/entityData", "/entity_data"];
}

pub(super) const DEFINITION: Definition = Definition {
    pointers: POINTERS,
    marks: &[MODEL, ACTION, ENTITY_ID, CREATED_AT],
    is: |facts| [MODEL, ACTION, ENTITY_ID, CREATED_AT].into_iter().all(|place| facts.says(place)),
    field,
    also: (&[ACTION], |facts, scratch, hears| facts.text(ACTION, scratch).is_some_and(hears)),
};

fn field(field: Field) -> FieldSource {
    match field {
        Field::Id => FieldSource::At(&[ID]),
        Field::Type => FieldSource::Made(&[MODEL, ACTION], event_type),
        Field::Time => FieldSource::At(&[CREATED_AT]),
        Field::ActorId => FieldSource::At(&[USER_ID]),
        Field::ActorName => FieldSource::At(&[IDENTIFIER, DISPLAY_NAME]),
        Field::ActorEmail => FieldSource::Made(&[EMAIL, IDENTIFIER], |facts, scratch| {
            if facts.says(EMAIL) {
                return facts.text(EMAIL, scratch);
            }
            facts.text(IDENTIFIER, scratch).filter(|identifier| identifier.contains('@'))
        }),
        Field::ActorType => FieldSource::At(&[PROVIDER]),
        Field::Outcome => FieldSource::Always("success"),
        Field::TargetType => FieldSource::At(&[MODEL]),
        Field::TargetId => FieldSource::At(&[ENTITY_ID]),
        Field::Message => FieldSource::Made(&[IDENTIFIER, USER_ID, ACTION, MODEL, ENTITY_ID], message),
        Field::Payload => {
            FieldSource::Made(&[ENTITY_DATA], |facts, scratch| Some(facts.at(ENTITY_DATA)?.text(scratch)))
        }
        Field::SourceAddress
        | Field::Reason
        | Field::TargetName
        | Field::TraceId
        | Field::OrganizationId
        | Field::RequestMethod
        | Field::RequestPath
        | Field::RequestStatus
        | Field::RequestQuery
        | Field::UserAgent => FieldSource::Nowhere,
    }
}

fn event_type<'s>(facts: Facts<'s>, scratch: &'s mut String) -> Option<&'s str> {
    let mut unescaped = String::new();
    if let Some(model) = facts.scalar(MODEL) {
        scratch.push_str(model.text(&mut unescaped));
    }
    if let Some(action) = facts.scalar(ACTION) {
        if !scratch.is_empty() {
            scratch.push('.');
        }
        scratch.push_str(action.text(&mut unescaped));
    }
    (!scratch.is_empty()).then_some(scratch)
}

/// `ana.silva@acme.example destroy resource 0e4a…`: the record has no text of its own.
fn message<'s>(facts: Facts<'s>, scratch: &'s mut String) -> Option<&'s str> {
    let mut unescaped = String::new();
    let who = if facts.says(IDENTIFIER) { IDENTIFIER } else { USER_ID };
    for place in [who, ACTION, MODEL, ENTITY_ID] {
        let Some(value) = facts.scalar(place) else { continue };
        if !scratch.is_empty() {
            scratch.push(' ');
        }
        scratch.push_str(value.text(&mut unescaped));
    }
    (!scratch.is_empty()).then_some(scratch)
}
