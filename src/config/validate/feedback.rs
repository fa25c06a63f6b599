//! No source may follow what auditpost itself writes: each event would make another one, for ever.

use std::path::{Component, Path as FilePath, PathBuf};

use super::super::{Exclude, path::Path, report::Report, written::ConfigFile};
use crate::glob::{PathGlob, expand};

/// Reports paths and globs that lead into the state directory, by their spelling: links are not looked up.
pub(super) fn check(dir: &FilePath, file: &ConfigFile, root: &Path, report: &mut Report) {
    let dir = absolute(dir);
    let ours = files(&dir, file);
    for (index, source) in file.sources.iter().flatten().enumerate() {
        let path = root.key("sources").index(index).key("include");
        let exclude = source.exclude.as_deref().unwrap_or_default();
        let excludes = |file: &FilePath| exclude.iter().any(|glob| is_excluded(glob, file));
        for (index, include) in source.include.iter().flatten().enumerate() {
            let finds_ours = |glob: &FilePath| ours.iter().any(|file| matches(glob, file) && !excludes(file));
            let leads_to_ours = |glob: &FilePath| fixed_part(glob).starts_with(&dir) || finds_ours(glob);
            if alternatives(include).any(|glob| leads_to_ours(&absolute(FilePath::new(&glob)))) {
                let path = path.index(index);
                let what = "would follow files in stateDir, which auditpost itself writes";
                report
                    .problem(&path, format!("{} {what}: name other files, or exclude these", report.written(&path)));
            }
        }
    }
}

/// Files such as the state directory will hold.
fn files(dir: &FilePath, file: &ConfigFile) -> Vec<PathBuf> {
    const SEGMENT: &str = "00000000000000000001.ndjson";
    let of_sources = file.sources.iter().flatten().flat_map(|source| {
        let name = source.name.as_deref().unwrap_or("source");
        [dir.join("sources").join(name).join("catalog"), dir.join("spool").join(name).join(SEGMENT)]
    });
    let forwarders = file.forwarders.iter().chain(&file.audit_log_forwarders).flatten();
    let of_forwarders = forwarders.flat_map(|forwarder| {
        let name = forwarder.name.as_deref().unwrap_or("forwarder");
        [dir.join("forwarders").join(name).join("journal"), dir.join("dead-letters").join(name).join(SEGMENT)]
    });
    of_sources.chain(of_forwarders).chain([dir.join("lock")]).collect()
}

/// What stands before the first component with a wildcard.
fn fixed_part(glob: &FilePath) -> PathBuf {
    let is_wild = |component: &Component<'_>| component.as_os_str().to_string_lossy().contains(['*', '?', '[']);
    glob.components().take_while(|component| !is_wild(component)).collect()
}

fn matches(glob: &FilePath, file: &FilePath) -> bool {
    glob.to_str().and_then(|glob| PathGlob::new(glob).ok()).is_some_and(|glob| glob.matches(file))
}

/// The files are named from the root here, so a glob that is a path is too.
fn is_excluded(glob: &str, path: &FilePath) -> bool {
    alternatives(glob).any(|glob| {
        let whole = glob.contains('/').then(|| absolute(FilePath::new(&glob)).to_string_lossy().into_owned());
        Exclude::new(&whole.unwrap_or(glob)).is_ok_and(|exclude| exclude.matches(path))
    })
}

/// What the braces of a glob stand for; none where it is no glob, which is reported elsewhere, or empty.
fn alternatives(glob: &str) -> impl Iterator<Item = String> {
    expand(glob).unwrap_or_default().into_iter().filter(|glob| !glob.is_empty())
}

/// From the root, without `.` and `..`. Where there is no working directory a path stays as it is.
fn absolute(path: &FilePath) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut plain = PathBuf::new();
    for component in whole.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_part_of_a_glob_ends_before_its_first_wildcard() {
        assert_eq!(fixed_part(FilePath::new("/var/log/*/x.log")), FilePath::new("/var/log"));
        assert_eq!(fixed_part(FilePath::new("/var/log/x.log")), FilePath::new("/var/log/x.log"));
    }

    #[test]
    fn paths_are_compared_without_detours() {
        assert_eq!(absolute(FilePath::new("/a/./b/../c")), FilePath::new("/a/c"));
        assert!(absolute(FilePath::new("state")).is_absolute());
    }

    #[test]
    fn a_star_does_not_cross_directories_and_two_do() {
        let file = FilePath::new("/srv/state/dead-letters/siem/00000000000000000001.ndjson");
        assert!(!matches(FilePath::new("/srv/*.ndjson"), file));
        assert!(matches(FilePath::new("/srv/**/*.ndjson"), file) && matches(FilePath::new("/srv/**"), file));
    }

    #[test]
    fn excluding_by_name_and_by_path() {
        let file = FilePath::new("/srv/state/lock");
        assert!(is_excluded("lo*", file));
        assert!(is_excluded("/srv/state/**", file) && is_excluded("/srv/./state/*", file));
        assert!(is_excluded("{x,/srv/./state/*}", file) && !is_excluded("{x,/srv/y/*}", file));
        assert!(!is_excluded("state", file));
    }
}
