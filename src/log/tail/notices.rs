//! What a scan has to say, said once and not at every scan.

use std::{
    collections::HashSet,
    fmt, io,
    path::{Path, PathBuf},
};

use tracing::{error, info, warn};

use crate::{
    config::FollowLinks,
    log::identity::{FileStat, stat_path},
};

/// Remembers what was said; a cause that goes away and comes back is said again.
#[derive(Debug)]
pub struct Notices {
    source: String,
    said: HashSet<(PathBuf, &'static str)>,
    /// What holds in this scan.
    current: HashSet<(PathBuf, &'static str)>,
    /// Files and directories that should be read and cannot be: how many, and what is wrong with the first.
    unread: Option<(usize, String)>,
    unread_now: Option<(usize, String)>,
    catalog_failure: Option<String>,
}

impl Notices {
    pub fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            said: HashSet::new(),
            current: HashSet::new(),
            unread: None,
            unread_now: None,
            catalog_failure: None,
        }
    }

    pub fn not_a_file(&mut self, path: &Path) {
        if self.news(path, "not a file") {
            warn!(source = self.source, path = %path.display(),
                "not a regular file: it is not read; narrow `include` or add it to `exclude`");
        }
    }

    /// For every scan in which it holds.
    pub fn elsewhere(&mut self, path: &Path, place: &Path, follow: FollowLinks) {
        if follow == FollowLinks::Never {
            if self.news(path, "elsewhere") {
                info!(source = self.source, path = %path.display(), target = %place.display(),
                    "not read: a symbolic link is on the way, and `followLinks` is never");
            }
            return;
        }
        self.is_unread(path, &format_args!("a link leads to {}", place.display()));
        if self.news(path, "elsewhere") {
            warn!(source = self.source, path = %path.display(), target = %place.display(),
                "not read: a symbolic link leads out of the directories that `include` names; name its target's directory in `include` \
                 as well, set `followLinks: always`, or add it to `exclude`");
        }
    }

    /// What is worth a word of a file that is read.
    pub fn odd_file(&mut self, path: &Path, stat: &FileStat) {
        if stat.names == 0 && stat_path(path).is_ok_and(|again| again.key == stat.key) {
            self.is_unread(path, &"it is mounted by itself and was deleted where it came from, so what is written there now is not seen");
            if self.news(path, "no name") {
                warn!(source = self.source, path = %path.display(),
                    "the file has no name left: it is mounted by itself, and was deleted or rotated away where it came from. What is \
                     written there now is not seen; mount its directory instead");
            }
        } else if stat.is_mount && self.news(path, "mounted by itself") {
            warn!(source = self.source, path = %path.display(),
                "the file is mounted by itself: once it is rotated by renaming where it came from, what is written there is not \
                 seen; mount its directory instead");
        }
        if stat.names > 1 && self.news(path, "several names") {
            info!(source = self.source, path = %path.display(), names = stat.names,
                "the file has several names (hard links); it is read as it stands here");
        }
    }

    pub fn cannot_look(&mut self, path: &Path, error: &io::Error) {
        self.is_unread(path, error);
        if self.news(path, "cannot look") {
            warn!(source = self.source, path = %path.display(), %error,
                "cannot look at the file; its events wait until it can be read, and are then read from where they stopped");
        }
    }

    pub fn cannot_open(&mut self, path: &Path, error: &io::Error) {
        self.is_unread(path, error);
        if self.news(path, "cannot open") {
            warn!(source = self.source, path = %path.display(), %error, uid = rustix::process::geteuid().as_raw(),
                "cannot read the file; its events wait until it can be read");
        }
    }

    pub fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.is_unread(path, error);
        if self.news(path, "cannot list") {
            error!(source = self.source, path = %path.display(), %error,
                "cannot list the directory; new files in it are not seen, and none is taken for deleted, until it can be");
        }
    }

    pub fn twice(&mut self, path: &Path, other: &Path) {
        if self.news(path, "twice") {
            info!(source = self.source, path = %path.display(), same_as = %other.display(),
                "two paths name one file; it is read once");
        }
    }

    pub fn compressed(&mut self, path: &Path) {
        if self.news(path, "compressed") {
            warn!(source = self.source, path = %path.display(),
                "the file is compressed, and no file that was read is known to have its content: it is not read; \
                 decompress it if it should be, else add it to `exclude`");
        }
    }

    pub fn excluded_generation(&mut self, path: &Path, of: &Path) {
        if self.news(path, "excluded generation") {
            warn!(source = self.source, path = %path.display(), of = %of.display(),
                "a generation was rotated away before it was seen, and `exclude` names it: its events are not read; \
                 take it out of `exclude` if they should be");
        }
    }

    /// For every scan in which it holds.
    pub fn lost_to_exclude(&mut self, path: &Path, of: &Path) {
        self.is_unread(path, &"it was rotated away before it was seen, and `exclude` names it");
        if self.news(path, "lost to exclude") {
            error!(source = self.source, path = %path.display(), of = %of.display(),
                "a generation was rotated away before it was seen, and `exclude` names it: its events are not read, and a gap of \
                 unknown size says so; take it out of `exclude`, and the next start reads it");
        }
    }

    /// For every scan in which it holds.
    pub fn refused(&mut self, path: &Path, why: &str) {
        self.is_unread(path, &why);
        if self.news(path, "refused") {
            error!(source = self.source, path = %path.display(),
                "the compressed file is not read: {why}; what was in it is lost unless somebody decompresses it by hand");
        }
    }

    pub fn cannot_unpack(&mut self, path: &Path, error: &io::Error) {
        error!(source = self.source, path = %path.display(), %error,
            "cannot restore a compressed file whose events wait; it is tried again every {:?}", super::lives::PAUSE);
    }

    /// For every scan in which it holds.
    pub fn cannot_copy(&mut self, path: &Path, why: &str) {
        let text = format!(
            "the deleted file {} stays open, and its disk taken: what is unread of it cannot be copied to the state directory ({why})",
            path.display()
        );
        if self.news(path, "cannot copy") {
            error!(source = self.source, "{text}; it is tried again every {:?}", super::lives::PAUSE);
        }
        self.unread_now.get_or_insert((0, text)).0 += 1;
    }

    /// For every scan in which it holds.
    pub fn doubtful(&mut self, path: &Path, why: &str) {
        self.is_unread(path, &why);
    }

    pub fn utf16(&mut self, path: &Path) {
        self.is_unread(path, &"it is UTF-16, which is not supported");
        if self.news(path, "utf-16") {
            error!(source = self.source, path = %path.display(),
                "the file is UTF-16, which is not supported: it is not read; let the application write UTF-8");
        }
    }

    pub fn our_own(&mut self, path: &Path) {
        if self.news(path, "our own") {
            error!(source = self.source, path = %path.display(),
                "the file is in auditpost's own state directory: it is not read, it would feed itself");
        }
    }

    pub fn held(&mut self, path: &Path, original: &Path) {
        if self.news(path, "held") {
            info!(source = self.source, path = %path.display(), copy_of = %original.display(),
                "the file repeats another: it may be a rotation in the making and is looked at again before it is read");
        }
    }

    pub fn catalog_not_written(&mut self, path: &Path, error: &io::Error) {
        if self.catalog_failure.is_none() {
            error!(source = self.source, path = %path.display(), %error,
                "cannot write the catalog: new files wait, known ones are read on; make room or mend the state directory");
        }
        self.catalog_failure = Some(error.to_string());
    }

    pub fn catalog_written(&mut self) {
        if self.catalog_failure.take().is_some() {
            info!(source = self.source, "the catalog can be written again");
        }
    }

    pub fn catalog_failure(&self) -> Option<&str> {
        self.catalog_failure.as_deref()
    }

    /// What of the last scan stays unread until somebody does something.
    pub fn unread(&self) -> Option<String> {
        self.unread.as_ref().map(|(count, first)| match count {
            1 => first.clone(),
            count => format!("{first}; and {} more", count - 1),
        })
    }

    fn is_unread(&mut self, path: &Path, why: &dyn fmt::Display) {
        let (count, _) = self.unread_now.get_or_insert_with(|| (0, format!("cannot read {}: {why}", path.display())));
        *count += 1;
    }

    pub fn begin_scan(&mut self) {
        self.current.clear();
        self.unread_now = None;
    }

    /// What did not hold in this scan may be said again when it returns.
    pub fn end_scan(&mut self) {
        self.said = std::mem::take(&mut self.current);
        self.unread = self.unread_now.take();
    }

    fn news(&mut self, path: &Path, what: &'static str) -> bool {
        let key = (path.to_owned(), what);
        let new = !self.said.contains(&key) && !self.current.contains(&key);
        self.current.insert(key);
        new
    }
}
