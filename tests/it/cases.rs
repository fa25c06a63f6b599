//! `tests/CASES.md` tells the truth: every case is there once, and every test that it names exists.

use std::{collections::BTreeMap, fs, path::Path};

/// The groups of cases that the table covers, and how many each has.
const GROUPS: [(char, u32); 13] = [
    ('A', 44),
    ('B', 47),
    ('C', 30),
    ('D', 34),
    ('E', 14),
    ('F', 6),
    ('G', 62),
    ('H', 12),
    ('I', 24),
    ('J', 27),
    ('K', 16),
    ('L', 14),
    ('M', 15),
];

fn rows() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("tests/CASES.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    rows.map(|(cases, answer)| (cases.to_owned(), answer.to_owned())).filter(|(cases, _)| cases != "case").collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `A7` of a word such as `A7`, `A7,` or `A7:`.
fn id(word: &str) -> Option<(char, u32)> {
    let word = word.trim_end_matches([',', ':']);
    let group = word.chars().next().filter(char::is_ascii_uppercase)?;
    Some((group, word[1..].parse().ok()?))
}

#[test]
fn every_case_stands_in_the_table_once() {
    let mut seen: BTreeMap<(char, u32), u32> = BTreeMap::new();
    for (cases, answer) in rows() {
        assert!(!answer.trim().is_empty(), "{cases} has an answer");
        for case in cases.split_whitespace().filter_map(id) {
            *seen.entry(case).or_default() += 1;
        }
    }
    for (group, count) in GROUPS {
        for number in 1..=count {
            assert_eq!(seen.get(&(group, number)), Some(&1), "{group}{number}");
        }
    }
}

#[test]
fn every_test_that_the_table_names_exists() {
    let mut named = 0;
    for (cases, answer) in rows() {
        for place in answer.split('`').skip(1).step_by(2).filter(|quoted| quoted.contains(".rs::")) {
            let (file, test) = place.split_once("::").unwrap();
            let file = if file.starts_with("src/") { root().join(file) } else { root().join("tests/it").join(file) };
            let text =
                fs::read_to_string(&file).unwrap_or_else(|error| panic!("{cases}: {}: {error}", file.display()));
            assert!(text.contains(&format!("fn {test}(")), "{cases}: {} has no {test}", file.display());
            named += 1;
        }
    }
    assert!(named > 150, "the table names tests in a form that is understood: {named}");
}

#[test]
fn the_cases_behind_the_promise_stand_in_the_table() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let promise = readme.split("## The promise").nth(1).unwrap().split("\n## ").next().unwrap();
    let known: Vec<(char, u32)> =
        rows().iter().flat_map(|(cases, _)| cases.split_whitespace().filter_map(id).collect::<Vec<_>>()).collect();
    let named: Vec<(char, u32)> = promise.split([' ', '(', ')', ';', '\n']).filter_map(id).collect();
    assert!(named.len() > 40, "{named:?}");
    for case in named {
        assert!(known.contains(&case), "{case:?} is in no row");
    }
}
