//! What is durable before anything is told.

use std::{collections::HashMap, fs, path::Path};

use super::*;
use crate::{
    forwarder::journal::tests::intent,
    log::spool::{Limits, Spool},
};

fn recorder(dir: &Path) -> Recorder {
    let (journal, _) = Journal::open(dir, "siem").unwrap();
    let letters = DeadLetters::open(dir, "siem").unwrap();
    Recorder::new("siem", journal, letters, Arc::default())
}

fn dead(start: u64, payload: Option<&str>) -> RejectedLine {
    RejectedLine {
        range: SegmentRange { segment: SegmentId(1), start, end: start + 9 },
        continued: Box::default(),
        reason: Reason::InvalidJson,
        detail: "not JSON".to_owned(),
        payload: payload.map(|text| text.as_bytes().to_vec()),
    }
}

/// The dead letters, as they were written.
fn written(dir: &Path) -> String {
    let files = fs::read_dir(dir.join("dead-letters/siem")).unwrap();
    files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

/// What they hold.
fn payloads(dir: &Path) -> Vec<String> {
    written(dir)
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["payload"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_line_that_was_read_keeps_its_bytes_though_its_file_is_gone_before_it_is_buried() {
    let dir = tempfile::tempdir().unwrap();
    // No segment: as after a file was cut, and nothing has its content.
    let (log, _publish) = Log::new("app", "log");
    recorder(dir.path()).write_dead_letters(&log, &[dead(0, Some("evidence")), dead(9, None)]).unwrap();
    assert_eq!(payloads(dir.path()), ["evidence", ""]);
}

#[test]
fn of_a_batch_that_is_read_again_the_letters_are_written_that_are_missing_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _publish) = Log::new("app", "log");
    recorder(dir.path()).write_dead_letters(&log, &[dead(0, Some("one")), dead(9, Some("two"))]).unwrap();
    // As many, and others.
    let now = [dead(9, Some("two")), dead(18, Some("three"))];
    let recorder = recorder(dir.path());
    recorder.write_missing_dead_letters(&log, &now).unwrap();
    recorder.write_missing_dead_letters(&log, &now).unwrap();
    assert_eq!(payloads(dir.path()), ["one", "two", "three"]);
}

const LINE: u64 = 20;

/// A recorder and a spool of four lines, two in a segment, the second of which is appended to still.
fn recorder_and_spool(dir: &Path) -> (Recorder, Spool) {
    let limits = Limits { segment: 2 * LINE, total: 1000 };
    let mut spool =
        Spool::open("app", &dir.join("spool/app"), &dir.join("sources/app/catalog"), limits, &HashMap::new())
            .unwrap();
    spool.log().release_gate.add_follower("siem");
    for _ in 0..4 {
        spool.append(format!("{}\n", "x".repeat(19)).as_bytes(), true).unwrap();
    }
    (recorder(dir), spool)
}

fn range(segment: u64, start: u64, end: u64) -> SegmentRange {
    SegmentRange { segment: SegmentId(segment), start, end }
}

/// A batch of the first line.
fn announce_one(recorder: &Recorder) {
    let mut intent = intent(recorder.journal().next_batch(), "app", 1, 0, LINE);
    intent.batch.covers = Coverage { events: 1, ..Coverage::default() };
    recorder.record_intent(intent);
}

fn first_is_held(spool: &Spool) -> bool {
    !spool.log().release_gate.holders(SegmentId(1), 0, 2 * LINE).is_empty()
}

#[test]
fn a_line_that_is_too_long_is_one_letter_though_the_next_could_not_be_read_at_first() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, spool) = recorder_and_spool(dir.path());
    let too_long = |range| RejectedLine { range, payload: None, ..dead(0, None) };
    let lines: Arc<[_]> = [too_long(range(2, 0, LINE)), too_long(range(1, 0, LINE))].into();
    let file = spool.log().segments()[0].path().to_owned();
    let content = fs::read(&file).unwrap();
    fs::write(&file, "").unwrap();
    let logs = [spool.log().clone()];
    let write = |again| {
        let (source, lines) = ("app".into(), lines.clone());
        let write = if again {
            RecorderWrite::MissingDeadLetters { source, lines }
        } else {
            RecorderWrite::DeadLetters { source, lines }
        };
        recorder.write_all(&logs, vec![write])
    };
    assert!(write(false).is_err() && write(true).is_err());
    assert_eq!(written(dir.path()).lines().count(), 1, "it goes by itself, and is there");
    fs::write(&file, content).unwrap();
    write(true).unwrap();
    assert_eq!(written(dir.path()).lines().count(), 2);
}

#[test]
fn a_segment_is_given_up_only_once_its_gap_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, mut spool) = recorder_and_spool(dir.path());
    let logs = [spool.log().clone()];
    announce_one(&recorder);
    recorder.sync(&logs);
    recorder.gap(spool.log(), &[range(1, LINE, 2 * LINE).into()], 0, "a test");
    recorder.detach_up_to("app", SegmentId(1));
    // The journal is gone, and nothing can be written in its place.
    fs::remove_file(dir.path().join("forwarders/siem/journal")).unwrap();
    let obstacle = dir.path().join("forwarders/siem/journal.tmp");
    fs::create_dir(&obstacle).unwrap();
    recorder.sync(&logs);
    assert!(first_is_held(&spool) && !spool.release());
    fs::remove_dir(&obstacle).unwrap();
    recorder.sync(&logs);
    assert!(!first_is_held(&spool) && spool.release());
}

#[test]
fn a_segment_is_not_given_up_while_the_journal_does_not_know_of_all_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, spool) = recorder_and_spool(dir.path());
    let logs = [spool.log().clone()];
    announce_one(&recorder);
    recorder.detach_up_to("app", SegmentId(1));
    recorder.sync(&logs);
    assert!(first_is_held(&spool));
    recorder.gap(spool.log(), &[range(1, LINE, 2 * LINE).into()], 0, "a test");
    recorder.sync(&logs);
    assert!(!first_is_held(&spool));
}

#[test]
fn the_alarm_of_a_gap_tells_of_those_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, spool) = recorder_and_spool(dir.path());
    let text = || recorder.alarms.raised()[0].text.clone();
    let path = |segment: usize| spool.log().segments()[segment - 1].path().display().to_string();
    recorder.gap(spool.log(), &[range(1, 0, LINE).into()], 0, "a test");
    let end = "; `auditpost gaps list` has each of them";
    let place = format!("20 bytes, 0 to 20, of {} (source app, segment 1)", path(1));
    assert_eq!(text(), format!("{place} can never be delivered: a test{end}"));
    recorder.gap(spool.log(), &[range(1, LINE, 2 * LINE).into(), range(2, 0, LINE).into()], 0, "another");
    let place =
        format!("20 bytes, 20 to 40, of {} (source app, segment 1), and what is lost at another place,", path(1));
    assert_eq!(text(), format!("{place} can never be delivered: another; with earlier gaps it is 60 bytes{end}"));
}

#[test]
fn a_batch_outlives_the_segment_that_was_given_up_under_it() {
    let dir = tempfile::tempdir().unwrap();
    let (recorder, mut spool) = recorder_and_spool(dir.path());
    let logs = [spool.log().clone()];
    announce_one(&recorder);
    recorder.gap(spool.log(), &[range(1, LINE, 2 * LINE).into()], 0, "a test");
    recorder.detach_up_to("app", SegmentId(1));
    recorder.sync(&logs);
    assert!(spool.release());
    recorder.sync(&logs);
    assert_eq!(recorder.journal().outstanding().len(), 1);
    recorder.settle(1, Outcome::Delivered, Some(200));
    assert_eq!(recorder.journal().settled_cursors("app"), BTreeMap::from([(SegmentId(1), 2 * LINE)]));
    recorder.sync(&logs);
    recorder.sync(&logs);
    assert_eq!(
        recorder.journal().settled_cursors("app"),
        BTreeMap::new(),
        "a segment that is gone and settled is forgotten"
    );
    drop(recorder);
    let recovered = Journal::read(dir.path(), "siem").unwrap().unwrap();
    let totals = recovered.totals["app"];
    assert_eq!((totals.delivered, totals.gap_bytes, recovered.outstanding.len()), (1, LINE, 0));
}
