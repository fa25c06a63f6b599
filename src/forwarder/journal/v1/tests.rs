//! Journals that version 0.1.0 wrote, from real runs; `tests/journal-v1` has one of each kind.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{fs, path::Path};

use crate::forwarder::journal::{Damage, Journal, Outcome, Recovered};

/// A state directory with this file as the journal of forwarder `siem`.
fn state(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("forwarders/siem/journal");
    fs::create_dir_all(journal.parent().unwrap()).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journal-v1").join(format!("{name}.journal"));
    fs::copy(file, journal).unwrap();
    for directory in [dir.path(), &dir.path().join("forwarders"), &dir.path().join("forwarders/siem")] {
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(directory, private).unwrap();
    }
    dir
}

/// Read without a change, then written anew, then read again: the same each time.
fn upgraded(name: &str) -> Recovered {
    let dir = state(name);
    let path = dir.path().join("forwarders/siem/journal");
    let old = Journal::read(dir.path(), "siem").unwrap().unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains(r#"{"v":1,"#));
    let (journal, recovered) = Journal::open(dir.path(), "siem").unwrap();
    let ledger: Vec<_> = journal.ledger().cloned().collect();
    drop(journal);
    assert_eq!(recovered, old, "{name}");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(r#"{"v":2,"forwarder":"siem","#) && !text.contains(r#""k":"#), "{text}");
    let (journal, again) = Journal::open(dir.path(), "siem").unwrap();
    assert_eq!(again, Recovered { damage: Damage::default(), ..recovered.clone() }, "{name}");
    assert_eq!(journal.ledger().cloned().collect::<Vec<_>>(), ledger, "{name}");
    recovered
}

/// Delivered, filtered, dead-lettered, in gaps; batches that are outstanding and their events.
fn counts(recovered: &Recovered) -> ([u64; 4], usize, u64) {
    let totals = recovered.totals.get("app").copied().unwrap_or_default();
    let events = recovered.outstanding.iter().map(|batch| batch.covers.events).sum();
    ([totals.delivered, totals.filtered, totals.dead_lettered, totals.gap], recovered.outstanding.len(), events)
}

// What really happened is known from the receivers' side: 0.1.0 says 80 filtered and 9 dead-lettered of `narrowed`.
#[test]
fn journals_of_the_version_before_are_read_and_their_parts_counted_once() {
    for (name, expected) in [
        ("delivered", ([39, 9, 1, 0], 0, 0)),
        ("outstanding", ([10, 1, 0, 0], 2, 20)),
        ("narrowing", ([16, 10, 1, 0], 3, 73)),
        ("narrowing_first", ([0, 0, 0, 0], 2, 89)),
        ("narrowing_late", ([43, 10, 2, 0], 1, 45)),
        ("narrowed", ([88, 10, 2, 0], 0, 0)),
        ("bulk", ([88, 10, 2, 0], 0, 0)),
        ("gap", ([15, 3, 0, 10], 0, 0)),
        ("gap_deleted", ([15, 3, 0, 10], 0, 0)),
        ("gap_running", ([55, 0, 0, 0], 0, 0)),
        ("compacted", ([30, 6, 0, 0], 3, 25)),
        ("forget", ([18, 2, 0, 0], 0, 0)),
        ("compacted_forget", ([18, 2, 0, 0], 1, 4)),
        ("cursor_set", ([18, 2, 0, 0], 0, 0)),
        ("cursor_set_resumed", ([28, 2, 0, 0], 0, 0)),
        ("forget_source", ([0, 0, 0, 0], 0, 0)),
        ("start_at_end", ([10, 2, 0, 0], 0, 0)),
    ] {
        assert_eq!(counts(&upgraded(name)), expected, "{name}");
    }
}

// What 0.1.0 had added up before it compacted its journal cannot be told apart any more; nothing is added to it.
#[test]
fn totals_that_were_compacted_stay_as_they_were() {
    assert_eq!(counts(&upgraded("compacted_rest")), ([16, 20, 2, 0], 3, 73));
    assert_eq!(counts(&upgraded("narrowing_resumed")).0, [88, 20, 3, 0]);
}

#[test]
fn batches_keep_their_ids_and_what_parts_were_cut_from_needs_new_ones() {
    let recovered = upgraded("outstanding");
    let ids: Vec<_> = recovered.outstanding.iter().map(|batch| (batch.n, batch.id.is_some())).collect();
    assert_eq!(ids, [(2, true), (3, true)]);
    assert!(recovered.outstanding.iter().all(|batch| batch.digest.is_some() && batch.counted));
    let recovered = upgraded("narrowing");
    let ids: Vec<_> = recovered.outstanding.iter().map(|batch| (batch.n, batch.id.is_some())).collect();
    assert_eq!(ids, [(7, true), (2, false), (1, false)]);
}

#[test]
fn gaps_are_remembered_with_their_range_and_reason() {
    let recovered = upgraded("gap_running");
    let [gap] = &recovered.gaps[..] else { panic!("{:?}", recovered.gaps) };
    assert_eq!((gap.start, gap.end, recovered.totals["app"].gap_bytes), (5050, Some(40_400), 35_350));
    assert!(gap.reason.contains("truncated") && gap.at.to_string().starts_with("20"), "{gap:?}");
}

#[test]
fn a_damaged_line_of_the_version_before_is_set_aside() {
    let recovered = upgraded("damaged");
    assert_eq!((recovered.damage.quarantined, counts(&recovered).1), (1, 1));
}

#[test]
fn what_was_settled_before_is_in_the_ledger() {
    let dir = state("compacted");
    let history = Journal::history(dir.path(), "siem").unwrap().unwrap();
    assert!(history.len() >= 3 && history.iter().all(|entry| entry.outcome == Outcome::Delivered));
    assert!(history.iter().all(|entry| entry.batch.digest.is_some() && entry.batch.id.is_some()));
}
