//! The window of a forwarder: what it decides, as a plain core.
//!
//! The window is where every promise about a batch meets: that it is announced before it is sent, that it goes again
//! until the receiver has it, that it goes in parts where some of it is refused, that each of its events is settled once.
//! It has no runtime, no file and no socket. Events go in, effects come out, and the time is a value; [`task`](super::task)
//! carries the effects out.
//!
//! ```text
//!            Arrived           Written           Answered
//!  logs ───────────► queue ───────────► batches ───────────► settled, the next part, or again
//!                    in order  admit.rs  inFlight  answered.rs
//!         ReadAgain ──────────────────►     │
//!  restart          resume.rs               └─► Send
//! ```
//!
//! What always holds:
//! * What is written is written in the order in which it was asked for. Only what must not happen before a write waits for
//!   its [`WindowEvent::Written`]: a batch is admitted, and so sent, when it came back for its intent.
//! * What is admitted was announced in the log's order. The dead letters of a batch are durable before its intent is
//!   written, and that of an event that was refused before its settlement is.
//! * An event counts as delivered, dead-lettered or lost when that is written. No more batches are sent and not settled in
//!   the journal than `inFlight`: so many a crash repeats.
//! * Queue and batches together hold no more than `inFlight` + [`AHEAD`] batches, and one more for each source of which
//!   something was lost or given up ([`detach`]); so memory is bounded by the configuration.

mod admit;
mod answered;
mod detach;
mod effect;
mod notice;
mod resume;
#[cfg(test)]
mod tests;
mod write;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use fastrand::Rng;

pub use effect::{
    Arrival, Detachment, ForwarderEnd, ForwarderOrder, Transmission, WindowEffect, WindowEvent, WriteId,
};
pub use notice::{WindowAlarm, WindowNotice};

use self::{
    resume::Restart,
    write::{AfterWrite, PendingWrite},
};
use super::{
    batch::{BodyLimits, InFlightBatch},
    compress::BodyCoding,
    journal::Recovered,
    judge::{HoldReason, ProbeIntervals, ReceiverHealth, RefusalBreaker, SendAllowance, SizeCeiling},
    recorder::RecorderWrite,
    stats::ForwarderState,
};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    config,
};

/// Batches that are prepared ahead of those on the way.
pub const AHEAD: usize = 3;

/// How long what could not be written or read is left alone.
const PAUSE: Duration = Duration::from_secs(1);

/// A write that takes so long is worth a word.
const SLOW: Duration = Duration::from_secs(10);

/// A backlog of which nothing is settled for so long is an alarm.
const STALLED: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub struct Window {
    config: config::Forwarder,
    /// Those that it follows.
    sources: Vec<Arc<str>>,
    order: ForwarderOrder,
    drain_begun: bool,

    restart: Restart,
    /// What arrived and is not admitted, in the log's order.
    queue: VecDeque<Arrival>,
    /// The first of them is being written down.
    is_admitting: bool,
    /// That failed before, so some of its dead letters may be there.
    was_refused_by_disk: bool,
    /// No dead letter is written before, and nothing is admitted: the last try failed.
    letters_after: Option<Instant>,
    /// Admitted, in that order.
    batches: Vec<InFlightBatch>,
    next_number: u64,
    /// For the ids of batches.
    rng: Rng,

    health: ReceiverHealth,
    ceiling: SizeCeiling,
    breaker: RefusalBreaker,
    /// Why the receiver gets nothing, as the journal says it.
    recorded_hold: Option<HoldReason>,

    pending: VecDeque<PendingWrite>,
    last_written: Instant,
    next_write: WriteId,
    effects: Vec<WindowEffect>,

    /// When the event happened that is being taken in.
    now: Instant,
    last_progress: Instant,
    /// These may be raised, by this window or one before it.
    may_be_raised: Vec<(AlarmSubject, AlarmKind)>,
    shown: Option<(ForwarderState, String)>,
}

/// What a window begins with.
pub struct WindowSetup {
    pub config: config::Forwarder,
    /// The sources that it follows.
    pub sources: Vec<Arc<str>>,
    pub recovered: Recovered,
    /// The books have what an earlier task of this process counted of it.
    pub is_counted: bool,
    /// The chance in ids and in waits.
    pub rng: Rng,
}

impl Window {
    pub fn new(setup: WindowSetup, now: Instant) -> Self {
        let WindowSetup { config, sources, recovered, is_counted, mut rng } = setup;
        let probes = ProbeIntervals { hold: config.probe, gone: config.probe.saturating_mul(12) };
        let own = [
            (AlarmSubject::forwarder(&config.name), AlarmKind::Held),
            (AlarmSubject::forwarder(&config.name), AlarmKind::Stalled),
            (AlarmSubject::dead_letters(&config.name), AlarmKind::State),
        ];
        let unread = sources.iter().map(|source| (AlarmSubject::source(source), AlarmKind::Stalled));
        let may_be_raised = own.into_iter().chain(unread).collect();
        let mut window = Self {
            sources,
            order: ForwarderOrder::Run,
            drain_begun: false,
            restart: Restart::new(recovered.outstanding, is_counted),
            queue: VecDeque::new(),
            is_admitting: false,
            was_refused_by_disk: false,
            letters_after: None,
            batches: Vec::new(),
            next_number: recovered.next_batch,
            health: ReceiverHealth::new(config.retry, probes, rng.fork(), now),
            rng,
            ceiling: SizeCeiling::new(config.batch.max_bytes),
            breaker: RefusalBreaker::default(),
            recorded_hold: None,
            pending: VecDeque::new(),
            last_written: now,
            next_write: WriteId::default(),
            effects: Vec::new(),
            now,
            last_progress: now,
            may_be_raised,
            shown: None,
            config,
        };
        if recovered.hold.is_some() {
            // What is known of the receiver begins anew.
            window.write(vec![RecorderWrite::HoldEnd], AfterWrite::Nothing);
        }
        window
    }

    /// Takes in what happened: what is to be done now, in this order.
    pub fn on(&mut self, event: WindowEvent, now: Instant) -> Vec<WindowEffect> {
        self.now = now;
        match event {
            WindowEvent::Arrived(arrival) => self.queue.push_back(arrival),
            WindowEvent::Answered { n, begun, answer } => self.on_answer(n, begun, &answer),
            WindowEvent::Compressed { n, wire } => {
                if let Some(batch) = self.batches.iter_mut().find(|batch| batch.n == n) {
                    batch.wire = Some(wire);
                }
            }
            WindowEvent::Written(id, result) => self.on_written(id, result),
            WindowEvent::ReadAgain(read) => self.on_read_again(read),
            WindowEvent::Scanned => self.restart.begin(),
            WindowEvent::FilesChanged => self.health.probe_now(self.now),
            WindowEvent::Order(order) => self.take_order(order),
            WindowEvent::Tick { has_all_read } => self.watch_progress(has_all_read),
            WindowEvent::Woken => {}
        }
        self.go_on();
        self.show_receiver_state();
        std::mem::take(&mut self.effects)
    }

    /// Does what can be done now.
    fn go_on(&mut self) {
        if self.letters_after.is_some_and(|then| self.now >= then) {
            self.letters_after = None;
        }
        self.refuse_what_is_known();
        self.dead_letter_refused_events();
        if self.order == ForwarderOrder::Stop {
            return;
        }
        self.resume();
        self.admit();
        self.send();
    }

    /// Sends what may be sent, oldest first.
    fn send(&mut self) {
        // There may be more batches than may be on the way: see `detach`.
        let in_flight = self.config.in_flight;
        while self.unsettled() < in_flight
            && let Some(index) = self.batches.iter().take(in_flight).position(InFlightBatch::can_be_sent)
        {
            match self.health.may_send(self.now) {
                SendAllowance::Yes => {}
                SendAllowance::OnlyOne if !self.is_sending() => {}
                SendAllowance::OnlyOne | SendAllowance::NotBefore(_) => return,
            }
            self.transmit(index);
        }
    }

    fn take_order(&mut self, order: ForwarderOrder) {
        self.order = order;
        if matches!(order, ForwarderOrder::Drain(_)) && !std::mem::replace(&mut self.drain_begun, true) {
            self.health.probe_now(self.now);
        }
    }

    /// When something is due that no event prompts.
    pub fn wake_at(&self, now: Instant) -> Option<Instant> {
        let to_send = self.batches.iter().any(InFlightBatch::can_be_sent);
        let next_try = match self.health.may_send(now) {
            SendAllowance::NotBefore(then) if to_send => Some(then),
            _ => None,
        };
        let (drained, resumed) = match self.order {
            ForwarderOrder::Run => (None, self.restart.paused_until()),
            ForwarderOrder::Drain(until) => (Some(until), self.restart.paused_until()),
            ForwarderOrder::Stop => (None, None),
        };
        [next_try, self.letters_after, resumed, drained].into_iter().flatten().min()
    }

    /// How many more batches it has room for. None of them is to be read before those of a restart are taken up.
    pub fn room(&self) -> usize {
        if self.order == ForwarderOrder::Stop || !self.restart.is_over() {
            return 0;
        }
        (self.config.in_flight + AHEAD).saturating_sub(self.queue.len() + self.batches.len())
    }

    /// How large a batch may be.
    pub fn limits(&self) -> BodyLimits {
        BodyLimits::new(&self.config.batch, self.config.framing, Some(self.ceiling.max_bytes()))
    }

    pub fn order(&self) -> ForwarderOrder {
        self.order
    }

    /// Deliveries are held, and no request is on its way: a file that changed is worth a try.
    pub fn waits_for_files(&self) -> bool {
        self.health.hold_reason().is_some() && !self.is_sending()
    }

    /// For how long the disk has not done what it was asked for next; `None` where there is nothing for it to do.
    pub fn writing_for(&self, now: Instant) -> Option<Duration> {
        let since = self.pending.front()?.since.max(self.last_written);
        Some(now.saturating_duration_since(since))
    }

    /// How it ends, where it does now. `has_all_read`: nothing whole is left in the logs, nor on its way from them;
    /// `is_reading`: some of it is on its way.
    pub fn end(&self, has_all_read: bool, is_reading: bool, now: Instant) -> Option<ForwarderEnd> {
        match self.order {
            ForwarderOrder::Run => None,
            ForwarderOrder::Stop => {
                (!self.is_sending() && self.pending.is_empty() && !is_reading).then_some(ForwarderEnd::Backlog)
            }
            ForwarderOrder::Drain(_) if has_all_read && self.is_empty() => Some(ForwarderEnd::Drained),
            ForwarderOrder::Drain(until) => (now >= until || self.is_held_off(now)).then_some(ForwarderEnd::Backlog),
        }
    }

    /// The receiver refuses us, also the attempt that a stop makes: waiting for it would change nothing.
    fn is_held_off(&self, now: Instant) -> bool {
        !self.is_sending()
            && self.health.hold_reason().is_some()
            && matches!(self.health.may_send(now), SendAllowance::NotBefore(_))
    }

    /// All that it was given is settled.
    fn is_empty(&self) -> bool {
        self.restart.is_over() && self.queue.is_empty() && self.batches.is_empty() && self.pending.is_empty()
    }

    fn is_sending(&self) -> bool {
        self.batches.iter().any(InFlightBatch::is_flying)
    }

    /// How many requests are on their way, or came to a settlement that is not written.
    fn unsettled(&self) -> usize {
        let settling = |write: &&PendingWrite| matches!(write.then, AfterWrite::CountDelivered { .. });
        let flying = self.batches.iter().filter(|batch| batch.is_flying()).count();
        flying + self.pending.iter().filter(settling).count()
    }

    fn watch_progress(&mut self, has_all_read: bool) {
        if (has_all_read && self.is_empty()) || self.order != ForwarderOrder::Run {
            return self.progressed();
        }
        let idle = self.now.saturating_duration_since(self.last_progress);
        if idle >= STALLED {
            let (state, cause) = (self.health.state().name(), self.health.cause().to_owned());
            let writing =
                self.writing_for(self.now).filter(|writing| *writing >= SLOW).map(|writing| writing.as_secs());
            self.raise(WindowAlarm::Stalled { seconds: idle.as_secs(), writing, state, cause });
        }
    }

    /// Something was settled.
    fn progressed(&mut self) {
        self.last_progress = self.now;
        self.clear(AlarmSubject::forwarder(&self.config.name), AlarmKind::Stalled);
    }

    fn raise(&mut self, alarm: WindowAlarm) {
        let raised = (alarm.subject(&self.config.name), alarm.kind());
        if !self.may_be_raised.contains(&raised) {
            self.may_be_raised.push(raised);
        }
        self.effects.push(WindowEffect::Raise(alarm));
    }

    fn clear(&mut self, subject: AlarmSubject, kind: AlarmKind) {
        let raised = (subject, kind);
        if let Some(index) = self.may_be_raised.iter().position(|known| *known == raised) {
            let (subject, kind) = self.may_be_raised.swap_remove(index);
            self.effects.push(WindowEffect::Clear(subject, kind));
        }
    }

    /// Sixteen random bytes in hexadecimal digits.
    fn new_id(&mut self) -> String {
        super::batch::new_id(&mut self.rng)
    }

    fn take_number(&mut self) -> u64 {
        let n = self.next_number;
        self.next_number += 1;
        n
    }

    /// How bodies are compressed.
    fn coding(&self) -> BodyCoding {
        BodyCoding::of(self.config.compression)
    }
}
