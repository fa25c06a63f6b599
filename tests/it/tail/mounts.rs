//! Files on file systems that come, go and change their device; inodes that are given out again; files beyond 2 and 4 GiB.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::{FileExt, MetadataExt},
};

use super::{assert_each_batch_once, assert_exactly, tailing, tailing_with};
use crate::{
    disk::Disk,
    events,
    receiver::Receiver,
    sidecar::Sidecar,
    tools::{skipped, works},
};

const LOG: &str = "logs/audit.ndjson";

fn disk(test: &str, sidecar: &Sidecar, at: &str) -> Option<Disk> {
    Disk::mounted(test, sidecar.path(format!("{at}.image")), sidecar.path(at))
}

fn copy(sidecar: &Sidecar, from: &str, to: &str) {
    assert!(works(&["cp", "-p", &sidecar.path(from).display().to_string(), &sidecar.path(to).display().to_string()]));
}

// B26: unmounted, and mounted again on another loop device.
#[test]
fn a_file_system_that_is_mounted_under_another_device_number_is_read_on() {
    let test = "a_file_system_that_is_mounted_under_another_device_number_is_read_on";
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    let Some(logs) = disk(test, &sidecar, "logs") else { return };
    sidecar.write_lines(LOG, 0..100);
    let before = fs::metadata(sidecar.path(LOG)).unwrap();
    sidecar.start_again();
    receiver.wait_for_lines(100);
    sidecar.kill();
    logs.unmount();
    // It takes the loop device that has become free, unless another test is quicker.
    let _other = disk(test, &sidecar, "other");
    assert!(logs.mount());
    let after = fs::metadata(sidecar.path(LOG)).unwrap();
    assert_eq!(before.ino(), after.ino());
    if before.dev() == after.dev() {
        skipped(test, "the device number stayed the same");
    }
    sidecar.write_lines(LOG, 100..110);
    sidecar.start_again();
    assert_each_batch_once(&mut sidecar, &receiver, 0..110);
}

// B27: copied to another file system that is mounted in its place, and back again.
#[test]
fn a_file_that_moves_to_another_file_system_and_back_is_read_on() {
    let test = "a_file_that_moves_to_another_file_system_and_back_is_read_on";
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..100);
    sidecar.start_again();
    receiver.wait_for_lines(100);
    assert_eq!(sidecar.stop(), 0);
    copy(&sidecar, LOG, "kept");
    let Some(logs) = disk(test, &sidecar, "logs") else { return };
    copy(&sidecar, "kept", LOG);
    sidecar.write_lines(LOG, 100..110);
    sidecar.start_again();
    receiver.wait_for_lines(110);
    assert_eq!(sidecar.stop(), 0);
    copy(&sidecar, LOG, "kept");
    logs.unmount();
    fs::remove_file(sidecar.path(LOG)).unwrap();
    copy(&sidecar, "kept", LOG);
    sidecar.write_lines(LOG, 110..120);
    sidecar.start_again();
    assert_exactly(&mut sidecar, &receiver, 0..120);
}

// B18: two generations take turns with two inodes, as ext4 gives them out again at once.
#[test]
fn generations_that_swap_their_inodes_are_not_mixed_up() {
    let test = "generations_that_swap_their_inodes_are_not_mixed_up";
    for alive in [true, false] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(LOG, &receiver);
        let Some(_logs) = disk(test, &sidecar, "logs") else { return };
        sidecar.write_lines(LOG, 0..50);
        sidecar.start_again();
        receiver.wait_for_lines(50);
        let inode = |sidecar: &Sidecar| fs::metadata(sidecar.path(LOG)).unwrap().ino();
        let mut inodes = vec![inode(&sidecar)];
        for generation in 1..5 {
            if alive {
                sidecar.pause();
            } else {
                sidecar.kill();
            }
            let old = sidecar.path("logs/audit.ndjson.1");
            if old.exists() {
                fs::remove_file(old).unwrap();
            }
            sidecar.rename(LOG, "logs/audit.ndjson.1");
            // Shorter than what stood under its inode, or longer.
            let (from, to) = (generation * 100 - 50, generation * 100 + 50);
            let first = if generation % 2 == 0 { from + 5 } else { to };
            sidecar.write_lines(LOG, from..first);
            inodes.push(inode(&sidecar));
            if alive {
                sidecar.resume();
            } else {
                sidecar.start_again();
            }
            receiver.wait_until("the generation", crate::receiver::PATIENCE, |deliveries| {
                super::without_repeats(deliveries).len() >= first as usize
            });
            sidecar.write_lines(LOG, first..to);
            receiver.wait_until("the rest of it", crate::receiver::PATIENCE, |deliveries| {
                super::without_repeats(deliveries).len() >= to as usize
            });
        }
        if !alive && inodes[1] != inodes[3] {
            skipped(test, "the file system did not give the inodes out again");
        }
        assert_each_batch_once(&mut sidecar, &receiver, 0..450);
    }
}

// A23: lines on both sides of 2^31 and of 2^32.
#[test]
fn offsets_beyond_2_and_4_gib_are_right() {
    for boundary in [1_u64 << 31, 1 << 32] {
        let receiver = Receiver::start();
        let mut sidecar = tailing_with(LOG, "startAt: end", &receiver, super::QUICK_FORWARDER);
        fs::create_dir(sidecar.path("logs")).unwrap();
        let file = OpenOptions::new().create_new(true).write(true).open(sidecar.path(LOG)).unwrap();
        if file.write_all_at(b"\n", boundary - 2001).is_err() {
            return skipped("offsets_beyond_2_and_4_gib_are_right", "no file of that size can be made here");
        }
        sidecar.start_again();
        sidecar.wait_for_log("reading a file");
        sidecar.write_lines(LOG, 0..4);
        receiver.wait_for_lines(4);
        sidecar.write_lines(LOG, 4..12);
        receiver.wait_for_lines(12);
        assert!(fs::metadata(sidecar.path(LOG)).unwrap().len() > boundary);
        sidecar.kill();
        sidecar.write_lines(LOG, 12..20);
        sidecar.start_again();
        assert_each_batch_once(&mut sidecar, &receiver, 0..20);
        let (_, listed, _) = sidecar.command(&["cursors", "list"]);
        let end = fs::metadata(sidecar.path(LOG)).unwrap().len();
        assert!(listed.contains(&format!("settled to {end} ")), "{listed}");
    }
}

// Where births are not kept, a new file under an inode that was another's looks like that one.
#[test]
fn without_birth_times_a_new_file_of_as_many_bytes_under_a_finished_ones_inode_is_read() {
    const TEST: &str = "without_birth_times_a_new_file_of_as_many_bytes_under_a_finished_ones_inode_is_read";
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/*.ndjson", &receiver);
    let [image, at] = ["logs.image", "logs"].map(|name| sidecar.path(name));
    let Some(_logs) = Disk::made_with(&["-I", "128"], TEST, image, at) else { return };
    let first = events::lines(10..20);
    let as_long = |from: &u64| events::lines(*from..from + 10).len() == first.len();
    let from = (30..90).find(as_long).expect("events differ little in length");
    let second = events::lines(from..from + 10);
    sidecar.append("logs/1.ndjson", &first);
    if fs::metadata(sidecar.path("logs/1.ndjson")).unwrap().created().is_ok() {
        return skipped(TEST, "births are kept here");
    }
    sidecar.start_again();
    receiver.wait_for_lines(10);
    sidecar.rename("logs/1.ndjson", "logs/2.ndjson");
    sidecar.write_lines("logs/1.ndjson", 20..21);
    receiver.wait_for_lines(11);
    sidecar.wait_for_books();
    sidecar.wait_for_metrics("the first to be finished", |metrics| {
        metrics.get("auditpost_files_open", &[("source", "app")]) == Some(1.0)
    });
    // It is stopped, so that no scan sees that the file is gone.
    sidecar.pause();
    let path = sidecar.path("logs/2.ndjson");
    let inode = fs::metadata(&path).unwrap().ino();
    let again = (0..100).any(|_| {
        fs::remove_file(&path).unwrap();
        fs::write(&path, &second).unwrap();
        fs::metadata(&path).unwrap().ino() == inode
    });
    sidecar.resume();
    if !again {
        return skipped(TEST, "the inode is not given out again");
    }
    assert_exactly(&mut sidecar, &receiver, (10..21).chain(from..from + 10));
}
