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
    entries::Entries,
    record_writer::{CefInput, CefRecordWriter, CefScratch, sentence},
    rules::Rules,
    writer::CefHeader,
};
use crate::{
    format::CefKey,
    schema::{
        Field,
        connect::{
            ACTOR, DATA, ID, LINKS, MESSAGE, OCCURRED_AT, OUTCOME, SERVER_VERSION, SOURCE_IP, TYPE, decode_data,
            links, primary,
        },
    },
};

const DENIED: u8 = 6;
const NOTABLE: u8 = 3;
const ORDINARY: u8 = 1;

pub(super) fn encode<'a, 'o, 'w>(
    record: CefInput<'a>,
    rules: &'w Rules,
    work: &'w mut CefScratch,
    out: &'o mut Vec<u8>,
) -> CefRecordWriter<'a, 'o, 'w> {
    let CefScratch { marks, others, value: scratch, name, class } = work;
    let class_id = record.event_type.unwrap_or(DEFAULT_CLASS);
    sentence(class_id, name);
    let outcome = record.facts.get(Field::Outcome, scratch);
    let severity = rules.severity(class_id, outcome, severity(class_id, outcome));
    let time = record.time(OCCURRED_AT, others, scratch);
    class.clear();
    let version = record.at(SERVER_VERSION).map_or(MAPPING_VERSION, |value| value.text(class));
    let header = CefHeader { vendor: "Cofide", product: "Connect", version, class_id, name, severity };
    let own_version = rules.settings.version.is_none() && CefHeader::keeps_version(version);
    let mut writer = CefRecordWriter::begin(record, rules, &header, time, (marks, others, scratch), out);
    if own_version {
        writer.said(SERVER_VERSION);
    }
    if CefHeader::keeps_class_id(class_id) {
        writer.said(TYPE);
    }
    fill(&mut writer, class_id);
    writer
}

fn fill(writer: &mut CefRecordWriter<'_, '_, '_>, class_id: &str) {
    writer.source_address(SOURCE_IP);
    writer.text(CefKey::Suser, ACTOR);
    writer.text(CefKey::Suid, ACTOR);
    writer.field(CefKey::Spriv, Field::ActorType);
    writer.line.text(CefKey::Act, verb(class_id));
    if writer.field(CefKey::Outcome, Field::Outcome) {
        writer.said(OUTCOME);
    }
    writer.text(CefKey::ExternalId, ID);
    writer.text(CefKey::Msg, MESSAGE);
    entities(writer);
    data(writer);
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

fn entities(writer: &mut CefRecordWriter<'_, '_, '_>) {
    if !writer.custom(CefKey::Cs1, "entityLinks", "links", LINKS) {
        return;
    }
    if let Some(link) = primary(writer.record.facts) {
        let kind = &mut *writer.scratch;
        kind.clear();
        kind.push_str(link.kind.strip_prefix("ENTITY_TYPE_").unwrap_or(&link.kind));
        kind.make_ascii_lowercase();
        writer.line.text(CefKey::Cat, kind);
        writer.line.custom(CefKey::Cs2, "entityType", "entity_type", kind);
        writer.line.custom(CefKey::Cs3, "entityId", "entity_id", &link.id);
    }
    let (mut organization, mut zone) = (None, None);
    links(writer.record.at(LINKS).map_or("", |value| value.raw), |link| match &*link.kind {
        "ENTITY_TYPE_ORGANIZATION" => organization = organization.take().or(Some(link.id)),
        "ENTITY_TYPE_TRUST_ZONE" => zone = zone.take().or(Some(link.id)),
        _ => {}
    });
    if let Some(id) = organization {
        writer.line.custom(CefKey::Cs4, "organizationId", "org_id", &id);
    }
    if let Some(id) = zone {
        writer.line.custom(CefKey::Cs6, "trustZoneId", "trust_zone_id", &id);
    }
}

/// What the base64 of the data says. What is not base64 of text stays as it is, under a key of ours.
fn data(writer: &mut CefRecordWriter<'_, '_, '_>) {
    let Some(value) = writer.record.at(DATA) else { return };
    let mut unescaped = String::new();
    if !decode_data(value.text(&mut unescaped), writer.scratch) {
        return;
    }
    let data = writer.scratch.trim();
    let mut text = String::new();
    let mut find = |path: &[&str]| {
        let found = Entries::find(data, path)?;
        Some(found.text(&mut text).to_owned())
    };
    if let Some(subject) = find(&["role_binding", "user", "subject"]) {
        writer.line.text(CefKey::Duser, &subject);
    }
    if let Some(reason) = find(&["deny_reason"]) {
        writer.line.text(CefKey::Reason, &reason);
    }
    if data == "{}" || writer.line.custom(CefKey::Cs5, "data", "data", data) {
        writer.others.say(value);
    }
}
