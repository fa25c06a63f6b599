//! Generations in every compression, with every time, inside and outside of the glob, scan by scan.

use std::time::SystemTime;

use super::*;

/// Whatever a compressor may leave its file.
fn times(original: SystemTime) -> [SystemTime; 3] {
    [original, SystemTime::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)]
}

impl Bench {
    /// Compresses a file, removes it, and gives the compressed one this of the three times.
    fn pack(&self, name: &str, to: &str, packer: FilePacker, time: usize) {
        let original = fs::metadata(self.path(name)).unwrap().modified().unwrap();
        fs::write(self.path(to), packer.pack(&fs::read(self.path(name)).unwrap())).unwrap();
        fs::remove_file(self.path(name)).unwrap();
        File::options().write(true).open(self.path(to)).unwrap().set_modified(times(original)[time]).unwrap();
    }

    fn unread(&self) -> Option<String> {
        self.tail.as_ref().unwrap().unread()
    }
}

fn every_way() -> impl Iterator<Item = (FilePacker, usize, Bench)> {
    let ways = FilePacker::ALL.into_iter().flat_map(|packer| (0..3).map(move |time| (packer, time)));
    ways.flat_map(|(packer, time)| [plain(), all()].map(|bench| (packer, time, bench)))
}

#[test]
fn what_was_compressed_in_any_way_is_read_on_where_reading_stopped() {
    for (packer, time, mut t) in every_way() {
        t.append("a.log", &numbers(0..1000));
        t.start().scan();
        assert_eq!(t.read_at_most(300), lines(0..300));
        t.kill();
        t.append("a.log", &numbers(1000..1200));
        t.pack("a.log", &format!("a.log.2{}", packer.suffix()), packer, time);
        t.append("a.log", &numbers(1200..1210));
        t.start();
        assert_eq!(t.scan_and_read(), lines(300..1210), "{packer:?} {time}");
        assert_eq!((t.gap_bytes, t.unread()), (0, None));
    }
}

#[test]
fn what_came_and_was_compressed_in_any_way_is_read_and_what_was_read_is_not_read_again() {
    for (packer, time, mut t) in every_way() {
        t.seal_at_once();
        t.append("a.log", &numbers(0..100));
        t.start();
        assert_eq!(t.scan_and_read(), lines(0..100));
        // One that was read to its end while it runs, one that nobody saw.
        t.rename("a.log", "a.log.2");
        t.append("a.log", &numbers(100..200));
        t.pack("a.log.2", &format!("a.log.3{}", packer.suffix()), packer, time);
        t.pack("a.log", &format!("a.log.2{}", packer.suffix()), packer, time);
        t.append("a.log", &numbers(200..201));
        assert_eq!(t.scan_and_read(), lines(100..201), "{packer:?} {time}");
        for n in 201..205 {
            // They move up, and nothing comes back.
            if n % 2 == 0 {
                t.kill();
                t.start();
            }
            t.rename("a.log", &format!("a.log.{}", n + 10));
            t.append("a.log", &numbers(n..n + 1));
            assert_eq!(t.scan_and_read(), lines(n..n + 1), "{packer:?} {time}");
        }
        assert_eq!((t.gap_bytes, t.unread()), (0, None));
        assert_eq!(t.restored(), [] as [PathBuf; 0]);
    }
}

#[test]
fn generations_with_the_same_first_lines_are_told_apart_by_what_follows() {
    let banner = format!("{}\n", "banner ".repeat(60));
    for (packer, time, mut t) in every_way() {
        let with_banner = |range| banner.clone() + &numbers(range);
        t.append("a.log", &with_banner(0..100));
        t.start().scan();
        assert_eq!(t.read_at_most(51).len(), 51);
        t.kill();
        t.pack("a.log", &format!("a.log.2{}", packer.suffix()), packer, time);
        std::thread::sleep(Duration::from_millis(9)); // File times move in steps of a clock tick.
        t.append("a.log", &with_banner(100..200));
        t.pack("a.log", &format!("a.log.1{}", packer.suffix()), packer, time);
        t.append("a.log", &with_banner(200..201));
        t.start();
        let mut read = t.scan_and_read();
        read.retain(|line| line.starts_with("line"));
        assert_eq!(read, lines(50..201), "{packer:?} {time}");
        assert_eq!(t.gap_bytes, 0);
    }
}

#[test]
fn a_compressed_file_is_never_read_as_text_whatever_its_name() {
    for packer in FilePacker::ALL {
        let mut t = all();
        t.append("a.log", &numbers(0..10));
        t.start().scan();
        let packed = packer.pack(numbers(500..600).as_bytes());
        fs::write(t.path("a.log.json"), &packed).unwrap();
        fs::write(t.path("a.log.secret.gz"), &packed).unwrap();
        // Its compressor has just begun.
        fs::write(t.path(format!("a.log.old{}", packer.suffix())), &packed[..1]).unwrap();
        fs::write(t.path("a.log.new.gz"), "").unwrap();
        assert_eq!(t.scan_and_read(), lines(0..10), "{packer:?}");
        fs::write(t.path("a.log.new.gz"), &packed).unwrap();
        assert_eq!(t.scan_and_read(), [""; 0], "{packer:?}");
        assert_eq!((t.segments(), t.gap_bytes), (1, 0));
    }
}

#[test]
fn what_has_no_decoder_is_a_gap_and_is_told() {
    for (suffix, bytes) in
        [("Z", &b"\x1F\x9D\x90\x01\x02"[..]), ("zip", b"PK\x03\x04\x14\x00"), ("br", b"\x0B\x02\x80\x00\x03")]
    {
        for mut t in [plain(), all()] {
            let file = t.append("a.log", &numbers(0..100));
            file.set_modified(SystemTime::now() + Duration::from_secs(86_400)).unwrap();
            t.start().scan();
            assert_eq!(t.read_at_most(50), lines(0..50));
            t.kill();
            fs::remove_file(t.path("a.log")).unwrap();
            let packed = format!("a.log.1.{suffix}");
            fs::write(t.path(&packed), bytes).unwrap();
            t.append("a.log", &numbers(100..110));
            t.start();
            assert_eq!(t.scan_and_read(), lines(100..110), "{suffix}");
            assert_eq!(t.gap_bytes, numbers(50..100).len() as u64, "{suffix}");
            assert!(t.unread().unwrap().contains("no decoder"), "{suffix}");
            t.rename(&packed, &format!("a.log.2.{suffix}"));
            t.scan();
            assert!(t.unread().is_some(), "it is there under another name");
            fs::remove_file(t.path(format!("a.log.2.{suffix}"))).unwrap();
            t.scan();
            assert_eq!(t.unread(), None);
        }
    }
}

#[test]
fn a_copy_that_is_whole_comes_before_a_compressed_one_that_is_not() {
    for packer in FilePacker::ALL {
        let mut t = plain();
        t.append("a.log", &numbers(0..50));
        t.start().scan();
        let snapshot = packer.pack(&fs::read(t.path("a.log")).unwrap());
        t.append("a.log", &numbers(50..100));
        t.scan();
        assert_eq!(t.read_at_most(20), lines(0..20));
        t.stop();
        fs::write(t.path(format!("a.log.snapshot{}", packer.suffix())), snapshot).unwrap();
        fs::copy(t.path("a.log"), t.path("a.log.1")).unwrap();
        fs::remove_file(t.path("a.log")).unwrap();
        t.start();
        assert_eq!(t.scan_and_read(), lines(20..100), "{packer:?}");
        assert_eq!((t.gap_bytes, t.restored().len()), (0, 0));
    }
}

#[test]
fn a_generation_that_begins_with_all_the_bytes_of_a_small_file_is_read() {
    let ways = [(false, false), (true, false), (false, true), (true, true)];
    let files = ["begin\n".to_owned(), format!("{}\n", "begin ".repeat(60))];
    for (packer, begin, (kills, packs)) in FilePacker::ALL
        .into_iter()
        .flat_map(|packer| files.iter().flat_map(move |begin| ways.map(|way| (packer, begin, way))))
    {
        for (time, mut t) in [(0, plain()), (1, all()), (2, plain())] {
            t.append("a.log", begin);
            t.start();
            assert_eq!(t.scan_and_read(), [begin.trim_end_matches('\n')]);
            if kills {
                t.kill();
            }
            t.rename("a.log", "a.log.2");
            std::thread::sleep(Duration::from_millis(9)); // File times move in steps of a clock tick.
            t.append("a.log", &format!("{begin}{}", numbers(0..10)));
            if packs {
                t.pack("a.log.2", &format!("a.log.2{}", packer.suffix()), packer, time);
            }
            t.pack("a.log", &format!("a.log.1{}", packer.suffix()), packer, time);
            t.append("a.log", &numbers(10..11));
            if kills {
                t.start();
            }
            let mut read = t.scan_and_read();
            read.extend(t.scan_and_read());
            read.retain(|line| line.starts_with("line"));
            assert_eq!(read, lines(0..11), "{packer:?} {} kills {kills} packs {packs} time {time}", begin.len());
            assert_eq!((t.gap_bytes, t.unknown_gaps), (0, 0));
        }
    }
}

#[test]
fn a_compressed_file_that_is_older_than_a_small_file_is_not_taken_for_it() {
    for packer in FilePacker::ALL {
        for (text, stops) in [("lin", false), ("lin", true), ("line 500\n", false), ("line 500\n", true)] {
            let mut t = Bench::starting_at(StartAt::End, |name| name == "a.log");
            // One that was there before the first start: with `startAt: end` it is never read.
            t.append("a.log.9", &numbers(500..600));
            t.pack("a.log.9", &format!("a.log.9{}", packer.suffix()), packer, 0);
            std::thread::sleep(Duration::from_millis(9)); // File times move in steps of a clock tick.
            t.append("a.log", text);
            t.start().scan();
            if stops {
                t.stop();
            } else {
                t.kill();
            }
            fs::remove_file(t.path("a.log")).unwrap();
            t.append("a.log", &numbers(0..10));
            t.start();
            assert_eq!(t.scan_and_read(), lines(0..10), "{packer:?} {text:?} stops {stops}");
            assert_eq!((t.unknown_gaps, t.restored().len()), (1, 0), "the file that is gone is told of");
        }
    }
}
