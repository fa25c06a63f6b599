//! Symbolic links, hard links, and files that are mounted by themselves.

use std::{
    fs,
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

use super::{QUICK_FORWARDER, assert_exactly, sorted, tailing, tailing_with};
use crate::{
    receiver::Receiver,
    sidecar::Sidecar,
    tools::{can_mount, wait_until},
};

/// Files in the directory that is followed and in another, and every kind of link from the one to the other.
fn linked(sidecar: &Sidecar) {
    sidecar.write_lines("logs/own.ndjson", 0..2);
    sidecar.write_lines("logs/sub/inside.ndjson", 2..4);
    sidecar.write_lines("other/file.ndjson", 4..6);
    sidecar.write_lines("other/app/below.ndjson", 6..8);
    sidecar.symlink("logs/sub/inside.ndjson", "logs/inside.ndjson");
    sidecar.symlink("other/file.ndjson", "logs/file.ndjson");
    sidecar.symlink("other/app", "logs/directory");
}

fn check(sidecar: &Sidecar) -> String {
    let config = sidecar.config_path();
    let (status, said, _) = sidecar.command(&["check", "-c", config.to_str().unwrap()]);
    assert_eq!(status, 0, "{said}");
    said
}

#[test]
fn links_are_followed_within_the_named_directories_always_or_never() {
    for (key, expected, refused) in [
        ("", 4, vec!["logs/file.ndjson", "logs/directory"]),
        ("followLinks: always", 8, vec![]),
        ("followLinks: never", 4, vec!["logs/inside.ndjson", "logs/file.ndjson", "logs/directory"]),
    ] {
        let receiver = Receiver::start();
        let mut sidecar = tailing_with("logs/**/*.ndjson", key, &receiver, QUICK_FORWARDER);
        linked(&sidecar);
        let checked = check(&sidecar);
        sidecar.start_again();
        let expected: Vec<u64> = (0..expected).collect();
        receiver.wait_for_lines(expected.len());
        for path in &refused {
            sidecar.wait_for_log(&format!("{path} "));
            assert!(checked.contains(&format!("{path} leads to ")), "{checked}");
        }
        if key.is_empty() {
            sidecar.wait_for_alarm("file", "a link leads to ");
        }
        // Several scans later nothing is said again.
        sidecar.write_lines("logs/own.ndjson", 8..9);
        let arrived = receiver.wait_for_lines(expected.len() + 1);
        let said = sidecar.stderr();
        assert_eq!(said.matches("not read: ").count(), refused.len(), "{said}");
        assert_eq!(said.contains("followLinks: always"), key.is_empty(), "{said}");
        sidecar.wait_for_books();
        sidecar.stop_drained();
        assert_eq!(sorted(&arrived), expected.into_iter().chain([8]).collect::<Vec<_>>());
    }
}

#[test]
fn a_link_that_is_named_without_wildcards_needs_its_targets_directory_too() {
    for (further, is_read) in [("", false), (", \"{dir}/other/*.ndjson\"", true)] {
        let receiver = Receiver::start();
        let mut sidecar = tailing("logs/file.ndjson", &receiver);
        linked(&sidecar);
        sidecar.set_config(&sidecar.yaml().replace("file.ndjson\"]", &format!("file.ndjson\"{further}]")));
        let checked = check(&sidecar);
        assert_eq!(checked.contains("logs/file.ndjson leads to "), !is_read, "{checked}");
        sidecar.start_again();
        if is_read {
            assert_exactly(&mut sidecar, &receiver, 4..6);
        } else {
            sidecar.wait_for_log("leads out of the directories that `include` names");
            sidecar.wait_for_alarm("file", "logs/file.ndjson: a link leads to ");
            sidecar.stop_drained();
            assert!(receiver.deliveries().is_empty());
        }
    }
}

#[test]
fn what_is_exchanged_for_a_link_while_it_runs_ships_nothing_from_outside() {
    let receiver = Receiver::start();
    let mut sidecar = Sidecar::new().file_source_with("app", "logs/**/*.ndjson", "scanInterval: 10ms").forwarder(
        "siem",
        &receiver.url(),
        QUICK_FORWARDER,
    );
    linked(&sidecar);
    sidecar.write_lines("logs/a.ndjson", 10..12);
    sidecar.write_lines("logs/d/app/below.ndjson", 12..14);
    sidecar.start_again();
    receiver.wait_for_lines(8);
    let end = Instant::now() + Duration::from_secs(3);
    let (logs, other) = (sidecar.path("logs"), sidecar.path("other"));
    let mut turn = 0;
    while Instant::now() < end {
        turn += 1;
        let kept = logs.join(format!("kept{}", turn % 3));
        let _ = fs::remove_dir_all(&kept);
        fs::rename(logs.join("d"), &kept).unwrap();
        symlink(&other, logs.join("d")).unwrap();
        symlink(other.join("file.ndjson"), logs.join("new")).unwrap();
        fs::rename(logs.join("new"), logs.join("a.ndjson")).unwrap();
        fs::remove_file(logs.join("d")).unwrap();
        fs::rename(&kept, logs.join("d")).unwrap();
        fs::write(logs.join("new"), "").unwrap();
        fs::rename(logs.join("new"), logs.join("a.ndjson")).unwrap();
    }
    sidecar.write_lines("logs/own.ndjson", 20..21);
    receiver.wait_for_lines(9);
    sidecar.wait_for_books();
    sidecar.stop_drained();
    assert_eq!(sorted(&receiver.accepted_lines()), (0..4).chain(10..14).chain([20]).collect::<Vec<_>>());
}

#[test]
fn a_link_that_is_followed_no_more_after_a_restart_is_told_and_the_rest_a_gap() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with("logs/*.ndjson", "followLinks: always", &receiver, QUICK_FORWARDER);
    linked(&sidecar);
    sidecar.start_again();
    receiver.wait_for_lines(6);
    assert_eq!(sidecar.stop(), 0);
    sidecar.write_lines("other/file.ndjson", 20..25);
    sidecar.set_config(&sidecar.yaml().replace("followLinks: always", "followLinks: within"));
    sidecar.start_again();
    sidecar.wait_for_log("`followLinks` does not allow it any more");
    sidecar.write_lines("logs/own.ndjson", 30..31);
    receiver.wait_for_lines(7);
    sidecar.wait_for_books();
    sidecar.stop_drained();
    assert_eq!(sorted(&receiver.accepted_lines()), (0..6).chain([30]).collect::<Vec<_>>());
}

#[test]
fn a_file_with_another_name_outside_is_read_and_told_of() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/*.ndjson", &receiver);
    sidecar.write_lines("other/file.ndjson", 0..3);
    fs::create_dir(sidecar.path("logs")).unwrap();
    fs::hard_link(sidecar.path("other/file.ndjson"), sidecar.path("logs/hard.ndjson")).unwrap();
    assert!(check(&sidecar).contains("hard links "));
    sidecar.start_again();
    sidecar.wait_for_log("the file has several names (hard links)");
    assert_exactly(&mut sidecar, &receiver, 0..3);
    assert_eq!(sidecar.stderr().matches("several names").count(), 1);
}

#[test]
fn a_file_that_is_mounted_by_itself_and_rotated_away_is_told_of() {
    if !can_mount("a_file_that_is_mounted_by_itself_and_rotated_away_is_told_of") {
        return;
    }
    let receiver = Receiver::start();
    let script = "mount --bind host/audit.ndjson logs/audit.ndjson && exec \"$@\"";
    let mut sidecar = tailing("logs/audit.ndjson", &receiver).through(&["unshare", "-m", "sh", "-c", script, "sh"]);
    sidecar.write_lines("host/audit.ndjson", 0..3);
    sidecar.append("logs/audit.ndjson", "");
    sidecar.start_again();
    receiver.wait_for_lines(3);
    sidecar.wait_for_log("once it is rotated by renaming");
    sidecar.rename("host/audit.ndjson", "host/audit.ndjson.1");
    sidecar.write_lines("host/audit.ndjson.1", 3..4);
    receiver.wait_for_lines(4);
    sidecar.remove("host/audit.ndjson.1");
    sidecar.write_lines("host/audit.ndjson", 4..6);
    sidecar.wait_for_log("the file has no name left");
    sidecar.wait_for_alarm("file", "it is mounted by itself and was deleted");
    let scans = Instant::now();
    wait_until("some scans", || scans.elapsed() > Duration::from_millis(200));
    assert_exactly(&mut sidecar, &receiver, 0..4);
    assert_eq!(sidecar.stderr().matches("no name left").count(), 1);
}
