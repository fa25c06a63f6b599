//! How far symbolic links lead: which files a source reads, whatever its paths name.
//!
//! What always holds:
//! - A file is judged by where it stands, which the kernel tells of an open descriptor, and never by the names on the way
//!   to it. What is allowed is that file (device, inode, birth) and not its path. So nobody gains anything by exchanging a
//!   link at any moment: whoever opens the path later sees whether it still names the file that was judged.
//! - To judge a file nothing is read, and neither a device nor a FIFO is opened.
//!
//! Who may exchange one of the directories that `include` names may choose what is read. A hard link is a name like any
//! other.

use std::{
    ffi::OsString,
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::ffi::OsStringExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{CWD, Mode, OFlags, openat, readlink};

use super::identity::{FileStat, stat_file, stat_path};
use crate::config::FollowLinks;

/// What the kernel puts behind the place of a file that has no name left.
const WITHOUT_NAME: &[u8] = b" (deleted)";

/// Where the files of a source may stand, as its directories are now. The default is: anywhere.
#[derive(Clone, Debug, Default)]
pub struct LinkPolicy(Option<Arc<Bounds>>);

#[derive(Debug)]
struct Bounds {
    named: Vec<NamedDirectory>,
    /// Links to files in these directories are followed.
    within: bool,
}

/// A directory that `include` names.
#[derive(Debug)]
struct NamedDirectory {
    written: PathBuf,
    stands_at: PathBuf,
}

/// What a path names.
#[derive(Debug)]
pub enum PathTarget {
    /// The source may read it.
    Allowed(FileStat),
    /// It may not: a link led there.
    Elsewhere { stat: FileStat, place: PathBuf },
}

impl LinkPolicy {
    /// For paths below these directories. One that is not there now has no files either.
    pub fn new<'p>(follow: FollowLinks, directories: impl Iterator<Item = &'p Path>) -> Self {
        let within = match follow {
            FollowLinks::Always => return Self::default(),
            FollowLinks::Within => true,
            FollowLinks::Never => false,
        };
        let named = directories.filter_map(|directory| {
            let stands_at = place(&hold(directory).ok()?, false).ok()?;
            let written = directory.strip_prefix(".").unwrap_or(directory).to_owned();
            Some(NamedDirectory { written, stands_at })
        });
        Self(Some(Arc::new(Bounds { named: named.collect(), within })))
    }

    /// Whether links are followed wherever they lead.
    pub fn is_boundless(&self) -> bool {
        self.0.is_none()
    }

    /// Looks at what a path names, and where that stands.
    pub fn look(&self, path: &Path) -> io::Result<PathTarget> {
        if self.is_boundless() {
            return stat_path(path).map(PathTarget::Allowed);
        }
        let held = hold(path)?;
        let stat = stat_file(&held)?;
        let place = place(&held, stat.names == 0)?;
        Ok(if self.allows(path, &place) { PathTarget::Allowed(stat) } else { PathTarget::Elsewhere { stat, place } })
    }

    /// Where a directory stands that was opened by this path, unless the source may go there.
    pub fn leads_elsewhere(&self, path: &Path, opened: &impl AsFd) -> io::Result<Option<PathBuf>> {
        if self.is_boundless() {
            return Ok(None);
        }
        let place = place(opened, false)?;
        Ok((!self.allows(path, &place)).then_some(place))
    }

    fn allows(&self, path: &Path, place: &Path) -> bool {
        self.0.as_ref().is_none_or(|bounds| {
            bounds.named.iter().any(|NamedDirectory { written, stands_at }| {
                if bounds.within {
                    place.starts_with(stands_at)
                } else {
                    path.strip_prefix(written).is_ok_and(|below| stands_at.join(below) == place)
                }
            })
        })
    }
}

/// A descriptor of what a path names, for nothing but to ask what it is.
fn hold(path: &Path) -> io::Result<impl AsFd> {
    Ok(openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

/// Where an open file stands.
fn place(opened: &impl AsFd, without_name: bool) -> io::Result<PathBuf> {
    let link = format!("/proc/self/fd/{}", opened.as_fd().as_raw_fd());
    let place = readlink(link, Vec::new()).map_err(|error| {
        // Whatever it is, the file is there.
        io::Error::other(format!("where it stands cannot be told ({error}): /proc is needed, or followLinks: always"))
    })?;
    let mut place = place.into_bytes();
    if without_name && place.ends_with(WITHOUT_NAME) {
        place.truncate(place.len() - WITHOUT_NAME.len());
    }
    Ok(OsString::from_vec(place).into())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// Two directories beside each other, of which the first is named; whether each of these paths may be read.
    fn allowed(follow: FollowLinks, paths: &[&str]) -> Vec<bool> {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for directory in ["app/old", "other"] {
            fs::create_dir_all(at(directory)).unwrap();
        }
        for file in ["app/a.log", "app/old/b.log", "other/secret"] {
            fs::write(at(file), "").unwrap();
        }
        for (target, link) in [
            ("app", "named"),
            ("old/b.log", "app/inside"),
            ("../other/secret", "app/outside"),
            ("../other", "app/directory"),
            ("old", "app/older"),
            ("directory/../app/a.log", "app/around"),
        ] {
            symlink(target, at(link)).unwrap();
        }
        fs::hard_link(at("other/secret"), at("app/hard")).unwrap();
        let named = at("named");
        let policy = LinkPolicy::new(follow, [named.as_path()].into_iter());
        let is_allowed = |path: &&str| match policy.look(&named.join(path)).unwrap() {
            PathTarget::Allowed(_) => true,
            PathTarget::Elsewhere { place, .. } => {
                assert_eq!(place, named.join(path).canonicalize().unwrap());
                false
            }
        };
        paths.iter().map(is_allowed).collect()
    }

    #[test]
    fn a_link_is_judged_by_where_it_leads() {
        let paths = ["a.log", "hard", "inside", "older/b.log", "around", "outside", "directory/secret"];
        let expected = |allowed: usize| paths.iter().enumerate().map(|(n, _)| n < allowed).collect::<Vec<_>>();
        assert_eq!(allowed(FollowLinks::Always, &paths), expected(7));
        assert_eq!(allowed(FollowLinks::Within, &paths), expected(5));
        assert_eq!(allowed(FollowLinks::Never, &paths), expected(2), "the directory that is named may be a link");
    }

    #[test]
    fn a_relative_path_is_below_the_working_directory() {
        for follow in [FollowLinks::Within, FollowLinks::Never] {
            let policy = LinkPolicy::new(follow, [Path::new("."), Path::new("src/log")].into_iter());
            for path in ["Cargo.toml", "./Cargo.toml", "src/log/links.rs"] {
                assert!(matches!(policy.look(Path::new(path)).unwrap(), PathTarget::Allowed(_)), "{path}");
            }
        }
        let policy = LinkPolicy::new(FollowLinks::Within, [Path::new(".")].into_iter());
        assert!(matches!(policy.look(Path::new("/dev/null")).unwrap(), PathTarget::Elsewhere { .. }));
    }

    #[test]
    fn a_file_without_a_name_stands_where_it_stood() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, "").unwrap();
        let held = hold(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(place(&held, true).unwrap(), path);
        assert_ne!(place(&held, false).unwrap(), path);
    }
}
