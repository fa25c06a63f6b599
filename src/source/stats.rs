//! What a source shows of itself. The source's task writes, the admin pages read; the numbers begin at zero with the
//! process.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Why something that was sent to us was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntakeRefusal {
    /// A connection broke off within a record.
    Cut,
    /// Too many half records at once.
    Memory,
    /// The user is not allowed to connect.
    User,
    /// No TLS connection came about.
    Tls,
    /// The kernel had no room for datagrams.
    Dropped,
    /// There was no room in the spool before the stop, or a request came after it.
    Stopped,
    /// Bytes of a file were gone before they were copied to the spool.
    Gone,
    /// A request to another path, or by another method.
    Request,
    /// A request without the credentials that are asked for.
    Denied,
    /// A body that cannot be decoded, or is no events.
    Body,
    /// A body or an event that is too large.
    Size,
    /// Too many connections, or bodies, at once.
    Busy,
    /// A body that came too slowly.
    Slow,
    /// The spool was full.
    Full,
    /// The spool could not be written, or a file of secrets not be read.
    Storage,
}

impl IntakeRefusal {
    pub const ALL: [Self; 15] = [
        Self::Cut,
        Self::Memory,
        Self::User,
        Self::Tls,
        Self::Dropped,
        Self::Stopped,
        Self::Request,
        Self::Denied,
        Self::Body,
        Self::Size,
        Self::Busy,
        Self::Slow,
        Self::Full,
        Self::Storage,
        Self::Gone,
    ];

    /// As in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Memory => "memory",
            Self::User => "user",
            Self::Tls => "tls",
            Self::Dropped => "dropped",
            Self::Stopped => "stopped",
            Self::Gone => "gone",
            Self::Request => "request",
            Self::Denied => "denied",
            Self::Body => "body",
            Self::Size => "size",
            Self::Busy => "busy",
            Self::Slow => "slow",
            Self::Full => "full",
            Self::Storage => "storage",
        }
    }

    /// Whether the sender cannot know of it; who sends over HTTP always does.
    pub fn is_loss(self) -> bool {
        matches!(self, Self::Dropped | Self::Stopped | Self::Cut | Self::Memory | Self::Gone)
    }
}

/// Shared between a source's task and the admin pages. Each number stands alone, so none needs a lock.
#[derive(Debug)]
pub struct SourceStats {
    name: String,
    files_open: AtomicU64,
    files_matched: AtomicU64,
    truncations: AtomicU64,
    connections: AtomicU64,
    /// Bytes, and how many there may be; the latter is zero where there is no spool.
    spool: [AtomicU64; 2],
    /// Only a source that follows files scans.
    scans: AtomicBool,
    blind: AtomicBool,
    refused: [AtomicU64; IntakeRefusal::ALL.len()],
}

impl SourceStats {
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            files_open: AtomicU64::new(0),
            files_matched: AtomicU64::new(0),
            truncations: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            spool: Default::default(),
            scans: AtomicBool::new(false),
            blind: AtomicBool::new(false),
            refused: Default::default(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the last scan found: files that match the paths, files held open (rotated ones too), and how often a file
    /// was seen to have become shorter or to be rewritten in place.
    pub fn scanned(&self, matched: u64, open: u64, truncations: u64) {
        self.files_matched.store(matched, Relaxed);
        self.files_open.store(open, Relaxed);
        self.truncations.store(truncations, Relaxed);
        self.scans.store(true, Relaxed);
        self.blind.store(false, Relaxed);
    }

    /// Looking at the files failed as a whole.
    pub fn scan_failed(&self) {
        self.blind.store(true, Relaxed);
    }

    /// Whether the last look at the files failed as a whole.
    pub fn is_blind(&self) -> bool {
        self.blind.load(Relaxed)
    }

    /// Whether it follows files, and has looked for them.
    pub fn has_scanned(&self) -> bool {
        self.scans.load(Relaxed)
    }

    /// What its spool holds, and how much it may hold, in bytes.
    pub fn set_spool(&self, used: u64, limit: u64) {
        self.spool[0].store(used, Relaxed);
        self.spool[1].store(limit, Relaxed);
    }

    /// Bytes in the spool and its limit; `None` where there is no spool.
    pub fn spool(&self) -> Option<(u64, u64)> {
        let [used, limit] = self.spool.each_ref().map(|bytes| bytes.load(Relaxed));
        (limit > 0).then_some((used, limit))
    }

    pub fn files_open(&self) -> u64 {
        self.files_open.load(Relaxed)
    }

    pub fn files_matched(&self) -> u64 {
        self.files_matched.load(Relaxed)
    }

    pub fn truncations(&self) -> u64 {
        self.truncations.load(Relaxed)
    }

    /// Connections of clients that are open.
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    pub fn set_connections(&self, open: u64) {
        self.connections.store(open, Relaxed);
    }

    pub fn refuse(&self, reason: IntakeRefusal, times: u64) {
        self.refused[reason as usize].fetch_add(times, Relaxed);
    }

    pub fn refused(&self, reason: IntakeRefusal) -> u64 {
        self.refused[reason as usize].load(Relaxed)
    }
}
