//! Our names for what an event tells, whichever system it comes from.

use std::fmt;

/// One thing that an event may tell. The set is closed: rules and mappings name its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    Id,
    /// What happened, in the system's own words.
    Type,
    Time,
    ActorId,
    ActorName,
    ActorEmail,
    /// What sort of actor: a user, a workload, the system itself.
    ActorType,
    SourceAddress,
    /// `success`, `failure` or `denied` for the known systems.
    Outcome,
    Reason,
    TargetType,
    TargetId,
    TargetName,
    Message,
    TraceId,
    OrganizationId,
    RequestMethod,
    RequestPath,
    RequestStatus,
    RequestQuery,
    UserAgent,
    /// The system's own details; mostly JSON.
    Payload,
}

impl Field {
    pub const ALL: [Field; 22] = [
        Field::Id,
        Field::Type,
        Field::Time,
        Field::ActorId,
        Field::ActorName,
        Field::ActorEmail,
        Field::ActorType,
        Field::SourceAddress,
        Field::Outcome,
        Field::Reason,
        Field::TargetType,
        Field::TargetId,
        Field::TargetName,
        Field::Message,
        Field::TraceId,
        Field::OrganizationId,
        Field::RequestMethod,
        Field::RequestPath,
        Field::RequestStatus,
        Field::RequestQuery,
        Field::UserAgent,
        Field::Payload,
    ];

    /// As rules and mappings write it.
    pub const fn name(self) -> &'static str {
        match self {
            Field::Id => "id",
            Field::Type => "type",
            Field::Time => "time",
            Field::ActorId => "actor.id",
            Field::ActorName => "actor.name",
            Field::ActorEmail => "actor.email",
            Field::ActorType => "actor.type",
            Field::SourceAddress => "source.address",
            Field::Outcome => "outcome",
            Field::Reason => "reason",
            Field::TargetType => "target.type",
            Field::TargetId => "target.id",
            Field::TargetName => "target.name",
            Field::Message => "message",
            Field::TraceId => "trace.id",
            Field::OrganizationId => "organization.id",
            Field::RequestMethod => "request.method",
            Field::RequestPath => "request.path",
            Field::RequestStatus => "request.status",
            Field::RequestQuery => "request.query",
            Field::UserAgent => "userAgent",
            Field::Payload => "payload",
        }
    }

    /// The field of this name; names are exact.
    pub fn parse(name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|field| field.name() == name)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Some of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldSet(u32);

impl FieldSet {
    pub const EMPTY: FieldSet = FieldSet(0);

    pub const fn with(self, field: Field) -> FieldSet {
        FieldSet(self.0 | 1 << field as u32)
    }

    pub const fn union(self, other: FieldSet) -> FieldSet {
        FieldSet(self.0 | other.0)
    }

    pub const fn has(self, field: Field) -> bool {
        self.0 >> field as u32 & 1 == 1
    }
}

impl FromIterator<Field> for FieldSet {
    fn from_iter<I: IntoIterator<Item = Field>>(fields: I) -> FieldSet {
        fields.into_iter().fold(FieldSet::EMPTY, FieldSet::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name_alone() {
        for (index, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(field as usize, index);
            assert_eq!(Field::parse(field.name()), Some(field));
        }
        for other in ["", "ID", "actor", "actor.", "user.agent", "useragent", "actor.id "] {
            assert_eq!(Field::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        let set: FieldSet = [Field::Id, Field::Payload].into_iter().collect();
        let held: Vec<Field> = Field::ALL.into_iter().filter(|field| set.has(*field)).collect();
        assert_eq!(held, [Field::Id, Field::Payload]);
        assert!(set.union(FieldSet::EMPTY.with(Field::Time)).has(Field::Time));
    }
}
