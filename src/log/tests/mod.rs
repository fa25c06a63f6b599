//! The tailed log and its reader on real files, scan by scan.

mod absorb;
mod compressions;
mod copies;
mod cut_records;
mod data_end;
mod known;
mod late;
mod left_behind;
mod links;
mod marked_copies;
mod model;
mod names;
mod packed;
mod places;
mod races;
mod rotation;
mod torn;
mod truncation;
mod turns;
mod unseen;
mod vanished;
mod was_empty;

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub(super) use self::model::FilePacker;
use super::{
    Cursor, ItemKind, Log, LostRange, ReadEnd, Reader, Segment, SegmentId, SegmentState, Take, identity,
    tail::{FoundPaths, Tail, TailFacts},
};
use crate::config::{FileSource, StartAt};

/// A directory with files, the log that tails them and one forwarder's reader.
struct Bench {
    dir: tempfile::TempDir,
    source: FileSource,
    /// How many descriptors may be held for files at their path.
    pins: usize,
    tail: Option<Tail>,
    log: Option<Log>,
    reader: Option<Reader>,
    cursors: BTreeMap<SegmentId, Cursor>,
    include: Box<dyn Fn(&OsStr) -> bool>,
    gap_bytes: u64,
    /// Gaps of which nobody knows how large they are.
    unknown_gaps: u64,
    /// As told by the tails that came before the present one.
    truncations_before: u64,
    blank_bytes: u64,
    too_long: Vec<u64>,
}

const MAX_LINE: usize = 600 * 1024;

impl Bench {
    /// Tails the files for whose names `include` holds; nothing is sealed unless the test says so.
    fn new(include: impl Fn(&str) -> bool + 'static) -> Self {
        Self::starting_at(StartAt::Beginning, include)
    }

    fn starting_at(start_at: StartAt, include: impl Fn(&str) -> bool + 'static) -> Self {
        Self::including(start_at, move |name| include(&name.to_string_lossy()))
    }

    /// The same with names that may be no UTF-8.
    fn including(start_at: StartAt, include: impl Fn(&OsStr) -> bool + 'static) -> Self {
        let source = FileSource { start_at, ..FileSource::of_tests(vec![]) };
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        Self {
            dir,
            source,
            pins: 100,
            tail: None,
            log: None,
            reader: None,
            cursors: BTreeMap::new(),
            include: Box::new(include),
            gap_bytes: 0,
            unknown_gaps: 0,
            truncations_before: 0,
            blank_bytes: 0,
            too_long: Vec::new(),
        }
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join("logs").join(name)
    }

    fn append(&self, name: &str, text: &str) -> File {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// Starts where it was stopped.
    fn start(&mut self) -> &mut Self {
        let cursors_of_forwarders: HashMap<_, _> =
            self.cursors.iter().map(|(id, cursor)| (*id, vec![*cursor])).collect();
        let state = self.dir.path().join("state");
        fs::create_dir_all(&state).unwrap();
        let (tail, log) =
            Tail::open("t", self.source.clone(), &state, &state, &cursors_of_forwarders, self.pins).unwrap();
        log.release_gate.add_follower("f");
        self.reader = Some(Reader::new(log.clone(), MAX_LINE, self.cursors.clone()));
        (self.tail, self.log) = (Some(tail), Some(log));
        self
    }

    /// As `kill -9` would: nothing is written any more.
    fn kill(&mut self) {
        self.remember();
        self.truncations_before = self.truncations();
        (self.tail, self.log, self.reader) = (None, None, None);
    }

    fn stop(&mut self) {
        self.remember();
        self.truncations_before = self.truncations();
        self.tail.take().unwrap().close();
        (self.log, self.reader) = (None, None);
    }

    fn scan(&mut self) {
        let mut paths: Vec<PathBuf> = fs::read_dir(self.dir.path().join("logs"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| (self.include)(path.file_name().unwrap()))
            .collect();
        paths.sort();
        self.tail.as_mut().unwrap().scan(FoundPaths { paths, ..FoundPaths::default() });
    }

    fn find_nothing(&mut self, unreadable: &Path) {
        let error = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        self.tail
            .as_mut()
            .unwrap()
            .scan(FoundPaths { unreadable: vec![(unreadable.to_owned(), error)], ..FoundPaths::default() });
    }

    /// Reads all that is whole now.
    fn read(&mut self) -> Vec<String> {
        self.read_at_most(usize::MAX)
    }

    fn read_at_most(&mut self, most: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let (mut gap, mut unknown, mut blank, mut long) = (0, 0, 0, Vec::new());
        let end = self.reader.as_mut().unwrap().read(usize::MAX, &mut |item| match item.kind {
            ItemKind::Line(bytes) => {
                if lines.len() == most {
                    return Take::Not;
                }
                lines.push(String::from_utf8_lossy(bytes).into_owned());
                Take::More
            }
            ItemKind::Blank => {
                blank += item.range.len();
                Take::More
            }
            ItemKind::Foreign(_) | ItemKind::Other(_) => panic!("these are lines"),
            ItemKind::TooLong => {
                long.push(item.range.len());
                Take::More
            }
            ItemKind::Gap { is_unknown } => {
                gap += LostRange { range: item.range, is_unknown }.known_bytes();
                unknown += u64::from(is_unknown);
                Take::More
            }
        });
        assert!(end == ReadEnd::CaughtUp || lines.len() == most);
        self.gap_bytes += gap;
        self.unknown_gaps += unknown;
        self.blank_bytes += blank;
        self.too_long.extend(long);
        self.remember();
        self.settle();
        lines
    }

    /// Twice, for what is concluded from two scans; then reads.
    fn scan_and_read(&mut self) -> Vec<String> {
        self.scan();
        let mut lines = self.read();
        self.scan();
        lines.extend(self.read());
        lines
    }

    fn seal_at_once(&mut self) {
        self.source.seal_after = Duration::ZERO;
    }

    fn facts(&self) -> TailFacts {
        self.tail.as_ref().unwrap().facts()
    }

    /// Files that lost bytes that were seen in them, over all starts.
    fn truncations(&self) -> u64 {
        self.truncations_before + self.tail.as_ref().map_or(0, |tail| tail.facts().truncations)
    }

    fn segments(&self) -> usize {
        self.log.as_ref().unwrap().segments().len()
    }

    fn remember(&mut self) {
        let (Some(reader), Some(log)) = (&self.reader, &self.log) else { return };
        for segment in log.segments().iter() {
            if let Some(cursor) = reader.cursor(segment.id) {
                self.cursors.insert(segment.id, cursor);
            }
        }
    }

    fn settle(&mut self) {
        let offsets = self.cursors.iter().map(|(id, cursor)| (*id, cursor.offset)).collect();
        self.log.as_ref().unwrap().release_gate.report("f", offsets);
    }
}

fn numbers(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("line {n}\n")).collect()
}

fn lines(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("line {n}")).collect()
}

fn plain() -> Bench {
    Bench::new(|name| name == "a.log")
}

fn all() -> Bench {
    Bench::new(|name| name.starts_with("a.log"))
}
