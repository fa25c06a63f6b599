//! Which events a forwarder lets pass: those that pass all of its rules.
//!
//! A rule looks at the event's type, at one of our fields or at a place in the record. The filter says beforehand what it
//! [`EventFilter::needs`] and which [`EventFilter::pointers`] it asks for, so that an event is never looked through for more. A list of
//! enabled types lets no event without a type pass; `all` does. An event that does not tell what a rule asks for
//! does not pass it, but for `notIn` and `exists: false`.

mod condition;
#[cfg(test)]
mod tests;
mod types;

use self::{condition::FilterCondition, types::Types};
use crate::{
    config,
    forwarder::stats::FilterRule,
    schema::{Event, Facts, Field, Needs},
};

/// A forwarder's rules, ready to be asked without allocating.
#[derive(Clone, Debug)]
pub struct EventFilter {
    enabled: Types,
    disabled: Types,
    outcomes: Vec<String>,
    actors: Vec<String>,
    targets: Vec<String>,
    conditions: Vec<FilterCondition>,
    pointers: Vec<String>,
    scratch: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterVerdict {
    Pass,
    /// By the first rule, in the order of [`FilterRule`], that the event does not pass.
    Dropped(FilterRule),
}

const ACTOR: [Field; 3] = [Field::ActorId, Field::ActorName, Field::ActorEmail];
const TARGET: [Field; 3] = [Field::TargetType, Field::TargetId, Field::TargetName];

impl EventFilter {
    pub fn new(filter: &config::FilterRules) -> EventFilter {
        let mut pointers = Vec::new();
        let conditions = filter.conditions.iter().map(|condition| FilterCondition::new(condition, &mut pointers));
        EventFilter {
            enabled: Types::new(&filter.enabled),
            disabled: Types::new(&filter.disabled),
            outcomes: filter.outcomes.clone(),
            actors: filter.actors.clone(),
            targets: filter.targets.clone(),
            conditions: conditions.collect(),
            pointers,
            scratch: String::new(),
        }
    }

    /// The event must have been checked for what the filter [`needs`](Self::needs).
    pub fn verdict(&mut self, event: &Event<'_>) -> FilterVerdict {
        let mut scratch = std::mem::take(&mut self.scratch);
        let rule = self.broken(event, &mut scratch);
        self.scratch = scratch;
        rule.map_or(FilterVerdict::Pass, FilterVerdict::Dropped)
    }

    /// What must be known of an event for a verdict.
    pub fn needs(&self) -> Needs {
        let named = |list: &[String], fields: &'static [Field]| if list.is_empty() { &[][..] } else { fields };
        let fields = named(&self.outcomes, &[Field::Outcome])
            .iter()
            .chain(named(&self.actors, &ACTOR))
            .chain(named(&self.targets, &TARGET))
            .copied()
            .chain(self.conditions.iter().filter_map(FilterCondition::field));
        let fields: Vec<Field> = fields.collect();
        if !fields.is_empty() {
            Needs::Fields(fields.into_iter().collect())
        } else if self.pointers.is_empty() && self.enabled.is_fixed() && self.disabled.is_fixed() {
            Needs::Validity
        } else {
            Needs::Type
        }
    }

    /// The JSON pointers that conditions ask for, to be given to the checker.
    pub fn pointers(&self) -> &[String] {
        &self.pointers
    }

    fn broken(&self, event: &Event<'_>, scratch: &mut String) -> Option<FilterRule> {
        if is_of(&self.disabled, event, scratch) {
            return Some(FilterRule::Disabled);
        }
        if !is_of(&self.enabled, event, scratch) {
            return Some(if event.event_type.is_some() { FilterRule::NotEnabled } else { FilterRule::NoType });
        }
        let lists: [(&[String], &[Field], FilterRule); 3] = [
            (&self.outcomes, &[Field::Outcome], FilterRule::Outcome),
            (&self.actors, &ACTOR, FilterRule::Actor),
            (&self.targets, &TARGET, FilterRule::Target),
        ];
        let facts = event.facts;
        for (list, fields, rule) in lists {
            if !list.is_empty() && !facts.is_some_and(|facts| names(list, fields, facts, scratch)) {
                return Some(rule);
            }
        }
        let broken = self.conditions.iter().position(|condition| !condition.holds(facts, scratch))?;
        Some(FilterRule::Where(u16::try_from(broken).unwrap_or(u16::MAX)))
    }
}

/// Whether the list has any of the words by which the event's type is called.
fn is_of(types: &Types, event: &Event<'_>, scratch: &mut String) -> bool {
    if types.is_fixed() {
        return types.contain("");
    }
    match (event.event_type, event.facts) {
        (Some(event_type), _) if types.contain(event_type) => true,
        (_, Some(facts)) => facts.any_other_type(scratch, &mut |name| types.contain(name)),
        _ => false,
    }
}

fn names(list: &[String], fields: &[Field], facts: Facts<'_>, scratch: &mut String) -> bool {
    fields.iter().any(|field| facts.get(*field, scratch).is_some_and(|text| list.iter().any(|word| word == text)))
}
