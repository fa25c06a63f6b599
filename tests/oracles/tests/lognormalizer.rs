//! rsyslog's reader, liblognorm, through its program `lognormalizer`. Skipped, and said so, where that is missing.
//!
//! It takes the first letter behind the header for a space, so it is given lines that have one there.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use auditpost_oracles::{Expected, SAMPLES, encoded, record, sample, settings};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

const CASES: usize = 2_000;

/// What it reads of each line; None where it is not here.
fn read(lines: &[String]) -> Option<Vec<serde_json::Value>> {
    if Command::new("lognormalizer").arg("-V").output().is_err() {
        eprintln!("lognormalizer is not here (Debian: liblognorm-utils): skipped");
        return None;
    }
    let rules = std::env::temp_dir().join(format!("auditpost-oracle-{}.rb", std::process::id()));
    std::fs::write(&rules, "version=2\nrule=:%f:cef%\n").expect("the rules are written");
    let mut child = Command::new("lognormalizer")
        .args(["-e", "json", "-r"])
        .arg(&rules)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("it reads all");
    let _ = std::fs::remove_file(&rules);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect(),
    )
}

fn pairs(read: &serde_json::Value, line: &str) -> BTreeMap<String, String> {
    let pairs = read.pointer("/f/Extensions").and_then(serde_json::Value::as_object);
    let pairs = pairs.unwrap_or_else(|| panic!("{read} of {line}"));
    pairs.iter().map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

#[test]
fn it_reads_every_sample() {
    let records = SAMPLES.iter().flat_map(|file| sample(file));
    let lines: Vec<String> =
        records.flat_map(|record| settings(true).map(|settings| encoded(&settings, &record))).collect();
    let Some(read) = read(&lines) else { return };
    assert_eq!(read.len(), lines.len());
    for (read, line) in read.iter().zip(&lines) {
        let keys = line.splitn(8, '|').last().map_or(0, |pairs| pairs.replace("\\=", "").matches('=').count());
        assert_eq!(pairs(read, line).len(), keys, "{line}");
    }
}

#[test]
fn it_gets_back_what_went_in() {
    let mut runner = TestRunner::deterministic();
    let strategy = record();
    let mut lines = Vec::new();
    let mut all: Vec<Expected> = Vec::new();
    for _ in 0..CASES {
        let (record, expected) = strategy.new_tree(&mut runner).expect("a record").current();
        for (settings, expected) in settings(true).iter().zip(expected) {
            // A line without an extension is not for it.
            if !expected.is_empty() {
                lines.push(encoded(settings, &record));
                all.push(expected);
            }
        }
    }
    let Some(read) = read(&lines) else { return };
    assert_eq!(read.len(), lines.len());
    for ((read, line), expected) in read.iter().zip(&lines).zip(all) {
        let pairs = pairs(read, line);
        for (key, value) in expected {
            assert_eq!(pairs.get(&key), Some(&value), "{key} of {line}");
        }
    }
}
