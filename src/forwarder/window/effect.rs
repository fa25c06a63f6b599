//! What the window takes and what it asks for, as values.

use std::{fmt, io, sync::Arc, time::Instant};

use bytes::Bytes;

use super::notice::{WindowAlarm, WindowNotice};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    forwarder::{
        batch::{BatchBody, SealedBatch},
        journal::BatchRecord,
        judge::Answer,
        recorder::RecorderWrite,
        stats::{FilteredCounts, ForwarderState, Tally},
    },
    log::{ContainerOrigin, LostRange, SegmentId, SegmentRange, Unread},
};

/// What a forwarder is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwarderOrder {
    Run,
    /// Finish what is on the way and stop: the configuration changed.
    Stop,
    /// Deliver what can be delivered until then, and stop.
    Drain(Instant),
}

/// How a forwarder ended, from well to badly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ForwarderEnd {
    /// Nothing whole is left to deliver.
    Drained,
    /// What is left is safe on disk.
    Backlog,
    /// Where it stands could not be made durable: what it sent last may be sent again.
    Unwritten,
}

/// Something that happened outside of the window.
#[derive(Debug)]
pub enum WindowEvent {
    /// The next thing from the logs, in their order.
    Arrived(Arrival),
    /// What came back for batch `n`, which was sent at `begun`.
    Answered {
        n: u64,
        begun: Instant,
        answer: Answer,
    },
    /// A [`WindowEffect::Compress`] was done.
    Compressed {
        n: u64,
        wire: Bytes,
    },
    /// A [`WindowEffect::Write`] was done, or failed at the first of its writes that can.
    Written(WriteId, io::Result<()>),
    /// A [`WindowEffect::ReadAgain`] was done: the batch, compressed, and what reading it came to.
    ReadAgain(Result<(SealedBatch, Tally), Unread>),
    /// Every log was scanned, so that the files of a restart's batches are known.
    Scanned,
    /// A token or a certificate is another one.
    FilesChanged,
    Order(ForwarderOrder),
    /// A second passed. `has_all_read`: nothing whole is left in the logs, nor on its way from them.
    Tick {
        has_all_read: bool,
    },
    /// The moment came that [`Window::wake_at`](super::Window::wake_at) gave.
    Woken,
}

/// What comes from the logs.
#[derive(Debug)]
pub enum Arrival {
    /// Compressed, where it has an event.
    Batch(SealedBatch),
    /// These bytes are gone.
    Gap(Arc<str>, LostRange),
    Detach(Detachment),
}

/// A source needs room: everything up to a segment is given up, but for what is in memory.
#[derive(Debug)]
pub struct Detachment {
    pub source: Arc<str>,
    pub last: SegmentId,
    /// What of it was not read.
    pub unread: Vec<SegmentRange>,
}

/// What is to be done outside of the window, in this order.
#[derive(Debug)]
pub enum WindowEffect {
    /// Write this down, after all that was asked for before, up to the first that fails; then say
    /// [`WindowEvent::Written`].
    Write(WriteId, Vec<RecorderWrite>),
    Send(Transmission),
    Compress {
        n: u64,
        body: Arc<BatchBody>,
    },
    /// Put this batch together again.
    ReadAgain(BatchRecord),
    /// What was written is to be made durable now: somebody waits for it.
    Sync,
    /// Nobody needs this body any more.
    Recycle(Arc<BatchBody>),
    /// Enter this into the books of a source.
    Count {
        source: Arc<str>,
        tally: Tally,
        filtered: FilteredCounts,
    },
    /// A batch was made.
    CountBatch {
        events: usize,
        raw_bytes: usize,
        wire_bytes: usize,
    },
    /// A batch was delivered.
    Succeeded,
    /// A request failed.
    Failed(String),
    Raise(WindowAlarm),
    Clear(AlarmSubject, AlarmKind),
    Log(WindowNotice),
    /// What the forwarder is doing, and why it is not ready.
    Show(ForwarderState, Option<String>),
}

/// One request.
#[derive(Clone, Debug)]
pub struct Transmission {
    pub n: u64,
    pub id: String,
    pub attempt: u32,
    pub events: usize,
    pub wire: Bytes,
    pub origin: Option<Arc<ContainerOrigin>>,
}

/// Which [`WindowEffect::Write`] was done. They are done in the order of their ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WriteId(pub u64);

impl fmt::Display for WriteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
