//! Generations that nobody saw, and that `exclude` names or no decoder can read.

use super::*;

/// The clock that gives files their times moves in steps.
fn tick() {
    std::thread::sleep(Duration::from_millis(15));
}

/// Generations move up, the file becomes the newest, packed by this, and gets two more lines.
fn rotate(t: &Bench, pack: Pack, n: u32) {
    for older in (1..20).rev() {
        for suffix in ["", ".gz", ".Z"] {
            let name = |number| format!("a.log.{number}{suffix}");
            if t.path(name(older)).exists() {
                t.rename(&name(older), &name(older + 1));
            }
        }
    }
    t.rename("a.log", "a.log.1");
    t.append("a.log", &numbers(n * 2..n * 2 + 1));
    pack(t);
    // The compressor is done before the last line comes.
    tick();
    t.append("a.log", &numbers(n * 2 + 1..n * 2 + 2));
}

fn plain_one(_: &Bench) {}

fn gzip(t: &Bench) {
    t.compress("a.log.1", "a.log.1.gz");
}

/// By a compressor for which there is no decoder, and that leaves its file the time at which that was made.
fn pack(t: &Bench) {
    fs::write(t.path("a.log.1.Z"), b"\x1F\x9D\x90and what compress makes of it").unwrap();
    fs::remove_file(t.path("a.log.1")).unwrap();
}

fn excluding(pattern: &str) -> Bench {
    let mut t = plain();
    t.seal_at_once();
    t.source.exclude = vec![pattern.into()];
    t.append("a.log", &numbers(0..2));
    t.start().scan();
    assert_eq!(t.read(), lines(0..2));
    tick();
    t
}

fn alarm(t: &Bench) -> Option<String> {
    t.tail.as_ref().unwrap().unread()
}

type Pack = fn(&Bench);

const WAYS: [(&str, Pack); 3] = [("*.gz", gzip), ("a.log.*", plain_one), ("none", pack)];

#[test]
fn a_generation_that_was_seen_is_no_loss_whatever_names_it() {
    for (pattern, pack) in WAYS {
        let mut t = excluding(pattern);
        for n in 1..8 {
            if n % 3 == 0 {
                t.stop();
                t.start();
                t.scan();
            }
            rotate(&t, pack, n);
            let mut read = t.scan_and_read();
            read.extend(t.scan_and_read());
            (0..3).for_each(|_| t.scan());
            assert_eq!(read, lines(n * 2..n * 2 + 2), "{pattern}");
        }
        assert_eq!((t.gap_bytes, t.unknown_gaps), (0, 0), "{pattern}");
    }
}

#[test]
fn a_generation_between_two_looks_is_a_gap_once_and_an_alarm_as_long_as_it_is_there() {
    for (pattern, pack) in WAYS {
        let mut t = excluding(pattern);
        rotate(&t, pack, 1);
        rotate(&t, pack, 2);
        for _ in 0..3 {
            let mut read = t.scan_and_read();
            read.extend(t.scan_and_read());
            assert!(read.is_empty() || read == lines(4..6), "{pattern}: {read:?}");
            assert_eq!((t.gap_bytes, t.unknown_gaps), (0, 1), "{pattern}");
            let text = alarm(&t).unwrap();
            assert!(text.contains("/a.log."), "{text}");
            t.kill();
            t.start();
        }
        let of_one = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("a.log.");
        let all: Vec<PathBuf> =
            fs::read_dir(t.path("")).unwrap().map(|entry| entry.unwrap().path()).filter(of_one).collect();
        all.iter().for_each(|path| fs::remove_file(path).unwrap());
        (0..3).for_each(|_| t.scan());
        assert_eq!(alarm(&t), None, "{pattern}");
    }
}

#[test]
fn what_exclude_named_is_read_once_it_does_not_any_more() {
    for (pattern, pack) in &WAYS[..2] {
        for stops in [false, true] {
            let mut t = excluding(pattern);
            if stops {
                t.stop();
            }
            rotate(&t, *pack, 1);
            rotate(&t, *pack, 2);
            if stops {
                t.start();
            }
            assert_eq!([t.scan_and_read(), t.scan_and_read()].concat(), lines(4..6));
            assert_eq!((t.gap_bytes, t.unknown_gaps), (0, 1), "{pattern}, stops {stops}");
            t.stop();
            t.source.exclude.clear();
            t.start();
            assert_eq!([t.scan_and_read(), t.scan_and_read()].concat(), lines(2..4));
            assert_eq!(alarm(&t), None);
            t.stop();
            t.start();
            assert_eq!(t.scan_and_read(), [""; 0]);
        }
    }
}

#[test]
fn over_a_stop_each_generation_without_a_decoder_is_a_gap() {
    let mut t = excluding("none");
    t.stop();
    (1..4).for_each(|n| rotate(&t, pack, n));
    t.start();
    assert_eq!([t.scan_and_read(), t.scan_and_read()].concat(), lines(6..8));
    // Two that nobody saw, and the one that was not at rest.
    assert_eq!((t.gap_bytes, t.unknown_gaps), (0, 3));
}

#[test]
fn what_was_there_at_the_first_start_and_what_may_be_another_instances_is_no_loss() {
    let mut t = plain();
    t.source.exclude = vec!["*.gz".into(), "a-1.log".into()];
    t.append("a.log", &numbers(0..2));
    rotate(&t, gzip, 1);
    rotate(&t, pack, 2);
    t.start();
    assert_eq!(t.scan_and_read(), lines(4..6));
    t.append("a-1.log", &numbers(100..102));
    rotate(&t, plain_one, 3);
    assert_eq!(t.scan_and_read(), lines(6..8));
    assert_eq!((t.gap_bytes, t.unknown_gaps), (0, 0));
}

#[test]
fn a_copy_that_exclude_names_is_no_loss() {
    let mut t = excluding("a.log.*");
    for n in 1..5 {
        fs::copy(t.path("a.log"), t.path(format!("a.log.{n}"))).unwrap();
        fs::write(t.path("a.log"), "").unwrap();
        tick();
        t.append("a.log", &numbers(n * 100..n * 100 + 60));
        let mut read = t.scan_and_read();
        read.extend(t.scan_and_read());
        assert_eq!(read, lines(n * 100..n * 100 + 60));
        tick();
    }
    assert_eq!((t.gap_bytes, t.unknown_gaps), (0, 0));
}
