//! The task of one forwarder: the shell round its [`Window`].
//!
//! The window decides, the [`Feed`] reads; the task carries out what the window asks for and tells it what came of it.
//! Nothing here blocks: reading, gzip, the journal and the dead letters run on the blocking pool. What always holds: what
//! the window asks to be written is written in that order, by one blocking call at a time.

mod keeper;
mod writer;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tracing::{debug, info};

use self::{keeper::Keeper, writer::Writer};
use super::{
    deliver::{Request, WebhookClient},
    feed::{Feed, FillTerms},
    journal::Recovered,
    judge::Answer,
    recorder::Recorder,
    stats::{ForwarderState, ForwarderStats},
    unless_panicked,
    window::{
        ForwarderEnd, ForwarderOrder, Transmission, Window, WindowAlarm, WindowEffect, WindowEvent, WindowSetup,
    },
};
use crate::{
    alarm::Alarms,
    config::{self, Compression},
    health::Pulse,
    log::Log,
};

/// How often everything that is not prompted by an event is looked at.
const TICK: Duration = Duration::from_secs(1);

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
    name: String,
    is_compressed: bool,
    recorder: Arc<Recorder>,
    webhook: Arc<WebhookClient>,
    stats: Arc<ForwarderStats>,
    alarms: Arc<Alarms>,
    pulse: Pulse,
    orders: watch::Receiver<ForwarderOrder>,

    window: Window,
    feed: Feed,
    writer: Writer,
    keeper: Keeper,
    flights: JoinSet<LandedRequest>,
    parts: JoinSet<(u64, Bytes)>,
    was_scanned: bool,
    wake: Arc<Notify>,
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
        let wake: Arc<Notify> = Arc::default();
        let recorder = Arc::new(recorder);
        let names = sources.iter().map(|(_, log)| log.name.clone()).collect();
        let feed = Feed::new(config.clone(), sources, &recovered.read_cursors, stats.clone(), wake.clone());
        let rng = fastrand::Rng::new();
        Self {
            name: config.name.clone(),
            is_compressed: config.compression != Compression::None,
            writer: Writer::new(recorder.clone(), feed.logs().clone()),
            keeper: Keeper::new(recorder.clone(), feed.logs().clone(), stats.clone()),
            window: Window::new(
                WindowSetup { config, sources: names, recovered, is_counted: stats.begin(), rng },
                Instant::now(),
            ),
            recorder,
            webhook: Arc::new(webhook),
            stats,
            alarms,
            pulse,
            orders,
            feed,
            flights: JoinSet::new(),
            parts: JoinSet::new(),
            was_scanned: false,
            wake,
        }
    }

    /// Runs until an order ends it. Where it panics, that is passed on once nothing of it uses the journal any more, for
    /// another task will open that.
    pub async fn run(self) -> ForwarderEnd {
        let recorder = Arc::downgrade(&self.recorder);
        let mut inside = JoinSet::new();
        inside.spawn(self.turn());
        let ended = inside.join_next().await.expect("it was spawned");
        while recorder.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        unless_panicked(ended)
    }

    async fn turn(mut self) -> ForwarderEnd {
        let mut listeners = self.listen();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let order = *self.orders.borrow_and_update();
        self.on(WindowEvent::Order(order));
        loop {
            self.supply();
            if let Some(end) = self.window.end(self.feed.has_all_read(), self.feed.is_reading(), Instant::now()) {
                listeners.abort_all();
                return self.end(end).await;
            }
            let until = self.next_moment();
            let wake = self.wake.clone();
            tokio::select! {
                read = self.feed.news() => {
                    read.into_iter().for_each(|read| self.on(WindowEvent::ReadAgain(read)));
                }
                written = self.writer.written() => {
                    written.into_iter().for_each(|(id, result)| self.on(WindowEvent::Written(id, result)));
                }
                Some(landed) = self.flights.join_next() => self.land(unless_panicked(landed)),
                Some(part) = self.parts.join_next() => {
                    let (n, wire) = unless_panicked(part);
                    self.on(WindowEvent::Compressed { n, wire });
                }
                () = wake.notified() => {}
                () = tokio::time::sleep_until(until.into()) => self.on(WindowEvent::Woken),
                _ = ticks.tick() => self.tick().await,
                Ok(()) = self.orders.changed() => {
                    let order = *self.orders.borrow_and_update();
                    self.on(WindowEvent::Order(order));
                }
            }
        }
    }

    /// Wakes the task when one of its logs changes.
    fn listen(&self) -> JoinSet<()> {
        let mut listeners = JoinSet::new();
        for log in &**self.feed.logs() {
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

    /// Reads what there is room for, and hands on what was read.
    fn supply(&mut self) {
        if !self.was_scanned && self.feed.logs().iter().all(Log::was_scanned) {
            self.was_scanned = true;
            self.on(WindowEvent::Scanned);
        }
        // While the journal cannot be written nothing is given up, for nothing could be released.
        let may_detach = self.window.order() == ForwarderOrder::Run && !self.recorder.is_degraded();
        if self.feed.answer_requests(may_detach) {
            self.keeper.sync();
        }
        loop {
            self.feed.fill(&FillTerms {
                room: self.window.room(),
                limits: self.window.limits(),
                is_draining: matches!(self.window.order(), ForwarderOrder::Drain(_)),
                now: Instant::now(),
            });
            let Some(arrival) = self.feed.next_arrival() else { return };
            self.on(WindowEvent::Arrived(arrival));
        }
    }

    /// When something is due that nothing else wakes us for.
    fn next_moment(&self) -> Instant {
        let now = Instant::now();
        let moments = [self.window.wake_at(now), self.feed.due(self.window.room())];
        moments.into_iter().flatten().fold(now + TICK, Instant::min)
    }

    fn land(&mut self, landed: LandedRequest) {
        let LandedRequest { n, begun, answer } = landed;
        self.stats.request(&answer.label(), begun.elapsed());
        debug!(forwarder = self.name, batch = n, %answer, "answered");
        self.on(WindowEvent::Answered { n, begun, answer });
    }

    async fn tick(&mut self) {
        // A disk that does not answer is a loop that does not turn.
        if self.window.writing_for(Instant::now()).is_none_or(|writing| writing < TICK) {
            self.pulse.beat();
        }
        if self.was_scanned {
            self.feed.tell_losses();
            self.supply();
        }
        self.keeper.sync();
        self.keeper.measure().await;
        if self.window.waits_for_files() && self.webhook.files_have_changed().await {
            self.on(WindowEvent::FilesChanged);
        }
        let has_all_read = self.feed.has_all_read();
        self.on(WindowEvent::Tick { has_all_read });
    }

    fn on(&mut self, event: WindowEvent) {
        for effect in self.window.on(event, Instant::now()) {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: WindowEffect) {
        match effect {
            WindowEffect::Write(id, writes) => self.writer.write(id, writes),
            WindowEffect::Send(transmission) => self.send(transmission),
            WindowEffect::Compress { n, body } => {
                let compressors = self.feed.compressors().clone();
                self.parts.spawn(async move { (n, compressors.compress_part(body).await) });
            }
            WindowEffect::ReadAgain(record) => self.feed.read_again(record),
            WindowEffect::Sync => self.keeper.sync(),
            WindowEffect::Recycle(body) => self.feed.recycle(body),
            WindowEffect::Count { source, tally, filtered } => self.stats.enter_filtered(&source, tally, &filtered),
            WindowEffect::CountBatch { events, raw_bytes, wire_bytes } => {
                self.stats.batch(events, raw_bytes, wire_bytes);
            }
            WindowEffect::Succeeded => self.stats.succeeded(Timestamp::now()),
            WindowEffect::Failed(text) => self.stats.failed(text, Timestamp::now()),
            WindowEffect::Raise(alarm) => self.raise(&alarm),
            WindowEffect::Clear(subject, kind) => _ = self.alarms.clear(&subject, kind),
            WindowEffect::Log(notice) => notice.log(&self.name),
            WindowEffect::Show(state, cause) => self.stats.set_state(state, cause, Timestamp::now()),
        }
    }

    fn send(&mut self, Transmission { n, id, attempt, events, wire, origin }: Transmission) {
        let (webhook, compressed) = (self.webhook.clone(), self.is_compressed);
        self.flights.spawn(async move {
            let begun = Instant::now();
            let origin = origin.as_deref();
            let request = Request { batch_id: &id, number: n, events, attempt, body: wire, compressed, origin };
            let answer = webhook.send(request).await;
            LandedRequest { n, begun, answer }
        });
    }

    fn raise(&self, alarm: &WindowAlarm) {
        let subject = alarm.subject(&self.name);
        if self.alarms.raise(&subject, alarm.kind(), alarm.to_string(), Timestamp::now()) {
            alarm.log(&self.name);
        }
    }

    async fn end(mut self, end: ForwarderEnd) -> ForwarderEnd {
        self.flights.shutdown().await;
        // Whatever is asked for now, nothing more is sent.
        self.on(WindowEvent::Order(ForwarderOrder::Stop));
        while self.writer.is_busy() {
            let written = self.writer.written().await;
            written.into_iter().for_each(|(id, result)| self.on(WindowEvent::Written(id, result)));
        }
        self.keeper.end().await;
        let end = if self.recorder.is_degraded() { ForwarderEnd::Unwritten } else { end };
        self.stats.set_state(ForwarderState::Stopped, None, Timestamp::now());
        info!(forwarder = self.name, ended = ?end, "forwarder stopped");
        end
    }
}
