//! How far behind a forwarder is: in bytes, and in time.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

use crate::log::{Log, SegmentId};

/// The most samples that are kept; older ones then lie further apart.
const SAMPLES: usize = 512;

/// Follows how a log grows, so as to tell since when the oldest unsettled byte has been there.
#[derive(Debug, Default)]
pub struct Backlog {
    sizes: HashMap<SegmentId, u64>,
    /// All bytes that the log was ever seen to have.
    written: u64,
    /// When the log was seen to have so many.
    samples: VecDeque<(u64, Timestamp)>,
}

impl Backlog {
    /// Looks at the log. `settled`: how many bytes of each segment are. Bytes not settled, and since when the first of them
    /// was seen.
    pub fn measure(
        &mut self,
        log: &Log,
        settled: impl Fn(SegmentId) -> Option<u64>,
        now: Timestamp,
    ) -> (u64, Option<Timestamp>) {
        let segments = log.segments();
        let before = self.written;
        let mut behind = 0;
        for segment in segments.iter() {
            let size = segment.size();
            let known = self.sizes.insert(segment.id, size).unwrap_or(segment.start.offset);
            self.written += size.saturating_sub(known);
            behind += size.saturating_sub(settled(segment.id).unwrap_or(segment.start.offset));
        }
        self.sizes.retain(|id, _| segments.binary_search_by_key(id, |segment| segment.id).is_ok());
        (behind, self.since(before, behind, now))
    }

    fn since(&mut self, before: u64, behind: u64, now: Timestamp) -> Option<Timestamp> {
        if self.written > before {
            self.samples.push_back((self.written, now));
        }
        let done = self.written.saturating_sub(behind);
        while self.samples.front().is_some_and(|(written, _)| *written <= done) {
            self.samples.pop_front();
        }
        if self.samples.len() > SAMPLES {
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
        }
        (behind > 0).then(|| self.samples.front().map_or(now, |(_, since)| *since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_that_of_the_oldest_byte_not_settled() {
        let mut backlog = Backlog::default();
        let at = |second| Timestamp::from_second(second).expect("in range");
        let mut see = |written: u64, settled: u64, second: i64| {
            let before = std::mem::replace(&mut backlog.written, written);
            backlog.since(before, written - settled, at(second))
        };
        assert_eq!(see(0, 0, 0), None);
        assert_eq!(see(100, 0, 10), Some(at(10)));
        assert_eq!(see(200, 0, 20), Some(at(10)));
        assert_eq!(see(200, 99, 30), Some(at(10)));
        assert_eq!(see(200, 100, 40), Some(at(20)));
        assert_eq!(see(300, 200, 50), Some(at(50)));
        assert_eq!(see(300, 300, 60), None);
    }
}
