//! Chainloop as CEF, from its envelope or the bare data of one.
//!
//! | CEF | from |
//! |---|---|
//! | vendor, product, version | `Chainloop`, `Chainloop`, `1.0` |
//! | class id, name | ActionType; its words |
//! | severity | 6 a CAS backend that became invalid; 3 what was deleted, revoked or removed, and changed roles; else 1 |
//! | rt | Timestamp |
//! | suser | ActorEmail, else ActorName, else `system@chainloop.dev` |
//! | suid, spriv | ActorID, ActorType |
//! | duser, duid | whom it is about: user_email, removed_user_email, ReceiverEmail or email of Info, and that one's id |
//! | act | the verb of ActionType: create, delete, login, … |
//! | outcome | success: nothing else is recorded |
//! | reason | status_error of Info |
//! | externalId | the first 32 digits of the line's SHA-256: it has no id, and an action done twice has one Digest |
//! | msg | Description |
//! | cat, cs1 | TargetType |
//! | cs2, cs3 | TargetID, OrgID |
//! | cs4 | Info |
//! | cs5 | Digest |
//! | cs6 | project_name or else workflow_name of Info |
//! | fileHash, fsize (cn1 from 2 GiB on), fname | digest, size_bytes and file_name of Info |
//! | deviceCustomDate1 | expires_at of Info |

use super::{
    DEFAULT_CLASS, MAPPING_VERSION,
    record_writer::{CefInput, CefRecordWriter, CefScratch, fingerprint, words},
    rules::Rules,
    writer::CefHeader,
};
use crate::{
    format::CefKey,
    schema::{
        Field,
        chainloop::{
            ACTION_TYPE, ACTOR_EMAIL, ACTOR_ID, ACTOR_NAME, ACTOR_TYPE, DESCRIPTION, DIGEST, EVENT_TYPE, INFO,
            INFO_DIGEST, INFO_EMAIL, INFO_EXPIRES_AT, INFO_FILE_NAME, INFO_NEW_STATUS, INFO_PROJECT_NAME,
            INFO_RECEIVER_EMAIL, INFO_REMOVED_USER_EMAIL, INFO_REMOVED_USER_ID, INFO_SIZE_BYTES, INFO_STATUS_ERROR,
            INFO_USER_EMAIL, INFO_USER_ID, INFO_WORKFLOW_NAME, ORG_ID, TARGET_ID, TARGET_TYPE, TIMESTAMP,
        },
    },
};

const PRODUCT: &str = "Chainloop";
/// What Chainloop calls itself where no one else acts.
const SYSTEM: &str = "system@chainloop.dev";

const ALARMING: u8 = 6;
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
    words(class_id, name);
    let severity = rules.severity(class_id, Some("success"), severity(&record, class_id));
    let time = record.time(TIMESTAMP, others, scratch);
    let header = CefHeader { vendor: PRODUCT, product: PRODUCT, version: MAPPING_VERSION, class_id, name, severity };
    let mut writer = CefRecordWriter::begin(record, rules, &header, time, (marks, others, scratch), out);
    if CefHeader::keeps_class_id(class_id) {
        writer.said(ACTION_TYPE);
    }
    writer.said_if(EVENT_TYPE, "AUDIT_EVENT");
    fill(&mut writer, class_id);
    writer
}

fn fill(writer: &mut CefRecordWriter<'_, '_, '_>, class_id: &str) {
    if !(writer.text(CefKey::Suser, ACTOR_EMAIL) || writer.text(CefKey::Suser, ACTOR_NAME)) {
        writer.line.text(CefKey::Suser, SYSTEM);
    }
    writer.text(CefKey::Suid, ACTOR_ID);
    writer.text(CefKey::Spriv, ACTOR_TYPE);
    let whom = [
        (INFO_USER_EMAIL, Some(INFO_USER_ID)),
        (INFO_REMOVED_USER_EMAIL, Some(INFO_REMOVED_USER_ID)),
        (INFO_RECEIVER_EMAIL, None),
        (INFO_EMAIL, Some(INFO_USER_ID)),
    ];
    if let Some((_, Some(id))) = whom.into_iter().find(|(email, _)| writer.text(CefKey::Duser, *email)) {
        writer.text(CefKey::Duid, id);
    }
    if let Some(verb) = verb(class_id) {
        writer.line.text(CefKey::Act, verb);
    }
    writer.field(CefKey::Outcome, Field::Outcome);
    writer.text(CefKey::Reason, INFO_STATUS_ERROR);
    let id = fingerprint([writer.record.text, ""]);
    writer.line.text(CefKey::ExternalId, std::str::from_utf8(&id).unwrap_or_default());
    writer.text(CefKey::Msg, DESCRIPTION);
    writer.text(CefKey::FileHash, INFO_DIGEST);
    writer.text(CefKey::Fname, INFO_FILE_NAME);
    if !writer.text(CefKey::Fsize, INFO_SIZE_BYTES) {
        writer.custom(CefKey::Cn1, "sizeBytes", "size_bytes", INFO_SIZE_BYTES);
    }
    writer.text(CefKey::Cat, TARGET_TYPE);
    writer.custom(CefKey::Cs1, "targetType", "target_type", TARGET_TYPE);
    writer.custom(CefKey::Cs2, "targetId", "target_id", TARGET_ID);
    writer.custom(CefKey::Cs3, "orgId", "org_id", ORG_ID);
    writer.custom(CefKey::Cs4, "info", "info", INFO);
    writer.custom(CefKey::Cs5, "digest", "digest", DIGEST);
    if !writer.custom(CefKey::Cs6, "project", "project", INFO_PROJECT_NAME) {
        writer.custom(CefKey::Cs6, "workflow", "workflow", INFO_WORKFLOW_NAME);
    }
    writer.custom(CefKey::DeviceCustomDate1, "expiresAt", "expires_at", INFO_EXPIRES_AT);
}

fn severity(record: &CefInput<'_>, class_id: &str) -> u8 {
    let takes_away = ["Deleted", "Revoked", "Removed"].iter().any(|end| class_id.ends_with(end));
    if class_id == "CASBackendStatusChanged" && record.is(INFO_NEW_STATUS, "Invalid") {
        ALARMING
    } else if takes_away || class_id == "RoleChanged" {
        NOTABLE
    } else {
        ORDINARY
    }
}

/// The verb, of the end of the action's name.
fn verb(class_id: &str) -> Option<&'static str> {
    let verbs = [
        ("Created", "create"),
        ("Updated", "update"),
        ("Deleted", "delete"),
        ("Revoked", "revoke"),
        ("Uploaded", "upload"),
        ("Downloaded", "download"),
        ("Added", "add"),
        ("Removed", "remove"),
        ("Attached", "attach"),
        ("Detached", "detach"),
        ("Changed", "change"),
        ("Joined", "join"),
        ("Left", "leave"),
        ("LoggedIn", "login"),
        ("SignedUp", "signup"),
    ];
    verbs.iter().find(|(end, _)| class_id.ends_with(end)).map(|(_, verb)| *verb)
}
