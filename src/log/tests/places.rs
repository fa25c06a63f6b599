//! Lives on their way from one place to another: what was restored, what waits, what is released.

use super::*;
use crate::log::catalog::{Absorbed, Catalog, CatalogStage};

/// Older generation a.log.1 read to line 5, younger a.log unread; nothing is held.
fn two_generations() -> Bench {
    let mut t = plain();
    t.pins = 0;
    t.append("a.log", &numbers(0..10));
    t.start().scan();
    assert_eq!(t.read_at_most(5), lines(0..5));
    t.rename("a.log", "a.log.1");
    t.append("a.log", &numbers(10..20));
    t.scan();
    t
}

/// Of a hundred lines forty are read, the last ten in what was restored of the file that was compressed while stopped.
fn restored_and_read_in_part(pins: usize) -> Bench {
    let mut t = plain();
    t.pins = pins;
    t.append("a.log", &numbers(0..100));
    t.start().scan();
    assert_eq!(t.read_at_most(30), lines(0..30));
    t.kill();
    t.compress("a.log", "a.log.1.gz");
    std::thread::sleep(Duration::from_millis(15)); // File times move in steps of a clock tick.
    t.start().scan();
    assert_eq!(t.read_at_most(10), lines(30..40));
    t
}

#[test]
fn a_restored_file_that_somebody_deletes_is_restored_again_after_a_stop() {
    let mut t = restored_and_read_in_part(100);
    fs::remove_file(&t.restored()[0]).unwrap();
    (0..3).for_each(|_| t.scan());
    t.stop();
    t.start();
    let read = t.scan_and_read();
    assert_eq!((read, t.gap_bytes), (lines(40..100), 0));
}

#[test]
fn a_restored_file_that_nobody_holds_is_restored_again_where_it_is_deleted() {
    let mut t = restored_and_read_in_part(0);
    fs::remove_file(&t.restored()[0]).unwrap();
    let read = [t.scan_and_read(), t.scan_and_read()].concat();
    assert_eq!((read, t.gap_bytes), (lines(40..100), 0));
}

#[test]
fn a_lost_generation_that_waits_does_not_take_its_file_from_the_new_life() {
    let mut t = all();
    t.seal_at_once();
    t.append("a.log", &numbers(0..100));
    t.start().scan();
    assert_eq!(t.read_at_most(50), lines(0..50));
    t.rename("a.log", "a.log.1");
    t.append("a.log", &numbers(100..101));
    t.scan();
    t.compress_and_keep("a.log.1", "a.log.2.gz");
    let place = t.dir.path().join("state").join("restored");
    fs::write(&place, "in the way").unwrap();
    // Rewritten in place, while what was read of it is on its way.
    fs::write(t.path("a.log.1"), numbers(1000..1300)).unwrap();
    t.scan();
    t.cursors.insert(SegmentId(1), Cursor { offset: numbers(0..100).len() as u64, anchor: None });
    t.reader = Some(Reader::new(t.log.clone().unwrap(), MAX_LINE, t.cursors.clone()));
    t.settle();
    let mut read = Vec::new();
    for _ in 0..6 {
        t.scan();
        read.extend(t.read());
    }
    read.sort_by_key(|line| line[5..].parse::<u32>().unwrap());
    assert_eq!(read, [lines(100..101), lines(1000..1300)].concat());
    assert_eq!(t.gap_bytes, 0);
}

#[test]
fn a_generation_may_be_released_in_the_scan_that_finds_it_compressed() {
    let mut t = plain();
    t.pins = 0;
    t.seal_at_once();
    t.append("a.log", &numbers(0..100));
    t.start().scan();
    assert_eq!(t.read_at_most(50), lines(0..50));
    t.rename("a.log", "a.log.1");
    t.append("a.log", &numbers(100..101));
    t.scan();
    t.compress("a.log.1", "a.log.2.gz");
    t.scan();
    t.cursors.insert(SegmentId(1), Cursor { offset: numbers(0..100).len() as u64, anchor: None });
    t.settle();
    t.scan();
    t.scan();
    assert_eq!(t.segments(), 1, "the new file's alone");
    assert_eq!((t.scan_and_read(), t.gap_bytes), (lines(100..101), 0));
}

#[test]
fn what_is_younger_is_read_though_the_catalog_cannot_be_written() {
    let mut t = two_generations();
    fs::remove_file(t.path("a.log.1")).unwrap();
    let in_the_way = t.dir.path().join("state").join("catalog.tmp");
    fs::create_dir(&in_the_way).unwrap();
    let mut read = Vec::new();
    for _ in 0..10 {
        read.extend(t.read());
        t.scan();
    }
    assert_eq!(read, lines(10..20));
}

#[test]
fn what_is_younger_is_delivered_at_a_stop() {
    let mut t = two_generations();
    t.tail.take().unwrap().close();
    fs::remove_file(t.path("a.log.1")).unwrap();
    assert_eq!([t.read(), t.read(), t.read()].concat(), lines(10..20));
}

// The file is followed, found and read, and the catalog is written no more.
#[test]
fn a_scan_in_which_nothing_changed_does_not_write_the_catalog() {
    for pins in [0, 100] {
        for mut t in [plain(), all()] {
            t.pins = pins;
            t.seal_at_once();
            t.append("a.log", &numbers(0..100));
            t.append("a.log.1", &numbers(200..300));
            t.start();
            t.scan_and_read();
            t.rename("a.log", "a.log.2");
            t.append("a.log", &numbers(400..401));
            t.scan();
            t.scan();
            t.append("a.log.3", "x");
            t.scan();
            t.scan();
            t.scan();
            let catalog = t.dir.path().join("state").join("catalog");
            let before = identity::stat_path(&catalog).unwrap().key;
            for _ in 0..4 {
                t.scan();
            }
            assert_eq!(identity::stat_path(&catalog).unwrap().key, before, "{pins}");
        }
    }
}

#[test]
fn generations_that_wait_for_room_do_not_hold_back_the_newest_lines() {
    let mut t = plain();
    t.append("a.log", &numbers(0..100));
    t.start().scan();
    assert_eq!(t.read_at_most(50).len(), 50);
    for n in 1..5 {
        t.rename("a.log", &format!("a.log.{n}"));
        t.append("a.log", &numbers(n * 100..n * 100 + 100));
        t.scan();
    }
    t.kill();
    std::thread::sleep(Duration::from_millis(15));
    for n in 1..5 {
        t.compress(&format!("a.log.{n}"), &format!("a.log.{n}.gz"));
    }
    fs::write(t.dir.path().join("state").join("restored"), "in the way").unwrap();
    t.start();
    let mut scans = 0;
    let mut read = Vec::new();
    while read.is_empty() && scans < 50 {
        t.scan();
        read = t.read();
        scans += 1;
    }
    assert_eq!((scans, read), (1, lines(400..500)));
}

// Catalogs of the old version: a restored file that was deleted and copied, not released and released.
#[test]
fn a_catalog_of_an_older_version_with_a_copy_of_a_restored_file_is_read_on() {
    for released in [false, true] {
        let mut t = plain();
        t.append("a.log", &numbers(0..100));
        t.start().scan();
        assert_eq!(t.read_at_most(30), lines(0..30));
        t.kill();
        t.compress("a.log", "a.log.1.gz");
        t.start().scan();
        t.kill();
        let state = t.dir.path().join("state");
        let mut catalog = Catalog::load(&state.join("catalog")).unwrap().unwrap();
        let copy = state.join("absorbed").join(format!("{:020}", 1));
        fs::create_dir(state.join("absorbed")).unwrap();
        fs::rename(&t.restored()[0], &copy).unwrap();
        let life = &mut catalog.lives[0];
        assert!(life.packed.is_some());
        life.absorbed = Some(Absorbed { from: numbers(0..30).len() as u64, since: (0, 0) });
        life.path = copy.clone();
        life.stage = CatalogStage::Sealed;
        if released {
            life.stage = CatalogStage::Released;
            t.cursors.insert(SegmentId(1), Cursor { offset: life.size, anchor: None });
        }
        catalog.save(&state.join("catalog")).unwrap();
        t.append("a.log", &numbers(100..101));
        t.seal_at_once();
        t.start();
        let mut read = Vec::new();
        for n in 2..5 {
            read.extend([t.scan_and_read(), t.scan_and_read()].concat());
            t.rename("a.log", &format!("a.log.{n}"));
            t.append("a.log", &numbers(99 + n..100 + n));
        }
        read.extend(t.scan_and_read());
        let first = if released { 100 } else { 30 };
        assert_eq!((read, t.gap_bytes), (lines(first..104), 0), "{released}");
    }
}

#[test]
fn a_rotated_file_in_the_glob_that_is_found_after_a_start_is_sealed() {
    let mut t = all();
    t.seal_at_once();
    t.append("a.log", "no end");
    t.start().scan();
    t.kill();
    t.rename("a.log", "a.log.1");
    t.start();
    assert_eq!([t.scan_and_read(), t.scan_and_read()].concat(), ["no end"]);
}

#[test]
fn a_state_directory_that_was_moved_has_what_was_restored_still() {
    let mut t = restored_and_read_in_part(100);
    t.kill();
    fs::remove_file(t.path("a.log.1.gz")).unwrap();
    // As if it had been elsewhere when it was written.
    let state = t.dir.path().join("state");
    let mut catalog = Catalog::load(&state.join("catalog")).unwrap().unwrap();
    catalog.lives[0].path = Path::new("/elsewhere/restored").join(catalog.lives[0].path.file_name().unwrap());
    catalog.save(&state.join("catalog")).unwrap();
    t.start();
    assert_eq!((t.scan_and_read(), t.gap_bytes), (lines(40..100), 0));
}
