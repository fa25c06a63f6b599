//! `docs/configuration.md`: made of the schema and the example, and every default in it is tried; and the schema as a file.
//!
//! `GOLDEN=write cargo test --lib reference` writes both anew; read the difference before it is committed.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path as FilePath,
};

use serde_json::Value;

use super::*;
use crate::config::{
    expect::{Expect, ExpectedForm, KnownKeys, json_schema},
    parse::parse,
    tree::{NodeKind, YamlNode},
};

const EXAMPLE: &str = include_str!("../../../config.example.yaml");

const HEAD: &str = "\
# Configuration

Every key there is. This page is made of the program's own schema and of [config.example.yaml](../config.example.yaml),
which shows all of it in one file; `auditpost schema` prints the schema for editors ([here](config.schema.json) as a file), and
`auditpost check` says what is wrong with a file, with line and column, or what would run.

```sh
auditpost check -c config.yaml
```

- A **duration** is a number and `ms`, `s`, `m`, `h` or `d`: `500ms`, `1.5s`, `1d`.
- A **size** is a number of bytes, or a number and `kB`, `MB`, `GB` (powers of 1000) or `KiB`, `MiB`, `GiB` (of 1024).
- In any value `${NAME}` is an environment variable, `${NAME:-text}` has a default, and `$$` is a dollar. Within `{ }` and `[ ]`
  quotes are needed: `\"${NAME}\"`.
- A **secret** is a text that is never shown: not in diagnostics, metrics, pages or errors.
- A default of *none* means that nothing is sent, checked or asked for. A [profile](siem.md#log-intakes) may set other defaults of a
  forwarder than stand here.
- Keys of a source belong to some kinds of it; one that would have no effect is refused.
";

/// Where each section's keys can be tried: `@` stands for the key. A default holds in every one that takes it.
const CONTEXTS: &[(&str, &[&str])] = &[
    ("", &["{sources: [{name: a, include: [/a]}], forwarders: [{uri: 'https://s.test/x'}], @}"]),
    (
        "sources[]",
        &[
            "{sources: [{name: a, include: [/a], @}], forwarders: [{uri: 'https://s.test/x'}]}",
            "{sources: [{name: a, include: [/a], format: cri, @}], forwarders: [{uri: 'https://s.test/x'}]}",
            "{sources: [{name: a, kind: stdin, @}], forwarders: [{uri: 'https://s.test/x'}]}",
            "{sources: [{name: a, kind: unix, path: /a, @}], forwarders: [{uri: 'https://s.test/x'}]}",
            "{sources: [{name: a, kind: tcp, listen: '127.0.0.1:1', @}], forwarders: [{uri: 'https://s.test/x'}]}",
            "{sources: [{name: a, kind: udp, listen: '127.0.0.1:1', @}], forwarders: [{uri: 'https://s.test/x'}]}",
            "{sources: [{name: a, kind: http, listen: '127.0.0.1:1', @}], forwarders: [{uri: 'https://s.test/x'}]}",
        ],
    ),
    (
        "sources[].hmac",
        &["{sources: [{name: a, kind: http, listen: '127.0.0.1:1', hmac: {secret: s, header: X-H, @}}],
            forwarders: [{uri: 'https://s.test/x'}]}"],
    ),
    ("forwarders[]", &["{sources: [{name: a, include: [/a]}], forwarders: [{uri: 'https://s.test/x', @}]}"]),
    (
        "forwarders[].batch",
        &["{sources: [{name: a, include: [/a]}], forwarders: [{uri: 'https://s.test/x', batch: {@}}]}"],
    ),
    (
        "forwarders[].retry",
        &["{sources: [{name: a, include: [/a]}], forwarders: [{uri: 'https://s.test/x', retry: {@}}]}"],
    ),
    (
        "forwarders[].compression",
        &["{sources: [{name: a, include: [/a]}], forwarders: [{uri: 'https://s.test/x', compression: {@}}]}"],
    ),
    (
        "forwarders[].tls",
        &["{sources: [{name: a, include: [/a]}], forwarders: [{uri: 'https://s.test/x', tls: {@}}]}"],
    ),
    (
        "forwarders[].auth",
        &["{sources: [{name: a, include: [/a]}], forwarders: [{uri: 'https://s.test/x', token: t, auth: {@}}]}"],
    ),
    (
        "forwarders[].json.wrap",
        &["{sources: [{name: a, include: [/a]}],
            forwarders: [{uri: 'https://s.test/x', json: {wrap: {prefix: ' ', @}}}]}"],
    ),
    (
        "forwarders[].cef",
        &["{sources: [{name: a, include: [/a]}], forwarders: [{uri: 'https://s.test/x', format: cef, cef: {@}}]}"],
    ),
    ("log", &["{sources: [{name: a, include: [/a]}], forwarders: [{uri: 'https://s.test/x'}], log: {@}}"]),
];

/// A mapping of the configuration.
struct Section<'s> {
    /// As `sources[].tls`; empty: the whole file.
    path: String,
    about: &'s str,
    keys: KnownKeys<'s>,
}

/// What is said of a key, and its default apart from that.
struct Told<'s> {
    meaning: &'s str,
    default: Option<&'s str>,
}

fn told(schema: &Value) -> Told<'_> {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    match text.rsplit_once("Default: ") {
        Some((meaning, default)) => Told { meaning: meaning.trim_end(), default: Some(default) },
        None => Told { meaning: text, default: None },
    }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The sections of a schema, each before those below it.
fn sections<'s>(schema: &'s Value, root: &'s Value, path: &str, found: &mut Vec<Section<'s>>) {
    if path == "auditLogForwarders" {
        return;
    }
    let expect = Expect::read(schema, root).expect("the whole schema can be read");
    let about = || {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| root.pointer(&target[1..]));
        let about = target.unwrap_or(schema).get("description").and_then(Value::as_str);
        about.unwrap_or_default()
    };
    match expect.form {
        ExpectedForm::List(items) => sections(items, root, &format!("{path}[]"), found),
        ExpectedForm::Mapping(keys) => {
            let (known, others) = (keys.known, keys.others);
            if known.is_some() {
                found.push(Section { path: path.to_owned(), about: about(), keys });
            }
            for (key, value) in known.into_iter().flatten() {
                sections(value, root, &below(path, key), found);
            }
            if let Some(others) = others {
                sections(others, root, &below(path, "*"), found);
            }
        }
        ExpectedForm::Either(_) => {
            for choice in schema_choices(schema, root) {
                sections(choice, root, path, found);
            }
        }
        _ => {}
    }
}

fn schema_choices<'s>(schema: &'s Value, root: &'s Value) -> Vec<&'s Value> {
    let schema = match schema.get("$ref").and_then(Value::as_str) {
        Some(target) => root.pointer(&target[1..]).expect("what is referred to is there"),
        None => schema,
    };
    let choices = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    choices.into_iter().flatten().collect()
}

/// The first value of each path in the example, with its line.
fn examples(node: &YamlNode, path: &str, open: &BTreeSet<String>, found: &mut BTreeMap<String, (usize, String)>) {
    if let Some(text) = inline(node) {
        found.entry(path.to_owned()).or_insert((node.place.line, text));
    } else {
        found.entry(path.to_owned()).or_insert((node.place.line, String::new()));
    }
    match &node.kind {
        NodeKind::Sequence(items) => {
            items.iter().for_each(|item| examples(item, &format!("{path}[]"), open, found));
        }
        NodeKind::Mapping(entries) => {
            for entry in entries {
                let key = if open.contains(path) { "*" } else { &entry.key.text };
                examples(&entry.value, &below(path, key), open, found);
            }
        }
        NodeKind::Scalar(_) | NodeKind::Alias => {}
    }
}

/// A value as one would write it in a line; `None` where it is too much for that.
fn inline(node: &YamlNode) -> Option<String> {
    let plain = |node: &YamlNode| match &node.kind {
        NodeKind::Scalar(scalar) => Some(EXAMPLE[scalar.span.clone()].to_owned()),
        _ => None,
    };
    match &node.kind {
        NodeKind::Sequence(items) => {
            let items: Option<Vec<_>> = items.iter().map(plain).collect();
            items.map(|items| format!("[{}]", items.join(", ")))
        }
        NodeKind::Mapping(entries) => {
            let entries: Option<Vec<_>> = entries
                .iter()
                .map(|entry| plain(&entry.value).map(|value| format!("{}: {value}", entry.key.text)))
                .collect();
            entries.map(|entries| format!("{{{}}}", entries.join(", ")))
        }
        NodeKind::Scalar(_) | NodeKind::Alias => plain(node),
    }
}

fn kind_of(expect: &Expect<'_>, schema: &Value, root: &Value, path: &str) -> String {
    let path = path.replace("auditLogForwarders", "forwarders");
    let path = path.as_str();
    let link = |path: &str, text: &str| format!("[{text}](#{})", slug(path));
    if expect.secret && !matches!(expect.form, ExpectedForm::Mapping(_)) {
        return "secret".to_owned();
    }
    match &expect.form {
        ExpectedForm::Mapping(keys) => match keys.others {
            None => link(path, "mapping"),
            Some(others) => {
                let each = Expect::read(others, root).expect("the whole schema can be read");
                format!("mapping to {}", kind_of(&each, others, root, &below(path, "*")))
            }
        },
        ExpectedForm::List(items) => {
            let each = Expect::read(items, root).expect("the whole schema can be read");
            format!("list of {}", kind_of(&each, items, root, &format!("{path}[]")))
        }
        ExpectedForm::Text if expect.uri => "URI".to_owned(),
        ExpectedForm::Text => "text".to_owned(),
        ExpectedForm::Words(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
        ExpectedForm::Whole { min, max } => format!("whole number, {min} to {max}"),
        ExpectedForm::Boolean => "`true`, `false`".to_owned(),
        ExpectedForm::Duration => "duration".to_owned(),
        ExpectedForm::Size => "size".to_owned(),
        ExpectedForm::Either(choices) => {
            let schemas = schema_choices(schema, root);
            let each = choices.iter().zip(schemas).map(|(choice, schema)| kind_of(choice, schema, root, path));
            each.collect::<Vec<_>>().join(", or ")
        }
    }
}

fn heading(path: &str) -> String {
    if path.is_empty() { "The whole file".to_owned() } else { format!("`{path}`") }
}

/// The anchor that a heading gets where Markdown is shown.
fn slug(path: &str) -> String {
    let kept = heading(path).to_lowercase();
    kept.chars().filter_map(|c| if c == ' ' { Some('-') } else { c.is_alphanumeric().then_some(c) }).collect()
}

/// The default as it can be written, where it can.
fn literal<'d>(default: &'d str, expect: &Expect<'_>) -> Option<&'d str> {
    if let Some(quoted) = default.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        return Some(quoted);
    }
    let is_number = default.starts_with(|c: char| c.is_ascii_digit());
    match expect.form {
        ExpectedForm::Duration | ExpectedForm::Size | ExpectedForm::Whole { .. } => is_number.then_some(default),
        _ => expect.words().contains(&default).then_some(default),
    }
}

fn page() -> String {
    let root = json_schema();
    let mut found = Vec::new();
    sections(&root, &root, "", &mut found);
    let mut open = BTreeSet::new();
    for section in &found {
        for (key, schema) in section.keys.known.into_iter().flatten() {
            let expect = Expect::read(schema, &root).expect("the whole schema can be read");
            if matches!(&expect.form, ExpectedForm::Mapping(keys) if keys.others.is_some()) {
                open.insert(below(&section.path, key));
            }
        }
    }
    let mut shown = BTreeMap::new();
    let example = parse(EXAMPLE).ok().and_then(|(node, _)| node).expect("the example is YAML");
    examples(&example, "", &open, &mut shown);
    let place = |path: &str| shown.get(path).map_or(usize::MAX, |(line, _)| *line);
    // As the example has them, and what is below a section behind it.
    found.sort_by_cached_key(|section| {
        let top = section.path.split(['.', '[']).next().unwrap_or_default();
        (if top.is_empty() { 0 } else { place(top) }, section.path.clone())
    });

    let mut page = HEAD.to_owned();
    for section in &found {
        page += &format!("\n## {}\n\n", heading(&section.path));
        if !section.about.is_empty() {
            page += &format!("{}\n\n", section.about.replace('\n', " "));
        }
        page += "| key | type | default | what it does | example |\n|---|---|---|---|---|\n";
        let mut keys: Vec<_> = section.keys.known.into_iter().flatten().collect();
        keys.sort_by_key(|(key, _)| (place(&below(&section.path, key)), (*key).clone()));
        for (key, schema) in keys {
            let path = below(&section.path, key);
            let expect = Expect::read(schema, &root).expect("the whole schema can be read");
            let Told { meaning, default } = told(schema);
            let default = match default {
                _ if section.keys.required.contains(&key.as_str()) => "(needed)".to_owned(),
                Some(default) => {
                    literal(default, &expect).map_or_else(|| default.to_owned(), |value| format!("`{value}`"))
                }
                None => String::new(),
            };
            let example = match shown.get(&path) {
                // What has a section of its own has its examples there.
                _ if matches!(&expect.form, ExpectedForm::Mapping(keys) if keys.known.is_some()) => String::new(),
                Some((_, text)) if !text.is_empty() => format!("`{text}`"),
                _ if expect.secret => "`${NAME}`".to_owned(),
                _ => String::new(),
            };
            let kind = kind_of(&expect, schema, &root, &path);
            let cells = [format!("`{key}`"), kind, default, meaning.replace('\n', " "), example];
            let cells = cells.map(|cell| cell.replace('|', "\\|"));
            page += &format!("| {} |\n", cells.join(" | "));
        }
    }
    page
}

/// Holds a file of `docs` against what it is made of, or writes it.
#[track_caller]
fn expect_file(name: &str, made: &str) {
    let path = FilePath::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).join(name);
    if env::var_os("GOLDEN").is_some_and(|wish| wish == "write") {
        fs::write(path, made).expect("the file can be written");
        return;
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    let first = kept.lines().zip(made.lines()).find(|(kept, made)| kept != made);
    assert!(kept == made, "{name}: GOLDEN=write cargo test --lib reference writes it anew: {first:#?}");
}

#[test]
fn the_page_is_what_the_schema_says() {
    expect_file("configuration.md", &page());
}

#[test]
fn the_schema_for_editors_is_kept_as_a_file() {
    expect_file("config.schema.json", &format!("{:#}\n", crate::config::json_schema()));
    assert!(EXAMPLE.starts_with("# yaml-language-server: $schema=docs/config.schema.json\n"));
}

#[test]
fn every_key_tells_what_it_is_and_what_is_without_it() {
    let root = json_schema();
    let mut found = Vec::new();
    sections(&root, &root, "", &mut found);
    let mut silent = Vec::new();
    for section in &found {
        for (key, schema) in section.keys.known.into_iter().flatten() {
            let Told { meaning, default } = told(schema);
            let needed = section.keys.required.contains(&key.as_str());
            if meaning.is_empty() || default.is_none() && !needed {
                silent.push(below(&section.path, key));
            }
        }
    }
    assert_eq!(silent, [""; 0], "a doc comment in src/config/schema says what it is and ends in `Default: …`");
}

#[test]
fn a_default_that_is_written_changes_nothing() {
    let root = json_schema();
    let mut found = Vec::new();
    sections(&root, &root, "", &mut found);
    let contexts: BTreeMap<_, _> = CONTEXTS.iter().copied().collect();
    let mut tried = 0;
    for section in &found {
        for (key, schema) in section.keys.known.into_iter().flatten() {
            let path = below(&section.path, key);
            let expect = Expect::read(schema, &root).expect("the whole schema can be read");
            let Some(default) = told(schema).default.and_then(|default| literal(default, &expect)) else { continue };
            let contexts = contexts.get(section.path.as_str());
            let contexts = contexts.unwrap_or_else(|| panic!("{path}: CONTEXTS needs one to try its default in"));
            let mut taken = 0;
            for context in *contexts {
                let without = load(&context.replace('@', "")).unwrap_or_else(|problems| panic!("{problems}"));
                let Ok(with) = load(&context.replace('@', &format!("{key}: {default}"))) else { continue };
                assert_eq!(with, without, "{path}: its default is not {default}");
                taken += 1;
            }
            assert!(taken > 0, "{path}: {default} is taken nowhere");
            tried += 1;
        }
    }
    assert!(tried > 40, "{tried}");
}
