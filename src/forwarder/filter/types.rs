//! A list of event types, as a rule has it.
//!
//! Types are compared exactly, but for one thing: `EVENT_TYPE_X` and `x` are two spellings of one type, in a rule and in
//! an event alike.

use crate::config::EventTypes;

const PREFIX: &str = "EVENT_TYPE_";

#[derive(Clone, Debug)]
pub(super) enum Types {
    All,
    /// In their short spelling, sorted.
    These(Vec<String>),
}

impl Types {
    pub(super) fn new(types: &EventTypes) -> Types {
        let EventTypes::These(names) = types else {
            return Types::All;
        };
        let mut names: Vec<String> = names.iter().map(|name| short(name).map(char::from).collect()).collect();
        names.sort_unstable();
        Types::These(names)
    }

    pub(super) fn contain(&self, name: &str) -> bool {
        match self {
            Types::All => true,
            Types::These(names) => names.binary_search_by(|known| known.bytes().cmp(short(name))).is_ok(),
        }
    }

    /// Whether every event is in the list, or none.
    pub(super) fn is_fixed(&self) -> bool {
        match self {
            Types::All => true,
            Types::These(names) => names.is_empty(),
        }
    }
}

/// The bytes of a type's short spelling.
fn short(name: &str) -> impl Iterator<Item = u8> {
    let (rest, long) = name.strip_prefix(PREFIX).map_or((name, false), |rest| (rest, true));
    rest.bytes().map(move |byte| if long { byte.to_ascii_lowercase() } else { byte })
}
