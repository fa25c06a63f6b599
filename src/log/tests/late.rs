//! Writers that go on in files that no path names any more.

use super::*;

/// A file of ten lines that were read, which is deleted, or moved to where nobody looks, under its writer.
fn nameless(t: &mut Bench, moved: bool) -> File {
    t.seal_at_once();
    t.source.hold_deleted = Duration::ZERO;
    let writer = t.append("a.log", &numbers(0..10));
    t.start().scan();
    assert_eq!(t.read(), lines(0..10));
    if moved {
        fs::rename(t.path("a.log"), t.dir.path().join("away")).unwrap();
    } else {
        fs::remove_file(t.path("a.log")).unwrap();
    }
    (0..5).for_each(|_| t.scan());
    writer
}

fn write(writer: &mut File, text: &str) {
    writer.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_late_writer_is_read_however_often_it_pauses() {
    for moved in [false, true] {
        let mut t = plain();
        let mut writer = nameless(&mut t, moved);
        for round in 1..4 {
            write(&mut writer, &numbers(round * 10..round * 10 + 10));
            assert_eq!(t.scan_and_read(), lines(round * 10..round * 10 + 10));
            (0..3).for_each(|_| t.scan());
        }
        // One that is somewhere else is known by where that is.
        assert_eq!((t.segments(), t.facts().files_open), if moved { (0, 0) } else { (1, 1) });
        assert_eq!((t.gap_bytes, t.unknown_gaps), (0, 0));
    }
}

#[test]
fn what_was_written_just_before_the_writer_closed_is_read_and_the_file_is_let_go() {
    let mut t = plain();
    let mut writer = nameless(&mut t, false);
    write(&mut writer, &numbers(10..12));
    drop(writer);
    assert_eq!(t.scan_and_read(), lines(10..12));
    (0..2).for_each(|_| t.scan());
    assert_eq!((t.segments(), t.facts().files_open, t.gap_bytes), (0, 0, 0));
}

#[test]
fn a_file_that_somebody_writes_to_is_not_taken_in() {
    let mut t = plain();
    t.seal_at_once();
    t.source.hold_deleted = Duration::ZERO;
    let mut writer = t.append("a.log", &numbers(0..10));
    t.start().scan();
    assert_eq!(t.read_at_most(5), lines(0..5));
    fs::remove_file(t.path("a.log")).unwrap();
    (0..5).for_each(|_| t.scan());
    write(&mut writer, "late\n");
    drop(writer);
    (0..3).for_each(|_| t.scan());
    assert_eq!(t.read(), [lines(5..10), vec!["late".into()]].concat());
}

#[test]
fn where_descriptors_are_scarce_the_finished_file_that_was_deleted_first_is_let_go() {
    let mut t = all();
    t.seal_at_once();
    t.pins = 4; // Fewer than three without need.
    t.start();
    let mut writers = Vec::new();
    for n in 0..5 {
        let name = format!("a.log.{n}");
        writers.push(t.append(&name, &numbers(n..n + 1)));
        t.scan();
        assert_eq!(t.read(), lines(n..n + 1));
        fs::remove_file(t.path(&name)).unwrap();
        (0..3).for_each(|_| t.scan());
    }
    assert_eq!((t.segments(), t.facts().files_open), (2, 2));
    for (n, writer) in writers.iter_mut().enumerate() {
        write(writer, &format!("late {n}\n"));
    }
    assert_eq!(t.scan_and_read(), ["late 3", "late 4"]);
    assert_eq!(t.gap_bytes, 0);
}

#[test]
fn where_descriptors_are_scarce_the_unread_rest_is_taken_in_under_its_writer() {
    let mut t = all();
    t.seal_at_once();
    t.pins = 2;
    t.start();
    let mut writers = Vec::new();
    for n in 0..4 {
        let name = format!("a.log.{n}");
        writers.push(t.append(&name, &numbers(n..n + 1)));
        t.scan();
        fs::remove_file(t.path(&name)).unwrap();
        (0..3).for_each(|_| t.scan());
    }
    let mut read = t.read();
    read.sort();
    assert_eq!((read, t.gap_bytes), (lines(0..4), 0));
}

#[test]
fn a_stop_takes_a_finished_file_for_finished_unless_somebody_writes_to_it() {
    for (writes, moved, kill, unknown) in [
        (false, false, false, 0),
        (true, false, false, 1),
        (true, false, true, 1),
        // A file that has a name elsewhere is found there again.
        (true, true, false, 0),
        (true, true, true, 0),
    ] {
        let mut t = plain();
        let writer = nameless(&mut t, moved);
        let writer = writes.then_some(writer);
        if kill {
            t.kill()
        } else {
            t.stop()
        }
        t.start();
        assert_eq!(t.scan_and_read(), [""; 0]);
        assert_eq!((t.gap_bytes, t.unknown_gaps), (0, unknown), "writes {writes}, moved {moved}, killed {kill}");
        drop(writer);
    }
}

#[test]
fn a_file_that_was_deleted_and_finished_a_moment_before_the_stop_is_no_loss() {
    let mut t = plain();
    t.append("a.log", &numbers(0..10));
    t.start().scan();
    assert_eq!(t.read(), lines(0..10));
    fs::remove_file(t.path("a.log")).unwrap();
    t.scan();
    t.scan();
    t.stop();
    t.start();
    assert_eq!(t.scan_and_read(), [""; 0]);
    assert_eq!((t.gap_bytes, t.unknown_gaps, t.segments()), (0, 0, 0));
}

#[test]
fn a_stop_takes_in_what_is_unread_and_tells_of_the_writer_too() {
    for writes in [false, true] {
        let mut t = plain();
        let mut writer = nameless(&mut t, false);
        write(&mut writer, &numbers(10..12));
        let writer = writes.then_some(writer);
        t.scan();
        t.stop();
        t.start();
        assert_eq!(t.scan_and_read(), lines(10..12));
        assert_eq!((t.gap_bytes, t.unknown_gaps), (0, u64::from(writes)));
        drop(writer);
    }
}
