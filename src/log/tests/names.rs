//! Generations that are found by their names.

use super::*;

#[test]
fn an_excluded_generation_is_never_read_beside_its_file() {
    let mut t = plain();
    t.source.exclude = vec!["*.secret.1".into(), "*-20261129*".into()];
    t.append("a.log", &numbers(0..2));
    t.start().scan();
    assert_eq!(t.read(), lines(0..2));
    std::thread::sleep(Duration::from_millis(15)); // File times move in steps of a clock tick.
    t.rename("a.log", "a.log.1");
    t.append("a.log-20261129", &numbers(10..12));
    t.append("a.log.secret.1", &numbers(20..22));
    t.append("a.log", &numbers(2..4));
    assert_eq!([t.scan_and_read(), t.scan_and_read()].concat(), lines(2..4));
}

#[test]
fn generations_of_a_path_that_is_new_are_read_oldest_first() {
    for names in [["a.log.2", "a.log.1"], ["a-20261128.log", "a-20261129.log"]] {
        for (start_at, first) in [(StartAt::Beginning, 0), (StartAt::End, 4)] {
            let mut t = Bench::starting_at(start_at, |name| name == "a.log");
            for (n, name) in (0..).zip(names) {
                t.append(name, &numbers(n * 2..n * 2 + 2));
                std::thread::sleep(Duration::from_millis(15));
            }
            t.append("a-1.log", &numbers(100..102));
            t.append("a.log", "");
            t.start().scan();
            t.append("a.log", &numbers(4..6));
            assert_eq!(t.scan_and_read(), lines(first..6), "{names:?}");
        }
    }
}

// A burst: no look falls between the rotations.
#[test]
fn rotations_with_the_time_before_the_extension_between_two_scans_are_read_in_order() {
    let mut t = plain();
    t.append("a.log", &numbers(0..2));
    t.start().scan();
    assert_eq!(t.read(), lines(0..2));
    for n in 1..4 {
        t.rename("a.log", &format!("a-2026-11-29T20-00-0{n}.000.log"));
        t.append("a.log", &numbers(n * 2..n * 2 + 2));
    }
    t.append("a-errors.log", &numbers(100..102));
    assert_eq!(t.scan_and_read(), lines(2..8));
}

#[test]
fn what_a_compressor_has_just_begun_is_not_read_as_text() {
    let mut t = all();
    t.append("a.log", &numbers(0..2));
    t.append("a.log.1.gz", "");
    t.start().scan();
    t.append("a.log.1.gz", "\u{1F}no events\n");
    assert_eq!(t.scan_and_read(), lines(0..2));
}

// The directory is known from no earlier rotation.
#[test]
fn generations_in_another_directory_are_read_in_order_between_two_scans_and_over_a_stop() {
    for (stops, packs) in [(false, false), (true, false), (true, true)] {
        let mut t = plain();
        fs::create_dir(t.path("old")).unwrap();
        t.append("a.log", &numbers(0..2));
        t.start().scan();
        assert_eq!(t.read_at_most(1), lines(0..1));
        if stops {
            t.stop();
        }
        for n in 1..4 {
            for older in (1..n).rev() {
                t.rename(&format!("old/a.log.{older}"), &format!("old/a.log.{}", older + 1));
            }
            t.rename("a.log", "old/a.log.1");
            std::thread::sleep(Duration::from_millis(15)); // File times move in steps of a clock tick.
            t.append("a.log", &numbers(n * 2..n * 2 + 2));
        }
        if packs {
            for n in 1..4 {
                t.compress(&format!("old/a.log.{n}"), &format!("old/a.log.{n}.gz"));
            }
        }
        if stops {
            t.start();
        }
        assert_eq!(t.scan_and_read(), lines(1..8), "stopped: {stops}, compressed: {packs}");
        assert_eq!((t.gap_bytes, t.truncations()), (0, 0));
    }
}

#[test]
fn a_file_that_moves_from_directory_to_directory_is_followed_by_its_descriptor() {
    let mut t = plain();
    fs::create_dir_all(t.path("old/older")).unwrap();
    t.append("a.log", &numbers(0..2));
    t.start().scan();
    t.rename("a.log", "old/b");
    t.append("old/b", &numbers(2..4));
    assert_eq!(t.scan_and_read(), lines(0..4));
    t.rename("old/b", "old/older/c");
    t.append("old/older/c", &numbers(4..6));
    assert_eq!(t.scan_and_read(), lines(4..6));
    t.kill();
    t.append("old/older/c", &numbers(6..8));
    t.start();
    assert_eq!(t.scan_and_read(), lines(6..8));
}

// It could lead anywhere, and would be sent away.
#[test]
fn a_link_is_nobodys_generation() {
    let mut t = plain();
    t.append("secret", "secret\n");
    t.append("a.log", &numbers(0..2));
    t.start().scan();
    std::thread::sleep(Duration::from_millis(15));
    t.rename("a.log", "a.log.1");
    t.append("secret", "secret too\n");
    std::os::unix::fs::symlink(t.path("secret"), t.path("a.log-20261129")).unwrap();
    t.append("a.log", &numbers(2..4));
    assert_eq!(t.scan_and_read(), lines(0..4));
}

// A container that began and was rotated since the last look: `startAt: end` is for what was there at the first start.
#[test]
fn with_start_at_end_generations_that_ended_since_the_first_start_are_read_of_a_path_that_is_new() {
    let mut t = Bench::starting_at(StartAt::End, |name| name.ends_with(".log"));
    t.append("b.log.1", &numbers(100..102));
    t.append("a.log", "");
    std::thread::sleep(Duration::from_millis(15));
    t.start().scan();
    for restarts in [false, true] {
        let name = if restarts { "b" } else { "c" };
        let from = u32::from(restarts) * 10;
        if restarts {
            t.stop();
        }
        std::thread::sleep(Duration::from_millis(15));
        t.append(&format!("{name}.log.20261129-100000"), &numbers(from..from + 2));
        t.append(&format!("{name}.log"), &numbers(from + 2..from + 4));
        if restarts {
            t.start();
        }
        assert_eq!(t.scan_and_read(), lines(from..from + 4), "{name}");
    }
}

// Nothing of it was left to read, and no file stood at its path.
#[test]
fn what_was_written_and_rotated_away_while_stopped_is_found_beside_finished_generations() {
    let mut t = plain();
    t.seal_at_once();
    t.append("a.log", &numbers(0..2));
    t.start().scan();
    assert_eq!(t.read(), lines(0..2));
    t.rename("a.log", "a.log.1");
    (0..4).for_each(|_| t.scan());
    assert_eq!(t.segments(), 0, "it is released");
    t.stop();
    t.rename("a.log.1", "a.log.2");
    t.append("a.log.1", &numbers(2..4));
    t.start();
    assert_eq!(t.scan_and_read(), lines(2..4));
}

// Names move on between the listing, the look at each and the opening.
#[test]
fn rotations_in_the_midst_of_scans_lose_nothing_and_keep_the_order() {
    let numbered = |logs: &Path, n: u32| {
        let name = |n| logs.join(if n == 0 { "a.log".to_owned() } else { format!("a.log.{n}") });
        (0..n).rev().for_each(|n| fs::rename(name(n), name(n + 1)).unwrap());
    };
    let dated = |logs: &Path, n: u32| fs::rename(logs.join("a.log"), logs.join(format!("a-2026{n:06}.log"))).unwrap();
    rotate_in_the_midst_of_scans(120, numbered);
    rotate_in_the_midst_of_scans(2000, dated);
}

fn rotate_in_the_midst_of_scans(files: u32, rotate: impl Fn(&Path, u32) + Copy + Send + 'static) {
    let mut t = plain();
    t.pins = 5000;
    t.append("a.log", &numbers(0..1));
    t.start().scan();
    let logs = t.path("");
    let rotator = std::thread::spawn(move || {
        for n in 1..files {
            rotate(&logs, n);
            fs::write(logs.join("a.log"), numbers(n..n + 1)).unwrap();
        }
    });
    let mut read = t.read();
    while !rotator.is_finished() {
        t.scan();
        read.extend(t.read());
    }
    rotator.join().unwrap();
    read.extend(t.scan_and_read());
    assert_eq!(read, lines(0..files));
}
