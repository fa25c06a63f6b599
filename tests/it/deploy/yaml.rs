//! YAML as programs write it, read to JSON: no anchors, no tags.

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

enum Open {
    Sequence(Vec<Value>),
    Mapping(Map<String, Value>, Option<String>),
}

/// The documents of a text. Panics where it is none.
pub(super) fn documents(text: &str) -> Vec<Value> {
    let mut documents = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let done = match event.unwrap_or_else(|error| panic!("{error:?}: {text}")).0 {
            Event::Scalar(text, style, ..) => scalar(&text, style == ScalarStyle::Plain),
            Event::SequenceStart(..) => {
                open.push(Open::Sequence(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Mapping(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop().unwrap() {
                Open::Sequence(items) => Value::Array(items),
                Open::Mapping(entries, _) => Value::Object(entries),
            },
            _ => continue,
        };
        match open.last_mut() {
            None => documents.push(done),
            Some(Open::Sequence(items)) => items.push(done),
            Some(Open::Mapping(entries, key)) => match key.take() {
                Some(key) => assert!(entries.insert(key, done).is_none(), "a key is there twice"),
                None => *key = Some(done.as_str().map_or_else(|| done.to_string(), str::to_owned)),
            },
        }
    }
    documents
}

fn scalar(text: &str, plain: bool) -> Value {
    match text {
        "" | "null" | "~" if plain => Value::Null,
        "true" | "false" if plain => Value::Bool(text == "true"),
        _ => text.parse::<i64>().ok().filter(|_| plain).map_or_else(|| text.into(), Value::from),
    }
}

#[test]
fn what_a_program_wrote_is_read() {
    let text = "a: 1\nb:\n- x: 'true'\n  y: true\n- |\n  two\n  lines\n---\nc: {}\n";
    assert_eq!(
        documents(text),
        [serde_json::json!({"a": 1, "b": [{"x": "true", "y": true}, "two\nlines\n"]}), serde_json::json!({"c": {}})]
    );
}
