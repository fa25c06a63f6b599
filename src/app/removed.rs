//! Forwarders that are no longer configured and have cursors in the state directory.
//!
//! What always holds: such a forwarder is shown with what it has not delivered, and what it counted in this process and
//! told as lost stays; one that comes back goes on with both. Nothing waits for it: what it has not delivered may be
//! rotated away.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;

use super::{App, orphans};
use crate::forwarder::{
    backlog::Backlog,
    journal::{Journal, Recovered, SettledCursors},
    stats::{ForwarderState, ForwarderStats},
};

const REASON: &str = "no longer configured: add it again and it goes on where it stopped, or drop what is kept of it \
                      with `auditpost cursors forget`";

pub(super) struct RemovedForwarder {
    pub(super) stats: Arc<ForwarderStats>,
    /// By source: up to where it is settled, and what lies behind that.
    sources: BTreeMap<String, (SettledCursors, Backlog)>,
}

impl RemovedForwarder {
    /// Its name and how many bytes it has not delivered of what is there.
    pub(super) fn left(&self) -> (String, u64) {
        let left = self.stats.snapshot().sources.iter().map(|source| source.backlog_bytes).sum();
        (self.stats.name().to_owned(), left)
    }
}

impl App {
    /// Shows those that the state directory knows and the configuration does not, and no others.
    pub(super) fn find_removed(&mut self) {
        let names = orphans::forwarders(&self.config.state_dir, &self.config);
        self.removed.retain(|name, _| names.contains(name));
        for name in names {
            if self.removed.contains_key(&name) {
                continue;
            }
            // One that cannot be read is told of where it is needed.
            let recovered = Journal::read(&self.config.state_dir, &name).ok().flatten();
            let settled = |recovered: Recovered| {
                let sources = recovered.read_cursors.keys();
                let settled =
                    sources.map(|name| (name.clone(), (recovered.settled_cursors(name), Backlog::default())));
                settled.collect::<BTreeMap<_, _>>()
            };
            let sources = recovered.map(settled).unwrap_or_default();
            let stats = self.stats_of(&name, &sources.keys().cloned().collect::<Vec<_>>());
            stats.set_state(ForwarderState::Removed, Some(REASON.to_owned()), Timestamp::now());
            self.removed.insert(name, RemovedForwarder { stats, sources });
        }
        self.look_at_removed();
    }

    pub(super) fn look_at_removed(&mut self) {
        let now = Timestamp::now();
        for RemovedForwarder { stats, sources } in self.removed.values_mut() {
            for (name, (settled, backlog)) in sources {
                let log = self.sources.get(name).map(|source| &source.log);
                let bytes = log.map_or(0, |log| backlog.measure(log, |id| settled.get(&id).copied(), now).0);
                // Its age would only tell how long it is gone.
                stats.set_backlog(name, bytes, None);
            }
        }
    }

    /// What is counted of a forwarder, for as long as the process lives.
    pub(super) fn stats_of(&mut self, name: &str, sources: &[String]) -> Arc<ForwarderStats> {
        let now = Timestamp::now();
        let stats = match self.counted.get(name) {
            Some(stats) => stats.clone(),
            None => Arc::new(ForwarderStats::new(name, sources.to_vec(), now)),
        };
        stats.start_again(sources, now);
        self.counted.insert(name.to_owned(), stats.clone());
        stats
    }
}
