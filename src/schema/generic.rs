//! Any JSON object, by the names that audit events commonly have.
//!
//! The indexes of [`TYPES`] and [`NAMES`] are those of the compiled paths: with [`all`], `TYPES` come first.

use crate::event::{Fields, NodeId, Paths, Value};

/// The members that may hold the event's type; the first that is a string does.
pub const TYPES: [&str; 6] = ["/type", "/event_type", "/eventType", "/action", "/event", "/name"];

/// What else a member's name may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Id,
    Time,
    Name,
    Severity,
    Actor,
    ActorId,
    SourceAddress,
    Action,
    Outcome,
    Message,
}

/// The common names; those of a field stand together, the preferred ones first.
pub const NAMES: [(Field, &str); 45] = [
    (Field::Id, "/id"),
    (Field::Id, "/event_id"),
    (Field::Id, "/eventId"),
    (Field::Id, "/auditID"),
    (Field::Id, "/uuid"),
    (Field::Time, "/rt"),
    (Field::Time, "/time"),
    (Field::Time, "/timestamp"),
    (Field::Time, "/occurredAt"),
    (Field::Time, "/createdAt"),
    (Field::Time, "/event_ts"),
    (Field::Time, "/Timestamp"),
    (Field::Time, "/occurred_at"),
    (Field::Time, "/created_at"),
    (Field::Time, "/@timestamp"),
    (Field::Time, "/ts"),
    (Field::Name, "/name"),
    (Field::Severity, "/severity"),
    (Field::Actor, "/actor"),
    (Field::Actor, "/user"),
    (Field::Actor, "/username"),
    (Field::Actor, "/userName"),
    (Field::Actor, "/user_name"),
    (Field::Actor, "/principal_name"),
    (Field::Actor, "/principal"),
    (Field::ActorId, "/actor_id"),
    (Field::ActorId, "/actorId"),
    (Field::ActorId, "/user_id"),
    (Field::ActorId, "/userId"),
    (Field::ActorId, "/principal_id"),
    (Field::SourceAddress, "/src"),
    (Field::SourceAddress, "/sourceIp"),
    (Field::SourceAddress, "/source_ip"),
    (Field::SourceAddress, "/sourceIP"),
    (Field::SourceAddress, "/src_ip"),
    (Field::SourceAddress, "/clientIp"),
    (Field::SourceAddress, "/client_ip"),
    (Field::SourceAddress, "/remote_addr"),
    (Field::SourceAddress, "/ip"),
    (Field::Action, "/action"),
    (Field::Action, "/act"),
    (Field::Outcome, "/outcome"),
    (Field::Message, "/message"),
    (Field::Message, "/msg"),
    (Field::Message, "/description"),
];

/// The places that the event's type is looked for at.
pub fn types() -> Paths {
    Paths::new(&TYPES)
}

/// The places of the type and of all other known fields.
pub fn all() -> Paths {
    let pointers: Vec<&str> = TYPES.into_iter().chain(NAMES.into_iter().map(|(_, pointer)| pointer)).collect();
    Paths::new(&pointers)
}

/// The value that is the event's type, and the node it was found at.
pub fn event_type<'a>(fields: &Fields, text: &'a str) -> Option<(NodeId, Value<'a>)> {
    let mut found = (0..TYPES.len()).filter_map(|pointer| Some((fields.node(pointer), fields.get(pointer, text)?)));
    found.find(|(_, value)| value.is_string())
}

/// The values that may be `field`, most preferred first. Only of fields that were found by [`all`].
pub fn candidates<'a>(field: Field, fields: &Fields, text: &'a str) -> impl Iterator<Item = (NodeId, Value<'a>)> {
    let (start, end) = RUNS[field as usize];
    (TYPES.len() + start..TYPES.len() + end)
        .filter_map(move |pointer| Some((fields.node(pointer), fields.get(pointer, text)?)))
}

/// For each field, where its names begin and end in [`NAMES`].
const RUNS: [(usize, usize); 10] = {
    let mut runs = [(0, 0); 10];
    let mut index = 0;
    while index < NAMES.len() {
        let field = NAMES[index].0 as usize;
        if runs[field].1 == 0 {
            runs[field].0 = index;
        }
        assert!(runs[field].1 == 0 || runs[field].1 == index, "a field's names stand together");
        runs[field].1 = index + 1;
        index += 1;
    }
    runs
};
