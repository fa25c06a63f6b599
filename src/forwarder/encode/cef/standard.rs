//! Systems of which nothing is known but what the schema's fields say: Kubernetes, Vault, and what a source's own
//! `fields` name.
//!
//! | CEF | field |
//! |---|---|
//! | class id, name | type |
//! | severity | 6 where the outcome is denied, 3 where it is failure or unknown, 1 where it is success |
//! | rt | time |
//! | src | source.address |
//! | suser, suid, spriv | actor.name or actor.email, actor.id, actor.type |
//! | act, requestMethod, request, requestClientApplication | request.method, the same, request.path, userAgent |
//! | outcome, reason, externalId, msg | outcome, reason, id, message |
//! | cat | target.type |
//! | cn1 | request.status |
//! | cs1 … cs5 | organization.id, trace.id, target.id, target.name, request.query |
//! | ad_NAME | all else |

use super::{
    DEFAULT_CLASS, MAPPING_VERSION, VENDOR,
    leftover::LeftoverFields,
    record_writer::{CefInput, CefRecordWriter, CefScratch},
    rules::Rules,
    time::Time,
    writer::CefHeader,
};
use crate::{
    format::CefKey,
    schema::{Facts, Field, System},
};

const DENIED: u8 = 6;
const UNKNOWN: u8 = 3;
const SUCCESS: u8 = 1;

/// The dictionary's keys for fields, the first field that says something.
const TEXTS: [(CefKey, &[Field]); 12] = [
    (CefKey::Suser, &[Field::ActorName, Field::ActorEmail]),
    (CefKey::Suid, &[Field::ActorId]),
    (CefKey::Spriv, &[Field::ActorType]),
    (CefKey::Act, &[Field::RequestMethod]),
    (CefKey::Outcome, &[Field::Outcome]),
    (CefKey::Reason, &[Field::Reason]),
    (CefKey::ExternalId, &[Field::Id]),
    (CefKey::Msg, &[Field::Message]),
    (CefKey::Request, &[Field::RequestPath]),
    (CefKey::RequestMethod, &[Field::RequestMethod]),
    (CefKey::RequestClientApplication, &[Field::UserAgent]),
    (CefKey::Cat, &[Field::TargetType]),
];

/// Custom fields: key, label, name in Konnect's dialect.
const CUSTOM: [(CefKey, &str, &str, Field); 6] = [
    (CefKey::Cn1, "status", "status", Field::RequestStatus),
    (CefKey::Cs1, "organizationId", "org_id", Field::OrganizationId),
    (CefKey::Cs2, "traceId", "trace_id", Field::TraceId),
    (CefKey::Cs3, "targetId", "target_id", Field::TargetId),
    (CefKey::Cs4, "targetName", "target_name", Field::TargetName),
    (CefKey::Cs5, "query", "query", Field::RequestQuery),
];

pub(super) fn encode<'a, 'o, 'w>(
    record: CefInput<'a>,
    rules: &'w Rules,
    work: &'w mut CefScratch,
    out: &'o mut Vec<u8>,
) -> CefRecordWriter<'a, 'o, 'w> {
    let CefScratch { marks, others, value: scratch, .. } = work;
    let class_id = record.event_type.unwrap_or(DEFAULT_CLASS);
    let (vendor, product) = match record.facts.system() {
        System::Kubernetes => ("Kubernetes", "Kubernetes"),
        System::Vault => ("HashiCorp", "Vault"),
        _ => (VENDOR, record.source),
    };
    let outcome = record.facts.get(Field::Outcome, scratch);
    let severity = rules.severity(class_id, outcome, severity(outcome));
    let time = time(record.facts, others, scratch);
    let header = CefHeader { vendor, product, version: MAPPING_VERSION, class_id, name: class_id, severity };
    let mut writer = CefRecordWriter::begin(record, rules, &header, time, (marks, others, scratch), out);
    fill(&mut writer, |_| true);
    writer
}

/// Writes the fields that the source's own `fields` name.
pub(super) fn mapped(writer: &mut CefRecordWriter<'_, '_, '_>) {
    let facts = writer.record.facts;
    fill(writer, |field| facts.is_mapped(field));
}

fn fill(writer: &mut CefRecordWriter<'_, '_, '_>, wanted: impl Fn(Field) -> bool) {
    if wanted(Field::SourceAddress)
        && let Some(address) = writer.record.facts.get(Field::SourceAddress, writer.scratch)
        && writer.line.source_address(address)
    {
        writer.others.say_text(address);
    }
    for (key, fields) in TEXTS {
        let _ = fields.iter().any(|field| wanted(*field) && writer.field(key, *field));
    }
    for (key, label, own, field) in CUSTOM {
        if wanted(field) {
            writer.custom_field(key, label, own, field);
        }
    }
}

pub(super) fn time(facts: Facts<'_>, others: &mut LeftoverFields, scratch: &mut String) -> Option<Time> {
    let text = facts.get(Field::Time, scratch)?;
    let time = Time::parse(text)?;
    if time.exact {
        others.say_text(text);
    }
    Some(time)
}

fn severity(outcome: Option<&str>) -> u8 {
    match outcome {
        Some("denied") => DENIED,
        Some("success") => SUCCESS,
        _ => UNKNOWN,
    }
}
