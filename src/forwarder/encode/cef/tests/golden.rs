//! Every sample, in each dialect, against `tests/golden/FILE.DIALECT.cef`, which people have read.
//!
//! `GOLDEN=write cargo test --lib golden` writes them anew; read the difference before it is committed.

use std::{env, fs, path::Path};

use crate::{
    config::{CefConfig, Dialect, Schema},
    forwarder::encode::EventEncoder,
    schema::Checker,
};

const DIALECTS: [(Dialect, &str); 2] = [(Dialect::Strict, "strict"), (Dialect::Konnect, "konnect")];

/// The records of a file: its lines or, of a page that an API answered with, each of its list as a line.
pub(super) fn records(file: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("samples").join(file)).unwrap();
    if !file.ends_with("_response.json") {
        return text.lines().map(str::to_owned).collect();
    }
    let page: serde_json::Value = serde_json::from_str(&text).unwrap();
    let lists = ["/events", "/data", "/data/auditLogs"];
    let list = lists.iter().find_map(|list| page.pointer(list)?.as_array()).unwrap();
    list.iter().map(|record| record.to_string()).collect()
}

pub(super) fn encoded(settings: &CefConfig, record: &str) -> String {
    tried(settings, record).unwrap()
}

/// None where the record is no event.
pub(super) fn tried(settings: &CefConfig, record: &str) -> Option<String> {
    let mut encoder = EventEncoder::cef(settings, "portal");
    let mut checker = Checker::new(Schema::Auto, encoder.needs());
    let mut out = Vec::new();
    encoder.encode(&checker.check(record.as_bytes()).ok()?, &mut out);
    Some(String::from_utf8(out).unwrap())
}

pub(super) fn samples() -> Vec<String> {
    let files = fs::read_dir(root().join("samples")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".jwks.json")).collect();
    names.sort();
    names
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))
}

#[test]
fn every_sample_is_what_was_reviewed() {
    let write = env::var_os("GOLDEN").is_some_and(|wish| wish == "write");
    let mut different = Vec::new();
    for file in samples() {
        for (dialect, name) in DIALECTS {
            let settings = CefConfig { dialect, ..CefConfig::default() };
            let lines: String = records(&file).iter().map(|record| encoded(&settings, record) + "\n").collect();
            let path = root().join("golden").join(format!("{file}.{name}.cef"));
            if write {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, lines).unwrap();
                continue;
            }
            let reviewed = fs::read_to_string(&path).unwrap_or_default();
            let first = reviewed.lines().zip(lines.lines()).find(|(reviewed, line)| reviewed != line);
            if reviewed != lines {
                different.push(format!("{}: {first:#?}", path.display()));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
