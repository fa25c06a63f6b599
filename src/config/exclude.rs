//! One entry of a source's `exclude`: which files it means.

use std::{os::unix::ffi::OsStrExt, path::Path};

use crate::glob::{GlobFault, TextPattern, expand};

/// A glob without a `/` is matched against the file name, else against the whole path, where `*` crosses `/`: what is
/// below an excluded directory is excluded with it. Leading dots match. Where it has braces that holds for each of
/// what they stand for.
#[derive(Clone, Debug)]
pub struct Exclude {
    pub written: String,
    names: Vec<TextPattern>,
    paths: Vec<TextPattern>,
}

impl Exclude {
    pub fn new(glob: &str) -> Result<Self, GlobFault> {
        let mut exclude = Self { written: glob.to_owned(), names: Vec::new(), paths: Vec::new() };
        for glob in expand(glob)? {
            if glob.contains('/') {
                exclude.paths.push(TextPattern::new(&glob)?);
            } else {
                exclude.names.push(TextPattern::new(&glob)?);
            }
        }
        Ok(exclude)
    }

    pub fn matches(&self, path: &Path) -> bool {
        let name = path.file_name().map(OsStrExt::as_bytes);
        self.paths.iter().any(|pattern| pattern.matches(path.as_os_str().as_bytes()))
            || name.is_some_and(|name| self.names.iter().any(|pattern| pattern.matches(name)))
    }

    /// Whether it means everything that can be below this directory.
    pub fn covers(&self, directory: &Path) -> bool {
        let mut open_ended = self.paths.iter().filter(|pattern| pattern.is_open_ended()).peekable();
        open_ended.peek().is_some() && {
            let mut below = directory.as_os_str().as_bytes().to_owned();
            // The working directory is an empty path.
            if !below.is_empty() && !below.ends_with(b"/") {
                below.push(b'/');
            }
            open_ended.any(|pattern| pattern.matches(&below))
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_name_is_matched_with_the_name_and_a_path_with_the_whole() {
        let excludes =
            |glob: &str, path: &[u8]| Exclude::new(glob).unwrap().matches(Path::new(OsStr::from_bytes(path)));
        assert!(excludes("*.gz", b"/var/log/a.log.gz") && excludes("*.gz", b"/var/log/\xff.gz"));
        assert!(excludes("**", b"/var/log/a"), "as a star, for a name has no directories");
        assert!(excludes("lock", b"/srv/state/lock") && excludes("*", b"/srv/.hidden"));
        assert!(!excludes("state", b"/srv/state/lock"));
        assert!(excludes("/srv/state/*", b"/srv/state/forwarders/siem/journal"));
        assert!(excludes("/srv/state/*", b"/srv/state/\xff/journal"));
        assert!(!excludes("/srv/state/*", b"/srv/other"));
        for path in ["/a/x.gz", "/b/c"] {
            assert!(excludes("{*.gz,/b/*}", path.as_bytes()), "{path}");
        }
        assert!(Exclude::new("[").is_err());
    }

    #[test]
    fn a_directory_is_covered_where_nothing_below_it_can_be_meant() {
        let covers = |glob: &str| Exclude::new(glob).unwrap().covers(Path::new("/a/b"));
        assert!(covers("/a/b/*") && covers("/a/b/**") && covers("/a/*") && covers("*/b/*"));
        assert!(!covers("/a/b/*.gz") && !covers("/a/bc/*") && !covers("*") && !covers("/a/b/c/*") && !covers("/a/b"));
        let covers_here = |glob: &str| Exclude::new(glob).unwrap().covers(Path::new(""));
        assert!(covers_here("**/*") && !covers_here("/*") && !covers_here("a/*"));
    }
}
