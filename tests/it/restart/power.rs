//! Power cuts: a real file system that forgets what was not synced.
//!
//! The page cache survives a `kill -9`; it does not survive `FS_IOC_SHUTDOWN`. The process is killed at a system call
//! with strace, its ext4 image is cut off, mounted again, and it starts on what is left.

use std::time::{Duration, Instant};

use crate::{
    disk::Disk,
    events::{self, numbers},
    receiver::{PATIENCE, Receiver, Reply},
    sidecar::Sidecar,
    tail::{on_disk, sorted, tailing_with},
    tools::{has, skipped, under_strace, wait_until},
};

const LOG: &str = "logs/audit.ndjson";
const LETTERS: &str = "{dir}/state/dead-letters/siem/00000000000000000001.ndjson";
/// The journal is synced once a second.
const SYNCED_WITHIN: Duration = Duration::from_millis(1300);
const QUICK: &str = "batch: {maxEvents: 10, maxAge: 20ms}\nretry: {initial: 20ms, max: 50ms}";

/// A disk of its own at this place; `None`, and said, where that or strace is not to be had.
fn disk(test: &str, sidecar: &Sidecar, at: &str) -> Option<Disk> {
    if !has("strace") {
        skipped(test, "strace is not in PATH");
        return None;
    }
    Disk::mounted(test, sidecar.path(format!("{at}.image")), sidecar.path(at))
}

/// Ten lines that are delivered and one that is refused here.
fn write_round(sidecar: &Sidecar, round: u64) {
    sidecar.write_lines(LOG, round * 10..round * 10 + 5);
    sidecar.append(LOG, format!("bad {round}\n"));
    sidecar.write_lines(LOG, round * 10 + 5..round * 10 + 10);
}

/// The payloads of the dead letters that are whole: what a cut left of another is mended at the next start.
fn refused(sidecar: &Sidecar) -> Vec<String> {
    let files = sidecar.read_all("state/dead-letters/siem");
    let letters = files.iter().flat_map(|(_, text)| text.lines());
    let letters = letters.filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    letters.map(|letter| letter["payload"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Every line of the rounds was delivered, or is a dead letter.
fn is_complete(sidecar: &Sidecar, receiver: &Receiver, rounds: u64) -> bool {
    let mut arrived = sorted(&receiver.accepted_lines());
    arrived.dedup();
    let letters = refused(sidecar);
    arrived == (0..rounds * 10).collect::<Vec<_>>()
        && (0..rounds).all(|round| letters.contains(&format!("bad {round}")))
}

/// Lives until it is killed; or gets through, and lives on until the journal that says so is synced, once a second.
fn live(sidecar: &mut Sidecar, receiver: &Receiver, rounds: u64) {
    let end = Instant::now() + PATIENCE;
    let mut through: Option<Instant> = None;
    let is_synced = |through: Option<Instant>| through.is_some_and(|since| since.elapsed() > SYNCED_WITHIN);
    while !sidecar.has_ended() && !is_synced(through) {
        assert!(Instant::now() < end, "it neither gets through nor is killed: {}", sidecar.stderr());
        if through.is_none() && is_complete(sidecar, receiver, rounds) {
            through = Some(Instant::now());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

// C4: killed at the Nth call of each kind and cut off there, again and again on the same disk.
#[test]
fn a_power_cut_at_any_call_loses_nothing() {
    let test = "a_power_cut_at_any_call_loses_nothing";
    let receiver = Receiver::start();
    receiver.script([Reply::status(200), Reply::status(503), Reply::status(200), Reply::status(400)]);
    let mut sidecar = tailing_with(LOG, "", &receiver, QUICK);
    let Some(disk) = disk(test, &sidecar, "state") else { return };
    let points = [("write", 40, 5), ("fdatasync", 5, 1), ("fsync", 8, 1), ("rename", 4, 1), ("openat", 60, 20)];
    let points = points.iter().flat_map(|(call, most, step)| (1..=*most).step_by(*step).map(move |n| (*call, n)));
    let mut rounds = 0;
    for (call, when) in points {
        write_round(&sidecar, rounds);
        rounds += 1;
        let inject = format!("inject={call}:signal=KILL:when={when}");
        sidecar = under_strace(sidecar, &["-e", &inject]);
        sidecar.start_again();
        live(&mut sidecar, &receiver, rounds);
        if sidecar.has_ended() {
            assert_eq!(sidecar.wait(), 128 + 9, "{call} {when}: {}", sidecar.stderr());
        } else {
            sidecar.kill();
        }
        disk.cut();
    }
    let mut sidecar = sidecar.through(&[]);
    sidecar.start_again();
    wait_until("every line, delivered or a dead letter", || is_complete(&sidecar, &receiver, rounds));
    sidecar.wait_for_books();
    sidecar.stop_drained();
}

// C4, E13: the same shows a loss where the syncs of the dead letters do nothing: it could have failed.
#[test]
fn a_power_cut_without_syncs_loses_what_it_should() {
    let test = "a_power_cut_without_syncs_loses_what_it_should";
    for honest in [true, false] {
        let receiver = Receiver::start();
        let sidecar = tailing_with(LOG, "", &receiver, QUICK);
        let Some(disk) = disk(test, &sidecar, "state") else { return };
        write_round(&sidecar, 0);
        let lie = ["-P", LETTERS, "-e", "inject=fdatasync,fsync:retval=0"];
        let mut sidecar = if honest { sidecar } else { under_strace(sidecar, &lie) };
        sidecar.start_again();
        receiver.wait_for_lines(10);
        sidecar
            .wait_for_metrics("nothing to be behind", |metrics| metrics.sum("auditpost_backlog_bytes", &[]) == 0.0);
        // Once it is rotated, it is let go when the journal that says so is synced.
        sidecar.rename(LOG, "logs/audit.ndjson.1");
        sidecar.wait_for_metrics("a synced journal", |metrics| {
            metrics.get("auditpost_files_open", &[("source", "app")]) == Some(0.0)
        });
        sidecar.kill();
        disk.cut();
        let mut sidecar = sidecar.through(&[]);
        sidecar.start_again();
        sidecar.write_lines(LOG, 10..11);
        receiver.wait_until("the next line", PATIENCE, |deliveries| {
            numbers(&deliveries.iter().filter(|d| d.accepted()).flat_map(|d| d.lines()).collect::<Vec<_>>())
                .contains(&10)
        });
        assert_eq!(sidecar.stop(), 0);
        assert_eq!(refused(&sidecar).contains(&"bad 0".to_owned()), honest, "{:?}", refused(&sidecar));
    }
}

// C6: the application did not sync what it wrote; we had read it, and remember more than there is.
#[test]
fn a_file_that_lost_its_tail_in_a_power_cut_is_read_on() {
    let test = "a_file_that_lost_its_tail_in_a_power_cut_is_read_on";
    let receiver = Receiver::start();
    let mut sidecar = tailing_with(LOG, "", &receiver, QUICK);
    let Some(disk) = disk(test, &sidecar, "logs") else { return };
    sidecar.write_lines(LOG, 0..100);
    std::fs::File::open(sidecar.path(LOG)).unwrap().sync_all().unwrap();
    sidecar.start_again();
    receiver.wait_for_lines(100);
    sidecar.write_lines(LOG, 100..150);
    receiver.wait_for_lines(150);
    assert_eq!(sidecar.stop(), 0);
    disk.cut();
    assert_eq!(on_disk(&sidecar, "logs"), (0..100).collect::<Vec<_>>(), "the tail is lost, or nothing is tested");
    sidecar.start_again();
    sidecar.write_lines(LOG, 150..160);
    let last = events::event(159);
    receiver.wait_until("the last line", PATIENCE, |deliveries| {
        deliveries.iter().any(|delivery| delivery.accepted() && delivery.text().contains(&last))
    });
    sidecar.stop_drained();
    let arrived = sorted(&receiver.accepted_lines());
    assert!((0..160).all(|n| arrived.binary_search(&n).is_ok()));
}
