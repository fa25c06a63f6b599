//! The real compressors, by logrotate and by hand: what they make is read on, whatever time it has; what has no decoder
//! is told.

use std::{collections::BTreeSet, fs};

use super::{
    assert_each_batch_once, assert_exactly,
    compressed::read_in_part,
    logrotate::{LOG, logrotate, rotate_while_writing},
    sorted, tailing, tailing_with,
};
use crate::{
    events,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tools::{has, skipped, wait_until, works},
};

const UNEXPLAINED: &str = "no file that was read is known to have its content";

/// A compressor, the end of its files' names, and how it is called to write to its standard output.
const COMPRESSORS: [(&str, &str, &str); 9] = [
    ("gzip", ".gz", "gzip -nc"),
    ("zstd", ".zst", "zstd -qc"),
    ("zstd", ".zst", "zstd -qc -19 --long=27 -T2"),
    ("xz", ".xz", "xz -c"),
    ("xz", ".xz", "xz -c -9e --check=sha256 --block-size=4KiB"),
    ("bzip2", ".bz2", "bzip2 -c"),
    ("bzip2", ".bz2", "bzip2 -c -1"),
    ("lz4", ".lz4", "lz4 -qc"),
    ("lz4", ".lz4", "lz4 -qc -9 -B4 -BD -BX --content-size"),
];

/// The options of logrotate for a compressor; `None`, and said, where it is not here.
fn compressing(test: &str, tool: &str, ending: &str) -> Option<String> {
    let path =
        std::env::split_paths(&std::env::var_os("PATH").unwrap()).map(|dir| dir.join(tool)).find(|it| it.is_file());
    let Some(path) = path else {
        skipped(test, &format!("{tool} is not in PATH"));
        return None;
    };
    Some(format!(" create\n compress\n compresscmd {}\n compressext {ending}", path.display()))
}

fn by_logrotate(test: &str) -> impl Iterator<Item = (String, &'static str)> {
    let tools = [("zstd", ".zst"), ("xz", ".xz"), ("bzip2", ".bz2"), ("lz4", ".lz4")];
    let options = tools.into_iter().filter_map(move |(tool, ending)| compressing(test, tool, ending));
    options.flat_map(|options| [LOG, "logs/audit.ndjson*"].map(|include| (options.clone(), include)))
}

// F8, F11: rotated and compressed twice while it is stopped: the rest of the one, and all of the other.
#[test]
fn what_logrotate_compresses_otherwise_while_it_is_stopped_is_read_on_at_its_offset() {
    const TEST: &str = "what_logrotate_compresses_otherwise_while_it_is_stopped";
    for (options, include) in by_logrotate(TEST) {
        let Some((receiver, mut sidecar)) = read_in_part(TEST, include) else { return };
        sidecar.stop();
        sidecar.write_lines(LOG, 300..400);
        logrotate(&sidecar, &options);
        sidecar.write_lines(LOG, 400..500);
        logrotate(&sidecar, &options);
        sidecar.write_lines(LOG, 500..510);
        receiver.script([Reply::status(200), Reply::status(200)]);
        sidecar.start_again();
        sidecar.wait_for_log("its content is restored and reading continues in it");
        receiver.wait_for_lines(30);
        sidecar.kill();
        receiver.always(Reply::status(200));
        sidecar.start_again();
        assert_each_batch_once(&mut sidecar, &receiver, 0..510);
        let said = sidecar.stderr();
        assert!(!said.contains("a gap is recorded") && !said.contains(UNEXPLAINED), "{options}: {said}");
    }
}

// F11, F21: it runs, and is killed once nothing but the compressed file has the rest.
#[test]
fn what_logrotate_compresses_otherwise_while_it_runs_arrives_once_and_without_a_word() {
    const TEST: &str = "what_logrotate_compresses_otherwise_while_it_runs";
    for (options, include) in by_logrotate(TEST) {
        let Some((receiver, mut sidecar)) = read_in_part(TEST, include) else { return };
        logrotate(&sidecar, &options);
        sidecar.write_lines(LOG, 300..310);
        sidecar.kill();
        receiver.always(Reply::status(200));
        sidecar.start_again();
        receiver.wait_for_lines(310);
        for n in 31..34 {
            logrotate(&sidecar, &options);
            sidecar.write_lines(LOG, n * 10..n * 10 + 10);
            receiver.wait_for_lines(n as usize * 10 + 10);
        }
        assert_each_batch_once(&mut sidecar, &receiver, 0..340);
        let said = sidecar.stderr();
        assert!(!said.contains("a gap is recorded") && !said.contains(UNEXPLAINED), "{options}: {said}");
    }
}

// F11: under a busy writer.
#[test]
fn logrotate_with_zstd_under_a_busy_writer_loses_and_repeats_nothing() {
    const TEST: &str = "logrotate_with_zstd_under_a_busy_writer";
    let Some(options) = compressing(TEST, "zstd", ".zst") else { return };
    if !has("logrotate") {
        return skipped(TEST, "logrotate is not in PATH");
    }
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/audit.ndjson*", &receiver);
    fs::create_dir(sidecar.path("logs")).unwrap();
    sidecar.start_again();
    let written = rotate_while_writing(&sidecar, true, 6, &format!("{options}\n delaycompress"));
    let arrived = sorted(&receiver.wait_for_lines(written as usize));
    assert_eq!(arrived, (0..written).collect::<Vec<_>>());
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(receiver.accepted_lines().len(), written as usize, "nothing twice");
}

fn compress(sidecar: &Sidecar, command: &str, from: &str, to: &str) {
    let (from, to) = (sidecar.path(from).display().to_string(), sidecar.path(to).display().to_string());
    assert!(works(&["sh", "-c", &format!("{command} <{from} >{to} && rm {from}")]), "{command}");
}

// F11, F14: by hand, with the time of the compression and with one long ago; what was read, what was read in part, and
// what nobody saw.
#[test]
fn what_is_compressed_by_hand_is_known_by_its_content_whatever_its_time() {
    for (tool, ending, command) in COMPRESSORS {
        if !has(tool) {
            skipped("what_is_compressed_by_hand", &format!("{tool} is not in PATH"));
            continue;
        }
        for long_ago in [false, true] {
            let receiver = Receiver::start();
            let mut sidecar = tailing("logs/audit.ndjson*", &receiver);
            sidecar.write_lines(LOG, 0..1000);
            sidecar.start_again();
            receiver.wait_for_lines(1000);
            let pack = |sidecar: &Sidecar, to: &str| {
                let to = format!("{to}{ending}");
                compress(sidecar, command, LOG, &to);
                if long_ago {
                    assert!(works(&["touch", "-d", "2001-01-01", &sidecar.path(&to).display().to_string()]));
                }
            };
            pack(&sidecar, "logs/audit.ndjson.4");
            sidecar.write_lines(LOG, 1000..1100);
            receiver.wait_for_lines(1100);
            assert_eq!(sidecar.stop(), 0);
            sidecar.write_lines(LOG, 1100..2000);
            pack(&sidecar, "logs/audit.ndjson.3");
            sidecar.write_lines(LOG, 2000..3000);
            pack(&sidecar, "logs/audit.ndjson.2");
            sidecar.write_lines(LOG, 3000..3010);
            sidecar.start_again();
            assert_exactly(&mut sidecar, &receiver, 0..3010);
            let said = sidecar.stderr();
            assert!(!said.contains("a gap is recorded") && !said.contains(UNEXPLAINED), "{command}: {said}");
        }
    }
}

// Of a small file all the bytes may be what the next one begins with: that is no proof that it was compressed from it.
#[test]
fn what_begins_with_all_of_a_small_file_is_not_taken_for_it() {
    const TEST: &str = "what_begins_with_all_of_a_small_file";
    for (tool, ending, command) in [COMPRESSORS[0], COMPRESSORS[1], COMPRESSORS[3]] {
        if !has(tool) {
            skipped(TEST, &format!("{tool} is not in PATH"));
            continue;
        }
        for ends in [false, true] {
            let receiver = Receiver::start();
            let mut sidecar = tailing(LOG, &receiver);
            sidecar.write_lines(LOG, 0..1);
            sidecar.start_again();
            receiver.wait_for_lines(1);
            if ends {
                sidecar.kill();
            } else {
                sidecar.pause();
            }
            sidecar.rename(LOG, "logs/audit.ndjson.2");
            sidecar.write_lines(LOG, 0..10);
            compress(&sidecar, command, LOG, &format!("logs/audit.ndjson.1{ending}"));
            sidecar.write_lines(LOG, 10..11);
            if ends {
                sidecar.start_again();
            } else {
                sidecar.resume();
            }
            // The first event was written twice, and may be sent a third time after the kill.
            wait_until("what nobody saw", || {
                sorted(&receiver.accepted_lines()).into_iter().collect::<BTreeSet<_>>() == (0..11).collect()
            });
            assert!(!sidecar.stderr().contains("a gap is recorded"), "{command}: {}", sidecar.stderr());
        }
    }
}

// F8, F11: what was not read of it is a gap, and what to do is said.
#[test]
fn a_generation_without_a_decoder_is_a_gap_with_an_alarm() {
    let receiver = Receiver::start();
    receiver.script([Reply::status(200)]);
    receiver.always(Reply::status(503));
    let mut sidecar =
        tailing_with("logs/audit.ndjson*", "schema: raw", &receiver, "batch: {maxEvents: 10, maxAge: 20ms}");
    sidecar.write_lines(LOG, 0..300);
    sidecar.start_again();
    receiver.wait_for_requests(2);
    sidecar.stop();
    fs::remove_file(sidecar.path(LOG)).unwrap();
    fs::write(sidecar.path("logs/audit.ndjson.1.zip"), b"PK\x03\x04\x14\x00\x00\x00\n\n\n").unwrap();
    sidecar.write_lines(LOG, 300..310);
    receiver.always(Reply::status(200));
    sidecar.start_again();
    sidecar.wait_for_log("a gap is recorded");
    sidecar.wait_for_alarm("file", "there is no decoder for that");
    receiver.wait_for_lines(20);
    assert_eq!(events::numbers(&receiver.accepted_lines()), (0..10).chain(300..310).collect::<Vec<_>>());
    sidecar.assert_books_balance();
    sidecar.stop_drained();
}

// F11, F22: one in the glob that belongs to nothing is not read, and that is said once.
#[test]
fn a_compressed_file_that_belongs_to_nothing_is_never_read_and_told_once() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with("logs/*", "schema: raw", &receiver, super::QUICK_FORWARDER);
    sidecar.write_lines(LOG, 0..10);
    sidecar.start_again();
    receiver.wait_for_lines(10);
    let mut told = Vec::new();
    for (tool, ending, command) in COMPRESSORS.into_iter().filter(|(tool, ..)| has(tool)) {
        let name = format!("logs/holiday-{tool}{}{ending}", told.len());
        sidecar.write_lines("elsewhere", 500..600);
        compress(&sidecar, command, "elsewhere", &name);
        told.push(name);
    }
    sidecar.write_lines(LOG, 10..20);
    receiver.wait_for_lines(20);
    for name in &told {
        let path = sidecar.path(name).display().to_string();
        let tells =
            |said: &str| said.lines().filter(|line| line.contains(&path) && line.contains(UNEXPLAINED)).count();
        crate::tools::wait_until("a word", || tells(&sidecar.stderr()) > 0);
        assert_eq!(tells(&sidecar.stderr()), 1, "{name}");
    }
    assert_exactly(&mut sidecar, &receiver, 0..20);
}
