//! Deleted files whose unread rest is taken into the state directory.

use std::fs;

use super::{assert_each_batch_once, assert_exactly, sorted, tailing_with};
use crate::{
    events,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tools::{can_mount, wait_until},
};

const LOG: &str = "logs/audit.ndjson";
const SMALL: &str = "batch: {maxEvents: 10, maxAge: 20ms}\nretry: {initial: 50ms, max: 100ms}";
const FREE: &str = "its disk is free";

/// Descriptors of the process that keep deleted files of the application.
fn held(sidecar: &Sidecar) -> usize {
    let descriptors = fs::read_dir(format!("/proc/{}/fd", sidecar.pid())).unwrap();
    let targets = descriptors.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
    targets.filter(|target| target.to_string_lossy().contains(".ndjson (deleted)")).count()
}

fn absorbed(sidecar: &Sidecar) -> usize {
    fs::read_dir(sidecar.path("state/sources/app/absorbed")).map_or(0, Iterator::count)
}

// B13
#[test]
fn a_deleted_file_of_a_dead_receiver_is_let_go_and_its_batches_keep_their_ids_over_a_kill() {
    let receiver = Receiver::start();
    receiver.script([Reply::status(200), Reply::status(200)]);
    receiver.always(Reply::status(503));
    let mut sidecar = tailing_with(LOG, "holdDeleted: 0s", &receiver, SMALL);
    sidecar.append(LOG, events::lines(0..300) + &events::event(300));
    sidecar.start_again();
    receiver.wait_for_requests(3);
    let outstanding = receiver.ids().pop().unwrap();
    sidecar.remove(LOG);
    sidecar.wait_for_log(FREE);
    wait_until("the descriptor to be closed", || held(&sidecar) == 0);
    sidecar.write_lines(LOG, 301..310);
    sidecar.wait_for_log_times("reading a file", 2);
    sidecar.kill();
    receiver.clear();
    sidecar.start_again();
    let again = receiver.wait_for_requests(1);
    assert_eq!(again[0].id(), outstanding, "the same batch");
    assert_eq!(again[0].text(), events::lines(20..30));
    receiver.always(Reply::status(200));
    receiver.wait_for_lines(290);
    wait_until("the copy to be removed", || absorbed(&sidecar) == 0);
    assert_each_batch_once(&mut sidecar, &receiver, 20..310);
    assert!(!sidecar.stderr().contains("a gap is recorded"), "{}", sidecar.stderr());
}

// E6: more deleted files than descriptors for them, and a stop with some of them still held.
#[test]
fn deleted_files_that_nobody_reads_do_not_use_up_the_descriptors() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let sidecar = tailing_with("logs/*.ndjson", "", &receiver, SMALL);
    // 128 are for other things, half of the rest for files at their path.
    let mut sidecar = sidecar.through(&["sh", "-c", "ulimit -n 160; exec \"$@\"", "sh"]);
    sidecar.start_again();
    for n in 0..40 {
        let file = format!("logs/{n}.ndjson");
        sidecar.write_lines(&file, n * 10..n * 10 + 10);
        sidecar.wait_for_log_times("reading a file", n as usize + 1);
        sidecar.remove(&file);
        sidecar.wait_for_log_times("the file was deleted", n as usize + 1);
    }
    wait_until("most to be let go", || held(&sidecar) < 12);
    assert!(absorbed(&sidecar) >= 28, "{} are kept", absorbed(&sidecar));
    assert!(held(&sidecar) > 0, "none is copied without need");
    assert_eq!(sidecar.stop(), 10, "{}", sidecar.stderr());
    assert_eq!(absorbed(&sidecar), 40, "the stop took the others in");
    receiver.always(Reply::status(200));
    sidecar.start_again();
    assert_eq!(sorted(&receiver.wait_for_lines(400)), (0..400).collect::<Vec<_>>());
    sidecar.wait_for_books();
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    assert_eq!(receiver.accepted_lines().len(), 400);
    assert!(!sidecar.stderr().contains("a gap is recorded"), "{}", sidecar.stderr());
}

// B14
#[test]
fn where_the_copy_has_no_room_the_file_stays_held_until_there_is() {
    const TEST: &str = "where_the_copy_has_no_room_the_file_stays_held_until_there_is";
    if !can_mount(TEST) {
        return;
    }
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let script =
        "umask 077; mkdir -p {dir}/state && mount -t tmpfs -o size=2m,mode=0700 tmpfs {dir}/state && exec \"$@\"";
    let mut sidecar =
        tailing_with(LOG, "holdDeleted: 0s", &receiver, SMALL).through(&["unshare", "-m", "sh", "-c", script, "sh"]);
    sidecar.write_lines(LOG, 0..4000);
    sidecar.start_again();
    receiver.wait_for_requests(1);
    let filler = sidecar.inside("state/filler");
    fs::write(&filler, vec![1; 1_300_000]).unwrap();
    sidecar.remove(LOG);
    sidecar.wait_for_alarm("file", "stays open");
    assert_eq!(held(&sidecar), 1);
    sidecar.write_lines(LOG, 4000..4010);
    fs::remove_file(filler).unwrap();
    sidecar.wait_for_log(FREE);
    wait_until("the descriptor to be closed", || held(&sidecar) == 0);
    receiver.always(Reply::status(200));
    assert_exactly(&mut sidecar, &receiver, 0..4010);
}

// B2: its writer would go on into a file that nobody reads any more.
#[test]
fn a_deleted_file_is_read_on_for_as_long_as_somebody_writes_to_it() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with(LOG, "holdDeleted: 0s", &receiver, SMALL);
    sidecar.write_lines(LOG, 0..10);
    let mut writer = fs::OpenOptions::new().append(true).open(sidecar.path(LOG)).unwrap();
    sidecar.start_again();
    receiver.wait_for_lines(10);
    receiver.always(Reply::status(503));
    sidecar.remove(LOG);
    sidecar.wait_for_log("the file was deleted");
    for n in 10..40 {
        std::io::Write::write_all(&mut writer, events::lines(n..n + 1).as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    // Longer than `sealAfter`.
    std::thread::sleep(std::time::Duration::from_millis(700));
    assert_eq!((held(&sidecar), absorbed(&sidecar)), (1, 0));
    drop(writer);
    sidecar.wait_for_log(FREE);
    receiver.always(Reply::status(200));
    assert_exactly(&mut sidecar, &receiver, 0..40);
}
