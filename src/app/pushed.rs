//! Sources that hand their events over: a listener that takes them, a spool that keeps them.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{App, RunningSource, StartError, open::Opened};
use crate::{
    config::{self, SpoolKeys},
    durable,
    log::spool::{self, Limits, SEGMENT_BYTES, Spool},
    source::{listener::Listener, spool::SpoolTask, spool_writer::SpoolWriter, stats::SourceStats},
};

impl App {
    /// Opens the socket, then the spool, and starts both. Every forwarder is a follower before anything is released.
    pub(super) fn start_pushed(
        &mut self,
        config: config::Source,
        keys: SpoolKeys,
        opened: &[Opened],
    ) -> Result<(), StartError> {
        let name = || config.name.clone();
        let dir = self.source_dir(&config.name);
        let listener = Listener::open(&config, &dir).map_err(|source| StartError::Listen { name: name(), source })?;
        for directory in [self.config.state_dir.join("sources"), dir.clone()] {
            durable::create_private_dir(&directory)?;
        }
        // A quarter, so that the newest segment, which is not released, never fills a small spool.
        let limits = Limits { segment: SEGMENT_BYTES.min(keys.max_bytes / 4), total: keys.max_bytes };
        let spool_dir = spool::dir(&self.config.state_dir, &config.name);
        let cursors_of_forwarders = self.cursors_of_forwarders(&config.name, opened, &dir.join("catalog"));
        let spool = Spool::open(&config.name, &spool_dir, &dir.join("catalog"), limits, &cursors_of_forwarders)
            .map_err(|source| StartError::Spool { name: name(), source })?;
        let log = spool.log().clone();
        for forwarder in self.config.forwarders.iter().filter(|forwarder| forwarder.sources.contains(&config.name)) {
            log.release_gate.add_follower(&forwarder.name);
        }
        let stats = Arc::new(SourceStats::new(&config.name));
        let alarms = self.registry.alarms.clone();
        let pulse = self.registry.health.pulse(format!("source {}", config.name));
        let (task, intake) = SpoolTask::new(spool, keys.sync, alarms.clone(), stats.clone(), pulse);
        let task = task.on_full(keys.on_full);
        let spool_writer = SpoolWriter::new(&config, intake, stats.clone(), alarms);
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        info!(source = config.name, on = %listener, "taking events");
        let task = tokio::spawn(run_together(listener, spool_writer, task, ended.clone(), stop.clone()));
        self.sources.insert(config.name.clone(), RunningSource { config, log, stats, ended, stop, task });
        Ok(())
    }
}

/// Ends the listener first, then the spool once what was taken is written. Ends before the stop where either panics.
async fn run_together(
    listener: Listener,
    spool_writer: SpoolWriter,
    spool: SpoolTask,
    ended: CancellationToken,
    stop: CancellationToken,
) {
    let close = CancellationToken::new();
    // The spool would end with the last that can write to it; its segments are to be released still.
    let _kept_open = spool_writer.clone();
    let mut spool: JoinHandle<()> = tokio::spawn(spool.run(close.clone()));
    let mut listening = tokio::spawn(listener.run(spool_writer, ended, stop.clone()));
    let listened = tokio::select! {
        listened = &mut listening => listened.is_ok(),
        _ = &mut spool => {
            listening.abort();
            let _ = listening.await;
            return;
        }
    };
    if listened {
        // An input that ended leaves a spool that forwarders are not past.
        tokio::select! {
            () = stop.cancelled() => {}
            _ = &mut spool => return,
        }
    }
    close.cancel();
    let _ = spool.await;
}
