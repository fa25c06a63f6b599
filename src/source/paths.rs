//! Which files a `file` source means.

use std::path::Path;

use glob::MatchOptions;

use crate::{
    config::{Exclude, FileSource},
    log::tail::FoundPaths,
};

/// `*` and `?` do not cross a `/` and do not match a leading dot, as in a shell.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The compiled `include` and `exclude` of a source.
#[derive(Clone, Debug)]
pub struct SourcePaths {
    include: Vec<String>,
    exclude: Vec<Exclude>,
}

impl SourcePaths {
    pub fn new(source: &FileSource) -> Self {
        let exclude = source.exclude.iter().filter_map(|glob| Exclude::new(glob)).collect();
        Self { include: source.include.clone(), exclude }
    }

    /// As they are configured.
    pub fn include(&self) -> &[String] {
        &self.include
    }

    /// Every path that matches now, each once, in order.
    pub fn find(&self) -> FoundPaths {
        let mut found = FoundPaths::default();
        for include in &self.include {
            // A path that exists as it is written is meant as it is written, whatever is in it.
            match std::fs::symlink_metadata(include) {
                Ok(_) => {
                    found.paths.push(include.into());
                    continue;
                }
                Err(error) if is_absence(&error) => {}
                // It may well be there.
                Err(error) => {
                    found.unreadable.push((include.into(), error));
                    continue;
                }
            }
            let Ok(matches) = glob::glob_with(include, OPTIONS) else { continue };
            for entry in matches {
                match entry {
                    Ok(path) => found.paths.push(path),
                    Err(error) => {
                        let path = error.path().to_owned();
                        found.unreadable.push((path, error.into()));
                    }
                }
            }
        }
        found.paths.retain(|path| !self.is_excluded(path));
        found.paths.sort();
        found.paths.dedup();
        found
    }

    /// The directories in which files may appear: those before the first wildcard.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        self.include.iter().map(|include| {
            let fixed = include.find(['*', '?', '[']).map_or(include.as_str(), |at| &include[..at]);
            let end = fixed.rfind('/').unwrap_or(0);
            Path::new(if fixed.contains('/') { &fixed[..end.max(1)] } else { "." })
        })
    }

    fn is_excluded(&self, path: &Path) -> bool {
        self.exclude.iter().any(|exclude| exclude.matches(path))
    }
}

fn is_absence(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{InvalidFilename, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidFilename)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{LineFormat, StartAt};

    fn find(include: &[String], exclude: &[&str]) -> Vec<String> {
        let source = FileSource {
            include: include.to_vec(),
            exclude: exclude.iter().map(|text| (*text).to_owned()).collect(),
            start_at: StartAt::Beginning,
            scan_interval: Duration::from_secs(1),
            seal_after: Duration::from_secs(30),
            hold_deleted: Duration::from_secs(60),
            spool: None,
            format: LineFormat::Lines,
        };
        let found = SourcePaths::new(&source).find();
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
            let source = FileSource {
                include: vec![dir.path().join(include).display().to_string()],
                exclude: vec![],
                start_at: StartAt::Beginning,
                scan_interval: Duration::from_secs(1),
                seal_after: Duration::from_secs(30),
                hold_deleted: Duration::from_secs(60),
                spool: None,
                format: LineFormat::Lines,
            };
            assert_eq!(SourcePaths::new(&source).find().unreadable.len(), unreadable, "{include}");
        }
    }

    #[test]
    fn roots_end_before_the_first_wildcard() {
        let source = FileSource {
            include: vec!["/var/log/app/*.log".into(), "/a/*/x.log".into(), "x.log".into(), "/x*".into()],
            exclude: vec![],
            start_at: StartAt::Beginning,
            scan_interval: Duration::from_secs(1),
            seal_after: Duration::from_secs(30),
            hold_deleted: Duration::from_secs(60),
            spool: None,
            format: LineFormat::Lines,
        };
        let paths = SourcePaths::new(&source);
        assert_eq!(paths.roots().collect::<Vec<_>>(), ["/var/log/app", "/a", ".", "/"].map(Path::new));
    }
}
