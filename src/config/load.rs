//! From a file to a [`Config`]: read, parse, check the shape, check the sense.

use std::{cell::RefCell, collections::BTreeSet, fs::File, io::Read, path};

use serde_json::Value;

use super::{
    Config,
    expect::{Expect, ExpectedForm, json_schema},
    parse::{SyntaxError, parse},
    path::Path,
    problem::{Problem, Problems},
    quote::quote_unparsed,
    report::Report,
    shape::{Shape, UnsetVariables},
    tree::{YamlNode, YamlPosition},
    validate::validate,
    written::ConfigFile,
};

/// A larger file is no configuration.
const MAX_BYTES: usize = 1 << 20;

/// The process's environment, for [`load()`]. What is not Unicode counts as not set.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Reads a configuration file. `env` looks environment variables up. Nothing that the file names is opened.
pub fn load(path: &path::Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Problems> {
    load_as(path, env, UnsetVariables::Refused)
}

/// The same for who sends nothing, and needs no secret for that: something stands in for each variable that is not set.
/// Gives the names of these.
pub fn load_to_read(
    path: &path::Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(Config, BTreeSet<String>), Problems> {
    let unset = RefCell::default();
    let config = load_as(path, env, UnsetVariables::StandIn(&unset))?;
    Ok((config, unset.into_inner()))
}

fn load_as(
    path: &path::Path,
    env: &dyn Fn(&str) -> Option<String>,
    unset: UnsetVariables<'_>,
) -> Result<Config, Problems> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(alone(&name, None, format!("cannot be read: {error}")));
    }
    match str::from_utf8(&bytes) {
        Ok(text) => load_text_as(&name, text, env, unset),
        // What was cut off in the midst of a character is too large anyway.
        Err(_) if bytes.len() > MAX_BYTES => Err(too_large(&name)),
        Err(error) => {
            let before = str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            Err(alone(&name, Some(YamlPosition { line, column }), "is not UTF-8 from here on".to_owned()))
        }
    }
}

/// The same for a text; `name` is what problems call the file.
pub fn load_text(name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Problems> {
    load_text_as(name, text, env, UnsetVariables::Refused)
}

fn load_text_as(
    name: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    unset: UnsetVariables<'_>,
) -> Result<Config, Problems> {
    if text.len() > MAX_BYTES {
        return Err(too_large(name));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let schema = json_schema();
    let (root, scalars) = parse(text).map_err(|error| unparsed(name, text, &schema, error))?;
    let Some(root) = root.filter(|root| !root.is_nothing()) else {
        let what = "is empty: it needs at least sources and forwarders".to_owned();
        return Err(alone(name, Some(YamlPosition { line: 1, column: 1 }), what));
    };
    let mut report = Report::default();
    let shape = Shape { schema: &schema, text, env, unset, report: &mut report };
    let value = check_shape(shape, &root);
    // An error of serde is not reported: it could name a secret, and the shape has left it nothing to find.
    let file = value.and_then(|value| serde_json::from_value::<ConfigFile>(value).ok());
    let config = file.and_then(|file| validate(&file, &mut report));
    match (report.finish(name, text, &scalars), config) {
        (None, Some(config)) => Ok(config),
        (Some(problems), _) => Err(problems),
        (None, None) => Err(alone(name, None, "is invalid; please report this as a bug of auditpost".to_owned())),
    }
}

fn check_shape(mut shape: Shape<'_>, root: &YamlNode) -> Option<Value> {
    shape.check(root, shape.schema, &Path::default())
}

fn too_large(name: &str) -> Problems {
    alone(name, None, format!("is larger than {} MiB, which no configuration is", MAX_BYTES >> 20))
}

fn unparsed(name: &str, text: &str, schema: &Value, error: SyntaxError) -> Problems {
    let quote = quote_unparsed(text, error.place, &|key| is_harmless(schema, key));
    let problem = Problem {
        file: name.to_owned(),
        place: Some(error.place),
        path: Path::default(),
        what: error.what,
        near: None,
        quote,
    };
    Problems::new(name, vec![problem])
}

/// Whether a key of this name holds nothing secret, wherever it stands.
fn is_harmless(schema: &Value, key: &str) -> bool {
    let definitions = schema.get("$defs").and_then(Value::as_object).into_iter().flat_map(|defs| defs.values());
    let properties = definitions.chain([schema]).filter_map(|definition| definition.get("properties")?.get(key));
    let mut harmless = false;
    for property in properties {
        let Some(expect) = Expect::read(property, schema) else {
            return false;
        };
        if expect.secret || expect.uri || matches!(expect.form, ExpectedForm::Mapping { .. }) {
            return false;
        }
        harmless = true;
    }
    harmless
}

fn alone(name: &str, place: Option<YamlPosition>, what: String) -> Problems {
    let problem = Problem { file: name.to_owned(), place, path: Path::default(), what, near: None, quote: None };
    Problems::new(name, vec![problem])
}
