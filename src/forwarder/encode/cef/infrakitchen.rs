//! InfraKitchen as CEF.
//!
//! | CEF | from |
//! |---|---|
//! | vendor, product, version | `InfraKitchen`, `InfraKitchen`, `1.0` |
//! | class id, name | `model.action`; action and model in words |
//! | severity | 3 delete, destroy and cascade_destroy, and all of permissions; else 1 |
//! | rt | createdAt |
//! | suser, suid, spriv | creator.identifier, userId, creator.provider |
//! | duid | entityId of a user |
//! | act | action |
//! | outcome | success: nothing else is recorded |
//! | externalId | id |
//! | msg | who, action, model and entityId |
//! | cat, cs1 | model |
//! | cs2, cs3 | entityId, creator.provider |
//! | cs4 | the name of the source, which tells one installation from another |
//! | cn1 | revisionNumber |

use super::{
    DEFAULT_CLASS, MAPPING_VERSION,
    entries::{Entries, MemberEntry},
    record_writer::{CefInput, CefRecordWriter, CefScratch},
    rules::Rules,
    writer::CefHeader,
};
use crate::{
    format::CefKey,
    schema::{
        Field,
        infrakitchen::{ACTION, CREATED_AT, ENTITY_ID, ID, IDENTIFIER, MODEL, PROVIDER, REVISION, USER_ID},
    },
};

const PRODUCT: &str = "InfraKitchen";
const NOTABLE: u8 = 3;
const ORDINARY: u8 = 1;

pub(super) fn encode<'a, 'o, 'w>(
    record: CefInput<'a>,
    rules: &'w Rules,
    work: &'w mut CefScratch,
    out: &'o mut Vec<u8>,
) -> CefRecordWriter<'a, 'o, 'w> {
    let CefScratch { marks, others, value: scratch, name, .. } = work;
    let class_id = record.event_type.unwrap_or(DEFAULT_CLASS);
    title(&record, name, scratch);
    let severity = rules.severity(class_id, Some("success"), severity(&record));
    let time = record.time(CREATED_AT, others, scratch);
    let name = if name.trim().is_empty() { class_id } else { name };
    let header = CefHeader { vendor: PRODUCT, product: PRODUCT, version: MAPPING_VERSION, class_id, name, severity };
    let mut writer = CefRecordWriter::begin(record, rules, &header, time, (marks, others, scratch), out);
    fill(&mut writer);
    writer
}

fn fill(writer: &mut CefRecordWriter<'_, '_, '_>) {
    writer.text(CefKey::Suser, IDENTIFIER);
    writer.text(CefKey::Suid, USER_ID);
    writer.text(CefKey::Spriv, PROVIDER);
    if writer.record.is(MODEL, "user") {
        writer.text(CefKey::Duid, ENTITY_ID);
    }
    writer.text(CefKey::Act, ACTION);
    writer.field(CefKey::Outcome, Field::Outcome);
    writer.text(CefKey::ExternalId, ID);
    writer.field(CefKey::Msg, Field::Message);
    writer.text(CefKey::Cat, MODEL);
    writer.custom(CefKey::Cn1, "revisionNumber", "revision_number", REVISION);
    writer.custom(CefKey::Cs1, "model", "model", MODEL);
    writer.custom(CefKey::Cs2, "entityId", "entity_id", ENTITY_ID);
    writer.custom(CefKey::Cs3, "provider", "provider", PROVIDER);
    let source = writer.record.source;
    writer.line.custom(CefKey::Cs4, "source", "instance", source);
    creator(writer);
}

/// The creator's id is the userId, and its kind is always the same.
fn creator(writer: &mut CefRecordWriter<'_, '_, '_>) {
    let Some(creator) = writer.record.member("creator") else { return };
    for MemberEntry { name, value } in Entries::new(creator.raw) {
        let known = match name.raw {
            "id" => writer.record.at(USER_ID).is_some_and(|id| id.raw == value.raw),
            "entityName" | "_entity_name" => value.raw == "user",
            _ => false,
        };
        if known {
            writer.others.say(value);
        }
    }
}

fn severity(record: &CefInput<'_>) -> u8 {
    let notable = ["delete", "destroy", "cascade_destroy"].iter().any(|action| record.is(ACTION, action));
    if notable || record.is(MODEL, "permission") { NOTABLE } else { ORDINARY }
}

/// `create source code`.
fn title(record: &CefInput<'_>, into: &mut String, scratch: &mut String) {
    into.clear();
    for place in [ACTION, MODEL] {
        if let Some(value) = record.at(place) {
            if !into.is_empty() {
                into.push(' ');
            }
            let text = value.text(scratch);
            into.extend(text.chars().map(|character| if character == '_' { ' ' } else { character }));
        }
    }
}
