//! The books of one forwarder and one source: what became of every event that was read.
//!
//! `read = delivered + filtered + dead-lettered + gap + in flight` holds at every moment, because what is in flight
//! is not counted but is the rest: an event comes in by being read and goes out by being settled, once.

use super::gap::{GapCause, GapCounts, Gaps};

/// Totals since the process started. They change by [`Books::enter`] only, and never go down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    read: u64,
    /// What `read` was before what was in flight was to be read again.
    read_before: u64,
    bytes_read: u64,
    delivered: u64,
    filtered: u64,
    dead_lettered: u64,
    gaps: Gaps,
    values_cut: u64,
}

/// What happened to events of one source since the last time it was entered.
///
/// A plain value: the forwarder's task adds to it event by event at no cost, and enters it once for a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    read: u64,
    bytes_read: u64,
    delivered: u64,
    filtered: u64,
    dead_lettered: u64,
    gaps: Gaps,
    values_cut: u64,
}

impl Tally {
    /// Events were read, `bytes` with their line ends: they are in flight.
    pub fn read(&mut self, events: u64, bytes: u64) {
        self.read += events;
        self.bytes_read += bytes;
    }

    /// Of the events that were read, the books have so many already.
    pub fn known(&mut self, events: u64) {
        self.read = self.read.saturating_sub(events);
    }

    /// Events in flight arrived at the webhook.
    pub fn delivered(&mut self, events: u64) {
        self.delivered += events;
    }

    /// Events in flight were kept back by a rule, and the cursor is past them.
    pub fn filtered(&mut self, events: u64) {
        self.filtered += events;
    }

    /// Events in flight were written to the dead letters.
    pub fn dead_lettered(&mut self, events: u64) {
        self.dead_lettered += events;
    }

    /// Bytes that can never be read were recorded as one gap. Nobody knows how many events they held: it counts as
    /// one, read and lost at once. Where nobody knows how large it is, the bytes are those that are known to be lost.
    pub fn gap(&mut self, cause: GapCause, bytes: u64, is_unknown: bool) {
        self.gaps.add(cause, GapCounts { gaps: 1, bytes, unknown: u64::from(is_unknown) });
    }

    /// Values were cut to the length that their CEF key holds; an event encoded again is counted again.
    pub fn values_cut(&mut self, values: u64) {
        self.values_cut += values;
    }
}

impl Books {
    /// Enters a tally. Settling more than was read is a bug: it panics in a debug build, and counts the surplus as
    /// read in a release.
    pub fn enter(&mut self, tally: &Tally) {
        self.read += tally.read + tally.gaps.total().gaps;
        self.bytes_read += tally.bytes_read;
        self.delivered += tally.delivered;
        self.filtered += tally.filtered;
        self.dead_lettered += tally.dead_lettered;
        self.gaps.enter(&tally.gaps);
        self.values_cut += tally.values_cut;

        debug_assert!(self.settled() <= self.read, "more events settled than read: {self:?}");
        self.read = self.read.max(self.settled());
    }

    /// What is in flight is to be read again, and is not counted twice for that.
    pub fn start_again(&mut self) {
        self.read_before = self.read();
        self.read = self.settled();
    }

    /// Events read, and one for each gap.
    pub fn read(&self) -> u64 {
        self.read.max(self.read_before)
    }

    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    pub fn filtered(&self) -> u64 {
        self.filtered
    }

    pub fn dead_lettered(&self) -> u64 {
        self.dead_lettered
    }

    /// Recorded gaps.
    pub fn gap(&self) -> u64 {
        self.gaps.total().gaps
    }

    pub fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// Bytes in recorded gaps; not among the bytes read.
    pub fn gap_bytes(&self) -> u64 {
        self.gaps.total().bytes
    }

    /// Of the recorded gaps, those of which nobody knows how large they are.
    pub fn unknown_gaps(&self) -> u64 {
        self.gaps.total().unknown
    }

    /// Values that were too long for their CEF key.
    pub fn values_cut(&self) -> u64 {
        self.values_cut
    }

    /// Events read and not settled.
    pub fn in_flight(&self) -> u64 {
        self.read() - self.settled()
    }

    fn settled(&self) -> u64 {
        self.delivered + self.filtered + self.dead_lettered + self.gap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(books: &mut Books, fill: impl FnOnce(&mut Tally)) {
        let mut tally = Tally::default();
        fill(&mut tally);
        books.enter(&tally);
    }

    #[test]
    fn an_event_is_in_flight_from_read_to_settled() {
        let mut books = Books::default();
        enter(&mut books, |tally| {
            (0..10).for_each(|_| tally.read(1, 100));
            tally.filtered(1);
        });
        assert_eq!((books.read(), books.bytes_read(), books.in_flight()), (10, 1000, 9));
        enter(&mut books, |tally| {
            tally.delivered(5);
            tally.dead_lettered(2);
        });
        assert_eq!((books.delivered(), books.filtered()), (5, 1));
        assert_eq!((books.dead_lettered(), books.in_flight()), (2, 2));
    }

    #[test]
    fn what_was_in_flight_at_a_start_is_read_again_and_counted_once() {
        let mut books = Books::default();
        enter(&mut books, |tally| {
            tally.read(10, 1000);
            tally.delivered(6);
        });
        books.start_again();
        assert_eq!((books.read(), books.in_flight()), (10, 4));
        enter(&mut books, |tally| {
            tally.read(3, 300);
            tally.delivered(2);
        });
        assert_eq!((books.read(), books.in_flight()), (10, 2));
        enter(&mut books, |tally| tally.read(4, 400));
        assert_eq!((books.read(), books.delivered(), books.in_flight()), (13, 8, 5));
        books.start_again();
        books.start_again();
        assert_eq!((books.read(), books.in_flight()), (13, 5));
    }

    #[test]
    fn a_gap_counts_as_one_event_read_and_lost_and_its_bytes_apart() {
        let mut books = Books::default();
        enter(&mut books, |tally| tally.gap(GapCause::Truncated, 5000, false));
        assert_eq!((books.read(), books.gap(), books.in_flight()), (1, 1, 0));
        assert_eq!((books.bytes_read(), books.gap_bytes()), (0, 5000));
    }

    #[test]
    #[should_panic(expected = "more events settled than read")]
    fn settling_what_was_never_read_is_noticed() {
        enter(&mut Books::default(), |tally| tally.delivered(1));
    }
}
