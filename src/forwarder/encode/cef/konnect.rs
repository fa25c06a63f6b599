//! Kong Konnect as CEF, from any of its forms: JSON, CPS, CEF and the records of its pull API.
//!
//! | CEF, strict | CEF, konnect | from |
//! |---|---|---|
//! | vendor, product, version | the same | event_vendor, event_product, event_version |
//! | class id, name, severity | the same | event_class_id, name, severity |
//! | rt, src | rt, src | rt, src |
//! | suser, suid | principal_name, principal_id | principal_name, principal_id |
//! | act | action | action, of an authorization |
//! | act, requestMethod | act | act, of a request |
//! | outcome | success, granted | success or failure, by success, granted or status |
//! | reason | | the tail of an authentication's name, or `HTTP` and the status; where it failed |
//! | externalId | | the first 32 digits of the record's SHA-256, without its signature: it has no id |
//! | request, requestClientApplication | request, user_agent | request, user_agent |
//! | cat | | authn, authz or access |
//! | cn1 | status | status |
//! | cs1 … cs5 | org_id, trace_id, query, portal_id, actor_id | the same |
//! | cs6 | ad_sig | sig |
//! | dvchost | | konghq.com |
//!
//! Konnect signs bytes: only a record that came as CEF and goes out as it came, in Konnect's dialect, is a line that its
//! `sig` verifies. In a line that was made of JSON it is `ad_sig`, for a verifier would take that line for forged.

use super::{
    DEFAULT_CLASS, MAPPING_VERSION,
    leftover::LeftoverFields,
    record_writer::{CefInput, CefRecordWriter, CefScratch, fingerprint},
    rules::Rules,
    time::Time,
    writer::CefHeader,
};
use crate::{
    config::Dialect,
    format::CefKey,
    scan::Value,
    schema::{
        Field, FieldPlace,
        konnect::{
            ACT, ACTION, ACTOR_ID, CEF_VERSION, Class, EVENT_CLASS_ID, EVENT_PRODUCT, EVENT_TS, EVENT_VENDOR,
            EVENT_VERSION, GRANTED, KONG_INITIATED, NAME, ORG_ID, PORTAL_ID, PRINCIPAL_ID, PRINCIPAL_NAME,
            PULL_AUTHENTICATION_TYPE, PULL_OUTCOME, PULL_SERVICE, PULL_TS, PULL_TYPE, QUERY, REQUEST, RT, SEVERITY,
            SIG, SRC, STATUS, SUCCESS, TRACE_ID, USER_AGENT, class,
        },
    },
};

const VENDOR: &str = "KongInc";
const PRODUCT: &str = "Konnect";
const HOST: &str = "konghq.com";

pub(super) fn encode<'a, 'o, 'w>(
    record: CefInput<'a>,
    rules: &'w Rules,
    work: &'w mut CefScratch,
    out: &'o mut Vec<u8>,
) -> CefRecordWriter<'a, 'o, 'w> {
    let CefScratch { marks, others, value: scratch, name: texts, class: class_text } = work;
    let class = class(record.facts);
    let time = time(&record, others, scratch);
    class_id(&record, class, class_text);
    let event_type = record.event_type.filter(|text| !text.trim().is_empty()).unwrap_or(DEFAULT_CLASS);
    let outcome = record.facts.get(Field::Outcome, scratch);
    let stated = record.at(SEVERITY).and_then(|value| value.raw.parse().ok()).filter(|severity| *severity <= 10);
    let severity = rules.severity(event_type, outcome, stated.unwrap_or_else(|| severity(outcome)));
    // Vendor, product and version one behind the other in one buffer.
    texts.clear();
    let mut ends = [0; 3];
    for (end, (place, default)) in
        ends.iter_mut().zip([(EVENT_VENDOR, VENDOR), (EVENT_PRODUCT, PRODUCT), (EVENT_VERSION, MAPPING_VERSION)])
    {
        texts.push_str(record.at(place).map_or(default, |value| value.text(scratch)));
        *end = texts.len();
    }
    let header = CefHeader {
        vendor: &texts[..ends[0]],
        product: &texts[ends[0]..ends[1]],
        version: &texts[ends[1]..ends[2]],
        class_id: class_text,
        name: event_type,
        severity,
    };
    let kept = [
        (EVENT_VENDOR, rules.settings.vendor.is_none() && CefHeader::keeps_vendor(header.vendor)),
        (EVENT_PRODUCT, rules.settings.product.is_none() && CefHeader::keeps_product(header.product)),
        (EVENT_VERSION, rules.settings.version.is_none() && CefHeader::keeps_version(header.version)),
        (EVENT_CLASS_ID, CefHeader::keeps_class_id(header.class_id)),
        (NAME, CefHeader::keeps_name(header.name)),
        (SEVERITY, stated == Some(severity)),
    ];
    let mut writer = CefRecordWriter::begin(record, rules, &header, time, (marks, others, scratch), out);
    for (place, _) in kept.iter().filter(|(_, kept)| *kept) {
        writer.said(*place);
    }
    writer.said_if(CEF_VERSION, "0");
    pulled(&mut writer, class, [header.class_id, header.name]);
    match writer.dialect() {
        Dialect::Strict => strict(&mut writer, class),
        Dialect::Konnect => native(&mut writer),
    }
    writer
}

fn strict(writer: &mut CefRecordWriter<'_, '_, '_>, class: Option<Class>) {
    writer.source_address(SRC);
    writer.text(CefKey::Suser, PRINCIPAL_NAME);
    writer.text(CefKey::Suid, PRINCIPAL_ID);
    writer.text(CefKey::Act, if class == Some(Class::Access) { ACT } else { ACTION });
    outcome(writer, class);
    let id = fingerprint(without_signature(&writer.record));
    writer.line.text(CefKey::ExternalId, std::str::from_utf8(&id).unwrap_or_default());
    writer.text(CefKey::Request, REQUEST);
    writer.text(CefKey::RequestMethod, ACT);
    writer.text(CefKey::RequestClientApplication, USER_AGENT);
    writer.custom(CefKey::Cn1, "status", "status", STATUS);
    for (key, label, place) in [
        (CefKey::Cs1, "org_id", ORG_ID),
        (CefKey::Cs2, "trace_id", TRACE_ID),
        (CefKey::Cs3, "query", QUERY),
        (CefKey::Cs4, "portal_id", PORTAL_ID),
        (CefKey::Cs5, "actor_id", ACTOR_ID),
        (CefKey::Cs6, "sig", SIG),
    ] {
        writer.custom(key, label, label, place);
    }
    if let Some(class) = class {
        writer.line.text(CefKey::Cat, class.name());
    }
    writer.line.text(CefKey::Dvchost, HOST);
}

/// Konnect's own keys, in its order.
fn native(writer: &mut CefRecordWriter<'_, '_, '_>) {
    for (key, place) in [
        ("src", SRC),
        ("request", REQUEST),
        ("act", ACT),
        ("status", STATUS),
        ("success", SUCCESS),
        ("action", ACTION),
        ("granted", GRANTED),
        ("org_id", ORG_ID),
        ("portal_id", PORTAL_ID),
        ("principal_id", PRINCIPAL_ID),
        ("principal_name", PRINCIPAL_NAME),
        ("actor_id", ACTOR_ID),
        ("kong_initiated", KONG_INITIATED),
        ("trace_id", TRACE_ID),
        ("user_agent", USER_AGENT),
        ("query", QUERY),
    ] {
        writer.own(key, place);
    }
}

fn outcome(writer: &mut CefRecordWriter<'_, '_, '_>, class: Option<Class>) {
    let word = match writer.record.facts.get(Field::Outcome, writer.scratch) {
        Some("success") => "success",
        Some(_) => "failure",
        None => return,
    };
    if !writer.line.text(CefKey::Outcome, word) {
        return;
    }
    for place in [SUCCESS, GRANTED] {
        let expected = if word == "success" { "true" } else { "false" };
        writer.said_if(place, expected);
    }
    if let Some(reason) = writer.record.facts.get(Field::Reason, writer.scratch) {
        let upper = if class == Some(Class::Authn) { reason.to_ascii_uppercase() } else { reason.to_owned() };
        writer.line.text(CefKey::Reason, &upper);
    }
}

/// `rt`, or what else tells the time; the whole seconds of `event_ts` tell nothing beside it.
fn time(record: &CefInput<'_>, others: &mut LeftoverFields, scratch: &mut String) -> Option<Time> {
    let places = [RT, EVENT_TS, PULL_TS];
    let time = places.into_iter().find_map(|place| record.time(place, others, scratch))?;
    let seconds = record.at(EVENT_TS).filter(|value| {
        let stated = Time::parse(value.text(scratch));
        stated.is_some_and(|stated| stated.exact && stated.seconds() == time.seconds())
    });
    if let Some(seconds) = seconds {
        others.say(seconds);
    }
    Some(time)
}

/// The class id; that of a record of the pull API is made as the webhook's would be.
fn class_id(record: &CefInput<'_>, class: Option<Class>, into: &mut String) {
    into.clear();
    let said = |place: FieldPlace| record.at(place);
    let mut unescaped = String::new();
    match (said(EVENT_CLASS_ID), class) {
        (Some(value), _) => into.push_str(value.text(&mut unescaped)),
        (None, Some(Class::Authn)) => {
            into.push_str("AUTHENTICATION_TYPE_");
            into.push_str(said(PULL_AUTHENTICATION_TYPE).map_or("INVALID", |value| value.text(&mut unescaped)));
            into.make_ascii_uppercase();
        }
        (None, Some(Class::Authz)) => {
            into.push_str(said(PULL_SERVICE).map_or("konnect", |value| value.text(&mut unescaped)));
        }
        (None, Some(Class::Access)) => into.push_str("KongGateway"),
        (None, None) => into.push_str(DEFAULT_CLASS),
    }
}

/// Says of the words of the pull API that the class id and the name were made of that they are in the line.
fn pulled(writer: &mut CefRecordWriter<'_, '_, '_>, class: Option<Class>, [class_id, name]: [&str; 2]) {
    let made = match class {
        Some(Class::Authn) => &[(PULL_AUTHENTICATION_TYPE, class_id), (PULL_OUTCOME, name)][..],
        Some(Class::Authz) => &[(PULL_SERVICE, class_id)],
        Some(Class::Access) | None => &[],
    };
    for (place, text) in made {
        let tells = |word: &str| {
            let start = text.len().checked_sub(word.len() + 1);
            let tail = start.and_then(|start| text.get(start..)?.strip_prefix('_'));
            word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
                && tail.is_some_and(|tail| tail.eq_ignore_ascii_case(word))
        };
        let kept = CefHeader::keeps_name(text);
        if kept && writer.record.at(*place).is_some_and(|value| value.raw == *text || tells(value.raw)) {
            writer.said(*place);
        }
    }
    for word in ["authentication", "authorization", "gateway_access"] {
        writer.said_if(PULL_TYPE, word);
    }
}

/// Konnect's own, where the record states none: what failed counts as a refusal.
fn severity(outcome: Option<&str>) -> u8 {
    match outcome {
        Some("denied") => 6,
        _ => 1,
    }
}

/// The line on both sides of the signature, without what belongs to it, as Konnect's own rule for verifying has it.
fn without_signature<'a>(record: &CefInput<'a>) -> [&'a str; 2] {
    let text = record.text;
    let whole = [text, ""];
    let Some(value) = record.at(SIG) else { return whole };
    let Some((start, end)) = place(text, value) else { return whole };
    if record.members.is_none() {
        return text[..start].strip_suffix(" sig=").map_or(whole, |before| [before, &text[end..]]);
    }
    let name = |before: &'a str| {
        let before = before.strip_suffix('"')?.trim_end().strip_suffix(':')?.trim_end().strip_suffix('"')?;
        let before = &before[..before.rfind('"')?];
        before.trim_end().strip_suffix(',')
    };
    match (name(&text[..start]), text[end..].strip_prefix('"')) {
        (Some(before), Some(behind)) => [before, behind],
        _ => whole,
    }
}

/// Where in the line a value of it stands.
fn place(text: &str, value: Value<'_>) -> Option<(usize, usize)> {
    let start = value.raw.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let end = start + value.raw.len();
    (end <= text.len()).then_some((start, end))
}
