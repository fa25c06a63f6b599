//! Rotation and identity, case by case.

use super::*;

#[test]
fn a_line_written_in_two_writes_is_one_line() {
    let mut t = plain();
    t.append("a.log", "li");
    t.start().scan();
    assert_eq!(t.read(), [""; 0]);
    assert_eq!(t.log.as_ref().unwrap().segments()[0].size(), 2);
    t.append("a.log", "ne 1\nli");
    t.scan();
    assert_eq!(t.read(), ["line 1"]);
    t.kill();
    t.append("a.log", "ne 2\n");
    t.start().scan();
    assert_eq!(t.read(), ["line 2"]);
}

#[test]
fn start_at_end_takes_what_comes_later_and_files_that_appear_from_their_beginning() {
    let mut t = Bench::starting_at(StartAt::End, |name| name.ends_with(".log"));
    t.append("a.log", &format!("{}half", numbers(0..3)));
    t.start().scan();
    assert_eq!(t.read(), [""; 0]);
    t.append("a.log", " of a line\nnext\n");
    t.append("b.log", "first of b\n");
    t.scan();
    let mut read = t.read();
    read.sort();
    assert_eq!(read, ["first of b", "half of a line", "next"]);
    t.stop();
    t.append("c.log", "c\n");
    t.start().scan();
    assert_eq!(t.read(), ["c"], "a file that appears while we are stopped is read from its beginning");
}

#[test]
fn a_renamed_file_is_drained_and_its_successor_read() {
    for (mut t, _name) in [(plain(), "path"), (all(), "glob")] {
        let mut old = t.append("a.log", &numbers(0..3));
        t.start().scan();
        assert_eq!(t.read_at_most(1), lines(0..1));
        t.rename("a.log", "a.log.1");
        t.append("a.log", &numbers(5..7));
        old.write_all(numbers(3..5).as_bytes()).unwrap();
        assert_eq!(t.scan_and_read(), lines(1..7), "the older generation first");
        old.write_all(b"late\n").unwrap();
        t.append("a.log", "line 7\n");
        assert_eq!(t.scan_and_read(), ["late", "line 7"]);
        assert_eq!(t.gap_bytes, 0);
    }
}

#[test]
fn three_rotations_between_two_scans_are_read_in_order() {
    for mut t in [plain(), all()] {
        t.append("a.log", &numbers(0..2));
        t.start().scan();
        assert_eq!(t.read(), lines(0..2));
        rotate_three_times(&t);
        assert_eq!(t.scan_and_read(), lines(2..10));
        assert_eq!(t.scan_and_read(), [""; 0]);
    }
}

#[test]
fn three_rotations_while_stopped_are_read_in_order() {
    for mut t in [plain(), all()] {
        t.append("a.log", &numbers(0..2));
        t.start().scan();
        assert_eq!(t.read_at_most(1), lines(0..1));
        t.kill();
        rotate_three_times(&t);
        t.start();
        assert_eq!(t.scan_and_read(), lines(1..10));
        assert_eq!(t.gap_bytes, 0);
    }
}

fn rotate_three_times(t: &Bench) {
    for round in 0..3 {
        t.append("a.log", &numbers(2 + 2 * round..4 + 2 * round));
        for n in (1..3).rev() {
            if t.path(format!("a.log.{n}")).exists() {
                t.rename(&format!("a.log.{n}"), &format!("a.log.{}", n + 1));
            }
        }
        t.rename("a.log", "a.log.1");
    }
    t.append("a.log", &numbers(8..10));
}

#[test]
fn a_deleted_file_is_read_to_its_end_and_then_let_go() {
    let mut t = plain();
    t.append("a.log", &format!("{}no line end", numbers(0..4)));
    t.seal_at_once();
    t.start().scan();
    assert_eq!(t.read_at_most(1), lines(0..1));
    fs::remove_file(t.path("a.log")).unwrap();
    t.scan();
    t.scan();
    assert_eq!(t.read(), ["line 1", "line 2", "line 3", "no line end"]);
    t.scan();
    assert_eq!((t.segments(), t.facts().files_open, t.gap_bytes), (0, 0, 0));
}

#[test]
fn a_file_deleted_while_stopped_is_a_gap_where_it_was_not_read() {
    let mut t = plain();
    t.append("a.log", &numbers(0..4));
    t.start().scan();
    assert_eq!(t.read_at_most(1), lines(0..1));
    t.stop();
    fs::remove_file(t.path("a.log")).unwrap();
    t.start();
    assert_eq!(t.scan_and_read(), [""; 0]);
    assert_eq!(t.scan_and_read(), [""; 0]);
    assert_eq!(t.gap_bytes, 21);
}

#[test]
fn a_file_made_anew_is_read_from_its_beginning_even_under_the_same_inode() {
    let mut t = plain();
    t.append("a.log", &numbers(0..4));
    t.start().scan();
    assert_eq!(t.read(), lines(0..4));
    t.kill();
    for n in 0..20 {
        fs::remove_file(t.path("a.log")).unwrap();
        t.append("a.log", &format!("new {n}\n"));
    }
    t.append("a.log", &numbers(4..200));
    t.start();
    let mut expected = vec!["new 19".to_owned()];
    expected.extend(lines(4..200));
    assert_eq!(t.scan_and_read(), expected);
}

#[test]
fn files_with_the_same_beginning_are_each_read() {
    let mut t = Bench::new(|name| name.ends_with(".log"));
    let banner = format!("{}\n", "=".repeat(2048));
    for name in ["a.log", "b.log", "c.log"] {
        t.append(name, &format!("{banner}{name}\n"));
    }
    t.start().scan();
    assert_eq!(t.read().len(), 6);
    for name in ["a.log", "b.log", "c.log"] {
        t.append(name, "more\n");
    }
    t.scan();
    assert_eq!(t.read().len(), 3);
}

#[test]
fn an_inconsistent_scan_concludes_nothing_from_what_it_did_not_find() {
    let mut t = plain();
    t.append("a.log", &numbers(0..2));
    t.start().scan();
    assert_eq!(t.read_at_most(1), lines(0..1));
    let logs = t.dir.path().join("logs");
    for _ in 0..5 {
        t.find_nothing(&logs);
    }
    assert_eq!(t.segments(), 1);
    assert_eq!(t.scan_and_read(), lines(1..2));
}

#[test]
fn one_file_under_two_names_is_read_once() {
    let mut t = Bench::new(|name| name.ends_with(".log"));
    t.append("a.log", &numbers(0..2));
    fs::hard_link(t.path("a.log"), t.path("b.log")).unwrap();
    std::os::unix::fs::symlink(t.path("a.log"), t.path("c.log")).unwrap();
    t.start();
    assert_eq!(t.scan_and_read(), lines(0..2));
    fs::remove_file(t.path("a.log")).unwrap();
    t.append("b.log", "line 2\n");
    assert_eq!(t.scan_and_read(), lines(2..3));
}

#[test]
fn a_symbolic_link_that_is_pointed_elsewhere_is_followed() {
    let mut t = Bench::new(|name| name == "current");
    t.append("x1", &numbers(0..2));
    std::os::unix::fs::symlink(t.path("x1"), t.path("current")).unwrap();
    t.start();
    assert_eq!(t.scan_and_read(), lines(0..2));
    t.append("x1", &numbers(2..3));
    t.append("x2", &numbers(3..5));
    fs::remove_file(t.path("current")).unwrap();
    std::os::unix::fs::symlink(t.path("x2"), t.path("current")).unwrap();
    assert_eq!(t.scan_and_read(), lines(2..5));
}

#[test]
fn a_finished_file_that_is_written_to_again_is_read_on() {
    let mut t = all();
    t.append("a.log", &numbers(0..2));
    t.seal_at_once();
    t.start().scan();
    assert_eq!(t.read(), lines(0..2));
    t.rename("a.log", "a.log.1");
    t.append("a.log", "line 2\n");
    assert_eq!(t.scan_and_read(), lines(2..3));
    t.scan();
    assert_eq!(t.segments(), 1, "the finished generation is released");
    t.append("a.log.1", "late\n");
    assert_eq!(t.scan_and_read(), ["late"]);
    t.kill();
    t.start();
    assert_eq!(t.scan_and_read(), [""; 0], "and is not read again after a restart");
}

#[test]
fn a_line_that_is_too_long_is_told_by_its_range_in_bounded_memory() {
    let mut t = plain();
    let long = "x".repeat(MAX_LINE);
    t.append("a.log", &format!("{long}\n{long}y\n{long}{long}{long}\nshort\n{long}z"));
    t.start().scan();
    let read = t.read();
    assert_eq!(read.iter().map(String::len).collect::<Vec<_>>(), [MAX_LINE, 5]);
    assert_eq!(t.too_long, [MAX_LINE as u64 + 2, 3 * MAX_LINE as u64 + 1]);
    t.append("a.log", "z\nend\n");
    t.scan();
    assert_eq!(t.read(), ["end"]);
    assert_eq!(t.too_long.len(), 3);
}

#[test]
fn holes_of_nul_are_skipped() {
    let mut t = plain();
    let file = t.append("a.log", &numbers(0..1));
    t.start().scan();
    assert_eq!(t.read(), lines(0..1));
    file.set_len(3_000_000).unwrap();
    t.append("a.log", "line 1\n");
    t.scan();
    assert_eq!(t.read(), lines(1..2));
    assert_eq!(t.blank_bytes, 3_000_000 - 7);
}

#[test]
fn small_files_are_not_starved_by_a_large_one() {
    let mut t = Bench::new(|name| name.ends_with(".log"));
    t.append("a.log", &"a line of the large file\n".repeat(400_000));
    for n in 0..20 {
        t.append(&format!("small{n}.log"), "small\n");
    }
    t.start().scan();
    let read = t.read_at_most(30_000);
    assert_eq!(read.iter().filter(|line| *line == "small").count(), 20);
}

#[test]
fn a_span_is_read_again_as_it_was() {
    let mut t = all();
    t.append("a.log", &numbers(0..5));
    t.start().scan();
    t.read();
    let reader = t.reader.as_mut().unwrap();
    let id = reader.log().segments()[0].id;
    let span = super::super::Span(vec![super::super::SegmentRange { segment: id, start: 7, end: 28 }]);
    let mut again = Vec::new();
    reader
        .read_again(&span, &mut |item| {
            if let ItemKind::Line(bytes) = item.kind {
                again.push(String::from_utf8_lossy(bytes).into_owned());
            }
        })
        .unwrap();
    assert_eq!(again, lines(1..4));
    super::truncation::truncate(&t);
    assert!(t.reader.as_mut().unwrap().read_again(&span, &mut |_| {}).is_err());
}

#[test]
fn files_beyond_the_descriptor_budget_are_opened_on_demand() {
    let mut t = Bench::new(|name| name.ends_with(".log"));
    for n in 0..300 {
        t.append(&format!("{n}.log"), "one\n");
    }
    t.start();
    assert_eq!(t.scan_and_read().len(), 300);
    assert!(t.facts().files_open <= 100);
    for n in 0..300 {
        t.append(&format!("{n}.log"), "two\n");
    }
    assert_eq!(t.scan_and_read(), vec!["two"; 300]);
}

#[test]
fn a_lost_catalog_gives_no_number_and_no_offset_to_another_file() {
    let mut t = Bench::starting_at(StartAt::End, |name| name.ends_with(".log"));
    t.start().scan();
    t.append("b.log", &numbers(0..9));
    t.scan();
    assert_eq!(t.read(), lines(0..9));
    t.stop();
    fs::remove_file(t.dir.path().join("state/catalog")).unwrap();
    t.append("a.log", "shorter\n");
    t.start();
    let mut read = t.scan_and_read();
    read.sort();
    let mut expected = lines(0..9);
    expected.push("shorter".to_owned());
    assert_eq!(read, expected, "startAt: end is for the very first start");
}

#[test]
fn a_released_file_that_is_written_anew_with_as_many_bytes_is_read() {
    for restart in [false, true] {
        let mut t = all();
        t.seal_at_once();
        t.append("a.log", &numbers(0..10));
        t.start().scan();
        assert_eq!(t.read(), lines(0..10));
        t.rename("a.log", "a.log.1");
        (0..4).for_each(|_| t.scan());
        assert_eq!(t.segments(), 0, "it is released");
        if restart {
            t.stop();
        }
        std::thread::sleep(Duration::from_millis(15)); // File times move in steps of a clock tick.
        // As a new file under the same inode looks where births are not kept.
        fs::write(t.path("a.log.1"), numbers(0..10).replace("line", "LINE")).unwrap();
        if restart {
            t.start();
        }
        let read = [t.scan_and_read(), t.scan_and_read()].concat();
        assert_eq!(read, (0..10).map(|n| format!("LINE {n}")).collect::<Vec<_>>());
    }
}
