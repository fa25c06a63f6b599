//! All that the admin pages show, in one place. The application adds and removes, the pages read.

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

use crate::health::ProcessHealth;
use crate::{alarm::Alarms, forwarder::stats::ForwarderStats, source::stats::SourceStats};

/// The statistics of the forwarders and sources that run, in the configuration's order, with alarms and health.
#[derive(Debug)]
pub struct Registry {
    pub started: Timestamp,
    pub alarms: Arc<Alarms>,
    pub health: Arc<ProcessHealth>,
    forwarders: RwLock<Vec<Arc<ForwarderStats>>>,
    sources: RwLock<Vec<Arc<SourceStats>>>,
}

impl Registry {
    pub fn new(started: Timestamp) -> Self {
        Self {
            started,
            alarms: Arc::default(),
            health: Arc::default(),
            forwarders: RwLock::default(),
            sources: RwLock::default(),
        }
    }

    /// Shows these forwarders from now on, and no others. A reload passes those that it kept too.
    pub fn set_forwarders(&self, forwarders: Vec<Arc<ForwarderStats>>) {
        *self.forwarders.write().unwrap_or_else(PoisonError::into_inner) = forwarders;
    }

    /// Shows these sources from now on, and no others.
    pub fn set_sources(&self, sources: Vec<Arc<SourceStats>>) {
        *self.sources.write().unwrap_or_else(PoisonError::into_inner) = sources;
    }

    pub fn forwarders(&self) -> Vec<Arc<ForwarderStats>> {
        self.forwarders.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn sources(&self) -> Vec<Arc<SourceStats>> {
        self.sources.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
