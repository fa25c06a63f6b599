//! Text and names of others, made safe for a terminal.

use std::{os::unix::ffi::OsStrExt, path::Path};

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

/// A path as [`printable`] text; bytes that are no UTF-8 are spelt out.
pub(super) fn printable_path(path: &Path) -> String {
    let mut safe = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        safe.push_str(&printable(chunk.valid()));
        safe.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    safe
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_path_is_shown_whatever_its_bytes_are() {
        let path = Path::new(OsStr::from_bytes(b"/a/\xffb\x1b[31m\n\xc3.log"));
        assert_eq!(printable_path(path), r"/a/\xffb\u{1b}[31m\n\xc3.log");
        assert_eq!(printable_path(Path::new("/ä b")), "/ä b");
    }

    #[test]
    fn escape_sequences_line_ends_and_turned_writing_are_spelt_out() {
        assert_eq!(printable("a\x1b[31mb\nc\u{9b}"), r"a\u{1b}[31mb\nc\u{9b}");
        assert_eq!(printable("x\u{202e}y\u{200b}"), r"x\u{202e}y\u{200b}");
        assert_eq!(printable("grün 😀 \\ \""), "grün 😀 \\ \"");
    }
}
