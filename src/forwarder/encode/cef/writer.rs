//! One CEF line, written from left to right.
//!
//! What always holds, whatever the values are: the line is valid UTF-8 without any character that a reader
//! splits lines at, the header has its seven pipes, and a value ends where the next ` key=` of ours begins.
//!
//! - Header: `\` and `|` are escaped, a line break becomes one space, a field is cut at its greatest length.
//! - Extension: `\` and `=` are escaped, each kind of line break becomes `\n` (readers disagree on `\r`).
//! - Other control characters have no escape in CEF and become visible text such as `\u001b`.
//! - Values are trimmed, for readers disagree on spaces at the ends; an empty one is left out with its key.
//! - Lengths count characters as a reader gets them back; what is cut is cut between two of them and ends in `...`.

use std::io::Write;

use crate::scan::{below, equal, find, from};

const VENDOR_MAX: usize = 63;
const PRODUCT_MAX: usize = 63;
const VERSION_MAX: usize = 31;
const CLASS_ID_MAX: usize = 1023;
const NAME_MAX: usize = 512;

/// What a value ends in that was cut.
const CUT: &str = "...";

/// The six fields behind `CEF:0`. None of the texts may be blank.
#[derive(Clone, Copy, Debug)]
pub struct CefHeader<'a> {
    pub vendor: &'a str,
    pub product: &'a str,
    pub version: &'a str,
    pub class_id: &'a str,
    pub name: &'a str,
    /// 0 to 10.
    pub severity: u8,
}

impl CefHeader<'_> {
    /// Of the fields that an event gives, their names in the dictionary and whether they are too long.
    pub fn cut(&self) -> [(&'static str, bool); 2] {
        [("deviceEventClassId", is_longer(self.class_id, CLASS_ID_MAX)), ("name", is_longer(self.name, NAME_MAX))]
    }

    pub fn keeps_vendor(text: &str) -> bool {
        keeps(text, VENDOR_MAX)
    }

    pub fn keeps_product(text: &str) -> bool {
        keeps(text, PRODUCT_MAX)
    }

    pub fn keeps_version(text: &str) -> bool {
        keeps(text, VERSION_MAX)
    }

    /// Whether a reader gets the class id back as it is, but for spaces at its ends.
    pub fn keeps_class_id(text: &str) -> bool {
        keeps(text, CLASS_ID_MAX)
    }

    /// Whether a reader gets the name back as it is, but for spaces at its ends.
    pub fn keeps_name(text: &str) -> bool {
        keeps(text, NAME_MAX)
    }
}

fn is_longer(text: &str, max: usize) -> bool {
    text.len() > max && text.trim().chars().count() > max
}

fn keeps(text: &str, max: usize) -> bool {
    let text = text.trim();
    let plain = plain_header(text) == text.len() || !text.contains(is_control);
    plain && (text.len() <= max || text.chars().count() <= max)
}

/// Appends key–value pairs behind a header. The caller gives each key once, and of the form
/// `[A-Za-z][A-Za-z0-9_]*`, which every reader takes.
#[derive(Debug)]
pub struct CefWriter<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> CefWriter<'o> {
    /// Appends `CEF:0|…|`, all seven pipes of it.
    /// `leading_space` puts a space behind the seventh pipe: liblognorm takes the first key's first letter for one.
    pub fn begin(out: &'o mut Vec<u8>, header: &CefHeader<'_>, leading_space: bool) -> CefWriter<'o> {
        out.extend_from_slice(b"CEF:0|");
        for (text, max) in [
            (header.vendor, VENDOR_MAX),
            (header.product, PRODUCT_MAX),
            (header.version, VERSION_MAX),
            (header.class_id, CLASS_ID_MAX),
            (header.name, NAME_MAX),
        ] {
            header_field(out, text.trim(), max);
            out.push(b'|');
        }
        write!(out, "{}|", header.severity.min(10)).expect("a Vec takes every write");
        CefWriter { out, first: !leading_space }
    }

    /// Appends ` key=value`, or nothing where the value is blank.
    pub fn pair(&mut self, key: &str, value: &str) {
        let value = value.trim();
        if !value.is_empty() {
            self.key(key);
            extension_value(self.out, value);
        }
    }

    /// As [`pair`](CefWriter::pair), but only where the value has at most `max` characters once it is read back.
    /// True where it was written.
    pub fn pair_within(&mut self, key: &str, value: &str, max: usize) -> bool {
        let value = value.trim();
        let fits = !value.is_empty() && (value.len() * VISIBLE <= max || read_back(value) <= max);
        if fits {
            self.pair(key, value);
        }
        fits
    }

    /// Appends ` key=` and as much of the value as `max` characters hold, the mark of the cut among them.
    pub fn pair_cut(&mut self, key: &str, value: &str, max: usize) {
        let value = value.trim();
        self.key(key);
        extension_value(self.out, head(value, max - CUT.len()).trim_end());
        self.out.extend_from_slice(CUT.as_bytes());
    }

    pub fn integer(&mut self, key: &str, value: impl Into<i128>) {
        self.key(key);
        write!(self.out, "{}", value.into()).expect("a Vec takes every write");
    }

    /// The bytes written so far, and whatever was in the body before.
    pub(super) fn written(&self) -> &[u8] {
        self.out
    }

    fn key(&mut self, key: &str) {
        if !self.first {
            self.out.push(b' ');
        }
        self.first = false;
        self.out.extend_from_slice(key.as_bytes());
        self.out.push(b'=');
    }
}

/// The characters that [`visible`] writes for one.
const VISIBLE: usize = 6;

/// Characters that may not stand in a line: some reader would split it there, or lose them.
fn is_control(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

fn visible(out: &mut Vec<u8>, escaped_backslash: &str, character: char) {
    write!(out, "{escaped_backslash}u{:04x}", u32::from(character)).expect("a Vec takes every write");
}

fn push(out: &mut Vec<u8>, character: char) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// How many bytes of a header field, from its beginning, are written as they are.
fn plain_header(text: &str) -> usize {
    find(text.as_bytes(), 0, |word| equal(word, b'|') | special(word))
}

/// Marks what is not plain in the header and in the extension alike.
#[inline(always)]
fn special(word: u64) -> u64 {
    equal(word, b'\\') | below(word, 0x20) | from(word, 0x7f)
}

fn header_field(out: &mut Vec<u8>, text: &str, max: usize) {
    if text.len() <= max && plain_header(text) == text.len() {
        return out.extend_from_slice(text.as_bytes());
    }
    let start = out.len();
    let mut room = max;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let length = match character {
            '\t' | '\r' | '\n' => 1,
            other if is_control(other) => VISIBLE,
            _ => 1,
        };
        if length > room {
            break;
        }
        room -= length;
        match character {
            '\r' if characters.peek() == Some(&'\n') => room += 1,
            '\t' | '\r' | '\n' => out.push(b' '),
            '\\' | '|' => out.extend_from_slice(&[b'\\', character as u8]),
            other if is_control(other) => visible(out, r"\\", other),
            other => push(out, other),
        }
    }
    // A cut may leave spaces at the end.
    while out.len() > start && out.last() == Some(&b' ') {
        out.pop();
    }
}

fn extension_value(out: &mut Vec<u8>, value: &str) {
    let mut rest = value;
    loop {
        let plain = find(rest.as_bytes(), 0, |word| equal(word, b'=') | special(word));
        out.extend_from_slice(&rest.as_bytes()[..plain]);
        let mut characters = rest[plain..].chars();
        let Some(character) = characters.next() else {
            return;
        };
        rest = characters.as_str();
        match character {
            '\\' => out.extend_from_slice(br"\\"),
            '=' => out.extend_from_slice(br"\="),
            '\r' if rest.starts_with('\n') => {}
            '\r' | '\n' => out.extend_from_slice(br"\n"),
            // No reader splits at it, and a space would be another value.
            '\t' => out.push(b'\t'),
            other if is_control(other) => visible(out, r"\\", other),
            other => push(out, other),
        }
    }
}

/// How many characters a reader gets for `value`.
fn read_back(value: &str) -> usize {
    value.chars().map(length).sum::<usize>() - value.matches("\r\n").count()
}

/// The beginning of `value` of which a reader gets `max` characters at most.
fn head(value: &str, max: usize) -> &str {
    let mut room = max;
    for (at, character) in value.char_indices() {
        let length = length(character);
        if length > room {
            return &value[..at];
        }
        room -= length;
    }
    value
}

fn length(character: char) -> usize {
    match character {
        '\t' | '\n' | '\r' => 1,
        other if is_control(other) => VISIBLE,
        _ => 1,
    }
}
