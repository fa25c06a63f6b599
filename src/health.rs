//! Whether the process lives and is ready, as an orchestrator asks.
//!
//! *Live* means that the loops turn: each has a [`Pulse`] that it beats, and one that has not beaten for
//! [`STUCK_AFTER`], or has panicked, makes the process not live. *Ready* means that auditpost itself can work: never
//! whether the webhooks answer, because a restart or a removal from service would not mend those.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// A loop that has not beaten for this long is stuck.
pub const STUCK_AFTER: Duration = Duration::from_secs(30);

/// The pulses of the loops and the conditions of being ready.
#[derive(Debug)]
pub struct ProcessHealth {
    start: Instant,
    loops: Mutex<BTreeMap<u64, Loop>>,
    next: AtomicU64,
    unmet: Mutex<BTreeMap<ReadyCondition, String>>,
}

/// What must hold for the process to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadyCondition {
    /// The configuration that runs is valid.
    Configuration,
    /// Every source that follows files looks at them.
    Sources,
    /// The state directory can be written.
    State,
}

#[derive(Debug)]
struct Loop {
    name: String,
    /// Milliseconds since `ProcessHealth::start`.
    beaten: Arc<AtomicU64>,
    panicked: bool,
}

/// The beating end of one loop. Dropping it takes the loop off the list, unless it is dropped by a panic.
#[derive(Debug)]
pub struct Pulse {
    health: Arc<ProcessHealth>,
    number: u64,
    beaten: Arc<AtomicU64>,
}

impl Default for ProcessHealth {
    /// No loops, and no condition met yet.
    fn default() -> Self {
        let unmet = ReadyCondition::ALL.map(|condition| (condition, "starting".to_owned()));
        Self {
            start: Instant::now(),
            loops: Mutex::default(),
            next: AtomicU64::new(0),
            unmet: Mutex::new(unmet.into()),
        }
    }
}

impl ProcessHealth {
    /// Adds a loop, such as `forwarder siem`; it counts as beaten now, and takes the place of one of this name that
    /// panicked. It must beat more often than
    /// [`STUCK_AFTER`], also while it waits for a peer.
    pub fn pulse(self: &Arc<Self>, name: impl Into<String>) -> Pulse {
        let (number, name) = (self.next.fetch_add(1, Relaxed), name.into());
        let beaten = Arc::new(AtomicU64::new(self.now()));
        let mut loops = self.loops();
        loops.retain(|_, entry| !entry.panicked || entry.name != name);
        loops.insert(number, Loop { name, beaten: beaten.clone(), panicked: false });
        drop(loops);
        Pulse { health: self.clone(), number, beaten }
    }

    pub fn met(&self, condition: ReadyCondition) {
        self.unmet().remove(&condition);
    }

    /// Not ready from now on, and why.
    pub fn unmet_because(&self, condition: ReadyCondition, reason: impl Into<String>) {
        self.unmet().insert(condition, reason.into());
    }

    /// The loops that do not turn, one sentence each; empty where the process lives.
    pub fn stuck(&self) -> Vec<String> {
        self.stuck_at(self.now())
    }

    fn stuck_at(&self, now: u64) -> Vec<String> {
        let sentence = |entry: &Loop| {
            let age = Duration::from_millis(now.saturating_sub(entry.beaten.load(Relaxed)));
            if entry.panicked {
                Some(format!("{}: panicked", entry.name))
            } else if age >= STUCK_AFTER {
                Some(format!("{}: has not turned for {} s", entry.name, age.as_secs()))
            } else {
                None
            }
        };
        self.loops().values().filter_map(sentence).collect()
    }

    /// The conditions that are not met, one sentence each; empty where the process is ready.
    pub fn not_ready(&self) -> Vec<String> {
        let sentence = |(condition, reason): (&ReadyCondition, &String)| format!("{}: {reason}", condition.name());
        self.unmet().iter().map(sentence).collect()
    }

    /// Each condition by name, and whether it is met.
    pub fn conditions(&self) -> [(&'static str, bool); 3] {
        let unmet = self.unmet();
        ReadyCondition::ALL.map(|condition| (condition.name(), !unmet.contains_key(&condition)))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn loops(&self) -> MutexGuard<'_, BTreeMap<u64, Loop>> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unmet(&self) -> MutexGuard<'_, BTreeMap<ReadyCondition, String>> {
        self.unmet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pulse {
    /// The loop turned.
    pub fn beat(&self) {
        self.beaten.store(self.health.now(), Relaxed);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let mut loops = self.health.loops();
        if thread::panicking() {
            if let Some(entry) = loops.get_mut(&self.number) {
                entry.panicked = true;
            }
        } else {
            loops.remove(&self.number);
        }
    }
}

impl ReadyCondition {
    const ALL: [Self; 3] = [Self::Configuration, Self::Sources, Self::State];

    fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Sources => "sources",
            Self::State => "state directory",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stops_turning_is_named_and_one_that_ended_is_not() {
        let health = Arc::new(ProcessHealth::default());
        let (siem, ended) = (health.pulse("forwarder siem"), health.pulse("scan"));
        drop(ended);
        assert!(health.stuck().is_empty());
        let limit = STUCK_AFTER.as_millis() as u64;
        let later = siem.beaten.load(Relaxed) + limit;
        assert!(health.stuck_at(later - 1).is_empty());
        assert_eq!(health.stuck_at(later), ["forwarder siem: has not turned for 30 s"]);
        siem.beaten.store(later, Relaxed);
        assert!(health.stuck_at(later).is_empty());
    }

    #[test]
    fn a_loop_that_panics_is_not_forgotten_until_it_is_started_anew() {
        let health = Arc::new(ProcessHealth::default());
        let pulse = health.pulse("forwarder siem");
        let died = thread::spawn(move || {
            let _pulse = pulse;
            panic!("on purpose");
        });
        assert!(died.join().is_err());
        assert_eq!(health.stuck(), ["forwarder siem: panicked"]);
        let _other = health.pulse("forwarder other");
        assert_eq!(health.stuck(), ["forwarder siem: panicked"]);
        let _revived = health.pulse("forwarder siem");
        assert!(health.stuck().is_empty(), "it turns again");
    }

    #[test]
    fn it_is_ready_once_every_condition_is_met_and_no_longer() {
        let health = ProcessHealth::default();
        assert_eq!(health.not_ready().len(), 3);
        for condition in ReadyCondition::ALL {
            health.met(condition);
        }
        assert!(health.not_ready().is_empty());
        health.unmet_because(ReadyCondition::State, "no space left");
        assert_eq!(health.not_ready(), ["state directory: no space left"]);
        let conditions = [("configuration", true), ("sources", true), ("state directory", false)];
        assert_eq!(health.conditions(), conditions);
    }
}
