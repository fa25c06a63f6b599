//! Taking over another configuration while running.

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::{App, StartError};
use crate::{
    alarm::Kind,
    config::{self, Config},
    forwarder::task::Order,
};

impl App {
    /// Stops what changed and starts it as it is now. What did not change is not touched: its connections, batches
    /// and waits go on. The configuration was validated as a whole before.
    pub async fn reload(&mut self, config: Config) -> Result<(), StartError> {
        if config.state_dir != self.config.state_dir
            || config.admin != self.config.admin
            || config.diagnostics != self.config.diagnostics
        {
            warn!("stateDir, admin and log take effect at the next start; everything else is taken over now");
        }
        let changed_source = |name: &String| {
            let (old, new) = (find_source(&self.config, name), find_source(&config, name));
            old.is_none() || old != new
        };
        let restart: Vec<config::Forwarder> = config
            .forwarders
            .iter()
            .filter(|new| {
                let same = self.forwarders.get(&new.name).is_some_and(|running| running.config == **new);
                !same || new.sources.iter().any(changed_source)
            })
            .cloned()
            .collect();
        let stop: Vec<String> = self
            .forwarders
            .keys()
            .filter(|name| {
                restart.iter().any(|new| new.name == **name)
                    || !config.forwarders.iter().any(|new| new.name == **name)
            })
            .cloned()
            .collect();
        let stop_sources: Vec<String> = self
            .sources
            .iter()
            .filter(|(name, running)| find_source(&config, name) != Some(&running.config))
            .map(|(name, _)| name.clone())
            .collect();
        self.stop_forwarders(&stop, &config).await;
        self.stop_sources(&stop_sources).await;
        let kept = (self.config.state_dir.clone(), self.config.admin.clone(), self.config.diagnostics.clone());
        self.config = config;
        (self.config.state_dir, self.config.admin, self.config.diagnostics) = kept;
        info!(
            forwarders_restarted = restart.len(),
            forwarders_stopped = stop.len(),
            "taking over the new configuration"
        );
        self.start_again(restart).await
    }

    /// The configuration on disk was not taken over, or not all of it.
    pub fn reload_failed(&self, text: String) {
        error!("{text}");
        self.registry.alarms.raise("configuration", Kind::Reload, text, Timestamp::now());
    }

    /// The configuration on disk is the one that runs.
    pub fn reloaded(&self) {
        self.registry.alarms.clear("configuration", Kind::Reload);
    }

    async fn start_again(&mut self, restart: Vec<config::Forwarder>) -> Result<(), StartError> {
        let mut opened = Vec::new();
        for forwarder in restart {
            opened.push(self.open_forwarder(forwarder)?);
        }
        let missing: Vec<_> =
            self.config.sources.iter().filter(|source| !self.sources.contains_key(&source.name)).cloned().collect();
        for source in missing {
            self.start_source(source, &opened)?;
        }
        for forwarder in opened {
            self.start_opened(forwarder).await;
        }
        for forwarder in &self.config.forwarders {
            for source in forwarder.sources.iter().filter_map(|name| self.sources.get(name)) {
                source.log.board.enlist(&forwarder.name);
            }
        }
        self.show();
        Ok(())
    }

    async fn stop_forwarders(&mut self, names: &[String], next: &Config) {
        let mut stopping = Vec::new();
        for name in names {
            if let Some(running) = self.forwarders.remove(name) {
                running.orders.send_replace(Order::Stop);
                stopping.push(running.task);
                let follows_still = |source: &String| {
                    let next = next.forwarders.iter().find(|next| next.name == *name);
                    next.is_some_and(|next| next.sources.contains(source))
                };
                // One that only starts again goes on holding what it has not delivered.
                for source in running.config.sources.iter().filter(|source| !follows_still(source)) {
                    if let Some(source) = self.sources.get(source) {
                        source.log.board.dismiss(name);
                    }
                }
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
                None => return,
            }
        }
    }

    async fn stop_sources(&mut self, names: &[String]) {
        for name in names {
            if let Some(running) = self.sources.remove(name) {
                running.stop.cancel();
                let _ = running.task.await;
                self.registry.alarms.clear_all(&format!("source {name}"));
            }
        }
    }
}

fn find_source<'a>(config: &'a Config, name: &str) -> Option<&'a config::Source> {
    config.sources.iter().find(|source| source.name == name)
}
