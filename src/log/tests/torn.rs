//! A last line that was never whole, and is cut by whoever wrote it.

use super::*;

fn cut(t: &Bench, bytes: u64) {
    let file = OpenOptions::new().write(true).open(t.path("a.log")).unwrap();
    file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
}

/// How the process comes from before the cut to after it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Between {
    Scan,
    Nothing,
    Kill,
    Stop,
}

#[test]
fn a_torn_last_line_that_is_cut_is_forgotten_and_reading_goes_on() {
    use Between::{Kill, Nothing, Scan, Stop};
    for before in [0, 3, 100] {
        for between in [Scan, Nothing, Kill, Stop] {
            for (torn, read) in [("torn", 0), ("torn", 1000), (&*"x".repeat(9000), 1000)] {
                let mut t = plain();
                t.append("a.log", &(numbers(0..before) + torn));
                t.start().scan();
                let mut delivered = t.read_at_most(read.min(before as usize));
                match between {
                    Kill => t.kill(),
                    Stop => t.stop(),
                    Scan | Nothing => {}
                }
                cut(&t, torn.len() as u64);
                if between == Scan {
                    t.scan();
                } else if between != Nothing {
                    t.start();
                }
                // Also where it is as long as it was.
                t.append("a.log", &numbers(before..before + 1));
                t.append("a.log", &format!("{}\n", "y".repeat(torn.len())));
                delivered.extend(t.scan_and_read());
                let expected = [lines(0..before + 1), vec!["y".repeat(torn.len())]].concat();
                assert_eq!(delivered, expected, "{before} lines, {between:?}, {} torn, {read} read", torn.len());
                assert_eq!((t.gap_bytes, t.truncations(), t.segments()), (0, 0, 1), "{before}, {between:?}");
            }
        }
    }
}

#[test]
fn one_that_is_as_long_after_the_cut_as_before_is_read() {
    let mut t = plain();
    t.append("a.log", "line 0\nline x, torn");
    t.start().scan();
    assert_eq!(t.read(), lines(0..1));
    cut(&t, 12);
    t.append("a.log", "line 1\nabcd\n");
    assert_eq!(t.scan_and_read(), ["line 1", "abcd"]);
    assert_eq!(t.truncations(), 0);
}

#[test]
fn of_one_that_is_too_long_nothing_is_remembered_after_the_cut() {
    for regrown in [false, true] {
        let mut t = plain();
        t.append("a.log", &numbers(0..1));
        let torn = MAX_LINE * 2;
        t.append("a.log", &"x".repeat(torn));
        t.start().scan();
        assert_eq!(t.read(), lines(0..1));
        cut(&t, torn as u64);
        if !regrown {
            t.scan();
        }
        t.append("a.log", &numbers(1..200_000));
        assert_eq!(t.scan_and_read(), lines(1..200_000));
        assert_eq!((t.too_long.len(), t.truncations()), (0, 0));
    }
}

#[test]
fn where_a_whole_line_is_cut_with_it_that_is_told() {
    for stopped in [false, true] {
        let mut t = plain();
        t.append("a.log", &(numbers(0..4) + "torn"));
        t.start().scan();
        assert_eq!(t.read_at_most(2), lines(0..2));
        if stopped {
            t.stop();
        }
        cut(&t, 4 + 7);
        if stopped {
            t.start();
        }
        t.scan_and_read();
        assert_eq!((t.truncations(), t.gap_bytes), (1, 18));
    }
}

#[test]
fn one_that_was_sealed_was_read_and_its_cut_is_told() {
    let mut t = all();
    t.seal_at_once();
    t.append("a.log", &(numbers(0..2) + "torn"));
    t.start().scan();
    t.rename("a.log", "a.log.1");
    t.scan();
    assert_eq!(t.read(), ["line 0", "line 1", "torn"]);
    let file = OpenOptions::new().write(true).open(t.path("a.log.1")).unwrap();
    file.set_len(14).unwrap();
    t.scan();
    assert_eq!(t.truncations(), 1);
}
