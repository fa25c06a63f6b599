//! What matches and cannot be read.

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{assert_exactly, tailing};
use crate::{
    events,
    receiver::Receiver,
    tools::{AS_NOBODY, give_to_nobody, is_root, skipped},
};

const LOG: &str = "logs/audit.ndjson";

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

// A33
#[test]
fn what_is_no_file_is_refused_and_holds_nothing_up() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/*.ndjson", &receiver);
    fs::create_dir_all(sidecar.path("logs/directory.ndjson")).unwrap();
    mknodat(CWD, sidecar.path("logs/fifo.ndjson"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _socket = UnixListener::bind(sidecar.path("logs/socket.ndjson")).unwrap();
    sidecar.symlink("../../../dev/null", "logs/null.ndjson");
    sidecar.write_lines(LOG, 0..5);
    sidecar.start_again();
    receiver.wait_for_lines(5);
    sidecar.write_lines(LOG, 5..6);
    assert_exactly(&mut sidecar, &receiver, 0..6);
    for name in ["directory", "fifo", "socket"] {
        let said = sidecar.stderr();
        let lines: Vec<&str> =
            said.lines().filter(|line| line.contains("not a regular file") && line.contains(name)).collect();
        assert_eq!(lines.len(), 1, "{said}");
    }
}

// A34
#[test]
fn a_file_that_may_not_be_read_waits_until_it_may() {
    let receiver = Receiver::start();
    let sidecar = tailing("logs/*.ndjson", &receiver);
    sidecar.write_lines(LOG, 0..5);
    sidecar.write_lines("logs/other.ndjson", 100..101);
    let Some(mut sidecar) = sidecar.without_root("a_file_that_may_not_be_read_waits_until_it_may") else { return };
    chmod(&sidecar.path(LOG), 0o000);
    sidecar.start_again();
    receiver.wait_for_lines(1);
    sidecar.wait_for_log("cannot read the file");
    sidecar.wait_for_alarm("file", "audit.ndjson");
    chmod(&sidecar.path(LOG), 0o644);
    receiver.wait_for_lines(6);
    sidecar.wait_for_log("reading a file");
    assert_exactly(&mut sidecar, &receiver, (100..101).chain(0..5));
    let said = sidecar.stderr();
    let refused: Vec<&str> = said.lines().filter(|line| line.contains("cannot read the file")).collect();
    assert_eq!(refused.len(), 1, "{said}");
    assert!(refused[0].contains("audit.ndjson") && refused[0].contains("uid="), "{said}");
}

// A35, B42: taken away while it is read, the file's and its directory's; and over a restart.
#[test]
fn rights_that_are_taken_away_lose_and_repeat_nothing() {
    let receiver = Receiver::start();
    let sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..5);
    let Some(mut sidecar) = sidecar.without_root("rights_that_are_taken_away_lose_and_repeat_nothing") else {
        return;
    };
    sidecar.start_again();
    receiver.wait_for_lines(5);
    let mut writer = fs::OpenOptions::new().append(true).open(sidecar.path(LOG)).unwrap();
    chmod(&sidecar.path(LOG), 0o000);
    std::io::Write::write_all(&mut writer, events::lines(5..8).as_bytes()).unwrap();
    // It is open already.
    receiver.wait_for_lines(8);

    chmod(&sidecar.path("logs"), 0o000);
    sidecar.wait_for_log("cannot list the directory");
    std::io::Write::write_all(&mut writer, events::lines(8..9).as_bytes()).unwrap();
    receiver.wait_for_lines(9);
    sidecar.restart();
    sidecar.wait_for_alarm("file", "cannot read");
    std::io::Write::write_all(&mut writer, events::lines(9..10).as_bytes()).unwrap();
    chmod(&sidecar.path("logs"), 0o755);
    chmod(&sidecar.path(LOG), 0o644);
    receiver.wait_for_lines(10);
    assert_exactly(&mut sidecar, &receiver, 0..10);
    assert!(!sidecar.stderr().contains("gap"), "{}", sidecar.stderr());
}

// B42 for root too: a directory that for a while is a link to itself.
#[test]
fn a_directory_that_cannot_be_looked_into_is_not_taken_for_empty() {
    for include in [LOG, "logs/*.ndjson"] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(include, &receiver);
        sidecar.write_lines(LOG, 0..5);
        sidecar.start_again();
        receiver.wait_for_lines(5);
        sidecar.rename("logs", "aside");
        sidecar.symlink("logs", "logs");
        sidecar.wait_for_log("cannot list the directory");
        sidecar.wait_for_alarm("file", "cannot read");
        sidecar.write_lines("aside/audit.ndjson", 5..6);
        receiver.wait_for_lines(6);
        sidecar.remove("logs");
        sidecar.rename("aside", "logs");
        sidecar.write_lines(LOG, 6..7);
        assert_exactly(&mut sidecar, &receiver, 0..7);
        let said = sidecar.stderr();
        assert!(!said.contains("the file was deleted") && !said.contains("gap"), "{said}");
    }
}

// A directory that may be passed through and not listed: the file is known by its path.
#[test]
fn a_file_in_a_directory_that_cannot_be_listed_is_followed_by_its_path_over_rotations_and_a_stop() {
    const TEST: &str =
        "a_file_in_a_directory_that_cannot_be_listed_is_followed_by_its_path_over_rotations_and_a_stop";
    if !is_root() {
        return skipped(TEST, "running as another user needs root");
    }
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/audit.ndjson", &receiver).through(&AS_NOBODY);
    sidecar.write_lines("logs/audit.ndjson", 0..10);
    sidecar.write_config();
    give_to_nobody(&sidecar.path(""));
    std::os::unix::fs::chown(sidecar.path("logs"), Some(0), Some(0)).unwrap();
    chmod(&sidecar.path("logs"), 0o711);
    sidecar.start_again();
    receiver.wait_for_lines(10);
    sidecar.rename("logs/audit.ndjson", "logs/audit.ndjson.1");
    sidecar.write_lines("logs/audit.ndjson", 10..20);
    receiver.wait_for_lines(20);
    sidecar.wait_for_books();
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    sidecar.write_lines("logs/audit.ndjson", 20..30);
    sidecar.start_again();
    receiver.wait_for_lines(30);
    sidecar.write_lines("logs/audit.ndjson", 30..40);
    assert_exactly(&mut sidecar, &receiver, 0..40);
    assert!(!sidecar.stderr().contains("is recorded"), "{}", sidecar.stderr());
}
