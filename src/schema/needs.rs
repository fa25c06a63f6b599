//! What a reader must know of an event, so that no more is looked for.

use super::{Field, FieldSet};

/// What a forwarder must know of an event. Each needs what those before it need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Only that it is one.
    Validity,
    /// Its type.
    Type,
    /// Its type and these fields.
    Fields(FieldSet),
    /// Every field, every place of its system, and all its outermost members.
    Members,
}

impl Needs {
    /// What two readers need together.
    #[must_use]
    pub fn max(self, other: Needs) -> Needs {
        match (self, other) {
            (Needs::Members, _) | (_, Needs::Members) => Needs::Members,
            (Needs::Validity, needs) | (needs, Needs::Validity) => needs,
            (Needs::Type, Needs::Type) => Needs::Type,
            _ => Needs::Fields(self.fields().union(other.fields())),
        }
    }

    pub(super) fn fields(self) -> FieldSet {
        match self {
            Needs::Validity | Needs::Type => FieldSet::EMPTY,
            Needs::Fields(fields) => fields,
            Needs::Members => Field::ALL.into_iter().collect(),
        }
    }
}
