//! The rules about a forwarder's rules: `enabledEvents` to `where`.
//!
//! Event types are checked where they are a closed list: where every source that the forwarder follows names a
//! schema of which all types are known. A word for a type that is not among them would never match in silence.

use regex_lite::Regex;

use super::{
    super::{
        Asked, ConditionRule, EventTypes, FilterRules, Pattern, nearest::nearest, path::Path, report::Report, written,
    },
    refuse_empty,
};
use crate::schema::{Field, System};

const ALL: &str = "all";

/// `followed` are the systems of the sources that it follows; None for one whose records can be of any system.
pub(super) fn filter(
    written: &written::WrittenForwarder,
    followed: &[Option<System>],
    path: &Path,
    report: &mut Report,
) -> FilterRules {
    let disabled = written.disabled_events.as_deref().unwrap_or_default();
    let enabled = event_types(written, path, report);
    for (key, list) in [("enabledEvents", &written.enabled_events), ("disabledEvents", &written.disabled_events)] {
        known_types(list.as_deref().unwrap_or_default(), followed, &path.key(key), report);
    }
    let outcomes = words(written.outcomes.as_deref(), &path.key("outcomes"), report);
    known_outcomes(&outcomes, followed, &path.key("outcomes"), report);
    let actors = words(written.actors.as_deref(), &path.key("actors"), report);
    let targets = words(written.targets.as_deref(), &path.key("targets"), report);
    let conditions = conditions(written.conditions.as_deref(), &path.key("where"), report);
    FilterRules { enabled, disabled: these(disabled), outcomes, actors, targets, conditions }
}

/// The field of that name; `literal` where the name stands in the file so.
pub(super) fn field(name: &str, literal: bool, path: &Path, report: &mut Report) -> Option<Field> {
    let field = Field::parse(name);
    if field.is_none() {
        let near = nearest(name, Field::ALL.into_iter().map(Field::name)).filter(|_| literal);
        let names: Vec<&str> = Field::ALL.into_iter().map(Field::name).collect();
        let what = format!("{name:?} is no field; fields are {}", names.join(", "));
        report.problem_near(path, what, near);
    }
    field
}

/// Whether it is a JSON pointer (RFC 6901); complains where it is not.
pub(super) fn is_pointer(text: &str, path: &Path, report: &mut Report) -> bool {
    let good =
        text.starts_with('/') && text.split('~').skip(1).all(|rest| rest.starts_with('0') || rest.starts_with('1'));
    if !good {
        let what = format!(
            "{} is no JSON pointer; write such as /actor/id, with ~1 for a / in a name and ~0 for a ~",
            report.written(path)
        );
        report.problem(path, what);
    }
    good
}

fn event_types(written: &written::WrittenForwarder, path: &Path, report: &mut Report) -> EventTypes {
    let (at_enabled, at_disabled) = (path.key("enabledEvents"), path.key("disabledEvents"));
    let enabled = written.enabled_events.as_deref();
    let disabled = written.disabled_events.as_deref().unwrap_or_default();
    let nothing_sent = "is empty: nothing would ever be sent; leave it out for all";
    refuse_empty(enabled, &at_enabled, nothing_sent, report);
    for (list, path) in [(enabled.unwrap_or_default(), &at_enabled), (disabled, &at_disabled)] {
        for (index, _) in list.iter().enumerate().filter(|(_, event)| event.is_empty()) {
            report.problem(&path.index(index), "is empty: it must be an event type");
        }
    }
    for (index, event) in disabled.iter().enumerate() {
        let path = at_disabled.index(index);
        if event == ALL {
            report.problem(&path, "\"all\" would leave nothing to send");
        } else if enabled.unwrap_or_default().contains(event) {
            let what = format!("{} is in enabledEvents too: leave it out of one", report.written(&path));
            report.problem(&path, what);
        }
    }
    enabled.map_or(EventTypes::All, these)
}

fn these(written: &[String]) -> EventTypes {
    if written.iter().any(|event| event == ALL) {
        return EventTypes::All;
    }
    EventTypes::These(written.iter().cloned().collect())
}

fn known_types(written: &[String], followed: &[Option<System>], path: &Path, report: &mut Report) {
    let closed: Option<Vec<(System, &[&str])>> =
        followed.iter().map(|system| system.and_then(|system| Some((system, system.event_types()?)))).collect();
    let Some(closed) = closed.filter(|closed| !closed.is_empty()) else { return };
    let known: Vec<&str> = closed.iter().flat_map(|(_, types)| types.iter().copied()).collect();
    let mut names: Vec<&str> = closed.iter().map(|(system, _)| system.name()).collect();
    names.dedup();
    for (index, event) in written.iter().enumerate().filter(|(_, event)| *event != ALL) {
        let path = path.index(index);
        let is_known = known.contains(&event.as_str())
            || closed.iter().any(|(system, _)| *system == System::Connect && is_long_connect(event));
        if !is_known {
            let near = nearest(event, known.iter().copied()).filter(|_| report.is_literal(&path, event));
            let what = format!(
                "{} is no event type of {}; one that is newer can be named in where: {{field: type, in: […]}}",
                report.written(&path),
                names.join(" or ")
            );
            report.problem_near(&path, what, near);
        }
    }
}

fn is_long_connect(event: &str) -> bool {
    let types = System::Connect.event_types().unwrap_or_default();
    let tail = event.strip_prefix("EVENT_TYPE_").filter(|tail| !tail.bytes().any(|byte| byte.is_ascii_lowercase()));
    tail.is_some_and(|tail| types.contains(&tail.to_ascii_lowercase().as_str()))
}

fn known_outcomes(written: &[String], followed: &[Option<System>], path: &Path, report: &mut Report) {
    let known: Option<Vec<&[&str]>> = followed.iter().map(|system| system.and_then(System::outcomes)).collect();
    let Some(known) = known.map(|known| known.concat()).filter(|known| !known.is_empty()) else { return };
    for (index, outcome) in written.iter().enumerate() {
        let path = path.index(index);
        if !known.contains(&outcome.as_str()) {
            let near = nearest(outcome, known.iter().copied()).filter(|_| report.is_literal(&path, outcome));
            let mut words = known.clone();
            words.sort_unstable();
            words.dedup();
            let what = format!("{} is no outcome of these sources: {}", report.written(&path), words.join(", "));
            report.problem_near(&path, what, near);
        }
    }
}

/// A list of which one word must fit; left out, any does.
fn words(written: Option<&[String]>, path: &Path, report: &mut Report) -> Vec<String> {
    refuse_empty(written, path, "is empty: nothing would ever be sent; leave it out for any", report);
    let written = written.unwrap_or_default();
    for (index, _) in written.iter().enumerate().filter(|(_, word)| word.is_empty()) {
        report.problem(&path.index(index), "is empty: nothing is called so");
    }
    written.to_vec()
}

fn conditions(written: Option<&[written::WrittenCondition]>, path: &Path, report: &mut Report) -> Vec<ConditionRule> {
    refuse_empty(written, path, "is empty: leave it out", report);
    let each = written.unwrap_or_default().iter().enumerate();
    each.filter_map(|(index, written)| condition(written, &path.index(index), report)).collect()
}

fn condition(written: &written::WrittenCondition, path: &Path, report: &mut Report) -> Option<ConditionRule> {
    let written::WrittenCondition { field: about, is_in, not_in, matches, exists } = written;
    if is_in.is_none() && not_in.is_none() && matches.is_none() && exists.is_none() {
        report.problem(path, "says nothing of the field: add in, notIn, matches or exists");
    }
    if *exists == Some(false) && (is_in.is_some() || matches.is_some()) {
        report.problem(&path.key("exists"), "is false beside in or matches: nothing would ever be sent");
    }
    for (key, list) in [("in", is_in), ("notIn", not_in)] {
        refuse_empty(list.as_deref(), &path.key(key), "is empty", report);
    }
    let matches = match matches.as_deref().map(Regex::new) {
        None => None,
        Some(Ok(regex)) => Some(Pattern(regex)),
        Some(Err(error)) => {
            let path = path.key("matches");
            let what = format!("{} is no valid regular expression: {error}", report.written(&path));
            report.problem(&path, what);
            None
        }
    };
    let about = about.as_deref()?;
    let path = path.key("field");
    let asked = if about.starts_with('/') {
        is_pointer(about, &path, report).then(|| Asked::Pointer(about.to_owned()))
    } else {
        field(about, report.is_literal(&path, about), &path, report).map(Asked::Field)
    };
    let (is_in, not_in) = (is_in.clone(), not_in.clone().unwrap_or_default());
    Some(ConditionRule { asked: asked?, is_in, not_in, matches, exists: *exists })
}
