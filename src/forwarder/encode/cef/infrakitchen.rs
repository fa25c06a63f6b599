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
    dictionary::Key,
    entries::{Entries, Entry},
    rules::Rules,
    sheet::{Record, Sheet, Work},
    writer::Header,
};
use crate::schema::{
    Field,
    infrakitchen::{ACTION, CREATED_AT, ENTITY_ID, ID, IDENTIFIER, MODEL, PROVIDER, REVISION, USER_ID},
};

const PRODUCT: &str = "InfraKitchen";
const NOTABLE: u8 = 3;
const ORDINARY: u8 = 1;

pub(super) fn encode<'a, 'o, 'w>(
    record: Record<'a>,
    rules: &'w Rules,
    work: &'w mut Work,
    out: &'o mut Vec<u8>,
) -> Sheet<'a, 'o, 'w> {
    let Work { marks, others, value: scratch, name, .. } = work;
    let class_id = record.event_type.unwrap_or(DEFAULT_CLASS);
    title(&record, name, scratch);
    let severity = rules.severity(class_id, Some("success"), severity(&record));
    let time = record.time(CREATED_AT, others, scratch);
    let name = if name.trim().is_empty() { class_id } else { name };
    let header = Header { vendor: PRODUCT, product: PRODUCT, version: MAPPING_VERSION, class_id, name, severity };
    let mut sheet = Sheet::begin(record, rules, &header, time, (marks, others, scratch), out);
    fill(&mut sheet);
    sheet
}

fn fill(sheet: &mut Sheet<'_, '_, '_>) {
    sheet.text(Key::Suser, IDENTIFIER);
    sheet.text(Key::Suid, USER_ID);
    sheet.text(Key::Spriv, PROVIDER);
    if sheet.record.is(MODEL, "user") {
        sheet.text(Key::Duid, ENTITY_ID);
    }
    sheet.text(Key::Act, ACTION);
    sheet.field(Key::Outcome, Field::Outcome);
    sheet.text(Key::ExternalId, ID);
    sheet.field(Key::Msg, Field::Message);
    sheet.text(Key::Cat, MODEL);
    sheet.custom(Key::Cn1, "revisionNumber", "revision_number", REVISION);
    sheet.custom(Key::Cs1, "model", "model", MODEL);
    sheet.custom(Key::Cs2, "entityId", "entity_id", ENTITY_ID);
    sheet.custom(Key::Cs3, "provider", "provider", PROVIDER);
    let source = sheet.record.source;
    sheet.line.custom(Key::Cs4, "source", "instance", source);
    creator(sheet);
}

/// The creator's id is the userId, and its kind is always the same.
fn creator(sheet: &mut Sheet<'_, '_, '_>) {
    let Some(creator) = sheet.record.member("creator") else { return };
    for Entry { name, value } in Entries::new(creator.raw) {
        let known = match name.raw {
            "id" => sheet.record.at(USER_ID).is_some_and(|id| id.raw == value.raw),
            "entityName" | "_entity_name" => value.raw == "user",
            _ => false,
        };
        if known {
            sheet.others.say(value);
        }
    }
}

fn severity(record: &Record<'_>) -> u8 {
    let notable = ["delete", "destroy", "cascade_destroy"].iter().any(|action| record.is(ACTION, action));
    if notable || record.is(MODEL, "permission") { NOTABLE } else { ORDINARY }
}

/// `create source code`.
fn title(record: &Record<'_>, into: &mut String, scratch: &mut String) {
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
