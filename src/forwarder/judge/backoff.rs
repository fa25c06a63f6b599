//! How long to wait before the next attempt: full jitter, so that senders that failed together do not come back
//! together.

use std::time::Duration;

use fastrand::Rng;

use crate::config::Retry;

/// Exponential backoff with full jitter. It has no last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
}

impl Backoff {
    pub fn new(retry: Retry) -> Self {
        Self { initial: retry.initial, max: retry.max }
    }

    /// The wait after `failures` failed attempts in a row (0 counts as 1).
    ///
    /// It is uniform between a tenth of `initial`, so that it never spins, and `initial` doubled for each failure after
    /// the first, at most `max`. A wait that the receiver asked for is the least, with up to a tenth more.
    pub fn delay(&self, failures: u32, retry_after: Option<Duration>, rng: &mut Rng) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let ceiling = self.initial.saturating_mul(1 << doublings).min(self.max);
        let floor = (self.initial / 10).min(ceiling);
        let own = between(floor, ceiling, rng);
        let asked = retry_after.map_or(Duration::ZERO, |least| between(least, least + least / 10, rng));
        own.max(asked)
    }
}

fn between(low: Duration, high: Duration, rng: &mut Rng) -> Duration {
    Duration::from_nanos(rng.u64(nanos(low)..=nanos(high).max(nanos(low))))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn backoff() -> Backoff {
        Backoff::new(Retry { initial: SECOND, max: 60 * SECOND })
    }

    proptest! {
        #[test]
        fn a_wait_lies_between_its_floor_and_its_ceiling(failures in 0u32..10_001, seed: u64) {
            let delay = backoff().delay(failures, None, &mut Rng::with_seed(seed));
            let ceiling = SECOND * 2u32.pow(failures.saturating_sub(1).min(6));
            prop_assert!(delay >= SECOND / 10 && delay <= ceiling.min(60 * SECOND), "{delay:?}");
        }

        #[test]
        fn what_the_receiver_asks_for_is_the_least(seconds in 61u64..3600, seed: u64) {
            let asked = Duration::from_secs(seconds);
            let delay = backoff().delay(3, Some(asked), &mut Rng::with_seed(seed));
            prop_assert!(delay >= asked && delay <= asked + asked / 10, "{delay:?}");
        }
    }

    #[test]
    fn a_short_retry_after_does_not_shorten_our_own_wait() {
        let least = (0..1000).map(|seed| backoff().delay(9, Some(Duration::ZERO), &mut Rng::with_seed(seed))).min();
        assert!(least >= Some(SECOND / 10));
    }

    #[test]
    fn senders_that_fail_together_come_back_spread_over_the_whole_window() {
        let mut rng = Rng::with_seed(7);
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            let delay = backoff().delay(7, None, &mut rng);
            tenths[(delay.as_secs_f64() / 6.0).min(9.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|&count| (800..1200).contains(&count)), "{tenths:?}");
    }

    #[test]
    fn no_setting_overflows_or_panics() {
        for (initial, max) in
            [(Duration::MAX, Duration::MAX), (Duration::ZERO, Duration::ZERO), (60 * SECOND, SECOND)]
        {
            let delay = Backoff::new(Retry { initial, max }).delay(10_000, Some(SECOND), &mut Rng::with_seed(1));
            assert!(delay >= SECOND);
        }
    }
}
