//! One entry of a source's `exclude`: which files it means.

use std::path::Path;

use glob::{MatchOptions, Pattern};

/// A glob without a `/` is matched against the file name, else against the whole path, where `*` crosses `/`: what is
/// below an excluded directory is excluded with it.
#[derive(Clone, Debug)]
pub struct Exclude {
    pattern: Pattern,
    whole_path: bool,
}

impl Exclude {
    /// `None` where it is no glob.
    pub fn new(glob: &str) -> Option<Self> {
        Some(Self { pattern: Pattern::new(glob).ok()?, whole_path: glob.contains('/') })
    }

    pub fn matches(&self, path: &Path) -> bool {
        let subject = if self.whole_path { Some(path) } else { path.file_name().map(Path::new) };
        subject.is_some_and(|subject| self.pattern.matches_path_with(subject, MatchOptions::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_matched_with_the_name_and_a_path_with_the_whole() {
        let excludes = |glob: &str, path: &str| Exclude::new(glob).is_some_and(|glob| glob.matches(Path::new(path)));
        assert!(excludes("*.gz", "/var/log/a.log.gz"));
        assert!(excludes("lock", "/srv/state/lock"));
        assert!(!excludes("state", "/srv/state/lock"));
        assert!(excludes("/srv/state/*", "/srv/state/forwarders/siem/journal"));
        assert!(!excludes("/srv/state/*", "/srv/other"));
        assert!(Exclude::new("[").is_none());
    }
}
