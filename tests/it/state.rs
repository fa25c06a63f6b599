//! A state directory that is damaged, foreign or in the wrong hands: a clear word, and no event is skipped.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use crate::{
    events::{lines, numbers},
    receiver::Receiver,
    sidecar::Sidecar,
};

const LOG: &str = "logs/audit.ndjson";
const QUICK: &str = "batch: {maxEvents: 10, maxAge: 20ms}";
const JOURNAL: &str = "state/forwarders/siem/journal";
const CATALOG: &str = "state/sources/app/catalog";

/// A sidecar that has delivered 0..100 and was killed.
fn delivered(receiver: &Receiver) -> Sidecar {
    let sidecar = Sidecar::new().file_source_with("app", "logs/*.ndjson", "scanInterval: 50ms");
    let sidecar = sidecar.forwarder("siem", &receiver.url(), QUICK);
    fs::create_dir(sidecar.path("logs")).unwrap();
    let mut sidecar = sidecar.start();
    sidecar.append(LOG, lines(0..100));
    receiver.wait_for_lines(100);
    sidecar.wait_for_metrics("the settlements", |metrics| metrics.events("siem", "delivered") == 100);
    sidecar.kill();
    sidecar
}

/// Starts it and expects it to end with this status; what it said.
fn refused(sidecar: &Sidecar, status: i32) -> String {
    let config = sidecar.config_path();
    let (code, _, stderr) = sidecar.command(&["run", "-c", config.to_str().unwrap()]);
    assert_eq!(code, status, "{stderr}");
    stderr
}

fn bytes(sidecar: &Sidecar, file: &str) -> Vec<u8> {
    fs::read(sidecar.path(file)).unwrap()
}

/// A line as the state's formats frame it.
fn framed(json: &str) -> String {
    format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()))
}

/// C7.
#[test]
fn a_torn_journal_costs_at_most_a_batch_twice() {
    let receiver = Receiver::start();
    let mut sidecar = delivered(&receiver);
    let journal = bytes(&sidecar, JOURNAL);
    fs::write(sidecar.path(JOURNAL), &journal[..journal.len() - 7]).unwrap();
    sidecar.start_again();
    sidecar.append(LOG, lines(100..110));
    receiver.wait_until("the new events", std::time::Duration::from_secs(20), |deliveries| {
        deliveries.iter().any(|delivery| numbers(&delivery.lines()).contains(&109))
    });
    let again: Vec<u64> = numbers(&receiver.accepted_lines()).split_off(100);
    assert!(again.len() <= 20, "{again:?}");
    let mut ids = receiver.accepted_ids();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(all - ids.len(), again.len() / 20, "what came twice came under its old id");
}

/// C7, D5: a bad line in the middle is set aside, told, and what it said is sent again.
#[test]
fn a_damaged_line_of_the_journal_is_set_aside_and_nothing_is_skipped() {
    let receiver = Receiver::start();
    let mut sidecar = delivered(&receiver);
    let mut journal = bytes(&sidecar, JOURNAL);
    let middle = journal.len() / 2;
    journal[middle] ^= 4;
    fs::write(sidecar.path(JOURNAL), &journal).unwrap();
    sidecar.start_again();
    sidecar.append(LOG, lines(100..110));
    receiver.wait_until("the new events", std::time::Duration::from_secs(20), |deliveries| {
        deliveries.iter().any(|delivery| numbers(&delivery.lines()).contains(&109))
    });
    assert!(sidecar.path("state/forwarders/siem/journal.quarantine").exists());
    assert!(sidecar.status()["alarms"].to_string().contains("quarantine"), "{}", sidecar.status());
    let mut all = numbers(&receiver.accepted_lines());
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, (0..110).collect::<Vec<_>>());
}

/// C11, C13, C30.
#[test]
fn a_journal_of_a_newer_version_or_of_another_forwarder_is_left_alone() {
    let receiver = Receiver::start();
    let sidecar = delivered(&receiver);
    for (header, word) in [
        (r#"{"v":99,"forwarder":"siem","journal":"00","created":1}"#, "newer"),
        (r#"{"v":1,"forwarder":"other","journal":"00","created":1}"#, "other"),
    ] {
        let journal = framed(header).into_bytes();
        fs::write(sidecar.path(JOURNAL), &journal).unwrap();
        let said = refused(&sidecar, 78);
        assert!(said.contains(word) && said.contains("journal"), "{said}");
        assert_eq!(bytes(&sidecar, JOURNAL), journal, "it is untouched");
    }
    assert_eq!(receiver.accepted_lines().len(), 100);
}

/// C8, C14, C15.
#[test]
fn a_journal_that_cannot_be_read_stops_the_start_instead_of_skipping() {
    let receiver = Receiver::start();
    let sidecar = delivered(&receiver);
    for garbage in [&b"not a journal\n"[..], b"\0\0\0\0", b"00000000 {}\n", b"x"] {
        fs::write(sidecar.path(JOURNAL), garbage).unwrap();
        let said = refused(&sidecar, 74);
        assert!(said.contains("forwarders/siem/journal") && said.contains("not started"), "{said}");
        assert_eq!(bytes(&sidecar, JOURNAL), garbage, "it is untouched");
    }
    assert_eq!(receiver.accepted_lines().len(), 100);
}

/// C8, C11 for the catalog.
#[test]
fn a_catalog_that_cannot_be_read_stops_the_start_and_a_damaged_line_costs_duplicates_only() {
    let receiver = Receiver::start();
    let mut sidecar = delivered(&receiver);
    let catalog = bytes(&sidecar, CATALOG);
    fs::write(sidecar.path(CATALOG), framed(r#"{"v":9,"log":"x","next":1}"#)).unwrap();
    assert!(refused(&sidecar, 78).contains("newer"));
    fs::write(sidecar.path(CATALOG), "nonsense\n").unwrap();
    assert!(refused(&sidecar, 74).contains("catalog"));
    let mut damaged = catalog;
    let last = damaged.len() - 10;
    damaged[last] ^= 1;
    fs::write(sidecar.path(CATALOG), &damaged).unwrap();
    sidecar.start_again();
    sidecar.wait_for_log("the catalog was damaged on disk");
    let mut again = numbers(&receiver.wait_for_lines(200)).split_off(100);
    again.sort_unstable();
    assert_eq!(again, (0..100).collect::<Vec<_>>(), "the file is read again from its beginning");
}

/// C25, M9.
#[test]
fn a_state_directory_in_the_wrong_hands_is_refused() {
    let receiver = Receiver::start();
    let sidecar = Sidecar::new().file_source("app", "logs/*.ndjson").forwarder("siem", &receiver.url(), QUICK);
    sidecar.write_config();
    let state: PathBuf = sidecar.path("state");
    let elsewhere = sidecar.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &state).unwrap();
    assert!(refused(&sidecar, 73).contains("symbolic link"), "a link");
    fs::remove_file(&state).unwrap();
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
    let said = refused(&sidecar, 73);
    assert!(said.contains("writ"), "{said}");
    fs::remove_dir(&state).unwrap();
    fs::write(&state, "a file").unwrap();
    refused(&sidecar, 73);
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0, "nothing was made where the link points");
}

/// M9: what it makes is its own.
#[test]
fn directories_are_private_and_so_are_files() {
    let receiver = Receiver::start();
    let mut sidecar = delivered(&receiver);
    sidecar.start_again();
    sidecar.append(LOG, "not json\n");
    sidecar.wait_for_metrics("a dead letter", |metrics| metrics.events("siem", "dead_lettered") == 1);
    assert_eq!(sidecar.stop(), 0);
    let mut waiting = vec![sidecar.path("state")];
    let mut seen = 0;
    while let Some(path) = waiting.pop() {
        let mode = fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777;
        if path.is_dir() {
            assert_eq!(mode, 0o700, "{}", path.display());
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            assert_eq!(mode, 0o600, "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 4, "lock, catalog, journal, dead letters");
}
