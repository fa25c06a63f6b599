//! Globs over the bytes of names: how `include` and `exclude` are read.
//!
//! | written | means |
//! |---|---|
//! | `*` | any characters of a name, none among them |
//! | `?` | one character, or one byte that is no UTF-8 |
//! | `[a-z]`, `[!a]`, `[^a]` | one character of these, or none of these; `]` comes first, `-` first or last to mean itself |
//! | `**` | as a whole part of a path: any number of directories; at the end also what is in them |
//! | `{a,b}` | one of these, as in bash: nested, with `/` in them, and before all else |
//!
//! Everything else means itself: a backslash, a brace without a comma or without its partner, and `~`.
//!
//! A name is bytes. Nothing here takes one for text, so no name is passed over because it is no UTF-8. Matching takes at
//! most the product of both lengths, whatever the pattern.
//!
//! The crates that are kept do not read names so. globset 0.4.22 matches a byte where a character is meant (`?` and `[é]`
//! do not match `é`, `??` does) and refuses a lone brace. wax 0.7.0 takes `^` for a member of the set, gives `:`, `<`
//! and `\` a meaning, refuses `//`, `[]a]` and `{a,}`, and turns bytes that are no UTF-8 into U+FFFD, so that two names
//! become one. Neither knows of leading dots.

mod braces;
mod path_glob;
mod text_pattern;

pub use self::{
    braces::expand,
    path_glob::{PathBranch, PathGlob, PathPart},
    text_pattern::TextPattern,
};

/// The longest glob: no path is longer.
const LONGEST: usize = 4096;

/// How many paths the braces of one glob may stand for: each is looked at in every scan.
const MOST_BRANCHES: usize = 1000;

/// What is probably not meant as it is read, in words.
pub fn doubt(glob: &str) -> Option<&'static str> {
    let stays = |letters: &[char]| expand(glob).is_ok_and(|globs| globs.iter().any(|glob| glob.contains(letters)));
    if stays(&['{', '}']) {
        return Some("a brace means itself, unless there is a comma as in `{a,b}`; for `{1..9}` write `[1-9]`");
    }
    stays(&['\\']).then_some("a backslash means itself; for a character that is no wildcard write `[*]`")
}

/// Why a text is no glob. It quotes nothing of the text, which may come from a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobFault {
    #[error("a `[` has no `]` behind it; `[[]` stands for the character itself")]
    OpenSet,
    #[error("a range such as `z-a` runs backwards, so no character is in it")]
    BackwardRange,
    #[error("classes such as `[:digit:]` are not known; write ranges, such as `[0-9]`")]
    CharacterClass,
    #[error("`***` is neither `*`, any characters of a name, nor `**`, any number of directories")]
    ThreeStars,
    #[error("`**` must stand alone between slashes, as in `/var/log/**/*.log`; within a name write `*`")]
    StarsInName,
    #[error(
        "it ends in `/`, which names directories, and only files are followed; `*` behind it means the files there"
    )]
    Directory,
    #[error("its braces stand for more than {MOST_BRANCHES} paths")]
    TooManyBranches,
    #[error("it is longer than any path can be ({LONGEST} bytes)")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_and_backslashes_that_mean_themselves_get_a_word() {
        for (glob, word) in [
            ("/a/{1..9}.log", Some("[1-9]")),
            ("/a/{x}.log", Some("[1-9]")),
            ("/a/{x,y.log", Some("[1-9]")),
            (r"/a/\*.log", Some("[*]")),
            ("/a/{x,y}/[^a-c]*.log", None),
            ("/a/~/x", None),
        ] {
            let doubt = doubt(glob);
            assert_eq!(doubt.is_some(), word.is_some(), "{glob}: {doubt:?}");
            assert!(word.is_none_or(|word| doubt.is_some_and(|doubt| doubt.contains(word))), "{glob}: {doubt:?}");
        }
    }
}
