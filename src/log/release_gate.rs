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
/// A follower that has reported nothing yet holds everything back.
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
        let mut followers = self.lock();
        let follower = followers.entry(forwarder.to_owned()).or_default();
        follower.cursors = cursors;
        follower.reported = true;
    }

    /// Whether every forwarder is past the bytes `start..end` of a segment; never where there is no forwarder.
    pub fn all_past(&self, segment: SegmentId, start: u64, end: u64) -> bool {
        let followers = self.lock();
        !followers.is_empty() && !followers.values().any(|follower| follower.holds(segment, start, end))
    }

    /// Where the hindmost forwarder is in a segment that begins at `start`.
    pub fn lowest(&self, segment: SegmentId, start: u64) -> u64 {
        let followers = self.lock();
        followers.values().map(|follower| *follower.cursors.get(&segment).unwrap_or(&start)).min().unwrap_or(start)
    }

    /// Those that are not past the bytes `start..end` of a segment.
    pub fn holders(&self, segment: SegmentId, start: u64, end: u64) -> BTreeSet<String> {
        let followers = self.lock();
        let holders = followers.iter().filter(|(_, follower)| follower.holds(segment, start, end));
        holders.map(|(forwarder, _)| forwarder.clone()).collect()
    }

    /// Asks these for everything up to and with a segment, and all others for nothing any more. True where there is
    /// something new to do.
    pub fn ask(&self, forwarders: &BTreeSet<String>, segment: SegmentId) -> bool {
        let mut is_new = false;
        for (forwarder, follower) in self.lock().iter_mut() {
            is_new |= if forwarders.contains(forwarder) { follower.ask(segment) } else { follower.ask_nothing() };
        }
        is_new
    }

    /// What this forwarder is asked for.
    pub fn request(&self, forwarder: &str) -> Option<FollowerRequest> {
        let followers = self.lock();
        let Follower { asked, reported, due, .. } = followers.get(forwarder)?;
        let report = asked.filter(|_| !reported).map(|_| FollowerRequest::Report);
        due.map(FollowerRequest::Detach).or(report)
    }

    /// The forwarder needs nothing up to and with this segment any more: what it had not read is a gap in its journal,
    /// on disk, and what it had read is in its memory and known to its journal.
    pub fn detached(&self, forwarder: &str, segment: SegmentId) {
        if let Some(follower) = self.lock().get_mut(forwarder) {
            follower.detached = follower.detached.max(Some(segment));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Follower>> {
        self.0.lock().expect("nothing panics while it holds the followers")
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
        let followers = ReleaseGate::default();
        let segment = SegmentId(3);
        assert!(!followers.all_past(segment, 0, 0), "nobody follows yet: nothing is released");
        followers.add_follower("a");
        followers.add_follower("b");
        followers.report("a", BTreeMap::from([(segment, 10)]));
        assert!(!followers.all_past(segment, 0, 10));
        followers.report("b", BTreeMap::from([(segment, 9)]));
        assert!(!followers.all_past(segment, 0, 10));
        assert_eq!((followers.lowest(segment, 0), followers.lowest(SegmentId(4), 7)), (9, 7));
        followers.report("b", BTreeMap::from([(segment, 10)]));
        assert!(followers.all_past(segment, 0, 10));
        followers.report("b", BTreeMap::new());
        assert!(!followers.all_past(segment, 0, 10));
        followers.remove_follower("b");
        assert!(followers.all_past(segment, 0, 10));
    }

    #[test]
    fn who_is_asked_reports_first_and_gives_up_what_it_is_asked_for_still() {
        let followers = ReleaseGate::default();
        let a = BTreeSet::from(["a".to_owned()]);
        let ask = |last: u64| followers.ask(&a, SegmentId(last));
        let due = |last: u64| Some(FollowerRequest::Detach(SegmentId(last)));
        followers.add_follower("a");
        followers.add_follower("b");
        followers.report("a", BTreeMap::new());
        assert!(ask(3));
        assert_eq!(
            (followers.request("a"), followers.request("b")),
            (Some(FollowerRequest::Report), None),
            "what it said before does not count"
        );
        assert!(!ask(3));
        followers.report("a", BTreeMap::new());
        assert_eq!(followers.request("a"), None, "it was not asked since");
        assert!(ask(5));
        assert_eq!(followers.request("a"), due(3), "no more than it knew of when it reported");
        followers.report("a", BTreeMap::new());
        assert!(ask(4));
        assert_eq!(followers.request("a"), due(4), "and no more than what is needed still");
        followers.ask(&BTreeSet::new(), SegmentId(9));
        assert_eq!(followers.request("a"), None);
        assert!(ask(9));
        assert_eq!(followers.request("a"), Some(FollowerRequest::Report), "it begins anew");
    }

    #[test]
    fn to_be_asked_releases_nothing_and_to_give_up_releases_no_more_than_that() {
        let followers = ReleaseGate::default();
        let segment = SegmentId;
        let both = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        followers.add_follower("a");
        followers.add_follower("b");
        for _ in 0..3 {
            followers.ask(&both, segment(3));
            followers.report("a", BTreeMap::new());
        }
        assert_eq!(followers.request("a"), Some(FollowerRequest::Detach(segment(3))));
        assert_eq!(followers.holders(segment(3), 0, 10), both);
        followers.detached("a", segment(3));
        // What it reports of its cursors later, one of them in a batch that it still has, changes nothing.
        followers.report("a", BTreeMap::from([(segment(2), 5)]));
        assert_eq!(followers.holders(segment(2), 0, 10), BTreeSet::from(["b".to_owned()]));
        assert_eq!(followers.holders(segment(4), 0, 10), both);
        followers.remove_follower("b");
        assert!(followers.all_past(segment(2), 0, 10) && followers.all_past(segment(3), 0, 10));
        assert!(!followers.all_past(segment(4), 0, 10));
        followers.detached("a", segment(2));
        assert!(followers.all_past(segment(3), 0, 10), "what was given up stays so");
    }
}
