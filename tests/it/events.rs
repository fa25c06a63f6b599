//! Numbered events: a test can tell which arrived, in what order, and how often.

use std::ops::Range;

/// Event number `n`: one line of JSON of about 300 bytes, without its line end. Every third is an `update`, every
/// third a `delete`, the others a `login`.
pub fn event(n: u64) -> String {
    let kind = ["login", "update", "delete"][(n % 3) as usize];
    typed_event(n, kind)
}

/// The same with a chosen event type.
pub fn typed_event(n: u64, kind: &str) -> String {
    format!(
        r#"{{"id":"evt-{n:010}","type":"{kind}","n":{n},"time":"2026-08-19T09:{:02}:{:02}Z","actor":{{"id":"user-{:04}","email":"user{:04}@acme.example"}},"target":{{"kind":"cluster","id":"c-{:08x}"}},"message":"Grüße: \"{kind}\" of object {n}","pad":"{}"}}"#,
        n / 60 % 60,
        n % 60,
        n % 1000,
        n % 1000,
        n.wrapping_mul(0x9e37_79b9) as u32,
        "abcdefghijklmnopqrstuvwxyz0123456789".repeat(2),
    )
}

/// The events of `range` as a file has them: each with its line end.
pub fn lines(range: Range<u64>) -> String {
    range.map(|n| event(n) + "\n").collect()
}

/// The numbers of such events, in their order. Panics on a line that is not one: a receiver got bytes that were
/// never written.
pub fn numbers<S: AsRef<str>>(lines: &[S]) -> Vec<u64> {
    lines.iter().map(|line| number(line.as_ref())).collect()
}

fn number(line: &str) -> u64 {
    let value: serde_json::Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON ({error}): {line:?}"));
    let n = value["n"].as_u64().unwrap_or_else(|| panic!("no number in {line:?}"));
    let kind = value["type"].as_str().unwrap_or_default();
    assert_eq!(line, typed_event(n, kind), "the event's bytes were changed");
    n
}

#[test]
fn an_event_has_about_300_bytes_and_gives_its_number_back() {
    assert!((250..350).contains(&event(7).len()), "{}", event(7).len());
    assert_eq!(numbers(&[event(7), event(8), typed_event(9, "x")]), [7, 8, 9]);
}
