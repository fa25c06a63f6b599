//! What a system is to the rest: places in its records, what tells them from others, and where each field is.
//!
//! Each system is one file that fills in a [`Definition`]. A [`Place`] is one thing in its records under all the
//! spellings that the record's shapes have for it, so that whoever reads it need not know the shapes.

use super::{Facts, Field, chainloop, connect, generic, infrakitchen, konnect, kubernetes, vault};

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
pub struct Place {
    pub(super) system: System,
    pub(super) index: u8,
}

/// Where a field is in a system's records.
#[derive(Clone, Copy)]
pub(super) enum Origin {
    Nowhere,
    /// The first of these that is a scalar and not empty.
    At(&'static [Place]),
    /// The same in every event.
    Always(&'static str),
    /// What the function makes of these places.
    Made(&'static [Place], Make),
}

/// Makes a field of what the record says; `scratch` is empty before and may hold the text after.
pub(super) type Make = for<'s> fn(Facts<'s>, &'s mut String) -> Option<&'s str>;

pub(super) struct Definition {
    /// For each place the JSON pointers that it may be at, the preferred ones first.
    pub pointers: &'static [&'static [&'static str]],
    /// The places that `is` looks at.
    pub marks: &'static [Place],
    /// Whether a record is one of this system's.
    pub is: fn(Facts<'_>) -> bool,
    pub field: fn(Field) -> Origin,
    /// The other words by which a rule may call the event's type, and their places.
    pub also: (&'static [Place], Also),
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
pub(super) const NO_OTHER: (&[Place], Also) = (&[], |_, _, _| false);

impl Origin {
    /// The places that must be found for the field to be known.
    pub(super) fn places(self) -> &'static [Place] {
        match self {
            Origin::Nowhere | Origin::Always(_) => &[],
            Origin::At(places) | Origin::Made(places, _) => places,
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
            pub const $name: $crate::schema::Place = $crate::schema::Place {
                system: $crate::schema::System::$system,
                index: Index::$name as u8,
            };
        )+
        pub(super) const POINTERS: &[&[&str]] = &[$(&[$($pointer),+]),+];
    };
}
pub(super) use places;
