//! Comparing what two files hold.

use std::{
    fs::File,
    io,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::log::reader::read_fully;

const BLOCK: usize = 256 * 1024;

/// Whether two files have the same bytes from `from` to `to`; false where one of them is shorter. `progress` moves
/// meanwhile.
pub fn same_bytes(one: &File, other: &File, from: u64, to: u64, progress: &AtomicU64) -> io::Result<bool> {
    Ok(same_until(one, other, from, to, progress)? == to)
}

/// Where two files begin to differ, or one of them ends, between `from` and `to`.
pub fn same_until(one: &File, other: &File, from: u64, to: u64, progress: &AtomicU64) -> io::Result<u64> {
    let (mut a, mut b) = (vec![0; BLOCK], vec![0; BLOCK]);
    let mut at = from;
    while at < to {
        let most = (to - at).min(BLOCK as u64) as usize;
        let both = read_fully(one, &mut a[..most], at)?.min(read_fully(other, &mut b[..most], at)?);
        let same = a[..both].iter().zip(&b[..both]).position(|(a, b)| a != b).unwrap_or(both);
        at += same as u64;
        if same < most {
            break;
        }
        progress.fetch_add(1, Relaxed);
    }
    Ok(at)
}
