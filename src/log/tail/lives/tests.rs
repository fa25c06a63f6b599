//! A life's ways from one place to another, and what its file is found under.

use std::fs;

use super::*;
use crate::log::{catalog::CompressedOrigin, identity::FileStat, position::Cursor};

/// Every place, by its name in the table above [`Whereabouts`].
fn places() -> Vec<(&'static str, Whereabouts)> {
    vec![
        ("Sought", Whereabouts::Sought { later: None }),
        ("AtPath", Whereabouts::AtPath),
        ("Rotated", Whereabouts::Rotated),
        ("Deleted", Whereabouts::Deleted { since: Instant::now() }),
        ("ContentLost", Whereabouts::ContentLost { later: None }),
        ("Gone", Whereabouts::Gone),
        ("Released", Whereabouts::Released),
    ]
}

#[test]
fn the_table_says_which_ways_there_are() {
    let table = include_str!("whereabouts.rs");
    for (from, place) in places() {
        let row = table.lines().find_map(|line| line.strip_prefix(&format!("//! | `{from}` | "))).unwrap();
        for (to, other) in places().into_iter().filter(|(to, _)| *to != from) {
            assert_eq!(row.contains(&format!("`{to}`")), place.may_become(&other), "{from} to {to}");
        }
    }
}

struct Fixture {
    dir: tempfile::TempDir,
    lives: FileLives,
}

impl Fixture {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), lives: FileLives::new(SegmentId(1)) }
    }

    fn file(&self, name: &str) -> OpenFile {
        let path = self.dir.path().join(name);
        fs::write(&path, "line\n").unwrap();
        OpenFile::open(&path).unwrap()
    }

    fn begin(&mut self, opened: &OpenFile, content: ContentFile) -> SegmentId {
        let OpenFile { path, stat: FileStat { key, size, .. }, .. } = opened;
        let (id, lineage) = (self.lives.next_id(), path.as_path().into());
        let state = SegmentState::Active;
        let segment = Segment::new(id, lineage, Cursor::default(), *size, state, path.clone(), *key);
        let life = FileLife::begin(segment, opened, *size, content, Instant::now()).unwrap();
        self.lives.insert(life);
        id
    }

    fn owner(&self, key: &FileKey) -> Option<SegmentId> {
        self.lives.of_file(key).map(|life| life.segment.id)
    }
}

#[test]
fn a_file_belongs_to_the_newest_life_that_has_its_bytes_there() {
    let mut f = Fixture::new();
    let file = f.file("a.log");
    let key = file.stat.key;
    let old = f.begin(&file, ContentFile::Original);
    assert_eq!(f.owner(&key), Some(old));
    f.lives.advance(old, Whereabouts::ContentLost { later: None });
    assert_eq!(f.owner(&key), None, "its file has other bytes now");
    let new = f.begin(&file, ContentFile::Original);
    assert_eq!(f.owner(&key), Some(new));
    let copy = f.file("a.log.1");
    f.lives.rekey(old, OpenFile { path: copy.path.clone(), file: copy.file.clone(), stat: copy.stat }, false);
    f.lives.advance(old, Whereabouts::Rotated);
    assert_eq!((f.owner(&key), f.owner(&copy.stat.key)), (Some(new), Some(old)));
    f.lives.remove(old);
    assert_eq!((f.owner(&key), f.owner(&copy.stat.key)), (Some(new), None));
}

#[test]
fn what_was_restored_is_known_by_the_compressed_file_once_it_is_released() {
    let mut f = Fixture::new();
    let (compressed, restored) = (f.file("a.log.1.gz"), f.file("restored"));
    let (path, key) = (compressed.path.clone(), compressed.stat.key);
    let id = f.begin(&restored, ContentFile::Restored(CompressedOrigin { path, key, since: (0, 0) }));
    assert_eq!((f.owner(&key), f.owner(&restored.stat.key)), (Some(id), Some(id)));
    f.lives.advance(id, Whereabouts::Released);
    assert_eq!((f.owner(&key), f.owner(&restored.stat.key)), (Some(id), None));
    assert!(f.lives.segments().is_empty());
}

#[test]
fn the_catalog_is_behind_where_a_life_changes_in_what_it_keeps() {
    let mut f = Fixture::new();
    let file = f.file("a.log");
    let id = f.begin(&file, ContentFile::Original);
    let mut is_behind = |change: &dyn Fn(&mut FileLives)| {
        f.lives.saved(true);
        change(&mut f.lives);
        f.lives.is_dirty()
    };
    assert!(!is_behind(&|lives| lives.advance(id, Whereabouts::AtPath)));
    assert!(is_behind(&|lives| lives.rename(id, "b.log".into())));
    assert!(is_behind(&|lives| lives.advance(id, Whereabouts::Rotated)));
    assert!(!is_behind(&|lives| lives.advance(id, Whereabouts::Deleted { since: Instant::now() })));
    assert!(is_behind(&|lives| lives.seal(id)));
    assert!(is_behind(&|lives| lives.advance(id, Whereabouts::Released)));
    assert!(is_behind(&|lives| assert!(lives.begin_again(id, 9, Whereabouts::Rotated, Instant::now()).is_some())));
    assert!(!is_behind(&|lives| lives.touch_if(false)));
}

#[test]
fn a_number_is_given_once() {
    let mut f = Fixture::new();
    let file = f.file("a.log");
    let first = f.begin(&file, ContentFile::Original);
    f.lives.remove(first);
    let second = f.begin(&file, ContentFile::Original);
    f.lives.advance(second, Whereabouts::Released);
    let third = f.lives.begin_again(second, 9, Whereabouts::Rotated, Instant::now()).unwrap();
    assert_eq!([first, second, third], [SegmentId(1), SegmentId(2), SegmentId(3)]);
    assert_eq!(f.owner(&file.stat.key), Some(third));
    assert!(f.lives.get(second).is_none());
}
