//! Names of sources and forwarders. They name directories and metric labels, and must last.

use std::collections::HashMap;

use super::super::{path::Path, report::Report};

const LONGEST: usize = 63;

/// Reports names that are not `[a-z0-9-]{1,63}` or are used twice. `names`: each with its path, in order.
pub(super) fn check<'n>(names: impl IntoIterator<Item = (&'n str, Path)>, report: &mut Report) {
    let mut seen: HashMap<&str, Path> = HashMap::new();
    for (name, path) in names {
        if !is_valid(name) {
            let what = "must be 1 to 63 of a-z, 0-9 and `-`: it names a directory and a metric";
            let near = derive(name);
            let usable = name.len() <= LONGEST && is_valid(&near) && report.is_literal(&path, name);
            let near = usable.then_some(near.as_str());
            report.problem_near(&path, format!("{} {what}", report.written(&path)), near);
        } else if let Some(first) = seen.get(name) {
            report.problem(&path, format!("the name {} is used by {first} already", report.written(&path)));
        } else {
            seen.insert(name, path);
        }
    }
}

pub(super) fn is_valid(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len()) && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// A valid name made of a host: other characters become `-`. Empty where nothing of it could be kept.
pub(super) fn derive(host: &str) -> String {
    let fold = |c: char| {
        if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }
    };
    let name: String = host.chars().map(fold).take(LONGEST).collect();
    name.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_become_names() {
        assert_eq!(derive("siem.Example.com"), "siem-example-com");
        assert_eq!(derive("127.0.0.1"), "127-0-0-1");
        assert_eq!(derive("[2001:db8::1]"), "2001-db8--1");
        assert_eq!(derive(&"a".repeat(100)).len(), LONGEST);
        assert_eq!(derive("[::]"), "");
    }

    #[test]
    fn names_are_short_and_lower_case() {
        for name in ["a", "siem-2", &"a".repeat(63)] {
            assert!(is_valid(name), "{name}");
        }
        for name in ["", "Siem", "a_b", "a.b", "a/b", "..", "é", &"a".repeat(64)] {
            assert!(!is_valid(name), "{name}");
        }
    }
}
