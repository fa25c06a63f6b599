//! One process per state directory.
//!
//! An advisory lock on `<stateDir>/lock` is held for as long as the [`Lock`] lives. The kernel drops it with the
//! process, so what `kill -9` leaves (the file and an old process id in it) is in nobody's way.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use thiserror::Error;

/// Why the lock was not taken: exit 75 where it is held, else 73.
#[derive(Debug, Error)]
pub enum LockError {
    #[error(
        "another auditpost ({}) holds {}; two on one state directory would lose track of what was delivered, so this one \
         stops: stop the other one or set another stateDir", holder(*pid), path.display()
    )]
    Held { path: PathBuf, pid: Option<u32> },
    #[error(
        "cannot lock {}: {source}; without the lock two processes could use the state directory, so this one stops: \
         check that the directory exists, is writable and supports locks", path.display()
    )]
    Io { path: PathBuf, source: io::Error },
}

/// The state directory is ours until this is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of an existing state directory, without waiting.
    ///
    /// # Errors
    /// [`LockError::Held`] with the holder's process id; [`LockError::Io`] where the file cannot be opened.
    pub fn acquire(state_dir: &Path) -> Result<Self, LockError> {
        let path = state_dir.join("lock");
        let io = |source| LockError::Io { path: path.clone(), source };
        loop {
            let mut file = open(&path).map_err(io)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let pid = written_pid(&mut file);
                    return Err(LockError::Held { path, pid });
                }
                Err(TryLockError::Error(source)) => return Err(io(source)),
            }
            // The file may have been removed and made anew between the two calls: then ours is nobody's.
            if same_file(&file, &path) {
                // A disk that is full takes no process id, and is no reason not to start.
                let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                return Ok(Self { file, path });
            }
        }
    }

    /// Whether it still is where another process would look. Once somebody removed it, another one could start.
    pub fn stands(&self) -> bool {
        same_file(&self.file, &self.path)
    }
}

fn open(path: &Path) -> io::Result<File> {
    #[expect(clippy::cast_possible_wrap, reason = "open takes the flags as a C int")]
    let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK).bits() as i32;
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(path)
}

fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(ours), Ok(there)) => ours.ino() == there.ino() && ours.dev() == there.dev(),
        _ => false,
    }
}

fn written_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "process id unknown".into(), |pid| format!("process {pid}"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_second_one_is_told_who_holds_the_state_directory() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::acquire(dir.path()).unwrap();
        let error = Lock::acquire(dir.path()).unwrap_err();
        assert!(matches!(error, LockError::Held { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
        drop(first);
        Lock::acquire(dir.path()).unwrap();
    }

    #[test]
    fn what_a_killed_holder_left_is_in_nobodys_way_and_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("lock"), "4194304999\nlonger than any process id\n").unwrap();
        let _lock = Lock::acquire(dir.path()).unwrap();
        let text = fs::read_to_string(dir.path().join("lock")).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_lock_that_somebody_removed_is_known_and_can_be_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::acquire(dir.path()).unwrap();
        assert!(lock.stands());
        fs::remove_file(dir.path().join("lock")).unwrap();
        assert!(!lock.stands());
        let again = Lock::acquire(dir.path()).unwrap();
        assert!(again.stands() && !lock.stands());
    }

    #[test]
    fn a_missing_directory_and_a_link_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = Lock::acquire(&dir.path().join("missing")).unwrap_err();
        assert!(matches!(error, LockError::Io { .. }), "{error:?}");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), dir.path().join("lock")).unwrap();
        assert!(matches!(Lock::acquire(dir.path()), Err(LockError::Io { .. })));
    }
}
