//! Journals opened: whole, damaged, foreign.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;

use super::*;
use crate::{
    durable::lines,
    forwarder::journal::{
        Advance, BatchParent, BatchRecord, Coverage, Gap, Intent, Journal, JournalAppendError, JournalRecord,
        Outcome, Recovered, Settled,
        tests::{self, intent, range, settled},
    },
    log::SegmentId,
};

fn file(dir: &Path) -> PathBuf {
    dir.join("forwarders/siem/journal")
}

/// A journal with these records, as a running instance leaves it.
fn journal(records: &[JournalRecord]) -> (tempfile::TempDir, Journal) {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, recovered) = Journal::open(dir.path(), "siem").unwrap();
    assert!(recovered.fresh && recovered.next_batch == 1);
    journal.append(records).unwrap();
    (dir, journal)
}

/// Flips a bit of the first line that holds `text`.
fn damage(dir: &Path, text: &str) {
    let mut bytes = fs::read(file(dir)).unwrap();
    let at = memchr::memmem::find(&bytes, text.as_bytes()).unwrap();
    bytes[at] ^= 4;
    fs::write(file(dir), bytes).unwrap();
}

fn reopen(dir: &Path) -> Recovered {
    let (_, recovered) = Journal::open(dir, "siem").unwrap();
    assert!(!recovered.fresh);
    recovered
}

/// Number, id, start and end of each outstanding range.
fn ranges(recovered: &Recovered) -> Vec<(u64, Option<&str>, u64, u64)> {
    let all = recovered.outstanding.iter().flat_map(|o| o.span.iter().map(move |r| (o, r.range)));
    all.map(|(o, range)| (o.n, o.id.as_deref(), range.start, range.end)).collect()
}

#[test]
fn what_cannot_be_understood_is_refused_and_left_as_it_is() {
    let header = |v: u32, forwarder: &str| {
        let header = JournalHeader { v, forwarder: forwarder.into(), journal: "00".into(), created: UnixMillis(0) };
        let mut line = Vec::new();
        lines::encode(&mut line, &header).unwrap();
        line
    };
    let mut torn = header(2, "siem");
    torn.pop();
    let no_header = [torn.clone(), b"\n".to_vec()].concat().split_off(1);
    for (content, expected) in [
        (header(3, "siem"), "has format version 3"),
        (header(2, "other"), "belongs to forwarder 'other'"),
        (vec![], "is empty"),
        (b"x".to_vec(), "has no readable header"),
        (torn, "has no readable header"),
        (no_header, "has no readable header"),
        (vec![0; 100_000], "has no readable header"),
        (b"\n\n\n".to_vec(), "has no readable header"),
    ] {
        let (dir, _) = journal(&[]);
        fs::write(file(dir.path()), &content).unwrap();
        let error = Journal::open(dir.path(), "siem").unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("is not started"), "{error}");
        assert_eq!(fs::read(file(dir.path())).unwrap(), content);
        assert_eq!(fs::read_dir(dir.path().join("forwarders/siem")).unwrap().count(), 1);
    }
}

#[test]
fn a_huge_file_and_a_link_are_refused_at_once() {
    let (dir, _) = journal(&[]);
    fs::File::options().append(true).open(file(dir.path())).unwrap().set_len(1 << 40).unwrap();
    let error = Journal::open(dir.path(), "siem").unwrap_err();
    assert!(matches!(error, JournalError::Damaged { size, .. } if size == 1 << 40), "{error}");
    fs::rename(file(dir.path()), dir.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), file(dir.path())).unwrap();
    assert!(matches!(Journal::open(dir.path(), "siem"), Err(JournalError::Io { .. })));
}

#[test]
fn the_way_out_of_damage_is_a_command_that_a_shell_takes() {
    let command = |state_dir: &str| way_out(&Path::new(state_dir).join("forwarders/siem/journal"));
    let forget = "auditpost cursors forget --damaged --forwarder siem --state-dir";
    assert_eq!(command("/var/lib/auditpost"), format!("{forget} /var/lib/auditpost"));
    assert_eq!(command("/srv/it's; here"), format!(r"{forget} '/srv/it'\''s; here'"));
    let here = std::env::current_dir().unwrap();
    assert_eq!(command("./state"), format!("{forget} {}", here.join("state").display()));
}

#[test]
fn an_operator_who_accepts_the_loss_starts_over_and_keeps_the_damaged_file() {
    let (dir, _) = journal(&[JournalRecord::Intent(intent(1, "s", 1, 0, 10))]);
    damage(dir.path(), "forwarder");
    assert!(matches!(Journal::open(dir.path(), "siem"), Err(JournalError::Damaged { .. })));
    let damaged = fs::read(file(dir.path())).unwrap();
    let aside = Journal::start_over(dir.path(), "siem").unwrap();
    assert!(aside.file_name().unwrap().to_str().unwrap().starts_with("journal.damaged-"), "{}", aside.display());
    assert_eq!(fs::read(aside).unwrap(), damaged);
    assert!(reopen(dir.path()).read_cursors.is_empty());
}

#[test]
fn a_batch_keeps_its_id_until_it_is_settled() {
    let (dir, _) = journal(&[
        JournalRecord::Intent(intent(1, "s", 1, 0, 10)),
        settled(1),
        JournalRecord::Intent(intent(2, "s", 1, 10, 30)),
    ]);
    let recovered = reopen(dir.path());
    assert_eq!(ranges(&recovered), [(2, Some("id-2"), 10, 30)]);
    assert_eq!((recovered.read_cursors["s"][&SegmentId(1)].offset, recovered.next_batch), (30, 3));
    assert_eq!(recovered.read_cursors["s"][&SegmentId(1)].anchor, range(1, 10, 30).anchor);
    assert_eq!(recovered.settled_cursors("s")[&SegmentId(1)], 10);
}

#[test]
fn what_parts_were_cut_from_needs_a_new_id_and_is_gone_when_nothing_of_it_remains() {
    let part = |n, of, start, end| {
        let parent = Some(BatchParent::PartOf(of));
        JournalRecord::Intent(Intent { parent, ..intent(n, "s", 1, start, end) })
    };
    let (dir, mut journal) = journal(&[JournalRecord::Intent(intent(1, "s", 1, 0, 100)), part(2, 1, 0, 50)]);
    journal.append(&[part(3, 2, 0, 10), settled(3)]).unwrap();
    drop(journal);
    let (mut journal, recovered) = Journal::open(dir.path(), "siem").unwrap();
    assert_eq!(ranges(&recovered), [(2, None, 10, 50), (1, None, 50, 100)]);
    assert_eq!(recovered.outstanding.iter().map(|o| o.covers.events).collect::<Vec<_>>(), [32, 40]);
    journal.append(&[part(4, 2, 10, 50), part(5, 1, 50, 100), settled(5)]).unwrap();
    drop(journal);
    let recovered = reopen(dir.path());
    assert_eq!(ranges(&recovered), [(4, Some("id-4"), 10, 50)]);
    let totals = recovered.totals["s"];
    assert_eq!((totals.delivered, totals.filtered, totals.dead_lettered), (48, 6, 6));
    assert_eq!(recovered.settled_cursors("s")[&SegmentId(1)], 10);
}

#[test]
fn a_lost_line_makes_its_bytes_outstanding_again_and_is_set_aside() {
    let batches: Vec<_> = (1..=4).map(|n| JournalRecord::Intent(intent(n, "s", 1, n * 10 - 10, n * 10))).collect();
    let (dir, mut journal) = journal(&batches);
    journal.append(&[settled(1), settled(2), settled(3)]).unwrap();
    drop(journal);
    damage(dir.path(), "id-2");
    let recovered = reopen(dir.path());
    assert_eq!(ranges(&recovered), [(5, None, 10, 20), (4, Some("id-4"), 30, 40)]);
    assert_eq!((recovered.damage.quarantined, recovered.damage.torn), (1, false));
    assert_eq!(recovered.damage.reported[0].1, "wrong checksum");
    let aside = fs::read_to_string(dir.path().join("forwarders/siem/journal.quarantine")).unwrap();
    assert!(aside.contains(r#""span":[{"segment":1,"start":10,"end":20,"#), "{aside}");
    // It was written anew: the number of what was lost is fixed, and the damage is told once.
    let again = reopen(dir.path());
    assert_eq!((ranges(&again), again.damage.clone()), (ranges(&recovered), Damage::default()));
}

#[test]
fn a_part_of_a_batch_whose_line_was_lost_leaves_the_others_their_ids() {
    let part = JournalRecord::Intent(Intent { parent: Some(BatchParent::PartOf(1)), ..intent(3, "s", 1, 0, 5) });
    let batches =
        [JournalRecord::Intent(intent(1, "s", 1, 0, 10)), JournalRecord::Intent(intent(2, "s", 1, 10, 20)), part];
    let (dir, _) = journal(&batches);
    damage(dir.path(), "id-1");
    assert_eq!(ranges(&reopen(dir.path())), [(3, Some("id-3"), 0, 5), (4, None, 5, 10), (2, Some("id-2"), 10, 20)]);
}

/// A batch that lost its middle to a gap, and went on under another number.
fn around_a_gap() -> [JournalRecord; 4] {
    let gap = Gap { reason: "hole".into(), ..tests::gap("s", SegmentId(1), 20, 30) };
    let whole = intent(2, "s", 1, 0, 50).batch;
    let batch = BatchRecord { span: vec![range(1, 0, 20), range(1, 30, 50)], ..whole };
    let again = Intent { parent: Some(BatchParent::Replaces(1)), batch };
    let first = JournalRecord::Intent(intent(1, "s", 1, 0, 50));
    [first, JournalRecord::Gap(gap), JournalRecord::Intent(again), JournalRecord::Intent(intent(3, "s", 1, 50, 60))]
}

#[test]
fn a_batch_around_a_gap_is_compacted_into_one_line() {
    let (dir, mut journal) = journal(&around_a_gap());
    journal.compact().unwrap();
    let text = fs::read_to_string(file(dir.path())).unwrap();
    assert!(!text.contains("advance"), "{text}");
    drop(journal);
    let recovered = reopen(dir.path());
    assert_eq!(ranges(&recovered), [(2, Some("id-2"), 0, 20), (2, Some("id-2"), 30, 50), (3, Some("id-3"), 50, 60)]);
}

#[test]
fn a_compaction_never_says_that_outstanding_bytes_are_settled() {
    let (dir, _) = journal(&around_a_gap());
    damage(dir.path(), "hole");
    // The gap's bytes are outstanding again, behind the batch around them: out of order.
    for _ in 0..3 {
        let mut bytes: Vec<_> = ranges(&reopen(dir.path())).iter().flat_map(|&(.., start, end)| start..end).collect();
        bytes.sort_unstable();
        assert!(bytes.iter().copied().eq(0..60), "{bytes:?}");
    }
}

#[test]
fn nonsense_under_a_right_checksum_is_set_aside_too() {
    let (dir, journal) = journal(&[JournalRecord::Intent(intent(1, "s", 1, 0, 10))]);
    let (huge, time) = (u64::MAX, r#""time":"2026-11-29T00:00:00.000Z""#);
    let none = r#""filtered":0,"dead_lettered":0"#;
    let mut bytes = fs::read(file(dir.path())).unwrap();
    for json in [
        "null".to_owned(),
        "{}".into(),
        r#"{"record":"later"}"#.into(),
        format!(r#"{{"record":"advance","source":"s","span":[{{"segment":1,"start":10,"end":5}}],{none},{time}}}"#),
        format!(
            r#"{{"record":"advance","source":"s","span":[{{"segment":1,"start":0,"end":5,"anchor":"256:xyz"}}],{none},{time}}}"#
        ),
        r#"{"record":"settled","batch":1,"outcome":"delivered","time":"yesterday"}"#.into(),
        // These can be read; they must not make the reader overflow.
        format!(r#"{{"record":"settled","batch":0,"outcome":"delivered","time":"{} ms"}}"#, i64::MIN),
        format!(
            r#"{{"record":"advance","source":"x","span":[{{"segment":1,"start":0,"end":{huge}}}],"filtered":{huge},"dead_lettered":{huge},{time}}}"#
        ),
        format!(
            r#"{{"record":"gap","source":"x","segment":1,"start":{huge},"end":0,"events":{huge},"reason":"",{time}}}"#
        ),
        format!(
            r#"{{"record":"gap","source":"y","segment":1,"start":0,"end":{huge},"events":{huge},"reason":"",{time}}}"#
        ),
        format!(
            r#"{{"record":"rest","batch":{huge},"source":"x","span":[{{"segment":2,"start":0,"end":{huge}}}],"events":{huge},"dead_lettered":1,"filtered":1,{time}}}"#
        ),
    ] {
        let line = format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
        bytes.extend_from_slice(line.as_bytes());
    }
    drop(journal);
    fs::write(file(dir.path()), bytes).unwrap();
    let recovered = reopen(dir.path());
    assert_eq!(recovered.damage.quarantined, 6, "{:?}", recovered.damage);
    assert_eq!(recovered.read_cursors["s"][&SegmentId(1)].offset, 10);
}

#[test]
fn a_record_that_contradicts_the_journal_is_refused() {
    let part = |n, start, end| {
        let parent = Some(BatchParent::PartOf(1));
        JournalRecord::Intent(Intent { parent, ..intent(n, "s", 1, start, end) })
    };
    let advance = |start, end| {
        JournalRecord::Advance(Advance {
            source: "s".into(),
            span: vec![range(1, start, end)],
            filtered: 0,
            dead_lettered: 0,
            at: UnixMillis(0),
        })
    };
    let gap = tests::gap("s", SegmentId(1), 11, 20);
    // It claims more of everything than the batch has.
    let greedy = |greed: fn(&mut Coverage)| {
        let mut intent = Intent { parent: Some(BatchParent::PartOf(1)), ..intent(2, "s", 1, 0, 10) };
        greed(&mut intent.batch.covers);
        JournalRecord::Intent(intent)
    };
    let (dir, mut journal) = journal(&[JournalRecord::Intent(intent(1, "s", 1, 0, 10))]);
    for record in [
        JournalRecord::Intent(intent(1, "s", 1, 10, 20)),
        JournalRecord::Intent(intent(2, "s", 1, 0, 20)),
        JournalRecord::Intent(intent(2, "s", 1, 11, 20)),
        JournalRecord::Intent(intent(2, "s", 1, 10, 10)),
        JournalRecord::Intent(intent(2, "s", 2, 5, 10)),
        part(2, 5, 10),
        part(2, 0, 11),
        JournalRecord::Intent(Intent { parent: Some(BatchParent::PartOf(7)), ..intent(2, "s", 1, 0, 5) }),
        JournalRecord::Intent(Intent { parent: Some(BatchParent::Replaces(1)), ..intent(2, "s", 1, 0, 5) }),
        greedy(|covers| covers.events += 1),
        greedy(|covers| covers.filtered += 1),
        greedy(|covers| covers.dead_lettered += 1),
        settled(2),
        advance(9, 20),
        advance(11, 20),
        JournalRecord::Gap(gap),
    ] {
        let result = journal.append(std::slice::from_ref(&record));
        assert!(matches!(result, Err(JournalAppendError::Refused(_))), "{record:?}: {result:?}");
    }
    assert_eq!((journal.outstanding().len(), journal.settled_cursors("s")[&SegmentId(1)]), (1, 0));
    // Those before a refused one count, and what is cut off must be sent under an id of its own.
    let result = journal.append(&[part(2, 0, 5), settled(1)]);
    assert!(matches!(result, Err(JournalAppendError::Refused(_))), "{result:?}");
    drop(journal);
    assert_eq!(ranges(&reopen(dir.path())), [(2, Some("id-2"), 0, 5), (1, None, 5, 10)]);
}

#[test]
fn every_event_is_in_one_total_or_outstanding() {
    let batch = |n, start, end, filtered, dead_lettered| {
        let mut intent = intent(n, "s", 1, start, end);
        intent.batch.covers = Coverage { events: end - start, filtered, dead_lettered };
        JournalRecord::Intent(intent)
    };
    let outcome = |n, outcome| JournalRecord::Settled(Settled { n, outcome, status: None, at: UnixMillis(0) });
    let advance = Advance {
        source: "s".into(),
        span: vec![range(1, 50, 60)],
        filtered: 3,
        dead_lettered: 4,
        at: UnixMillis(0),
    };
    let gap = Gap { events: 10, ..tests::gap("s", SegmentId(1), 40, 70) };
    let (dir, mut journal) = journal(&[
        batch(1, 0, 10, 1, 0),
        batch(2, 10, 20, 0, 2),
        batch(3, 20, 30, 0, 0),
        batch(4, 30, 40, 0, 0),
        batch(5, 40, 50, 5, 6),
        JournalRecord::Advance(advance),
        outcome(1, Outcome::Delivered),
        outcome(2, Outcome::DeadLettered),
        outcome(3, Outcome::Filtered),
        outcome(4, Outcome::Gap),
        JournalRecord::Gap(gap),
    ]);
    let totals = journal.totals("s");
    assert_eq!((totals.delivered, totals.filtered, totals.dead_lettered), (10, 1 + 3 + 10 + 5, 2 + 4 + 10 + 6));
    // Batch 4's ten bytes, batch 5's, and ten that nobody had read; what was settled between them is not gone.
    assert_eq!((totals.gap, totals.gap_bytes, journal.outstanding().len()), (20, 30, 0));
    journal.compact().unwrap();
    drop(journal);
    let recovered = reopen(dir.path());
    assert_eq!((recovered.totals["s"], recovered.settled_cursors("s")[&SegmentId(1)]), (totals, 70));
}
