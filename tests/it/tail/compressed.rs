//! Generations that are compressed before they are read to their end. What the scanner makes of them step by step is in
//! the unit tests of the log.

use std::{fs, io::Write, os::unix::fs::PermissionsExt, process::Stdio};

use flate2::{Compression, write::GzEncoder};

use super::{
    assert_each_batch_once, assert_exactly,
    logrotate::{LOG, command, logrotate, rotate_while_writing},
    sorted, tailing, tailing_with,
};
use crate::{
    events,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tools::{has, skipped, wait_until},
};

const COMPRESS: &str = " create\n compress";
const SMALL: &str = "batch: {maxEvents: 10, maxAge: 20ms}\nretry: {initial: 50ms, max: 100ms}";

/// Three hundred lines of which the first ten are delivered, and a receiver that takes no more. `None`, and said, where
/// there is no logrotate.
pub(super) fn read_in_part(test: &str, include: &str) -> Option<(Receiver, Sidecar)> {
    if !has("logrotate") {
        skipped(test, "logrotate is not in PATH");
        return None;
    }
    let receiver = Receiver::start();
    receiver.script([Reply::status(200)]);
    receiver.always(Reply::status(503));
    let mut sidecar = tailing_with(include, "", &receiver, SMALL);
    sidecar.write_lines(LOG, 0..300);
    sidecar.start_again();
    receiver.wait_for_requests(2);
    Some((receiver, sidecar))
}

fn restored(sidecar: &Sidecar) -> usize {
    fs::read_dir(sidecar.path("state/sources/app/restored")).map_or(0, |entries| entries.count())
}

// B9: it runs, and is killed once nothing but the compressed file has the rest.
#[test]
fn what_logrotate_compresses_while_it_runs_arrives_once_also_after_a_kill() {
    for include in [LOG, "logs/audit.ndjson*"] {
        let Some((receiver, mut sidecar)) = read_in_part("what_logrotate_compresses_while_it_runs", include) else {
            return;
        };
        logrotate(&sidecar, COMPRESS);
        assert!(sidecar.path("logs/audit.ndjson.1.gz").exists());
        sidecar.write_lines(LOG, 300..310);
        sidecar.kill();
        receiver.always(Reply::status(200));
        sidecar.start_again();
        receiver.wait_for_lines(310);
        wait_until("the restored file to go with its segment", || restored(&sidecar) == 0);
        // It is known for good: neither a scan nor a rotation brings it back.
        logrotate(&sidecar, COMPRESS);
        sidecar.write_lines(LOG, 310..320);
        assert_each_batch_once(&mut sidecar, &receiver, 0..320);
        sidecar.start_again();
        logrotate(&sidecar, COMPRESS);
        sidecar.write_lines(LOG, 320..330);
        assert_each_batch_once(&mut sidecar, &receiver, 0..330);
        assert!(!sidecar.stderr().contains("a gap is recorded"), "{}", sidecar.stderr());
    }
}

// B9: under a busy writer, with every generation compressed at once.
#[test]
fn logrotate_with_compression_under_a_busy_writer_loses_and_repeats_nothing() {
    if !has("logrotate") {
        return skipped("logrotate_with_compression", "logrotate is not in PATH");
    }
    for include in [LOG, "logs/audit.ndjson*"] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(include, &receiver);
        fs::create_dir(sidecar.path("logs")).unwrap();
        sidecar.start_again();
        // A writer that keeps its file open for a moment longer loses what it writes behind gzip's back: `delaycompress`
        // is for that, in logrotate's own words.
        let written = rotate_while_writing(&sidecar, true, 8, " create\n compress\n delaycompress");
        let arrived = sorted(&receiver.wait_for_lines(written as usize));
        assert_eq!(arrived, (0..written).collect::<Vec<_>>());
        assert_eq!(sidecar.stop(), 0);
        assert_eq!(receiver.accepted_lines().len(), written as usize, "nothing twice");
    }
}

// B10: rotated and compressed twice while it is stopped: the rest of the one, and all of the other.
#[test]
fn what_logrotate_compresses_while_it_is_stopped_is_read_on_at_its_offset() {
    for include in [LOG, "logs/audit.ndjson*"] {
        let Some((receiver, mut sidecar)) = read_in_part("what_logrotate_compresses_while_it_is_stopped", include)
        else {
            return;
        };
        sidecar.stop();
        sidecar.write_lines(LOG, 300..400);
        logrotate(&sidecar, COMPRESS);
        sidecar.write_lines(LOG, 400..500);
        logrotate(&sidecar, COMPRESS);
        sidecar.write_lines(LOG, 500..510);
        receiver.script([Reply::status(200), Reply::status(200)]);
        sidecar.start_again();
        sidecar.wait_for_log("its content is restored and reading continues in it");
        receiver.wait_for_lines(30);
        assert!(restored(&sidecar) > 0);
        sidecar.kill();
        receiver.always(Reply::status(200));
        sidecar.start_again();
        assert_each_batch_once(&mut sidecar, &receiver, 0..510);
    }
}

// B11
#[test]
fn of_a_compressed_file_that_was_cut_the_whole_lines_arrive_and_the_rest_is_a_gap() {
    let Some((receiver, mut sidecar)) = read_in_part("of_a_compressed_file_that_was_cut", LOG) else { return };
    sidecar.write_lines(LOG, 300..20_000);
    sidecar.wait_for_metrics("the backlog", |metrics| metrics.sum("auditpost_backlog_bytes", &[]) > 1e6);
    sidecar.stop();
    logrotate(&sidecar, COMPRESS);
    let packed = sidecar.path("logs/audit.ndjson.1.gz");
    let half = fs::metadata(&packed).unwrap().len() / 2;
    sidecar.truncate("logs/audit.ndjson.1.gz", half);
    receiver.always(Reply::status(200));
    sidecar.start_again();
    sidecar.wait_for_log("a gap is recorded");
    sidecar.wait_for_alarm("gap", "can never be delivered");
    // The alarm may come before the last lines.
    let all = events::lines(0..20_000).len();
    wait_until("what arrives and the gap to be all there was", || {
        let arrived = events::lines(0..receiver.accepted_lines().len() as u64).len();
        sidecar.status()["forwarders"][0]["sources"][0]["gapBytes"].as_u64() == Some((all - arrived) as u64)
    });
    let arrived = events::numbers(&receiver.accepted_lines());
    let whole = arrived.len() as u64;
    assert!(whole > 5_000 && whole < 19_000, "{whole}");
    assert_eq!(arrived, (0..whole).collect::<Vec<_>>(), "nothing twice, and no half line");
    sidecar.write_lines(LOG, 20_000..20_010);
    receiver.wait_for_lines(whole as usize + 10);
    sidecar.wait_for_books();
    sidecar.stop_drained();
}

// B12: 1 MiB that come to 1 GiB, behind the right beginning.
#[test]
fn a_bomb_in_the_place_of_a_rotated_file_is_a_gap_and_takes_no_memory() {
    let Some((receiver, mut sidecar)) = read_in_part("a_bomb_in_the_place_of_a_rotated_file", LOG) else { return };
    sidecar.stop();
    logrotate(&sidecar, COMPRESS);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&vec![b'a'; 8 << 20]).unwrap();
    let bomb = encoder.finish().unwrap().repeat(128);
    sidecar.append("logs/audit.ndjson.1.gz", bomb);
    receiver.always(Reply::status(200));
    sidecar.start_again();
    sidecar.wait_for_log("a log does not swell like that");
    sidecar.wait_for_log("a gap is recorded");
    sidecar.write_lines(LOG, 300..310);
    receiver.wait_for_lines(20);
    assert_eq!(events::numbers(&receiver.accepted_lines()), (0..10).chain(300..310).collect::<Vec<_>>());
    assert!(sidecar.peak_rss_kib() < 40 * 1024, "{} KiB", sidecar.peak_rss_kib());
    assert_eq!(restored(&sidecar), 0);
    sidecar.stop_drained();
}

// What cannot be restored now is waited for, also by the batch that was on its way; it is no gap.
#[test]
fn what_cannot_be_restored_now_is_waited_for() {
    let Some((receiver, mut sidecar)) = read_in_part("what_cannot_be_restored_now", LOG) else { return };
    let outstanding = receiver.deliveries()[1].id().to_owned();
    sidecar.kill();
    logrotate(&sidecar, COMPRESS);
    let place = sidecar.path("state/sources/app/restored");
    fs::write(&place, "in the way").unwrap();
    receiver.always(Reply::status(200));
    sidecar.start_again();
    sidecar.wait_for_alarm("file", "its events wait");
    sidecar.wait_for_alarm("stalled", "waits for it, nothing is lost");
    sidecar.assert_books_balance();
    fs::remove_file(&place).unwrap();
    receiver.wait_for_lines(300);
    assert_eq!(receiver.accepted_ids()[1], outstanding, "under its id");
    assert!(!sidecar.stderr().contains("a gap is recorded"), "{}", sidecar.stderr());
    assert_each_batch_once(&mut sidecar, &receiver, 0..300);
}

// B47: the compressor stands still between the creation of its file and the removal of the original.
#[test]
fn a_compressor_that_stands_still_or_dies_half_way_repeats_nothing() {
    for dies in [false, true] {
        for include in [LOG, "logs/audit.ndjson*"] {
            let Some((receiver, mut sidecar)) = read_in_part("a_compressor_that_stands_still", include) else {
                return;
            };
            let slow = sidecar.path("slow-gzip");
            let go = sidecar.path("go").display().to_string();
            let script = format!(
                "#!/bin/sh\ngzip -c | {{ dd bs=1 count=200 2>/dev/null; while ! [ -e {go} ]; do sleep 0.01; done; cat; }}\n"
            );
            fs::write(&slow, script).unwrap();
            fs::set_permissions(&slow, fs::Permissions::from_mode(0o755)).unwrap();
            let options = format!("{COMPRESS}\n compresscmd {}", slow.display());
            let mut rotating =
                command(&sidecar, &options).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let packed = sidecar.path("logs/audit.ndjson.1.gz");
            wait_until("half a compressed file", || fs::metadata(&packed).is_ok_and(|file| file.len() >= 200));
            sidecar.write_lines(LOG, 300..310);
            // It looks at both for some scans, also after a start.
            sidecar.kill();
            receiver.script([Reply::status(200)]);
            sidecar.start_again();
            receiver.wait_for_lines(20);
            if dies {
                rotating.kill().unwrap();
            }
            fs::write(&go, "").unwrap();
            rotating.wait().unwrap();
            assert_eq!(sidecar.path("logs/audit.ndjson.1").exists(), dies);
            sidecar.kill();
            receiver.always(Reply::status(200));
            sidecar.start_again();
            assert_each_batch_once(&mut sidecar, &receiver, 0..310);
        }
    }
}

// Somebody who compresses by hand what is still written to: the new file is another, the old one is read on.
#[test]
fn a_file_compressed_in_its_place_is_read_on() {
    if !has("gzip") {
        return skipped("a_file_compressed_in_its_place", "gzip is not in PATH");
    }
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..100);
    sidecar.start_again();
    receiver.wait_for_lines(100);
    assert_eq!(sidecar.stop(), 0);
    sidecar.write_lines(LOG, 100..200);
    assert!(crate::tools::works(&["gzip", &sidecar.path(LOG).display().to_string()]));
    sidecar.write_lines(LOG, 200..210);
    sidecar.start_again();
    assert_exactly(&mut sidecar, &receiver, 0..210);
}
