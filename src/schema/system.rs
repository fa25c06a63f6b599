//! What a system is to the rest: places in its records, what tells them from others, and where each field is.
//!
//! Each system is one file that fills in a [`Definition`]. A [`FieldPlace`] is one thing in its records under all the
//! spellings that the record's shapes have for it, so that whoever reads it need not know the shapes.

use super::{Facts, Field, chainloop, connect, generic, infrakitchen, konnect, kubernetes, vault};

/// What a source's lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Recognised per record: one of the systems below, or else `Generic`.
    Auto,
    Connect,
    Infrakitchen,
    /// JSON, CPS or CEF.
    Konnect,
    Chainloop,
    Kubernetes,
    Vault,
    /// Any JSON object; the event type is the first of `type`, `event_type`, `eventType`, `action`, `event`, `name`.
    Generic,
    /// Any text; it is not checked to be JSON.
    Raw,
}

/// Whose event it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum System {
    Connect,
    InfraKitchen,
    Konnect,
    Chainloop,
    Kubernetes,
    Vault,
    /// Any JSON, by the names that events commonly have or by the source's own `fields`.
    Generic,
}

/// Something in the records of one system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldPlace {
    pub(super) system: System,
    pub(super) index: u8,
}

/// Where a field is in a system's records.
#[derive(Clone, Copy)]
pub(super) enum FieldSource {
    Nowhere,
    /// The first of these that is a scalar and not empty.
    At(&'static [FieldPlace]),
    /// The same in every event.
    Always(&'static str),
    /// What the function makes of these places.
    Made(&'static [FieldPlace], Make),
}

/// Makes a field of what the record says; `scratch` is empty before and may hold the text after.
pub(super) type Make = for<'s> fn(Facts<'s>, &'s mut String) -> Option<&'s str>;

pub(super) struct Definition {
    /// For each place the JSON pointers that it may be at, the preferred ones first.
    pub pointers: &'static [&'static [&'static str]],
    /// The places that `is` looks at.
    pub marks: &'static [FieldPlace],
    /// Whether a record is one of this system's.
    pub is: fn(Facts<'_>) -> bool,
    pub field: fn(Field) -> FieldSource,
    /// The other words by which a rule may call the event's type, and their places.
    pub also: (&'static [FieldPlace], Also),
}

/// Tells `hears` other words for the event's type, until it says true.
pub(super) type Also = fn(Facts<'_>, &mut String, &mut dyn FnMut(&str) -> bool) -> bool;

impl System {
    /// In the order in which a record is tried to be recognised; the last one takes all.
    pub const ALL: [System; 7] = [
        System::Connect,
        System::InfraKitchen,
        System::Konnect,
        System::Chainloop,
        System::Kubernetes,
        System::Vault,
        System::Generic,
    ];

    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            System::Connect => "connect",
            System::InfraKitchen => "infrakitchen",
            System::Konnect => "konnect",
            System::Chainloop => "chainloop",
            System::Kubernetes => "kubernetes",
            System::Vault => "vault",
            System::Generic => "generic",
        }
    }

    /// Every event type there can be, as a rule writes it. None where the set is open.
    pub fn event_types(self) -> Option<&'static [&'static str]> {
        match self {
            System::Connect => Some(&connect::EVENT_TYPES),
            System::Chainloop => Some(&chainloop::ACTION_TYPES),
            _ => None,
        }
    }

    /// Every outcome there can be. None where the set is open.
    pub fn outcomes(self) -> Option<&'static [&'static str]> {
        match self {
            System::Connect => Some(&["success", "denied"]),
            System::InfraKitchen | System::Chainloop => Some(&["success"]),
            System::Konnect | System::Kubernetes | System::Vault => Some(&["success", "failure", "denied"]),
            System::Generic => None,
        }
    }

    pub(super) const fn definition(self) -> &'static Definition {
        match self {
            System::Connect => &connect::DEFINITION,
            System::InfraKitchen => &infrakitchen::DEFINITION,
            System::Konnect => &konnect::DEFINITION,
            System::Chainloop => &chainloop::DEFINITION,
            System::Kubernetes => &kubernetes::DEFINITION,
            System::Vault => &vault::DEFINITION,
            System::Generic => &generic::DEFINITION,
        }
    }
}

/// No other words for a type.
pub(super) const NO_OTHER: (&[FieldPlace], Also) = (&[], |_, _, _| false);

impl FieldSource {
    /// The places that must be found for the field to be known.
    pub(super) fn places(self) -> &'static [FieldPlace] {
        match self {
            FieldSource::Nowhere | FieldSource::Always(_) => &[],
            FieldSource::At(places) | FieldSource::Made(places, _) => places,
        }
    }
}

/// Names a system's places: `NAME = ["/pointer", …];` each becomes a constant, and all of them `POINTERS`.
macro_rules! places {
    ($system:ident; $($(#[$doc:meta])* $name:ident = [$($pointer:literal),+ $(,)?];)+) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "it only counts the names below")]
        enum Index { $($name),+ }
        $(
            $(#[$doc])*
            pub const $name: $crate::schema::FieldPlace = $crate::schema::FieldPlace {
                system: $crate::schema::System::$system,
                index: Index::$name as u8,
            };
        )+
        pub(super) const POINTERS: &[&[&str]] = &[$(&[$($pointer),+]),+];
    };
}
pub(super) use places;
