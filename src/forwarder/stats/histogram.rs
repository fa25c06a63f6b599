//! A count of values by size, as Prometheus shows it.

/// Fixed buckets; each counts the values up to its bound and above the bound before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is above the last.
    counts: Vec<u64>,
    sum: f64,
}

/// Seconds, around the default timeout of 5 s.
const SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Events, up to the default of `batch.maxEvents` and beyond.
const EVENTS: &[f64] = &[1.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 10_000.0];
/// Bytes, up to the default of `batch.maxBytes` and beyond.
const BYTES: &[f64] = &[1e3, 4e3, 16e3, 64e3, 128e3, 256e3, 512e3, 1e6, 2e6, 4e6, 16e6];

impl Histogram {
    pub fn of_seconds() -> Self {
        Self::new(SECONDS)
    }

    pub fn of_events() -> Self {
        Self::new(EVENTS)
    }

    pub fn of_bytes() -> Self {
        Self::new(BYTES)
    }

    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    pub fn observe(&mut self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        self.counts[bucket] += 1;
        self.sum += value;
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Each bound with its own count, not added up; the last bound is infinite.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.counts.iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_on_a_bound_belongs_to_it_and_one_above_all_to_infinity() {
        let mut histogram = Histogram::of_events();
        for value in [1.0, 1.5, 10.0, 99_999.0] {
            histogram.observe(value);
        }
        let buckets = histogram.buckets();
        assert_eq!(buckets[..2], [(1.0, 1), (10.0, 2)]);
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, 1)));
        assert_eq!((histogram.count(), histogram.sum()), (4, 100_011.5));
    }
}
