//! Checks the tree against the JSON Schema, and makes of it the values that the mirror is read from.
//!
//! Every unknown and repeated key, missing key, wrong type, wrong word and number out of range is a problem, and
//! the walk goes on: a bad value is left out (or is empty, in a list, so that its neighbours keep their index), and
//! the report remembers that its path has been complained of.

mod keys;
mod scalar;

use std::{cell::RefCell, collections::BTreeSet};

use scalar::{convert, suggestion};
use serde_json::{Map, Value};

use super::{
    expect::{Expect, ExpectedForm},
    interpolate::{VariableFault, interpolate, is_reference},
    path::Path,
    report::{Report, YamlOrigin, shown},
    tree::{NodeKind, Scalar, YamlNode},
};

/// The environment variables, by name.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What becomes of a variable that is not set and has no default.
#[derive(Clone, Copy)]
pub(super) enum UnsetVariables<'a> {
    Refused,
    /// Something stands in for it, and its name is put here.
    StandIn(&'a RefCell<BTreeSet<String>>),
}

/// What stands in for a variable within a text, and for a whole uri.
const STAND_IN: &str = "unset";
const STAND_IN_URI: &str = "https://unset.invalid/";

pub(super) struct Shape<'a> {
    /// The whole JSON Schema.
    pub(super) schema: &'a Value,
    pub(super) text: &'a str,
    pub(super) env: Env<'a>,
    pub(super) unset: UnsetVariables<'a>,
    pub(super) report: &'a mut Report,
}

impl<'a> Shape<'a> {
    /// The value of a node whose problems, and those below it, are reported; `None` where it has one of its own.
    pub(super) fn check(&mut self, node: &YamlNode, schema: &'a Value, path: &Path) -> Option<Value> {
        self.report.found(path, YamlOrigin { place: node.place, written: None });
        let Some(expect) = Expect::read(schema, self.schema) else {
            self.report.problem(path, "cannot be checked; please report this as a bug of auditpost");
            return None;
        };
        for (place, flaw) in &node.flaws {
            self.report.at(*place, path, flaw.what(), None);
        }
        if !node.flaws.is_empty() && !is_for(&expect.form, &node.kind) {
            // The flaw is why it is not what was expected.
            self.report.blame(path.clone());
        }
        self.fit(node, &expect, path)
    }

    fn fit(&mut self, node: &YamlNode, expect: &Expect<'a>, path: &Path) -> Option<Value> {
        if let ExpectedForm::Either(choices) = &expect.form
            && let Some(choice) = choices.iter().find(|choice| is_for(&choice.form, &node.kind))
        {
            return self.fit(node, choice, path);
        }
        match (&node.kind, &expect.form) {
            (NodeKind::Mapping(entries), ExpectedForm::Mapping(keys)) => {
                Some(self.mapping(node, entries, keys, path))
            }
            (NodeKind::Sequence(items), ExpectedForm::List(schema)) => Some(self.list(items, schema, path)),
            (NodeKind::Scalar(scalar), _) => self.scalar(node, scalar, expect, path),
            (NodeKind::Alias, _) => None,
            (NodeKind::Mapping(_), _) => {
                self.report.problem(path, format!("expected {}, found a mapping", expect.describe()));
                None
            }
            (NodeKind::Sequence(_), _) => {
                self.report.problem(path, format!("expected {}, found a list", expect.describe()));
                None
            }
        }
    }

    fn list(&mut self, items: &[YamlNode], schema: &'a Value, path: &Path) -> Value {
        let holds_mappings =
            Expect::read(schema, self.schema).is_some_and(|expect| matches!(expect.form, ExpectedForm::Mapping(_)));
        let nothing = || {
            if holds_mappings { Value::Object(Map::new()) } else { Value::String(String::new()) }
        };
        let values = items.iter().enumerate().map(|(index, item)| {
            let path = path.index(index);
            self.check(item, schema, &path).unwrap_or_else(nothing)
        });
        Value::Array(values.collect())
    }

    fn scalar(&mut self, node: &YamlNode, scalar: &Scalar, expect: &Expect<'a>, path: &Path) -> Option<Value> {
        self.reveal(scalar, expect);
        if !expect.secret && !expect.uri {
            self.report.found(path, YamlOrigin { place: node.place, written: Some(scalar.text.clone()) });
        }
        if matches!(expect.form, ExpectedForm::Mapping(_) | ExpectedForm::List(_)) {
            let found = if node.is_nothing() { "nothing" } else { "a single value" };
            self.report.problem(path, format!("expected {}, found {found}", expect.describe()));
            return None;
        }
        if node.is_nothing() {
            let what = "has no value: give it one, or leave the key out to take the default";
            self.report.problem(path, what);
            return None;
        }
        let interpolated = match interpolate(&scalar.text, self.env) {
            Ok(interpolated) => interpolated,
            Err(faults) if self.may_stand_in(&faults) => {
                self.report.found_variable(path);
                self.report.blame(path.clone());
                return self.stand_in(scalar, expect);
            }
            Err(faults) => {
                for fault in faults {
                    self.report.at(node.place, path, fault.to_string(), None);
                }
                self.report.blame(path.clone());
                return None;
            }
        };
        if interpolated.changed {
            self.report.found_variable(path);
        }
        // Inside `{}` and `[]` a reference must be quoted, so quotes about a variable say nothing of the type.
        let bare = scalar.plain || interpolated.changed;
        match convert(&interpolated.text, bare, expect) {
            Ok(value) => Some(value),
            Err(what) => {
                let near = if interpolated.changed { None } else { suggestion(&scalar.text, expect) };
                let what = if expect.secret { what } else { format!("{} {what}", shown(&scalar.text)) };
                self.report.problem_near(path, what, near);
                None
            }
        }
    }

    fn may_stand_in(&self, faults: &[VariableFault]) -> bool {
        let UnsetVariables::StandIn(unset) = self.unset else { return false };
        let missing = faults.iter().map(|fault| match fault {
            VariableFault::Missing(name) => Some(name.clone()),
            _ => None,
        });
        let Some(names) = missing.collect::<Option<Vec<_>>>() else { return false };
        unset.borrow_mut().extend(names);
        true
    }

    /// What is taken in place of a text with variables that are not set; nothing, as if the key were not there, of what is
    /// no text.
    fn stand_in(&self, scalar: &Scalar, expect: &Expect<'_>) -> Option<Value> {
        let or_stand_in = |name: &str| Some((self.env)(name).unwrap_or_else(|| STAND_IN.to_owned()));
        let text = if expect.uri && is_reference(&scalar.text) {
            STAND_IN_URI.to_owned()
        } else {
            interpolate(&scalar.text, &or_stand_in).ok()?.text
        };
        convert(&text, false, expect).ok()
    }

    /// Says which bytes of a scalar a quoted line may show.
    fn reveal(&mut self, scalar: &Scalar, expect: &Expect<'_>) {
        let raw = self.text.get(scalar.span.clone()).unwrap_or_default();
        let end = if expect.secret {
            if is_reference(&scalar.text) { raw.len() } else { 0 }
        } else if expect.uri {
            // Userinfo may be anywhere before an `@`; a query may carry a key. Escapes may hide either.
            let hidden = |sign: char| scalar.text.contains(sign) && !raw.contains(sign);
            if scalar.text.contains('@') || raw.contains('@') || hidden('?') {
                0
            } else {
                raw.find('?').unwrap_or(raw.len())
            }
        } else if matches!(expect.form, ExpectedForm::Mapping(_) | ExpectedForm::List(_)) {
            0
        } else {
            raw.len()
        };
        self.report.show(scalar.span.start..scalar.span.start + end);
    }
}

/// Whether a form is meant for a collection of this kind; what scalars may be, their text decides.
fn is_for(form: &ExpectedForm<'_>, kind: &NodeKind) -> bool {
    match (form, kind) {
        (ExpectedForm::Mapping(_), NodeKind::Mapping(_)) | (ExpectedForm::List(_), NodeKind::Sequence(_)) => true,
        (ExpectedForm::Either(choices), kind) => choices.iter().any(|choice| is_for(&choice.form, kind)),
        _ => false,
    }
}
