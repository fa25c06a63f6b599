//! The members of an object inside a record that was checked to be JSON, one after the other.

use memchr::memchr2;

use crate::scan::{JsonKind, Value};

/// The members of an object. What is not the text of a valid object has none, or ends early.
pub(super) struct Entries<'a> {
    text: &'a str,
    at: usize,
}

/// One member.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemberEntry<'a> {
    pub name: Value<'a>,
    pub value: Value<'a>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(object: &'a str) -> Entries<'a> {
        let at = if object.as_bytes().first() == Some(&b'{') { 1 } else { object.len() };
        Entries { text: object, at }
    }

    /// The value at the end of `path`; of members with one name the last.
    pub(super) fn find<N: AsRef<str>>(object: &'a str, path: &[N]) -> Option<Value<'a>> {
        let (name, rest) = path.split_first()?;
        let mut scratch = String::new();
        let found = Entries::new(object).filter(|entry| entry.name.text(&mut scratch) == name.as_ref()).last()?.value;
        if rest.is_empty() { Some(found) } else { Entries::find(found.raw, rest) }
    }

    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(b'}')
    }

    /// Goes to the next byte that is neither white space nor `sign`.
    fn skip(&mut self, sign: u8) {
        while matches!(self.byte(), b' ' | b'\t' | b'\n' | b'\r') || self.byte() == sign {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Value<'a> {
        match self.byte() {
            b'"' => self.string(),
            b'{' => self.container(JsonKind::Object),
            b'[' => self.container(JsonKind::Array),
            first => {
                let rest = &self.text[self.at..];
                let end = rest.find([',', '}', ']', ' ', '\t', '\n', '\r']).unwrap_or(rest.len());
                self.at += end;
                let kind = match first {
                    b'n' => JsonKind::Null,
                    b't' | b'f' => JsonKind::Bool,
                    _ => JsonKind::Number,
                };
                Value { raw: &rest[..end], kind }
            }
        }
    }

    fn string(&mut self) -> Value<'a> {
        let start = self.at + 1;
        let mut escaped = false;
        self.at = start;
        while let Some(found) = memchr2(b'"', b'\\', &self.text.as_bytes()[self.at..]) {
            self.at += found;
            if self.byte() == b'"' {
                let raw = &self.text[start..self.at];
                self.at += 1;
                return Value { raw, kind: JsonKind::String { escaped } };
            }
            escaped = true;
            self.at = (self.at + 2).min(self.text.len());
        }
        self.at = self.text.len();
        Value { raw: "", kind: JsonKind::Null }
    }

    fn container(&mut self, kind: JsonKind) -> Value<'a> {
        let start = self.at;
        let mut depth = 0;
        while self.at < self.text.len() {
            match self.byte() {
                b'"' => {
                    self.string();
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                break;
            }
        }
        Value { raw: &self.text[start..self.at], kind }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = MemberEntry<'a>;

    fn next(&mut self) -> Option<MemberEntry<'a>> {
        self.skip(b',');
        if self.byte() != b'"' {
            return None;
        }
        let name = self.string();
        self.skip(b':');
        Some(MemberEntry { name, value: self.value() })
    }
}

#[cfg(test)]
fn said(value: Value<'_>) -> String {
    value.text(&mut String::new()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_what_serde_json_finds() {
        let text =
            r#"{ "a" : 1 ,"b\"}":"x\\\"]y", "c":{"d":[1,{"e":"}"}]}, "f":[ "]" ],"g":null,"h":true , "":-1.5e3 }"#;
        let tree: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).expect("valid");
        let found: Vec<MemberEntry<'_>> = Entries::new(text).collect();
        assert_eq!(found.len(), tree.len());
        for entry in found {
            let expected = &tree[&said(entry.name)];
            match expected.as_str() {
                Some(expected) => assert_eq!(said(entry.value), expected),
                None => {
                    assert_eq!(&serde_json::from_str::<serde_json::Value>(entry.value.raw).expect("valid"), expected)
                }
            }
        }
    }

    #[test]
    fn a_path_leads_to_the_last_of_its_name() {
        let path = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let text = r#"{"a":{"b":1},"a":{"b":{"c":2},"x":3}}"#;
        assert_eq!(Entries::find(text, &path(&["a", "b", "c"])).map(|value| value.raw), Some("2"));
        assert_eq!(Entries::find(text, &path(&["a", "x", "c"])).map(|value| value.raw), None);
        assert_eq!(Entries::find("[1]", &path(&["a"])).map(|value| value.raw), None);
    }

    #[test]
    fn what_is_no_object_ends() {
        for text in
            ["", "{", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":\"", "{\"a\\", "{\"a\":{", "[]", "{}", "1", "{,,"]
        {
            assert!(Entries::new(text).count() < 2, "{text}");
        }
    }
}
