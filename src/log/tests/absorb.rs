//! Deleted files whose unread rest is taken into the state directory, scan by scan.

use std::os::unix::fs::MetadataExt;

use super::{super::Unread, *};
use crate::log::{SegmentRange, Span};

impl Bench {
    /// What is deleted is at rest, and is taken in, as soon as two scans did not find it.
    fn absorb_at_once(&mut self) {
        self.seal_at_once();
        self.source.hold_deleted = Duration::ZERO;
    }

    fn absorbed(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.path().join("state").join("absorbed"));
        entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }

    fn delete(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    fn scans(&mut self, times: usize) {
        (0..times).for_each(|_| self.scan());
    }

    /// Descriptors of deleted files that somebody holds: the log's segments, and no reader in this test.
    fn held(&self) -> usize {
        let segments = self.log.as_ref().unwrap().segments();
        let deleted = |segment: &std::sync::Arc<crate::log::Segment>| {
            segment.is_pinned() && segment.open().unwrap().metadata().unwrap().nlink() == 0
        };
        segments.iter().filter(|segment| deleted(segment)).count()
    }

    fn again(&mut self, range: SegmentRange) -> Result<Vec<String>, Unread> {
        let mut read = Vec::new();
        self.reader.as_mut().unwrap().read_again(&Span(vec![range]), &mut |item| {
            if let ItemKind::Line(bytes) = item.kind {
                read.push(String::from_utf8_lossy(bytes).into_owned());
            }
        })?;
        Ok(read)
    }
}

#[test]
fn the_unread_rest_of_a_deleted_file_is_kept_at_its_offsets_over_a_kill() {
    let mut t = plain();
    t.absorb_at_once();
    t.append("a.log", &(numbers(0..20_000) + "no end"));
    t.start().scan();
    let mut read = t.read_at_most(10_000);
    t.delete("a.log");
    t.scans(3);
    assert_eq!((t.absorbed().len(), t.held(), t.facts().files_open), (1, 0, 0));
    let before = t.cursors[&SegmentId(1)].offset;
    let copy = fs::metadata(&t.absorbed()[0]).unwrap();
    assert_eq!(copy.len(), (numbers(0..20_000).len() + 6) as u64);
    assert!(copy.blocks() * 512 < copy.len() * 3 / 4, "what was read is a hole");
    read.extend(t.read_at_most(1000));
    t.kill();
    t.start().scan();
    // A batch that was on its way is read again, byte for byte.
    let end = before + 100 * "line 10000\n".len() as u64;
    assert_eq!(t.again(SegmentRange { segment: SegmentId(1), start: before, end }).unwrap(), lines(10_000..10_100));
    read.extend(t.read());
    assert_eq!(read.pop().unwrap(), "no end", "it was at rest before and after");
    assert_eq!(read, lines(0..20_000));
    assert_eq!(t.gap_bytes + t.blank_bytes, 0);
    t.scans(2);
    assert_eq!((t.absorbed(), t.segments()), (vec![], 0), "it goes with its segment");
    t.kill();
    t.append("a.log", &numbers(0..5));
    t.start();
    assert_eq!(t.scan_and_read(), lines(0..5), "another file under that name is read");
}

#[test]
fn a_deleted_file_is_held_while_it_may_be_written_to_and_for_as_long_as_was_said() {
    for seal_at_once in [true, false] {
        let mut t = plain();
        if seal_at_once {
            t.seal_at_once();
        } else {
            t.source.hold_deleted = Duration::ZERO;
        }
        let mut writer = t.append("a.log", &numbers(0..10));
        t.start().scan();
        assert_eq!(t.read_at_most(5), lines(0..5));
        t.delete("a.log");
        t.scans(4);
        assert_eq!((t.absorbed().len(), t.held()), (0, 1));
        writer.write_all(b"late\n").unwrap();
        t.scan();
        assert_eq!(t.read().last().unwrap(), "late");
    }
}

#[test]
fn where_descriptors_are_scarce_the_files_that_were_deleted_first_are_taken_in() {
    let mut t = Bench::new(|name| name.starts_with("a.log"));
    t.seal_at_once();
    t.pins = 4; // Fewer than three without need.
    t.start();
    for n in 0..7 {
        let name = format!("a.log.{n}");
        t.append(&name, &numbers(n * 10..n * 10 + 10));
        t.scan();
        t.delete(&name);
        t.scans(3);
    }
    assert_eq!((t.absorbed().len(), t.held()), (5, 2));
    let newest = |path: &PathBuf| ["6", "7"].iter().any(|id| path.to_string_lossy().ends_with(&format!("0000{id}")));
    assert!(!t.absorbed().iter().any(newest));
    let mut read = t.read();
    read.sort_by_key(|line| line[5..].parse::<u32>().unwrap());
    assert_eq!(read, lines(0..70));
}

#[test]
fn a_stop_takes_in_what_only_its_descriptors_hold() {
    let mut t = plain();
    t.append("a.log", &numbers(0..10));
    t.start().scan();
    assert_eq!(t.read_at_most(3), lines(0..3));
    t.delete("a.log");
    t.scan();
    assert!(t.tail.as_ref().unwrap().is_in_doubt(), "one scan concludes nothing");
    t.scan();
    assert!(!t.tail.as_ref().unwrap().is_in_doubt());
    t.append("a.log", &numbers(10..20));
    t.scan();
    t.stop();
    assert_eq!(t.absorbed().len(), 1);
    t.start();
    assert_eq!(t.scan_and_read(), lines(3..20));
    assert_eq!(t.gap_bytes + t.blank_bytes, 0);
}

#[test]
fn what_was_written_while_it_was_copied_is_in_the_copy() {
    let mut t = plain();
    t.absorb_at_once();
    let line = format!("{}\n", "x".repeat(99_999));
    let mut writer = t.append("a.log", &line.repeat(400));
    t.start().scan();
    fs::hard_link(t.path("a.log"), t.dir.path().join("away")).unwrap(); // Whether it has writers cannot be asked.
    t.delete("a.log");
    t.scan();
    t.scan();
    assert_eq!((t.absorbed().len(), t.facts().files_open), (1, 1), "the first part of it is copied");
    writer.write_all(b"late\n").unwrap();
    for _ in 0..100 {
        t.scan();
        if t.segments() == 2 {
            break;
        }
    }
    assert_eq!((t.absorbed().len(), t.segments()), (1, 2), "and what comes still is a segment of its own");
    let read = t.read();
    assert_eq!((read.len(), &*read[400]), (401, "late"));
}

#[test]
fn a_copy_that_a_crash_left_is_removed_and_the_rest_is_a_gap() {
    let mut t = plain();
    t.append("a.log", &numbers(0..10));
    t.start().scan();
    assert_eq!(t.read_at_most(5), lines(0..5));
    t.delete("a.log");
    t.kill();
    let left = t.dir.path().join("state").join("absorbed");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("00000000000000000001"), numbers(0..7)).unwrap();
    t.start();
    assert_eq!(t.scan_and_read(), [""; 0]);
    assert_eq!((t.absorbed().len(), t.gap_bytes), (0, numbers(5..10).len() as u64));
}

#[test]
fn what_cannot_be_copied_stays_held_and_is_told() {
    let mut t = plain();
    t.absorb_at_once();
    t.append("a.log", &numbers(0..10));
    t.start().scan();
    let place = t.dir.path().join("state").join("absorbed");
    fs::write(&place, "in the way").unwrap();
    t.delete("a.log");
    t.scans(5);
    assert_eq!(t.held(), 1);
    assert!(t.tail.as_ref().unwrap().unread().unwrap().contains("a.log stays open"));
    assert_eq!(t.read_at_most(4), lines(0..4), "it is read on meanwhile");
    fs::remove_file(&place).unwrap();
    t.stop();
    t.start();
    assert_eq!(t.scan_and_read(), lines(4..10));
    assert_eq!(t.tail.as_ref().unwrap().unread(), None);
}

#[test]
fn the_descriptor_is_held_until_the_catalog_knows_the_copy() {
    let mut t = plain();
    t.absorb_at_once();
    t.append("a.log", &numbers(0..10));
    t.start().scan();
    let in_the_way = t.dir.path().join("state").join("catalog.tmp");
    fs::create_dir(&in_the_way).unwrap();
    t.delete("a.log");
    t.scans(4);
    assert_eq!((t.absorbed().len(), t.held()), (1, 1));
    assert_eq!(t.read_at_most(4), lines(0..4));
    fs::remove_dir(&in_the_way).unwrap();
    t.scan();
    assert_eq!(t.held(), 0);
    t.kill();
    t.start();
    assert_eq!(t.scan_and_read(), lines(4..10));
}

#[test]
fn who_stands_before_what_was_kept_is_told_of_a_gap_and_who_comes_later_begins_behind_it() {
    for comes_later in [false, true] {
        let mut t = plain();
        t.absorb_at_once();
        t.append("a.log", &numbers(0..20_000));
        t.start().scan();
        assert_eq!(t.read_at_most(10_000).len(), 10_000);
        let from = t.cursors[&SegmentId(1)].offset;
        t.delete("a.log");
        t.scans(3);
        assert_eq!(t.absorbed().len(), 1);
        t.kill();
        if comes_later {
            t.cursors.clear();
        } else {
            t.cursors.insert(SegmentId(1), Cursor { offset: 7, anchor: None });
        }
        t.start().scan();
        let before = t.again(SegmentRange { segment: SegmentId(1), start: 7, end: 14 });
        assert!(matches!(before, Err(Unread::Gone(_))), "a hole is no line");
        assert_eq!(t.read(), lines(10_000..20_000));
        assert_eq!((t.gap_bytes, t.blank_bytes), (if comes_later { 0 } else { from - 7 }, 0));
    }
}

#[test]
fn what_was_compressed_after_it_was_opened_is_not_read_again_from_there() {
    for mut t in [plain(), all()] {
        t.absorb_at_once();
        t.append("a.log", &numbers(0..100));
        t.start().scan();
        assert_eq!(t.read_at_most(50), lines(0..50));
        t.rename("a.log", "a.log.1");
        t.append("a.log", &numbers(100..101));
        t.scan();
        t.compress("a.log.1", "a.log.2.gz");
        t.scans(3);
        assert_eq!((t.absorbed().len(), t.held()), (1, 0));
        t.kill();
        t.start().scan();
        assert_eq!(t.read(), lines(50..101));
        t.scans(4);
        assert_eq!(t.absorbed().len(), 0);
        for n in 101..103 {
            t.rename("a.log", &format!("a.log.{n}"));
            t.append("a.log", &numbers(n..n + 1));
            assert_eq!(t.scan_and_read(), lines(n..n + 1));
            t.kill();
            t.start();
        }
        assert_eq!(t.gap_bytes, 0);
    }
}

#[test]
fn a_state_directory_that_was_moved_to_another_disk_has_the_copies_still() {
    let mut t = plain();
    t.absorb_at_once();
    t.append("a.log", &numbers(0..10));
    t.start().scan();
    t.delete("a.log");
    t.scans(3);
    t.kill();
    let copy = t.absorbed().remove(0);
    let bytes = fs::read(&copy).unwrap();
    fs::rename(&copy, t.path("elsewhere")).unwrap(); // Keeps the inode, so that the next file has another.
    fs::write(&copy, bytes).unwrap();
    t.start();
    assert_eq!(t.scan_and_read(), lines(0..10));
}
