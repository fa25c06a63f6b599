#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]

mod detach;
mod model;

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::Write,
    path::PathBuf,
};

use super::{Limits, Spool, SpoolAppendError, files, open::SpoolError};
use crate::log::{Cursor, ItemKind, ReadEnd, Reader, SegmentId, Take, identity};

const LIMITS: Limits = Limits { segment: 64, total: 1000 };

struct Fixture {
    dir: tempfile::TempDir,
    limits: Limits,
}

impl Fixture {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), limits: LIMITS }
    }

    fn spool_dir(&self) -> PathBuf {
        super::dir(self.dir.path(), "app")
    }

    fn catalog(&self) -> PathBuf {
        self.dir.path().join("sources/app/catalog")
    }

    fn open(&self) -> Spool {
        self.try_open(&HashMap::new()).unwrap()
    }

    fn try_open(&self, cursors_of_forwarders: &HashMap<SegmentId, Vec<Cursor>>) -> Result<Spool, SpoolError> {
        let spool = Spool::open("app", &self.spool_dir(), &self.catalog(), self.limits, cursors_of_forwarders)?;
        spool.log().release_gate.add_follower("siem");
        Ok(spool)
    }

    fn files(&self) -> Vec<String> {
        let names =
            fs::read_dir(self.spool_dir()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != "reserve").collect();
        names.sort();
        names
    }

    fn path(&self, number: u64) -> PathBuf {
        files::path(&self.spool_dir(), SegmentId(number))
    }
}

fn put(spool: &mut Spool, texts: &[&str]) {
    for text in texts {
        spool.append(format!("{text}\n").as_bytes(), true).unwrap();
    }
}

/// What a forwarder reads from its beginning: lines, and gaps as `-BYTES`.
fn read(spool: &Spool) -> Vec<String> {
    read_from(&mut Reader::new(spool.log().clone(), 1000, BTreeMap::new()))
}

fn read_from(reader: &mut Reader) -> Vec<String> {
    let mut read = Vec::new();
    let end = reader.read(usize::MAX, &mut |item| {
        match item.kind {
            ItemKind::Line(bytes) => read.push(String::from_utf8(bytes.to_vec()).unwrap()),
            ItemKind::Gap { .. } => read.push(format!("-{}", item.range.len())),
            ItemKind::Blank | ItemKind::TooLong | ItemKind::Foreign(_) | ItemKind::Other(_) => {
                read.push("?".to_owned())
            }
        }
        Take::More
    });
    assert_eq!(end, ReadEnd::CaughtUp);
    read
}

/// Says that the forwarder is durably past everything up to `number`.
fn settle(spool: &Spool, number: u64) {
    let segments = spool.log().segments();
    let past = segments.iter().filter(|segment| segment.id.0 <= number).map(|segment| (segment.id, segment.size()));
    spool.log().release_gate.report("siem", past.collect());
}

#[test]
fn what_is_appended_is_read_in_order_over_segments_and_restarts() {
    let fixture = Fixture::new();
    let mut spool = fixture.open();
    let texts: Vec<String> = (0..20).map(|n| format!("{{\"n\":{n},\"pad\":\"0123456789\"}}")).collect();
    for text in &texts[..12] {
        put(&mut spool, &[text]);
    }
    assert_eq!(read(&spool), texts[..12]);
    assert!(fixture.files().len() > 3, "{:?}", fixture.files());
    drop(spool);
    let mut spool = fixture.open();
    assert_eq!(read(&spool), texts[..12]);
    for text in &texts[12..] {
        put(&mut spool, &[text]);
    }
    assert_eq!(read(&spool), texts);
    spool.close().unwrap();
    assert_eq!(read(&fixture.open()), texts);
}

#[test]
fn a_line_torn_by_a_crash_is_left_out_wherever_it_was_cut_and_its_file_is_never_appended_to() {
    let whole = b"{\"n\":1}\n{\"n\":2}\n";
    for cut in 1..=8 {
        let fixture = Fixture::new();
        let mut spool = fixture.open();
        put(&mut spool, &["{\"n\":1}", "{\"n\":2}"]);
        drop(spool);
        let path = fixture.path(1);
        assert_eq!(fs::read(&path).unwrap(), whole);
        let torn = &whole[..whole.len() - cut];
        fs::write(&path, torn).unwrap();
        let mut spool = fixture.open();
        assert_eq!(read(&spool), ["{\"n\":1}"], "cut by {cut}");
        put(&mut spool, &["{\"n\":3}"]);
        assert_eq!(fs::read(&path).unwrap(), torn);
        assert_eq!(read(&spool), ["{\"n\":1}", "{\"n\":3}"]);
        // Again, and it is still so: it is sealed where its last whole line ended.
        drop(spool);
        assert_eq!(read(&fixture.open()), ["{\"n\":1}", "{\"n\":3}"]);
    }
}

#[test]
fn a_released_segment_is_removed_and_its_number_is_not_used_again() {
    let fixture = Fixture::new();
    let mut spool = fixture.open();
    let pad = "x".repeat(70);
    put(&mut spool, &[&pad, &pad, &pad]);
    assert!(!spool.release(), "nobody is past anything");
    settle(&spool, 2);
    assert!(spool.release());
    assert_eq!(fixture.files(), ["00000000000000000003.ndjson"]);
    assert_eq!(read(&spool), [pad.as_str()]);
    settle(&spool, 3);
    assert!(spool.release());
    assert!(fixture.files().is_empty());
    assert_eq!(spool.used(), 0);
    drop(spool);
    let mut spool = fixture.open();
    put(&mut spool, &["{}"]);
    assert_eq!(fixture.files(), ["00000000000000000004.ndjson"]);
}

#[test]
fn without_a_catalog_every_segment_is_read_and_numbers_that_forwarders_know_are_not_used_again() {
    let fixture = Fixture::new();
    let mut spool = fixture.open();
    put(&mut spool, &["{\"n\":1}"]);
    drop(spool);
    fs::remove_file(fixture.catalog()).unwrap();
    let cursors_of_forwarders = HashMap::from([(SegmentId(40), vec![Cursor { offset: 8, anchor: None }])]);
    let mut spool = fixture.try_open(&cursors_of_forwarders).unwrap();
    put(&mut spool, &["{\"n\":2}"]);
    assert_eq!(read(&spool), ["{\"n\":1}", "{\"n\":2}"]);
    assert_eq!(fixture.files().last().unwrap(), "00000000000000000041.ndjson");
}

#[test]
fn a_spool_that_is_full_refuses_and_takes_again_when_there_is_room() {
    let fixture = Fixture::new();
    let mut spool = fixture.open();
    let line = "y".repeat(99);
    for _ in 0..10 {
        put(&mut spool, &[&line]);
    }
    let refused = spool.append(b"{}\n", true).unwrap_err();
    assert!(matches!(refused, SpoolAppendError::Full { used: 1000, total: 1000 }), "{refused}");
    assert_eq!(read(&spool).len(), 10);
    settle(&spool, 1);
    assert!(spool.release());
    put(&mut spool, &["{}"]);
    assert_eq!(read(&spool).len(), 10);
}

#[test]
fn a_missing_segment_is_a_gap_and_what_is_behind_it_is_delivered() {
    let fixture = Fixture::new();
    let mut spool = fixture.open();
    let pad = "x".repeat(70);
    put(&mut spool, &[&pad, "{\"n\":2,\"pad\":\"0123456789012345678901234567890123456789012345678901234\"}", "{}"]);
    drop(spool);
    fs::remove_file(fixture.path(2)).unwrap();
    let mut spool = fixture.open();
    assert_eq!(read(&spool), [pad.as_str(), "-72", "{}"]);
    assert!(spool.take_damage()[0].contains("segment 2 of the spool is missing"));
}

// D11: the newest, of which only the catalog knows.
#[test]
fn a_missing_last_segment_is_told_and_its_number_is_not_used_again() {
    let fixture = Fixture::new();
    let mut spool = fixture.open();
    put(&mut spool, &["{\"n\":1}"]);
    drop(spool);
    fs::remove_file(fixture.path(1)).unwrap();
    let mut spool = fixture.open();
    assert!(spool.take_damage()[0].contains("segment 1 of the spool is missing"));
    put(&mut spool, &["{\"n\":2}"]);
    assert_eq!(fixture.files(), ["00000000000000000002.ndjson"]);
    assert_eq!(read(&spool), ["{\"n\":2}"]);
}

// D4, D16: as a file system may leave them behind what was synced.
#[test]
fn zeros_behind_the_last_line_are_left_out_in_no_time() {
    let fixture = Fixture::new();
    let mut spool = fixture.open();
    put(&mut spool, &["{\"n\":1}"]);
    drop(spool);
    let file = fs::OpenOptions::new().write(true).open(fixture.path(1)).unwrap();
    file.set_len(100 << 20).unwrap();
    let begun = std::time::Instant::now();
    let mut spool = fixture.open();
    put(&mut spool, &["{\"n\":2}"]);
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    assert_eq!(read(&spool), ["{\"n\":1}", "{\"n\":2}"]);
    assert!(spool.take_damage().is_empty(), "nobody was told that they are ours");
}

// D17: 10 GB of sealed segments, as far as their sizes go.
#[test]
fn a_start_with_a_large_backlog_reads_none_of_it() {
    let mut fixture = Fixture::new();
    fixture.limits = Limits { segment: 64, total: u64::MAX };
    let mut spool = fixture.open();
    let pad = "x".repeat(70);
    put(&mut spool, &[pad.as_str(); 20]);
    spool.close().unwrap();
    // Each with half a gigabyte behind its end, of which it is only known that it is not ours.
    for number in 1..=20 {
        let file = fs::OpenOptions::new().write(true).open(fixture.path(number)).unwrap();
        file.set_len(512 << 20).unwrap();
    }
    let begun = std::time::Instant::now();
    let spool = fixture.open();
    assert!(begun.elapsed().as_secs() < 2, "{:?}", begun.elapsed());
    assert_eq!(read(&spool).len(), 20);
}

#[test]
fn a_sealed_segment_that_was_cut_is_a_gap_from_there_on() {
    let fixture = Fixture::new();
    let mut spool = fixture.open();
    put(&mut spool, &["{\"n\":1}", "{\"n\":2}"]);
    spool.close().unwrap();
    fs::write(fixture.path(1), "{\"n\":1}\n{\"n").unwrap();
    let mut spool = fixture.open();
    assert_eq!(read(&spool), ["{\"n\":1}", "-8"]);
    assert!(spool.take_damage()[0].contains("has lost its last 8 bytes"));
}

#[test]
fn a_flipped_bit_is_told_and_nothing_is_held_back() {
    let fixture = Fixture::new();
    let mut spool = fixture.open();
    put(&mut spool, &["{\"n\":1}", "{\"n\":2}"]);
    spool.close().unwrap();
    fs::write(fixture.path(1), "{\"n\":1}\n{\"n\":3}\n").unwrap();
    let mut spool = fixture.open();
    assert!(spool.take_damage().is_empty(), "a start does not read all of a large spool");
    spool.verify_next();
    assert!(spool.take_damage()[0].contains("was changed on disk"));
    assert_eq!(read(&spool).len(), 2);
    spool.verify_next();
    assert!(spool.take_damage().is_empty());
}

#[test]
fn a_segment_that_is_changed_under_its_reader_is_set_aside() {
    let fixture = Fixture::new();
    let mut spool = fixture.open();
    put(&mut spool, &["{\"n\":1}", "{\"n\":2}"]);
    let mut reader = Reader::new(spool.log().clone(), 1000, BTreeMap::new());
    assert_eq!(read_from(&mut reader).len(), 2);
    let mut file = fs::OpenOptions::new().write(true).open(fixture.path(1)).unwrap();
    file.write_all(b"garbage").unwrap();
    put(&mut spool, &["{\"n\":3}"]);
    assert!(read_from(&mut reader).is_empty());
    spool.look_into_suspicions();
    assert_eq!(read_from(&mut reader), ["-8"]);
    assert_eq!(fixture.files(), ["00000000000000000001.damaged"]);
    put(&mut spool, &["{\"n\":4}"]);
    assert_eq!(read_from(&mut reader), ["{\"n\":4}"]);
}

#[test]
fn unknown_files_are_left_alone_and_links_are_refused() {
    let fixture = Fixture::new();
    drop(fixture.open());
    fs::write(fixture.spool_dir().join("notes.txt"), "mine").unwrap();
    drop(fixture.open());
    assert_eq!(fs::read(fixture.spool_dir().join("notes.txt")).unwrap(), b"mine");
    let target = fixture.dir.path().join("target");
    fs::write(&target, "{}\n").unwrap();
    std::os::unix::fs::symlink(&target, fixture.path(7)).unwrap();
    assert!(fixture.try_open(&HashMap::new()).unwrap_err().to_string().contains("00000000000000000007.ndjson"));
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let fixture = Fixture::new();
    let mut spool = fixture.open();
    put(&mut spool, &["{\"n\":1}"]);
    // As a full disk does: the file cannot be written to any more, and no other can be made.
    spool.current.as_mut().unwrap().file = fs::File::open("/dev/full").unwrap();
    fs::remove_dir_all(fixture.catalog().parent().unwrap()).unwrap();
    fs::write(fixture.catalog().parent().unwrap(), "").unwrap();
    assert!(matches!(spool.append(b"{\"n\":2}\n", true), Err(SpoolAppendError::Io(_))));
    assert_eq!(read(&spool), ["{\"n\":1}"], "what was refused is not visible");
    assert!(spool.catalog_failure().is_some());
    fs::remove_file(fixture.catalog().parent().unwrap()).unwrap();
    put(&mut spool, &["{\"n\":3}"]);
    assert_eq!(read(&spool), ["{\"n\":1}", "{\"n\":3}"]);
    assert!(spool.catalog_failure().is_none());
}

#[test]
fn a_reader_that_stands_in_a_segment_goes_on_there_after_a_restart() {
    let fixture = Fixture::new();
    let mut spool = fixture.open();
    put(&mut spool, &["{\"n\":1}", "{\"n\":2}"]);
    drop(spool);
    let file = identity::OpenFile::open(&fixture.path(1)).unwrap().file;
    let cursor = identity::cursor_at(&file, 8).unwrap();
    let spool = fixture.try_open(&HashMap::from([(SegmentId(1), vec![cursor])])).unwrap();
    let mut reader = Reader::new(spool.log().clone(), 1000, BTreeMap::from([(SegmentId(1), cursor)]));
    assert_eq!(read_from(&mut reader), ["{\"n\":2}"]);
}
