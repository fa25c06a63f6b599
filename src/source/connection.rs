//! One client of a stream source.
//!
//! What always holds: records are put in the spool in the order in which they came, one put after the other; with
//! `acks` a record is acknowledged (`ok N`, the number of records taken from this connection so far) only then. While
//! the disk works on a put more is read, so that the next is larger and few syncs are needed. Memory is bounded for all
//! clients of a source together ([`Budget`]). The last line of a stream that ends cleanly needs no line end; what a
//! broken one leaves of a record is refused and counted.

use std::{
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Duration, Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::{
    client_stream::ClientStream,
    framing::Framer,
    spool_writer::{SpoolLines, SpoolWriter},
    stats::IntakeRefusal,
};
use crate::config::{SourceFraming, StreamLimits};

/// Bytes of one read.
const READ: usize = 64 * 1024;

/// Bytes that one client's turn takes.
const TURN: usize = 4 * READ;

/// Bytes that are read while those before them are put.
const AHEAD: usize = 1024 * 1024;

/// Bytes of all turns at once.
pub const TURNS: usize = 8 * 1024 * 1024;

/// What a quiet client costs us at most, TLS included.
pub const QUIET: usize = 48 * 1024;

/// Turns after the stop: what was received by then, and not what a client goes on sending.
const LAST_TURNS: usize = 4;

/// How long a client may take to notice that we close.
const GOODBYE: Duration = Duration::from_millis(500);

/// What all clients of a source may use together.
pub struct Budget {
    turns: Arc<Semaphore>,
    /// Bytes of records whose end has not come.
    halves: AtomicUsize,
    most_halves: usize,
    /// Whether clients wait for others to leave.
    crowded: AtomicBool,
}

impl Budget {
    pub fn new(longest: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(TURNS)),
            halves: AtomicUsize::new(0),
            most_halves: most_halves(longest),
            crowded: AtomicBool::new(false),
        }
    }

    pub fn set_crowded(&self, crowded: bool) {
        self.crowded.store(crowded, Relaxed);
    }

    /// False where there is no room for it.
    fn hold(&self, before: usize, now: usize) -> bool {
        if now <= before {
            self.halves.fetch_sub(before - now, Relaxed);
            return true;
        }
        self.halves.fetch_add(now - before, Relaxed) + (now - before) <= self.most_halves
    }
}

/// Bytes of half records that a source may hold: two of the longest.
pub fn most_halves(longest: usize) -> usize {
    2 * longest
}

/// What a client's task needs.
#[derive(Clone)]
pub struct ConnectionContext {
    pub spool_writer: SpoolWriter,
    pub budget: Arc<Budget>,
    pub limits: StreamLimits,
    pub framing: SourceFraming,
    pub stop: CancellationToken,
}

/// How a turn left the stream.
#[derive(Debug)]
enum UnreadRest {
    /// There may be more to read at once.
    More,
    Drained,
    Ended,
    Broken(io::Error),
}

/// What was read and is not put yet, with its part of the budget.
struct PendingRecords {
    lines: SpoolLines,
    left: UnreadRest,
    /// Half records beside it fit in the budget.
    fits: bool,
    /// It was read after the stop.
    last: bool,
    room: OwnedSemaphorePermit,
}

impl PendingRecords {
    /// Whether the stream may go on behind it.
    fn goes_on(&self) -> bool {
        self.fits && !self.last && matches!(self.left, UnreadRest::More | UnreadRest::Drained)
    }
}

pub struct Connection {
    link: ClientStream,
    peer: String,
    terms: ConnectionContext,
    framer: Framer,
    held: usize,
    taken: u64,
    deadline: Instant,
}

impl Connection {
    pub fn new(link: ClientStream, peer: String, terms: ConnectionContext) -> Self {
        let framer = Framer::new(terms.spool_writer.longest());
        let deadline = Instant::now() + terms.limits.idle_timeout;
        Self { link, peer, terms, framer, held: 0, taken: 0, deadline }
    }

    /// Takes what the client sends until it ends, goes quiet for too long, or all stops.
    pub async fn run(mut self) {
        self.converse().await;
        self.terms.budget.hold(self.held, 0);
        let _ = timeout(GOODBYE, self.link.shut()).await;
    }

    async fn converse(&mut self) {
        let mut at_once = false;
        let mut last_turns = LAST_TURNS;
        let mut ahead = None;
        loop {
            let batch = match ahead.take() {
                Some(batch) => batch,
                None if at_once || self.wait().await => match self.wait_turn().await {
                    Some(batch) => batch,
                    None => return,
                },
                None => return,
            };
            let goes_on = batch.goes_on();
            // Its part of the budget is held until it is put.
            let PendingRecords { lines, left, fits, last, room: _room } = batch;
            if lines.records > 0 {
                self.deadline = Instant::now() + self.terms.limits.idle_timeout;
                match self.put(lines, goes_on).await {
                    Some(read) => ahead = read,
                    None => return,
                }
            }
            if !fits {
                return self.refuse(IntakeRefusal::Memory, "is closed: too many half records are held already");
            }
            match left {
                UnreadRest::More => at_once = true,
                UnreadRest::Drained => at_once = false,
                UnreadRest::Ended => return,
                UnreadRest::Broken(error) => return self.cut(&format!("broke off ({error})")),
            }
            if last {
                last_turns -= 1;
                if !at_once || last_turns == 0 {
                    return self.cut("was open at the stop");
                }
            }
        }
    }

    /// Waits for something to read, or the stop; false where the client was quiet for too long.
    ///
    /// Who is quiet between two records is left alone while nobody needs the place: a sender that hears nothing from us
    /// would lose the next record into the connection that we closed.
    async fn wait(&mut self) -> bool {
        tokio::select! {
            biased;
            // An error shows when it is read.
            _ = self.link.readable() => true,
            () = self.terms.stop.cancelled() => true,
            () = sleep_until(self.deadline) => {
                if !self.framer.is_within() && !self.terms.budget.crowded.load(Relaxed) {
                    self.deadline = Instant::now() + self.terms.limits.idle_timeout;
                    return true;
                }
                self.cut("completed no record within idleTimeout");
                info!(source = &*self.terms.spool_writer.name, peer = self.peer, "an idle connection is closed");
                false
            }
        }
    }

    /// Reads what is there; `None` where nothing may be read any more.
    async fn wait_turn(&mut self) -> Option<PendingRecords> {
        let last = self.terms.stop.is_cancelled();
        let room = self.terms.budget.turns.clone().acquire_many_owned(TURN as u32).await.ok()?;
        Some(self.read(SpoolLines::new(self.terms.framing), room, last).await)
    }

    /// Adds what is there to `lines`.
    async fn read(&mut self, mut lines: SpoolLines, mut room: OwnedSemaphorePermit, last: bool) -> PendingRecords {
        let left = self.read_into(&mut lines).await;
        if matches!(left, UnreadRest::Ended) && self.framer.finish(&mut |frame| lines.add(&frame)) {
            self.refuse(IntakeRefusal::Cut, "ended within a record of stated length");
        }
        let held = self.framer.held();
        let fits = self.terms.budget.hold(std::mem::replace(&mut self.held, held), held);
        // Only what was read is in memory now.
        drop(room.split(room.num_permits().saturating_sub(lines.bytes.len())));
        PendingRecords { lines, left, fits, last, room }
    }

    async fn read_into(&mut self, lines: &mut SpoolLines) -> UnreadRest {
        let mut buffer = vec![0; READ];
        for _ in 0..TURN / READ {
            match self.link.read_now(&mut buffer).await {
                None => return UnreadRest::Drained,
                Some(Ok(0)) => return UnreadRest::Ended,
                Some(Ok(bytes)) => self.framer.feed(&buffer[..bytes], &mut |frame| lines.add(&frame)),
                Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Some(Err(error)) => return UnreadRest::Broken(error),
            }
        }
        UnreadRest::More
    }

    /// Puts them, and acknowledges them; meanwhile reads more, as far as nobody else needs the room. `None` where the
    /// connection must end, else what was read.
    async fn put(&mut self, lines: SpoolLines, mut goes_on: bool) -> Option<Option<PendingRecords>> {
        let records = lines.records;
        let terms = self.terms.clone();
        let mut ahead: Option<PendingRecords> = None;
        let mut put = pin!(terms.spool_writer.put(lines.bytes.into(), &terms.stop));
        let put = loop {
            tokio::select! {
                biased;
                put = &mut put => break put,
                _ = self.link.readable(), if goes_on => {
                    let enough;
                    (ahead, enough) = self.read_ahead(ahead).await;
                    goes_on = !enough && ahead.as_ref().is_none_or(PendingRecords::goes_on);
                }
            }
        };
        if put.is_err() {
            let records = records + ahead.map_or(0, |batch| batch.lines.records);
            if !terms.limits.acks {
                self.refuse(
                    IntakeRefusal::Stopped,
                    &format!("sent {records} records that found no room before the stop"),
                );
            }
            return None;
        }
        self.taken += records;
        if terms.limits.acks {
            let ack = format!("ok {}\n", self.taken);
            match timeout(terms.limits.idle_timeout, self.link.write(ack.as_bytes())).await {
                Ok(Ok(())) => {}
                // What was taken is ours, heard or not.
                failed => debug!(peer = self.peer, ?failed, "an acknowledgement was not taken"),
            }
        }
        Some(ahead)
    }

    /// What was read ahead with what there is now, and whether that is enough: all clients share the room for it.
    async fn read_ahead(&mut self, before: Option<PendingRecords>) -> (Option<PendingRecords>, bool) {
        let room = self.terms.budget.turns.clone().try_acquire_many_owned(TURN as u32);
        let Ok(mut room) = room else { return (before, true) };
        if self.terms.stop.is_cancelled() {
            return (before, true);
        }
        let lines = match before {
            None => SpoolLines::new(self.terms.framing),
            Some(batch) => {
                room.merge(batch.room);
                batch.lines
            }
        };
        let batch = self.read(lines, room, false).await;
        let enough = batch.lines.bytes.len() >= AHEAD;
        (Some(batch), enough)
    }

    /// The connection ends for another reason than the client's end of the stream.
    fn cut(&self, why: &str) {
        if self.framer.is_within() {
            self.refuse(IntakeRefusal::Cut, why);
        } else {
            debug!(source = &*self.terms.spool_writer.name, peer = self.peer, why, "a connection ends");
        }
    }

    fn refuse(&self, reason: IntakeRefusal, why: &str) {
        let part = self.framer.held();
        self.terms.spool_writer.refuse(
            reason,
            &format!("the connection of {} {why}: {part} bytes of its last record are not taken", self.peer),
        );
    }
}
