//! Copies of files that nobody looked at as they were copied.

use super::*;

/// As logrotate's `copy`: generations move up, and the file stays as it is.
fn snapshot(bench: &Bench) {
    for n in (1..5).rev().filter(|n| bench.path(format!("a.log.{n}")).exists()) {
        bench.rename(&format!("a.log.{n}"), &format!("a.log.{}", n + 1));
    }
    std::thread::sleep(Duration::from_millis(15)); // File times move in steps of a clock tick.
    fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
}

fn restart(bench: &mut Bench, kills: bool) {
    if kills {
        bench.kill();
        bench.start();
    }
}

/// Everything that comes, with what waited to be known as a copy.
fn read_to_the_end(bench: &mut Bench) -> Vec<String> {
    let mut read = bench.scan_and_read();
    read.extend(bench.scan_and_read());
    read
}

#[test]
fn a_copy_of_a_file_that_was_last_seen_empty_is_not_delivered() {
    for (kills, seals) in [(false, false), (false, true), (true, false), (true, true)] {
        for mut bench in [plain(), all()] {
            if seals {
                bench.seal_at_once();
            }
            bench.append("a.log", "");
            bench.start().scan();
            bench.append("a.log", &numbers(0..50));
            snapshot(&bench);
            bench.append("a.log", &numbers(50..52));
            snapshot(&bench);
            bench.append("a.log", &numbers(52..53));
            restart(&mut bench, kills);
            assert_eq!(read_to_the_end(&mut bench), lines(0..53), "kills {kills}, seals {seals}");
            snapshot(&bench);
            bench.rename("a.log", "a.log.0");
            bench.append("a.log", &numbers(53..54));
            assert_eq!(read_to_the_end(&mut bench), lines(53..54), "kills {kills}, seals {seals}");
            assert_eq!((bench.gap_bytes, bench.unknown_gaps, bench.truncations()), (0, 0, 0));
        }
    }
}

#[test]
fn a_file_that_was_cut_and_copied_since_is_read_once_and_after_what_was_cut() {
    for (before, kills) in [(0, false), (0, true), (20, false), (20, true)] {
        for mut bench in [plain(), all()] {
            bench.append("a.log", &numbers(0..before));
            bench.start().scan();
            bench.append("a.log", &numbers(before..60));
            snapshot(&bench);
            truncation::truncate(&bench);
            bench.append("a.log", &numbers(60..110));
            snapshot(&bench);
            bench.append("a.log", &numbers(110..112));
            restart(&mut bench, kills);
            assert_eq!(read_to_the_end(&mut bench), lines(0..112), "before {before}, kills {kills}");
            assert_eq!((bench.gap_bytes, bench.unknown_gaps), (0, 0));
        }
    }
}
