//! Content that is known: files that were replaced by their own content.

use std::{fs, io::Write};

use super::*;

/// Writes a file anew and renames it over the old one, as editors and careful programs do.
fn replace(bench: &Bench, name: &str, text: &str) {
    fs::write(bench.path("new"), text).unwrap();
    bench.rename("new", name);
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
    let mut bench = plain();
    let mut late = bench.append("a.log", &numbers(0..20));
    bench.start().scan();
    bench.read();
    replace(&bench, "a.log", &numbers(0..22));
    late.write_all(numbers(20..22).as_bytes()).unwrap();
    assert_eq!(bench.scan_and_read(), lines(20..22));
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
