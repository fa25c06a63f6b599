//! Files that are cut, with a copy of what they held and without.

use super::*;

#[test]
fn copytruncate_loses_nothing_that_was_copied() {
    for mut t in [plain(), all()] {
        t.append("a.log", &numbers(0..4));
        t.start().scan();
        assert_eq!(t.read_at_most(2), lines(0..2));
        t.append("a.log", &numbers(4..6));
        copytruncate(&t);
        t.append("a.log", &numbers(6..7));
        assert_eq!(t.scan_and_read(), lines(2..7));
        assert_eq!((t.gap_bytes, t.facts().truncations), (0, 1));
        t.append("a.log", &numbers(7..9));
        copytruncate(&t);
        t.append("a.log", &numbers(9..200));
        assert_eq!(t.scan_and_read(), lines(7..200), "the second time it has grown past the old size");
        assert_eq!(t.scan_and_read(), [""; 0]);
    }
}

#[test]
fn copytruncate_while_stopped_loses_nothing_that_was_copied() {
    for mut t in [plain(), all()] {
        t.append("a.log", &numbers(0..4));
        t.start().scan();
        assert_eq!(t.read_at_most(2), lines(0..2));
        t.kill();
        copytruncate(&t);
        t.append("a.log", &numbers(4..50));
        copytruncate(&t);
        t.append("a.log", &numbers(50..90));
        t.start();
        assert_eq!(t.scan_and_read(), lines(2..90));
        assert_eq!(t.gap_bytes, 0);
    }
}

// The bytes of a file that was seen empty cannot tell that it was cut since.
#[test]
fn what_was_copied_since_a_file_was_empty_is_read_before_what_the_file_holds() {
    for (is_killed, rest) in [(false, 1), (true, 1), (false, 0), (true, 0)] {
        for mut t in [plain(), all()] {
            t.append("a.log", "");
            t.start().scan();
            if is_killed {
                t.kill();
            }
            for n in 0..2 {
                t.append("a.log", &numbers(n * 10..n * 10 + 10));
                copytruncate(&t);
            }
            t.append("a.log", &numbers(20..20 + rest));
            if is_killed {
                t.start();
            }
            let mut read = t.scan_and_read();
            t.append("a.log", &numbers(20 + rest..22));
            read.extend(t.scan_and_read());
            assert_eq!(read, lines(0..22));
            assert_eq!((t.gap_bytes, t.facts().truncations), (0, 0));
        }
    }
}

fn copytruncate(t: &Bench) {
    if t.path("a.log.1").exists() {
        t.rename("a.log.1", "a.log.2");
    }
    std::thread::sleep(Duration::from_millis(15)); // File times move in steps of a clock tick.
    fs::copy(t.path("a.log"), t.path("a.log.1")).unwrap();
    truncate(t);
}

pub(super) fn truncate(t: &Bench) {
    OpenOptions::new().write(true).truncate(true).open(t.path("a.log")).unwrap();
}

#[test]
fn a_copy_in_the_making_is_held_back_until_the_truncation() {
    let mut t = all();
    t.append("a.log", &numbers(0..40));
    t.start().scan();
    assert_eq!(t.read_at_most(10), lines(0..10));
    t.append("a.log.1", "");
    t.scan();
    t.append("a.log.1", &numbers(0..20));
    t.scan();
    t.append("a.log.1", &numbers(20..40));
    t.scan();
    t.scan();
    assert_eq!(t.segments(), 1, "the copy is held");
    truncate(&t);
    t.append("a.log", &numbers(40..42));
    assert_eq!(t.scan_and_read(), lines(10..42));
}

#[test]
fn truncation_records_what_was_not_read_as_a_gap() {
    let mut t = plain();
    t.append("a.log", &numbers(0..4));
    t.start().scan();
    assert_eq!(t.read_at_most(1), lines(0..1));
    truncate(&t);
    t.append("a.log", "new\n");
    assert_eq!(t.scan_and_read(), ["new"]);
    assert_eq!(t.gap_bytes, 3 * 7);
    truncate(&t);
    t.append("a.log", &numbers(0..9));
    assert_eq!(t.scan_and_read(), lines(0..9), "grown past the old size inside one scan");
    assert_eq!(t.gap_bytes, 3 * 7, "nothing unread was lost the second time");
}

#[test]
fn a_reader_never_hands_out_the_middle_of_a_rewritten_file() {
    let mut t = plain();
    t.append("a.log", &numbers(0..4));
    t.start().scan();
    assert_eq!(t.read_at_most(2), lines(0..2));
    truncate(&t);
    t.append("a.log", "other text that is much longer than all that stood there before\nsecond\n");
    assert_eq!(t.read(), [""; 0], "the scan has not seen it yet; the reader has");
    assert_eq!(t.scan_and_read(), ["other text that is much longer than all that stood there before", "second"]);
    assert_eq!(t.gap_bytes, 14);
}

#[test]
fn a_reader_is_never_ahead_of_the_scan_so_what_was_cut_unseen_is_missed_by_nobody() {
    let mut t = plain();
    t.append("a.log", &numbers(0..400));
    t.start().scan();
    t.append("a.log", &numbers(400..500));
    assert_eq!(t.read(), lines(0..400));
    let file = OpenOptions::new().write(true).open(t.path("a.log")).unwrap();
    file.set_len(file.metadata().unwrap().len() - 60 * 9).unwrap();
    t.append("a.log", &"another line\n".repeat(100));
    assert_eq!(t.scan_and_read(), [lines(400..440), vec!["another line".to_owned(); 100]].concat());
    assert_eq!((t.gap_bytes, t.facts().truncations), (0, 0));
}

#[test]
fn what_a_busy_writer_adds_between_the_copy_and_the_cut_costs_no_more_than_itself() {
    for (read_before, restart) in [(2, false), (2, true), (5, true), (6, false), (6, true)] {
        for mut t in [plain(), all()] {
            t.append("a.log", &numbers(0..100));
            t.start().scan();
            assert_eq!(t.read_at_most(100), lines(0..100));
            t.append("a.log", &numbers(100..104));
            t.scan();
            std::thread::sleep(Duration::from_millis(15));
            fs::copy(t.path("a.log"), t.path("a.log.1")).unwrap();
            t.append("a.log", &numbers(104..106));
            t.scan();
            assert_eq!(t.read_at_most(read_before), lines(100..100 + read_before as u32));
            truncate(&t);
            t.append("a.log", &numbers(106..108));
            t.scan();
            if restart {
                t.kill();
                t.start();
            }
            let mut expected = lines(100 + read_before as u32..104);
            expected.extend(lines(106..108));
            assert_eq!(t.scan_and_read(), expected, "read {read_before} before, restart {restart}");
            assert_eq!(t.gap_bytes, 9 * (6 - read_before.max(4)) as u64, "no line more than those in no file");
            assert_eq!(t.scan_and_read(), [""; 0]);
        }
    }
}

// A power cut took what the application had not synced. We had read it, and remember more than there is.
#[test]
fn a_file_that_lost_its_tail_while_stopped_is_read_on() {
    for looks in [false, true] {
        let mut t = plain();
        t.append("a.log", &numbers(0..100));
        t.start().scan();
        assert_eq!(t.read(), lines(0..100));
        t.append("a.log", &numbers(100..150));
        assert_eq!(t.scan_and_read(), lines(100..150));
        t.stop();
        let file = OpenOptions::new().write(true).open(t.path("a.log")).unwrap();
        file.set_len(numbers(0..100).len() as u64).unwrap();
        t.start();
        let mut read = Vec::new();
        if looks {
            read = t.scan_and_read();
        }
        t.append("a.log", &numbers(150..160));
        read.extend(t.scan_and_read());
        assert_eq!(read, lines(150..160), "looks: {looks}");
        assert_eq!(t.gap_bytes, 0);
    }
}

// Nor can a few bytes with which every file of its writer begins.
#[test]
fn what_was_copied_since_a_file_had_few_bytes_is_read_before_what_the_file_holds() {
    let begun = ["header\nline", "head", "header\n"];
    for (seen, cuts, is_killed) in
        begun.into_iter().flat_map(|seen| [(seen, 1, false), (seen, 2, false), (seen, 2, true)])
    {
        for mut t in [plain(), all()] {
            t.append("a.log", seen);
            t.start().scan();
            let mut read = t.read();
            if is_killed {
                t.kill();
            }
            t.append("a.log", &format!("header\n{}", numbers(0..9))[seen.len()..]);
            for n in 1..=cuts {
                copytruncate(&t);
                t.append("a.log", &format!("header\n{}", numbers(n * 10..n * 10 + 9)));
            }
            if is_killed {
                t.start();
            }
            read.extend(t.scan_and_read());
            let each = (0..=cuts).map(|n| [vec!["header".to_owned()], lines(n * 10..n * 10 + 9)].concat());
            assert_eq!(
                read,
                each.collect::<Vec<_>>().concat(),
                "{seen:?} was seen, {cuts} cuts, killed: {is_killed}"
            );
            assert_eq!((t.gap_bytes, t.facts().truncations), (0, 1));
        }
    }
}

// While the copy of what a cut file got since is made, nothing of that is read; then the file is cut once more.
#[test]
fn that_a_file_was_cut_is_known_after_a_kill_until_a_life_begins_in_it() {
    for (kills, stops) in [(false, false), (true, false), (false, true)] {
        for mut t in [plain(), all()] {
            t.append("a.log", &numbers(0..40));
            t.start().scan();
            assert_eq!(t.read(), lines(0..40));
            copytruncate(&t);
            t.append("a.log", &numbers(40..80));
            t.rename("a.log.1", "a.log.2");
            std::thread::sleep(Duration::from_millis(15));
            fs::copy(t.path("a.log"), t.path("a.log.1")).unwrap();
            let mut read = t.scan_and_read();
            if kills {
                t.kill();
            } else if stops {
                t.stop();
            }
            truncate(&t);
            t.append("a.log", &numbers(80..120));
            if kills || stops {
                t.start();
            }
            read.extend(t.scan_and_read());
            read.extend(t.scan_and_read());
            assert_eq!(read, lines(40..120), "kills {kills}, stops {stops}");
            assert_eq!(t.gap_bytes, 0);
        }
    }
}

// A clock that was wrong, or a program that gives its file any time.
#[test]
fn what_was_copied_since_the_last_look_is_read_whatever_time_the_file_had() {
    let hour = Duration::from_secs(3600);
    let now = std::time::SystemTime::now();
    for (time, first) in [now + 24 * hour, now - 24 * hour].into_iter().flat_map(|time| [(time, 0), (time, 10)]) {
        for kills in [false, true] {
            for mut t in [plain(), all()] {
                t.append("a.log", &numbers(0..first)).set_modified(time).unwrap();
                t.start().scan();
                assert_eq!(t.read(), lines(0..first));
                if kills {
                    t.kill();
                }
                for n in 0..2 {
                    t.append("a.log", &numbers(first + n * 10..first + n * 10 + 10));
                    copytruncate(&t);
                }
                t.append("a.log", &numbers(first + 20..first + 21));
                if kills {
                    t.start();
                }
                assert_eq!(t.scan_and_read(), lines(first..first + 21), "first {first}, kills {kills}");
                assert_eq!((t.gap_bytes, t.unknown_gaps), (0, 0));
            }
        }
    }
}

#[test]
fn with_start_at_end_no_older_generation_is_read_for_the_time_that_a_file_had() {
    for kills in [false, true] {
        let mut t = Bench::starting_at(StartAt::End, |name| name == "a.log");
        let file = t.append("a.log", &numbers(50..60));
        t.append("a.log.3", &numbers(0..50));
        std::thread::sleep(Duration::from_millis(15)); // File times move in steps of a clock tick.
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        t.start().scan();
        if kills {
            t.kill();
        }
        t.append("a.log", &numbers(60..70));
        copytruncate(&t);
        t.append("a.log", &numbers(70..71));
        if kills {
            t.start();
        }
        assert_eq!(t.scan_and_read(), lines(60..71), "kills {kills}");
    }
}
