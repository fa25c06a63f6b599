//! Comparing what two files hold.

use std::{fs::File, io, sync::atomic::AtomicU64, sync::atomic::Ordering::Relaxed};

use crate::log::reader::read_fully;

const BLOCK: usize = 256 * 1024;

/// Whether two files have the same bytes from `from` to `to`; false where one of them is shorter. `progress` moves
/// meanwhile.
pub fn same_bytes(one: &File, other: &File, from: u64, to: u64, progress: &AtomicU64) -> io::Result<bool> {
    let (mut a, mut b) = (vec![0; BLOCK], vec![0; BLOCK]);
    let mut at = from;
    while at < to {
        let most = (to - at).min(BLOCK as u64) as usize;
        let got = read_fully(one, &mut a[..most], at)?;
        if got < most || read_fully(other, &mut b[..most], at)? < most || a[..most] != b[..most] {
            return Ok(false);
        }
        at += most as u64;
        progress.fetch_add(1, Relaxed);
    }
    Ok(true)
}
