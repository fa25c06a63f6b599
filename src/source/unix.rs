//! The files of Unix sockets.
//!
//! What always holds: nobody can connect before the file has its permissions, for it is made in a directory of ours
//! and moved; a socket on which somebody listens, and any other file, is left alone. A crash leaves a stale socket,
//! which the next start replaces.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net as std_net,
    },
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tokio::net::{UnixDatagram, UnixListener, UnixStream};
use tracing::warn;

use super::spool_writer::SpoolWriter;
use crate::alarm::{AlarmKind, AlarmSubject};

/// Where the users of this machine are listed.
const USERS: &str = "/etc/passwd";

/// A socket's file while it is ours. It is removed with it.
struct SocketFile {
    path: PathBuf,
    mode: u32,
    /// Device and inode.
    key: (u64, u64),
}

impl SocketFile {
    /// Binds a socket and gives it its name.
    fn bind<T>(path: &Path, mode: u32, bind: impl Fn(&Path) -> io::Result<T>) -> Result<(T, Self), String> {
        free(path)?;
        let failed = |error: io::Error| format!("{error}; set path to a file in a directory that we may write to");
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ours = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let _ = fs::remove_dir_all(&ours);
        DirBuilder::new().mode(0o700).create(&ours).map_err(failed)?;
        let inner = ours.join("s");
        let bound = bind(&inner).and_then(|socket| {
            fs::set_permissions(&inner, Permissions::from_mode(mode))?;
            let it = fs::symlink_metadata(&inner)?;
            fs::rename(&inner, path)?;
            Ok((socket, Self { path: path.to_owned(), mode, key: (it.dev(), it.ino()) }))
        });
        let _ = fs::remove_dir_all(&ours);
        bound.map_err(failed)
    }

    fn stands(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|it| (it.dev(), it.ino()) == self.key)
    }

    /// Binds anew where the file is gone, and says so.
    fn mend<T>(&mut self, spool_writer: &SpoolWriter, bind: impl Fn(&Path) -> io::Result<T>) -> Option<T> {
        if self.stands() {
            return None;
        }
        let (text, socket) = match Self::bind(&self.path, self.mode, bind) {
            Ok((socket, file)) => {
                *self = file;
                (format!("somebody removed the socket {}; it is bound again", self.path.display()), Some(socket))
            }
            Err(why) => {
                let path = self.path.display();
                (format!("somebody removed the socket {path}, and it cannot be bound again: {why}"), None)
            }
        };
        if spool_writer.alarms.raise(
            &AlarmSubject::source(&spool_writer.name),
            AlarmKind::File,
            &*text,
            Timestamp::now(),
        ) {
            warn!(source = &*spool_writer.name, "{text}");
        }
        socket
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.stands() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a socket may be put at this path: nothing is there, or a socket on which nobody listens.
fn free(path: &Path) -> Result<(), String> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.to_string()),
        Ok(it) if !it.file_type().is_socket() => {
            Err("there is a file that is no socket, and it is left alone: remove it, or set path to another"
                .to_owned())
        }
        Ok(_) => match try_connect(path) {
            Err(rustix::io::Errno::CONNREFUSED | rustix::io::Errno::NOENT) => Ok(()),
            Err(rustix::io::Errno::ACCESS) => {
                Err("there is a socket of somebody else: set path to another".to_owned())
            }
            _ => Err("another process listens on it: stop that, or set path to another".to_owned()),
        },
    }
}

fn try_connect(path: &Path) -> rustix::io::Result<()> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let listener = std_net::UnixListener::bind(path)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// A listening socket, and who may connect.
pub struct UnixStreams {
    listener: UnixListener,
    file: SocketFile,
    /// Empty: whoever may open the file.
    allowed: Vec<u32>,
}

impl UnixStreams {
    pub fn bind(path: &Path, mode: u32, users: &[String]) -> Result<Self, String> {
        let allowed = users.iter().map(|user| uid(user)).collect::<Result<_, _>>()?;
        let (listener, file) = SocketFile::bind(path, mode, listen)?;
        Ok(Self { listener, file, allowed })
    }

    /// A client and the user that it runs as.
    pub async fn accept(&self) -> io::Result<(UnixStream, u32)> {
        let (stream, _) = self.listener.accept().await?;
        let uid = stream.peer_cred()?.uid();
        Ok((stream, uid))
    }

    pub fn allows(&self, uid: u32) -> bool {
        self.allowed.is_empty() || self.allowed.contains(&uid)
    }

    pub fn look(&mut self, spool_writer: &SpoolWriter) {
        if let Some(listener) = self.file.mend(spool_writer, listen) {
            self.listener = listener;
        }
    }
}

/// A socket for datagrams.
pub struct UnixDatagrams {
    pub socket: UnixDatagram,
    file: SocketFile,
}

impl UnixDatagrams {
    pub fn bind(path: &Path, mode: u32) -> Result<Self, String> {
        let (socket, file) = SocketFile::bind(path, mode, |path| UnixDatagram::bind(path))?;
        Ok(Self { socket, file })
    }

    pub fn look(&mut self, spool_writer: &SpoolWriter) {
        if let Some(socket) = self.file.mend(spool_writer, |path| UnixDatagram::bind(path)) {
            self.socket = socket;
        }
    }
}

fn uid(user: &str) -> Result<u32, String> {
    if let Ok(uid) = user.parse() {
        return Ok(uid);
    }
    let users = fs::read_to_string(USERS).map_err(|error| format!("allowUsers: {USERS} cannot be read: {error}"))?;
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(user)).then(|| fields.nth(1)?.parse().ok())?
    });
    named.ok_or_else(|| format!("allowUsers: there is no user {user:?} in {USERS}: write another, or the uid"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    fn bind(path: &Path) -> Result<(std_net::UnixListener, SocketFile), String> {
        SocketFile::bind(path, 0o640, |path| std_net::UnixListener::bind(path))
    }

    // J16
    #[test]
    fn only_a_socket_on_which_nobody_listens_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let (listener, file) = bind(&path).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert!(bind(&path).err().unwrap().contains("another process listens"));
        drop(listener);
        let (_listener, second) = bind(&path).unwrap();
        drop(file);
        assert!(second.stands(), "the first must not remove what is no longer its own");
        drop(second);
        assert!(!path.exists());
        fs::write(&path, "precious").unwrap();
        assert!(bind(&path).err().unwrap().contains("no socket"));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_live_socket_for_datagrams_is_not_stale() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        let _live = std_net::UnixDatagram::bind(&path).unwrap();
        assert!(bind(&path).is_err());
    }

    #[test]
    fn users_are_numbers_or_names() {
        assert_eq!(uid("1234"), Ok(1234));
        assert_eq!(uid("root"), Ok(0));
        assert!(uid("nobody-of-this-name").is_err());
    }
}
