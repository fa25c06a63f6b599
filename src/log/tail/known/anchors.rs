//! Finding what stood before a cursor in another file.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::log::{position::Anchor, reader::read_fully};

const BLOCK: usize = 256 * 1024;

/// So much of a file is looked through.
const MOST: u64 = 64 * 1024 * 1024;

/// The line ends of a file before which the bytes of these anchors stand. Only an anchor of full length counts, that is
/// found once, and whose last two lines differ: where lines are all the same, nothing tells which are new.
pub fn find_anchors(file: &File, wanted: &HashSet<Anchor>, progress: &AtomicU64) -> io::Result<HashMap<Anchor, u64>> {
    let mut found: HashMap<Anchor, u64> = HashMap::new();
    let mut doubtful: HashSet<Anchor> = HashSet::new();
    let mut buffer = vec![0; Anchor::BYTES + BLOCK];
    let (mut kept, mut at) = (0, 0);
    while at < MOST {
        let got = read_fully(file, &mut buffer[kept..kept + BLOCK], at)?;
        let bytes = &buffer[..kept + got];
        for end in memchr::memchr_iter(b'\n', bytes).map(|feed| feed + 1).filter(|end| *end > kept) {
            let Some(window) = end.checked_sub(Anchor::BYTES).map(|from| &bytes[from..end]) else { continue };
            let anchor = Anchor::of(window);
            if !wanted.contains(&anchor) {
                continue;
            }
            if repeats_itself(window) || found.insert(anchor, at + (end - kept) as u64).is_some() {
                doubtful.insert(anchor);
            }
        }
        progress.fetch_add(1, Relaxed);
        if got < BLOCK {
            break;
        }
        at += got as u64;
        let filled = kept + got;
        kept = Anchor::BYTES.min(filled);
        buffer.copy_within(filled - kept..filled, 0);
    }
    found.retain(|anchor, _| !doubtful.contains(anchor));
    Ok(found)
}

/// Whether the last two lines are the same, as far as both stand in it.
fn repeats_itself(window: &[u8]) -> bool {
    let mut lines = window[..window.len() - 1].rsplit(|byte| *byte == b'\n');
    let (last, before, oldest) = (lines.next(), lines.next(), lines.next());
    oldest.is_some() && last == before
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_found_at_its_line_end_wherever_blocks_end() {
        let dir = tempfile::tempdir().unwrap();
        let text: String = (0..60_000).map(|n| format!("line {n}\n")).collect();
        let path = dir.path().join("file");
        std::fs::write(&path, &text).unwrap();
        let ends: Vec<usize> = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1).collect();
        let near = |place: usize| *ends.iter().find(|end| **end >= place).unwrap();
        for end in [256, 300, BLOCK - 20, BLOCK, BLOCK + 5, 2 * BLOCK + 1, text.len()].map(near) {
            let anchor = Anchor::of(&text.as_bytes()[..end]);
            let found =
                find_anchors(&File::open(&path).unwrap(), &HashSet::from([anchor]), &AtomicU64::new(0)).unwrap();
            assert_eq!(found.get(&anchor), Some(&(end as u64)));
        }
    }

    #[test]
    fn what_repeats_itself_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let differing: String = (0..30).map(|n| format!("line {n:09}\n")).collect();
        for text in ["tick\n".repeat(60), differing.repeat(2)] {
            std::fs::write(&path, &text).unwrap();
            let anchor = Anchor::of(text.as_bytes());
            let found =
                find_anchors(&File::open(&path).unwrap(), &HashSet::from([anchor]), &AtomicU64::new(0)).unwrap();
            assert_eq!(found.len(), 0);
        }
    }
}
