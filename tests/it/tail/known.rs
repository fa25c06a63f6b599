//! Content that is known: programs that replace, copy or shorten their files.

use std::{fs, io::Write, process::Command, time::Duration};

use super::{
    QUICK_FORWARDER, assert_each_batch_once, assert_exactly,
    logrotate::{LOG, logrotate},
    on_disk, sorted, tailing, tailing_with,
};
use crate::{
    events,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tools::{has, is_root, skipped, wait_until, works},
};

/// Writes the file anew and renames it over the old one.
fn replace(sidecar: &Sidecar, range: std::ops::Range<u64>) {
    fs::write(sidecar.path("logs/new"), events::lines(range)).unwrap();
    sidecar.rename("logs/new", LOG);
}

/// Says that a program is not here.
fn lacks(program: &str, test: &str) -> bool {
    let lacks = !has(program);
    if lacks {
        skipped(test, &format!("{program} is not in PATH"));
    }
    lacks
}

#[test]
fn a_file_that_is_renamed_over_itself_for_each_line_is_delivered_once() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..5);
    sidecar.start_again();
    for n in 5..35 {
        replace(&sidecar, 0..n + 1);
        if n % 10 == 0 {
            receiver.wait_for_lines(n as usize + 1);
        }
    }
    receiver.wait_for_lines(35);
    sidecar.kill();
    replace(&sidecar, 0..36);
    sidecar.start_again();
    assert_each_batch_once(&mut sidecar, &receiver, 0..36);
    assert!(!sidecar.stderr().contains("a gap is recorded"), "{}", sidecar.stderr());
}

#[test]
fn sed_in_place_resends_nothing_and_its_late_writer_is_heard() {
    let test = "sed_in_place_resends_nothing_and_its_late_writer_is_heard";
    if lacks("sed", test) {
        return;
    }
    for stopped in [false, true] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(LOG, &receiver);
        sidecar.write_lines(LOG, 0..50);
        let mut late = fs::OpenOptions::new().append(true).open(sidecar.path(LOG)).unwrap();
        sidecar.start_again();
        receiver.wait_for_lines(50);
        if stopped {
            assert_eq!(sidecar.stop(), 0);
        }
        let line = events::event(50).replace('\\', "\\\\").replace('&', "\\&");
        assert!(works(&["sed", "-i", &format!("$a\\{line}"), &sidecar.path(LOG).display().to_string()]));
        if stopped {
            sidecar.start_again();
        }
        receiver.wait_for_lines(51);
        sidecar.write_lines(LOG, 51..52);
        receiver.wait_for_lines(52);
        if !stopped {
            // The descriptor that was open before writes to a file without a name.
            late.write_all(events::lines(52..53).as_bytes()).unwrap();
            receiver.wait_for_lines(53);
        }
        assert_exactly(&mut sidecar, &receiver, 0..if stopped { 52 } else { 53 });
    }
}

#[test]
fn rsync_of_a_file_that_grew_resends_nothing() {
    let test = "rsync_of_a_file_that_grew_resends_nothing";
    if lacks("rsync", test) {
        return;
    }
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..50);
    sidecar.write_lines("source", 0..50);
    sidecar.start_again();
    for n in 50..60 {
        sidecar.write_lines("source", n..n + 1);
        let (from, to) = (sidecar.path("source"), sidecar.path(LOG));
        assert!(works(&["rsync", "--ignore-times", &from.display().to_string(), &to.display().to_string()]));
        receiver.wait_for_lines(n as usize + 1);
    }
    assert_exactly(&mut sidecar, &receiver, 0..60);
}

#[test]
fn what_logrotate_copies_is_delivered_once() {
    let test = "what_logrotate_copies_is_delivered_once";
    if lacks("logrotate", test) {
        return;
    }
    for options in [" copy", " renamecopy\n create"] {
        for (include, stops) in [(LOG, false), ("logs/audit.ndjson*", false), ("logs/audit.ndjson*", true)] {
            let receiver = Receiver::start();
            let mut sidecar = tailing(include, &receiver);
            sidecar.write_lines(LOG, 0..50);
            sidecar.start_again();
            for n in (50..250).step_by(50) {
                receiver.wait_for_lines(n as usize);
                if stops {
                    assert_eq!(sidecar.stop(), 0);
                }
                logrotate(&sidecar, options);
                if stops {
                    sidecar.start_again();
                }
                // So that copies are at rest for `sealAfter`.
                std::thread::sleep(Duration::from_millis(500));
                sidecar.write_lines(LOG, n..n + 50);
            }
            receiver.wait_for_lines(250);
            // What comes to a copy later is no copy.
            if include != LOG {
                std::thread::sleep(Duration::from_millis(500));
                sidecar.write_lines(&format!("{LOG}.1"), 250..251);
                receiver.wait_for_lines(251);
            }
            sidecar.wait_for_books();
            assert_eq!(sidecar.stop(), 0);
            let expected: Vec<u64> = (0..if include == LOG { 250 } else { 251 }).collect();
            assert_eq!(
                sorted(&receiver.accepted_lines()),
                expected,
                "{options} {include} {stops}\n{}",
                sidecar.stderr()
            );
        }
    }
}

#[test]
fn logrotate_renamecopy_under_a_dead_receiver_and_a_kill_loses_and_repeats_nothing() {
    let test = "logrotate_renamecopy_under_a_dead_receiver_and_a_kill_loses_and_repeats_nothing";
    if lacks("logrotate", test) {
        return;
    }
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let mut sidecar = tailing("logs/audit.ndjson*", &receiver);
    sidecar.write_lines(LOG, 0..50);
    sidecar.start_again();
    receiver.wait_for_requests(1);
    logrotate(&sidecar, " renamecopy\n create");
    sidecar.write_lines(LOG, 50..100);
    sidecar.wait_for_log("audit.ndjson.1");
    std::thread::sleep(Duration::from_millis(600));
    sidecar.kill();
    receiver.always(Reply::status(200));
    sidecar.start_again();
    assert_exactly(&mut sidecar, &receiver, 0..100);
    assert!(!sidecar.stderr().contains("a gap is recorded"), "{}", sidecar.stderr());
}

#[test]
fn a_copy_of_a_file_that_was_last_seen_empty_is_not_sent() {
    for include in [LOG, "logs/audit.ndjson*"] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(include, &receiver);
        sidecar.write_lines(LOG, 0..0);
        sidecar.start_again();
        sidecar.wait_for_log("reading a file");
        sidecar.kill();
        sidecar.write_lines(LOG, 0..50);
        fs::copy(sidecar.path(LOG), sidecar.path(format!("{LOG}.1"))).unwrap();
        sidecar.write_lines(LOG, 50..60);
        sidecar.start_again();
        receiver.wait_for_lines(60);
        sidecar.wait_for_log("the file is a copy of another");
        sidecar.rename(&format!("{LOG}.1"), &format!("{LOG}.2"));
        sidecar.rename(LOG, &format!("{LOG}.1"));
        sidecar.write_lines(LOG, 60..70);
        assert_exactly(&mut sidecar, &receiver, 0..70);
        assert!(!sidecar.stderr().contains("a gap is recorded"), "{}", sidecar.stderr());
    }
}

#[test]
fn a_backup_in_the_glob_is_not_sent_and_a_rotation_after_it_is_exact() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/audit.ndjson*", &receiver);
    sidecar.write_lines(LOG, 0..50);
    sidecar.start_again();
    receiver.wait_for_lines(50);
    fs::copy(sidecar.path(LOG), sidecar.path("logs/audit.ndjson.bak")).unwrap();
    sidecar.wait_for_log("the file is a copy of another");
    sidecar.write_lines(LOG, 50..60);
    sidecar.rename(LOG, &format!("{LOG}.1"));
    sidecar.write_lines(LOG, 60..70);
    receiver.wait_for_lines(70);
    sidecar.kill();
    sidecar.write_lines(LOG, 70..80);
    sidecar.start_again();
    assert_each_batch_once(&mut sidecar, &receiver, 0..80);
}

#[test]
fn a_file_that_keeps_its_newer_half_goes_on_behind_it() {
    for (stopped, in_place) in [(false, false), (true, false), (true, true)] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(LOG, &receiver);
        sidecar.write_lines(LOG, 0..100);
        sidecar.start_again();
        receiver.wait_for_lines(100);
        if stopped {
            assert_eq!(sidecar.stop(), 0);
        }
        if in_place {
            fs::write(sidecar.path(LOG), events::lines(50..110)).unwrap();
        } else {
            replace(&sidecar, 50..110);
        }
        if stopped {
            sidecar.start_again();
        }
        receiver.wait_for_lines(110);
        sidecar.write_lines(LOG, 110..120);
        assert_exactly(&mut sidecar, &receiver, 0..120);
        assert!(!sidecar.stderr().contains("a gap is recorded"), "{}", sidecar.stderr());
    }
}

#[test]
fn a_newer_half_of_what_start_at_end_passed_over_is_not_sent() {
    for killed in [false, true] {
        let receiver = Receiver::start();
        let mut sidecar = tailing_with(LOG, "startAt: end", &receiver, QUICK_FORWARDER);
        sidecar.write_lines(LOG, 0..100);
        sidecar.start_again();
        // Then it has written down what it met.
        wait_until("the catalog", || sidecar.path("state/sources/app/catalog").exists());
        if killed {
            sidecar.kill();
        }
        replace(&sidecar, 50..110);
        if killed {
            sidecar.start_again();
        }
        receiver.wait_for_lines(10);
        sidecar.write_lines(LOG, 110..120);
        assert_exactly(&mut sidecar, &receiver, 100..120);
        assert!(!sidecar.stderr().contains("a gap is recorded"), "{}", sidecar.stderr());
    }
}

#[test]
fn what_a_dead_receiver_had_not_read_of_an_older_half_is_a_gap_and_the_rest_arrives() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let mut sidecar =
        tailing_with(LOG, "", &receiver, "batch: {maxEvents: 10, maxAge: 20ms}\nretry: {initial: 50ms, max: 100ms}");
    sidecar.write_lines(LOG, 0..100);
    sidecar.start_again();
    receiver.wait_for_requests(1);
    sidecar.kill();
    replace(&sidecar, 50..110);
    receiver.always(Reply::status(200));
    sidecar.start_again();
    sidecar.wait_for_log("a gap is recorded");
    assert_exactly(&mut sidecar, &receiver, 50..110);
    assert_eq!(on_disk(&sidecar, "logs"), (50..110).collect::<Vec<_>>());
}

/// A mounted overlay; it is unmounted in the end.
struct Overlay(std::path::PathBuf);

impl Drop for Overlay {
    fn drop(&mut self) {
        wait_until("the overlay to be let go", || works(&["umount", &self.0.display().to_string()]));
    }
}

#[test]
fn a_file_that_an_overlay_copies_up_is_read_on() {
    let test = "a_file_that_an_overlay_copies_up_is_read_on";
    if !is_root() {
        return skipped(test, "mounting an overlay needs root");
    }
    for stopped in [false, true] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(LOG, &receiver);
        sidecar.write_lines("lower/audit.ndjson", 0..50);
        // The copy-up gives another birth than that of the lower file.
        std::thread::sleep(Duration::from_millis(20));
        for name in ["upper", "work", "logs"] {
            fs::create_dir(sidecar.path(name)).unwrap();
        }
        let [lower, upper, work, logs] =
            ["lower", "upper", "work", "logs"].map(|name| sidecar.path(name).display().to_string());
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        let mount = Command::new("mount").args(["-t", "overlay", "overlay", "-o", &options, &logs]).output();
        if !mount.is_ok_and(|mount| mount.status.success()) {
            return skipped(test, "an overlay cannot be mounted here");
        }
        let _overlay = Overlay(sidecar.path("logs"));
        sidecar.start_again();
        receiver.wait_for_lines(50);
        if stopped {
            sidecar.kill();
        }
        sidecar.write_lines(LOG, 50..60);
        if stopped {
            sidecar.start_again();
        }
        receiver.wait_for_lines(60);
        sidecar.write_lines(LOG, 60..70);
        receiver.wait_for_lines(70);
        std::thread::sleep(Duration::from_millis(500));
        assert_each_batch_once(&mut sidecar, &receiver, 0..70);
    }
}
