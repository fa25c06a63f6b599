//! Samples of which any texts became any other: an independent reader gets back exactly what went in.

use proptest::prelude::*;
use serde_json::Value as Tree;

use super::{
    decoder::decode,
    golden::{encoded, records, samples},
    shown, text,
};
use crate::config::{CefConfig, Dialect};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_text_of_any_record_is_read_back_from_one_line(
        record in record(),
        texts in prop::collection::vec((any::<prop::sample::Index>(), text()), 1..6),
        konnect in any::<bool>(),
    ) {
        let mut record = record;
        for (index, text) in texts {
            let count = leaves(&mut record, &mut |_, _| false);
            let mut at = index.index(count);
            leaves(&mut record, &mut |_, leaf| {
                let here = at == 0;
                if here {
                    leaf.clone_from(&text);
                }
                at = at.wrapping_sub(1);
                here
            });
        }
        let dialect = if konnect { Dialect::Konnect } else { Dialect::Strict };
        let line = encoded(&CefConfig { dialect, ..CefConfig::default() }, &record.to_string());
        let read = decode(&line);
        let values: Vec<String> = read.header.into_iter().chain(read.pairs.into_values()).collect();
        let mut lost = Vec::new();
        leaves(&mut record, &mut |path, leaf| {
            let expected = shown(leaf);
            let json = Tree::from(leaf.as_str()).to_string();
            let nested = shown(&json[1..json.len() - 1]);
            let said = values.iter().any(|value| *value == expected || value.contains(&nested));
            if !said && !expected.is_empty() && !is_derived(path, leaf) {
                lost.push(format!("{path}: {leaf:?}"));
            }
            false
        });
        prop_assert!(lost.is_empty(), "{lost:?} of {record} in {line}");
    }

    /// Any lines of CEF, broken ones too, become one line that can be read, or stay what they are.
    #[test]
    fn lines_of_cef_stay_one_line(
        index in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        more in text(),
        konnect in any::<bool>(),
    ) {
        let records = records("konnect.cef");
        let record = &records[index.index(records.len())];
        let place = place.index(record.len());
        let record = format!("{}{}{}", &record[..place], more.replace('\n', ""), &record[place..]);
        let dialect = if konnect { Dialect::Konnect } else { Dialect::Strict };
        if record.contains("CEF:") && !record.starts_with('{') {
            let settings = CefConfig { dialect, ..CefConfig::default() };
            if let Some(line) = super::golden::tried(&settings, &record) {
                if line != record {
                    decode(&line);
                }
                prop_assert!(!line.contains(['\n', '\r']));
            }
        }
    }
}

fn record() -> impl Strategy<Value = Tree> {
    let files = samples().into_iter().filter(|file| !file.ends_with(".cef"));
    let all: Vec<Tree> =
        files.flat_map(|file| records(&file)).map(|record| serde_json::from_str(&record).unwrap()).collect();
    prop::sample::select(all)
}

/// Tells of every text, until it is told to stop; how many there were.
fn leaves(tree: &mut Tree, tell: &mut dyn FnMut(&str, &mut String) -> bool) -> usize {
    fn walk(tree: &mut Tree, path: &str, tell: &mut dyn FnMut(&str, &mut String) -> bool, count: &mut usize) -> bool {
        match tree {
            Tree::Object(members) => {
                members.iter_mut().any(|(name, value)| walk(value, &format!("{path}/{name}"), tell, count))
            }
            Tree::Array(items) => items.iter_mut().any(|item| walk(item, path, tell, count)),
            Tree::String(text) => {
                *count += 1;
                tell(path, text)
            }
            _ => false,
        }
    }
    let mut count = 0;
    walk(tree, "", tell, &mut count);
    count
}

/// What a line says in other words, as the mappings' tables have it.
fn is_derived(path: &str, text: &str) -> bool {
    let time = text.parse::<jiff::Timestamp>().is_ok() || text.bytes().all(|byte| byte.is_ascii_digit());
    let word = ["AUDIT_EVENT", "EVENT_TYPE_", "OUTCOME_", "ENTITY_TYPE_", "auth", "gateway_access", "true", "false"];
    let end = path.rsplit('/').next().unwrap_or_default();
    time || word.iter().any(|start| text.starts_with(start))
        || (end == "cef_version" && text == "0")
        || end == "data"
        || (matches!(end, "entityName" | "_entity_name") && text == "user")
        || (matches!(end, "authentication_type" | "outcome") && text.bytes().all(|byte| byte.is_ascii_lowercase()))
}
