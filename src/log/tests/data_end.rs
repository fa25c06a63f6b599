//! Files whose size is not the end of their data: preallocated and mapped ones, and holes.

use std::os::unix::fs::FileExt;

use super::*;

/// Writes lines into room that is taken beforehand, as a mapped writer does it: no size and no time of the file moves.
struct RoomWriter {
    file: File,
    at: u64,
    modified: std::time::SystemTime,
}

impl RoomWriter {
    fn new(t: &Bench, name: &str, room: u64, zeros: bool) -> Self {
        let file = OpenOptions::new().create(true).write(true).truncate(false).open(t.path(name)).unwrap();
        let at = file.metadata().unwrap().len();
        if zeros {
            file.write_all_at(&vec![0; room as usize], at).unwrap();
        } else {
            file.set_len(at + room).unwrap();
        }
        let modified = file.metadata().unwrap().modified().unwrap();
        Self { file, at, modified }
    }

    fn write(&mut self, text: &str) {
        self.write_at(self.at, text);
        self.at += text.len() as u64;
    }

    fn write_at(&self, at: u64, text: &str) {
        self.file.write_all_at(text.as_bytes(), at).unwrap();
        self.file.set_modified(self.modified).unwrap();
    }

    fn close(self) {
        self.file.set_len(self.at).unwrap();
    }
}

#[test]
fn what_fills_room_that_was_taken_beforehand_is_read_and_the_room_never_is() {
    for (zeros, kills) in [(false, false), (true, false), (false, true)] {
        let mut t = all();
        let mut writer = RoomWriter::new(&t, "a.log", 100_000, zeros);
        t.start().scan();
        for n in 0..40 {
            writer.write(&numbers(n..n + 1));
            if kills && n % 3 == 0 {
                t.kill();
                t.start();
            }
            t.scan();
            assert_eq!(t.read(), lines(n..n + 1), "zeros {zeros}, kills {kills}");
            if n == 20 {
                writer.close();
                t.scan();
                t.rename("a.log", "a.log.1");
                writer = RoomWriter::new(&t, "a.log", 100_000, zeros);
            }
        }
        assert_eq!((t.blank_bytes, t.gap_bytes, t.truncations()), (0, 0, 0));
        assert_eq!(t.segments(), 2);
    }
}

#[test]
fn a_half_line_before_room_waits_for_its_end_and_is_not_too_long() {
    let mut t = plain();
    let mut writer = RoomWriter::new(&t, "a.log", 4 * MAX_LINE as u64, false);
    t.start();
    writer.write("line 0\nli");
    assert_eq!(t.scan_and_read(), lines(0..1));
    writer.write("ne 1\n");
    assert_eq!(t.scan_and_read(), lines(1..2));
    assert_eq!((t.too_long.len(), t.blank_bytes), (0, 0));
}

#[test]
fn what_stands_behind_nul_waits_for_what_is_before_it_as_long_as_for_a_seal() {
    let mut t = plain();
    let mut writer = RoomWriter::new(&t, "a.log", 100_000, false);
    t.start();
    writer.write("line 0\n");
    assert_eq!(t.scan_and_read(), lines(0..1));
    writer.write_at(14, "line 2\n");
    assert_eq!(t.scan_and_read(), [""; 0], "somebody may be about to write the line before it");
    writer.write("line 1\n");
    assert_eq!(t.scan_and_read(), lines(1..3));
    writer.write_at(90_000, "line 3\n");
    writer.write_at(95_000, "line 4\n");
    t.scan();
    t.seal_at_once();
    t.kill();
    t.start();
    assert_eq!([t.scan_and_read(), t.scan_and_read()].concat(), lines(3..5));
    let blank = 95_007 - 35;
    assert_eq!((t.blank_bytes, t.gap_bytes), (blank, 0));
}

#[test]
fn a_file_with_room_behind_it_is_sealed_and_released_once_and_late_lines_are_read() {
    let mut t = all();
    t.seal_at_once();
    let mut writer = RoomWriter::new(&t, "a.log", 100_000, false);
    writer.write("line 0\nhalf");
    t.start().scan();
    t.rename("a.log", "a.log.1");
    assert_eq!(t.scan_and_read(), ["line 0", "half"]);
    t.scan();
    for _ in 0..3 {
        assert_eq!(t.scan_and_read(), [""; 0]);
        assert_eq!(t.segments(), 0, "released, and not begun again for the room behind it");
    }
    t.stop();
    t.start();
    assert_eq!(t.scan_and_read(), [""; 0]);
    writer.write("line 1\n");
    assert_eq!([t.scan_and_read(), t.scan_and_read()].concat(), lines(1..2));
}

#[test]
fn start_at_end_begins_where_the_data_ends() {
    let mut t = Bench::starting_at(StartAt::End, |name| name == "a.log");
    let mut writer = RoomWriter::new(&t, "a.log", 100_000, true);
    writer.write("line 0\nline");
    t.start().scan();
    writer.write(" 1\nline 2\n");
    assert_eq!(t.scan_and_read(), lines(1..3));
}

#[test]
fn a_hole_is_passed_without_being_read_and_nothing_waits_for_it() {
    const TIB: u64 = 1 << 40;
    let mut t = all();
    t.append("a.log", "line 0\n").write_at(b"", 0).unwrap();
    let file = OpenOptions::new().write(true).open(t.path("a.log")).unwrap();
    file.write_all_at(b"line 1\n", TIB).unwrap();
    t.append("a.log.1", "before\n");
    let mut read = t.start().scan_and_read();
    read.sort();
    assert_eq!(read, ["before", "line 0", "line 1"]);
    assert_eq!(t.blank_bytes, TIB - 7);
    // With room behind it, met by a process that knows nothing of it.
    file.set_len(2 * TIB).unwrap();
    t.kill();
    t.cursors.clear();
    fs::remove_dir_all(t.dir.path().join("state")).unwrap();
    t.seal_at_once();
    t.start();
    let mut read = [t.scan_and_read(), t.scan_and_read()].concat();
    read.sort();
    assert_eq!(read, ["before", "line 0", "line 1"]);
    assert_eq!(t.blank_bytes, 2 * (TIB - 7));
}

#[test]
fn a_hole_amid_a_line_is_passed_without_being_read() {
    const TIB: u64 = 1 << 40;
    let mut t = all();
    t.append("a.log", "line 0\namid");
    let file = OpenOptions::new().write(true).open(t.path("a.log")).unwrap();
    file.write_all_at(b"rest\nline 1\n", TIB).unwrap();
    assert_eq!(t.start().scan_and_read(), ["line 0", "line 1"]);
    assert_eq!(t.too_long, [TIB + 5 - 7]);
}

#[test]
fn what_had_room_behind_it_is_read_on_in_a_compressed_file_and_is_no_more_there_than_it_was() {
    for read in [2, 5] {
        for mut t in [plain(), all()] {
            let mut writer = RoomWriter::new(&t, "a.log", 700, false);
            writer.write(&numbers(0..5));
            t.start().scan();
            t.rename("a.log", "a.log.1");
            assert_eq!(t.read_at_most(read), lines(0..read as u32));
            t.append("a.log", "line 5\n");
            t.scan();
            t.kill();
            t.compress("a.log.1", "a.log.2.gz");
            t.rename("a.log", "a.log.1");
            t.append("a.log", "");
            t.start();
            assert_eq!([t.scan_and_read(), t.scan_and_read()].concat(), lines(read as u32..6));
            t.seal_at_once();
            t.stop();
            t.start();
            for _ in 0..3 {
                assert_eq!(t.scan_and_read(), [""; 0]);
            }
            t.rename("a.log.2.gz", "a.log.3.gz");
            t.compress("a.log.1", "a.log.2.gz");
            t.append("a.log", "line 6\n");
            for _ in 0..3 {
                t.read();
                t.scan();
            }
            assert_eq!((t.gap_bytes, t.blank_bytes, t.truncations()), (0, 0, 0), "{read}");
        }
    }
}

#[test]
fn what_had_room_behind_it_and_was_finished_is_known_when_it_was_compressed() {
    let mut t = plain();
    t.seal_at_once();
    let mut writer = RoomWriter::new(&t, "a.log", 700, false);
    writer.write(&numbers(0..5));
    t.start().scan();
    t.rename("a.log", "a.log.1");
    assert_eq!(t.scan_and_read(), lines(0..5));
    t.scan();
    t.kill();
    t.compress("a.log.1", "a.log.1.gz");
    t.append("a.log", "line 5\n");
    t.start();
    for _ in 0..3 {
        t.scan();
    }
    assert_eq!((t.read(), t.blank_bytes), (lines(5..6), 0));
}
