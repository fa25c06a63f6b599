//! Chainloop: its audit envelope, the bare `Data` of one, and both with names in snake_case.
//!
//! The control plane's own message has Go's names; what the closed Platform puts around it when it calls a webhook is
//! written down nowhere, hence the other shapes. A rule calls a type by its `ActionType`. Only what succeeded is recorded.
//! There is no id: an action done twice has the same `Digest`.

use super::{
    Field, FieldPlace,
    system::{Definition, FieldSource, NO_OTHER, places},
};

/// Every action type of the open-source control plane, as a rule writes it.
pub const ACTION_TYPES: [&str; 38] = [
    "APITokenCreated",
    "APITokenRevoked",
    "CASArtifactUploaded",
    "CASArtifactDownloaded",
    "CASBackendCreated",
    "CASBackendUpdated",
    "CASBackendSoftDeleted",
    "CASBackendPermanentDeleted",
    "CASBackendStatusChanged",
    "GroupCreated",
    "GroupUpdated",
    "GroupDeleted",
    "GroupMembershipAdded",
    "GroupMembershipRemoved",
    "GroupMembershipUpdated",
    "OrganizationCreated",
    "UserJoined",
    "UserLeft",
    "UserRemoved",
    "InvitationCreated",
    "ProjectCreated",
    "ProjectVersionCreated",
    "ProjectVersionUpdated",
    "ProjectVersionDeleted",
    "ProjectMembershipAdded",
    "ProjectMembershipRemoved",
    "ProjectMemberRoleUpdated",
    "SignedUp",
    "LoggedIn",
    "RoleChanged",
    "WorkflowCreated",
    "WorkflowUpdated",
    "WorkflowDeleted",
    "WorkflowContractCreated",
    "WorkflowContractUpdated",
    "WorkflowContractDeleted",
    "WorkflowContractContractAttached",
    "WorkflowContractContractDetached",
];

places! { Chainloop;
    EVENT_TYPE = ["/EventType", "/event_type"];
    TIMESTAMP = ["/Timestamp", "/timestamp"];
    ACTION_TYPE = ["/Data/ActionType", "/ActionType", "/data/action_type", "/action_type"];
    TARGET_TYPE = ["/Data/TargetType", "/TargetType", "/data/target_type", "/target_type"];
    TARGET_ID = ["/Data/TargetID", "/TargetID", "/data/target_id", "/target_id"];
    ACTOR_TYPE = ["/Data/ActorType", "/ActorType", "/data/actor_type", "/actor_type"];
    ACTOR_ID = ["/Data/ActorID", "/ActorID", "/data/actor_id", "/actor_id"];
    ACTOR_EMAIL = ["/Data/ActorEmail", "/ActorEmail", "/data/actor_email", "/actor_email"];
    ACTOR_NAME = ["/Data/ActorName", "/ActorName", "/data/actor_name", "/actor_name"];
    ORG_ID = ["/Data/OrgID", "/OrgID", "/data/org_id", "/org_id"];
    DESCRIPTION = ["/Data/Description", "/Description", "/data/description", "/description"];
    /// An object whose members depend on the action.
    INFO = ["/Data/Info", "/Info", "/data/info", "/info"];
    /// Of the action without its time: the same for the same action done again.
    DIGEST = ["/Data/Digest", "/Digest", "/data/digest", "/digest"];
    INFO_USER_ID = ["/Data/Info/user_id", "/Info/user_id", "/data/info/user_id", "/info/user_id"];
    INFO_USER_EMAIL = ["/Data/Info/user_email", "/Info/user_email", "/data/info/user_email", "/info/user_email"];
    INFO_REMOVED_USER_ID = ["/Data/Info/removed_user_id", "/Info/removed_user_id", "/data/info/removed_user_id", "/info/removed_user_id"];
    INFO_REMOVED_USER_EMAIL = ["/Data/Info/removed_user_email", "/Info/removed_user_email", "/data/info/removed_user_email", "/info/removed_user_email"];
    INFO_RECEIVER_EMAIL = ["/Data/Info/ReceiverEmail", "/Info/ReceiverEmail", "/data/info/receiver_email", "/info/receiver_email"];
    INFO_EMAIL = ["/Data/Info/email", "/Info/email", "/data/info/email", "/info/email"];
    INFO_STATUS_ERROR = ["/Data/Info/status_error", "/Info/status_error", "/data/info/status_error", "/info/status_error"];
    INFO_NEW_STATUS = ["/Data/Info/new_status", "/Info/new_status", "/data/info/new_status", "/info/new_status"];
    INFO_SIZE_BYTES = ["/Data/Info/size_bytes", "/Info/size_bytes", "/data/info/size_bytes", "/info/size_bytes"];
    INFO_DIGEST = ["/Data/Info/digest", "/Info/digest", "/data/info/digest", "/info/digest"];
    INFO_FILE_NAME = ["/Data/Info/file_name", "/Info/file_name", "/data/info/file_name", "/info/file_name"];
    INFO_EXPIRES_AT = ["/Data/Info/expires_at", "/Info/expires_at", "/data/info/expires_at", "/info/expires_at"];
    INFO_PROJECT_NAME = ["/Data/Info/project_name", "/Info/project_name", "/data/info/project_name", "/info/project_name"];
    INFO_WORKFLOW_NAME = ["/Data/Info/workflow_name", "/Info/workflow_name", "/data/info/workflow_name", "/info/workflow_name"];
    INFO_API_TOKEN_NAME = ["/Data/Info/api_token_name", "/Info/api_token_name", "/data/info/api_token_name", "/info/api_token_name"];
    INFO_CAS_BACKEND_NAME = ["/Data/Info/cas_backend_name", "/Info/cas_backend_name", "/data/info/cas_backend_name", "/info/cas_backend_name"];
    INFO_GROUP_NAME = ["/Data/Info/group_name", "/Info/group_name", "/data/info/group_name", "/info/group_name"];
    INFO_ORG_NAME = ["/Data/Info/org_name", "/Info/org_name", "/data/info/org_name", "/info/org_name"];
    INFO_WORKFLOW_CONTRACT_NAME = ["/Data/Info/workflow_contract_name", "/Info/workflow_contract_name", "/data/info/workflow_contract_name", "/info/workflow_contract_name"];
}

pub(super) const DEFINITION: Definition = Definition {
    pointers: POINTERS,
    marks: &[ACTION_TYPE, TARGET_TYPE, ACTOR_TYPE],
    is: |facts| facts.says(ACTION_TYPE) && facts.says(TARGET_TYPE) && facts.says(ACTOR_TYPE),
    field,
    also: NO_OTHER,
};

fn field(field: Field) -> FieldSource {
    match field {
        Field::Type => FieldSource::At(&[ACTION_TYPE]),
        Field::Time => FieldSource::At(&[TIMESTAMP]),
        Field::ActorId => FieldSource::At(&[ACTOR_ID]),
        Field::ActorName => FieldSource::At(&[ACTOR_NAME]),
        Field::ActorEmail => FieldSource::At(&[ACTOR_EMAIL]),
        Field::ActorType => FieldSource::At(&[ACTOR_TYPE]),
        Field::Outcome => FieldSource::Always("success"),
        Field::Reason => FieldSource::At(&[INFO_STATUS_ERROR]),
        Field::TargetType => FieldSource::At(&[TARGET_TYPE]),
        Field::TargetId => FieldSource::At(&[TARGET_ID]),
        Field::TargetName => FieldSource::Made(NAMES, |facts, scratch| {
            let kind = facts.scalar(TARGET_TYPE)?.raw;
            let (_, place) = NAME_OF.iter().find(|(known, _)| *known == kind)?;
            facts.text(*place, scratch)
        }),
        Field::Message => FieldSource::At(&[DESCRIPTION]),
        Field::OrganizationId => FieldSource::At(&[ORG_ID]),
        Field::Payload => FieldSource::Made(&[INFO], |facts, scratch| Some(facts.at(INFO)?.text(scratch))),
        Field::Id
        | Field::SourceAddress
        | Field::TraceId
        | Field::RequestMethod
        | Field::RequestPath
        | Field::RequestStatus
        | Field::RequestQuery
        | Field::UserAgent => FieldSource::Nowhere,
    }
}

/// Where the target's name is, by its type.
const NAME_OF: [(&str, FieldPlace); 9] = [
    ("APIToken", INFO_API_TOKEN_NAME),
    ("CASArtifact", INFO_FILE_NAME),
    ("CASBackend", INFO_CAS_BACKEND_NAME),
    ("Group", INFO_GROUP_NAME),
    ("Organization", INFO_ORG_NAME),
    ("Project", INFO_PROJECT_NAME),
    ("User", INFO_EMAIL),
    ("Workflow", INFO_WORKFLOW_NAME),
    ("WorkflowContract", INFO_WORKFLOW_CONTRACT_NAME),
];

const NAMES: &[FieldPlace] = &[
    TARGET_TYPE,
    INFO_API_TOKEN_NAME,
    INFO_FILE_NAME,
    INFO_CAS_BACKEND_NAME,
    INFO_GROUP_NAME,
    INFO_ORG_NAME,
    INFO_PROJECT_NAME,
    INFO_EMAIL,
    INFO_WORKFLOW_NAME,
    INFO_WORKFLOW_CONTRACT_NAME,
];
