//! Whether there is room for what can wait: it must not take the last of a disk that journals need too.

use std::{io, path::Path};

/// Bytes that stay free on the disk of the state directory, or a tenth of a smaller one.
const ROOM: u64 = 64 * 1024 * 1024;

/// Says so where a file of so many bytes would leave too little room in a directory.
///
/// # Errors
/// `StorageFull` where it would; those of looking.
pub fn need_room(directory: &Path, bytes: u64) -> io::Result<()> {
    let system = rustix::fs::statvfs(directory)?;
    let room = ROOM.min(system.f_blocks.saturating_mul(system.f_frsize) / 10);
    if system.f_bavail.saturating_mul(system.f_frsize) < bytes.saturating_add(room) {
        return Err(io::Error::new(
            io::ErrorKind::StorageFull,
            format!("its {bytes} bytes need room in {}", directory.display()),
        ));
    }
    Ok(())
}
