//! Writers that go on in files that no path names any more.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    thread::sleep,
    time::Duration,
};

use super::{assert_exactly, tailing, tailing_with};
use crate::{
    events,
    receiver::Receiver,
    sidecar::Sidecar,
    tools::{AS_NOBODY, give_to_nobody, is_root, skipped},
};

const LOG: &str = "logs/audit.ndjson";
const HELD: &str = "held open: somebody has it open for writing";

/// Longer than `sealAfter`: what is at rest was finished by now.
const PAUSE: Duration = Duration::from_millis(700);

fn writer(sidecar: &Sidecar, file: &str) -> File {
    OpenOptions::new().append(true).open(sidecar.path(file)).unwrap()
}

fn write(writer: &mut File, range: std::ops::Range<u64>) {
    writer.write_all(events::lines(range).as_bytes()).unwrap();
}

/// Ten events are delivered, and the file is deleted under its writer.
fn deleted_under_its_writer(receiver: &Receiver) -> (Sidecar, File) {
    let mut sidecar = tailing(LOG, receiver);
    sidecar.write_lines(LOG, 0..10);
    let writer = writer(&sidecar, LOG);
    sidecar.start_again();
    receiver.wait_for_lines(10);
    sidecar.remove(LOG);
    sidecar.wait_for_log(HELD);
    (sidecar, writer)
}

fn files_open(sidecar: &Sidecar, count: f64) {
    sidecar.wait_for_metrics(&format!("{count} open files"), |metrics| {
        metrics.get("auditpost_files_open", &[("source", "app")]) == Some(count)
    });
}

#[test]
fn a_writer_on_a_deleted_file_is_read_however_long_it_pauses_and_let_go_when_it_closes() {
    let receiver = Receiver::start();
    let (mut sidecar, mut writer) = deleted_under_its_writer(&receiver);
    for round in 1..4 {
        sleep(PAUSE);
        write(&mut writer, round * 10..round * 10 + 10);
        receiver.wait_for_lines(round as usize * 10 + 10);
    }
    files_open(&sidecar, 1.0);
    write(&mut writer, 40..50);
    drop(writer);
    receiver.wait_for_lines(50);
    files_open(&sidecar, 0.0);
    assert_eq!(sidecar.times_said(HELD), 1);
    assert_exactly(&mut sidecar, &receiver, 0..50);
    assert!(!sidecar.stderr().contains("is recorded"), "{}", sidecar.stderr());
}

#[test]
fn a_file_that_is_moved_to_where_nobody_looks_is_read_on() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with(LOG, "holdDeleted: 0s", &receiver, super::QUICK_FORWARDER);
    sidecar.write_lines(LOG, 0..10);
    let mut writer = writer(&sidecar, LOG);
    sidecar.start_again();
    receiver.wait_for_lines(10);
    std::fs::create_dir(sidecar.path("away")).unwrap();
    sidecar.rename(LOG, "away/audit.ndjson");
    sidecar.wait_for_log("somebody may have it open for writing");
    for round in 1..3 {
        sleep(PAUSE);
        write(&mut writer, round * 10..round * 10 + 10);
        receiver.wait_for_lines(round as usize * 10 + 10);
    }
    assert_exactly(&mut sidecar, &receiver, 0..30);
}

#[test]
fn a_stop_is_not_held_up_and_says_what_is_lost_and_the_next_start_records_it() {
    let receiver = Receiver::start();
    let (mut sidecar, mut writer) = deleted_under_its_writer(&receiver);
    sleep(PAUSE);
    sidecar.wait_for_books();
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    assert!(sidecar.stderr().contains("what is written to it after this stop is lost"), "{}", sidecar.stderr());
    assert!(sidecar.stderr().contains("everything is delivered"), "{}", sidecar.stderr());
    write(&mut writer, 10..20);
    sidecar.start_again();
    sidecar.wait_for_alarm("gap", "nobody knows how much");
    let status = sidecar.status();
    let source = &status["forwarders"][0]["sources"][0];
    assert_eq!((&source["unknownGaps"], &source["gapBytes"]), (&1.into(), &0.into()), "{status}");
    assert_exactly(&mut sidecar, &receiver, 0..10);
}

#[test]
fn whose_file_it_is_not_holds_it_all_the_same() {
    const TEST: &str = "whose_file_it_is_not_holds_it_all_the_same";
    if !is_root() {
        return skipped(TEST, "running as another user needs root");
    }
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver).through(&AS_NOBODY);
    sidecar.write_lines(LOG, 0..10);
    sidecar.write_config();
    give_to_nobody(&sidecar.path(""));
    std::os::unix::fs::chown(sidecar.path(LOG), Some(0), Some(0)).unwrap();
    let mut writer = writer(&sidecar, LOG);
    sidecar.start_again();
    receiver.wait_for_lines(10);
    sidecar.remove(LOG);
    sidecar.wait_for_log("held for 6 hours after the last write");
    sleep(PAUSE);
    write(&mut writer, 10..20);
    receiver.wait_for_lines(20);
    assert_exactly(&mut sidecar, &receiver, 0..20);
}

/// Writes the file anew, with all that it had, and renames it over the old one.
fn replace(sidecar: &Sidecar, lines: u64) {
    std::fs::write(sidecar.path("new"), events::lines(0..lines)).unwrap();
    sidecar.rename("new", LOG);
}

#[test]
fn a_writer_on_a_file_that_was_replaced_is_read_however_long_it_pauses_and_a_stop_says_what_is_lost() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..10);
    let mut writer = writer(&sidecar, LOG);
    sidecar.start_again();
    receiver.wait_for_lines(10);
    replace(&sidecar, 11);
    sidecar.wait_for_log(HELD);
    for line in 11..14 {
        sleep(PAUSE);
        write(&mut writer, line..line + 1);
        receiver.wait_for_lines(line as usize + 1);
    }
    files_open(&sidecar, 2.0);
    sidecar.wait_for_books();
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    assert!(sidecar.stderr().contains("what is written to it after this stop is lost"), "{}", sidecar.stderr());
    write(&mut writer, 14..15);
    sidecar.start_again();
    sidecar.wait_for_alarm("gap", "nobody knows how much");
    assert_exactly(&mut sidecar, &receiver, 0..14);
}

#[test]
fn of_files_that_were_replaced_and_nobody_can_ask_about_the_last_are_held_and_what_is_let_go_is_told() {
    const TEST: &str =
        "of_files_that_were_replaced_and_nobody_can_ask_about_the_last_are_held_and_what_is_let_go_is_told";
    if !is_root() {
        return skipped(TEST, "running as another user needs root");
    }
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver).through(&AS_NOBODY);
    sidecar.write_lines(LOG, 0..20);
    sidecar.write_config();
    give_to_nobody(&sidecar.path(""));
    std::os::unix::fs::chown(sidecar.path(LOG), Some(0), Some(0)).unwrap();
    sidecar.start_again();
    let mut writers = Vec::new();
    for lines in 20..40 {
        receiver.wait_for_lines(lines as usize);
        writers.push(writer(&sidecar, LOG));
        replace(&sidecar, lines + 1);
    }
    receiver.wait_for_lines(40);
    let let_go = "only the last 16 of those that were replaced are held open";
    assert_eq!((sidecar.times_said(let_go), sidecar.times_said("held for 6 hours")), (1, 1), "{}", sidecar.stderr());
    write(&mut writers[19], 40..41);
    receiver.wait_for_lines(41);
    sleep(PAUSE);
    sidecar.wait_for_books();
    sidecar.kill();
    sidecar.start_again();
    // One was written to; of the others nobody knows.
    sidecar.wait_for_alarm("gap", "nobody knows how much");
    assert_eq!(sidecar.times_said("nobody was seen to do so"), 15, "{}", sidecar.stderr());
    let status = sidecar.status();
    assert_eq!(status["forwarders"][0]["sources"][0]["unknownGaps"], 1, "{status}");
    assert_exactly(&mut sidecar, &receiver, 0..41);
}

#[test]
fn with_few_descriptors_the_first_are_let_go_with_a_word_and_the_last_are_read_on() {
    let receiver = Receiver::start();
    let sidecar = tailing_with("logs/*.ndjson", "", &receiver, super::QUICK_FORWARDER);
    // 128 are for other things, half of the rest for files at their path.
    let mut sidecar = sidecar.through(&["sh", "-c", "ulimit -n 160; exec \"$@\"", "sh"]);
    sidecar.start_again();
    let mut writers = Vec::new();
    for n in 0..30 {
        let file = format!("logs/{n}.ndjson");
        sidecar.write_lines(&file, n..n + 1);
        writers.push(writer(&sidecar, &file));
        receiver.wait_for_lines(n as usize + 1);
        sidecar.remove(&file);
        sidecar.wait_for_log_times("the file was deleted", n as usize + 1);
    }
    let let_go = "what is written to it from now on is lost";
    sidecar.wait_until_said("most are let go", |said| said.matches(let_go).count() >= 18);
    write(&mut writers[29], 30..31);
    receiver.wait_for_lines(31);
    assert_exactly(&mut sidecar, &receiver, 0..31);
    assert!(!sidecar.stderr().contains("is recorded"), "{}", sidecar.stderr());
}
