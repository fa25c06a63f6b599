//! The guard against dead-lettering a whole stream: where nearly everything is refused, the receiver's schema or our
//! content type is wrong, not the events.

use std::collections::VecDeque;

/// So many events refused in a row are no accident.
const IN_A_ROW: u32 = 20;

/// Nor is half of the last so many.
const WINDOW: usize = 200;

/// What becomes of one event that the receiver refused alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    DeadLetter,
    /// Keep it and hold: stop dead-lettering until the receiver takes something again.
    Hold,
}

/// Counts the verdicts over single events: those taken, alone or within a batch, and those refused alone.
///
/// Events and not requests are counted: narrowing a batch down to its one bad event asks about as many bad single
/// events as good ones, and must not look as if half of the stream were bad.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusalBreaker {
    /// The last [`WINDOW`] events; true: refused.
    window: VecDeque<bool>,
    refused: usize,
    in_a_row: u32,
    holding: bool,
}

impl RefusalBreaker {
    /// The receiver took `events`. Ends a hold and forgets what led to it.
    pub fn delivered(&mut self, events: usize) {
        if events == 0 {
            return;
        }
        if self.holding || events >= WINDOW {
            *self = Self::default();
        }
        self.in_a_row = 0;
        (0..events.min(WINDOW)).for_each(|_| self.push(false));
    }

    /// The receiver refused one event alone.
    pub fn refused(&mut self) -> Ruling {
        if !self.holding {
            self.in_a_row += 1;
            self.push(true);
            let half = self.window.len() == WINDOW && self.refused >= WINDOW / 2;
            self.holding = self.in_a_row >= IN_A_ROW || half;
        }
        if self.holding { Ruling::Hold } else { Ruling::DeadLetter }
    }

    fn push(&mut self, refused: bool) {
        if self.window.len() == WINDOW && self.window.pop_front() == Some(true) {
            self.refused -= 1;
        }
        self.window.push_back(refused);
        self.refused += usize::from(refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_is_refused_throughout_loses_fewer_than_twenty_events() {
        let mut guard = RefusalBreaker::default();
        let dead = (0..1000).filter(|_| guard.refused() == Ruling::DeadLetter).count();
        assert_eq!(dead, 19);
        guard.delivered(1);
        assert_eq!(guard.refused(), Ruling::DeadLetter, "one delivery ends the hold");
    }

    #[test]
    fn half_of_the_last_two_hundred_is_too_many_even_with_some_taken_between() {
        let mut guard = RefusalBreaker::default();
        let mut dead = 0;
        for _ in 0..200 {
            guard.delivered(1);
            if guard.refused() == Ruling::Hold {
                break;
            }
            dead += 1;
        }
        assert_eq!(dead, 99);
    }

    #[test]
    fn a_bad_event_in_each_batch_never_trips_it() {
        let mut guard = RefusalBreaker::default();
        for _ in 0..10_000 {
            [500, 250, 249].into_iter().for_each(|part| guard.delivered(part));
            assert_eq!(guard.refused(), Ruling::DeadLetter);
        }
        // Narrowing asks about one good single event for each bad one; the larger parts count as what they are.
        let mut guard = RefusalBreaker::default();
        for _ in 0..10_000 {
            [1, 4, 2, 1].into_iter().for_each(|part| guard.delivered(part));
            assert_eq!(guard.refused(), Ruling::DeadLetter);
        }
    }

    #[test]
    fn the_window_forgets() {
        let mut guard = RefusalBreaker::default();
        for _ in 0..15 {
            (0..10).for_each(|_| assert_eq!(guard.refused(), Ruling::DeadLetter));
            guard.delivered(190);
        }
        assert_eq!((guard.window.len(), guard.refused), (200, 10));
    }
}
