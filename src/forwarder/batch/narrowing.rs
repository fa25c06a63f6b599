//! The plan by which a refused batch is narrowed down to the events that the receiver refuses.

use std::ops::Range;

/// Which part of a batch to send next: halves, left first, so that what is good is settled in order as it goes.
///
/// The parts still to be sent are always one run, from the first event not settled to the batch's end. Finding one bad
/// event among n takes at most 2·⌈log2 n⌉ requests after the one that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Narrowing {
    /// Half-open, the next one last.
    parts: Vec<Range<usize>>,
}

impl Narrowing {
    /// For a batch of `events` that was just refused as a whole. One event alone cannot be narrowed: it is the part.
    pub fn new(events: usize) -> Self {
        let mut plan = Self { parts: Vec::new() };
        if events > 0 {
            plan.parts.push(0..events);
            plan.split();
        }
        plan
    }

    /// For a batch of which the parts are known: consecutive ones, in order, that are all of it.
    pub fn in_parts(parts: impl IntoIterator<Item = Range<usize>>) -> Self {
        let mut plan = Self { parts: parts.into_iter().collect() };
        plan.parts.reverse();
        plan
    }

    /// Puts `parts`, consecutive and in order, in the place of the part that [`Narrowing::next`] gave, which is they.
    pub fn cut(&mut self, parts: impl IntoIterator<Item = Range<usize>>) {
        self.parts.pop();
        let behind = self.parts.len();
        self.parts.extend(parts);
        self.parts[behind..].reverse();
    }

    /// The part to send now; none when the whole batch is settled. It stays the same until it is split or settled, so
    /// that a part can be sent again as often as it takes.
    pub fn next(&self) -> Option<Range<usize>> {
        self.parts.last().cloned()
    }

    /// The part that [`Narrowing::next`] gave is refused as well: halve it. False: it is one event alone.
    pub fn split(&mut self) -> bool {
        let Some(part) = self.parts.pop() else {
            return false;
        };
        if part.len() < 2 {
            self.parts.push(part);
            return false;
        }
        let middle = part.start + part.len() / 2;
        self.parts.push(middle..part.end);
        self.parts.push(part.start..middle);
        true
    }

    /// The part that [`Narrowing::next`] gave is delivered, or the one event that it is, is dead-lettered.
    pub fn settle(&mut self) {
        self.parts.pop();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Plays a receiver that refuses whatever holds one of `bad`.
    fn play(events: usize, bad: &BTreeSet<usize>) -> (Vec<usize>, Vec<usize>, u32) {
        let (mut delivered, mut dead, mut requests) = (Vec::new(), Vec::new(), 0);
        let mut plan = Narrowing::new(events);
        while let Some(part) = plan.next() {
            requests += 1;
            if bad.range(part.clone()).next().is_none() {
                delivered.extend(part);
                plan.settle();
            } else if !plan.split() {
                dead.extend(part);
                plan.settle();
            }
        }
        (delivered, dead, requests)
    }

    proptest! {
        #[test]
        fn only_what_is_bad_is_dead_and_all_is_settled_once_in_order(
            events in 1usize..300,
            bad in prop::collection::btree_set(0usize..300, 0..10),
        ) {
            let bad: BTreeSet<_> = bad.into_iter().filter(|event| *event < events).collect();
            let (delivered, dead, _) = play(events, &bad);
            prop_assert_eq!(&dead, &bad.iter().copied().collect::<Vec<_>>());
            prop_assert!(delivered.is_sorted());
            prop_assert_eq!(delivered.len() + dead.len(), events);
        }

        #[test]
        fn one_bad_event_is_found_in_few_requests(events in 2usize..5000, at in 0usize..5000) {
            let (_, _, requests) = play(events, &BTreeSet::from([at % events]));
            prop_assert!(requests <= 2 * events.next_power_of_two().ilog2(), "{requests} for {events}");
        }
    }

    #[test]
    fn known_parts_come_in_their_order_and_one_of_them_can_be_cut_again() {
        let mut plan = Narrowing::in_parts([0..2, 2..3, 3..9]);
        plan.settle();
        plan.settle();
        plan.cut([3..4, 4..8, 8..9]);
        let mut seen = Vec::new();
        while let Some(part) = plan.next() {
            seen.push(part);
            plan.settle();
        }
        assert_eq!(seen, [3..4, 4..8, 8..9]);
    }

    #[test]
    fn a_batch_that_is_bad_throughout_takes_at_most_two_requests_an_event() {
        let all = (0..1024).collect();
        let (delivered, dead, requests) = play(1024, &all);
        assert_eq!((delivered.len(), dead.len(), requests), (0, 1024, 2 * 1024 - 2));
    }

    #[test]
    fn a_part_stays_the_next_one_until_its_fate_is_known() {
        let mut plan = Narrowing::new(5);
        assert_eq!((plan.next(), plan.next()), (Some(0..2), Some(0..2)));
        plan.settle();
        assert_eq!(plan.next(), Some(2..5));
        assert!(plan.split());
        assert_eq!(plan.next(), Some(2..3));
        assert!(!plan.split());
        assert_eq!(plan.next(), Some(2..3), "one event alone is not split");
        assert_eq!(Narrowing::new(1).next(), Some(0..1));
        assert_eq!(Narrowing::new(0).next(), None);
    }
}
