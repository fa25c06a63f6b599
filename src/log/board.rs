//! Where each forwarder durably stands, so that what all are past can be released.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
};

use super::position::SegmentId;

/// The durable cursors of the forwarders that follow one log.
///
/// A forwarder that is enlisted and has said nothing yet holds everything back.
#[derive(Debug, Default)]
pub struct Board(Mutex<HashMap<String, BTreeMap<SegmentId, u64>>>);

impl Board {
    /// From now on nothing is released without this forwarder.
    pub fn enlist(&self, forwarder: &str) {
        self.lock().entry(forwarder.to_owned()).or_default();
    }

    /// The forwarder follows this log no more.
    pub fn dismiss(&self, forwarder: &str) {
        self.lock().remove(forwarder);
    }

    /// Everything before these offsets is settled, and that is on disk.
    pub fn report(&self, forwarder: &str, cursors: BTreeMap<SegmentId, u64>) {
        self.lock().insert(forwarder.to_owned(), cursors);
    }

    /// Whether every forwarder is past the bytes `start..end` of a segment; never where there is no forwarder.
    pub fn all_past(&self, segment: SegmentId, start: u64, end: u64) -> bool {
        let board = self.lock();
        !board.is_empty() && board.values().all(|cursors| *cursors.get(&segment).unwrap_or(&start) >= end)
    }

    /// Where the hindmost forwarder is in a segment that begins at `start`.
    pub fn lowest(&self, segment: SegmentId, start: u64) -> u64 {
        let board = self.lock();
        board.values().map(|cursors| *cursors.get(&segment).unwrap_or(&start)).min().unwrap_or(start)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<SegmentId, u64>>> {
        self.0.lock().expect("nothing panics while it holds the board")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_held_until_every_forwarder_is_past_its_end() {
        let board = Board::default();
        let segment = SegmentId(3);
        assert!(!board.all_past(segment, 0, 0), "nobody follows yet: nothing is released");
        board.enlist("a");
        board.enlist("b");
        board.report("a", BTreeMap::from([(segment, 10)]));
        assert!(!board.all_past(segment, 0, 10));
        board.report("b", BTreeMap::from([(segment, 9)]));
        assert!(!board.all_past(segment, 0, 10));
        assert_eq!((board.lowest(segment, 0), board.lowest(SegmentId(4), 7)), (9, 7));
        board.report("b", BTreeMap::from([(segment, 10)]));
        assert!(board.all_past(segment, 0, 10));
        board.report("b", BTreeMap::new());
        assert!(!board.all_past(segment, 0, 10));
        board.dismiss("b");
        assert!(board.all_past(segment, 0, 10));
    }
}
