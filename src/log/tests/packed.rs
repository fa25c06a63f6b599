//! Generations that are compressed, scan by scan.

use flate2::{Compression, write::GzEncoder};

use super::*;

pub(super) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

impl Bench {
    /// As gzip does: makes the compressed file, gives it the original's time, removes the original.
    pub(super) fn compress(&self, name: &str, to: &str) {
        self.compress_and_keep(name, to);
        fs::remove_file(self.path(name)).unwrap();
    }

    pub(super) fn compress_and_keep(&self, name: &str, to: &str) {
        let modified = fs::metadata(self.path(name)).unwrap().modified().unwrap();
        fs::write(self.path(to), gzip(&fs::read(self.path(name)).unwrap())).unwrap();
        File::options().write(true).open(self.path(to)).unwrap().set_modified(modified).unwrap();
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(name)).unwrap();
        change(&mut bytes);
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(super) fn restored(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.dir.path().join("state").join("restored"));
        entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }
}

#[test]
fn what_was_compressed_while_it_was_stopped_is_read_on_where_reading_stopped() {
    for mut t in [plain(), all()] {
        t.append("a.log", &numbers(0..1000));
        t.start().scan();
        assert_eq!(t.read_at_most(300), lines(0..300));
        t.kill();
        t.append("a.log", &numbers(1000..1200));
        t.compress("a.log", "a.log.2.gz");
        t.append("a.log", &numbers(1200..1210));
        t.start().scan();
        assert_eq!(t.restored().len(), 1);
        assert_eq!(t.read_at_most(100), lines(300..400));
        // A restart in the middle, a rotation meanwhile: the restored file is the segment's all the same.
        t.kill();
        t.rename("a.log.2.gz", "a.log.3.gz");
        t.seal_at_once();
        t.start().scan();
        assert_eq!(t.read(), lines(400..1210));
        t.scan();
        assert_eq!(t.restored(), [] as [PathBuf; 0], "it goes with its segment");
        // And the compressed file is known: a later rotation does not bring it back.
        t.rename("a.log", "a.log.1");
        t.append("a.log", &numbers(1210..1211));
        assert_eq!(t.scan_and_read(), lines(1210..1211));
        t.kill();
        t.start();
        t.rename("a.log", "a.log.0");
        t.append("a.log", &numbers(1211..1212));
        assert_eq!(t.scan_and_read(), lines(1211..1212));
        assert_eq!(t.gap_bytes + t.blank_bytes, 0);
    }
}

#[test]
fn generations_that_came_and_were_compressed_while_it_was_stopped_are_read_in_order() {
    for mut t in [plain(), all()] {
        t.append("a.log", &numbers(0..10));
        t.start().scan();
        assert_eq!(t.read_at_most(5), lines(0..5));
        t.kill();
        for n in 1..4 {
            t.rename("a.log", "a.log.1");
            t.append("a.log", &numbers(n * 10..n * 10 + 10));
            t.compress("a.log.1", &format!("a.log.{}.gz", 4 - n));
            std::thread::sleep(Duration::from_millis(9)); // File times move in steps of a clock tick.
        }
        t.start();
        assert_eq!(t.scan_and_read(), lines(5..40));
        assert_eq!(t.gap_bytes, 0);
    }
}

#[test]
fn what_is_read_and_then_compressed_is_not_read_again() {
    for mut t in [plain(), all()] {
        t.seal_at_once();
        let mut old = t.append("a.log", &numbers(0..10));
        t.start();
        let mut read = t.scan_and_read();
        for n in 1..6 {
            // The last generation's compression comes after the next one's birth, as logrotate does it.
            t.rename("a.log", "a.log.1");
            t.append("a.log", &numbers(n * 10..n * 10 + 10));
            if n == 3 {
                t.scan();
                t.scan();
                read.extend(t.read());
                old.write_all(b"late\n").unwrap();
            }
            if n % 2 == 0 {
                t.kill();
            }
            t.compress("a.log.1", &format!("a.log.{}.gz", 9 - n));
            if n % 2 == 0 {
                t.start();
            }
            read.extend(t.scan_and_read());
            read.extend(t.scan_and_read());
            old = t.append("a.log", "");
        }
        let at = read.iter().position(|line| line == "late").map(|at| read.remove(at));
        assert!(at.is_some(), "what was added just before the compression");
        assert_eq!(read, lines(0..60));
        assert_eq!(t.gap_bytes, 0);
        assert_eq!(t.restored(), [] as [PathBuf; 0]);
    }
}

#[test]
fn of_a_damaged_file_the_whole_lines_are_delivered_and_the_rest_is_a_gap() {
    let text = numbers(0..20_000);
    for (cut, sum) in [(true, false), (false, true)] {
        let mut t = plain();
        t.append("a.log", &text);
        t.start().scan();
        let mut read = t.read_at_most(10);
        t.kill();
        t.compress("a.log", "a.log.1.gz");
        t.change("a.log.1.gz", |bytes| {
            if cut {
                bytes.truncate(bytes.len() / 2);
            }
            if sum {
                let at = bytes.len() - 6;
                bytes[at] ^= 1;
            }
        });
        t.start().scan();
        assert!(t.tail.as_ref().unwrap().unread().unwrap().contains("could be restored"));
        read.extend(t.read_at_most(10));
        t.kill();
        t.start().scan();
        read.extend(t.read());
        let delivered = read.len() as u32;
        assert_eq!(read, lines(0..delivered), "nothing twice, nothing half");
        assert_eq!(t.gap_bytes, (text.len() - numbers(0..delivered).len()) as u64);
        assert_eq!((t.gap_bytes > 0, delivered > 5_000), (cut, true));
    }
}

#[test]
fn a_compressed_file_with_other_content_is_not_taken_for_the_lost_one() {
    let mut t = plain();
    let banner = format!("{}\n", "banner ".repeat(60));
    t.append("a.log", &(banner.clone() + &numbers(0..100)));
    t.start().scan();
    assert_eq!(t.read_at_most(50).len(), 50);
    t.kill();
    fs::remove_file(t.path("a.log")).unwrap();
    // The same beginning, and long enough.
    fs::write(t.path("a.log.1.gz"), gzip((banner + &numbers(1000..2000)).as_bytes())).unwrap();
    t.start();
    // It is a generation of its own, which nobody had seen.
    let mut other = t.scan_and_read();
    assert_eq!(other.remove(0), "banner ".repeat(60));
    assert_eq!(other, lines(1000..2000));
    assert_eq!(t.gap_bytes, (numbers(49..100)).len() as u64);
}

#[test]
fn the_original_counts_as_long_as_it_is_there() {
    for mut t in [plain(), all()] {
        t.append("a.log", &numbers(0..1000));
        t.start().scan();
        assert_eq!(t.read_at_most(300), lines(0..300));
        t.rename("a.log", "a.log.1");
        t.append("a.log", &numbers(1000..1001));
        t.compress_and_keep("a.log.1", "a.log.1.gz");
        let whole = fs::read(t.path("a.log.1.gz")).unwrap();
        t.change("a.log.1.gz", |bytes| bytes.truncate(bytes.len() / 2));
        assert_eq!(t.scan_and_read(), lines(300..1001));
        t.kill();
        t.start().scan();
        assert_eq!(t.restored(), [] as [PathBuf; 0]);
        fs::write(t.path("a.log.1.gz"), whole).unwrap();
        fs::remove_file(t.path("a.log.1")).unwrap();
        assert_eq!(t.scan_and_read(), [""; 0]);
        assert_eq!(t.scan_and_read(), [""; 0]);
        assert_eq!(t.gap_bytes, 0);
    }
}

#[test]
fn a_copy_that_was_compressed_before_anybody_looked_is_read_on() {
    for mut t in [plain(), all()] {
        t.append("a.log", &numbers(0..1000));
        t.start().scan();
        assert_eq!(t.read_at_most(300), lines(0..300));
        t.append("a.log", &numbers(1000..1100));
        fs::copy(t.path("a.log"), t.path("a.log.1")).unwrap();
        OpenOptions::new().write(true).truncate(true).open(t.path("a.log")).unwrap();
        t.compress("a.log.1", "a.log.1.gz");
        t.append("a.log", &numbers(1100..1110));
        assert_eq!(t.scan_and_read(), lines(300..1110));
        assert_eq!(t.gap_bytes, 0);
    }
}

#[test]
fn a_bomb_is_a_gap_and_is_told() {
    let mut t = plain();
    t.append("a.log", &numbers(0..100));
    t.start().scan();
    assert_eq!(t.read_at_most(50), lines(0..50));
    t.kill();
    let size = fs::metadata(t.path("a.log")).unwrap().len();
    fs::remove_file(t.path("a.log")).unwrap();
    let bomb = [gzip(numbers(0..100).as_bytes()), gzip(&vec![b'a'; 8 << 20]).repeat(10)];
    fs::write(t.path("a.log.1.gz"), bomb.concat()).unwrap();
    t.start().scan();
    assert!(t.tail.as_ref().unwrap().unread().unwrap().contains("1000 times"));
    assert_eq!(t.scan_and_read(), [""; 0]);
    assert_eq!((t.gap_bytes, t.restored().len()), (size - numbers(0..50).len() as u64, 0));
}

#[test]
fn what_a_crash_left_of_a_restoration_is_removed() {
    let mut t = plain();
    t.append("a.log", &numbers(0..10));
    let left = t.dir.path().join("state").join("restored");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("00000000000000000001.tmp"), "half").unwrap();
    fs::write(left.join("00000000000000000009"), "whole, and no catalog knows it").unwrap();
    t.start().scan();
    assert_eq!(t.restored(), [] as [PathBuf; 0]);
    assert_eq!(t.read(), lines(0..10));
}

#[test]
fn a_missed_generation_that_cannot_be_restored_now_is_not_forgotten_over_a_restart() {
    for kills in [true, false] {
        let mut t = plain();
        t.append("a.log", &numbers(0..100));
        t.start().scan();
        assert_eq!(t.read(), lines(0..100));
        // Two rotations between two looks: nobody saw the second file.
        t.rename("a.log", "a.log.3");
        t.append("a.log", &numbers(100..200));
        t.compress("a.log", "a.log.1.gz");
        t.append("a.log", &numbers(200..210));
        let place = t.dir.path().join("state").join("restored");
        fs::write(&place, "in the way").unwrap();
        assert_eq!(t.scan_and_read(), lines(200..210));
        // A younger one is known by then.
        t.rename("a.log.1.gz", "a.log.2.gz");
        t.rename("a.log", "a.log.1");
        t.append("a.log", &numbers(300..310));
        assert_eq!(t.scan_and_read(), lines(300..310));
        if kills {
            t.kill();
        } else {
            t.stop();
        }
        t.start();
        t.scan();
        fs::remove_file(&place).unwrap();
        t.kill();
        t.start();
        assert_eq!([t.scan_and_read(), t.scan_and_read()].concat(), lines(100..200), "kills {kills}");
        assert_eq!((t.gap_bytes, t.unknown_gaps), (0, 0));
    }
}

#[test]
fn what_cannot_be_restored_now_waits_and_is_no_gap() {
    let mut t = plain();
    t.append("a.log", &numbers(0..100));
    t.start().scan();
    assert_eq!(t.read_at_most(50), lines(0..50));
    t.kill();
    t.compress("a.log", "a.log.1.gz");
    t.append("a.log", &numbers(200..300));
    let place = t.dir.path().join("state").join("restored");
    fs::write(&place, "in the way").unwrap();
    t.start();
    assert_eq!(t.scan_and_read(), lines(200..300));
    assert_eq!(t.scan_and_read(), [""; 0]);
    assert!(t.tail.as_ref().unwrap().unread().unwrap().contains("its events wait"));
    t.kill();
    fs::remove_file(&place).unwrap();
    t.start();
    assert_eq!(t.scan_and_read(), lines(50..100));
    assert_eq!(t.gap_bytes, 0);
}
