//! The state directory: whose it is, and what if it is not there.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
};

use crate::{
    events::numbers,
    receiver::{PATIENCE, Receiver, Reply},
    sidecar::Sidecar,
    tail::{QUICK_FORWARDER, QUICK_SOURCE, assert_each_batch_once, assert_exactly, tailing, without_repeats},
    tools::{can_mount, is_root, wait_until},
};

const LOG: &str = "logs/audit.ndjson";

// C26
#[test]
fn a_second_instance_names_the_first_and_leaves_it_alone() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..5);
    sidecar.start_again();
    receiver.wait_for_lines(5);
    let config = sidecar.config_path().display().to_string();
    let (status, _, stderr) = sidecar.command(&["run", "-c", &config]);
    assert_eq!(status, 75, "{stderr}");
    assert!(stderr.contains(&format!("process {}", sidecar.pid())) && stderr.contains("state/lock"), "{stderr}");
    sidecar.write_lines(LOG, 5..8);
    assert_exactly(&mut sidecar, &receiver, 0..8);
}

// C27
#[test]
fn what_a_killed_instance_left_is_in_nobodys_way() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..5);
    sidecar.start_again();
    receiver.wait_for_lines(5);
    sidecar.kill();
    assert!(sidecar.path("state/lock").exists());
    sidecar.start_again();
    sidecar.write_lines(LOG, 5..8);
    assert_each_batch_once(&mut sidecar, &receiver, 0..8);
}

// C10: a first start makes it, for its owner alone.
#[test]
fn only_its_owner_can_look_into_it() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..2);
    sidecar.append(LOG, "not json\n");
    sidecar.start_again();
    receiver.wait_for_lines(2);
    sidecar.stop_drained();
    let mut seen = 0;
    let mut open = vec![sidecar.path("state")];
    while let Some(path) = open.pop() {
        let metadata = fs::metadata(&path).unwrap();
        let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.mode() & 0o777, wanted, "{}", path.display());
        seen += 1;
        if metadata.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    assert!(seen >= 10, "lock, catalog, journal, dead letters and their directories");
}

/// Starts it and expects it to end with 73 and these words, with nothing sent.
fn refused(sidecar: &mut Sidecar, receiver: &Receiver, words: &str) {
    let before = sidecar.stderr().len();
    sidecar.start_again();
    assert_eq!(sidecar.wait(), 73, "{}", sidecar.stderr());
    let said = sidecar.stderr()[before..].to_owned();
    assert!(said.contains(words) && said.contains("what needs it is not started"), "{said}");
    assert!(receiver.deliveries().is_empty());
}

// C25
#[test]
fn a_state_directory_that_others_could_change_is_refused() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..2);

    fs::create_dir(sidecar.path("elsewhere")).unwrap();
    symlink(sidecar.path("elsewhere"), sidecar.path("state")).unwrap();
    refused(&mut sidecar, &receiver, "is a symbolic link");
    fs::remove_file(sidecar.path("state")).unwrap();

    fs::create_dir(sidecar.path("state")).unwrap();
    fs::set_permissions(sidecar.path("state"), Permissions::from_mode(0o777)).unwrap();
    refused(&mut sidecar, &receiver, "has mode 0777");
    fs::set_permissions(sidecar.path("state"), Permissions::from_mode(0o700)).unwrap();

    if is_root() {
        std::os::unix::fs::chown(sidecar.path("state"), Some(65534), None).unwrap();
        refused(&mut sidecar, &receiver, "belongs to user 65534");
        std::os::unix::fs::chown(sidecar.path("state"), Some(0), None).unwrap();
    }

    fs::create_dir(sidecar.path("state/forwarders")).unwrap();
    fs::set_permissions(sidecar.path("state/forwarders"), Permissions::from_mode(0o770)).unwrap();
    refused(&mut sidecar, &receiver, "state/forwarders has mode 0770");
    fs::remove_dir_all(sidecar.path("state")).unwrap();

    fs::write(sidecar.path("state"), "a file").unwrap();
    refused(&mut sidecar, &receiver, "is not a directory");
    fs::remove_file(sidecar.path("state")).unwrap();

    // What holds the place of the parent is a file: root cannot create anything there either.
    fs::write(sidecar.path("file"), "").unwrap();
    let yaml = sidecar.yaml().replace("/state\"", "/file/state\"");
    sidecar.set_config(&yaml);
    sidecar.start_again();
    assert_eq!(sidecar.wait(), 73, "{}", sidecar.stderr());
    assert!(sidecar.stderr().contains("cannot create"), "{}", sidecar.stderr());
    assert!(receiver.deliveries().is_empty());
}

// C22: read-only at the start.
#[test]
fn a_state_directory_that_is_read_only_stops_the_start() {
    if !can_mount("a_state_directory_that_is_read_only_stops_the_start") {
        return;
    }
    let receiver = Receiver::start();
    let sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..2);
    fs::create_dir(sidecar.path("state")).unwrap();
    fs::set_permissions(sidecar.path("state"), Permissions::from_mode(0o700)).unwrap();
    let mount = "mount -t tmpfs -o ro,mode=0700 tmpfs {dir}/state && exec \"$@\"";
    let mut sidecar = sidecar.through(&["unshare", "-m", "sh", "-c", mount, "sh"]);
    sidecar.start_again();
    assert_eq!(sidecar.wait(), 73, "{}", sidecar.stderr());
    assert!(sidecar.stderr().contains("Read-only file system"), "{}", sidecar.stderr());
    assert!(receiver.deliveries().is_empty());
}

/// Removes it, however fast it is made again.
fn remove_state(sidecar: &Sidecar) {
    let journal = sidecar.path("state/forwarders/siem/journal");
    let inode = |path: &std::path::Path| fs::metadata(path).map(|metadata| metadata.ino()).ok();
    let before = inode(&journal);
    wait_until("it to be removed", || {
        let removed = fs::remove_dir_all(sidecar.path("state")).is_ok();
        removed || inode(&journal) != before
    });
}

// C24: removed under us: delivery goes on, it is made again, and what was delivered stays delivered.
#[test]
fn a_state_directory_removed_under_us_is_made_again() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..50);
    sidecar.append(LOG, "not json\n");
    sidecar.start_again();
    receiver.wait_for_lines(50);
    sidecar.wait_for_metrics("a dead letter", |metrics| metrics.events("siem", "dead_lettered") == 1);
    remove_state(&sidecar);
    sidecar.write_lines(LOG, 50..60);
    sidecar.append(LOG, "not json either\n");
    sidecar.write_lines("logs/new", 0..1);
    receiver.wait_for_lines(60);
    wait_until("a journal again", || sidecar.path("state/forwarders/siem/journal").exists());
    sidecar.write_lines(LOG, 60..61);
    assert_exactly(&mut sidecar, &receiver, 0..61);
    // Of what is removed while it is written to, something may stay.
    let letters = sidecar.dead_letters("siem");
    assert!(
        letters.iter().any(|letter| letter["payload"] == "not json either"),
        "what was written since: {letters:?}"
    );
    receiver.clear();
    sidecar.start_again();
    sidecar.write_lines(LOG, 61..63);
    receiver.wait_until("what is new", PATIENCE, |deliveries| !without_repeats(deliveries).is_empty());
    assert_eq!(sidecar.stop(), 0);
    let arrived = numbers(&receiver.accepted_lines());
    assert_eq!(arrived, [61, 62], "{}", sidecar.stderr());
}

// C24 with the catalog written after it: a rotation while there is no directory.
#[test]
fn a_rotation_after_the_state_directory_was_removed_is_read_and_remembered() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let mut sidecar = Sidecar::new().top("drainTimeout: 5s").file_source_with("app", LOG, QUICK_SOURCE).forwarder(
        "siem",
        &receiver.url(),
        QUICK_FORWARDER,
    );
    sidecar.write_lines(LOG, 0..50);
    sidecar.start_again();
    receiver.wait_for_requests(1);
    remove_state(&sidecar);
    sidecar.rename(LOG, "logs/audit.ndjson.1");
    sidecar.write_lines(LOG, 50..60);
    wait_until("a catalog again", || sidecar.path("state/sources/app/catalog").exists());
    receiver.always(Reply::status(200));
    assert_exactly(&mut sidecar, &receiver, 0..60);
}
