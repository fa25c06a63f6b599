//! Which files a `file` source means.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::walk::{PathWalk, WalkLimits, is_absence};
use crate::{
    config::{Exclude, FileSource, FollowLinks},
    glob::{PathBranch, PathGlob, doubt},
    log::{LinkPolicy, tail::FoundPaths},
};

/// The compiled `include` and `exclude` of a source.
#[derive(Clone, Debug)]
pub struct SourcePaths {
    include: Vec<String>,
    /// Of each `include`.
    globs: Vec<PathGlob>,
    exclude: Vec<Exclude>,
    roots: Vec<PathBuf>,
    follow_links: FollowLinks,
}

impl SourcePaths {
    pub fn new(source: &FileSource) -> Self {
        let include = source.include.clone();
        let globs: Vec<PathGlob> = include
            .iter()
            .map(|glob| PathGlob::new(glob).expect("a configuration with a bad glob is refused"))
            .collect();
        let exclude = &source.exclude;
        let exclude = exclude
            .iter()
            .map(|glob| Exclude::new(glob).expect("a configuration with a bad glob is refused"))
            .collect();
        let roots = globs.iter().flat_map(PathGlob::branches).map(PathBranch::root).collect();
        Self { include, globs, exclude, roots, follow_links: source.follow_links }
    }

    /// As they are configured.
    pub fn include(&self) -> &[String] {
        &self.include
    }

    /// Every path that matches now, each once, in order.
    pub fn find(&self) -> FoundPaths {
        self.find_with(WalkLimits::GENEROUS, &AtomicU64::new(0))
    }

    /// The same, within other limits; `progress` moves as it goes on.
    pub fn find_with(&self, limits: WalkLimits, progress: &AtomicU64) -> FoundPaths {
        let links = LinkPolicy::new(self.follow_links, self.roots());
        let mut found = FoundPaths { links, ..FoundPaths::default() };
        for (include, glob) in self.include.iter().zip(&self.globs) {
            progress.fetch_add(1, Ordering::Relaxed);
            // A path that exists as it is written is meant as it is written, whatever is in it.
            match std::fs::symlink_metadata(include) {
                Ok(_) => found.paths.push(include.into()),
                Err(error) if is_absence(&error) => {
                    PathWalk::new(&self.exclude, limits, progress, &mut found).along(glob);
                }
                // It may well be there.
                Err(error) => found.unreadable.push((include.into(), error)),
            }
        }
        found.paths.retain(|path| !self.is_excluded(path));
        found.elsewhere.retain(|(path, _)| !self.is_excluded(path));
        found.paths.sort();
        found.paths.dedup();
        found
    }

    /// What in `include` and `exclude` is probably not meant as it is read, and names no file as it is written.
    pub fn doubts(&self) -> Vec<String> {
        let exclude = self.exclude.iter().map(|exclude| &exclude.written);
        let globs = self.include.iter().chain(exclude).filter(|glob| std::fs::symlink_metadata(glob).is_err());
        globs.filter_map(|glob| Some(format!("{glob}: {}", doubt(glob)?))).collect()
    }

    /// The directories in which files may appear: those before the first wildcard.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        self.roots.iter().map(PathBuf::as_path)
    }

    fn is_excluded(&self, path: &Path) -> bool {
        self.exclude.iter().any(|exclude| exclude.matches(path))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    use super::*;

    fn source(include: &[String], exclude: &[&str]) -> SourcePaths {
        let exclude = exclude.iter().map(|text| (*text).to_owned()).collect();
        SourcePaths::new(&FileSource { exclude, ..FileSource::of_tests(include.to_vec()) })
    }

    fn find(include: &[String], exclude: &[&str]) -> Vec<String> {
        let found = source(include, exclude).find();
        found.paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn globs_paths_and_exclusions_give_each_file_once() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.log", "a.log.1", "a.log.2.gz", ".hidden.log", "b[1].log", "c.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let at = |name: &str| format!("{}/{name}", dir.path().display());
        assert_eq!(find(&[at("*.log*"), at("a.log")], &["*.gz"]), ["a.log", "a.log.1", "b[1].log"]);
        assert_eq!(find(&[at("b[1].log")], &[]), ["b[1].log"], "a name with brackets that exists is meant literally");
        assert_eq!(find(&[at("*.log")], &[&at("a*")]), ["b[1].log"]);
        assert_eq!(find(&[at("missing")], &[]), [""; 0]);
    }

    #[test]
    fn a_path_that_cannot_be_looked_at_is_not_taken_for_one_that_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("loop", dir.path().join("loop")).unwrap();
        for (include, unreadable) in [("loop/a.log", 1), ("loop/*.log", 1), ("missing/a.log", 0), ("loop", 0)] {
            let found = source(&[dir.path().join(include).display().to_string()], &[]).find();
            assert_eq!(found.unreadable.len(), unreadable, "{include}");
        }
    }

    #[test]
    fn roots_end_before_the_first_wildcard() {
        let include = ["/var/log/app/*.log", "/a/*/x.log", "x.log", "/x*", "/{b,c/d}/x"].map(str::to_owned);
        let paths = source(&include, &[]);
        let roots = ["/var/log/app", "/a", ".", "/", "/b", "/c/d"].map(Path::new);
        assert_eq!(paths.roots().collect::<Vec<_>>(), roots);
    }

    #[test]
    fn a_name_that_is_no_utf_8_stops_nothing_and_can_be_excluded() {
        let dir = tempfile::tempdir().unwrap();
        for name in [&b"a.log"[..], b"\xff.log", b"\xff.txt", b"\xff.log.gz"] {
            std::fs::write(dir.path().join(OsStr::from_bytes(name)), "").unwrap();
        }
        let at = |name: &str| format!("{}/{name}", dir.path().display());
        assert_eq!(find(&[at("*.log*")], &["*.gz"]), ["a.log", "\u{fffd}.log"]);
        assert_eq!(find(&[at("*.log*")], &["*.gz", "?.log"]), [""; 0]);
        assert_eq!(find(&[at("*")], &[&at("*.*")]), [""; 0]);
    }

    #[test]
    fn a_directory_that_is_excluded_takes_nothing_from_another_name_of_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("release")).unwrap();
        std::fs::write(dir.path().join("release/a.log"), "").unwrap();
        std::os::unix::fs::symlink("release", dir.path().join("current")).unwrap();
        let at = |name: &str| format!("{}/{name}", dir.path().display());
        for exclude in ["release/*", "release/**"] {
            let found = source(&[at("**/*.log")], &[&at(exclude)]).find();
            assert_eq!(found.paths, [dir.path().join("current/a.log")], "{exclude}");
        }
        assert_eq!(source(&[at("**/*.log")], &[]).find().paths, [dir.path().join("release/a.log")]);
    }

    #[test]
    fn names_in_the_working_directory_are_found_as_they_are() {
        for include in ["Cargo.tom?", "./Cargo.tom?", "./{Cargo.toml}", "{./Cargo.toml,x}"] {
            let found = source(&[include.to_owned()], &[]).find();
            let expected = if include.starts_with("./{C") { vec![] } else { vec![PathBuf::from("Cargo.toml")] };
            assert_eq!(found.paths, expected, "{include}");
        }
        assert_eq!(source(&["./Cargo.toml".to_owned()], &[]).find().paths, [Path::new("./Cargo.toml")]);
    }
}
