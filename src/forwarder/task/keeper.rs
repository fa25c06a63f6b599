//! What is looked at once a second and may block: durability and backlog.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use tokio::task::JoinHandle;

use crate::{
    forwarder::{backlog::Backlog, recorder::Recorder, stats::ForwarderStats, unless_panicked},
    log::Log,
};

pub(super) struct Keeper {
    recorder: Arc<Recorder>,
    logs: Arc<[Log]>,
    stats: Arc<ForwarderStats>,
    syncing: Option<JoinHandle<()>>,
    /// `None` while they are being measured.
    backlogs: Option<Backlogs>,
    measuring: Option<JoinHandle<Backlogs>>,
}

type Backlogs = HashMap<Arc<str>, Backlog>;

impl Keeper {
    pub(super) fn new(recorder: Arc<Recorder>, logs: Arc<[Log]>, stats: Arc<ForwarderStats>) -> Self {
        Self { recorder, logs, stats, syncing: None, backlogs: Some(Backlogs::new()), measuring: None }
    }

    /// Makes durable what was written since the last time, without waiting for it.
    pub(super) fn sync(&mut self) {
        if self.syncing.as_ref().is_some_and(|syncing| !syncing.is_finished()) {
            return;
        }
        let (recorder, logs) = (self.recorder.clone(), self.logs.clone());
        self.syncing = Some(tokio::task::spawn_blocking(move || recorder.sync(&logs)));
    }

    /// Shows how far behind the logs the forwarder is, as soon as that is known.
    pub(super) async fn measure(&mut self) {
        if self.measuring.as_ref().is_some_and(JoinHandle::is_finished) {
            self.finish_measuring().await;
        }
        let Some(mut backlogs) = self.backlogs.take() else { return };
        let (recorder, logs, stats) = (self.recorder.clone(), self.logs.clone(), self.stats.clone());
        self.measuring = Some(tokio::task::spawn_blocking(move || {
            let now = Timestamp::now();
            for log in &*logs {
                let settled = recorder.settled_bytes(&log.name);
                let backlog = backlogs.entry(log.name.clone()).or_default();
                let (bytes, oldest) = backlog.measure(log, |segment| settled.get(&segment).copied(), now);
                stats.set_backlog(&log.name, bytes, oldest);
            }
            backlogs
        }));
    }

    /// Makes all durable and shows where it stands.
    pub(super) async fn end(mut self) {
        if let Some(syncing) = self.syncing.take() {
            let _ = syncing.await;
        }
        self.sync();
        if let Some(syncing) = self.syncing.take() {
            let _ = syncing.await;
        }
        self.finish_measuring().await;
        self.measure().await;
        self.finish_measuring().await;
    }

    async fn finish_measuring(&mut self) {
        if let Some(measuring) = self.measuring.take() {
            self.backlogs = Some(unless_panicked(measuring.await));
        }
    }
}
