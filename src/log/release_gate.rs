//! Where each forwarder durably stands, so that what all are past can be released.
//!
//! A log that needs room may ask a forwarder for its oldest segments. First the forwarder reports where it stands by now:
//! a second ago may be long ago. Where it is asked for them again it gives them up. It holds them until it says that it
//! did, which is when nothing can be lost with them in silence any more.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard},
};

use super::position::SegmentId;

/// The durable cursors of the forwarders that follow one log.
///
/// A forwarder that is enlisted and has said nothing yet holds everything back.
#[derive(Debug, Default)]
pub struct ReleaseGate(Mutex<HashMap<String, Follower>>);

#[derive(Debug, Default)]
struct Follower {
    /// Everything before these offsets is settled, and that is on disk.
    cursors: BTreeMap<SegmentId, u64>,
    /// It is asked for everything up to and with this segment.
    asked: Option<SegmentId>,
    /// It has reported since.
    reported: bool,
    /// It is to give up everything up to and with this segment.
    due: Option<SegmentId>,
    /// It gave up everything up to and with this segment.
    detached: Option<SegmentId>,
}

/// What a log wants of a forwarder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowerRequest {
    /// To know where it stands.
    Report,
    /// That it gives up what it has not read up to and with this segment.
    Detach(SegmentId),
}

impl ReleaseGate {
    /// From now on nothing is released without this forwarder.
    pub fn add_follower(&self, forwarder: &str) {
        self.lock().entry(forwarder.to_owned()).or_default();
    }

    /// The forwarder follows this log no more.
    pub fn remove_follower(&self, forwarder: &str) {
        self.lock().remove(forwarder);
    }

    /// Everything before these offsets is settled, and that is on disk.
    pub fn report(&self, forwarder: &str, cursors: BTreeMap<SegmentId, u64>) {
        let mut board = self.lock();
        let standing = board.entry(forwarder.to_owned()).or_default();
        standing.cursors = cursors;
        standing.reported = true;
    }

    /// Whether every forwarder is past the bytes `start..end` of a segment; never where there is no forwarder.
    pub fn all_past(&self, segment: SegmentId, start: u64, end: u64) -> bool {
        let board = self.lock();
        !board.is_empty() && !board.values().any(|standing| standing.holds(segment, start, end))
    }

    /// Where the hindmost forwarder is in a segment that begins at `start`.
    pub fn lowest(&self, segment: SegmentId, start: u64) -> u64 {
        let board = self.lock();
        board.values().map(|standing| *standing.cursors.get(&segment).unwrap_or(&start)).min().unwrap_or(start)
    }

    /// Those that are not past the bytes `start..end` of a segment.
    pub fn holders(&self, segment: SegmentId, start: u64, end: u64) -> BTreeSet<String> {
        let board = self.lock();
        let holders = board.iter().filter(|(_, standing)| standing.holds(segment, start, end));
        holders.map(|(forwarder, _)| forwarder.clone()).collect()
    }

    /// Asks these for everything up to and with a segment, and all others for nothing any more. True where there is
    /// something new to do.
    pub fn ask(&self, forwarders: &BTreeSet<String>, segment: SegmentId) -> bool {
        let mut is_new = false;
        for (forwarder, standing) in self.lock().iter_mut() {
            is_new |= if forwarders.contains(forwarder) { standing.ask(segment) } else { standing.ask_nothing() };
        }
        is_new
    }

    /// What this forwarder is asked for.
    pub fn request(&self, forwarder: &str) -> Option<FollowerRequest> {
        let board = self.lock();
        let Follower { asked, reported, due, .. } = board.get(forwarder)?;
        let report = asked.filter(|_| !reported).map(|_| FollowerRequest::Report);
        due.map(FollowerRequest::Detach).or(report)
    }

    /// The forwarder needs nothing up to and with this segment any more: what it had not read is a gap in its journal,
    /// on disk, and what it had read is in its memory and known to its journal.
    pub fn detached(&self, forwarder: &str, segment: SegmentId) {
        if let Some(standing) = self.lock().get_mut(forwarder) {
            standing.detached = standing.detached.max(Some(segment));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Follower>> {
        self.0.lock().expect("nothing panics while it holds the board")
    }
}

impl Follower {
    fn ask(&mut self, segment: SegmentId) -> bool {
        let before = (self.asked, self.due);
        match self.asked {
            // What it was asked for when it reported is what it is asked for still.
            Some(asked) if self.reported => {
                self.due = self.due.max(Some(asked.min(segment)));
                (self.asked, self.reported) = (Some(segment), false);
            }
            Some(asked) => self.asked = Some(asked.min(segment)),
            None => (self.asked, self.reported) = (Some(segment), false),
        }
        before != (self.asked, self.due)
    }

    fn ask_nothing(&mut self) -> bool {
        (self.asked, self.due) = (None, None);
        false
    }

    fn holds(&self, segment: SegmentId, start: u64, end: u64) -> bool {
        self.detached < Some(segment) && *self.cursors.get(&segment).unwrap_or(&start) < end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_held_until_every_forwarder_is_past_its_end() {
        let board = ReleaseGate::default();
        let segment = SegmentId(3);
        assert!(!board.all_past(segment, 0, 0), "nobody follows yet: nothing is released");
        board.add_follower("a");
        board.add_follower("b");
        board.report("a", BTreeMap::from([(segment, 10)]));
        assert!(!board.all_past(segment, 0, 10));
        board.report("b", BTreeMap::from([(segment, 9)]));
        assert!(!board.all_past(segment, 0, 10));
        assert_eq!((board.lowest(segment, 0), board.lowest(SegmentId(4), 7)), (9, 7));
        board.report("b", BTreeMap::from([(segment, 10)]));
        assert!(board.all_past(segment, 0, 10));
        board.report("b", BTreeMap::new());
        assert!(!board.all_past(segment, 0, 10));
        board.remove_follower("b");
        assert!(board.all_past(segment, 0, 10));
    }

    #[test]
    fn who_is_asked_reports_first_and_gives_up_what_it_is_asked_for_still() {
        let board = ReleaseGate::default();
        let a = BTreeSet::from(["a".to_owned()]);
        let ask = |last: u64| board.ask(&a, SegmentId(last));
        let due = |last: u64| Some(FollowerRequest::Detach(SegmentId(last)));
        board.add_follower("a");
        board.add_follower("b");
        board.report("a", BTreeMap::new());
        assert!(ask(3));
        assert_eq!(
            (board.request("a"), board.request("b")),
            (Some(FollowerRequest::Report), None),
            "what it said before does not count"
        );
        assert!(!ask(3));
        board.report("a", BTreeMap::new());
        assert_eq!(board.request("a"), None, "it was not asked since");
        assert!(ask(5));
        assert_eq!(board.request("a"), due(3), "no more than it knew of when it reported");
        board.report("a", BTreeMap::new());
        assert!(ask(4));
        assert_eq!(board.request("a"), due(4), "and no more than what is needed still");
        board.ask(&BTreeSet::new(), SegmentId(9));
        assert_eq!(board.request("a"), None);
        assert!(ask(9));
        assert_eq!(board.request("a"), Some(FollowerRequest::Report), "it begins anew");
    }

    #[test]
    fn to_be_asked_releases_nothing_and_to_give_up_releases_no_more_than_that() {
        let board = ReleaseGate::default();
        let segment = SegmentId;
        let both = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        board.add_follower("a");
        board.add_follower("b");
        for _ in 0..3 {
            board.ask(&both, segment(3));
            board.report("a", BTreeMap::new());
        }
        assert_eq!(board.request("a"), Some(FollowerRequest::Detach(segment(3))));
        assert_eq!(board.holders(segment(3), 0, 10), both);
        board.detached("a", segment(3));
        // What it reports of its cursors later, one of them in a batch that it still has, changes nothing.
        board.report("a", BTreeMap::from([(segment(2), 5)]));
        assert_eq!(board.holders(segment(2), 0, 10), BTreeSet::from(["b".to_owned()]));
        assert_eq!(board.holders(segment(4), 0, 10), both);
        board.remove_follower("b");
        assert!(board.all_past(segment(2), 0, 10) && board.all_past(segment(3), 0, 10));
        assert!(!board.all_past(segment(4), 0, 10));
        board.detached("a", segment(2));
        assert!(board.all_past(segment(3), 0, 10), "what was given up stays so");
    }
}
