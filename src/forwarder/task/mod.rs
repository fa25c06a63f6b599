//! The task of one forwarder: it reads, compresses and sends at once, and settles in order.
//!
//! ```text
//!  logs ─fill─► draft ─compress─► queue ─admit─► window ─send─► answer ─► settled
//!        1 at a time  side by side  in order      inFlight       (again, in parts, held)
//! ```
//!
//! Reading and gzip run on the blocking pool, a batch on one thread from its first line to its last compressed byte; the journal is written in place, with the runtime told. What always
//! holds: what is admitted was announced in the journal in the log's order; queue and window together hold no more
//! than `inFlight` + [`AHEAD`] batches, and one more for each source that `detach` made it give up something of, so
//! memory is bounded by the configuration.

mod answers;
mod compressors;
mod detach;
mod fill;
mod resume;
mod tick;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval},
};
use tracing::info;

use self::{
    compressors::Compressors,
    fill::{PendingRead, Queued},
};
use super::{
    backlog::Backlog,
    batch::{BodyPool, InFlightBatch},
    deliver::{
        Answer, HoldReason, ProbeIntervals, ReceiverHealth, RefusalBreaker, SendAllowance, SizeCeiling, WebhookClient,
    },
    follow::FollowedSource,
    journal::{BatchRecord, Recovered},
    recorder::Recorder,
    stats::{ForwarderState, ForwarderStats},
};
use crate::{
    alarm::Alarms,
    config,
    health::Pulse,
    log::{Log, Reader, SegmentId},
};

/// Batches that are compressed ahead of those on the way.
pub const AHEAD: usize = 3;

/// How often everything that is not prompted by an event is looked at.
const TICK: Duration = Duration::from_secs(1);

/// What the task is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwarderOrder {
    Run,
    /// Finish what is on the way and stop: the configuration changed.
    Stop,
    /// Deliver what can be delivered until then, and stop.
    Drain(Instant),
}

/// How the task ended, from well to badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForwarderEnd {
    /// Nothing whole is left to deliver.
    Drained,
    /// What is left is safe on disk.
    Backlog,
    /// Where it stands could not be made durable: what it sent last may be sent again.
    Unwritten,
}

/// What a forwarder's task needs from the outside.
pub struct ForwarderSetup {
    pub config: config::Forwarder,
    /// The sources it follows, with their logs.
    pub sources: Vec<(config::Source, Log)>,
    pub recorder: Recorder,
    pub recovered: Recovered,
    pub webhook: WebhookClient,
    pub stats: Arc<ForwarderStats>,
    pub alarms: Arc<Alarms>,
    pub pulse: Pulse,
    pub orders: watch::Receiver<ForwarderOrder>,
}

pub struct ForwarderTask {
    config: config::Forwarder,
    logs: Vec<Log>,
    /// `None` while its source is being read.
    follows: Vec<Option<FollowedSource>>,
    next_follow: usize,
    outstanding: VecDeque<BatchRecord>,
    /// Up to which segment it gave up what a source asked for.
    detached: HashMap<Arc<str>, SegmentId>,
    /// The next of them is not read before: its file could not be read.
    resume_after: Option<Instant>,
    recorder: Arc<Recorder>,
    webhook: Arc<WebhookClient>,
    stats: Arc<ForwarderStats>,
    alarms: Arc<Alarms>,
    pulse: Pulse,
    orders: watch::Receiver<ForwarderOrder>,
    order: ForwarderOrder,

    health: ReceiverHealth,
    ceiling: SizeCeiling,
    guard: RefusalBreaker,
    compressors: Compressors,
    bodies: BodyPool,
    reading: Option<PendingRead>,
    queue: VecDeque<Queued>,
    /// Nothing is admitted before, nor any dead letter written: the last try failed.
    admit_after: Option<Instant>,
    window: Vec<InFlightBatch>,
    /// Why the receiver gets nothing, as the journal says it.
    recorded_hold: Option<HoldReason>,
    flights: JoinSet<LandedRequest>,
    next_number: u64,

    wake: Arc<Notify>,
    syncing: Option<JoinHandle<()>>,
    backlogs: HashMap<Arc<str>, Backlog>,
    last_progress: Instant,
    drain_begun: bool,
}

/// What came back for a batch.
struct LandedRequest {
    n: u64,
    begun: Instant,
    answer: Answer,
}

impl ForwarderTask {
    pub fn new(setup: ForwarderSetup) -> Self {
        let ForwarderSetup { config, sources, recorder, recovered, webhook, stats, alarms, pulse, orders } = setup;
        let now = Instant::now();
        let order = *orders.borrow();
        let probes = ProbeIntervals { hold: config.probe, gone: config.probe.saturating_mul(12) };
        if recovered.hold.is_some() {
            recorder.hold_ended(); // What is known of the receiver begins anew.
        }
        let wake: Arc<Notify> = Arc::default();
        let bodies = BodyPool::new(&config, config.in_flight + AHEAD);
        let follows = sources.iter().map(|(source, log)| {
            let cursors = recovered.read_cursors.get(&source.name).cloned().unwrap_or_default();
            Some(FollowedSource::new(
                &config,
                source,
                Reader::new(log.clone(), source.max_event_bytes, cursors),
                bodies.clone(),
            ))
        });
        Self {
            follows: follows.collect(),
            next_follow: 0,
            logs: sources.into_iter().map(|(_, log)| log).collect(),
            outstanding: recovered.outstanding.into(),
            detached: HashMap::new(),
            resume_after: None,
            next_number: recorder.next_number(),
            recorder: Arc::new(recorder),
            webhook: Arc::new(webhook),
            stats,
            alarms,
            pulse,
            order,
            orders,
            health: ReceiverHealth::new(config.retry, probes, fastrand::Rng::new(), now),
            ceiling: SizeCeiling::new(config.batch.max_bytes),
            guard: RefusalBreaker::default(),
            compressors: Compressors::new(config.compression, wake.clone()),
            bodies,
            reading: None,
            queue: VecDeque::new(),
            admit_after: None,
            window: Vec::new(),
            recorded_hold: None,
            flights: JoinSet::new(),
            wake,
            syncing: None,
            backlogs: HashMap::new(),
            last_progress: now,
            drain_begun: false,
            config,
        }
    }

    pub async fn run(mut self) -> ForwarderEnd {
        let mut listeners = self.listen();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.answer_requests();
            self.fill();
            self.admit();
            self.send();
            if let Some(ended) = self.ended() {
                listeners.abort_all();
                return self.end(ended).await;
            }
            let until = self.next_moment();
            let wake = self.wake.clone();
            tokio::select! {
                read = fill::source_back(&mut self.reading) => self.source_read(read),
                () = fill::compressed(&mut self.queue) => {}
                Some(landing) = self.flights.join_next() => match landing {
                    Ok(landing) => self.on_answer(landing),
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                () = wake.notified() => {}
                () = tokio::time::sleep_until(until.into()) => {}
                _ = ticks.tick() => self.tick().await,
                Ok(()) = self.orders.changed() => self.take_order(),
            }
        }
    }

    /// Wakes the task when one of its logs changes.
    fn listen(&self) -> JoinSet<()> {
        let mut listeners = JoinSet::new();
        for log in &self.logs {
            let (mut changes, wake) = (log.changes(), self.wake.clone());
            listeners.spawn(async move {
                while changes.changed().await.is_ok() {
                    changes.mark_unchanged();
                    wake.notify_one();
                }
            });
        }
        listeners
    }

    fn take_order(&mut self) {
        self.order = *self.orders.borrow_and_update();
        if matches!(self.order, ForwarderOrder::Drain(_)) && !std::mem::replace(&mut self.drain_begun, true) {
            self.health.probe_now(Instant::now());
        }
    }

    /// Sends what may be sent, oldest first.
    fn send(&mut self) {
        if self.order == ForwarderOrder::Stop {
            return;
        }
        // There may be more in the window than may be on the way: see `detach`.
        while let Some(index) = self.window.iter().take(self.config.in_flight).position(InFlightBatch::waits) {
            match self.health.may_send(Instant::now()) {
                SendAllowance::Yes => {}
                SendAllowance::OnlyOne if self.flights.is_empty() => {}
                SendAllowance::OnlyOne | SendAllowance::NotBefore(_) => return,
            }
            self.launch(index);
        }
    }

    /// When something is due that nothing else wakes us for.
    fn next_moment(&self) -> Instant {
        let now = Instant::now();
        let mut moments = vec![now + TICK];
        if self.window.iter().any(InFlightBatch::waits)
            && let SendAllowance::NotBefore(then) = self.health.may_send(now)
        {
            moments.push(then);
        }
        if self.has_room() && self.reading.is_none() {
            let begun = self.follows.iter().flatten().filter_map(FollowedSource::begun);
            moments.extend(begun.map(|begun| begun + self.config.batch.max_age));
        }
        moments.extend(self.admit_after);
        if let ForwarderOrder::Drain(until) = self.order {
            moments.push(until);
        }
        moments.into_iter().min().unwrap_or(now + TICK)
    }

    fn has_room(&self) -> bool {
        self.queue.len() + self.window.len() < self.config.in_flight + AHEAD && self.compressors.one_is_free()
    }

    /// Nothing was read that is not settled, and nothing whole is left to read.
    fn is_empty(&self) -> bool {
        let drafts = self
            .follows
            .iter()
            .all(|follow| follow.as_ref().is_some_and(|follow| follow.begun().is_none() && !follow.has_more()));
        drafts
            && self.outstanding.is_empty()
            && self.reading.is_none()
            && self.queue.is_empty()
            && self.window.is_empty()
    }

    fn ended(&self) -> Option<ForwarderEnd> {
        match self.order {
            ForwarderOrder::Run => None,
            ForwarderOrder::Stop => {
                (self.flights.is_empty() && self.reading.is_none()).then_some(ForwarderEnd::Backlog)
            }
            ForwarderOrder::Drain(_) if self.is_empty() => Some(ForwarderEnd::Drained),
            ForwarderOrder::Drain(until) => {
                let now = Instant::now();
                (now >= until || self.is_held_off(now)).then_some(ForwarderEnd::Backlog)
            }
        }
    }

    /// The receiver refuses us, also the attempt that a stop makes: waiting for it would change nothing.
    fn is_held_off(&self, now: Instant) -> bool {
        self.flights.is_empty()
            && self.health.hold_reason().is_some()
            && matches!(self.health.may_send(now), SendAllowance::NotBefore(_))
    }

    async fn end(mut self, ended: ForwarderEnd) -> ForwarderEnd {
        self.flights.shutdown().await;
        if let Some(syncing) = self.syncing.take() {
            let _ = syncing.await;
        }
        let (recorder, logs) = (self.recorder.clone(), self.logs.clone());
        let _ = tokio::task::spawn_blocking(move || recorder.sync(&logs)).await;
        let ended = if self.recorder.is_degraded() { ForwarderEnd::Unwritten } else { ended };
        self.measure_backlog();
        self.stats.set_state(ForwarderState::Stopped, None, Timestamp::now());
        info!(forwarder = self.config.name, ?ended, "forwarder stopped");
        ended
    }
}
