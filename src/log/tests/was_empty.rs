//! Files, and paths, that had nothing when they were last looked at.

use super::*;

type Rotate = fn(&Bench);

/// What becomes of a file that was empty while we are stopped; the lines that it then has are `0..4`.
const WAYS: [(&str, Rotate); 6] = [
    ("renamed", |t| {
        t.append("a.log", &numbers(0..4));
        t.rename("a.log", "a.log.1");
    }),
    ("renamed, and made anew", |t| {
        t.append("a.log", &numbers(0..2));
        t.rename("a.log", "a.log.1");
        t.append("a.log", &numbers(2..4));
    }),
    ("renamed twice", |t| {
        t.append("a.log", &numbers(0..1));
        t.rename("a.log", "a.log.2");
        t.append("a.log", &numbers(1..3));
        t.rename("a.log", "a.log.1");
        t.append("a.log", &numbers(3..4));
    }),
    ("compressed", |t| {
        t.append("a.log", &numbers(0..2));
        t.rename("a.log", "a.log.1");
        t.append("a.log", &numbers(2..4));
        t.compress("a.log.1", "a.log.1.gz");
    }),
    ("renamed, and compressed later", |t| {
        t.append("a.log", &numbers(0..2));
        t.rename("a.log", "a.log.2");
        t.append("a.log", &numbers(2..3));
        t.rename("a.log", "a.log.1");
        t.append("a.log", &numbers(3..4));
        t.compress("a.log.2", "a.log.2.gz");
    }),
    ("copied and cut", |t| {
        t.append("a.log", &numbers(0..2));
        fs::copy(t.path("a.log"), t.path("a.log.1")).unwrap();
        fs::write(t.path("a.log"), "").unwrap();
        t.append("a.log", &numbers(2..4));
    }),
];

fn tick() {
    std::thread::sleep(Duration::from_millis(15)); // File times move in steps of a clock tick.
}

/// What arrives in some scans.
fn arrived(t: &mut Bench) -> Vec<String> {
    (0..3).flat_map(|_| t.scan_and_read()).collect()
}

/// Its file was read and rotated away, and there is none at its path.
fn with_a_generation() -> Bench {
    let mut t = plain();
    t.seal_at_once();
    t.append("a.log", &numbers(10..12));
    t.start().scan();
    assert_eq!(t.read(), lines(10..12));
    t.rename("a.log", "a.log.3");
    t
}

fn end(t: &mut Bench, kill: bool) {
    if kill {
        t.kill()
    } else {
        t.stop()
    }
    tick();
}

#[test]
fn what_was_written_to_a_file_that_was_empty_arrives_once_whatever_became_of_it_while_stopped() {
    for kill in [false, true] {
        for (way, rotate) in WAYS {
            let mut t = with_a_generation();
            t.append("a.log", "");
            (0..4).for_each(|_| t.scan());
            end(&mut t, kill);
            rotate(&t);
            t.start();
            assert_eq!(arrived(&mut t), lines(0..4), "{way}, killed: {kill}");
            assert_eq!((t.gap_bytes, t.unknown_gaps), (0, 0), "{way}, killed: {kill}");
            t.kill();
            t.start();
            assert_eq!(arrived(&mut t), [""; 0], "{way}");
            assert_eq!((t.gap_bytes, t.unknown_gaps), (0, 0), "{way}");
        }
    }
}

#[test]
fn what_was_written_to_a_path_that_had_no_file_arrives_once_whatever_became_of_it_while_stopped() {
    for kill in [false, true] {
        for (way, rotate) in WAYS {
            let mut t = with_a_generation();
            (0..4).for_each(|_| t.scan());
            assert_eq!(t.segments(), 0);
            fs::remove_file(t.path("a.log.3")).unwrap();
            (0..4).for_each(|_| t.scan());
            end(&mut t, kill);
            rotate(&t);
            t.start();
            let mut all = arrived(&mut t);
            if way == "copied and cut" {
                all.sort(); // The copy is the younger file.
            }
            assert_eq!(all, lines(0..4), "{way}, killed: {kill}");
            assert_eq!((t.gap_bytes, t.unknown_gaps), (0, 0), "{way}, killed: {kill}");
            t.kill();
            t.start();
            assert_eq!(arrived(&mut t), [""; 0], "{way}");
        }
    }
}

// Generations are deleted oldest first: without an older one nobody knows what became of the file.
#[test]
fn a_file_that_was_empty_and_has_no_older_generation_may_have_been_deleted() {
    let mut t = plain();
    t.append("a.log", "");
    t.start().scan();
    t.scan();
    t.stop();
    t.append("a.log", &numbers(0..2));
    fs::remove_file(t.path("a.log")).unwrap();
    t.append("a.log.1", &numbers(2..4));
    t.compress("a.log.1", "a.log.1.gz");
    t.append("a.log", &numbers(4..6));
    t.start();
    assert_eq!(arrived(&mut t), lines(2..6));
    assert_eq!((t.gap_bytes, t.unknown_gaps), (0, 1));
}
