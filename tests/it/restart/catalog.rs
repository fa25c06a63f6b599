//! A catalog that was torn, damaged, or written by somebody else.

use std::fs;

use crate::{
    events::numbers,
    receiver::{PATIENCE, Receiver},
    sidecar::Sidecar,
    tail::{assert_exactly, tailing, without_repeats},
};

const CATALOG: &str = "state/sources/app/catalog";

/// A sidecar that delivered three files, ten lines each, and stopped.
fn stopped(receiver: &Receiver) -> Sidecar {
    let mut sidecar = tailing("logs/*.ndjson", receiver);
    for n in 0..3 {
        sidecar.write_lines(&format!("logs/{n}.ndjson"), n * 10..n * 10 + 10);
    }
    sidecar.start_again();
    receiver.wait_for_lines(30);
    assert_eq!(sidecar.stop(), 0);
    sidecar
}

// C14: a torn or damaged line costs duplicates of its own file, and never an event of another.
#[test]
fn a_line_that_was_damaged_costs_duplicates_of_its_file_and_nothing_else() {
    for torn in [true, false] {
        let receiver = Receiver::start();
        let mut sidecar = stopped(&receiver);
        let text = sidecar.read(CATALOG);
        let damaged = if torn {
            text[..text.len() - 20].to_owned()
        } else {
            let second = text.lines().nth(2).unwrap();
            text.replace(second, &second.replace("2.ndjson", "3.ndjson").replace("1.ndjson", "3.ndjson"))
        };
        assert_ne!(text, damaged);
        fs::write(sidecar.path(CATALOG), damaged).unwrap();
        receiver.clear();
        for n in 0..3 {
            sidecar.write_lines(&format!("logs/{n}.ndjson"), 30 + n..31 + n);
        }
        sidecar.start_again();
        sidecar.wait_for_log("the catalog was damaged on disk");
        // One file again, and what was added to the others.
        receiver.wait_for_lines(13);
        assert_eq!(sidecar.stop(), 0);
        let mut arrived = numbers(&without_repeats(&receiver.deliveries()));
        arrived.sort_unstable();
        assert_eq!(arrived.len(), 13, "{arrived:?}");
        assert_eq!(arrived[10..], [30, 31, 32]);
        assert!(!sidecar.stderr().contains("a bug"), "{}", sidecar.stderr());
    }
}

// C8, C11, C14
#[test]
fn a_catalog_that_cannot_be_trusted_stops_the_start_and_is_left_alone() {
    let receiver = Receiver::start();
    let mut sidecar = stopped(&receiver);
    let good = sidecar.read(CATALOG);
    let header = good.lines().next().unwrap()[9..].replace("\"v\":1", "\"v\":2");
    let mut crc = flate2::Crc::new();
    crc.update(header.as_bytes());
    let newer = format!("{:08x} {header}\n", crc.sum());
    let cases = [
        ("empty", String::new(), 74, "has no readable header"),
        ("garbage", "garbage\n".repeat(50), 74, "has no readable header"),
        ("a newer version", newer, 78, "is of version 2, written by a newer auditpost"),
    ];
    for (what, text, status, said) in cases {
        fs::write(sidecar.path(CATALOG), &text).unwrap();
        let before = sidecar.stderr().len();
        sidecar.start_again();
        assert_eq!(sidecar.wait(), status, "{what}: {}", sidecar.stderr());
        let told = sidecar.stderr()[before..].to_owned();
        assert!(told.contains(said) && told.contains("sources/app/catalog"), "{what}: {told}");
        assert!(sidecar.read(CATALOG) == text, "{what} was left as it is");
    }
    fs::write(sidecar.path(CATALOG), good).unwrap();
    sidecar.start_again();
    assert_exactly(&mut sidecar, &receiver, 0..30);
}

// C9: lost, while a batch was on its way: nothing is skipped.
#[test]
fn a_catalog_that_is_missing_means_to_read_every_file_again() {
    let receiver = Receiver::start();
    let mut sidecar = stopped(&receiver);
    fs::remove_file(sidecar.path(CATALOG)).unwrap();
    receiver.clear();
    sidecar.start_again();
    receiver.wait_until("all again", PATIENCE, |deliveries| without_repeats(deliveries).len() >= 30);
    assert_eq!(sidecar.stop(), 0);
    let mut arrived = numbers(&receiver.accepted_lines());
    arrived.sort_unstable();
    assert_eq!(arrived, (0..30).collect::<Vec<_>>());
}
