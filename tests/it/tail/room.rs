//! Files that are larger than what was written to them: mapped and preallocated ones, and holes.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::FileExt,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use super::{assert_exactly, sorted, tailing, without_repeats};
use crate::{
    events,
    receiver::Receiver,
    sidecar::Sidecar,
    tools::{has, skipped},
};

const LOG: &str = "logs/audit.ndjson";

/// Writes the lines of its input through a map of so many bytes at a time, cuts the rest at each rotation, and rotates
/// after so many lines.
const MAPPED_WRITER: &str = r#"
import mmap, os, sys, time
path, region, each = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def begin():
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644), 0, 0, None
def rotate():
    for n in range(20, 0, -1):
        if os.path.exists(f"{path}.{n}"):
            os.rename(f"{path}.{n}", f"{path}.{n + 1}")
    os.rename(path, f"{path}.1")
file, at, end, room = begin()
for n, line in enumerate(sys.stdin.buffer):
    while line:
        if at == end:
            os.ftruncate(file, end + region)
            room = mmap.mmap(file, region, offset=end)
            end += region
        part = line[:end - at]
        place = at - (end - region)
        room[place:place + len(part)] = part
        at, line = at + len(part), line[len(part):]
    if n % 20 == 0:
        time.sleep(0.01)
    if n % each == each - 1:
        room.close()
        os.ftruncate(file, at)
        os.close(file)
        rotate()
        file, at, end, room = begin()
os.ftruncate(file, at)
"#;

#[test]
fn a_mapped_file_is_read_exactly_over_regions_rotations_and_kills() {
    if !has("python3") {
        return skipped("a_mapped_file_is_read_exactly_over_regions_rotations_and_kills", "python3 is not here");
    }
    for (region, kills) in [(1 << 20, false), (1 << 16, true)] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(LOG, &receiver);
        std::fs::create_dir_all(sidecar.path("logs")).unwrap();
        sidecar.start_again();
        let mut writer = Command::new("python3")
            .args(["-c", MAPPED_WRITER])
            .arg(sidecar.path(LOG))
            .args([region.to_string(), "700".to_owned()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = writer.stdin.take().unwrap();
        let feeding = thread::spawn(move || input.write_all(events::lines(0..2000).as_bytes()).unwrap());
        for arrived in [200, 500, 900, 1300] {
            receiver.wait_for_lines(arrived);
            if kills {
                sidecar.kill();
                sidecar.start_again();
            }
        }
        feeding.join().unwrap();
        assert!(writer.wait().unwrap().success());
        if kills {
            receiver.wait_for_lines(2000);
            assert_eq!(sidecar.stop(), 0);
            let mut arrived = sorted(&without_repeats(&receiver.deliveries()));
            arrived.dedup();
            assert_eq!(arrived, (0..2000).collect::<Vec<_>>());
        } else {
            assert_exactly(&mut sidecar, &receiver, 0..2000);
        }
        assert!(sidecar.dead_letters("siem").is_empty());
    }
}

#[test]
fn what_fills_a_file_that_fallocate_made_is_read_as_it_comes() {
    if !has("fallocate") || !has("dd") {
        return skipped("what_fills_a_file_that_fallocate_made_is_read_as_it_comes", "fallocate or dd is not here");
    }
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    std::fs::create_dir_all(sidecar.path("logs")).unwrap();
    let path = sidecar.path(LOG);
    if !Command::new("fallocate").args(["-l", "1M"]).arg(&path).status().unwrap().success() {
        return skipped(
            "what_fills_a_file_that_fallocate_made_is_read_as_it_comes",
            "this file system has no fallocate",
        );
    }
    sidecar.start_again();
    let mut at = 0;
    for n in 0..20 {
        let line = events::lines(n * 3..n * 3 + 3);
        let mut dd = Command::new("dd")
            .arg(format!("of={}", path.display()))
            .args(["conv=notrunc", "oflag=seek_bytes", "status=none"])
            .arg(format!("seek={at}"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        dd.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        assert!(dd.wait().unwrap().success());
        at += line.len();
        receiver.wait_for_lines(n as usize * 3 + 3);
        if n == 10 {
            sidecar.restart();
        }
    }
    sidecar.truncate(LOG, at as u64);
    sidecar.write_lines(LOG, 60..70);
    assert_exactly(&mut sidecar, &receiver, 0..70);
}

/// The file, made with its directory.
fn file(sidecar: &Sidecar, name: &str) -> File {
    std::fs::create_dir_all(sidecar.path("logs")).unwrap();
    OpenOptions::new().create(true).write(true).truncate(false).open(sidecar.path(name)).unwrap()
}

// A writer that was killed leaves its room, and the next one begins behind that.
#[test]
fn what_a_writer_adds_behind_the_room_of_one_that_was_killed_comes_after_a_while() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    let file = file(&sidecar, LOG);
    file.set_len(1 << 20).unwrap();
    file.write_all_at(events::lines(0..10).as_bytes(), 0).unwrap();
    sidecar.start_again();
    receiver.wait_for_lines(10);
    file.set_len(2 << 20).unwrap();
    file.write_all_at(events::lines(10..20).as_bytes(), 1 << 20).unwrap();
    receiver.wait_for_lines(20);
    assert_eq!(sidecar.metrics().events("siem", "gap"), 0);
    assert_exactly(&mut sidecar, &receiver, 0..20);
}

#[test]
fn a_hole_of_a_tebibyte_is_passed_at_once_and_nothing_waits_for_it() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/*.ndjson", &receiver);
    let sparse = file(&sidecar, LOG);
    if let Err(error) = sparse.write_all_at(events::lines(0..10).as_bytes(), 1 << 40) {
        return skipped("a_hole_of_a_tebibyte_is_passed_at_once_and_nothing_waits_for_it", &error.to_string());
    }
    sidecar.write_lines("logs/other.ndjson", 10..20);
    sidecar.start_again();
    receiver.wait_until("both files", Duration::from_secs(20), |deliveries| {
        deliveries.iter().filter(|it| it.accepted()).map(|it| it.line_count()).sum::<usize>() == 20
    });
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(sorted(&receiver.accepted_lines()), (0..20).collect::<Vec<_>>());
}
