//! Forwarders that should run and whose state cannot be opened.
//!
//! What always holds: such a forwarder keeps no other from running; its logs count it as a follower like every other, so
//! that nothing it may still need is released; it is shown as stopped, with the reason, and its alarm stays until it is
//! opened or no longer configured. A reload tries each again, and time those whose storage failed, which may be over by
//! itself; what is damaged stays as it is until somebody decides. The alarm does not make the process unready: a pod that is taken out of its
//! Service would keep events from the others.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tracing::{error, info};

use super::{App, StartError};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    config,
    forwarder::{
        backlog::Backlog,
        journal::JournalError,
        stats::{ForwarderState, ForwarderStats},
    },
};

/// How often one is tried again whose storage failed.
const AGAIN: Duration = Duration::from_secs(60);

pub(super) struct StoppedForwarder {
    pub(super) config: config::Forwarder,
    pub(super) stats: Arc<ForwarderStats>,
    /// When it is tried again without being asked for.
    pub(super) again: Option<Instant>,
    /// By source.
    backlogs: HashMap<String, Backlog>,
}

impl App {
    /// Tells why a forwarder is not started, and shows it as stopped. The others go on.
    pub(super) fn set_aside(&mut self, config: config::Forwarder, error: &StartError) {
        let (name, now) = (config.name.clone(), Timestamp::now());
        let subject = AlarmSubject::forwarder(&name);
        let told = error.to_string();
        // What is said of it names it already.
        let cause = told.strip_prefix(&format!("{subject}: ")).unwrap_or(&told);
        let (tried, again) = if is_of_storage(error) {
            ("it is tried again once a minute", Some(Instant::now() + AGAIN))
        } else {
            ("a reload (SIGHUP) or a start tries it again", None)
        };
        let others = if self.config.forwarders.len() > 1 { ", and the others run" } else { "" };
        let text = format!("it is not started{others}; the logs keep all that it may need, and {tried}: {cause}");
        self.registry.alarms.raise(&subject, AlarmKind::File, &*text, now);
        error!(forwarder = name, "{text}");
        // Where it ran before: of what its task raised, it can clear nothing any more, and no loop has to turn.
        for kind in [AlarmKind::State, AlarmKind::Held, AlarmKind::Stalled] {
            self.registry.alarms.clear_all_of_kind(&subject, kind);
        }
        drop(self.registry.health.pulse(subject.to_string()));
        let stats = self.stats_of(&name, &config.sources);
        // The alarm stands beside it, and has what follows from it.
        let reason = cause.split_once("; ").map_or(cause, |(reason, _)| reason);
        stats.set_state(ForwarderState::Stopped, Some(reason.to_owned()), now);
        self.stopped.insert(name, StoppedForwarder { config, stats, again, backlogs: HashMap::new() });
        self.look_at_stopped();
    }

    /// Starts those whose storage works again.
    pub(super) async fn try_stopped_again(&mut self) {
        let now = Instant::now();
        let is_due = |stopped: &&mut StoppedForwarder| stopped.again.is_some_and(|again| again <= now);
        let due = self.stopped.values_mut().filter(is_due).map(|stopped| {
            stopped.again = Some(now + AGAIN);
            stopped.config.clone()
        });
        for config in due.collect::<Vec<_>>() {
            match self.open_forwarder(config.clone()) {
                Ok(opened) => {
                    info!(forwarder = config.name, "its storage works again");
                    self.stopped.remove(&config.name);
                    self.start_opened(opened).await;
                    self.show();
                }
                // It is told already.
                Err(error) if is_of_storage(&error) => {}
                Err(error) => {
                    self.set_aside(config, &error);
                    self.show();
                }
            }
        }
    }

    /// Where such a forwarder stands is unknown: it may need everything that its logs hold.
    pub(super) fn look_at_stopped(&mut self) {
        let now = Timestamp::now();
        for StoppedForwarder { config, stats, backlogs, .. } in self.stopped.values_mut() {
            for name in &config.sources {
                let Some(source) = self.sources.get(name) else { continue };
                let backlog = backlogs.entry(name.clone()).or_default();
                let (bytes, oldest) = backlog.measure(&source.log, |_| None, now);
                stats.set_backlog(name, bytes, oldest);
            }
        }
    }
}

/// Whether it may be over by itself.
fn is_of_storage(error: &StartError) -> bool {
    match error {
        StartError::DeadLetters { .. } => true,
        StartError::Journal { source, .. } => matches!(source, JournalError::Io { .. } | JournalError::Directory(_)),
        _ => false,
    }
}
