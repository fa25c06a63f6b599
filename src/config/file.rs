//! A source that follows files.

use std::time::Duration;

use super::{LineFormat, SpoolKeys};

#[derive(Clone, Debug, PartialEq)]
pub struct FileSource {
    /// Paths or globs, as written.
    pub include: Vec<String>,
    /// Globs; one without a `/` is matched against the file name, else against the whole path.
    pub exclude: Vec<String>,
    /// How far symbolic links are followed.
    pub follow_links: FollowLinks,
    pub start_at: StartAt,
    /// How often the paths are scanned. inotify makes it prompter, never more correct.
    pub scan_interval: Duration,
    /// How long a rotated or deleted file must be quiet at its end before it counts as finished.
    pub seal_after: Duration,
    /// How long a deleted file is held open before what is unread of it is copied to the state directory.
    pub hold_deleted: Duration,
    /// Where its lines are copied to a spool as they come.
    pub spool: Option<SpoolKeys>,
    pub format: LineFormat,
}

#[cfg(test)]
impl FileSource {
    /// One for tests, in which nothing happens by itself.
    pub fn of_tests(include: Vec<String>) -> Self {
        Self {
            include,
            exclude: vec![],
            follow_links: FollowLinks::Within,
            start_at: StartAt::Beginning,
            scan_interval: Duration::from_secs(1),
            seal_after: Duration::from_secs(3600),
            hold_deleted: Duration::from_secs(3600),
            spool: None,
            format: LineFormat::Lines,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    Beginning,
    End,
}

/// How far symbolic links are followed, below the directories that `include` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowLinks {
    /// To files in those directories.
    Within,
    /// Wherever they lead.
    Always,
    Never,
}
