//! A glob for paths, part by part: what a walk goes along.

use std::{
    ffi::OsString,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{GlobFault, TextPattern, expand};

/// A glob for paths whose wildcards do not cross slashes.
#[derive(Clone, Debug)]
pub struct PathGlob(Vec<PathBranch>);

/// One of what its braces stand for.
#[derive(Clone, Debug)]
pub struct PathBranch {
    absolute: bool,
    parts: Vec<PathPart>,
    only_files: bool,
}

/// What stands between two slashes.
#[derive(Clone, Debug)]
pub enum PathPart {
    /// This name, or `..`.
    Plain(OsString),
    /// Names in a directory, but never `.` and `..`.
    Pattern(TextPattern),
    /// `**`: the directory, and those below it. Another part always follows, which is no `**`.
    AnyFolders,
}

impl PathGlob {
    pub fn new(glob: &str) -> Result<Self, GlobFault> {
        let branches = expand(glob)?;
        branches.iter().map(|branch| PathBranch::new(branch)).collect::<Result<_, _>>().map(Self)
    }

    pub fn branches(&self) -> &[PathBranch] {
        &self.0
    }

    /// Whether it means this path by its spelling; hidden names count as others do.
    pub fn matches(&self, path: &Path) -> bool {
        self.0.iter().any(|branch| branch.matches(path))
    }
}

impl PathBranch {
    fn new(glob: &str) -> Result<Self, GlobFault> {
        if glob.ends_with('/') && glob != "/" {
            return Err(GlobFault::Directory);
        }
        let mut parts = Vec::new();
        for part in glob.split('/').filter(|part| !part.is_empty()) {
            match (part, parts.last()) {
                ("**", Some(PathPart::AnyFolders)) => {}
                ("**", _) => parts.push(PathPart::AnyFolders),
                (plain, _) if !plain.contains(['*', '?', '[']) => parts.push(PathPart::Plain(plain.into())),
                (pattern, _) => parts.push(PathPart::Pattern(TextPattern::new(pattern)?)),
            }
        }
        let only_files = matches!(parts.last(), Some(PathPart::AnyFolders));
        if only_files {
            parts.push(PathPart::Pattern(TextPattern::new("*")?));
        }
        Ok(Self { absolute: glob.starts_with('/'), parts, only_files })
    }

    /// Where its parts begin: the root, or an empty path for the working directory.
    pub fn start(&self) -> &Path {
        Path::new(if self.absolute { "/" } else { "" })
    }

    pub fn parts(&self) -> &[PathPart] {
        &self.parts
    }

    /// It ends in `**`: the directories that it goes through are not themselves meant.
    pub fn only_files(&self) -> bool {
        self.only_files
    }

    /// The directory in which, or below which, all that it means stands.
    pub fn root(&self) -> PathBuf {
        let plain = self.parts.iter().map_while(|part| match part {
            PathPart::Plain(name) => Some(name),
            PathPart::Pattern(_) | PathPart::AnyFolders => None,
        });
        let before_the_last = self.parts.len().saturating_sub(1);
        let mut root = self.start().to_owned();
        root.extend(plain.take(before_the_last));
        if root.as_os_str().is_empty() { PathBuf::from(".") } else { root }
    }

    fn matches(&self, path: &Path) -> bool {
        if path.is_absolute() != self.absolute {
            return false;
        }
        let bytes = path.as_os_str().as_bytes();
        let names: Vec<&[u8]> = bytes.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).collect();
        // As `TextPattern::matches`: only the last `**` is tried again with more.
        let (mut next, mut at) = (0, 0);
        let mut run: Option<(usize, usize)> = None;
        loop {
            match (self.parts.get(next), names.get(at)) {
                (Some(PathPart::AnyFolders), _) => {
                    run = Some((next, at));
                    next += 1;
                    continue;
                }
                (Some(part), Some(name)) if part.matches(name) => {
                    next += 1;
                    at += 1;
                    continue;
                }
                (None, None) => return true,
                _ => {}
            }
            let Some((part, end)) = run.filter(|(_, end)| *end < names.len()) else { return false };
            (next, at) = (part + 1, end + 1);
            run = Some((part, at));
        }
    }
}

impl PathPart {
    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Plain(plain) => plain.as_bytes() == name,
            Self::Pattern(pattern) => pattern.matches(name),
            Self::AnyFolders => false,
        }
    }

    /// Whether it means this entry of a directory: hidden ones only where it says so.
    pub fn means(&self, name: &[u8]) -> bool {
        match self {
            Self::Pattern(pattern) => (name[0] != b'.' || pattern.begins_with_a_dot()) && pattern.matches(name),
            Self::Plain(_) | Self::AnyFolders => false,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn matches(glob: &str, path: &str) -> bool {
        PathGlob::new(glob).unwrap().matches(Path::new(path))
    }

    #[test]
    fn a_star_stays_in_a_directory_and_two_go_through_any_number() {
        for (glob, path, expected) in [
            ("/a/*.log", "/a/x.log", true),
            ("/a/*.log", "/a/b/x.log", false),
            ("/a/**/*.log", "/a/x.log", true),
            ("/a/**/*.log", "/a/b/c/x.log", true),
            ("/a/**/b/**/*.log", "/a/b/b/c/x.log", true),
            ("/a/**/b/**/*.log", "/a/c/x.log", false),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/a", false),
            ("/a/**/**/c", "/a/c", true),
            ("**/c", "a/b/c", true),
            ("**/c", "/a/b/c", false),
            ("/a//b", "/a/b", true),
            ("/{a,b/c}/*", "/b/c/d", true),
            ("/{a,b/c}/*", "/b/d", false),
            ("/a/*", "/a/.hidden", true),
        ] {
            assert_eq!(matches(glob, path), expected, "{glob} {path}");
        }
    }

    #[test]
    fn a_root_ends_before_the_first_wildcard_and_before_the_last_name() {
        for (glob, root) in [
            ("/var/log/app/*.log", "/var/log/app"),
            ("/a/*/x.log", "/a"),
            ("x.log", "."),
            ("/x*", "/"),
            ("/x", "/"),
            ("a/**", "a"),
        ] {
            assert_eq!(PathGlob::new(glob).unwrap().branches()[0].root(), Path::new(root), "{glob}");
        }
        let of_both: Vec<PathBuf> = PathGlob::new("/{a,b/c}/x").unwrap().0.iter().map(PathBranch::root).collect();
        assert_eq!(of_both, [Path::new("/a"), Path::new("/b/c")]);
    }

    #[test]
    fn what_is_no_glob_is_refused_with_its_reason() {
        for (glob, fault) in [
            ("/x/[", GlobFault::OpenSet),
            ("/x/[a/b]", GlobFault::OpenSet),
            ("/x/***", GlobFault::ThreeStars),
            ("/x/a**", GlobFault::StarsInName),
            ("/x/**a/b", GlobFault::StarsInName),
            ("/x/", GlobFault::Directory),
            ("/{x,y/}", GlobFault::Directory),
        ] {
            assert_eq!(PathGlob::new(glob).unwrap_err(), fault, "{glob}");
        }
        assert!(PathGlob::new("/").is_ok());
    }
}
