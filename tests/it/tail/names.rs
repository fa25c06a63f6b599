//! Names of any bytes, links in circles, and directories that may not be listed: whoever can make an entry in a
//! directory cannot hide the others in it.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::PathBuf,
};

use super::{assert_exactly, sorted, tailing, tailing_with};
use crate::{
    events,
    receiver::Receiver,
    sidecar::{Sidecar, append},
};

const LOG: &str = "logs/audit.ndjson";
const EXCLUDE: &str = "exclude: [\"*.gz\"]";

fn odd(sidecar: &Sidecar, name: &[u8]) -> PathBuf {
    sidecar.path("logs").join(OsStr::from_bytes(name))
}

// F1, G2: a name that does not match, and one that is excluded; there at the start, and later.
#[test]
fn names_that_are_no_utf_8_hide_no_other_file() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with("logs/*.ndjson*", EXCLUDE, &receiver, super::QUICK_FORWARDER);
    sidecar.write_lines(LOG, 0..5);
    append(&odd(&sidecar, b"\xff\xfe.txt"), events::lines(100..101));
    append(&odd(&sidecar, b"\xff.ndjson.gz"), events::lines(101..102));
    fs::create_dir(odd(&sidecar, b"\xfd")).unwrap();
    let (status, said, _) = sidecar.command(&["check", "-c", "config.yaml"]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("match now  1 file\n"), "{said}");
    sidecar.start_again();
    receiver.wait_for_lines(5);
    append(&odd(&sidecar, b"late \xff\x1b[2J"), "");
    sidecar.rename(LOG, "logs/audit.ndjson.1");
    sidecar.write_lines(LOG, 5..8);
    receiver.wait_for_lines(8);
    assert_exactly(&mut sidecar, &receiver, 0..8);
    assert!(!sidecar.stderr().contains("panicked"), "{}", sidecar.stderr());
}

// F1: a name that matches.
#[test]
fn a_file_whose_name_is_no_utf_8_is_delivered_beside_the_others() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with("logs/*.ndjson*", EXCLUDE, &receiver, super::QUICK_FORWARDER);
    sidecar.write_lines(LOG, 0..5);
    append(&odd(&sidecar, b"\xff.ndjson"), events::lines(5..8));
    append(&odd(&sidecar, b"\xff.ndjson.gz"), events::lines(101..102));
    let (status, said, _) = sidecar.command(&["check", "-c", "config.yaml"]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("match now  2 files\n") && said.contains("logs/\\xff.ndjson\n"), "{said}");
    sidecar.start_again();
    receiver.wait_for_lines(8);
    append(&odd(&sidecar, b"\xff.ndjson"), events::lines(8..9));
    receiver.wait_for_lines(9);
    sidecar.restart();
    append(&odd(&sidecar, b"\xff.ndjson"), events::lines(9..10));
    receiver.wait_for_lines(10);
    sidecar.wait_for_books();
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    assert_eq!(sorted(&receiver.accepted_lines()), (0..10).collect::<Vec<_>>());
}

// F3
#[test]
fn links_to_directories_above_end_and_each_event_arrives_once() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/**/*.ndjson", &receiver);
    sidecar.write_lines("logs/app/deep/audit.ndjson", 0..5);
    for link in ["logs/up", "logs/app/up", "logs/app/deep/up"] {
        symlink(sidecar.path("logs"), sidecar.path(link)).unwrap();
    }
    symlink("circle", sidecar.path("logs/circle")).unwrap();
    let (status, said, _) = sidecar.command(&["check", "-c", "config.yaml"]);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("match now  1 file\n") && !said.contains("not seen"), "{said}");
    sidecar.start_again();
    receiver.wait_for_lines(5);
    sidecar.write_lines("logs/app/audit.ndjson", 5..7);
    assert_exactly(&mut sidecar, &receiver, 0..7);
    assert!(!sidecar.stderr().contains("two paths name one file"), "{}", sidecar.stderr());
}

// F14: the directory may be entered and not be listed.
#[test]
fn a_directory_that_may_not_be_listed_hides_no_file_that_is_named() {
    let receiver = Receiver::start();
    let sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..5);
    let test = "a_directory_that_may_not_be_listed_hides_no_file_that_is_named";
    let Some(mut sidecar) = sidecar.without_root(test) else { return };
    fs::set_permissions(sidecar.path("logs"), Permissions::from_mode(0o311)).unwrap();
    sidecar.start_again();
    receiver.wait_for_lines(5);
    sidecar.write_lines(LOG, 5..6);
    assert_exactly(&mut sidecar, &receiver, 0..6);
    fs::set_permissions(sidecar.path("logs"), Permissions::from_mode(0o755)).unwrap();
    assert!(!sidecar.stderr().contains("cannot list"), "{}", sidecar.stderr());
}
