//! Directories of the state tree: 0700, ours, and no symbolic link.

use std::{
    fs::{DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use thiserror::Error;

/// Why a directory cannot hold state.
#[derive(Debug, Error)]
pub enum PrivateDirError {
    #[error(
        "cannot create or open {}: {source}; no state can be kept, so what needs it is not started: \
         make its parent writable for this user or set another stateDir", path.display()
    )]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{} is a symbolic link; state written through it could land anywhere, so what needs it is not started: \
         put a real directory there or name the link's target as stateDir", path.display()
    )]
    Symlink { path: PathBuf },
    #[error(
        "{} is not a directory; no state can be kept, so what needs it is not started: \
         move it away or set another stateDir", path.display()
    )]
    NotADirectory { path: PathBuf },
    #[error(
        "{} belongs to user {owner} and this process runs as user {user}; its owner could change the state, so what \
         needs it is not started: run as its owner, chown it, or set another stateDir", path.display()
    )]
    Owner { path: PathBuf, owner: u32, user: u32 },
    #[error(
        "{} has mode {mode:04o}: others may write to it and could change the state, so what needs it is not started: \
         chmod 700 it, or set stateDir to a directory of its own inside it", path.display()
    )]
    Writable { path: PathBuf, mode: u32 },
}

/// Makes sure that `path` is a directory (created as 0700, with missing parents) that only this user can write to.
///
/// # Errors
/// Refuses a symbolic link, what is no directory, another owner, and one that the group or all may write to.
pub fn create_private_dir(path: &Path) -> Result<(), PrivateDirError> {
    let io = |source| PrivateDirError::Io { path: path.to_owned(), source };
    if let Err(e) = path.symlink_metadata() {
        if e.kind() != io::ErrorKind::NotFound {
            return Err(io(e));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        super::sync_directory(super::parent(path)).map_err(io)?;
    }
    inspect(path)
}

fn inspect(path: &Path) -> Result<(), PrivateDirError> {
    let io = |source| PrivateDirError::Io { path: path.to_owned(), source };
    // The kind is asked first for a clear message; the opened descriptor is what counts.
    let kind = path.symlink_metadata().map_err(io)?.file_type();
    if kind.is_symlink() {
        return Err(PrivateDirError::Symlink { path: path.to_owned() });
    }
    if !kind.is_dir() {
        return Err(PrivateDirError::NotADirectory { path: path.to_owned() });
    }
    #[expect(clippy::cast_possible_wrap, reason = "open takes the flags as a C int")]
    let flags = (OFlags::DIRECTORY | OFlags::NOFOLLOW).bits() as i32;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(io)?;
    let metadata = opened.metadata().map_err(io)?;
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(PrivateDirError::Owner { path: path.to_owned(), owner: metadata.uid(), user });
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(PrivateDirError::Writable { path: path.to_owned(), mode: metadata.mode() & 0o7777 });
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;

    #[test]
    fn a_missing_directory_is_made_for_its_owner_alone_and_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("var/lib/auditpost");
        create_private_dir(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        create_private_dir(&path).unwrap();
    }

    #[test]
    fn a_link_a_file_and_a_directory_open_to_others_are_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink(dir.path(), &link).unwrap();
        assert!(matches!(create_private_dir(&link), Err(PrivateDirError::Symlink { .. })));
        let dangling = dir.path().join("dangling");
        symlink(dir.path().join("nowhere"), &dangling).unwrap();
        assert!(matches!(create_private_dir(&dangling), Err(PrivateDirError::Symlink { .. })));
        let file = dir.path().join("file");
        fs::write(&file, b"").unwrap();
        assert!(matches!(create_private_dir(&file), Err(PrivateDirError::NotADirectory { .. })));
        for mode in [0o777, 0o720, 0o702] {
            let open = dir.path().join(format!("open{mode:o}"));
            fs::create_dir(&open).unwrap();
            fs::set_permissions(&open, Permissions::from_mode(mode)).unwrap();
            let error = create_private_dir(&open).unwrap_err();
            assert!(matches!(error, PrivateDirError::Writable { .. }), "{mode:o}");
            let text = error.to_string();
            assert!(text.contains(&format!("{mode:04o}")) && text.contains("chmod 700"), "{text}");
        }
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        // The root directory belongs to root; whoever is not root sees a wrong owner, root needs one it gave away.
        let dir = tempfile::tempdir().unwrap();
        let given = dir.path().join("given");
        fs::create_dir(&given).unwrap();
        let refused = if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&given, Some(65534), None).unwrap();
            create_private_dir(&given)
        } else {
            create_private_dir(Path::new("/"))
        };
        assert!(matches!(refused, Err(PrivateDirError::Owner { .. })), "{refused:?}");
    }
}
