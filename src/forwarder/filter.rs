//! Which events a forwarder lets pass: those of its enabled types, less those of its disabled ones.
//!
//! Types are compared exactly, but for one thing: `EVENT_TYPE_X` and `x` are two spellings of one type, in a
//! rule and in an event alike. A list of enabled types lets no event without a type pass; `all` does.

use std::fmt;

use crate::config::{self, EventTypes};

const PREFIX: &str = "EVENT_TYPE_";

/// A forwarder's rules, ready to be asked without allocating.
#[derive(Clone, Debug)]
pub struct Filter {
    enabled: Types,
    disabled: Types,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Dropped(Rule),
}

/// The rule that an event did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `disabledEvents` names its type.
    Disabled,
    /// `enabledEvents` does not name its type.
    NotEnabled,
    /// `enabledEvents` is a list and the event has no type.
    NoType,
}

impl Filter {
    pub fn new(filter: &config::Filter) -> Filter {
        Filter {
            enabled: Types::new(&filter.enabled),
            disabled: Types::new(&filter.disabled),
        }
    }

    pub fn verdict(&self, event_type: Option<&str>) -> Verdict {
        let rule = if self.disabled.contain(event_type) {
            Rule::Disabled
        } else if self.enabled.contain(event_type) {
            return Verdict::Pass;
        } else if event_type.is_some() {
            Rule::NotEnabled
        } else {
            Rule::NoType
        };
        Verdict::Dropped(rule)
    }

    /// False where the verdict is the same for every event.
    pub fn needs_type(&self) -> bool {
        let fixed = |types: &Types| match types {
            Types::All => true,
            Types::These(these) => these.is_empty(),
        };
        !fixed(&self.enabled) || !fixed(&self.disabled)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::Disabled => "disabledEvents names its type",
            Rule::NotEnabled => "enabledEvents does not name its type",
            Rule::NoType => "it has no event type and enabledEvents is a list",
        })
    }
}

#[derive(Clone, Debug)]
enum Types {
    All,
    /// In their short spelling, sorted.
    These(Vec<String>),
}

impl Types {
    fn new(types: &EventTypes) -> Types {
        let EventTypes::These(names) = types else {
            return Types::All;
        };
        let mut names: Vec<String> = names
            .iter()
            .map(|name| short(name).map(char::from).collect())
            .collect();
        names.sort_unstable();
        Types::These(names)
    }

    fn contain(&self, event_type: Option<&str>) -> bool {
        match (self, event_type) {
            (Types::All, _) => true,
            (Types::These(_), None) => false,
            (Types::These(names), Some(name)) => names
                .binary_search_by(|known| known.bytes().cmp(short(name)))
                .is_ok(),
        }
    }
}

/// The bytes of a type's short spelling.
fn short(name: &str) -> impl Iterator<Item = u8> {
    let (rest, long) = name
        .strip_prefix(PREFIX)
        .map_or((name, false), |rest| (rest, true));
    rest.bytes().map(move |byte| {
        if long {
            byte.to_ascii_lowercase()
        } else {
            byte
        }
    })
}
