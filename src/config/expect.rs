//! What the JSON Schema wants at one place, read into a closed set.
//!
//! It knows the words that the types of `schema` derive to, and no more; a test reads the whole schema with it.

use schemars::{Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::{Map, Value};

use super::written::{ConfigFile, UNIT};

#[derive(Debug)]
pub(super) struct Expect<'s> {
    pub(super) form: ExpectedForm<'s>,
    /// A value that nobody may see.
    pub(super) secret: bool,
    /// A value that may hold a password in its midst.
    pub(super) uri: bool,
}

#[derive(Debug)]
pub(super) enum ExpectedForm<'s> {
    Mapping(KnownKeys<'s>),
    List(&'s Value),
    Text,
    Words(Vec<&'s str>),
    Whole { min: u64, max: u64 },
    Boolean,
    Duration,
    Size,
    Either(Vec<Expect<'s>>),
}

/// The keys of a mapping.
#[derive(Debug)]
pub(super) struct KnownKeys<'s> {
    pub(super) known: Option<&'s Map<String, Value>>,
    pub(super) required: Vec<&'s str>,
    /// Of every other key; `None`: there is none.
    pub(super) others: Option<&'s Value>,
}

impl<'s> KnownKeys<'s> {
    fn read(schema: &'s Value) -> Self {
        let required = schema.get("required").and_then(Value::as_array);
        Self {
            known: schema.get("properties").and_then(Value::as_object),
            required: required.into_iter().flatten().filter_map(Value::as_str).collect(),
            others: schema.get("additionalProperties").filter(|others| others.is_object()),
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'s str> {
        self.known.into_iter().flatten().map(|(key, _)| key.as_str())
    }
}

/// The JSON Schema of the configuration. Editors take it; [`Expect`] reads it.
pub(super) fn json_schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(RecursiveTransform(without_null));
    settings.into_generator().into_root_schema_for::<ConfigFile>().to_value()
}

/// A key without a value is refused: it is more often a slip than a wish for the default.
fn without_null(schema: &mut Schema) {
    let is_null = |value: &Value| value == "null" || value.get("type").is_some_and(|kind| kind == "null");
    for keyword in ["type", "anyOf"] {
        let Some(Value::Array(choices)) = schema.get_mut(keyword) else {
            continue;
        };
        choices.retain(|choice| !is_null(choice));
        if choices.len() > 1 {
            continue;
        }
        match choices.pop() {
            Some(Value::Object(only)) => {
                schema.remove(keyword);
                schema.ensure_object().extend(only);
            }
            Some(only) => drop(schema.insert(keyword.to_owned(), only)),
            None => {}
        }
    }
}

impl<'s> Expect<'s> {
    /// Reads `schema`, looking references up in `root`. `None`: a schema that this does not know.
    pub(super) fn read(schema: &'s Value, root: &'s Value) -> Option<Self> {
        let has = |keyword: &str, value: &str| schema.get(keyword).is_some_and(|found| found == value);
        let flag = |keyword: &str| schema.get(keyword).and_then(Value::as_bool).unwrap_or(false);
        let mut expect = match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => Self::read(root.pointer(reference.strip_prefix('#')?)?, root)?,
            None => Self { form: ExpectedForm::read(schema, root)?, secret: false, uri: false },
        };
        expect.secret |= flag("writeOnly");
        expect.uri |= has("format", "uri");
        Some(expect)
    }

    /// For a problem: `expected …`.
    pub(super) fn describe(&self) -> String {
        match &self.form {
            ExpectedForm::Mapping(_) => "a mapping (key: value)".to_owned(),
            ExpectedForm::List(_) => "a list".to_owned(),
            ExpectedForm::Text => "a text".to_owned(),
            ExpectedForm::Words(words) => match words.as_slice() {
                [only] => (*only).to_owned(),
                words => format!("one of {}", words.join(", ")),
            },
            ExpectedForm::Whole { .. } => "a whole number".to_owned(),
            ExpectedForm::Boolean => "true or false".to_owned(),
            ExpectedForm::Duration => "a duration such as 500ms, 5s, 2m, 1h or 1d".to_owned(),
            ExpectedForm::Size => "a size such as 64KiB, 1MB or a number of bytes".to_owned(),
            ExpectedForm::Either(choices) => choices.iter().map(Expect::describe).collect::<Vec<_>>().join(", or "),
        }
    }

    /// Every word that would do.
    pub(super) fn words(&self) -> Vec<&'s str> {
        match &self.form {
            ExpectedForm::Words(words) => words.clone(),
            ExpectedForm::Boolean => vec!["true", "false"],
            ExpectedForm::Either(choices) => choices.iter().flat_map(Expect::words).collect(),
            _ => Vec::new(),
        }
    }
}

impl<'s> ExpectedForm<'s> {
    /// The keys of a mapping, or of the choice that is one.
    pub(super) fn properties(&self) -> Option<&'s Map<String, Value>> {
        match self {
            Self::Mapping(keys) => keys.known,
            Self::Either(choices) => choices.iter().find_map(|choice| choice.form.properties()),
            _ => None,
        }
    }

    fn read(schema: &'s Value, root: &'s Value) -> Option<Self> {
        if let Some(words) = words(schema) {
            return Some(Self::Words(words));
        }
        if let Some(choices) = schema.get("anyOf").or_else(|| schema.get("oneOf")) {
            let choices = choices.as_array()?.iter().map(|choice| Expect::read(choice, root));
            return choices.collect::<Option<_>>().map(Self::Either);
        }
        match schema.get(UNIT).and_then(Value::as_str) {
            Some("duration") => return Some(Self::Duration),
            Some("size") => return Some(Self::Size),
            _ => {}
        }
        let number = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
        match schema.get("type")?.as_str()? {
            "object" => Some(Self::Mapping(KnownKeys::read(schema))),
            "array" => schema.get("items").map(Self::List),
            "string" => Some(Self::Text),
            "integer" => Some(Self::Whole { min: number("minimum")?, max: number("maximum")? }),
            "boolean" => Some(Self::Boolean),
            _ => None,
        }
    }
}

/// The words of an enum: `enum`, `const`, or a `oneOf` of such, which is what described variants derive to.
fn words(schema: &Value) -> Option<Vec<&str>> {
    if let Some(word) = schema.get("const") {
        return word.as_str().map(|word| vec![word]);
    }
    if let Some(words) = schema.get("enum") {
        return words.as_array()?.iter().map(Value::as_str).collect();
    }
    let choices: Option<Vec<_>> = schema.get("oneOf")?.as_array()?.iter().map(words).collect();
    choices.map(|choices| choices.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts the values that a schema describes, and fails on one that cannot be read.
    fn read_all(schema: &Value, root: &Value, path: &str) -> usize {
        let expect = Expect::read(schema, root).unwrap_or_else(|| panic!("{path} cannot be read: {schema}"));
        let below = match expect.form {
            ExpectedForm::Mapping(keys) => {
                let known = keys.known.into_iter().flatten();
                let known = known.map(|(key, value)| read_all(value, root, &format!("{path}.{key}")));
                let others = keys.others.map_or(0, |others| read_all(others, root, &format!("{path}.*")));
                known.sum::<usize>() + others
            }
            ExpectedForm::List(items) => read_all(items, root, &format!("{path}[]")),
            _ => 0,
        };
        below + 1
    }

    #[test]
    fn the_whole_derived_schema_can_be_read() {
        let schema = json_schema();
        let values = read_all(&schema, &schema, "");
        assert!(values > 100, "only {values} values found");
    }

    #[test]
    fn secrets_are_secret_in_the_schema_too() {
        let schema = json_schema();
        let forwarder = &schema["$defs"]["Forwarder"]["properties"];
        for key in ["token", "headers"] {
            let expect = Expect::read(&forwarder[key], &schema).expect("it can be read");
            assert!(expect.secret, "{key}");
        }
        assert!(!Expect::read(&forwarder["tokenFile"], &schema).expect("it can be read").secret);
        assert!(Expect::read(&forwarder["uri"], &schema).expect("it can be read").uri);
    }

    #[test]
    fn no_key_may_be_empty() {
        assert!(!json_schema().to_string().contains("\"null\""));
    }
}
