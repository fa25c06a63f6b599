//! Text of others, made safe for a terminal.

/// The text with what could move the cursor, change colours or turn the writing's direction spelt out.
pub(super) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => safe.extend(c.escape_default()),
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
                safe.extend(c.escape_unicode());
            }
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_line_ends_and_turned_writing_are_spelt_out() {
        assert_eq!(printable("a\x1b[31mb\nc\u{9b}"), r"a\u{1b}[31mb\nc\u{9b}");
        assert_eq!(printable("x\u{202e}y\u{200b}"), r"x\u{202e}y\u{200b}");
        assert_eq!(printable("grün 😀 \\ \""), "grün 😀 \\ \"");
    }
}
