//! Logs keep records until every forwarder is past them.
//!
//! A log is an ordered run of numbered segments; a segment is a file of lines. A *tailed* log's segments are the
//! application's own files: the file is the queue, nothing is copied. Whoever watches the files (the log's
//! [`Tail`](tail::Tail)) publishes the unreleased segments; forwarders read them with a [`Reader`] at cursors of
//! their own, and report on the [`ReleaseGate`] how far they are durably past. What all are past is released.
//!
//! What always holds: a segment is published after its number is durable in the catalog; its size only grows, but
//! for a line that was never whole; it stays published until every forwarder's *durable* cursor is at its end, or the
//! forwarder gave it up.

pub mod catalog;
pub mod container;
pub mod cri;
pub mod data_end;
pub mod digest;
pub mod identity;
pub mod item;
pub mod lines;
pub mod links;
pub mod long;
pub mod lost;
pub mod position;
pub mod reader;
pub mod record;
pub mod release_gate;
pub mod segment;
pub mod spool;
pub mod tail;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::{Notify, watch};

use crate::config::LineFormat;

pub use container::ContainerOrigin;
pub use digest::{RecordDigest, RecordHasher};
pub use item::{CutPart, ItemKind, LogItem};
pub use links::{LinkPolicy, PathTarget};
pub use lost::LostRange;
pub use position::{Anchor, AnchoredRange, Cursor, SegmentId, SegmentRange, Span};
pub use reader::{ReadEnd, Reader, Take, Unread};
pub use release_gate::{FollowerRequest, ReleaseGate};
pub use segment::{Extent, Segment, SegmentState};

/// The unreleased segments in ascending order, as of one scan.
pub type Segments = Arc<Vec<Arc<Segment>>>;

/// One log, as its forwarders see it. Clones share it.
#[derive(Clone, Debug)]
pub struct Log {
    /// The source's name.
    pub name: Arc<str>,
    /// Random, made with the log's catalog: event ids stay unique where state was lost.
    pub id: Arc<str>,
    pub release_gate: Arc<ReleaseGate>,
    format: LineFormat,
    segments: watch::Receiver<Segments>,
    scans: Arc<AtomicU64>,
    suspicion: Arc<Suspicion>,
}

/// What readers saw that does not fit, for the scanner to look into at once.
#[derive(Debug, Default)]
struct Suspicion {
    /// Cursors whose bytes were not there any more.
    cursors: Mutex<HashMap<SegmentId, Cursor>>,
    wake: Notify,
}

impl Log {
    /// A log and the sender with which its scanner publishes segments.
    pub fn new(name: &str, id: &str) -> (Self, watch::Sender<Segments>) {
        let (sender, segments) = watch::channel(Segments::default());
        let log = Self {
            name: name.into(),
            id: id.into(),
            release_gate: Arc::default(),
            format: LineFormat::Lines,
            segments,
            scans: Arc::default(),
            suspicion: Arc::default(),
        };
        (log, sender)
    }

    /// The log of files that are in another format than plain lines.
    #[must_use]
    pub fn in_format(self, format: LineFormat) -> Self {
        Self { format, ..self }
    }

    /// The container that wrote a segment, where its path tells and its format is that of containers.
    pub fn origin(&self, segment: SegmentId) -> Option<ContainerOrigin> {
        let LineFormat::Cri(_) = self.format else { return None };
        let segments = self.segments();
        let segment = segments.iter().find(|known| known.id == segment)?;
        ContainerOrigin::of(&segment.lineage)
    }

    pub fn segments(&self) -> Segments {
        self.segments.borrow().clone()
    }

    /// The files in which some follower is not at the end, and how many bytes stand behind the hindmost.
    pub fn left(&self) -> Vec<(PathBuf, u64)> {
        let segments = self.segments();
        let left = segments.iter().filter_map(|segment| {
            let (id, start, end) = (segment.id, segment.start.offset, segment.size());
            let from = self.release_gate.lowest(id, start);
            (!self.release_gate.holders(id, start, end).is_empty())
                .then(|| (segment.path(), end.saturating_sub(from)))
        });
        left.collect()
    }

    /// Whoever awaits a change on it is woken when segments appear, grow, change their state or are released.
    pub fn changes(&self) -> watch::Receiver<Segments> {
        self.segments.clone()
    }

    /// Whether its segments were published at least once.
    pub fn was_scanned(&self) -> bool {
        self.scans() > 0
    }

    /// How many scans were published.
    pub fn scans(&self) -> u64 {
        self.scans.load(Ordering::Acquire)
    }

    /// A scan was published.
    fn count_scan(&self) {
        self.scans.fetch_add(1, Ordering::Release);
    }

    /// Whether a scan may still come: whoever scans has not ended.
    pub fn may_be_scanned(&self) -> bool {
        self.segments.has_changed().is_ok()
    }

    /// A reader found other bytes before `cursor` than it had read there: the file is another life by now.
    pub fn suspect(&self, segment: SegmentId, cursor: Cursor) {
        self.suspicion.cursors.lock().expect("nothing panics while it holds the cursors").insert(segment, cursor);
        self.suspicion.wake.notify_one();
    }

    /// Asks for a scan now.
    pub fn scan_soon(&self) {
        self.suspicion.wake.notify_one();
    }

    /// Completes when a scan was asked for.
    pub async fn scan_asked(&self) {
        self.suspicion.wake.notified().await;
    }

    /// The suspicions since the last call.
    pub fn take_suspicions(&self) -> HashMap<SegmentId, Cursor> {
        std::mem::take(&mut self.suspicion.cursors.lock().expect("nothing panics while it holds the cursors"))
    }

    /// An event's id: the same over every retry, restart and replay.
    pub fn event_id(&self, segment: SegmentId, start: u64) -> String {
        format!("{}-{}-{}-{}", self.name, self.id, segment, start)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]
mod tests;
