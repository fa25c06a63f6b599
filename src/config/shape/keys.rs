//! Mappings: known, unknown, repeated and missing keys.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{
    super::{
        expect::{Expect, KnownKeys},
        nearest::nearest,
        path::Path,
        tree::{MappingEntry, MappingKey, YamlNode, YamlPosition},
    },
    Shape,
};

impl<'a> Shape<'a> {
    pub(super) fn mapping(
        &mut self,
        node: &YamlNode,
        entries: &[MappingEntry],
        keys: &KnownKeys<'a>,
        path: &Path,
    ) -> Value {
        let mut values = Map::new();
        let mut seen: HashMap<&str, YamlPosition> = HashMap::new();
        let mut meant: Vec<&str> = Vec::new();
        for MappingEntry { key, value } in entries {
            let known = keys.known.and_then(|known| known.get(&key.text));
            let below = if known.is_none() && is_doubtful(node, value) {
                path.hidden()
            } else {
                self.report.show(key.span.clone());
                path.key(&key.text)
            };
            if let Some(first) = seen.get(key.text.as_str()) {
                let what = format!("key repeated; it is on line {} already", first.line);
                self.report.at(key.place, &below, what, None);
                continue;
            }
            seen.insert(&key.text, key.place);
            self.report.found_key(&below, key.place);
            match known.or(keys.others) {
                Some(schema) => {
                    if let Some(value) = self.check(value, schema, &below) {
                        values.insert(key.text.clone(), value);
                    }
                }
                None => meant.extend(self.unknown_key(key, keys, &below)),
            }
        }
        for key in meant.iter().filter(|key| !seen.contains_key(*key)) {
            // That the key which was meant is missing is no second problem.
            self.report.blame(path.key(key));
        }
        for key in keys.required.iter().filter(|key| !seen.contains_key(*key)) {
            self.report.problem(&path.key(key), "is missing");
        }
        Value::Object(values)
    }

    /// Reports a key, and returns the one that was meant where it can be told.
    fn unknown_key(&mut self, key: &MappingKey, keys: &KnownKeys<'a>, path: &Path) -> Option<&'a str> {
        if key.text == "<<" && key.plain {
            self.report.at(key.place, path, "merge keys are not taken here: write the values out", None);
            return None;
        }
        let holder = keys.known.into_iter().flatten().find(|(_, schema)| {
            let expect = Expect::read(schema, self.schema);
            let below = expect.and_then(|expect| expect.form.properties());
            below.is_some_and(|below| below.contains_key(&key.text))
        });
        if let Some((holder, _)) = holder {
            let what = format!("unknown key here: it belongs into {holder}");
            self.report.at(key.place, path, what, None);
            return None;
        }
        let near = nearest(&key.text, keys.names());
        let what = match near {
            Some(_) => "unknown key".to_owned(),
            None => format!("unknown key; known here are {}", keys.names().collect::<Vec<_>>().join(", ")),
        };
        self.report.at(key.place, path, what, near);
        near
    }
}

/// Whether a key that is not known may be a value that a slip made a key, as in `{X-Api-Key:s3cret}` or
/// `{&token: s3cret}`. It may then be a secret.
fn is_doubtful(holder: &YamlNode, value: &YamlNode) -> bool {
    value.is_nothing() || !holder.flaws.is_empty()
}
