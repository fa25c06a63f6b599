//! Checks the tree against the JSON Schema, and makes of it the values that the mirror is read from.
//!
//! Every unknown and repeated key, missing key, wrong type, wrong word and number out of range is a problem, and
//! the walk goes on: a bad value is left out (or is empty, in a list, so that its neighbours keep their index), and
//! the report remembers that its path has been complained of.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{
    expect::{Expect, Form},
    interpolate::{interpolate, is_reference},
    nearest::nearest,
    path::Path,
    report::{Origin, Report, shown},
    tree::{Entry, Key, Kind, Node, Place, Scalar},
    units,
};

/// The environment variables, by name.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) struct Shape<'a> {
    /// The whole JSON Schema.
    pub(super) schema: &'a Value,
    pub(super) text: &'a str,
    pub(super) env: Env<'a>,
    pub(super) report: &'a mut Report,
}

impl<'a> Shape<'a> {
    /// The value of a node whose problems, and those below it, are reported; `None` where it has one of its own.
    pub(super) fn check(&mut self, node: &Node, schema: &'a Value, path: &Path) -> Option<Value> {
        self.report.found(path, Origin { place: node.place, written: None });
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

    fn fit(&mut self, node: &Node, expect: &Expect<'a>, path: &Path) -> Option<Value> {
        if let Form::Either(choices) = &expect.form
            && let Some(choice) = choices.iter().find(|choice| is_for(&choice.form, &node.kind))
        {
            return self.fit(node, choice, path);
        }
        match (&node.kind, &expect.form) {
            (Kind::Mapping(entries), Form::Mapping { properties, required, others }) => {
                Some(self.mapping(entries, *properties, required, *others, path))
            }
            (Kind::Sequence(items), Form::List(schema)) => Some(self.list(items, schema, path)),
            (Kind::Scalar(scalar), _) => self.scalar(node, scalar, expect, path),
            (Kind::Alias, _) => None,
            (Kind::Mapping(_), _) => {
                self.report.problem(path, format!("expected {}, found a mapping", expect.describe()));
                None
            }
            (Kind::Sequence(_), _) => {
                self.report.problem(path, format!("expected {}, found a list", expect.describe()));
                None
            }
        }
    }

    fn list(&mut self, items: &[Node], schema: &'a Value, path: &Path) -> Value {
        let holds_mappings =
            Expect::read(schema, self.schema).is_some_and(|expect| matches!(expect.form, Form::Mapping { .. }));
        let nothing = || {
            if holds_mappings { Value::Object(Map::new()) } else { Value::String(String::new()) }
        };
        let values = items.iter().enumerate().map(|(index, item)| {
            let path = path.index(index);
            self.check(item, schema, &path).unwrap_or_else(nothing)
        });
        Value::Array(values.collect())
    }

    fn mapping(
        &mut self,
        entries: &[Entry],
        properties: Option<&'a Map<String, Value>>,
        required: &[&str],
        others: Option<&'a Value>,
        path: &Path,
    ) -> Value {
        let mut values = Map::new();
        let mut seen: HashMap<&str, Place> = HashMap::new();
        let mut meant: Vec<&str> = Vec::new();
        for Entry { key, value } in entries {
            let below = path.key(&key.text);
            self.report.show(key.span.clone());
            if let Some(first) = seen.get(key.text.as_str()) {
                let what = format!("key repeated; it is on line {} already", first.line);
                self.report.at(key.place, &below, what, None);
                continue;
            }
            seen.insert(&key.text, key.place);
            self.report.found_key(&below, key.place);
            match properties.and_then(|properties| properties.get(&key.text)).or(others) {
                Some(schema) => {
                    if let Some(value) = self.check(value, schema, &below) {
                        values.insert(key.text.clone(), value);
                    }
                }
                None => meant.extend(self.unknown_key(key, properties, &below)),
            }
        }
        for key in meant.iter().filter(|key| !seen.contains_key(*key)) {
            // That the key which was meant is missing is no second problem.
            self.report.blame(path.key(key));
        }
        for key in required.iter().filter(|key| !seen.contains_key(*key)) {
            self.report.problem(&path.key(key), "is missing");
        }
        Value::Object(values)
    }

    /// Reports a key, and returns the one that was meant where it can be told.
    fn unknown_key(&mut self, key: &Key, known: Option<&'a Map<String, Value>>, path: &Path) -> Option<&'a str> {
        let known = || known.into_iter().flatten();
        let near = nearest(&key.text, known().map(|(known, _)| known.as_str()));
        let holder = known().find(|(_, schema)| {
            let expect = Expect::read(schema, self.schema);
            let below = expect.and_then(|expect| expect.form.properties());
            below.is_some_and(|below| below.contains_key(&key.text))
        });
        let (what, near) = match (holder, near) {
            _ if key.text == "<<" && key.plain => {
                ("merge keys are not taken here: write the values out".to_owned(), None)
            }
            (Some((holder, _)), _) => (format!("unknown key here: it belongs into {holder}"), None),
            (None, Some(near)) => ("unknown key".to_owned(), Some(near)),
            (None, None) => {
                let all: Vec<_> = known().map(|(known, _)| known.as_str()).collect();
                (format!("unknown key; known here are {}", all.join(", ")), None)
            }
        };
        self.report.at(key.place, path, what, near);
        near
    }

    fn scalar(&mut self, node: &Node, scalar: &Scalar, expect: &Expect<'a>, path: &Path) -> Option<Value> {
        self.reveal(scalar, expect);
        if !expect.secret && !expect.uri {
            self.report.found(path, Origin { place: node.place, written: Some(scalar.text.clone()) });
        }
        if matches!(expect.form, Form::Mapping { .. } | Form::List(_)) {
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
            Err(faults) => {
                for fault in faults {
                    self.report.at(node.place, path, fault.to_string(), None);
                }
                self.report.blame(path.clone());
                return None;
            }
        };
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
        } else if matches!(expect.form, Form::Mapping { .. } | Form::List(_)) {
            0
        } else {
            raw.len()
        };
        self.report.show(scalar.span.start..scalar.span.start + end);
    }
}

/// Whether a form is meant for a collection of this kind; what scalars may be, their text decides.
fn is_for(form: &Form<'_>, kind: &Kind) -> bool {
    match (form, kind) {
        (Form::Mapping { .. }, Kind::Mapping(_)) | (Form::List(_), Kind::Sequence(_)) => true,
        (Form::Either(choices), kind) => choices.iter().any(|choice| is_for(&choice.form, kind)),
        _ => false,
    }
}

fn suggestion<'s>(text: &str, expect: &Expect<'s>) -> Option<&'s str> {
    let words = expect.words();
    if words == ["true", "false"] {
        match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "y" => return Some("true"),
            "no" | "off" | "n" => return Some("false"),
            _ => {}
        }
    }
    nearest(text, words).filter(|word| *word != text)
}

/// The value of a scalar's text; else what is wrong, to be read after the text. `bare`: it may be more than a text.
fn convert(text: &str, bare: bool, expect: &Expect<'_>) -> Result<Value, String> {
    let wrong = || Err(format!("is not {}", expect.describe()));
    let quoted = || Err(format!("is a text, expected {}: leave the quotes out", expect.describe()));
    let as_text = || Ok(Value::String(text.to_owned()));
    match &expect.form {
        Form::Text => as_text(),
        Form::Words(words) if words.contains(&text) => as_text(),
        Form::Boolean => match text {
            "true" | "True" | "TRUE" if bare => Ok(Value::Bool(true)),
            "false" | "False" | "FALSE" if bare => Ok(Value::Bool(false)),
            "true" | "false" => quoted(),
            _ => wrong(),
        },
        Form::Whole { .. } if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) => wrong(),
        Form::Whole { .. } if !bare => quoted(),
        Form::Whole { min, max } => match text.parse::<u64>() {
            Ok(number) if (*min..=*max).contains(&number) => Ok(Value::from(number)),
            _ => Err(format!("is out of range: {min} to {max}")),
        },
        Form::Duration => units::duration(text).map_err(|error| error.to_string()).and_then(|_| as_text()),
        Form::Size => units::size(text).map_err(|error| error.to_string()).and_then(|_| as_text()),
        Form::Either(choices) => {
            let number = text.bytes().all(|byte| byte.is_ascii_digit());
            let choice = choices.iter().find(|choice| number == matches!(choice.form, Form::Whole { .. }));
            match choice {
                Some(choice) if number || choice.words().contains(&text) => convert(text, bare, choice),
                _ => wrong(),
            }
        }
        Form::Words(_) | Form::Mapping { .. } | Form::List(_) => wrong(),
    }
}
