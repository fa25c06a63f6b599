//! A pattern without slashes of its own, and what it matches.
//!
//! A text is read in units from its beginning: a character where there is one in UTF-8, else a byte. Each token but
//! the two runs takes one unit. Only the last run is ever tried again with more: whatever an earlier one could take in
//! addition, the last one reaches as well. So a match costs no more than the product of both lengths.

use std::ops::RangeInclusive;

use super::GlobFault;

/// A pattern for one name, or for a whole path without regard to its parts.
#[derive(Clone, Debug)]
pub struct TextPattern {
    tokens: Vec<GlobToken>,
    /// What the characters at its end are: most names differ from `*.log` here.
    suffix: String,
    /// Where they begin among the tokens.
    suffix_from: usize,
}

#[derive(Clone, Debug)]
enum GlobToken {
    Char(char),
    AnyChar,
    /// `except` turns it round.
    Set {
        except: bool,
        ranges: Vec<RangeInclusive<char>>,
    },
    /// `*`, and `**` at the end of a whole path.
    AnyRun,
    /// `**/` in a whole path, behind a slash or at the beginning: nothing, or anything up to a slash.
    AnyFolders,
}

impl TextPattern {
    /// Its wildcards cross slashes, where the text has any.
    pub fn new(glob: &str) -> Result<Self, GlobFault> {
        let mut tokens = Vec::new();
        let mut rest = glob;
        while let Some(letter) = rest.chars().next() {
            let (token, len) = match letter {
                '?' => (GlobToken::AnyChar, 1),
                '*' => stars(rest, tokens.last())?,
                '[' => set(rest)?,
                letter => (GlobToken::Char(letter), letter.len_utf8()),
            };
            tokens.push(token);
            rest = &rest[len..];
        }
        let as_char = |token: &GlobToken| match token {
            GlobToken::Char(letter) => Some(*letter),
            _ => None,
        };
        let suffix_from = tokens.iter().rposition(|token| as_char(token).is_none()).map_or(0, |at| at + 1);
        let suffix = tokens[suffix_from..].iter().filter_map(as_char).collect();
        Ok(Self { tokens, suffix, suffix_from })
    }

    pub fn matches(&self, text: &[u8]) -> bool {
        if !text.ends_with(self.suffix.as_bytes()) {
            return false;
        }
        let (mut next, mut at) = (0, 0);
        // The last run, and where it ends for now.
        let mut run: Option<(usize, usize)> = None;
        loop {
            match self.tokens.get(next) {
                // All that it does not take is the suffix, which was looked at.
                Some(GlobToken::AnyRun) if next + 1 == self.suffix_from => {
                    return text.len() - at >= self.suffix.len();
                }
                Some(GlobToken::AnyRun | GlobToken::AnyFolders) => {
                    run = Some((next, at));
                    next += 1;
                    continue;
                }
                Some(token) => {
                    if let Some((unit, len)) = first_unit(&text[at..])
                        && token.takes(unit)
                    {
                        at += len;
                        next += 1;
                        continue;
                    }
                }
                None if at == text.len() => return true,
                None => {}
            }
            let Some((token, end)) = run else { return false };
            let Some(more) = self.tokens[token].more(&text[end..]) else { return false };
            (next, at) = (token + 1, end + more);
            run = Some((token, at));
        }
    }

    /// Whether it says itself that a name begins with a dot, so that it means hidden ones.
    pub fn begins_with_a_dot(&self) -> bool {
        matches!(self.tokens.first(), Some(GlobToken::Char('.')))
    }

    /// Whether whatever begins as a match does is a match.
    pub fn is_open_ended(&self) -> bool {
        matches!(self.tokens.last(), Some(GlobToken::AnyRun))
    }
}

impl GlobToken {
    /// Whether it takes this unit; `None` is a byte that is no UTF-8.
    fn takes(&self, unit: Option<char>) -> bool {
        match self {
            Self::Char(letter) => unit == Some(*letter),
            Self::AnyChar => true,
            Self::Set { except, ranges } => {
                unit.is_some_and(|letter| ranges.iter().any(|range| range.contains(&letter))) != *except
            }
            Self::AnyRun | Self::AnyFolders => false,
        }
    }

    /// How much more a run may take of what stands behind it.
    fn more(&self, behind: &[u8]) -> Option<usize> {
        match self {
            Self::AnyFolders => behind.iter().position(|byte| *byte == b'/').map(|at| at + 1),
            _ => first_unit(behind).map(|(_, len)| len),
        }
    }
}

/// The token of the stars that a text begins with, and its length; `before` is what stands before them.
fn stars(text: &str, before: Option<&GlobToken>) -> Result<(GlobToken, usize), GlobFault> {
    let count = text.len() - text.trim_start_matches('*').len();
    let begins_part = matches!(before, None | Some(GlobToken::Char('/') | GlobToken::AnyFolders));
    match (count, text.as_bytes().get(count)) {
        (1, _) => Ok((GlobToken::AnyRun, 1)),
        (2, None) if begins_part => Ok((GlobToken::AnyRun, 2)),
        (2, Some(b'/')) if begins_part => Ok((GlobToken::AnyFolders, 3)),
        (2, _) => Err(GlobFault::StarsInName),
        _ => Err(GlobFault::ThreeStars),
    }
}

/// The set that a text begins with, and its length.
fn set(text: &str) -> Result<(GlobToken, usize), GlobFault> {
    let inner = &text[1..];
    let (except, inner) = inner.strip_prefix(['!', '^']).map_or((false, inner), |inner| (true, inner));
    // What comes first is a member, whatever it is.
    let first = inner.chars().next().map_or(0, char::len_utf8);
    let end = first + inner[first..].find(']').ok_or(GlobFault::OpenSet)?;
    let members = &inner[..end];
    if members.ends_with(':') && members.contains("[:") {
        return Err(GlobFault::CharacterClass);
    }
    let members: Vec<char> = members.chars().collect();
    let mut ranges = Vec::new();
    let mut rest = members.as_slice();
    while let [from, behind @ ..] = rest {
        let (to, behind) = match behind {
            ['-', to, behind @ ..] => (to, behind),
            _ => (from, behind),
        };
        if from > to {
            return Err(GlobFault::BackwardRange);
        }
        ranges.push(*from..=*to);
        rest = behind;
    }
    let len = text.len() - inner.len() + end + 1;
    Ok((GlobToken::Set { except, ranges }, len))
}

/// The character that a text begins with, or `None` for a byte that is no UTF-8, and its length.
fn first_unit(text: &[u8]) -> Option<(Option<char>, usize)> {
    let first = *text.first()?;
    let width = match first {
        0..=0x7f => return Some((Some(char::from(first)), 1)),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Some((None, 1)),
    };
    let letter = text.get(..width).and_then(|bytes| str::from_utf8(bytes).ok()?.chars().next());
    Some(letter.map_or((None, 1), |letter| (Some(letter), width)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    fn name(glob: &str, text: impl AsRef<[u8]>) -> bool {
        TextPattern::new(glob).unwrap().matches(text.as_ref())
    }

    fn path(glob: &str, text: &str) -> bool {
        TextPattern::new(glob).unwrap().matches(text.as_bytes())
    }

    #[test]
    fn a_question_mark_is_a_character_or_a_byte_that_is_none() {
        assert!(name("?", "é") && name("?", "😀") && name("a?c", b"a\xffc"));
        assert!(!name("??", "é") && name("??", b"\xc3\xc3") && name("??", "e\u{301}"));
        assert!(!name("?", "") && !name("?", b"\xe2\x82"), "half a character is two bytes");
        assert!(name("*.log", b"\xff\xfe.log") && !name("*.log", b"\xff.txt") && name("*", "a\nb\x1b"));
        assert!(name("ü*", "über") && !name("ü*", b"\xc3"));
    }

    #[test]
    fn a_set_has_characters_and_what_is_none_is_outside_every_set() {
        assert!(name("[é]", "é") && name("[à-ü]", "é") && !name("[à-ü]", "z"));
        for not in ["[!é]", "[^é]"] {
            assert!(!name(not, "é") && name(not, "e") && name(not, b"\xc3"), "{not}");
        }
        assert!(!name("*[!é]", "é"), "a run ends between characters");
        assert!(name("[]a]", "]") && name("[!]a]", "b") && !name("[!]a]", "]"));
        assert!(name("[a-]", "-") && name("[-a]", "-") && name("[a!^]", "^") && name("[[]1]", "[1]"));
        assert!(!name("[a]", b"\xe1"));
    }

    #[test]
    fn everything_else_means_itself() {
        for text in ["\\*", "]", "{x}", "~", "$a", "(?i)", "<a:1>", ",", "#"] {
            let like = text.replace('*', "x");
            assert!(name(text, &like) && !name(text, "other"), "{text}");
        }
    }

    #[test]
    fn for_a_whole_path_every_wildcard_crosses_slashes() {
        assert!(path("/a/*", "/a/b/c") && path("/a/?b", "/a//b") && path("/a[/]b", "/a/b") && path("/a/*", "/a/.b"));
        assert!(path("/a/**/c", "/a/c") && path("/a/**/c", "/a/b/b/c") && !path("/a/**/c", "/a/bc"));
        assert!(path("/a/**", "/a/b/c") && !path("/a/**", "/a") && path("**/c", "c") && path("**/**/c", "/b/c"));
        assert!(path("/*/**/x", "/a/b/c/x") && !path("/**/b/*.log", "/a/b.log"));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (glob, fault) in [
            ("[", GlobFault::OpenSet),
            ("[]", GlobFault::OpenSet),
            ("[!]", GlobFault::OpenSet),
            ("a[b", GlobFault::OpenSet),
            ("[z-a]", GlobFault::BackwardRange),
            ("[[:digit:]]", GlobFault::CharacterClass),
            ("***", GlobFault::ThreeStars),
            ("a**", GlobFault::StarsInName),
            ("**a", GlobFault::StarsInName),
        ] {
            assert_eq!(TextPattern::new(glob).unwrap_err(), fault, "{glob}");
        }
        assert!(TextPattern::new("*a*b*").is_ok());
    }

    #[test]
    fn no_pattern_takes_long() {
        let begun = Instant::now();
        let stars = "*a".repeat(2000) + "b";
        assert!(!TextPattern::new(&stars).unwrap().matches(&[b'a'; 4000]));
        let folders = "**/a/".repeat(800) + "b";
        assert!(!TextPattern::new(&folders).unwrap().matches("a/".repeat(2000).as_bytes()));
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }

    /// Reads the glob as it goes and tries everything, so it takes for ever with long ones.
    fn naive(glob: &str, text: &str) -> bool {
        let behind = |taken: usize| text.get(taken..).unwrap_or_default();
        if let Some(rest) = glob.strip_prefix("**/") {
            let ends = (1..=text.len()).filter(|end| text[..*end].ends_with('/'));
            return [0].into_iter().chain(ends).any(|taken| naive(rest, behind(taken)));
        }
        if let Some(rest) = glob.strip_prefix('*') {
            return (0..=text.len()).any(|taken| naive(rest, behind(taken)));
        }
        let Some(letter) = text.chars().next() else { return glob.is_empty() };
        let (takes, len) = match glob.chars().next() {
            None => return false,
            Some('?') => (true, 1),
            Some('[') => {
                let end = glob.find(']').unwrap();
                let (except, members) = match &glob[1..end] {
                    "!a" => (true, "a"),
                    "^/b" => (true, "/b"),
                    "a-b" => (false, "ab"),
                    other => (false, other),
                };
                (members.contains(letter) != except, end + 1)
            }
            Some(plain) => (plain == letter, 1),
        };
        takes && naive(&glob[len..], behind(1))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn it_matches_what_trying_everything_matches(
            glob in r"(/|\*|\?|a|b|\.|\[a-b\]|\[a.\]|\[!a\]|\[\^/b\]|\*\*/){0,8}",
            text in "[ab./]{0,10}",
        ) {
            if let Ok(pattern) = TextPattern::new(&glob) {
                prop_assert_eq!(pattern.matches(text.as_bytes()), naive(&glob, &text), "{} {}", glob, text);
            }
        }

        #[test]
        fn any_bytes_match_a_star_and_themselves(bytes in proptest::collection::vec(any::<u8>(), 0..40), text in ".{0,20}") {
            prop_assert!(TextPattern::new("*").unwrap().matches(&bytes));
            if let Ok(pattern) = TextPattern::new(&text.replace(['*', '?', '['], "_")) {
                prop_assert!(pattern.matches(text.replace(['*', '?', '['], "_").as_bytes()));
            }
        }
    }
}
