//! A strict reader of one CEF line.

use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Decoded {
    /// Vendor, product, version, class id, name, severity.
    pub(super) header: Vec<String>,
    pub(super) pairs: BTreeMap<String, String>,
}

/// Reads one line strictly: what the standard does not have is a failure.
pub(super) fn decode(line: &str) -> Decoded {
    assert!(
        !line.contains(|c: char| c != '\t' && (c.is_control() || "\u{2028}\u{2029}".contains(c))),
        "one line: {line:?}"
    );
    let mut rest = line.strip_prefix("CEF:0|").expect("the version");
    let mut header = Vec::new();
    for _ in 0..6 {
        let (field, behind) = until(rest, '|', |escaped| "\\|".contains(escaped).then_some(escaped));
        assert!(!field.trim().is_empty() && field.trim() == field, "a blank or untrimmed header field: {line:?}");
        header.push(field);
        rest = behind.expect("seven pipes");
    }
    let mut pairs = BTreeMap::new();
    let escapes = |escaped| match escaped {
        '\\' | '=' => Some(escaped),
        'n' => Some('\n'),
        'r' => Some('\r'),
        _ => None,
    };
    let mut key = String::new();
    if !rest.is_empty() {
        let (first, behind) = rest.split_once('=').expect("a pair");
        (key, rest) = (first.to_owned(), behind);
    }
    while !key.is_empty() {
        // The value ends before the last space in front of the next `=` that is not escaped.
        let (mut value, behind) = until(rest, '=', escapes);
        let mut next = String::new();
        if behind.is_some() {
            let (before, name) = value.rsplit_once(' ').expect("a space before a key");
            (value, next) = (before.to_owned(), name.to_owned());
        }
        assert!(!value.is_empty() && value.trim() == value, "{key} is blank or untrimmed: {line:?}");
        assert!(key.starts_with(|c: char| c.is_ascii_alphabetic()), "{key:?}: {line:?}");
        assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{key:?}: {line:?}");
        assert!(pairs.insert(key.clone(), value).is_none(), "{key} twice: {line:?}");
        rest = behind.unwrap_or_default();
        key = next;
    }
    Decoded { header, pairs }
}

/// The unescaped text up to `end`, and what stands behind it.
fn until(text: &str, end: char, escapes: impl Fn(char) -> Option<char>) -> (String, Option<&str>) {
    let mut read = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character == end {
            return (read, Some(characters.as_str()));
        }
        read.push(match character {
            '\\' => escapes(characters.next().expect("an escape")).expect("an escape that exists"),
            other => other,
        });
    }
    (read, None)
}
