//! A journal on storage that fails.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;

use super::*;
use crate::{
    forwarder::journal::{
        JournalAppendError, JournalRecord,
        tests::{intent, settled},
    },
    log::SegmentId,
};

fn open(dir: &Path) -> Journal {
    Journal::open(dir, "siem").unwrap().0
}

/// Appends a delivered batch over `start..end`.
fn deliver(journal: &mut Journal, start: u64, end: u64) -> Result<(), JournalAppendError> {
    let n = journal.next_batch();
    journal.append(&[JournalRecord::Intent(intent(n, "s", 1, start, end)), settled(n)])
}

fn at(settled_cursors: &SettledCursors) -> u64 {
    settled_cursors.get(&SegmentId(1)).copied().unwrap_or(0)
}

/// Takes away what a failed storage would: nothing can be written beside the journal.
fn obstruct(dir: &Path) -> std::path::PathBuf {
    let obstacle = dir.join("forwarders/siem/journal.tmp");
    fs::create_dir(&obstacle).unwrap();
    obstacle
}

#[test]
fn a_cursor_counts_as_synced_only_after_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    deliver(&mut journal, 0, 10).unwrap();
    assert_eq!((at(&journal.settled_cursors("s")), at(&journal.durable_cursors("s"))), (10, 0));
    let sync = journal.start_sync();
    deliver(&mut journal, 10, 20).unwrap();
    journal.finish_sync(sync.run()).unwrap();
    assert_eq!((at(&journal.settled_cursors("s")), at(&journal.durable_cursors("s"))), (20, 10));
    journal.sync().unwrap();
    assert_eq!(at(&journal.durable_cursors("s")), 20);
}

#[test]
fn a_full_disk_stops_neither_delivery_nor_is_anything_released_until_the_state_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    deliver(&mut journal, 0, 10).unwrap();
    journal.sync().unwrap();
    journal.storage.file = FileHealth::Good(File::options().append(true).open("/dev/full").unwrap());
    let obstacle = obstruct(dir.path());
    let error = deliver(&mut journal, 10, 20).unwrap_err();
    assert!(matches!(&error, JournalAppendError::Storage(e) if e.kind() == io::ErrorKind::StorageFull), "{error}");
    assert!(journal.degraded().is_some() && journal.take_incident().is_some());
    assert!(matches!(deliver(&mut journal, 20, 30), Err(JournalAppendError::Storage(_))));
    journal.sync().unwrap_err();
    assert_eq!((at(&journal.settled_cursors("s")), at(&journal.durable_cursors("s"))), (30, 10));
    // What a crash finds now is the older state.
    let crashed = Journal::read(dir.path(), "siem").unwrap().unwrap();
    assert_eq!(crashed.read_cursors["s"][&SegmentId(1)].offset, 10);
    fs::remove_dir(obstacle).unwrap();
    journal.sync().unwrap();
    assert_eq!((journal.degraded(), at(&journal.durable_cursors("s"))), (None, 30));
    deliver(&mut journal, 30, 40).unwrap();
    drop(journal);
    assert_eq!(at(&open(dir.path()).settled_cursors("s")), 40);
}

#[test]
fn a_line_that_was_written_in_part_does_not_spoil_what_follows() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    deliver(&mut journal, 0, 10).unwrap();
    let mut half = durable::append_file(journal.path()).unwrap();
    half.write_all(b"1c291ca3 {\"record\":\"inte").unwrap();
    journal.storage.degrade(&io::Error::from(io::ErrorKind::StorageFull));
    journal.storage.file = match std::mem::replace(&mut journal.storage.file, FileHealth::Good(half)) {
        FileHealth::Degraded { kind, error, .. } => FileHealth::Degraded { kind, error, retry: Instant::now() },
        good => good,
    };
    deliver(&mut journal, 10, 20).unwrap();
    drop(journal);
    let (journal, recovered) = Journal::open(dir.path(), "siem").unwrap();
    assert_eq!((recovered.damage, at(&journal.settled_cursors("s"))), (Damage::default(), 20));
}

#[test]
fn after_a_failed_sync_the_same_file_is_never_trusted_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    deliver(&mut journal, 0, 10).unwrap();
    let before = fs::metadata(journal.path()).unwrap().ino();
    let obstacle = obstruct(dir.path());
    let started = journal.start_sync();
    let failed = SyncDone { result: Err(io::ErrorKind::Other.into()), started };
    journal.finish_sync(failed).unwrap_err();
    // The second sync of the same descriptor would say that all is well.
    journal.sync().unwrap_err();
    assert_eq!(at(&journal.durable_cursors("s")), 0);
    fs::remove_dir(obstacle).unwrap();
    journal.sync().unwrap();
    assert_eq!(at(&journal.durable_cursors("s")), 10);
    assert_ne!(fs::metadata(journal.path()).unwrap().ino(), before);
}

#[test]
fn a_late_success_of_a_file_that_failed_meanwhile_counts_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    deliver(&mut journal, 0, 10).unwrap();
    let done = journal.start_sync().run();
    journal.storage.degrade(&io::Error::from(io::ErrorKind::Other));
    let obstacle = obstruct(dir.path());
    journal.finish_sync(done).unwrap_err();
    assert_eq!(at(&journal.durable_cursors("s")), 0);
    fs::remove_dir(obstacle).unwrap();
}

#[test]
fn a_state_directory_deleted_under_us_is_made_again_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let state_dir = dir.path().join("state");
    let mut journal = open(&state_dir);
    deliver(&mut journal, 0, 10).unwrap();
    journal.sync().unwrap();
    fs::remove_dir_all(&state_dir).unwrap();
    deliver(&mut journal, 10, 20).unwrap();
    journal.sync().unwrap();
    assert!(journal.take_incident().is_some_and(|text| text.contains("removed")));
    assert_eq!(journal.take_incident(), None);
    drop(journal);
    assert_eq!(at(&open(&state_dir).settled_cursors("s")), 20);
}

#[test]
fn compaction_bounds_the_file_and_keeps_the_newest_settled_batches() {
    let dir = tempfile::tempdir().unwrap();
    let limit = 32 << 10;
    let (mut journal, _) = Journal::open_with(dir.path(), "siem", limit).unwrap();
    for i in 0..500 {
        deliver(&mut journal, i * 10, i * 10 + 10).unwrap();
        assert!(journal.size() <= limit + 1000, "{} bytes after batch {i}", journal.size());
    }
    journal.compact().unwrap();
    assert!(journal.size() <= limit / 2, "{} bytes", journal.size());
    let kept: Vec<u64> = journal.ledger().map(|entry| entry.batch.n).collect();
    assert!(kept.len() > 10, "{kept:?}");
    assert_eq!(*kept.last().unwrap(), 500);
    assert!(kept.windows(2).all(|pair| pair[1] == pair[0] + 1));
    let entries: Vec<_> = journal.ledger().cloned().collect();
    drop(journal);
    let (journal, recovered) = Journal::open_with(dir.path(), "siem", limit).unwrap();
    assert_eq!(journal.ledger().cloned().collect::<Vec<_>>(), entries);
    assert_eq!((recovered.totals["s"].delivered, recovered.next_batch), (4000, 501));
}

#[test]
fn a_compaction_that_fails_leaves_the_old_file_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = open(dir.path());
    deliver(&mut journal, 0, 10).unwrap();
    let obstacle = obstruct(dir.path());
    journal.compact().unwrap_err();
    assert_eq!(journal.degraded(), None);
    assert!(journal.take_incident().is_some());
    deliver(&mut journal, 10, 20).unwrap();
    fs::remove_dir(obstacle).unwrap();
    drop(journal);
    assert_eq!(at(&open(dir.path()).settled_cursors("s")), 20);
}
