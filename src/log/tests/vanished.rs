//! Files that are gone and were not held: what of them is lost is told, and how much of it is known.

use super::*;

/// What was told of gaps: bytes that are known to be lost, and gaps of unknown size.
fn told(t: &Bench) -> (u64, u64) {
    (t.gap_bytes, t.unknown_gaps)
}

fn end(t: &mut Bench, kill: bool) {
    if kill { t.kill() } else { t.stop() }
}

/// What may become of a file while we are stopped, so that its content is in no file.
const WAYS: [fn(&Bench); 4] = [
    |t| fs::remove_file(t.path("a.log")).unwrap(),
    |t| fs::rename(t.path("a.log"), t.dir.path().join("away")).unwrap(),
    |t| {
        t.append("new", "");
        t.rename("new", "a.log"); // As conmon does it with `max-size`.
    },
    |t| fs::write(t.path("a.log"), "").unwrap(),
];

#[test]
fn an_active_file_that_vanished_while_stopped_is_a_loss_of_unknown_size_once() {
    for (n, vanish) in WAYS.into_iter().enumerate() {
        for (kill, read, added) in [(true, 10, 5), (false, 10, 5), (true, 4, 0), (false, 10, 0)] {
            let mut t = plain();
            t.append("a.log", &numbers(0..10));
            t.start().scan();
            assert_eq!(t.read_at_most(read), lines(0..read as u32));
            t.scan();
            end(&mut t, kill);
            t.append("a.log", &numbers(10..10 + added));
            vanish(&t);
            t.start();
            assert_eq!(t.scan_and_read(), [""; 0]);
            let unread = numbers(read as u32..10).len() as u64;
            assert_eq!(told(&t), (unread, 1), "way {n}, killed: {kill}");
            end(&mut t, !kill);
            t.start();
            t.append("a.log", &numbers(20..22));
            assert_eq!(t.scan_and_read(), lines(20..22));
            t.scan();
            assert_eq!((told(&t), t.segments()), ((unread, 1), 1), "told once, and forgotten");
        }
    }
}

#[test]
fn a_loss_of_unknown_size_is_told_again_where_nobody_wrote_down_that_it_was() {
    let mut t = plain();
    t.append("a.log", &numbers(0..10));
    t.start().scan();
    assert_eq!(t.read(), lines(0..10));
    t.kill();
    fs::remove_file(t.path("a.log")).unwrap();
    let stood = t.cursors.clone();
    for times in 1..4 {
        t.start().scan();
        t.scan();
        assert_eq!(t.read(), [""; 0]);
        assert_eq!(told(&t), (0, times));
        t.kill();
        t.cursors.clone_from(&stood);
    }
}

#[test]
fn a_file_that_was_finished_is_no_word_and_one_that_was_at_rest_is_a_gap_of_known_size() {
    for read in [10, 4] {
        let mut t = plain();
        t.seal_at_once();
        t.append("a.log", &numbers(0..10));
        t.start().scan();
        assert_eq!(t.read_at_most(read), lines(0..read as u32));
        t.rename("a.log", "a.log.1");
        t.append("a.log", &numbers(10..11));
        t.scan();
        t.scan();
        t.kill();
        fs::remove_file(t.path("a.log.1")).unwrap();
        t.start();
        assert_eq!(t.scan_and_read(), lines(10..11));
        assert_eq!(told(&t), (numbers(read as u32..10).len() as u64, 0));
    }
}

#[test]
fn a_rotated_file_that_was_not_at_rest_and_vanished_is_a_loss_of_unknown_size() {
    let mut t = plain();
    let mut writer = t.append("a.log", &numbers(0..10));
    t.start().scan();
    t.rename("a.log", "a.log.1");
    t.append("a.log", &numbers(20..21));
    let read = t.scan_and_read();
    assert_eq!(read.len(), 11);
    t.kill();
    writer.write_all(b"late\n").unwrap();
    fs::remove_file(t.path("a.log.1")).unwrap();
    t.start();
    assert_eq!(t.scan_and_read(), [""; 0]);
    assert_eq!(told(&t), (0, 1));
}

#[test]
fn a_file_that_was_not_held_and_is_deleted_while_running_is_a_loss_of_unknown_size() {
    let mut t = plain();
    t.pins = 0;
    t.append("a.log", &numbers(0..10));
    t.start().scan();
    assert_eq!(t.read_at_most(5), lines(0..5));
    t.append("a.log", &numbers(10..12));
    fs::remove_file(t.path("a.log")).unwrap();
    assert_eq!(t.scan_and_read(), [""; 0]);
    assert_eq!(told(&t), (numbers(5..10).len() as u64, 1));
}

#[test]
fn what_was_truncated_while_it_was_watched_is_a_gap_of_known_size() {
    let mut t = plain();
    t.append("a.log", &numbers(0..10));
    t.start().scan();
    assert_eq!(t.read_at_most(5), lines(0..5));
    fs::write(t.path("a.log"), "line 77\n").unwrap();
    assert_eq!(t.scan_and_read(), ["line 77"]);
    assert_eq!((told(&t), t.truncations()), ((numbers(5..10).len() as u64, 0), 1));
}

#[test]
fn what_stands_somewhere_still_is_no_loss() {
    for place in ["a.log.1", "a.log.1.gz"] {
        let mut t = plain();
        t.append("a.log", &numbers(0..10));
        t.start().scan();
        assert_eq!(t.read_at_most(5), lines(0..5));
        t.kill();
        t.append("a.log", &numbers(10..12));
        match place {
            "a.log.1" => t.rename("a.log", place),
            _ => t.compress("a.log", place),
        }
        t.start();
        assert_eq!(t.scan_and_read(), lines(5..12), "{place}");
        assert_eq!(told(&t), (0, 0));
    }
}
