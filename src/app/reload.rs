//! Taking over another configuration while running.
//!
//! What always holds: what did not change is not touched, its connections, batches and waits go on; a forwarder that
//! cannot be started holds no other back, and is tried again at the next reload.

use std::fmt;

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::{App, Opened, StartError, orphans};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    config::{self, Config},
    forwarder::window::ForwarderOrder,
};

/// What of the new configuration could not be started. The rest runs.
#[derive(Debug)]
pub struct ReloadError(Vec<StartError>);

/// What a configuration changes of what runs.
struct ReloadPlan {
    /// To be started, some of them after they were stopped.
    start: Vec<config::Forwarder>,
    stop: Vec<String>,
    stop_sources: Vec<String>,
    start_sources: Vec<config::Source>,
}

impl App {
    /// Stops what changed and starts it as it is now. The configuration was validated as a whole before.
    pub async fn reload(&mut self, config: Config) -> Result<(), ReloadError> {
        if config.state_dir != self.config.state_dir
            || config.admin != self.config.admin
            || config.diagnostics != self.config.diagnostics
        {
            warn!("stateDir, admin and log take effect at the next start; everything else is taken over now");
        }
        let plan = self.plan(&config);
        self.stop_forwarders(&plan.stop, &config).await;
        self.stop_sources(&plan.stop_sources).await;
        let kept = (self.config.state_dir.clone(), self.config.admin.clone(), self.config.diagnostics.clone());
        self.config = config;
        (self.config.state_dir, self.config.admin, self.config.diagnostics) = kept;
        self.log_plan(&plan);
        self.start_again(plan).await
    }

    /// Starts a source whose task is gone, and what follows it, as if its configuration had changed.
    pub(super) async fn restart_source(&mut self, source: config::Source) -> Result<(), ReloadError> {
        let name = source.name.clone();
        let follows = |forwarder: &&config::Forwarder| forwarder.sources.contains(&name);
        let start: Vec<_> = self.config.forwarders.iter().filter(follows).cloned().collect();
        let stop = start.iter().map(|forwarder| forwarder.name.clone()).collect::<Vec<_>>();
        let config = self.config.clone();
        self.stop_forwarders(&stop, &config).await;
        self.sources.remove(&name);
        self.start_again(ReloadPlan { start, stop, stop_sources: vec![name], start_sources: vec![source] }).await
    }

    /// The configuration on disk was not taken over, or not all of it.
    pub fn reload_failed(&self, text: String) {
        self.registry.alarms.raise(&AlarmSubject::Configuration, AlarmKind::Reload, &*text, Timestamp::now());
        error!("{text}");
    }

    /// The configuration on disk is the one that runs.
    pub fn reloaded(&self) {
        self.registry.alarms.clear(&AlarmSubject::Configuration, AlarmKind::Reload);
    }

    /// A source or forwarder that should run and does not counts as changed.
    fn plan(&self, next: &Config) -> ReloadPlan {
        let runs =
            |source: &config::Source| self.sources.get(&source.name).is_some_and(|running| running.config == *source);
        let start_sources: Vec<_> = next.sources.iter().filter(|source| !runs(source)).cloned().collect();
        let changed = |name: &String| start_sources.iter().any(|source| source.name == *name);
        let stays = |forwarder: &config::Forwarder| {
            let same = self.forwarders.get(&forwarder.name).is_some_and(|running| running.config == *forwarder);
            same && !forwarder.sources.iter().any(changed)
        };
        let (keep, start): (Vec<_>, Vec<_>) = next.forwarders.iter().cloned().partition(stays);
        let keeps = |name: &String| keep.iter().any(|forwarder| forwarder.name == *name);
        let keeps_source = |name: &String| next.sources.iter().any(|source| source.name == *name && !changed(name));
        ReloadPlan {
            start,
            stop: self.forwarders.keys().chain(self.stopped.keys()).filter(|name| !keeps(name)).cloned().collect(),
            stop_sources: self.sources.keys().filter(|name| !keeps_source(name)).cloned().collect(),
            start_sources,
        }
    }

    fn log_plan(&self, plan: &ReloadPlan) {
        let names = |forwarders: &[config::Forwarder]| -> Vec<String> {
            forwarders.iter().map(|forwarder| forwarder.name.clone()).collect()
        };
        let starting = names(&plan.start);
        let removed: Vec<_> = plan.stop.iter().filter(|name| !starting.contains(name)).collect();
        if plan.is_empty() {
            info!("reloaded: the configuration is the one that runs, nothing is touched");
        } else {
            let sources: Vec<_> = plan.start_sources.iter().map(|source| source.name.as_str()).collect();
            info!(?starting, ?removed, ?sources, "reloaded: taking over what changed");
        }
        removed.into_iter().for_each(|name| orphans::tell_of_forwarder(name));
    }

    async fn start_again(&mut self, plan: ReloadPlan) -> Result<(), ReloadError> {
        let mut errors = Vec::new();
        let mut opened: Vec<Opened> = Vec::new();
        let mut failed = Vec::new();
        for forwarder in plan.start {
            match self.open_forwarder(forwarder.clone()) {
                Ok(forwarder) => opened.push(forwarder),
                Err(error) if error.is_of_one_forwarder() => failed.push((forwarder, error)),
                Err(error) => errors.push(error),
            }
        }
        for source in plan.start_sources {
            if let Err(error) = self.start_source(source, &opened) {
                errors.push(error);
            }
        }
        for forwarder in opened {
            self.start_opened(forwarder).await;
        }
        failed.into_iter().for_each(|(forwarder, error)| self.set_aside(forwarder, &error));
        for forwarder in &self.config.forwarders {
            for source in forwarder.sources.iter().filter_map(|name| self.sources.get(name)) {
                source.log.release_gate.add_follower(&forwarder.name);
            }
        }
        self.find_removed();
        self.show();
        if errors.is_empty() { Ok(()) } else { Err(ReloadError(errors)) }
    }

    async fn stop_forwarders(&mut self, names: &[String], next: &Config) {
        let mut stopping = Vec::new();
        let mut stopped = Vec::new();
        for name in names {
            if let Some(running) = self.forwarders.remove(name) {
                running.orders.send_replace(ForwarderOrder::Stop);
                stopping.push(running.task);
                stopped.push(running.config);
            } else if let Some(aside) = self.stopped.remove(name) {
                stopped.push(aside.config);
            }
        }
        while !stopping.is_empty() {
            match self.tasks.join_next_with_id().await {
                Some(Ok((id, _))) => stopping.retain(|task| *task != id),
                Some(Err(panicked)) => {
                    let id = panicked.id();
                    if stopping.contains(&id) {
                        error!("a bug: a forwarder's task panicked while it was stopped");
                    } else {
                        self.revive(id).await;
                    }
                    stopping.retain(|task| *task != id);
                }
                None => break,
            }
        }
        // Only now: with its last breath a forwarder reports where it stands.
        stopped.iter().for_each(|forwarder| self.let_go(forwarder, next));
    }

    /// One that only starts again goes on holding what it has not delivered.
    fn let_go(&self, stopped: &config::Forwarder, next: &Config) {
        let next = next.forwarders.iter().find(|next| next.name == stopped.name);
        let follows_still = |source: &String| next.is_some_and(|next| next.sources.contains(source));
        for source in stopped.sources.iter().filter(|source| !follows_still(source)) {
            if let Some(source) = self.sources.get(source) {
                source.log.release_gate.remove_follower(&stopped.name);
            }
        }
        if next.is_none() {
            self.registry.alarms.clear_all(&AlarmSubject::forwarder(&stopped.name));
        }
    }

    async fn stop_sources(&mut self, names: &[String]) {
        for name in names {
            if let Some(running) = self.sources.remove(name) {
                running.stop.cancel();
                let _ = running.task.await;
                self.registry.alarms.clear_all(&AlarmSubject::source(name));
            }
        }
    }
}

impl ReloadPlan {
    fn is_empty(&self) -> bool {
        self.start.is_empty() && self.stop.is_empty() && self.stop_sources.is_empty() && self.start_sources.is_empty()
    }
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if place == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for ReloadError {}
