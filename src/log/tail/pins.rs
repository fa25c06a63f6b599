//! How many descriptors the scanner holds.
//!
//! A held descriptor keeps a file readable once it is renamed or deleted. Where they are short, a file that still
//! stands at its path goes without: it is opened when it is read. One that was rotated away comes first, so as many
//! again are set aside for those.

use super::FileLives;
use crate::log::segment::SegmentState;

#[derive(Clone, Copy, Debug)]
pub(super) struct Pins {
    /// For files that still stand at their path.
    most: usize,
    held: usize,
}

impl Pins {
    pub(super) fn new(most: usize) -> Self {
        Self { most, held: 0 }
    }

    /// Counts what is held: nothing else has to keep the books.
    pub(super) fn count(&mut self, lives: &FileLives) {
        self.held = lives.iter().filter(|life| life.segment.is_pinned()).count();
    }

    pub(super) fn held(self) -> usize {
        self.held
    }

    /// Whether so few are left that files at their path will soon go without: what is deleted then is lost.
    pub(super) fn are_scarce(self) -> bool {
        self.held >= self.most - self.most / 4
    }

    /// Takes one for a file in this state; false where there is none left.
    pub(super) fn take(&mut self, state: SegmentState) -> bool {
        let most = if state == SegmentState::Active { self.most } else { self.most.saturating_mul(2) };
        let free = self.held < most;
        self.held += usize::from(free);
        free
    }

    pub(super) fn give_back(&mut self) {
        self.held = self.held.saturating_sub(1);
    }
}
