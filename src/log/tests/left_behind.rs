//! Writers that go on in files that were replaced by their own content.

use super::*;

/// Writes a file anew and renames it over the old one.
fn replace(t: &Bench, text: &str) {
    fs::write(t.path("new"), text).unwrap();
    t.rename("new", "a.log");
}

/// A file of twenty lines that were read, and that another one with a line more has replaced under its writer.
fn replaced(t: &mut Bench) -> File {
    t.seal_at_once();
    t.source.hold_deleted = Duration::ZERO;
    let writer = t.append("a.log", &numbers(0..20));
    t.start().scan();
    assert_eq!(t.read(), lines(0..20));
    replace(t, &numbers(0..21));
    assert_eq!(t.scan_and_read(), lines(20..21));
    (0..3).for_each(|_| t.scan());
    writer
}

#[test]
fn a_writer_is_read_however_long_it_pauses_and_the_file_is_let_go_once_it_closes() {
    let mut t = plain();
    let mut writer = replaced(&mut t);
    for n in 30..33 {
        writer.write_all(numbers(n..n + 1).as_bytes()).unwrap();
        assert_eq!(t.scan_and_read(), lines(n..n + 1));
        (0..3).for_each(|_| t.scan());
        assert_eq!((t.segments(), t.facts().files_open), (2, 2));
    }
    writer.write_all(numbers(33..34).as_bytes()).unwrap();
    drop(writer);
    assert_eq!(t.scan_and_read(), lines(33..34));
    (0..3).for_each(|_| t.scan());
    assert_eq!((t.segments(), t.facts().files_open), (1, 1));
    assert_eq!((t.gap_bytes, t.unknown_gaps, t.truncations()), (0, 0, 0));
}

#[test]
fn of_a_file_that_is_replaced_again_and_again_every_writer_is_read() {
    let mut t = plain();
    t.append("a.log", &numbers(0..20));
    t.start().scan();
    assert_eq!(t.read(), lines(0..20));
    let mut writers = Vec::new();
    for n in 20..60 {
        writers.push(t.append("a.log", ""));
        replace(&t, &numbers(0..n + 1));
        assert_eq!(t.scan_and_read(), lines(n..n + 1));
    }
    for (n, writer) in (100..).zip(&mut writers) {
        writer.write_all(numbers(n..n + 1).as_bytes()).unwrap();
    }
    let mut late = t.scan_and_read();
    late.sort();
    assert_eq!(late, lines(100..140));
    // The life goes on in the next one, and not in one of those that were left.
    replace(&t, &numbers(0..61));
    assert_eq!(t.scan_and_read(), lines(60..61));
    t.append("a.log", &numbers(61..62));
    assert_eq!(t.scan_and_read(), lines(61..62));
    assert_eq!((t.gap_bytes, t.unknown_gaps, t.truncations()), (0, 0, 0));
}

#[test]
fn a_generation_after_the_replacement_is_missed_by_nobody() {
    let mut t = plain();
    let mut writer = replaced(&mut t);
    writer.write_all(numbers(30..31).as_bytes()).unwrap();
    assert_eq!(t.scan_and_read(), lines(30..31));
    for n in 40..43 {
        t.append("a.log", &numbers(n..n + 1));
        t.rename("a.log", &format!("a.log.{}", 50 - n));
        t.append("a.log", "");
    }
    assert_eq!(t.scan_and_read(), lines(40..43));
    t.kill();
    t.start();
    assert_eq!(t.scan_and_read(), [""; 0]);
    assert_eq!((t.gap_bytes, t.unknown_gaps), (0, 1), "the writer's");
}

#[test]
fn what_is_let_go_under_its_writer_is_told() {
    for (writes, late, kill, unknown) in [
        (false, false, false, 0),
        (false, false, true, 0),
        (false, true, false, 0),
        (true, false, false, 1),
        (true, false, true, 1),
        (true, true, false, 1),
        (true, true, true, 1),
    ] {
        let mut t = plain();
        let mut writer = replaced(&mut t);
        if late {
            writer.write_all(numbers(30..32).as_bytes()).unwrap();
            assert_eq!(t.scan_and_read(), lines(30..32));
            t.scan();
        }
        let writer = writes.then_some(writer);
        t.scan();
        if kill {
            t.kill()
        } else {
            t.stop()
        }
        // What has the content of the old file is none of its copies.
        fs::copy(t.path("a.log"), t.path("a.log.1")).unwrap();
        t.start();
        t.append("a.log", &numbers(21..22));
        let mut arrived = t.scan_and_read();
        arrived.extend(t.scan_and_read());
        assert_eq!(arrived, lines(21..22));
        assert_eq!((t.gap_bytes, t.unknown_gaps), (0, unknown), "writes {writes}, late {late}, killed {kill}");
        assert_eq!(t.segments(), 1);
        drop(writer);
    }
}

#[test]
fn a_stop_takes_in_what_is_unread_and_a_kill_makes_it_a_gap() {
    for kill in [false, true] {
        let mut t = plain();
        let mut writer = replaced(&mut t);
        writer.write_all(numbers(30..32).as_bytes()).unwrap();
        t.scan();
        if kill {
            t.kill()
        } else {
            t.stop()
        }
        t.start();
        let (read, gap) = if kill { (0, numbers(30..32).len() as u64) } else { (2, 0) };
        assert_eq!(t.scan_and_read(), lines(30..30 + read));
        assert_eq!((t.gap_bytes, t.unknown_gaps), (gap, 1));
    }
}

#[test]
fn where_descriptors_are_scarce_the_one_that_was_replaced_first_is_let_go() {
    let mut t = plain();
    t.pins = 4; // Fewer than three without need.
    let mut writers = vec![replaced(&mut t)];
    for n in 21..24 {
        writers.push(t.append("a.log", ""));
        replace(&t, &numbers(0..n + 1));
        assert_eq!(t.scan_and_read(), lines(n..n + 1));
        t.scan();
    }
    assert_eq!(t.facts().files_open, 2);
    for (n, writer) in (100..).zip(&mut writers) {
        writer.write_all(numbers(n..n + 1).as_bytes()).unwrap();
    }
    assert_eq!(t.scan_and_read(), lines(103..104));
}
