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
