//! From a decoded body to the lines of the spool.
//!
//! What the body is is told from its content: one JSON array, of which each element is an event; one JSON object, also
//! over several lines; the `EventList` of Kubernetes, of which each item is an event; else lines, each of them JSON or
//! CEF. Of schema raw everything is lines of text. Bytes are kept as they stand: only line feeds between the tokens of
//! a JSON value become spaces, and the line ends and blank lines between events go. A body is taken whole or refused
//! whole. Nothing is parsed into a tree.

use bytes::Bytes;

use crate::{
    body_decoder::GZIP_MAGIC,
    config::Schema,
    log::lines::is_blank,
    scan::{Invalid, JsonKind, Sink, scan},
    schema::{Checker, Needs},
};

/// The longest event that is put into the spool; the reader sends what is longer than `maxEventBytes` to the dead
/// letters.
pub(super) const MAX_EVENT: usize = 8 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// The events of one body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Events {
    /// Whole lines; empty where there are no events.
    pub lines: Bytes,
    pub count: u64,
}

/// Why no event of a body was taken. It quotes nothing of the body.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadBody {
    /// `line` counts from 1.
    #[error("line {line} is no event: {invalid}; none of the body was taken")]
    Invalid { line: usize, invalid: Invalid },
    #[error("an event has {bytes} bytes, and 8 MiB is the most; none of the body was taken")]
    TooLong { bytes: usize },
    #[error("the body is compressed twice")]
    Twice,
}

/// Takes a body apart.
pub(super) fn events(body: Vec<u8>, schema: Schema) -> Result<Events, BadBody> {
    if body.starts_with(&GZIP_MAGIC) {
        return Err(BadBody::Twice);
    }
    let text = body.strip_prefix(BOM).unwrap_or(&body);
    let first = text.trim_ascii_start().first();
    let whole = match first {
        Some(b'{' | b'[') if schema != Schema::Raw => document(text),
        _ => None,
    };
    match whole {
        Some(Ok(events)) => events,
        Some(Err(invalid)) => lines(body, schema).map_err(|bad| match bad {
            // The first line is no event by itself: what was meant is one document.
            BadBody::Invalid { line: 1, .. } => invalid,
            other => other,
        }),
        None => lines(body, schema),
    }
}

/// One JSON document: its events, or why it is none; `Some(Ok(Err))` where an event of it is too long.
fn document(text: &[u8]) -> Option<Result<Result<Events, BadBody>, BadBody>> {
    let mut parts = Parts::new(text);
    if let Err(invalid) = scan(text, &mut parts) {
        let at = match invalid {
            Invalid::Utf8 { at } | Invalid::Json { at, .. } | Invalid::TooDeep { at } => at,
            Invalid::Cef => 0,
        };
        let line = 1 + memchr::memchr_iter(b'\n', &text[..at]).count();
        return Some(Err(BadBody::Invalid { line, invalid }));
    }
    Some(Ok(parts.finish()))
}

/// A line for each event; a line by itself must be one.
fn lines(body: Vec<u8>, schema: Schema) -> Result<Events, BadBody> {
    let mut checker = Checker::new(schema, Needs::Validity);
    let text = body.strip_prefix(BOM).unwrap_or(&body);
    let mut count = 0;
    let mut kept = 0;
    for (index, line) in split(text).enumerate() {
        if is_blank(line) {
            continue;
        }
        if line.len() > MAX_EVENT {
            return Err(BadBody::TooLong { bytes: line.len() });
        }
        checker.check(line).map_err(|invalid| BadBody::Invalid { line: index + 1, invalid })?;
        count += 1;
        kept += line.len() + 1;
    }
    if kept == body.len() {
        // Every byte of it is one of an event, or its line end.
        return Ok(Events { lines: body.into(), count });
    }
    let mut lines = Vec::with_capacity(kept);
    for line in split(text).filter(|line| !is_blank(line)) {
        lines.extend_from_slice(line);
        lines.push(b'\n');
    }
    Ok(Events { lines: lines.into(), count })
}

fn split(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (line, after) = match memchr::memchr(b'\n', text) {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        rest = after;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// Copies the events out of one document while it is scanned.
struct Parts<'a> {
    text: &'a [u8],
    top: Top,
    member: MemberName,
    says_event_list: bool,
    /// Within the `items` of an object, which stand at depth 2.
    in_items: bool,
    had_items: bool,
    start: usize,
    document: (usize, usize),
    out: Vec<u8>,
    count: u64,
    longest: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Top {
    Array,
    Object,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MemberName {
    Kind,
    Items,
    Other,
}

impl<'a> Parts<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            top: Top::Object,
            member: MemberName::Other,
            says_event_list: false,
            in_items: false,
            had_items: false,
            start: 0,
            document: (0, 0),
            out: Vec::new(),
            count: 0,
            longest: 0,
        }
    }

    fn finish(mut self) -> Result<Events, BadBody> {
        if self.top == Top::Object && !(self.says_event_list && self.had_items) {
            self.out.clear();
            (self.count, self.longest) = (0, 0);
            let (start, end) = self.document;
            self.push(start, end);
        }
        if self.longest > MAX_EVENT {
            return Err(BadBody::TooLong { bytes: self.longest });
        }
        Ok(Events { lines: self.out.into(), count: self.count })
    }

    fn push(&mut self, start: usize, end: usize) {
        let at = self.out.len();
        self.out.extend_from_slice(&self.text[start..end]);
        // A line feed cannot stand within a string or any other token.
        for byte in self.out[at..].iter_mut().filter(|byte| **byte == b'\n') {
            *byte = b' ';
        }
        self.out.push(b'\n');
        self.count += 1;
        self.longest = self.longest.max(end - start);
    }

    fn is_event(&self, depth: usize) -> bool {
        match self.top {
            Top::Array => depth == 1,
            Top::Object => self.in_items && depth == 2,
        }
    }
}

impl Sink for Parts<'_> {
    fn key(&mut self, line: &[u8], depth: usize, start: usize, end: usize, _: bool) {
        if depth == 1 {
            self.member = match &line[start..end] {
                b"kind" => MemberName::Kind,
                b"items" => MemberName::Items,
                _ => MemberName::Other,
            };
        }
    }

    fn scalar(&mut self, depth: usize, start: usize, end: usize, _: JsonKind) {
        if self.is_event(depth) {
            self.push(start, end);
        } else if depth == 1 && self.member == MemberName::Kind {
            self.says_event_list = &self.text[start..end] == b"\"EventList\"";
        }
    }

    fn open(&mut self, depth: usize, start: usize, kind: JsonKind) {
        if depth == 0 {
            self.top = if kind == JsonKind::Array { Top::Array } else { Top::Object };
            self.document.0 = start;
        } else if self.is_event(depth) {
            self.start = start;
        } else if self.top == Top::Object && depth == 1 && self.member == MemberName::Items && kind == JsonKind::Array
        {
            (self.in_items, self.had_items) = (true, true);
        }
    }

    fn close(&mut self, depth: usize, end: usize) {
        match depth {
            0 => self.document.1 = end,
            1 if self.top == Top::Object => self.in_items = false,
            _ if self.is_event(depth) => self.push(self.start, end),
            _ => {}
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn taken(body: &str, schema: Schema) -> Vec<String> {
        let events = events(body.as_bytes().to_vec(), schema).unwrap();
        let text = String::from_utf8(events.lines.to_vec()).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(lines.len() as u64, events.count, "{body:?}");
        assert!(text.is_empty() || text.ends_with('\n'));
        lines
    }

    fn refused(body: &str) -> String {
        events(body.as_bytes().to_vec(), Schema::Auto).unwrap_err().to_string()
    }

    #[test]
    fn every_shape_gives_its_events_as_they_stand() {
        for (body, expected) in [
            ("", &[][..]),
            (" \r\n\n", &[]),
            ("[]", &[]),
            ("{\"a\":1}\n\n{\"a\": 2}\r\n", &["{\"a\":1}", "{\"a\": 2}"]),
            ("{\"a\":1}\n{\"a\":2}", &["{\"a\":1}", "{\"a\":2}"]),
            ("{\"a\":1}", &["{\"a\":1}"]),
            ("\u{feff}{\"a\":1}\n", &["{\"a\":1}"]),
            ("{\n  \"a\": [1,\n2]\n}\n", &["{   \"a\": [1, 2] }"]),
            (
                " [ {\"a\":1e2} ,\n{\"a\":\n[{}]}, 3, \"x\", [ ] ]\n",
                &["{\"a\":1e2}", "{\"a\": [{}]}", "3", "\"x\"", "[ ]"],
            ),
            ("[1]\n[2]\n", &["[1]", "[2]"]),
            ("1\n\"x\"\n", &["1", "\"x\""]),
        ] {
            assert_eq!(taken(body, Schema::Auto), expected, "{body:?}");
        }
    }

    #[test]
    fn lines_of_cef_and_json_may_be_mixed() {
        let cef = "2026-08-19T09:20:05Z konghq.com CEF:0|KongInc|Konnect|1.0|servicehub|Authz.x|6|rt=1 src=::1";
        assert_eq!(taken(&format!("{cef}\n{{\"a\":1}}\n{cef}\n"), Schema::Konnect), [cef, "{\"a\":1}", cef]);
    }

    #[test]
    fn the_items_of_an_event_list_are_events_wherever_its_kind_stands() {
        let items = r#""items":[{"auditID":"1","kind":"Event"},{"items":[7],"auditID":"2"}]"#;
        let expected = [r#"{"auditID":"1","kind":"Event"}"#, r#"{"items":[7],"auditID":"2"}"#];
        let kind = r#""kind":"EventList""#;
        for body in [format!("{{{kind},\"metadata\":{{}},{items}}}"), format!("{{{items},{kind}}}")] {
            assert_eq!(taken(&body, Schema::Auto), expected);
        }
        assert!(taken(&format!("{{{kind},\"items\":[]}}"), Schema::Auto).is_empty());
        // None of these is a list.
        for body in [
            format!("{{{kind}}}"),
            format!("{{{items}}}"),
            format!("{{\"kind\":\"Event\",{items}}}"),
            format!("{{\"o\":{{{kind}}},{items}}}"),
            format!("{{{kind},\"items\":{{\"items\":[1]}}}}"),
            format!("{{{kind},\"items\":null}}"),
            format!("{{{kind},\"o\":{{{items}}}}}"),
        ] {
            assert_eq!(taken(&body, Schema::Auto), [body.as_str()]);
        }
    }

    #[test]
    fn of_schema_raw_everything_is_lines_of_text() {
        assert_eq!(taken("[1,\n 2]\n\n  \nany text\r\n", Schema::Raw), ["[1,", " 2]", "any text"]);
        let body = b"\xff\xfe\n".to_vec();
        assert_eq!(events(body.clone(), Schema::Raw).unwrap().lines, body);
    }

    #[test]
    fn a_bad_body_is_refused_whole_and_its_line_is_named() {
        assert!(
            refused("{\"a\":1}\n{\"a\":2}\n{\"a\":}\n").starts_with("line 3 is no event: not valid JSON at byte 5")
        );
        assert!(refused("{\"a\":1}\nhello\n").starts_with("line 2 "));
        assert!(refused("{\n\"a\": 1,\n\"b\" 2}").starts_with("line 3 is no event: not valid JSON at byte 14"));
        assert!(refused("[{\"a\":1},\n{\"a\":2}").starts_with("line 2 "), "a cut array is not half taken");
        assert!(refused("hello").starts_with("line 1 "));
        let bad = events(b"{\"a\":1}\n\xff\n".to_vec(), Schema::Auto);
        assert!(matches!(bad, Err(BadBody::Invalid { line: 2, invalid: Invalid::Utf8 { .. } })), "{bad:?}");
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(refused(&deep).contains("nested deeper"));
        assert_eq!(events(b"\x1f\x8b\x08".to_vec(), Schema::Raw), Err(BadBody::Twice));
    }

    #[test]
    fn an_event_of_eight_mebibytes_is_taken_and_a_longer_one_is_not() {
        let event = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        for (before, after) in [("", "\n"), ("[", "]"), ("{\"kind\":\"EventList\",\"items\":[", "]}")] {
            assert_eq!(taken(&format!("{before}{}{after}", event(MAX_EVENT)), Schema::Auto).len(), 1);
            let bad = events(format!("{before}{}{after}", event(MAX_EVENT + 1)).into_bytes(), Schema::Auto);
            assert_eq!(bad, Err(BadBody::TooLong { bytes: MAX_EVENT + 1 }));
        }
    }

    #[test]
    fn a_body_of_plain_lines_is_not_copied() {
        let body = b"{\"a\":1}\n{\"a\":2}\n".to_vec();
        let at = body.as_ptr();
        assert_eq!(events(body, Schema::Auto).unwrap().lines.as_ptr(), at);
    }

    proptest::proptest! {
        #[test]
        fn an_array_and_its_elements_as_lines_give_the_same_events(
            values in proptest::collection::vec("[a-z]{0,6}", 0..8), pretty in proptest::prelude::any::<bool>()
        ) {
            let values: Vec<_> = values.iter().map(|text| serde_json::json!({"t": text, "n": [1, {"x": null}]})).collect();
            let array = if pretty { serde_json::to_string_pretty(&values) } else { serde_json::to_string(&values) }.unwrap();
            let back: Vec<serde_json::Value> =
                taken(&array, Schema::Auto).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(back, values);
        }
    }
}
