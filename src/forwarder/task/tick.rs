//! What is looked at once a second: durability, backlog, progress, changed files.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::error;

use super::{ForwarderOrder, ForwarderTask};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    forwarder::deliver::ReceiverState as HealthState,
};

/// A backlog of which nothing is settled for so long is an alarm.
const STALLED: Duration = Duration::from_secs(60);

impl ForwarderTask {
    pub(super) async fn tick(&mut self) {
        self.pulse.beat();
        self.sync();
        self.measure_backlog();
        self.watch_progress();
        if self.health.state() == HealthState::Held
            && self.flights.is_empty()
            && self.webhook.files_have_changed().await
        {
            self.health.probe_now(Instant::now());
        }
        self.show_receiver_state(None);
    }

    /// Makes durable what was written since the last time, without waiting for it.
    pub(super) fn sync(&mut self) {
        if self.syncing.as_ref().is_some_and(|syncing| !syncing.is_finished()) {
            return;
        }
        let (recorder, logs) = (self.recorder.clone(), self.logs.clone());
        self.syncing = Some(tokio::task::spawn_blocking(move || recorder.sync(&logs)));
    }

    pub(super) fn measure_backlog(&mut self) {
        let now = Timestamp::now();
        for log in &self.logs {
            let settled_cursors = self.recorder.settled_cursors(&log.name);
            let backlog = self.backlogs.entry(log.name.clone()).or_default();
            let (bytes, oldest) = backlog.measure(log, |segment| settled_cursors.get(&segment).copied(), now);
            self.stats.set_backlog(&log.name, bytes, oldest);
        }
    }

    fn watch_progress(&mut self) {
        if self.is_empty() || self.order != ForwarderOrder::Run {
            self.progressed();
            return;
        }
        if self.last_progress.elapsed() >= STALLED {
            let text = format!(
                "there is a backlog and nothing was settled for {} s",
                self.last_progress.elapsed().as_secs()
            );
            let subject = AlarmSubject::forwarder(&self.config.name);
            if self.alarms.raise(&subject, AlarmKind::Stalled, &*text, Timestamp::now()) {
                error!(
                    forwarder = self.config.name,
                    state = self.health.state().label(),
                    cause = self.health.cause(),
                    "{text}"
                );
            }
        }
    }

    /// Something was settled.
    pub(super) fn progressed(&mut self) {
        self.last_progress = Instant::now();
        self.alarms.clear(&AlarmSubject::forwarder(&self.config.name), AlarmKind::Stalled);
    }
}
