//! Copies of files that nobody looked at as they were copied.

use super::*;

/// As logrotate's `copy`: generations move up, and the file stays as it is.
fn snapshot(bench: &Bench) {
    for n in (1..5).rev().filter(|n| bench.path(format!("a.log.{n}")).exists()) {
        bench.rename(&format!("a.log.{n}"), &format!("a.log.{}", n + 1));
    }
    std::thread::sleep(Duration::from_millis(15)); // File times move in steps of a clock tick.
    fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
}

fn restart(bench: &mut Bench, kills: bool) {
    if kills {
        bench.kill();
        bench.start();
    }
}

/// Everything that comes, with what waited to be known as a copy.
fn read_to_the_end(bench: &mut Bench) -> Vec<String> {
    let mut read = bench.scan_and_read();
    read.extend(bench.scan_and_read());
    read
}

#[test]
fn a_copy_of_a_file_that_was_last_seen_empty_is_not_delivered() {
    for (kills, seals) in [(false, false), (false, true), (true, false), (true, true)] {
        for mut bench in [plain(), all()] {
            if seals {
                bench.seal_at_once();
            }
            bench.append("a.log", "");
            bench.start().scan();
            bench.append("a.log", &numbers(0..50));
            snapshot(&bench);
            bench.append("a.log", &numbers(50..52));
            snapshot(&bench);
            bench.append("a.log", &numbers(52..53));
            restart(&mut bench, kills);
            assert_eq!(read_to_the_end(&mut bench), lines(0..53), "kills {kills}, seals {seals}");
            snapshot(&bench);
            bench.rename("a.log", "a.log.0");
            bench.append("a.log", &numbers(53..54));
            assert_eq!(read_to_the_end(&mut bench), lines(53..54), "kills {kills}, seals {seals}");
            assert_eq!((bench.gap_bytes, bench.unknown_gaps, bench.truncations()), (0, 0, 0));
        }
    }
}

#[test]
fn a_file_that_was_cut_and_copied_since_is_read_once_and_after_what_was_cut() {
    for (before, kills) in [(0, false), (0, true), (20, false), (20, true)] {
        for mut bench in [plain(), all()] {
            bench.append("a.log", &numbers(0..before));
            bench.start().scan();
            bench.append("a.log", &numbers(before..60));
            snapshot(&bench);
            truncation::truncate(&bench);
            bench.append("a.log", &numbers(60..110));
            snapshot(&bench);
            bench.append("a.log", &numbers(110..112));
            restart(&mut bench, kills);
            assert_eq!(read_to_the_end(&mut bench), lines(0..112), "before {before}, kills {kills}");
            assert_eq!((bench.gap_bytes, bench.unknown_gaps), (0, 0));
        }
    }
}

/// As logrotate's `renamecopy`, up to where the renamed file is removed.
fn renamecopy(bench: &Bench) {
    bench.rename("a.log", "a.log.tmp");
    bench.append("a.log", "");
    copy(bench, "a.log.tmp", "a.log.1");
}

fn copy(bench: &Bench, from: &str, to: &str) {
    fs::copy(bench.path(from), bench.path(to)).unwrap();
}

#[test]
fn a_renamed_file_that_is_removed_after_the_new_one_was_met_is_read_on_in_its_copy() {
    for (n, looks_at_copy) in [(2, false), (2, true), (50, false), (50, true)] {
        for (mut bench, reads) in [(plain(), 1), (plain(), n as usize), (all(), 1)] {
            bench.append("a.log", &numbers(0..n));
            bench.start().scan();
            assert_eq!(bench.read_at_most(reads), lines(0..reads as u32));
            bench.rename("a.log", "a.log.tmp");
            bench.append("a.log", "");
            bench.scan(); // The new one is met, and no path names another file afterwards.
            copy(&bench, "a.log.tmp", "a.log.1");
            if looks_at_copy {
                bench.scan();
            }
            fs::remove_file(bench.path("a.log.tmp")).unwrap();
            bench.scan();
            bench.rename("a.log.1", "a.log.2");
            bench.scan();
            bench.stop();
            bench.start();
            assert_eq!(read_to_the_end(&mut bench), lines(reads as u32..n));
            bench.rename("a.log", "a.log.1");
            bench.append("a.log", &numbers(n..n + 1));
            assert_eq!(read_to_the_end(&mut bench), lines(n..n + 1), "{n}, looks at the copy: {looks_at_copy}");
            assert_eq!((bench.gap_bytes, bench.unknown_gaps), (0, 0));
        }
    }
}

#[test]
fn of_a_file_that_vanished_with_half_a_line_no_bytes_are_told_to_be_lost() {
    for whole in [0, 3] {
        let mut bench = plain();
        bench.append("a.log", &(numbers(0..whole) + "lin"));
        bench.start().scan();
        assert_eq!(bench.read(), lines(0..whole));
        bench.kill();
        bench.append("a.log", "e 3\n");
        renamecopy(&bench);
        fs::remove_file(bench.path("a.log.tmp")).unwrap();
        bench.rename("a.log.1", "a.log.2");
        bench.rename("a.log", "a.log.1");
        bench.append("a.log", &numbers(4..5));
        bench.start();
        assert_eq!(read_to_the_end(&mut bench), lines(3..5));
        // Many files begin with so few bytes: of none is it said that it was this one.
        assert_eq!((bench.gap_bytes, bench.unknown_gaps), (0, u64::from(whole == 0)));
    }
}

#[test]
fn a_file_that_was_cut_is_no_copy_of_what_it_held_because_a_line_begins_alike() {
    let mut bench = plain();
    bench.append("a.log", "lin");
    bench.start().scan();
    bench.append("a.log", &format!("e 0\n{}", numbers(1..10)));
    bench.scan();
    bench.kill();
    bench.append("a.log", &numbers(10..12));
    snapshot(&bench);
    truncation::truncate(&bench);
    bench.append("a.log", &numbers(12..14));
    bench.rename("a.log.1", "a.log.2");
    bench.rename("a.log", "a.log.1");
    // Compressed, the copy is looked at after all that are not.
    let packed = FilePacker::Gzip.pack(&fs::read(bench.path("a.log.2")).unwrap());
    fs::write(bench.path("a.log.2.gz"), packed).unwrap();
    fs::remove_file(bench.path("a.log.2")).unwrap();
    bench.start();
    assert_eq!(read_to_the_end(&mut bench), lines(0..14));
    assert_eq!((bench.gap_bytes, bench.unknown_gaps), (0, 0));
}

#[test]
fn a_file_that_is_met_where_it_is_copied_from_is_read_and_what_is_to_replace_one_is_not() {
    for is_made_first in [false, true] {
        let mut bench = plain();
        bench.append("a.log", &numbers(0..3));
        bench.start().scan();
        bench.rename("a.log", "a.log.1");
        bench.append("a.log", &numbers(3..50));
        bench.rename("a.log.1", "a.log.2");
        bench.rename("a.log", "a.log.tmp");
        if is_made_first {
            bench.append("a.log", "");
        }
        bench.scan();
        bench.append("a.log", "");
        copy(&bench, "a.log.tmp", "a.log.1");
        fs::remove_file(bench.path("a.log.tmp")).unwrap();
        assert_eq!(read_to_the_end(&mut bench), lines(0..50));
        bench.append("a.log", &numbers(50..51));
        assert_eq!(read_to_the_end(&mut bench), lines(50..51));
        assert_eq!((bench.gap_bytes, bench.unknown_gaps), (0, 0));
    }
    // A program that renames a new file over its own is amid the next one.
    let mut bench = plain();
    bench.append("a.log", &numbers(0..50));
    bench.start().scan();
    for n in 51..54 {
        std::thread::sleep(Duration::from_millis(15)); // File times move in steps of a clock tick.
        bench.append("a.log.tmp", &numbers(0..n));
        bench.rename("a.log.tmp", "a.log");
        std::thread::sleep(Duration::from_millis(15));
        bench.append("a.log.tmp", &(numbers(0..n - 1) + "anoth"));
        bench.scan();
        fs::remove_file(bench.path("a.log.tmp")).unwrap();
    }
    assert_eq!(read_to_the_end(&mut bench), lines(0..53));
}

#[test]
fn a_copy_of_a_deleted_file_whose_rest_was_taken_in_is_not_delivered() {
    for reads in [0, 3, 45] {
        let mut bench = all();
        bench.append("a.log", &numbers(0..50));
        bench.start().scan();
        assert_eq!(bench.read_at_most(reads).len(), reads);
        bench.append("a.log", &numbers(50..51));
        copy(&bench, "a.log", "a.log.1");
        bench.append("a.log", &numbers(51..52));
        bench.scan();
        fs::remove_file(bench.path("a.log")).unwrap();
        bench.append("a.log", "");
        bench.scan();
        bench.scan();
        bench.stop();
        bench.start();
        assert_eq!(bench.scan_and_read(), lines(reads as u32..52));
    }
}
