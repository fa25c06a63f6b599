//! What was lost, by why.

/// Why bytes can never be delivered; the label `reason` of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapCause {
    /// The file was cut, rewritten or deleted before it was read.
    Truncated,
    /// The file vanished while it was not held open.
    Vanished,
    /// A batch that a restart left cannot be read again.
    Unsettled,
    /// A full spool gave them up.
    Detached,
}

impl GapCause {
    pub const ALL: [Self; 4] = [Self::Truncated, Self::Vanished, Self::Unsettled, Self::Detached];

    /// As in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Vanished => "vanished",
            Self::Unsettled => "unsettled",
            Self::Detached => "detached",
        }
    }
}

/// Gaps and the bytes in them that are known to be lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GapCounts {
    pub gaps: u64,
    pub bytes: u64,
    /// Of the gaps, those of which nobody knows how large they are.
    pub unknown: u64,
}

/// By cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps([GapCounts; GapCause::ALL.len()]);

impl Gaps {
    pub fn add(&mut self, cause: GapCause, counts: GapCounts) {
        self.0[cause as usize].enter(counts);
    }

    pub fn enter(&mut self, other: &Self) {
        for (counts, other) in self.0.iter_mut().zip(other.0) {
            counts.enter(other);
        }
    }

    pub fn by_cause(&self) -> impl Iterator<Item = (GapCause, GapCounts)> + use<> {
        GapCause::ALL.into_iter().zip(self.0)
    }

    pub fn total(&self) -> GapCounts {
        let mut total = GapCounts::default();
        self.0.iter().for_each(|counts| total.enter(*counts));
        total
    }
}

impl GapCounts {
    fn enter(&mut self, other: Self) {
        self.gaps += other.gaps;
        self.bytes += other.bytes;
        self.unknown += other.unknown;
    }
}
