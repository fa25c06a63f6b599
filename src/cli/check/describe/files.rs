//! What a source of files reads now, in words.

use std::{fmt, path::Path};

use super::{count, line};
use crate::{
    cli::printable::printable_path,
    config::{CriStream, FileSource, FollowLinks, LineFormat, StartAt},
    log::{PathTarget, tail::FoundPaths},
    source::paths::SourcePaths,
};

/// Files that are named; more are counted.
const NAMED_FILES: usize = 5;

/// What the paths of a source lead to now, a line for each.
#[derive(Default)]
struct MatchingFiles {
    read: Vec<String>,
    not_seen: Vec<String>,
    elsewhere: Vec<String>,
    with_other_names: Vec<String>,
    mounted_alone: Vec<String>,
}

pub(super) fn describe(file: &FileSource, out: &mut String) -> fmt::Result {
    line(out, "files", file.include.join(", "))?;
    if !file.exclude.is_empty() {
        line(out, "except", file.exclude.join(", "))?;
    }
    let files = MatchingFiles::of(&SourcePaths::new(file).find());
    line(out, "match now", count(files.read.len(), "file"))?;
    some(&files.read, out)?;
    let links = match file.follow_links {
        FollowLinks::Within => "those to files below the directories that include names",
        FollowLinks::Always => "wherever they lead",
        FollowLinks::Never => "never followed",
    };
    line(out, "links", links)?;
    for (name, why, files) in [
        ("not seen", "what there may be in these is not followed, until it can be looked at", &files.not_seen),
        (
            "not read",
            "links lead these elsewhere: name those directories in include, or set followLinks",
            &files.elsewhere,
        ),
        ("hard links", "these have other names, too", &files.with_other_names),
        (
            "mounted",
            "these are mounted alone, and a rotation by renaming is not seen: mount their directories",
            &files.mounted_alone,
        ),
    ] {
        if !files.is_empty() {
            line(out, name, why)?;
            some(files, out)?;
        }
    }
    let start = match file.start_at {
        StartAt::Beginning => "the beginning",
        StartAt::End => "the end of files that are there at the first start",
    };
    line(out, "start at", start)?;
    match file.format {
        LineFormat::Lines => {}
        LineFormat::Cri(CriStream::Stdout) => line(out, "format", "cri, standard output")?,
        LineFormat::Cri(CriStream::Stderr) => line(out, "format", "cri, standard error")?,
    }
    line(out, "scan", format_args!("every {:?}, sealed after {:?}", file.scan_interval, file.seal_after))?;
    line(out, "if deleted", format_args!("held open for {:?}, then its unread rest is copied", file.hold_deleted))
}

impl MatchingFiles {
    fn of(found: &FoundPaths) -> Self {
        let mut files = Self::default();
        let unreadable = found.unreadable.iter();
        files.not_seen.extend(unreadable.map(|(path, error)| format!("{}: {error}", printable_path(path))));
        let leads =
            |path: &Path, place: &Path| format!("{} leads to {}", printable_path(path), printable_path(place));
        files.elsewhere.extend(found.elsewhere.iter().map(|(path, place)| leads(path, place)));
        for path in &found.paths {
            match found.links.look(path) {
                Ok(PathTarget::Allowed(stat)) if stat.regular => {
                    files.read.push(printable_path(path));
                    if stat.names > 1 {
                        files.with_other_names.push(printable_path(path));
                    }
                    if stat.is_mount {
                        files.mounted_alone.push(printable_path(path));
                    }
                }
                Ok(PathTarget::Elsewhere { stat, place }) if stat.regular => {
                    files.elsewhere.push(leads(path, &place))
                }
                _ => {}
            }
        }
        files
    }
}

/// The first of them, a line each.
fn some(all: &[String], out: &mut String) -> fmt::Result {
    for one in all.iter().take(NAMED_FILES) {
        line(out, "", one)?;
    }
    if all.len() > NAMED_FILES {
        line(out, "", format_args!("… and {} more", all.len() - NAMED_FILES))?;
    }
    Ok(())
}
