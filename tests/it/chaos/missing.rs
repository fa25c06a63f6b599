//! What has not arrived, and where it may be looked for.

use std::collections::BTreeSet;

use super::{Arrived, Chaos, NAMES};

impl Chaos {
    /// What is missing, by receiver: the first few.
    pub(super) fn missing(&self, now: &[Arrived]) -> Vec<String> {
        let mut missing = Vec::new();
        for ((name, before), now) in NAMES.iter().zip(&self.arrived).zip(now) {
            // What alone was answered with 413 is a dead letter too.
            let kept: String = self
                .sidecar
                .read_all(&format!("state/dead-letters/{name}"))
                .into_iter()
                .map(|(_, text)| text)
                .collect();
            let is_missing = |n: &u64| {
                let id = || format!("evt-{n:010}");
                !before.contains_key(n) && !now.events.contains_key(n) && !kept.contains(&id())
            };
            let events = (0..self.next).filter(is_missing).map(|n| format!("{name}: {n}"));
            missing.extend(events.take(5));
            let letters: BTreeSet<String> = self
                .sidecar
                .dead_letters(name)
                .iter()
                .filter_map(|letter| letter["payload"].as_str().map(str::to_owned))
                .collect();
            missing.extend(self.bad.difference(&letters).map(|bad| format!("{name}: {bad}")).take(5));
        }
        missing
    }
}

/// What stands in a directory: names and sizes.
pub(super) fn listing(dir: &std::path::Path) -> Vec<(String, u64)> {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name().display().to_string(), entry.metadata().unwrap().len())).collect()
}
