//! The one pass over a line: is it UTF-8 and valid JSON, and what stands where.
//!
//! The grammar is serde_json's (RFC 8259), exactly as `from_utf8` followed by `IgnoredAny` judges it; tests hold
//! the two against each other. Numbers may be of any size, `\u` escapes may be lone surrogates. One thing is
//! stricter: more than [`MAX_DEPTH`] levels are refused. Nothing here recurses or allocates, so no line can
//! overflow the stack or grow memory.
//!
//! What stands where is told to a [`Sink`] as it is met; [`Nothing`] asks for validity alone and costs nothing.

use super::swar::{below, equal, find};

/// The greatest number of objects and arrays in one another.
pub const MAX_DEPTH: usize = 128;

/// Why a line is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// `at` is the offset in the line, from 0, of the first byte that is wrong.
    #[error("not UTF-8 at byte {at}")]
    Utf8 { at: usize },
    #[error("not valid JSON at byte {at}: {what}")]
    Json { at: usize, what: &'static str },
    #[error("nested deeper than {MAX_DEPTH} levels at byte {at}")]
    TooDeep { at: usize },
    /// Said of an event that is to be sent as JSON, not by the scan.
    #[error(
        "a line of CEF would break a body of JSON: set format: cef on the forwarder, or schema: raw on the source to send lines as they are"
    )]
    Cef,
}

impl Invalid {
    /// The reason as one word, for dead letters and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Invalid::Utf8 { .. } => "invalid_utf8",
            Invalid::Json { .. } | Invalid::Cef => "invalid_json",
            Invalid::TooDeep { .. } => "too_deep",
        }
    }
}

/// What a JSON value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonKind {
    /// A string; `escaped` where it holds a backslash.
    String {
        escaped: bool,
    },
    /// A value of CEF that holds a backslash; the scan knows none.
    CefString,
    Number,
    Bool,
    Null,
    Object,
    Array,
}

/// Is told of names and values in the order of the line; all offsets are into `line`.
///
/// `depth` counts the containers around the thing told of: the whole document has 0, its members 1.
pub trait Sink {
    /// The name of the member that comes next, without its quotes.
    fn key(&mut self, line: &[u8], depth: usize, start: usize, end: usize, escaped: bool);
    /// A scalar; a string with its quotes.
    fn scalar(&mut self, depth: usize, start: usize, end: usize, kind: JsonKind);
    fn open(&mut self, depth: usize, start: usize, kind: JsonKind);
    fn close(&mut self, depth: usize, end: usize);
}

/// Wants to know nothing but whether the line is valid.
#[derive(Debug)]
pub struct Nothing;

impl Sink for Nothing {
    #[inline(always)]
    fn key(&mut self, _: &[u8], _: usize, _: usize, _: usize, _: bool) {}
    #[inline(always)]
    fn scalar(&mut self, _: usize, _: usize, _: usize, _: JsonKind) {}
    #[inline(always)]
    fn open(&mut self, _: usize, _: usize, _: JsonKind) {}
    #[inline(always)]
    fn close(&mut self, _: usize, _: usize) {}
}

/// Checks one line, without its line end, and tells `sink` what stands where.
///
/// Returns the line as text. After an error the sink holds whatever it was told up to there.
pub fn scan<'a>(line: &'a [u8], sink: &mut impl Sink) -> Result<&'a str, Invalid> {
    // Strings can then be crossed byte by byte: no byte of a longer character is a quote or a backslash.
    let text = std::str::from_utf8(line).map_err(|error| Invalid::Utf8 { at: error.valid_up_to() })?;
    let mut scanner = Scanner { bytes: line, at: 0, depth: 0, objects: 0 };
    scanner.document(sink)?;
    Ok(text)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    /// One bit for each open container, the innermost lowest: set for an object. Hence the limit of 128.
    objects: u128,
}

impl Scanner<'_> {
    fn document(&mut self, sink: &mut impl Sink) -> Result<(), Invalid> {
        loop {
            let opened = self.value(sink)?;
            if opened || self.next_value(sink)? {
                continue;
            }
            self.skip_space();
            return match self.peek() {
                None => Ok(()),
                Some(b'{') => {
                    self.fail("an object begins behind the end of the first value: each belongs on a line of its own")
                }
                Some(_) => self.fail("more after the end of the value"),
            };
        }
    }

    /// One scalar, or the beginning of a container; true where a value inside of it comes next.
    #[inline(always)]
    fn value(&mut self, sink: &mut impl Sink) -> Result<bool, Invalid> {
        self.skip_space();
        let start = self.at;
        let kind = match self.peek() {
            Some(b'"') => JsonKind::String { escaped: self.string()? },
            Some(b'{') => return self.open(sink, JsonKind::Object),
            Some(b'[') => return self.open(sink, JsonKind::Array),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal(b"true", JsonKind::Bool)?,
            Some(b'f') => self.literal(b"false", JsonKind::Bool)?,
            Some(b'n') => self.literal(b"null", JsonKind::Null)?,
            Some(_) => return self.fail("expected a value"),
            None => return self.fail("the line ends where a value is expected"),
        };
        sink.scalar(self.depth, start, self.at, kind);
        Ok(false)
    }

    #[inline(always)]
    fn open(&mut self, sink: &mut impl Sink, kind: JsonKind) -> Result<bool, Invalid> {
        if self.depth == MAX_DEPTH {
            return Err(Invalid::TooDeep { at: self.at });
        }
        sink.open(self.depth, self.at, kind);
        self.at += 1;
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(kind == JsonKind::Object);
        self.skip_space();
        match (kind, self.peek()) {
            (JsonKind::Object, Some(b'}')) | (JsonKind::Array, Some(b']')) => {
                self.close(sink);
                Ok(false)
            }
            (JsonKind::Object, _) => self.name(sink).map(|()| true),
            _ => Ok(true),
        }
    }

    #[inline(always)]
    fn close(&mut self, sink: &mut impl Sink) {
        self.at += 1;
        self.depth -= 1;
        self.objects >>= 1;
        sink.close(self.depth, self.at);
    }

    /// From behind a value: closes what ends here; true where another value comes next, false at the end of all.
    #[inline(always)]
    fn next_value(&mut self, sink: &mut impl Sink) -> Result<bool, Invalid> {
        while self.depth > 0 {
            self.skip_space();
            let in_object = self.objects & 1 == 1;
            match (self.peek(), in_object) {
                (Some(b','), false) => {
                    self.at += 1;
                    return Ok(true);
                }
                (Some(b','), true) => {
                    self.at += 1;
                    self.skip_space();
                    return self.name(sink).map(|()| true);
                }
                (Some(b'}'), true) | (Some(b']'), false) => self.close(sink),
                (None, _) => return self.fail("the line ends inside an object or array"),
                (Some(_), true) => return self.fail("expected `,` or `}`"),
                (Some(_), false) => return self.fail("expected `,` or `]`"),
            }
        }
        Ok(false)
    }

    /// A member's name and its colon.
    #[inline(always)]
    fn name(&mut self, sink: &mut impl Sink) -> Result<(), Invalid> {
        if self.peek() != Some(b'"') {
            return self.fail("expected a member's name in quotes");
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        sink.key(self.bytes, self.depth, start, self.at - 1, escaped);
        self.skip_space();
        if self.peek() != Some(b':') {
            return self.fail("expected `:` behind a member's name");
        }
        self.at += 1;
        Ok(())
    }

    /// A string, from its first quote to behind its last; true where it holds a backslash.
    #[inline(always)]
    fn string(&mut self) -> Result<bool, Invalid> {
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at = find(self.bytes, self.at, |word| equal(word, b'"') | equal(word, b'\\') | below(word, 0x20));
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.fail("a control character in a string"),
                None => return self.fail("the line ends inside a string"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Invalid> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return self.fail("expected four hexadecimal digits behind `\\u`");
                    }
                    self.at += 1;
                }
            }
            Some(_) => return self.fail("an escape that JSON does not have"),
            None => return self.fail("the line ends inside a string"),
        }
        Ok(())
    }

    #[inline(always)]
    fn number(&mut self) -> Result<JsonKind, Invalid> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return self.fail("a number that begins with a needless 0");
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(JsonKind::Number)
    }

    #[inline(always)]
    fn digits(&mut self) -> Result<(), Invalid> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { self.fail("expected a digit") } else { Ok(()) }
    }

    #[inline(always)]
    fn literal(&mut self, word: &[u8], kind: JsonKind) -> Result<JsonKind, Invalid> {
        if !self.bytes[self.at..].starts_with(word) {
            return self.fail("expected a value");
        }
        self.at += word.len();
        Ok(kind)
    }

    #[inline(always)]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[cold]
    fn fail<T>(&self, what: &'static str) -> Result<T, Invalid> {
        Err(Invalid::Json { at: self.at, what })
    }
}
