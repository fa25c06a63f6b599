//! The JSON Schema as editors need it: what a variable may stand for takes a variable too.

use serde_json::{Value, json};

/// A text with a variable in it, which only the environment can complete.
const VARIABLE: &str = r"\$\{";

/// Lets numbers, booleans and words be written as `${NAME}`, as the configuration may. Durations and sizes do already.
pub(super) fn with_variables(schema: Value) -> Value {
    match schema {
        Value::Object(members) => {
            let members = members.into_iter().map(|(keyword, value)| (keyword, with_variables(value)));
            let mut schema: serde_json::Map<String, Value> = members.collect();
            let takes_text = schema.get("type").is_some_and(|kind| kind == "integer" || kind == "boolean")
                || schema.contains_key("enum")
                || schema.contains_key("pattern") && !schema.contains_key("x-unit");
            if !takes_text {
                return Value::Object(schema);
            }
            let description = schema.remove("description");
            let mut either = json!({"anyOf": [schema, {"type": "string", "pattern": VARIABLE}]});
            if let Some(description) = description {
                either["description"] = description;
            }
            either
        }
        Value::Array(items) => Value::Array(items.into_iter().map(with_variables).collect()),
        other => other,
    }
}
