//! The text of a JSON string, unescaped only where it has escapes and only when it is asked for.

/// Appends what `raw`, the inside of a valid JSON string, says.
///
/// A lone surrogate, which the grammar allows and no text can hold, becomes U+FFFD.
pub fn unescape(raw: &str, into: &mut String) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        into.push_str(&rest[..at]);
        let (character, length) = escape(&rest[at..]);
        into.push(character);
        rest = &rest[at + length..];
    }
    into.push_str(rest);
}

/// The character that the escape at the beginning of `text` stands for, and the escape's length in bytes.
fn escape(text: &str) -> (char, usize) {
    match text.as_bytes()[1] {
        b'b' => ('\u{8}', 2),
        b'f' => ('\u{c}', 2),
        b'n' => ('\n', 2),
        b'r' => ('\r', 2),
        b't' => ('\t', 2),
        b'u' => {
            let first = unit(text);
            let second = text.get(6..).filter(|next| next.starts_with("\\u")).map(unit);
            match (first, second) {
                (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
                    let code = 0x1_0000 + ((first - 0xD800) << 10) + (low - 0xDC00);
                    (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
                }
                _ => (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
            }
        }
        other => (char::from(other), 2),
    }
}

/// The UTF-16 unit of the `\uXXXX` at the beginning of `text`.
fn unit(text: &str) -> u32 {
    text.as_bytes()[2..6].iter().fold(0, |unit, &digit| unit << 4 | char::from(digit).to_digit(16).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unescaped(raw: &str) -> String {
        let mut text = String::new();
        unescape(raw, &mut text);
        text
    }

    #[test]
    fn every_escape_gives_what_serde_json_gives() {
        for raw in [
            "plain",
            "",
            r#"\"\\\/\b\f\n\r\t"#,
            r"t\u0079pe",
            r"\u00E9\u00e9",
            r"\ud83d\ude00",
            r"\uD83D\uDE00x\u0000",
            r"é\u20AC€",
        ] {
            let theirs: String = serde_json::from_str(&format!("\"{raw}\"")).expect("valid");
            assert_eq!(unescaped(raw), theirs, "{raw}");
        }
    }

    #[test]
    fn a_lone_surrogate_is_replaced_and_takes_nothing_with_it() {
        assert_eq!(unescaped(r"\ud800"), "\u{fffd}");
        assert_eq!(unescaped(r"\udc00\ud800"), "\u{fffd}\u{fffd}");
        assert_eq!(unescaped(r"\ud800\u0041"), "\u{fffd}A");
        assert_eq!(unescaped(r"\ud800\n"), "\u{fffd}\n");
        assert_eq!(unescaped(r"\ud800\ud83d\ude00"), "\u{fffd}😀");
    }
}
