//! Records of which the CEF is known in advance, for readers that auditpost's authors did not write.

use std::collections::BTreeMap;

use auditpost::internals::{CefConfig, Checker, Dialect, EventEncoder, Schema};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Extension keys and the values that a reader must get for them; it gets others beside.
pub type Expected = BTreeMap<String, String>;

/// A record as one line of CEF.
pub fn encoded(settings: &CefConfig, record: &str) -> String {
    let mut encoder = EventEncoder::cef(settings, "portal");
    let mut checker = Checker::new(Schema::Auto, encoder.needs());
    let mut out = Vec::new();
    encoder.encode(&checker.check(record.as_bytes()).expect("an event"), &mut out);
    String::from_utf8(out).expect("CEF is UTF-8")
}

/// Both dialects.
pub fn settings(leading_space: bool) -> [CefConfig; 2] {
    [Dialect::Strict, Dialect::Konnect].map(|dialect| CefConfig { dialect, leading_space, ..CefConfig::default() })
}

/// The lines of a sample file.
pub fn sample(file: &str) -> Vec<String> {
    let path = format!("{}/../samples/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    text.lines().map(str::to_owned).collect()
}

/// The files of lines among the samples that are encoded in every dialect.
pub const SAMPLES: [&str; 8] = [
    "chainloop.ndjson",
    "connect.ndjson",
    "infrakitchen.ndjson",
    "infrakitchen.rest-v0.3.ndjson",
    "konnect.ndjson",
    "konnect.legacy.ndjson",
    "konnect.cps.ndjson",
    "konnect.tampered.ndjson",
];

/// A record with any texts in it, and what each dialect's line must say.
pub fn record() -> impl Strategy<Value = (String, [Expected; 2])> {
    prop_oneof![generic(), connect(), konnect()]
}

fn generic() -> impl Strategy<Value = (String, [Expected; 2])> {
    prop::collection::vec(text(), 0..8).prop_map(|texts| {
        let members: Map<String, Value> =
            texts.iter().enumerate().map(|(n, text)| (format!("m{n}"), json!(text))).collect();
        let expected = expected(texts.iter().enumerate().map(|(n, text)| (format!("ad_m{n}"), text)));
        (Value::Object(members).to_string(), [expected.clone(), expected])
    })
}

fn connect() -> impl Strategy<Value = (String, [Expected; 2])> {
    (text(), text(), text()).prop_map(|(message, actor, more)| {
        let record = json!({"id": "ae-1", "occurredAt": "2026-08-19T09:02:11Z", "type": "EVENT_TYPE_NODE_DELETION",
            "message": message, "actor": actor, "more": more});
        let line = |actor_key: &str| {
            expected([("msg".into(), &message), (actor_key.into(), &actor), ("ad_more".into(), &more)])
        };
        (record.to_string(), [line("suser"), line("principal_name")])
    })
}

fn konnect() -> impl Strategy<Value = (String, [Expected; 2])> {
    (text(), text(), text()).prop_map(|(agent, query, path)| {
        let record = json!({"cef_version": "0", "event_class_id": "KongGateway", "name": "Ingress", "rt": 1787131314226_i64,
            "act": "POST", "status": 201, "user_agent": agent, "query": query, "request": path});
        let line = |keys: [&str; 3]| {
            let values = [&agent, &query, &path];
            expected(keys.into_iter().map(str::to_owned).zip(values))
        };
        (record.to_string(), [line(["requestClientApplication", "cs3", "request"]), line(["user_agent", "query", "request"])])
    })
}

fn expected<'a>(pairs: impl IntoIterator<Item = (String, &'a String)>) -> Expected {
    pairs.into_iter().map(|(key, text)| (key, shown(text))).filter(|(_, value)| !value.is_empty()).collect()
}

/// What a line says for a text: trimmed, one kind of line break, control characters made visible.
fn shown(text: &str) -> String {
    let text = text.trim().replace("\r\n", "\n").replace('\r', "\n");
    let visible = |character: char| match character {
        '\t' | '\n' => character.to_string(),
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' => format!("\\u{:04x}", u32::from(character)),
        other => other.to_string(),
    };
    text.chars().map(visible).collect()
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "=",
        "\\",
        "|",
        " ",
        "  ",
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\u{1b}",
        "\0",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "é",
        "😀",
        "\"",
        "'",
        " msg=x",
        " src=9.9.9.9",
        "CEF:0|a|b|c|d|e|3|",
        "\\n",
        "\\=",
        "\\|",
        "key",
        "{\"a\":1}",
        "%",
        "[",
    ]);
    prop_oneof![
        4 => prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
    ]
}
