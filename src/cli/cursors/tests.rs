//! Cursors listed, moved and dropped.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;

use clap::Parser;

use super::*;
use crate::forwarder::journal::{Coverage, Outcome, Settled};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: CursorsArgs,
}

fn intent(n: u64, start: u64, end: u64) -> JournalRecord {
    let mut intent = journal::tests::intent(n, "connect", 3, start, end);
    intent.batch.covers = Coverage { events: 4, dead_lettered: 1, filtered: 2 };
    JournalRecord::Intent(intent)
}

/// A forwarder that delivered 12 bytes of segment 3 and has 12 more on the way, and the segment's file.
fn state() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("audit.log"), "one\ntwo\nsix\none\ntwo\nsix\nhalf").unwrap();
    let (mut journal, _) = Journal::open(dir.path(), "siem").unwrap();
    let settled = Settled { n: 1, outcome: Outcome::Delivered, status: Some(200), at: UnixMillis(0) };
    journal.append(&[intent(1, 0, 12), JournalRecord::Settled(settled), intent(2, 12, 24)]).unwrap();
    dir
}

fn command(dir: &Path, line: &str) -> (Option<Exit>, String) {
    let args = Cli::try_parse_from(format!("x {line}").split(' ')).unwrap().args;
    let file = dir.join("audit.log");
    let mut out = Vec::new();
    let result = execute(&args, dir, &|_, segment| standing(segment, &file), &mut out);
    let mut text = String::from_utf8(out).unwrap();
    match result {
        Ok(exit) => (Some(exit), text),
        Err(Failure::Told(exit, message)) => {
            text.push_str(&message);
            (Some(exit), text)
        }
        Err(Failure::ClosedPipe) => (None, text),
    }
}

fn standing(segment: SegmentId, file: &Path) -> KnownSegment {
    match segment.0 {
        3 => KnownSegment::Read(file.to_owned()),
        2 => KnownSegment::Released(file.to_owned()),
        _ => KnownSegment::Unknown,
    }
}

fn cursor(dir: &Path) -> (Option<u64>, usize) {
    let known = Journal::read(dir, "siem").unwrap().unwrap();
    (known.settled_cursors("connect").get(&SegmentId(3)).copied(), known.outstanding.len())
}

#[test]
fn list_tells_where_a_forwarder_stands_even_beside_a_running_instance() {
    let dir = state();
    let _running = Lock::acquire(dir.path()).unwrap();
    let (exit, text) = command(dir.path(), "list");
    assert_eq!(exit, Some(Exit::Ok));
    assert!(text.contains("siem / connect: 4 delivered, 2 filtered, 1 dead-lettered, 0 in gaps"), "{text}");
    assert!(text.contains("1 outstanding batches (4 events)"), "{text}");
    assert!(text.contains("settled to 12 ") && text.contains("read to 24 ") && text.contains("audit.log"), "{text}");
}

#[test]
fn set_says_what_it_means_and_does_nothing_without_yes() {
    let dir = state();
    let set = "set --forwarder siem --source connect --segment 3";
    let (exit, text) = command(dir.path(), &format!("{set} --offset 4"));
    assert!(text.contains("8 bytes that are settled are delivered again"), "{text}");
    assert!(text.contains("1 batches that were on the way") && text.contains("nothing was changed"), "{text}");
    assert_eq!((exit, cursor(dir.path())), (Some(Exit::Usage), (Some(12), 1)));
    let (_, text) = command(dir.path(), &format!("{set} --end"));
    assert!(text.contains("12 bytes are skipped"), "{text}");
}

#[test]
fn set_moves_the_cursor_to_a_line_and_nowhere_else() {
    let dir = state();
    let set = "set --forwarder siem --source connect --segment 3 --yes";
    for (to, exit, stands) in [
        ("--offset 5", Exit::Usage, (12, 1)),
        ("--offset 400", Exit::Usage, (12, 1)),
        ("--offset 4", Exit::Ok, (4, 0)),
        ("--end", Exit::Ok, (24, 0)),
        ("--beginning", Exit::Ok, (0, 0)),
    ] {
        let (found, text) = command(dir.path(), &format!("{set} {to}"));
        assert_eq!((found, cursor(dir.path())), (Some(exit), (Some(stands.0), stands.1)), "{to}: {text}");
    }
    let (exit, text) = command(dir.path(), &set.replace("--segment 3", "--segment 4 --offset 0"));
    assert!(exit == Some(Exit::Usage) && text.contains("no segment 4 of connect"), "{text}");
    let before = cursor(dir.path());
    let (exit, text) = command(dir.path(), &set.replace("--segment 3", "--segment 2 --beginning"));
    assert!(exit == Some(Exit::Usage) && text.contains("is released"), "{text}");
    assert!(!text.contains("from byte"), "{text}");
    assert_eq!(cursor(dir.path()), before);
    let known = Journal::read(dir.path(), "siem").unwrap().unwrap();
    assert_eq!(known.read_cursors["connect"].keys().collect::<Vec<_>>(), [&SegmentId(3)]);
    assert!(Cli::try_parse_from(set.split(' ')).is_err(), "where to is missing");
    assert!(Cli::try_parse_from(format!("x {set} --end --beginning").split(' ')).is_err());
}

#[test]
fn a_running_instance_keeps_its_cursors() {
    let dir = state();
    let _running = Lock::acquire(dir.path()).unwrap();
    for line in
        ["set --forwarder siem --source connect --segment 3 --beginning --yes", "forget --forwarder siem --yes"]
    {
        let (exit, text) = command(dir.path(), line);
        assert_eq!((exit, cursor(dir.path())), (Some(Exit::Locked), (Some(12), 1)), "{text}");
    }
}

/// Flips a bit of the journal's first line.
fn damage(dir: &Path) {
    let path = dir.join("forwarders/siem/journal");
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 4;
    fs::write(path, bytes).unwrap();
}

#[test]
fn forget_damaged_says_what_it_means_and_begins_a_damaged_journal_anew() {
    let dir = state();
    damage(dir.path());
    let forget = "forget --damaged --forwarder siem";
    let error = Journal::read(dir.path(), "siem").unwrap_err().to_string();
    assert!(error.contains(&format!("`auditpost cursors {forget} --state-dir {}`", dir.path().display())), "{error}");
    let running = Lock::acquire(dir.path()).unwrap();
    assert_eq!(command(dir.path(), &format!("{forget} --yes")).0, Some(Exit::Locked));
    drop(running);
    let (exit, text) = command(dir.path(), forget);
    assert!(text.contains("duplicates") && text.contains("nothing was changed"), "{text}");
    assert_eq!(exit, Some(Exit::Usage));
    assert!(Journal::read(dir.path(), "siem").is_err(), "it was left as it is");
    let (exit, text) = command(dir.path(), &format!("{forget} --yes"));
    assert!(exit == Some(Exit::Ok) && text.contains("journal.damaged-"), "{text}");
    assert_eq!(cursor(dir.path()), (None, 0));
}

#[test]
fn forget_damaged_leaves_alone_what_is_not_damaged() {
    let dir = state();
    for (line, exit, said) in [
        ("siem --yes", Exit::Usage, "is not damaged"),
        ("other --yes", Exit::Usage, "no forwarder"),
        ("../siem --yes", Exit::Storage, "no forwarder has such a name"),
    ] {
        let (found, text) = command(dir.path(), &format!("forget --damaged --forwarder {line}"));
        assert!(found == Some(exit) && text.contains(said), "{line}: {text}");
        assert_eq!(cursor(dir.path()), (Some(12), 1), "{line}");
    }
    fs::create_dir(dir.path().join("forwarders/linked")).unwrap();
    std::os::unix::fs::symlink("../siem/journal", dir.path().join("forwarders/linked/journal")).unwrap();
    let (exit, text) = command(dir.path(), "forget --damaged --forwarder linked --yes");
    assert_eq!(exit, Some(Exit::Storage), "{text}");
    assert!(Cli::try_parse_from("x forget --damaged --forwarder siem --source connect".split(' ')).is_err());
}

#[test]
fn list_shows_the_others_and_names_each_that_is_damaged() {
    let dir = state();
    for forwarder in ["a", "b"] {
        Journal::open(dir.path(), forwarder).unwrap();
        fs::write(dir.path().join("forwarders").join(forwarder).join("journal"), "x").unwrap();
    }
    let (exit, text) = command(dir.path(), "list");
    assert_eq!(exit, Some(Exit::Storage));
    for said in
        ["a: where it stands", "b: where it stands", "siem / connect", "forwarders/a/journal", "forwarders/b/journal"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn forget_drops_a_source_and_refuses_names_it_does_not_know() {
    let dir = state();
    for (line, exit) in [
        ("forget --forwarder siem --source connect", Exit::Usage),
        ("forget --forwarder siem --source conect --yes", Exit::Usage),
        ("forget --forwarder other --yes", Exit::Usage),
        ("forget --forwarder ../siem --yes", Exit::Storage),
    ] {
        assert_eq!((command(dir.path(), line).0, cursor(dir.path())), (Some(exit), (Some(12), 1)), "{line}");
    }
    assert_eq!(command(dir.path(), "forget --forwarder siem --yes").0, Some(Exit::Ok));
    assert_eq!(cursor(dir.path()), (None, 0));
    assert_eq!(Journal::read(dir.path(), "siem").unwrap().unwrap().next_batch, 3, "numbers are not used again");
}
