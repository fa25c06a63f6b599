//! What a source shows of itself. The source's task writes, the admin pages read; the numbers begin at zero with the
//! process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Shared between a source's task and the admin pages. Each number stands alone, so none needs a lock.
#[derive(Debug)]
pub struct SourceStats {
    name: String,
    files_open: AtomicU64,
    files_matched: AtomicU64,
    truncations: AtomicU64,
}

impl SourceStats {
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            files_open: AtomicU64::new(0),
            files_matched: AtomicU64::new(0),
            truncations: AtomicU64::new(0),
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
}
