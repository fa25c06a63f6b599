//! How large a body a receiver takes, learned from its refusals.

/// So many deliveries in a row near the ceiling before it is tried a little higher.
const PATIENCE: u32 = 100;

/// A ceiling that is less than this part of what is configured says more of one event than of the receiver: it is
/// doubled, ten times as soon.
const FAR_BELOW: usize = 64;

/// It is tried no more seldom than this, however often a higher ceiling was refused.
const MOST_PATIENCE: u32 = 100 * 64;

/// The largest body to build, in bytes before compression: the configured one until the receiver refused one.
///
/// A receiver may measure before or after decompression; either way a body half as large passes sooner or later, and
/// that is all that is assumed. It is not kept over a restart: what was learned is learned again in a few requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizeCeiling {
    configured: usize,
    learned: Option<Learned>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Learned {
    bytes: usize,
    /// Where it stood before it was last tried higher, while that is not proven.
    proven: Option<usize>,
    /// Deliveries in a row near the ceiling.
    near: u32,
    patience: u32,
}

impl SizeCeiling {
    pub fn new(configured: usize) -> Self {
        Self { configured, learned: None }
    }

    pub fn max_bytes(&self) -> usize {
        self.learned.as_ref().map_or(self.configured, |learned| learned.bytes)
    }

    /// There is no use in sending a body of more bytes: it is about as long as one that was refused, which is twice
    /// what was learned.
    pub fn hopeless(&self) -> usize {
        self.learned.as_ref().map_or(usize::MAX, |learned| learned.bytes.saturating_add(learned.bytes / 2))
    }

    /// The receiver refused a body of `bytes` for its size: never build one of more than half of it.
    ///
    /// Where the ceiling had only been tried higher it goes back to where it was, and waits twice as long.
    pub fn refused(&mut self, bytes: usize) {
        let patience = match &self.learned {
            Some(Learned { proven: Some(proven), patience, .. }) if bytes > *proven => {
                let patience = (patience * 2).min(MOST_PATIENCE);
                self.learned = Some(Learned { bytes: *proven, proven: None, near: 0, patience });
                return;
            }
            Some(learned) => learned.patience,
            None => PATIENCE,
        };
        let bytes = (bytes / 2).max(1).min(self.max_bytes());
        self.learned = Some(Learned { bytes, proven: None, near: 0, patience });
    }

    /// The receiver took a body of `bytes`. After enough of them near the ceiling it rises by a tenth, or doubles where it
    /// is far below what is configured.
    pub fn delivered(&mut self, bytes: usize) {
        let Some(learned) = &mut self.learned else {
            return;
        };
        // Batches end at whole events, so that few are exactly as large as they may be.
        if bytes < learned.bytes / 4 * 3 {
            return;
        }
        learned.near += 1;
        let far_below = learned.bytes < self.configured / FAR_BELOW;
        let (patience, step) =
            if far_below { (learned.patience / 10, learned.bytes) } else { (learned.patience, learned.bytes / 10) };
        if learned.near < patience {
            return;
        }
        let higher = learned.bytes + step.max(1);
        if higher >= self.configured {
            self.learned = None;
        } else {
            *learned = Learned { bytes: higher, proven: Some(learned.bytes), near: 0, patience: learned.patience };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1_000_000;

    /// Sends bodies as large as allowed to a receiver that measures with `fits`; how many of them it refused.
    fn play(ceiling: &mut SizeCeiling, bodies: usize, fits: impl Fn(usize) -> bool) -> usize {
        let mut refused = 0;
        for _ in 0..bodies {
            let bytes = ceiling.max_bytes();
            if fits(bytes) {
                ceiling.delivered(bytes);
            } else {
                refused += 1;
                ceiling.refused(bytes);
            }
        }
        refused
    }

    #[test]
    fn it_converges_whether_the_receiver_measures_before_or_after_compression() {
        for (name, fits) in
            [("raw", (|bytes| bytes <= 100_000) as fn(usize) -> bool), ("compressed", |bytes| bytes / 6 <= 100_000)]
        {
            let mut ceiling = SizeCeiling::new(MB);
            let refused = play(&mut ceiling, 20, fits);
            assert!(refused <= 4 && fits(ceiling.max_bytes()), "{name}: {refused} refused, {ceiling:?}");
            assert!(!fits(ceiling.max_bytes() * 2), "{name}: not smaller than need be, {ceiling:?}");
        }
    }

    #[test]
    fn it_is_tried_higher_rarely_and_ever_more_rarely() {
        let mut ceiling = SizeCeiling::new(MB);
        let refused = play(&mut ceiling, 100_000, |bytes| bytes <= 100_000);
        assert!(refused <= 30, "{refused} of 100000 were refused");
        assert!(ceiling.max_bytes() > 80_000, "{ceiling:?}");
    }

    #[test]
    fn it_rises_to_what_is_configured_when_the_receiver_has_become_more_generous() {
        let mut ceiling = SizeCeiling::new(MB);
        ceiling.refused(MB);
        assert_eq!(ceiling.max_bytes(), MB / 2);
        assert_eq!(play(&mut ceiling, 99, |_| true), 0);
        assert_eq!(ceiling.max_bytes(), MB / 2, "not before a hundred deliveries");
        play(&mut ceiling, 1, |_| true);
        assert_eq!(ceiling.max_bytes(), MB / 2 + MB / 20);
        play(&mut ceiling, 1000, |_| true);
        assert_eq!(ceiling, SizeCeiling::new(MB));
    }

    #[test]
    fn one_small_event_that_was_refused_does_not_make_every_body_small_for_long() {
        let mut ceiling = SizeCeiling::new(MB);
        ceiling.refused(200);
        assert_eq!(ceiling.max_bytes(), 100);
        assert_eq!(play(&mut ceiling, 80, |_| true), 0);
        assert!(ceiling.max_bytes() >= MB / FAR_BELOW, "{ceiling:?}");
        // Where the receiver means it, it is asked more and more rarely.
        let mut ceiling = SizeCeiling::new(MB);
        let refused = play(&mut ceiling, 10_000, |bytes| bytes <= 250);
        assert!(refused <= 40 && ceiling.max_bytes() <= 250, "{refused} refused, {ceiling:?}");
    }

    #[test]
    fn small_bodies_prove_nothing_and_a_late_refusal_of_a_larger_one_does_not_raise_it() {
        let mut ceiling = SizeCeiling::new(MB);
        ceiling.refused(200_000);
        (0..1000).for_each(|_| ceiling.delivered(1000));
        assert_eq!(ceiling.max_bytes(), 100_000);
        ceiling.refused(800_000);
        assert_eq!(ceiling.max_bytes(), 100_000);
        ceiling.refused(0);
        assert_eq!(ceiling.max_bytes(), 1);
    }
}
