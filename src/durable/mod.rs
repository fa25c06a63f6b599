//! Files that must survive: replaced whole, or appended to, in directories that nobody else can touch.
//!
//! What always holds: after [`replace`] returns, a power cut leaves the new content; before that, the old or the
//! new one, never a mixture. A crash leaves at most one `NAME.tmp` beside the file; the next replacement removes
//! it. No name is followed where it is a symbolic link.

pub mod lines;
pub mod path;
mod private;
mod room;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

pub use private::{PrivateDirError, create_private_dir};
pub use room::need_room;

/// Replaces the content of `path`: temporary file (0600, beside it), write, fsync, rename, fsync the directory.
///
/// # Errors
/// Names the step. Before the rename the old file is intact; when only the directory's fsync failed the new file is
/// in place, but may be the old one again after a power cut. Only one process may replace a given file at a time.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, |file| file.write_all(bytes))
}

/// The same with what `write` puts into the new file.
///
/// # Errors
/// As [`replace`], and those of `write`.
pub fn replace_with(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let temporary = temporary(path)?;
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(explain("cannot remove", &temporary, &e));
        }
        _ => {}
    }
    let written = fill(&temporary, write)
        .and_then(|()| fs::rename(&temporary, path).map_err(|e| explain("cannot rename a new file to", path, &e)));
    if let Err(e) = written {
        // What is left over is removed by the next replacement at the latest.
        let _ = fs::remove_file(&temporary);
        return Err(e);
    }
    sync_directory(parent(path))
}

/// Opens `path` for appending, creating it (0600) where it is missing.
///
/// # Errors
/// Those of `open`; a symbolic link is refused.
pub fn append_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(no_follow())
        .open(path)
        .map_err(|e| explain("cannot open for appending", path, &e))
}

/// Creates `path` (0600), which must not exist yet, for appending, and makes its name durable.
///
/// # Errors
/// Those of `open`, `AlreadyExists` among them, and of the directory's fsync.
pub fn create_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(no_follow())
        .open(path)
        .map_err(|e| explain("cannot create", path, &e))?;
    sync_directory(parent(path))?;
    Ok(file)
}

/// Creates `path` (0600), which must not exist yet, to be written anywhere in it. Its name is durable only once the
/// directory is synced.
///
/// # Errors
/// Those of `open`, `AlreadyExists` among them.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(no_follow())
        .open(path)
        .map_err(|e| explain("cannot create", path, &e))
}

/// Opens `path` for reading.
///
/// # Errors
/// Those of `open`; a symbolic link is refused.
pub fn read_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(no_follow()).open(path).map_err(|e| explain("cannot open", path, &e))
}

/// Makes the names in a directory durable.
///
/// # Errors
/// Those of `open` and `fsync`.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|e| explain("cannot sync the directory", directory, &e))
}

fn fill(temporary: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = create_new(temporary)?;
    write(&mut file).map_err(|e| explain("cannot write", temporary, &e))?;
    file.sync_all().map_err(|e| explain("cannot sync", temporary, &e))
}

fn temporary(path: &Path) -> io::Result<PathBuf> {
    let mut name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("{} names no file", path.display())))?
        .to_owned();
    name.push(".tmp");
    Ok(path.with_file_name(name))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[expect(clippy::cast_possible_wrap, reason = "open takes the flags as a C int")]
fn no_follow() -> i32 {
    (OFlags::NOFOLLOW | OFlags::CLOEXEC).bits() as i32
}

/// Adds the step and the object; a full file system is said to lack inodes where that is what it lacks.
fn explain(step: &str, path: &Path, error: &io::Error) -> io::Error {
    let no_inodes = error.kind() == io::ErrorKind::StorageFull
        && rustix::fs::statvfs(parent(path)).is_ok_and(|system| system.f_files > 0 && system.f_favail == 0);
    let inodes = if no_inodes { " (no free inodes)" } else { "" };
    io::Error::new(error.kind(), format!("{step} {}: {error}{inodes}", path.display()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_replaced_file_has_the_new_content_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_a_crashed_replacement_left_does_not_stop_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        fs::write(dir.path().join("state.tmp"), b"half").unwrap();
        replace(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert!(!dir.path().join("state.tmp").exists());
    }

    #[test]
    fn a_symbolic_link_in_the_place_of_a_file_is_never_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, b"untouched").unwrap();
        for name in ["state", "state.tmp"] {
            symlink(&victim, dir.path().join(name)).unwrap();
        }
        assert!(append_file(&dir.path().join("state")).is_err());
        assert!(read_file(&dir.path().join("state")).is_err());
        replace(&dir.path().join("state"), b"new").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"untouched");
        assert_eq!(fs::read(dir.path().join("state")).unwrap(), b"new");
    }

    #[test]
    fn a_failed_replacement_leaves_the_old_content_and_names_the_step() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), b"old").unwrap();
        let error = replace(&path, b"new").unwrap_err().to_string();
        assert!(error.starts_with("cannot rename a new file to "), "{error}");
        assert_eq!(fs::read(path.join("inside")).unwrap(), b"old");
        assert!(!dir.path().join("state.tmp").exists());
    }
}
