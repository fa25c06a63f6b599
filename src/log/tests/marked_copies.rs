//! Which lives are those of copies, and which only have nothing to read yet.

use super::*;
use crate::log::catalog::Catalog;

fn replace(bench: &Bench, name: &str, text: &str) {
    fs::write(bench.path("new"), text).unwrap();
    bench.rename("new", name);
}

/// At the end of a file that has these lines, which are not read.
fn at_the_end(text: &str) -> Bench {
    let mut bench = Bench::starting_at(StartAt::End, |name| ["a.log", "a.log.2", "b.log"].contains(&name));
    bench.seal_at_once();
    bench.append("a.log", text);
    bench.start().scan();
    bench
}

#[test]
fn a_file_that_begins_at_its_end_is_known_by_its_newer_half_whether_it_is_idle_or_grew() {
    for kills in [false, true] {
        for grows in [false, true] {
            let mut t = at_the_end(&numbers(0..100));
            let end = if grows { 105 } else { 100 };
            t.append("a.log", &numbers(100..end));
            assert_eq!(t.scan_and_read(), lines(100..end));
            if kills {
                t.kill();
            }
            replace(&t, "a.log", &numbers(50..110));
            if kills {
                t.start();
            }
            assert_eq!(t.scan_and_read(), lines(end..110), "kills {kills}, grows {grows}");
            assert_eq!(t.gap_bytes, 0);
        }
    }
}

#[test]
fn a_file_that_begins_at_its_end_is_nobodys_copy_whether_it_is_idle_or_grew() {
    for kills in [false, true] {
        for grows in [false, true] {
            let mut t = at_the_end("begin\n");
            t.kill();
            t.append("b.log", &format!("begin\n{}", numbers(0..50)));
            // It is met as `a.log` was: the first scan of a first start.
            fs::remove_dir_all(t.dir.path().join("state")).unwrap();
            t.cursors.clear();
            t.start().scan();
            let end = if grows { 55 } else { 50 };
            t.append("b.log", &numbers(50..end));
            assert_eq!(t.scan_and_read(), lines(50..end));
            if kills {
                t.kill();
            }
            fs::write(t.path("a.log"), "").unwrap();
            if kills {
                t.start();
            }
            assert_eq!(t.scan_and_read(), [""; 0], "kills {kills}, grows {grows}");
            t.append("b.log", &numbers(60..61));
            assert_eq!(t.scan_and_read(), lines(60..61));
        }
    }
}

#[test]
fn a_file_that_begins_at_its_end_is_the_newest_generation_though_an_older_one_grew() {
    for kills in [false, true] {
        let mut t = Bench::starting_at(StartAt::End, |name| ["a.log", "a.log.2"].contains(&name));
        for (name, from) in [("a.log.2", 0), ("a.log.1", 100), ("a.log", 200)] {
            t.append(name, &numbers(from..from + 50));
            std::thread::sleep(Duration::from_millis(9)); // File times move in steps of a clock tick.
        }
        t.start().scan();
        t.append("a.log.2", "late\n");
        assert_eq!(t.scan_and_read(), ["late"]);
        if kills {
            t.kill();
        }
        t.rename("a.log", "a.log.0");
        t.append("a.log", &numbers(300..310));
        if kills {
            t.start();
        }
        assert_eq!(t.scan_and_read(), lines(300..310), "kills {kills}");
    }
}

#[test]
fn a_file_that_keeps_its_newer_half_and_nothing_more_is_the_one_that_the_next_begins_behind() {
    for kills in [false, true] {
        let mut t = plain();
        t.seal_at_once();
        t.append("a.log", &numbers(0..100));
        t.start().scan();
        assert_eq!(t.read(), lines(0..100));
        replace(&t, "a.log", &numbers(50..100));
        assert_eq!(t.scan_and_read(), [""; 0]);
        assert_eq!(t.scan_and_read(), [""; 0]);
        if kills {
            t.kill();
            t.start();
        }
        replace(&t, "a.log", &numbers(60..110));
        assert_eq!(t.scan_and_read(), lines(100..110), "kills {kills}");
        assert_eq!(t.gap_bytes, 0);
    }
}

#[test]
fn that_a_file_is_a_copy_is_known_after_a_kill_and_an_older_catalog_is_read_without_it() {
    for has_mark in [true, false] {
        let mut t = all();
        t.seal_at_once();
        t.append("a.log", &numbers(0..50));
        t.start().scan();
        assert_eq!(t.read_at_most(10), lines(0..10));
        fs::copy(t.path("a.log"), t.path("a.log.1")).unwrap();
        t.scan();
        t.scan();
        t.kill();
        let path = t.dir.path().join("state").join("catalog");
        let mut catalog = Catalog::load(&path).unwrap().unwrap();
        let marked: Vec<bool> = catalog.lives.iter().map(|life| life.is_copy).collect();
        assert_eq!(marked, [false, true]);
        if !has_mark {
            catalog.lives[1].is_copy = false;
            catalog.save(&path).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap().contains("is_copy"), has_mark);
        fs::remove_file(t.path("a.log")).unwrap();
        t.start();
        assert_eq!(t.scan_and_read(), lines(10..50), "marked {has_mark}");
        assert_eq!(t.gap_bytes, 0);
    }
}
