//! Content that is known: files that were replaced by their own content.

use std::{fs, io::Write};

use super::*;

/// Writes a file anew and renames it over the old one, as editors and careful programs do.
fn replace(bench: &Bench, name: &str, text: &str) {
    fs::write(bench.path("new"), text).unwrap();
    bench.rename("new", name);
}

/// What is read after a kill, in the order of the numbers: that of a half and the file after it is not promised.
fn arrived_after_a_kill(bench: &mut Bench) -> Vec<String> {
    bench.kill();
    bench.start();
    let mut arrived = bench.scan_and_read();
    arrived.extend(bench.scan_and_read());
    arrived.sort_by_key(|line| line[5..].parse::<u32>().unwrap());
    arrived
}

#[test]
fn a_file_that_is_replaced_by_itself_and_a_line_goes_on() {
    for stops in [false, true] {
        let mut bench = plain();
        bench.append("a.log", &numbers(0..1));
        bench.start().scan();
        let mut all = bench.read();
        for n in 1..30 {
            replace(&bench, "a.log", &numbers(0..n + 1));
            if stops && n % 3 == 0 {
                bench.kill();
                bench.start();
            }
            bench.scan();
            all.extend(bench.read_at_most(1));
            assert_eq!(bench.segments(), 1);
        }
        assert_eq!(all, lines(0..30));
        bench.append("a.log", &numbers(30..31));
        assert_eq!(bench.scan_and_read(), lines(30..31));
        assert_eq!((bench.gap_bytes, bench.truncations()), (0, 0));
    }
}

#[test]
fn what_is_written_to_a_file_that_was_replaced_is_read_too() {
    let mut bench = plain();
    let mut late = bench.append("a.log", &numbers(0..20));
    bench.start().scan();
    assert_eq!(bench.read(), lines(0..20));
    replace(&bench, "a.log", &numbers(0..21));
    assert_eq!(bench.scan_and_read(), lines(20..21));
    late.write_all(numbers(21..22).as_bytes()).unwrap();
    assert_eq!(bench.scan_and_read(), lines(21..22));
    late.write_all(numbers(22..23).as_bytes()).unwrap();
    bench.append("a.log", &numbers(23..24));
    let mut both = bench.scan_and_read();
    both.sort();
    assert_eq!(both, lines(22..24));
    // An orderly stop takes it in.
    late.write_all(numbers(24..25).as_bytes()).unwrap();
    bench.scan();
    bench.stop();
    bench.start();
    assert_eq!(bench.scan_and_read(), lines(24..25));
}

#[test]
fn what_the_old_file_and_the_new_one_have_is_read_once() {
    for looks in [false, true] {
        let mut bench = plain();
        let mut late = bench.append("a.log", &numbers(0..20));
        bench.start().scan();
        bench.read();
        replace(&bench, "a.log", &numbers(0..22));
        let mut all = Vec::new();
        if looks {
            all = bench.scan_and_read();
        }
        // It had them in a buffer when it wrote the new one.
        late.write_all(numbers(20..22).as_bytes()).unwrap();
        all.extend(bench.scan_and_read());
        assert_eq!(all, lines(20..22));
        late.write_all(numbers(22..23).as_bytes()).unwrap();
        assert_eq!(bench.scan_and_read(), lines(22..23), "looks {looks}");
    }
}

#[test]
fn a_file_with_few_bytes_that_is_removed_and_made_anew_is_read() {
    let mut bench = plain();
    bench.append("a.log", "begin\n");
    bench.start().scan();
    assert_eq!(bench.read(), ["begin"]);
    fs::remove_file(bench.path("a.log")).unwrap();
    std::thread::sleep(Duration::from_millis(20)); // A tick of the clock.
    bench.append("a.log", "begin\n");
    assert_eq!(bench.scan_and_read(), ["begin"]);
}

#[test]
fn a_file_whose_old_generation_has_a_name_is_another() {
    for name in ["a.log.1", "elsewhere"] {
        let mut bench = plain();
        bench.append("a.log", &numbers(0..50));
        bench.start().scan();
        assert_eq!(bench.read(), lines(0..50));
        fs::create_dir(bench.path("elsewhere-than-there")).unwrap();
        bench.rename("a.log", if name == "elsewhere" { "elsewhere-than-there/a" } else { name });
        bench.append("a.log", &numbers(0..50));
        assert_eq!(bench.scan_and_read(), lines(0..50), "{name}");
    }
}

fn copy(bench: &Bench, from: &str, to: &str) {
    fs::copy(bench.path(from), bench.path(to)).unwrap();
}

#[test]
fn a_copy_is_not_delivered_and_what_is_added_to_it_is() {
    for kills in [false, true] {
        for name in ["a.log.1", "a.log.bak"] {
            let mut bench = all();
            bench.seal_at_once();
            bench.append("a.log", &(numbers(0..50) + "half a l"));
            bench.start().scan();
            assert_eq!(bench.read(), lines(0..50));
            copy(&bench, "a.log", name);
            bench.append("a.log", &format!("ine\n{}", numbers(50..60)));
            assert_eq!(bench.scan_and_read()[1..], lines(50..60), "{name}");
            if kills {
                bench.kill();
                bench.start();
            }
            bench.append(name, &format!(" and its end\n{}", numbers(100..101)));
            assert_eq!(bench.scan_and_read(), [" and its end", "line 100"], "{name}");
            assert_eq!(bench.gap_bytes, 0);
        }
    }
}

#[test]
fn a_copy_that_is_still_written_waits_and_what_is_no_copy_is_read() {
    let mut bench = all();
    bench.source.seal_after = Duration::from_millis(200);
    bench.append("a.log", &numbers(0..100));
    bench.start().scan();
    bench.read();
    bench.append("a.log.1", &numbers(0..50));
    assert_eq!(bench.scan_and_read(), [""; 0]);
    std::thread::sleep(Duration::from_millis(150));
    bench.append("a.log.1", &numbers(50..60));
    assert_eq!(bench.scan_and_read(), [""; 0]);
    std::thread::sleep(Duration::from_millis(150));
    bench.append("a.log.1", &numbers(60..61));
    assert_eq!(bench.scan_and_read(), [""; 0]);
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(bench.scan_and_read(), [""; 0]);
    bench.append("a.log.1", &numbers(61..62));
    assert_eq!(bench.scan_and_read(), lines(61..62));

    // One that goes another way is a file of its own, and so is one with few bytes.
    bench.append("a.log-x", &numbers(0..50));
    assert_eq!(bench.scan_and_read(), [""; 0]);
    bench.append("a.log-x", "another\n");
    assert_eq!(bench.scan_and_read().len(), 51);
    bench.append("a.log-y", &numbers(0..2));
    bench.scan();
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(bench.scan_and_read(), lines(0..2));
}

#[test]
fn a_file_that_is_lost_is_read_on_in_its_copy() {
    for kills in [false, true] {
        for cuts in [false, true] {
            let mut bench = all();
            bench.seal_at_once();
            bench.append("a.log", &numbers(0..50));
            bench.start().scan();
            assert_eq!(bench.read_at_most(10), lines(0..10));
            copy(&bench, "a.log", "a.log.1");
            bench.scan();
            bench.scan();
            if kills {
                bench.kill();
            }
            if cuts {
                fs::write(bench.path("a.log"), "").unwrap();
            } else if kills {
                fs::remove_file(bench.path("a.log")).unwrap();
            }
            if kills {
                bench.start();
            }
            assert_eq!(bench.scan_and_read(), lines(10..50), "kills {kills}, cuts {cuts}");
            assert_eq!(bench.gap_bytes, 0);
            bench.append("a.log", &numbers(50..51));
            assert_eq!(bench.scan_and_read(), lines(50..51));
        }
    }
}

#[test]
fn renamecopy_delivers_once() {
    for looks in 0..3 {
        for (mut bench, beside) in [(plain(), true), (all(), false)] {
            bench.append("a.log", &numbers(0..50));
            bench.start().scan();
            assert_eq!(bench.read_at_most(10), lines(0..10));
            bench.rename("a.log", "a.log.tmp");
            bench.append("a.log", "");
            if looks == 1 {
                bench.scan();
            }
            copy(&bench, "a.log.tmp", "a.log.1");
            if looks == 2 {
                bench.scan();
            }
            fs::remove_file(bench.path("a.log.tmp")).unwrap();
            assert_eq!(bench.scan_and_read(), lines(10..50), "looks {looks}, beside {beside}");
            bench.append("a.log", &numbers(50..51));
            assert_eq!(bench.scan_and_read(), lines(50..51));
        }
    }
}

/// A log of a hundred lines, of which the forwarder has read some.
fn read_to(n: usize) -> Bench {
    let mut bench = plain();
    bench.append("a.log", &numbers(0..100));
    bench.start().scan();
    assert_eq!(bench.read_at_most(n).len(), n);
    bench
}

#[test]
fn a_new_file_that_begins_with_the_newer_half_goes_on_behind_it() {
    for n in [100, 70, 20] {
        let mut bench = read_to(n as usize);
        replace(&bench, "a.log", &numbers(50..110));
        assert_eq!(bench.scan_and_read(), lines(n..110), "the old file is held");
        bench.kill();
        bench.start();
        bench.append("a.log", &numbers(110..111));
        assert_eq!(bench.scan_and_read(), lines(110..111));
        assert_eq!(bench.gap_bytes, 0);
    }
}

#[test]
fn of_a_file_that_is_gone_the_file_after_it_gives_what_it_has() {
    for kills in [true, false] {
        for (n, gap) in [(100, 0), (70, 0), (20, numbers(20..50).len() as u64)] {
            let mut bench = read_to(n as usize);
            if kills {
                bench.kill()
            } else {
                bench.stop()
            }
            replace(&bench, "a.log", &numbers(50..110));
            bench.start();
            let mut arrived = bench.scan_and_read();
            arrived.extend(bench.scan_and_read());
            assert_eq!(arrived, lines(n.max(50)..110), "read to {n}, killed {kills}");
            assert_eq!(bench.gap_bytes, gap);
            bench.kill();
            bench.start();
            bench.append("a.log", &numbers(110..111));
            assert_eq!(bench.scan_and_read(), lines(110..111));
        }
    }
}

#[test]
fn a_file_that_is_cut_in_place_and_keeps_its_newer_half_goes_on_behind_it() {
    for stopped in [false, true] {
        for (n, gap) in [(100, 0), (70, 0), (20, numbers(20..50).len() as u64)] {
            let mut bench = read_to(n as usize);
            if stopped {
                bench.stop();
            }
            fs::write(bench.path("a.log"), numbers(50..101)).unwrap();
            if stopped {
                bench.start();
            }
            assert_eq!(bench.scan_and_read(), lines(n.max(50)..101), "read to {n}, stopped {stopped}");
            assert_eq!((bench.gap_bytes, bench.truncations()), (gap, 1));
        }
    }
}

#[test]
fn a_half_that_was_held_when_the_process_was_killed_is_read_in_the_file_after_it() {
    let mut bench = read_to(70);
    replace(&bench, "a.log", &numbers(50..110));
    bench.scan();
    let arrived = arrived_after_a_kill(&mut bench);
    assert_eq!(arrived, lines(70..110));
    assert_eq!(bench.gap_bytes, 0);
}

#[test]
fn lines_that_are_all_the_same_prove_nothing() {
    let mut bench = plain();
    bench.append("a.log", &"tick\n".repeat(100));
    bench.start().scan();
    assert_eq!(bench.read().len(), 100);
    fs::write(bench.path("a.log"), "tick\n".repeat(60)).unwrap();
    assert_eq!(bench.scan_and_read().len(), 60);
}

#[test]
fn a_file_that_is_replaced_while_somebody_writes_to_it_is_read_once() {
    let mut bench = plain();
    let mut late = bench.append("a.log", &numbers(0..100));
    bench.start().scan();
    assert_eq!(bench.read(), lines(0..100));
    fs::write(bench.path("new"), numbers(0..100)).unwrap();
    late.write_all(numbers(100..103).as_bytes()).unwrap();
    bench.rename("new", "a.log");
    bench.append("a.log", &numbers(103..104));
    let mut both = bench.scan_and_read();
    both.sort();
    assert_eq!(both, lines(100..104));
}

#[test]
fn what_is_left_of_a_half_after_another_half_is_read() {
    let mut bench = read_to(70);
    replace(&bench, "a.log", &numbers(50..120));
    bench.scan();
    replace(&bench, "a.log", &numbers(60..130));
    bench.scan();
    let arrived = arrived_after_a_kill(&mut bench);
    assert_eq!(arrived, lines(70..130));
    assert_eq!(bench.gap_bytes, 0);
}
