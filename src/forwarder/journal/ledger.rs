//! The newest settled batches, bounded in bytes: what went where, and when.

use std::collections::VecDeque;

use super::record::{BatchRecord, LedgerEntry};

#[derive(Debug)]
pub(super) struct Ledger {
    entries: VecDeque<LedgerEntry>,
    /// As the entries are written, about.
    bytes: usize,
    limit: usize,
}

impl Ledger {
    pub(super) fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, limit }
    }

    /// Adds the newest entry; the oldest make room.
    pub(super) fn push(&mut self, entry: LedgerEntry) {
        self.bytes += written(&entry);
        self.entries.push_back(entry);
        while self.bytes > self.limit {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= written(&oldest);
        }
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &LedgerEntry> {
        self.entries.iter()
    }
}

/// About how many bytes an entry takes in the file.
fn written(entry: &LedgerEntry) -> usize {
    let BatchRecord { source, id, span, .. } = &entry.batch;
    300 + source.len() + id.as_ref().map_or(0, String::len) + span.len() * 90
}
