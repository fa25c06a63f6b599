//! A record that is a line of CEF: `[prefix ]CEF:version|vendor|product|version|class id|name|severity|extension`.
//!
//! The prefix is what a syslog relay or Kong Konnect puts before it: a time and a host, without a `<PRI>`. Values of
//! the extension may hold spaces and may be empty, so a pair ends only where the next key begins: a run of letters,
//! digits, `_`, `.` and `-` between a space and an `=` that no backslash stands before.
//!
//! A writer that does not escape `=` makes that ambiguous. Where the keys are known only these begin a pair, each
//! once, so that a value can at most pretend to be a key that has not come yet; and `sig` is the last word alone.

use super::{fields::Value, json::JsonKind};

/// What may stand before `CEF:`, in bytes: a time, a host and some.
const MAX_PREFIX: usize = 256;

/// More pairs are left in the value of the last one. It bounds the memory of a checker.
const MAX_PAIRS: usize = 256;

/// The header's names, as Konnect's JSON writes them, in the line's order.
pub const HEADER: [&str; 7] =
    ["cef_version", "event_vendor", "event_product", "event_version", "event_class_id", "name", "severity"];

/// Where what stands in a line of CEF; used again for every line.
#[derive(Debug, Default)]
pub struct CefFields {
    /// Where `CEF:` begins.
    start: usize,
    header: [(usize, usize); 7],
    pairs: Vec<Pair>,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    key: (usize, usize),
    value: (usize, usize),
}

/// A line of CEF and what stands where.
#[derive(Clone, Copy, Debug)]
pub struct CefRecord<'a> {
    /// The whole line, known to be UTF-8.
    pub text: &'a str,
    fields: &'a CefFields,
}

impl CefFields {
    /// Finds the header. False where the line is not CEF: it has no `CEF:` that is followed by seven fields.
    pub fn header(&mut self, text: &str) -> bool {
        self.pairs.clear();
        let head = &text.as_bytes()[..text.len().min(MAX_PREFIX)];
        let Some(start) = memchr::memmem::find(head, b"CEF:") else { return false };
        if start > 0 && head[start - 1] != b' ' {
            return false;
        }
        self.start = start;
        let mut at = start + "CEF:".len();
        for field in &mut self.header {
            let Some(length) = unescaped(&text.as_bytes()[at..], b'|') else { return false };
            *field = (at, at + length);
            at += length + 1;
        }
        true
    }

    /// Finds the extension's pairs, after [`CefFields::header`] was true. With `known` only these words are keys.
    pub fn extension(&mut self, text: &str, known: Option<&[&str]>) {
        let bytes = text.as_bytes();
        let begin = self.header[6].1 + 1;
        let mut seen = 0_u64;
        for equals in memchr::memchr_iter(b'=', &bytes[begin..]).map(|at| begin + at) {
            let start = equals - bytes[begin..equals].iter().rev().take_while(|byte| is_key(**byte)).count();
            let apart = start == begin || bytes[start - 1] == b' ';
            if start == equals || !apart || self.pairs.len() == MAX_PAIRS {
                continue;
            }
            let key = &text[start..equals];
            if key == "sig" && memchr::memchr(b' ', &bytes[equals..]).is_some() {
                continue;
            }
            if let Some(known) = known {
                let Some(index) = known.iter().position(|known| *known == key) else { continue };
                if seen >> index & 1 == 1 {
                    continue;
                }
                seen |= 1 << index;
            }
            if let Some(last) = self.pairs.last_mut() {
                last.value.1 = (start - 1).max(last.value.0);
            }
            self.pairs.push(Pair { key: (start, equals), value: (equals + 1, bytes.len()) });
        }
    }

    pub fn record<'a>(&'a self, text: &'a str) -> CefRecord<'a> {
        CefRecord { text, fields: self }
    }
}

impl<'a> CefRecord<'a> {
    /// A header field by its name in [`HEADER`], `event_ts` for the prefix's time, or the first extension pair of this
    /// key. Pairs are there only where the reader needs more than the event's type.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        if let Some(index) = HEADER.iter().position(|name| *name == key) {
            return Some(self.header(index));
        }
        if key == "event_ts" {
            return Some(value(self.time()?));
        }
        self.pairs().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// A header field by its index in [`HEADER`].
    pub fn header(&self, index: usize) -> Value<'a> {
        let (start, end) = self.fields.header[index];
        value(&self.text[start..end])
    }

    /// What stands before `CEF:`, without the space between them.
    pub fn prefix(&self) -> &'a str {
        self.text[..self.fields.start].trim_end()
    }

    /// The time in the prefix, which ends with the host.
    pub fn time(&self) -> Option<&'a str> {
        self.prefix().rsplit_once(' ').map(|(time, _)| time)
    }

    /// The extension's keys and values in the line's order.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        let Self { text, fields } = *self;
        fields.pairs.iter().map(move |pair| (&text[pair.key.0..pair.key.1], value(&text[pair.value.0..pair.value.1])))
    }
}

fn value(raw: &str) -> Value<'_> {
    let escaped = memchr::memchr(b'\\', raw.as_bytes()).is_some();
    Value { raw, kind: if escaped { JsonKind::CefString } else { JsonKind::String { escaped } } }
}

/// How far it is to the first `wanted` that no backslash stands before.
fn unescaped(bytes: &[u8], wanted: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(wanted, b'\\', &bytes[at..])?;
        if bytes[at] == wanted {
            return Some(at);
        }
        at += 2;
        if at > bytes.len() {
            return None;
        }
    }
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// Appends what an escaped header field or value says. A backslash before any other character stands for itself.
pub(super) fn unescape_cef(raw: &str, into: &mut String) {
    let mut characters = raw.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            into.push(character);
            continue;
        }
        match characters.clone().next() {
            Some('n') => into.push('\n'),
            Some('r') => into.push('\r'),
            Some(escaped @ ('\\' | '=' | '|')) => into.push(escaped),
            _ => {
                into.push('\\');
                continue;
            }
        }
        characters.next();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn read(line: &str, known: Option<&[&str]>) -> Option<Vec<(String, String)>> {
        let mut fields = CefFields::default();
        if !fields.header(line) {
            return None;
        }
        fields.extension(line, known);
        let mut scratch = String::new();
        let record = fields.record(line);
        Some(record.pairs().map(|(key, value)| (key.to_owned(), value.text(&mut scratch).to_owned())).collect())
    }

    fn pairs(line: &str, known: Option<&[&str]>) -> Vec<(String, String)> {
        read(&format!("CEF:0|v|p|1|c|n|3|{line}"), known).unwrap()
    }

    fn owned(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_hold_spaces_and_escapes_and_may_be_empty() {
        assert_eq!(
            pairs(r"a=one two  three b= c=x\=y\\z\nw d=e=f sig=S", None),
            owned(&[("a", "one two  three"), ("b", ""), ("c", "x=y\\z\nw"), ("d", "e=f"), ("sig", "S")])
        );
        assert_eq!(pairs("", None), owned(&[]));
        assert_eq!(pairs("a=", None), owned(&[("a", "")]));
    }

    #[test]
    fn where_the_keys_are_known_no_other_word_and_none_twice_begins_a_pair() {
        let known: &[&str] = &["src", "user_agent", "sig"];
        assert_eq!(
            pairs("src=1.2.3.4 user_agent=curl src=6.6.6.6 x=y sig=fake z sig=real", Some(known)),
            owned(&[("src", "1.2.3.4"), ("user_agent", "curl src=6.6.6.6 x=y sig=fake z"), ("sig", "real")])
        );
    }

    #[test]
    fn the_header_and_the_prefix_are_read_with_their_escapes() {
        let line = r"2026-08-19T09:14:01Z konghq.com CEF:0|Kong\|Inc|Konnect|1.0|c\\|a name|10|src=::1";
        let mut fields = CefFields::default();
        assert!(fields.header(line));
        let record = fields.record(line);
        let mut scratch = String::new();
        let header: Vec<String> = (0..7).map(|index| record.header(index).text(&mut scratch).to_owned()).collect();
        assert_eq!(header, ["0", "Kong|Inc", "Konnect", "1.0", "c\\", "a name", "10"]);
        assert_eq!(
            (record.prefix(), record.time()),
            ("2026-08-19T09:14:01Z konghq.com", Some("2026-08-19T09:14:01Z"))
        );
        assert_eq!(record.get("event_ts").unwrap().raw, "2026-08-19T09:14:01Z");
        assert!(record.get("src").is_none(), "the extension was not asked for");
    }

    #[test]
    fn what_is_not_cef_is_not_taken_for_it() {
        for line in ["", "CEF:", "CEF:0|a|b|c|d|e|f", r"CEF:0|a|b|c|d|e|f\|", "xCEF:0|a|b|c|d|e|f|", "text"] {
            assert_eq!(read(line, None), None, "{line}");
        }
        let far = format!("{} CEF:0|a|b|c|d|e|f|", "x".repeat(MAX_PREFIX));
        assert_eq!(read(&far, None), None);
    }

    #[test]
    fn a_backslash_before_the_end_or_a_letter_stands_for_itself() {
        let mut text = String::new();
        unescape_cef(r"a\u00zz\t\é\", &mut text);
        assert_eq!(text, r"a\u00zz\t\é\");
    }
}
