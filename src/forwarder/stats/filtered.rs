//! Which rule dropped an event, and how many each of them did.

use std::{borrow::Cow, fmt};

/// The rule that an event did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilterRule {
    /// A container wrote it to another stream than the one that the source reads.
    Stream,
    /// `onlyJson` of the source: it is no JSON object, nor CEF where that is an event.
    OnlyJson,
    /// `disabledEvents` names its type.
    Disabled,
    /// `enabledEvents` does not name its type.
    NotEnabled,
    /// `enabledEvents` is a list and the event has no type.
    NoType,
    /// `outcomes` does not name its outcome.
    Outcome,
    /// `actors` names neither its actor's id, name nor e-mail address.
    Actor,
    /// `targets` names neither its target's type, id nor name.
    Target,
    /// The condition of this number in `where`, from 0, does not hold.
    Where(u16),
}

impl FilterRule {
    /// As `/status` and the metrics write it. The rules of a configuration are few, so this makes a bounded label.
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            FilterRule::Stream => "stream",
            FilterRule::OnlyJson => "onlyJson",
            FilterRule::Disabled => "disabledEvents",
            FilterRule::NotEnabled => "enabledEvents",
            FilterRule::NoType => "noEventType",
            FilterRule::Outcome => "outcomes",
            FilterRule::Actor => "actors",
            FilterRule::Target => "targets",
            FilterRule::Where(number) => return Cow::Owned(format!("where[{number}]")),
        })
    }
}

impl fmt::Display for FilterRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FilterRule::Stream => "the source reads the container's other stream",
            FilterRule::OnlyJson => "onlyJson: it is no JSON object",
            FilterRule::Disabled => "disabledEvents names its type",
            FilterRule::NotEnabled => "enabledEvents does not name its type",
            FilterRule::NoType => "it has no event type and enabledEvents is a list",
            FilterRule::Outcome => "outcomes does not name its outcome",
            FilterRule::Actor => "actors does not name its actor",
            FilterRule::Target => "targets does not name its target",
            FilterRule::Where(number) => return write!(f, "where[{number}] does not hold"),
        })
    }
}

/// How many events each rule dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilteredCounts(Vec<(FilterRule, u64)>);

impl FilteredCounts {
    pub fn add(&mut self, rule: FilterRule, events: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == rule) {
            Some((_, count)) => *count += events,
            None => self.0.push((rule, events)),
        }
    }

    pub fn enter(&mut self, other: &FilteredCounts) {
        other.0.iter().for_each(|(rule, events)| self.add(*rule, *events));
    }

    /// The same without so many events, whichever rules kept them back.
    pub fn without(&self, mut events: u64) -> Self {
        let mut left = self.clone();
        for (_, count) in &mut left.0 {
            let taken = events.min(*count);
            *count -= taken;
            events -= taken;
        }
        left
    }

    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, events)| events).sum()
    }

    /// Each rule that dropped something, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (FilterRule, u64)> {
        self.0.iter().copied()
    }
}
