//! What a peer wrote, made fit for our diagnostics: short, on one line, without control characters, without our own
//! secrets that it may have echoed.

use std::fmt::Write as _;

use memchr::memmem;

/// At most so many bytes of a response are quoted.
pub(super) const QUOTED: usize = 512;

/// A shorter common beginning of what was read and of a secret gives nothing away.
const TELLING: usize = 4;

/// The beginning of `raw` as one line of at most [`QUOTED`] bytes, each of `secrets` replaced.
pub(super) fn excerpt<'a>(raw: &[u8], secrets: impl Iterator<Item = &'a str>) -> String {
    let mut raw = std::borrow::Cow::Borrowed(raw);
    for secret in secrets.map(str::as_bytes).filter(|secret| !secret.is_empty()) {
        if let Some(clean) = without(&raw, secret) {
            raw = clean.into();
        }
    }
    // Each byte is at least a byte of the quotation, so that no more than these can be seen.
    let seen = &raw[..raw.len().min(2 * QUOTED)];
    escape(String::from_utf8_lossy(seen).trim(), QUOTED)
}

/// `text` on one line of at most `limit` bytes: what a terminal or a log could take for more than text is spelled out.
pub(super) fn escape(text: &str, limit: usize) -> String {
    const CUT: char = '…';
    let mut line = String::with_capacity(text.len().min(limit));
    for character in text.chars() {
        let before = line.len();
        match character {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push(' '),
            _ if deceives(character) => {
                write!(line, "\\u{{{:x}}}", u32::from(character)).expect("a String takes any text")
            }
            _ => line.push(character),
        }
        if line.len() + CUT.len_utf8() > limit {
            line.truncate(before);
            line.push(CUT);
            break;
        }
    }
    line
}

/// Control characters, line and paragraph separators, and what changes the direction or hides text.
fn deceives(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..)
}

fn without(raw: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    const REDACTED: &[u8] = b"[redacted]";
    let mut clean = Vec::new();
    let mut rest = 0;
    for at in memmem::find_iter(raw, secret) {
        clean.extend_from_slice(&raw[rest..at]);
        clean.extend_from_slice(REDACTED);
        rest = at + secret.len();
    }
    // Reading may have stopped in the middle of it.
    let tail = &raw[rest..];
    let begun = (TELLING..secret.len()).rev().find(|&length| tail.ends_with(&secret[..length]));
    if rest == 0 && begun.is_none() {
        return None;
    }
    clean.extend_from_slice(&tail[..tail.len() - begun.unwrap_or(0)]);
    if begun.is_some() {
        clean.extend_from_slice(REDACTED);
    }
    Some(clean)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(raw: &[u8]) -> String {
        excerpt(raw, std::iter::empty())
    }

    #[test]
    fn control_characters_and_escape_sequences_are_spelled_out() {
        assert_eq!(plain(b"\x1b[31mred\x07\nnext\r\0"), "\\u{1b}[31mred\\u{7}\\nnext\\r\\u{0}");
        assert_eq!(plain("a\u{202e}b\u{2028}c\u{85}d".as_bytes()), "a\\u{202e}b\\u{2028}c\\u{85}d");
        assert_eq!(plain(b"  caf\xc3\xa9 \xff\t! \n"), "café \u{fffd} !");
    }

    #[test]
    fn a_secret_that_the_receiver_echoes_is_taken_out() {
        let secrets = ["tok-123456", "other"];
        let clean = |raw: &[u8]| excerpt(raw, secrets.into_iter());
        assert_eq!(
            clean(b"bad token tok-123456 (tok-123456), other"),
            "bad token [redacted] ([redacted]), [redacted]"
        );
        assert_eq!(clean(b"bad token tok-123"), "bad token [redacted]", "cut off while it was read");
        assert_eq!(clean(b"bad token tok"), "bad token tok", "too little to tell");
        assert_eq!(excerpt(b"text", [""].into_iter()), "text");
    }

    #[test]
    fn a_secret_across_the_end_of_the_quotation_leaves_no_part_of_itself() {
        let raw = format!("{}tok-123456 and more", "x".repeat(QUOTED - 8));
        let clean = excerpt(raw.as_bytes(), ["tok-123456"].into_iter());
        assert!(!clean.contains("tok-"), "{clean}");
    }

    proptest! {
        #[test]
        fn any_bytes_become_one_short_line(raw: Vec<u8>, times in 1usize..40) {
            let line = plain(&raw.repeat(times));
            prop_assert!(line.len() <= QUOTED);
            prop_assert!(!line.chars().any(deceives), "{line:?}");
        }
    }
}
