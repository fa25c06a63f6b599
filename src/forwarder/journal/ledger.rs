//! The newest settled batches, bounded in bytes: what went where, and when.

use std::collections::VecDeque;

use super::record::LedgerEntry;

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
    160 + entry.source.len() + entry.id.as_ref().map_or(4, String::len) + entry.span.len() * 60
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn an_entry_that_was_written_before_digests_were_kept_is_read_and_stays_as_it_was() {
        let line = r#"{"n":7,"id":"a","s":"app","sp":[[1,0,9,null]],"e":2,"o":"delivered","st":200,"t":5}"#;
        let entry: LedgerEntry = serde_json::from_str(line).unwrap();
        assert_eq!((entry.crc32, entry.len), (None, None));
        assert_eq!(serde_json::to_string(&entry).unwrap(), line);
    }
}
