//! `config.example.yaml` names every key, and can be loaded.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::config::{Auth, json_schema};

const EXAMPLE: &str = include_str!("../../../config.example.yaml");

fn keys_of_schema(schema: &Value, keys: &mut BTreeSet<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                keys.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| keys_of_schema(member, keys));
        }
        Value::Array(items) => items.iter().for_each(|item| keys_of_schema(item, keys)),
        _ => {}
    }
}

/// The keys of lines `key: …` and `- key: …`; comments do not count.
fn keys_of_example() -> BTreeSet<String> {
    let key = |line: &str| line.trim_start_matches([' ', '-']).split_once(':').map(|(key, _)| key.to_owned());
    EXAMPLE.lines().filter(|line| !line.trim_start().starts_with('#')).filter_map(key).collect()
}

#[test]
fn the_example_names_every_key() {
    let mut keys = BTreeSet::new();
    keys_of_schema(&json_schema(), &mut keys);
    assert!(keys.len() > 65, "{keys:?}");
    assert!(EXAMPLE.contains("`auditLogForwarders`"), "the other name can only be told of");
    keys.remove("auditLogForwarders");
    for instead_of_a_file in ["password", "clientSecret", "secret"] {
        assert!(EXAMPLE.contains(&format!("`{instead_of_a_file}`")), "it cannot stand beside the file");
        keys.remove(instead_of_a_file);
    }
    let missing: Vec<_> = keys.difference(&keys_of_example()).cloned().collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn each_key_of_the_example_has_a_comment() {
    for line in EXAMPLE.lines().filter(|line| line.contains(": ") && !line.trim_start().starts_with('#')) {
        let told_before = [
            "- name: billing",
            "include: [/var/log/billing",
            "- name: agents",
            "- name: local",
            "kind: unix",
            "- name: webhooks",
            "kind: http",
            "- name: archive",
            "uri: http://archive",
            "- name: soc",
            "uri: https://soc",
        ];
        assert!(line.contains(" # ") || told_before.iter().any(|told| line.contains(told)), "{line}");
    }
}

#[test]
fn the_example_loads() {
    let config = load_text("config.example.yaml", EXAMPLE, &env).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.sources.len(), 6);
    assert_eq!(config.forwarders[1].uri.expose().as_str(), "http://archive.example.com/staging/events");
    assert!(config.forwarders.iter().any(|forwarder| forwarder.name == "splunk" && forwarder.wrap.is_some()));
    let [.., sentinel, elastic] = config.forwarders.as_slice() else { panic!("there are more") };
    assert!(matches!((&sentinel.auth, &elastic.auth), (Auth::OAuth2(_), Auth::Basic { .. })));
    let missing = load_text("config.example.yaml", EXAMPLE, &|_| None).expect_err("SIEM_TOKEN is not set");
    assert_eq!(missing.count(), 1, "{missing}");
}

#[test]
fn the_shortest_configuration_of_the_example_loads() {
    let lines = EXAMPLE.lines().filter_map(|line| line.strip_prefix("#   "));
    let text: String = lines.filter(|line| line.contains("[{")).map(|line| format!("{line}\n")).collect();
    assert_eq!(text.lines().count(), 2);
    only(&text);
}
