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
        Filter { enabled: Types::new(&filter.enabled), disabled: Types::new(&filter.disabled) }
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
        let mut names: Vec<String> = names.iter().map(|name| short(name).map(char::from).collect()).collect();
        names.sort_unstable();
        Types::These(names)
    }

    fn contain(&self, event_type: Option<&str>) -> bool {
        match (self, event_type) {
            (Types::All, _) => true,
            (Types::These(_), None) => false,
            (Types::These(names), Some(name)) => {
                names.binary_search_by(|known| known.bytes().cmp(short(name))).is_ok()
            }
        }
    }
}

/// The bytes of a type's short spelling.
fn short(name: &str) -> impl Iterator<Item = u8> {
    let (rest, long) = name.strip_prefix(PREFIX).map_or((name, false), |rest| (rest, true));
    rest.bytes().map(move |byte| if long { byte.to_ascii_lowercase() } else { byte })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(names: &[&str]) -> EventTypes {
        EventTypes::These(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn filter(enabled: EventTypes, disabled: &[&str]) -> Filter {
        Filter::new(&config::Filter { enabled, disabled: types(disabled) })
    }

    #[test]
    fn all_passes_events_of_any_type_and_of_none() {
        let filter = filter(EventTypes::All, &[]);
        assert!(!filter.needs_type());
        for event_type in [Some("x"), Some(""), None] {
            assert_eq!(filter.verdict(event_type), Verdict::Pass);
        }
    }

    #[test]
    fn a_list_passes_its_types_alone_and_nothing_without_a_type() {
        let filter = filter(types(&["login", "logout"]), &[]);
        assert!(filter.needs_type());
        assert_eq!(filter.verdict(Some("login")), Verdict::Pass);
        assert_eq!(filter.verdict(Some("logout")), Verdict::Pass);
        for other in ["Login", "logi", "logins", "", "LOGIN"] {
            assert_eq!(filter.verdict(Some(other)), Verdict::Dropped(Rule::NotEnabled), "{other}");
        }
        assert_eq!(filter.verdict(None), Verdict::Dropped(Rule::NoType));
    }

    #[test]
    fn disabled_types_are_dropped_from_all_and_from_a_list() {
        for enabled in [EventTypes::All, types(&["login", "node_attestation"])] {
            let filter = filter(enabled, &["node_attestation"]);
            assert!(filter.needs_type());
            assert_eq!(filter.verdict(Some("node_attestation")), Verdict::Dropped(Rule::Disabled));
            assert_eq!(filter.verdict(Some("login")), Verdict::Pass);
        }
        assert_eq!(filter(EventTypes::All, &["x"]).verdict(None), Verdict::Pass);
    }

    #[test]
    fn both_spellings_of_a_type_are_one_in_rules_and_in_events() {
        for rule in ["EVENT_TYPE_NODE_ATTESTATION", "node_attestation"] {
            let filter = filter(types(&[rule, "other"]), &[]);
            for event_type in ["EVENT_TYPE_NODE_ATTESTATION", "node_attestation"] {
                assert_eq!(filter.verdict(Some(event_type)), Verdict::Pass, "{rule} {event_type}");
            }
            for other in ["NODE_ATTESTATION", "EVENT_TYPE_NODE", "event_type_node_attestation"] {
                assert_eq!(filter.verdict(Some(other)), Verdict::Dropped(Rule::NotEnabled), "{rule} {other}");
            }
        }
    }

    #[test]
    fn all_disabled_and_none_enabled_are_fixed_verdicts() {
        let none = filter(types(&[]), &[]);
        assert_eq!((none.verdict(Some("x")), none.needs_type()), (Verdict::Dropped(Rule::NotEnabled), false));
        let nothing = Filter::new(&config::Filter { enabled: EventTypes::All, disabled: EventTypes::All });
        assert_eq!((nothing.verdict(None), nothing.needs_type()), (Verdict::Dropped(Rule::Disabled), false));
    }
}
