//! Whether somebody has a file open for writing.

use std::{
    fs::File,
    io,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
};

/// What the kernel says of those who have a file open for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::log::tail) enum FileWriters {
    /// Nobody has, and nobody will: the file has no name by which it could be opened.
    None,
    /// Somebody has, or has it mapped.
    Some,
    /// It cannot be asked, or the file has a name somewhere.
    Unknown,
}

impl FileWriters {
    /// Of a file that is open for reading. One that has a name is not asked about: it would be in the way of who opens it.
    ///
    /// Writers on another machine are not seen, and a file system that has them mostly says that it cannot be asked.
    pub(in crate::log::tail) fn of(file: &File) -> Self {
        match file.metadata() {
            Ok(metadata) if metadata.nlink() == 0 => {}
            _ => return Self::Unknown,
        }
        match lease(file) {
            Ok(()) => Self::None,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Self::Some,
            // Not the owner's process and without CAP_LEASE, or a file system without leases.
            Err(_) => Self::Unknown,
        }
    }
}

/// Which signal tells of a lease that is in the way; 10 on all that auditpost is built for.
const F_SETSIG: libc::c_int = 10;

/// Takes a read lease on the file, which is refused while anybody has it open for writing, and gives it back at once.
#[expect(unsafe_code, reason = "no crate of the graph has a safe call for leases")]
fn lease(file: &File) -> io::Result<()> {
    let fd = file.as_raw_fd();
    let call = |command, argument: libc::c_int| {
        // SAFETY: these commands take an integer and touch no memory; the descriptor is open as long as `file` is.
        match unsafe { libc::fcntl(fd, command, argument) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    };
    // Whoever opened it for writing in between would have us signalled: by one that is ignored unless it is asked for.
    call(F_SETSIG, libc::SIGURG)?;
    call(libc::F_SETLEASE, libc::F_RDLCK)?;
    call(libc::F_SETLEASE, libc::F_UNLCK)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{fs, io::Write};

    use super::*;

    #[test]
    fn a_writer_is_seen_on_a_file_without_a_name_until_it_closes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        let mut writer = File::create(&path).unwrap();
        writer.write_all(b"line\n").unwrap();
        let [reader, other] = [(); 2].map(|()| File::open(&path).unwrap());
        assert_eq!(FileWriters::of(&reader), FileWriters::Unknown, "it has a name");
        fs::remove_file(&path).unwrap();
        let same = writer.try_clone().unwrap();
        drop(writer);
        assert_eq!(FileWriters::of(&reader), FileWriters::Some);
        drop(same);
        assert_eq!([&reader, &other].map(FileWriters::of), [FileWriters::None; 2], "and does not stay in the way");
    }

    #[test]
    fn a_name_elsewhere_cannot_be_asked_about() {
        let dir = tempfile::tempdir().unwrap();
        let [path, other] = ["a.log", "other"].map(|name| dir.path().join(name));
        fs::write(&path, "line\n").unwrap();
        let reader = File::open(&path).unwrap();
        fs::hard_link(&path, &other).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(FileWriters::of(&reader), FileWriters::Unknown);
    }
}
