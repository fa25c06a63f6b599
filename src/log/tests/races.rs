//! What happens between the listing of the paths and the look at each.

use super::*;

impl Bench {
    /// A scan that was given these paths, whatever stands there by now.
    fn scan_paths(&mut self, names: &[&str]) {
        let paths = names.iter().map(|name| self.path(name)).collect();
        self.tail.as_mut().unwrap().scan(FoundPaths { paths, ..FoundPaths::default() });
    }
}

// B39
#[test]
fn a_file_renamed_between_the_listing_and_the_look_is_read_once() {
    for held in [true, false] {
        let mut t = plain();
        t.append("a.log", &numbers(0..3));
        t.start().scan();
        assert_eq!(t.read(), lines(0..3));
        t.append("a.log", &numbers(3..5));
        if !held {
            t.kill();
            t.start();
        }
        t.rename("a.log", "a.log.1");
        t.scan_paths(&["a.log"]);
        assert_eq!(t.read(), lines(3..5));
        t.append("a.log", &numbers(5..7));
        t.rename("a.log", "a.log.0");
        t.append("a.log", &numbers(7..9));
        // Listed before, looked at after.
        t.scan_paths(&["a.log", "a.log.1"]);
        // What a writer adds to an older generation may come behind what is in the newer one.
        let mut read = t.scan_and_read();
        read.sort();
        assert_eq!(read, lines(5..9));
        assert_eq!(t.gap_bytes, 0);
    }
}

// B40: what is not there once is not yet deleted, and what is listed may be gone.
#[test]
fn a_file_deleted_between_the_listing_and_the_look_is_held_until_it_is_read() {
    let mut t = plain();
    t.append("a.log", &numbers(0..5));
    t.start().scan();
    assert_eq!(t.read_at_most(2), lines(0..2));
    fs::remove_file(t.path("a.log")).unwrap();
    for _ in 0..3 {
        t.scan_paths(&["a.log"]);
    }
    assert_eq!(t.read(), lines(2..5));
    assert_eq!(t.gap_bytes, 0);
}

// B41
#[test]
fn a_directory_that_is_renamed_for_a_while_loses_and_repeats_nothing() {
    let mut t = all();
    t.append("a.log", &numbers(0..3));
    t.append("a.log.1", "older\n");
    t.start().scan();
    assert_eq!(t.read().len(), 4);
    let away = t.dir.path().join("away");
    for (round, scans) in [(1_u32, 1), (2, 4)] {
        let file = t.append("a.log", "");
        fs::rename(t.path(""), &away).unwrap();
        for _ in 0..scans {
            t.scan_paths(&["a.log", "a.log.1"]);
        }
        (&file).write_all(numbers(round * 10..round * 10 + 3).as_bytes()).unwrap();
        fs::rename(&away, t.path("")).unwrap();
        assert_eq!(t.scan_and_read(), lines(round * 10..round * 10 + 3));
        assert_eq!(t.scan_and_read(), [""; 0]);
    }
    assert_eq!(t.gap_bytes, 0);
}

// What became of a file is known after the second scan at the latest: the first may have looked before it changed.
#[test]
fn what_is_younger_waits_until_two_scans_have_looked_for_an_older_generation_and_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let young = dir.path().join("a.log");
    fs::write(&young, numbers(5..7)).unwrap();
    let key = identity::stat_path(&young).unwrap().key;
    let (log, sender) = Log::new("t", "x");
    let lineage: Arc<Path> = young.as_path().into();
    let segment = |id, path: &Path| {
        let start = Cursor::default();
        Arc::new(Segment::new(SegmentId(id), lineage.clone(), start, 14, SegmentState::Draining, path.into(), key))
    };
    sender.send_replace(Arc::new(vec![segment(1, &dir.path().join("gone")), segment(2, &young)]));
    log.count_scan();
    let mut reader = Reader::new(log.clone(), MAX_LINE, BTreeMap::new());
    let mut read = || {
        let mut lines = Vec::new();
        let end = reader.read(usize::MAX, &mut |item| {
            if let ItemKind::Line(line) = item.kind {
                lines.push(String::from_utf8_lossy(line).into_owned());
            }
            Take::More
        });
        assert_eq!(end, ReadEnd::CaughtUp);
        (lines, reader.has_more())
    };
    assert_eq!(read(), (vec![], false));
    log.count_scan();
    assert_eq!(read(), (vec![], false), "the scan may have been under way");
    log.count_scan();
    assert_eq!(read(), (lines(5..7), false));
}
