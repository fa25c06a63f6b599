//! Cofide Connect as CEF.
//!
//! | CEF | from |
//! |---|---|
//! | vendor, product, version | `Cofide`, `Connect`, serverVersion |
//! | class id, name | the type in lower case without `EVENT_TYPE_`; its words |
//! | severity | 6 denied; 3 deletions and role bindings; else 1 |
//! | rt | occurredAt |
//! | src | sourceIp |
//! | suser, suid | actor |
//! | spriv | user, workload, system or join-token, by the actor |
//! | duser | whom a role binding is for, of the data |
//! | act | the type's verb: create, update, delete, … |
//! | outcome | success or denied |
//! | reason | why a token exchange was denied, of the data |
//! | externalId | id |
//! | msg | message |
//! | cat | the type of the entity that it is mainly about |
//! | cs1 | links |
//! | cs2, cs3 | type and id of the entity that it is mainly about |
//! | cs4, cs6 | ids of the organization and of the trust zone, of the links |
//! | cs5 | data, decoded |

use super::{
    DEFAULT_CLASS, MAPPING_VERSION,
    dictionary::Key,
    entries::Entries,
    rules::Rules,
    sheet::{Record, Sheet, Work, sentence},
    writer::Header,
};
use crate::schema::{
    Field,
    connect::{ACTOR, DATA, ID, LINKS, MESSAGE, OCCURRED_AT, OUTCOME, SERVER_VERSION, SOURCE_IP, TYPE},
    connect::{decode_data, links, primary},
};

const DENIED: u8 = 6;
const NOTABLE: u8 = 3;
const ORDINARY: u8 = 1;

pub(super) fn encode<'a, 'o, 'w>(
    record: Record<'a>,
    rules: &'w Rules,
    work: &'w mut Work,
    out: &'o mut Vec<u8>,
) -> Sheet<'a, 'o, 'w> {
    let Work { marks, others, value: scratch, name, class } = work;
    let class_id = record.event_type.unwrap_or(DEFAULT_CLASS);
    sentence(class_id, name);
    let outcome = record.facts.get(Field::Outcome, scratch);
    let severity = rules.severity(class_id, outcome, severity(class_id, outcome));
    let time = record.time(OCCURRED_AT, others, scratch);
    class.clear();
    let version = record.at(SERVER_VERSION).map_or(MAPPING_VERSION, |value| value.text(class));
    let header = Header { vendor: "Cofide", product: "Connect", version, class_id, name, severity };
    let own_version = rules.settings.version.is_none() && Header::keeps_version(version);
    let mut sheet = Sheet::begin(record, rules, &header, time, (marks, others, scratch), out);
    if own_version {
        sheet.said(SERVER_VERSION);
    }
    if Header::keeps_class_id(class_id) {
        sheet.said(TYPE);
    }
    fill(&mut sheet, class_id);
    sheet
}

fn fill(sheet: &mut Sheet<'_, '_, '_>, class_id: &str) {
    sheet.source_address(SOURCE_IP);
    sheet.text(Key::Suser, ACTOR);
    sheet.text(Key::Suid, ACTOR);
    sheet.field(Key::Spriv, Field::ActorType);
    sheet.line.text(Key::Act, verb(class_id));
    if sheet.field(Key::Outcome, Field::Outcome) {
        sheet.said(OUTCOME);
    }
    sheet.text(Key::ExternalId, ID);
    sheet.text(Key::Msg, MESSAGE);
    entities(sheet);
    data(sheet);
}

fn severity(class_id: &str, outcome: Option<&str>) -> u8 {
    match outcome {
        Some("denied") => DENIED,
        _ if class_id.ends_with("_deletion") || class_id.starts_with("role_binding_") => NOTABLE,
        _ => ORDINARY,
    }
}

/// What was done, of the last word of the type.
fn verb(class_id: &str) -> &str {
    match class_id.rsplit_once('_').map_or(class_id, |(_, last)| last) {
        "creation" => "create",
        "deletion" => "delete",
        "registration" => "register",
        "deregistration" => "deregister",
        "attestation" => "attest",
        "pruning" => "prune",
        other => other,
    }
}

fn entities(sheet: &mut Sheet<'_, '_, '_>) {
    if !sheet.custom(Key::Cs1, "entityLinks", "links", LINKS) {
        return;
    }
    if let Some(link) = primary(sheet.record.facts) {
        let kind = &mut *sheet.scratch;
        kind.clear();
        kind.push_str(link.kind.strip_prefix("ENTITY_TYPE_").unwrap_or(&link.kind));
        kind.make_ascii_lowercase();
        sheet.line.text(Key::Cat, kind);
        sheet.line.custom(Key::Cs2, "entityType", "entity_type", kind);
        sheet.line.custom(Key::Cs3, "entityId", "entity_id", &link.id);
    }
    let (mut organization, mut zone) = (None, None);
    links(sheet.record.at(LINKS).map_or("", |value| value.raw), |link| match &*link.kind {
        "ENTITY_TYPE_ORGANIZATION" => organization = organization.take().or(Some(link.id)),
        "ENTITY_TYPE_TRUST_ZONE" => zone = zone.take().or(Some(link.id)),
        _ => {}
    });
    if let Some(id) = organization {
        sheet.line.custom(Key::Cs4, "organizationId", "org_id", &id);
    }
    if let Some(id) = zone {
        sheet.line.custom(Key::Cs6, "trustZoneId", "trust_zone_id", &id);
    }
}

/// What the base64 of the data says. What is not base64 of text stays as it is, under a key of ours.
fn data(sheet: &mut Sheet<'_, '_, '_>) {
    let Some(value) = sheet.record.at(DATA) else { return };
    let mut unescaped = String::new();
    if !decode_data(value.text(&mut unescaped), sheet.scratch) {
        return;
    }
    let data = sheet.scratch.trim();
    let mut text = String::new();
    let mut find = |path: &[&str]| {
        let found = Entries::find(data, path)?;
        Some(found.text(&mut text).to_owned())
    };
    if let Some(subject) = find(&["role_binding", "user", "subject"]) {
        sheet.line.text(Key::Duser, &subject);
    }
    if let Some(reason) = find(&["deny_reason"]) {
        sheet.line.text(Key::Reason, &reason);
    }
    if data == "{}" || sheet.line.custom(Key::Cs5, "data", "data", data) {
        sheet.others.say(value);
    }
}
