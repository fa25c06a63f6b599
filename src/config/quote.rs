//! A source line as a problem quotes it, with its secrets masked.
//!
//! What is shown is what is known to be safe: the scalars that a caller opened, and YAML's own signs between
//! scalars. Everything else (unknown keys' values, comments, half a file that cannot be parsed) becomes `***`.

use std::ops::Range;

use super::tree::YamlPosition;

/// Characters shown of a line, around the column.
const WIDTH: usize = 100;
const MASK: &str = "***";

/// A line to print, and how many characters stand before the caret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quote {
    pub(super) line: String,
    pub(super) caret: usize,
}

/// What is known of the bytes of a file.
pub(super) struct Visible<'a> {
    pub(super) text: &'a str,
    /// Scalars, in the file's order.
    pub(super) scalars: &'a [Range<usize>],
    /// Bytes that may be shown.
    pub(super) open: &'a [Range<usize>],
}

impl Visible<'_> {
    /// The line that `place` names; `None` where the file has no such line.
    pub(super) fn quote(&self, place: YamlPosition) -> Option<Quote> {
        let (start, line) = nth_line(self.text, place.line)?;
        let (cut, line, column) = around(line, place.column);
        let start = start + cut;
        let end = start + line.len();
        let overlaps = |range: &&Range<usize>| range.start < end && range.end > start;
        let scalars: Vec<_> = self.scalars.iter().filter(overlaps).collect();
        let open: Vec<_> = self.open.iter().filter(overlaps).collect();
        let mut before = ' ';
        let shown = line.char_indices().map_while(|(offset, c)| {
            let at = start + offset;
            let in_scalar = scalars.iter().any(|range| range.contains(&at));
            let comment = c == '#' && before.is_whitespace() && !in_scalar;
            before = c;
            let shown = if in_scalar { open.iter().any(|range| range.contains(&at)) } else { is_structure(c) };
            (!comment).then_some(shown)
        });
        Some(masked(line, shown, column))
    }
}

/// The line of a file that cannot be parsed: `key: value` is shown where `safe` knows the key to hold nothing secret
/// and the value is too simple to hold another key; else the key only.
pub(super) fn quote_unparsed(text: &str, place: YamlPosition, safe: &dyn Fn(&str) -> bool) -> Option<Quote> {
    let (_, line) = nth_line(text, place.line)?;
    let body = line.trim_start_matches([' ', '\t', '-']);
    let indent = line.len() - body.len();
    let shown_bytes = match body.split_once(':') {
        Some((key, value)) if !key.is_empty() && key.chars().all(|c| c.is_ascii_alphabetic()) => {
            let simple = |c: char| c.is_ascii_alphanumeric() || " _./*,[]-\"'".contains(c);
            let whole = safe(key) && value.chars().all(simple);
            if whole { line.len() } else { indent + key.len() + 1 }
        }
        _ => indent,
    };
    let gap = usize::from(line[shown_bytes..].starts_with(' '));
    let (cut, line, column) = around(line, place.column);
    let shown = line.char_indices().map(|(offset, _)| cut + offset < shown_bytes + gap);
    Some(masked(line, shown, column))
}

/// The part of a line that is looked at: where it starts, the part, and the column in it. A line may be as long as
/// the file.
fn around(line: &str, column: usize) -> (usize, &str, usize) {
    let skip = column.saturating_sub(4 * WIDTH);
    let mut offsets = line.char_indices().map(|(offset, _)| offset);
    let from = if skip == 0 { 0 } else { offsets.nth(skip).unwrap_or(line.len()) };
    let to = line[from..].char_indices().nth(8 * WIDTH).map_or(line.len(), |(offset, _)| from + offset);
    (from, &line[from..to], column - skip)
}

/// The bytes at which a line starts, and the line without its end. Lines are counted from 1.
fn nth_line(text: &str, number: usize) -> Option<(usize, &str)> {
    let mut start = 0;
    for line in text.split_inclusive('\n').take(number.checked_sub(1)?) {
        start += line.len();
    }
    let line = text[start..].split('\n').next()?;
    Some((start, line.strip_suffix('\r').unwrap_or(line)))
}

/// YAML's own signs. Letters between scalars are anchors, tags or comments.
fn is_structure(c: char) -> bool {
    c == ' ' || "-:,[]{}?|>\"'\t".contains(c)
}

/// Puts a mask in the place of each run of hidden characters, and cuts a long line around the column.
fn masked(line: &str, shown: impl Iterator<Item = bool>, column: usize) -> Quote {
    let mut cells: Vec<char> = Vec::with_capacity(line.len().min(4 * WIDTH));
    let mut caret = None;
    let mut hidden = false;
    for (index, (c, shown)) in line.chars().zip(shown).enumerate() {
        if index + 1 == column {
            // A caret inside a mask stands at the mask's start.
            caret = Some(if hidden && !shown { cells.len() - MASK.len() } else { cells.len() });
        }
        if shown {
            cells.push(if c.is_control() { ' ' } else { c });
        } else if !hidden {
            cells.extend(MASK.chars());
        }
        hidden = !shown;
    }
    let caret = caret.unwrap_or(cells.len());
    let from = if cells.len() <= WIDTH { 0 } else { caret.saturating_sub(WIDTH / 2) };
    let to = cells.len().min(from + WIDTH);
    let mut line: String = cells[from..to].iter().collect();
    let mut caret = caret - from;
    if from > 0 {
        line.insert(0, '…');
        caret += 1;
    }
    if to < cells.len() {
        line.push('…');
    }
    line.truncate(line.trim_end().len());
    Quote { line, caret }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn at(line: usize, column: usize) -> YamlPosition {
        YamlPosition { line, column }
    }

    #[test]
    fn only_opened_scalars_and_signs_are_shown() {
        let text = "x: 1\n- {token: \"s3-cr:et\", uri: here} # was s3cret\n";
        let scalars = [8..13, 15..25, 27..30, 32..36];
        let visible = Visible { text, scalars: &scalars, open: &[8..13, 27..30, 32..36] };
        assert_eq!(
            visible.quote(at(2, 15)).unwrap(),
            Quote { line: "- {token: ***, uri: here}".to_owned(), caret: 10 },
            "a caret inside the secret stands at its mask"
        );
        let after = visible.quote(at(2, 23)).unwrap();
        assert_eq!(&after.line[after.caret..after.caret + 3], "uri", "columns after a mask are moved with it");
    }

    #[test]
    fn anchors_tags_and_comments_are_hidden() {
        let text = "token: &s3cret\n";
        let visible = Visible { text, scalars: &[0..5, 14..14], open: std::slice::from_ref(&(0..5)) };
        assert_eq!(visible.quote(at(1, 8)).unwrap(), Quote { line: "token: ***".to_owned(), caret: 7 });
    }

    #[test]
    fn a_long_line_is_cut_around_the_column() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let whole = 0..text.len();
        let visible = Visible { text: &text, scalars: &[], open: std::slice::from_ref(&whole) };
        assert_eq!(visible.quote(at(1, 501)).unwrap().line.chars().count(), 3, "no scalar: one mask");
        let visible =
            Visible { text: &text, scalars: std::slice::from_ref(&whole), open: std::slice::from_ref(&whole) };
        let quote = visible.quote(at(1, 501)).unwrap();
        assert_eq!(quote.line.chars().nth(quote.caret), Some('X'));
        assert_eq!(quote.line.chars().count(), WIDTH + 2);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let text = "a: \u{1b}[31mred";
        let visible = Visible { text, scalars: &[0..1, 3..11], open: &[0..1, 3..11] };
        assert_eq!(visible.quote(at(1, 1)).unwrap().line, "a:  [31mred");
    }

    #[test]
    fn of_a_file_that_cannot_be_parsed_only_simple_safe_lines_are_shown() {
        let safe = |key: &str| key == "kind" || key == "name";
        let quoted = |line: &str| quote_unparsed(line, at(1, 1), &safe).unwrap().line;
        assert_eq!(quoted("  - kind: file]"), "  - kind: file]");
        assert_eq!(quoted("    token: \"s3cret"), "    token: ***");
        assert_eq!(quoted("    name: x, token: s3cret}"), "    name: ***");
        assert_eq!(quoted("  s3cret half of a token"), "  ***");
        assert_eq!(quoted("- {token: s3cret"), "- ***");
        assert_eq!(quoted("  X-Api-Key: s3cret"), "  ***");
    }

    #[test]
    fn the_line_after_the_last_is_empty_and_one_beyond_is_none() {
        assert_eq!(nth_line("a\nb\n", 2), Some((2, "b")));
        assert_eq!(nth_line("a\nb\n", 3), Some((4, "")));
        assert_eq!(nth_line("a\r\nb", 1), Some((0, "a")));
    }
}
