//! How far the lines of a file source are in its spool, durably.
//!
//! ```text
//! {"k":"at","v":1,"marks":[[3,4096,"256:…"]]}                         how far, when the file was last written anew
//! {"k":"copy","ranges":[[3,4096,8192,"256:…"]],"bytes":4096,"behind":[4294967296,812]}
//! {"k":"done"}                                                        the last copy is in the spool
//! ```
//!
//! A `copy` is written before its lines go to the spool: where they stood in the files, how many bytes they come to, and
//! where the spool ended. They go there one copy after the other, by nobody else; so every copy but the last is there
//! whole, and what the spool has behind that place is as much of the last as was written. A crash of the process thus
//! repeats nothing, unless within the second before `done` the spool released the segment that the last copy went to: then
//! nobody can tell any more, and it is copied twice. A power cut may take the last second of this file: those lines are copied twice.
//!
//! Lines are checksummed ([`crate::durable::lines`]). A torn or damaged one costs that one: what it said is copied again.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    durable::{
        self,
        lines::{self, ChecksummedLine, ChecksummedLines},
    },
    log::{Anchor, AnchoredRange, Cursor, Log, SegmentId},
};

/// The version of the format that this program writes.
const VERSION: u32 = 1;

/// It is written anew once it has so many bytes.
const MOST: u64 = 256 * 1024;

/// A place in the spool, behind which nothing is yet.
pub type End = (SegmentId, u64);

/// What is about to be put into the spool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedGroup {
    pub ranges: Vec<AnchoredRange>,
    /// How many bytes they come to in the spool.
    pub bytes: u64,
    pub behind: End,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "k", rename_all = "lowercase")]
enum CopyRecord {
    At {
        v: u32,
        #[serde(rename = "marks")]
        cursors: Vec<(SegmentId, u64, Option<Anchor>)>,
    },
    Copy(CopiedGroup),
    Done,
}

/// The file, and what it says.
#[derive(Debug)]
pub struct CopyJournal {
    path: PathBuf,
    /// `None` where it must be written anew: it is new, or was damaged.
    file: Option<File>,
    bytes: u64,
    cursors: BTreeMap<SegmentId, Cursor>,
    /// The last copy, of which nobody said yet whether it is in the spool.
    pending: Option<CopiedGroup>,
    /// The file ends with a copy of which it does not say that it is in the spool.
    untold: bool,
}

impl CopyJournal {
    /// Reads the file; `before` are the cursors where there is none yet.
    ///
    /// # Errors
    /// Those of reading, and a version that is newer than this program.
    pub fn open(path: &Path, before: BTreeMap<SegmentId, Cursor>) -> io::Result<Self> {
        let new = Self { path: path.to_owned(), file: None, bytes: 0, cursors: before, pending: None, untold: false };
        let file = match durable::read_file(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(new),
            Err(error) => return Err(error),
        };
        let mut copied = Self { cursors: BTreeMap::new(), ..new };
        let mut lines = ChecksummedLines::new(BufReader::new(file));
        while let Some(line) = lines.next_line()? {
            let ChecksummedLine::Whole { json, .. } = line else { continue };
            match serde_json::from_slice(json) {
                Ok(CopyRecord::At { v, .. }) if v > VERSION => {
                    return Err(io::Error::other(format!(
                        "{} is of version {v}, written by a newer auditpost",
                        path.display()
                    )));
                }
                Ok(CopyRecord::At { cursors, .. }) => {
                    let cursors = cursors.into_iter().map(|(id, offset, anchor)| (id, Cursor { offset, anchor }));
                    (copied.cursors, copied.pending) = (cursors.collect(), None);
                }
                Ok(CopyRecord::Copy(copy)) => {
                    copied.done();
                    copied.pending = Some(copy);
                }
                Ok(CopyRecord::Done) => copied.done(),
                Err(_) => {}
            }
        }
        Ok(copied)
    }

    /// How far the files are in the spool, without the copy of which that is not known.
    pub fn cursors(&self) -> &BTreeMap<SegmentId, Cursor> {
        &self.cursors
    }

    /// A copy that may be in the spool in part.
    pub fn pending(&self) -> Option<&CopiedGroup> {
        self.pending.as_ref()
    }

    /// Writes down what is about to be put. What was pending is in the spool.
    ///
    /// # Errors
    /// Those of writing: then it must not be put, and may be tried again.
    pub fn begin(&mut self, copy: CopiedGroup) -> io::Result<()> {
        self.done();
        if self.file.is_none() || self.bytes > MOST {
            self.write_anew()?;
        }
        self.write(&CopyRecord::Copy(copy.clone()))?;
        self.untold = true;
        self.pending = Some(copy);
        Ok(())
    }

    fn write(&mut self, record: &CopyRecord) -> io::Result<()> {
        let mut line = Vec::new();
        lines::encode(&mut line, record)?;
        let Some(file) = &mut self.file else { return Err(io::Error::other("it is not open")) };
        if let Err(error) = file.write_all(&line) {
            self.file = None; // It may end in half a line.
            return Err(error);
        }
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// What was pending is in the spool.
    pub fn done(&mut self) {
        for anchored in self.pending.take().into_iter().flat_map(|copy| copy.ranges) {
            self.cursors.insert(anchored.range.segment, anchored.end_cursor());
        }
    }

    /// Of what was pending only this is in the spool.
    pub fn done_up_to(&mut self, cursors: impl IntoIterator<Item = (SegmentId, Cursor)>) {
        self.pending = None;
        self.file = None;
        self.cursors.extend(cursors);
    }

    /// Makes it durable, and that what was pending is in the spool.
    ///
    /// # Errors
    /// Those of writing and syncing; then it is written anew the next time.
    pub fn settle(&mut self) -> io::Result<()> {
        self.done();
        if self.untold && self.file.is_some() {
            self.write(&CopyRecord::Done)?;
            self.untold = false;
        }
        let Some(file) = &self.file else { return Ok(()) };
        file.sync_data().inspect_err(|_| self.file = None)
    }

    /// Forgets the segments that are released.
    pub fn retain(&mut self, log: &Log) {
        let known: Vec<SegmentId> = log.segments().iter().map(|segment| segment.id).collect();
        // Numbers only grow: what is behind the newest known one is not published yet.
        let newest = known.last().copied();
        self.cursors.retain(|id, _| newest.is_none_or(|newest| *id > newest) || known.binary_search(id).is_ok());
    }

    fn write_anew(&mut self) -> io::Result<()> {
        self.file = None;
        let cursors = self.cursors.iter().map(|(id, cursor)| (*id, cursor.offset, cursor.anchor)).collect();
        let mut bytes = Vec::new();
        lines::encode(&mut bytes, &CopyRecord::At { v: VERSION, cursors })?;
        durable::replace(&self.path, &bytes)?;
        self.file = Some(durable::append_file(&self.path)?);
        self.bytes = bytes.len() as u64;
        self.untold = false;
        Ok(())
    }
}

/// Where a spool ends now.
pub fn end_of(spool: &Log) -> End {
    spool.segments().last().map_or((SegmentId(0), 0), |segment| (segment.id, segment.size()))
}

/// How many bytes a spool has behind a place.
pub fn bytes_behind(spool: &Log, (id, size): End) -> u64 {
    let segments = spool.segments();
    let behind = segments.iter().filter(|segment| segment.id >= id);
    behind.map(|segment| segment.size().saturating_sub(if segment.id == id { size } else { 0 })).sum()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::log::SegmentRange;

    fn copy(segment: u64, start: u64, end: u64) -> CopiedGroup {
        let range = SegmentRange { segment: SegmentId(segment), start, end };
        let anchor = Some(Anchor::of(&end.to_be_bytes()));
        CopiedGroup {
            ranges: vec![AnchoredRange { range, anchor }],
            bytes: end - start,
            behind: (SegmentId(9), start),
        }
    }

    #[test]
    fn every_copy_but_the_last_is_done_and_a_torn_line_never_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("copied");
        let before = BTreeMap::from([(SegmentId(7), Cursor { offset: 5, anchor: None })]);
        let mut copied = CopyJournal::open(&path, before.clone()).unwrap();
        assert_eq!(copied.cursors(), &before, "where others stood");
        for (segment, start, end) in [(1, 0, 10), (2, 0, 20), (1, 10, 30)] {
            copied.begin(copy(segment, start, end)).unwrap();
        }
        let mut again = CopyJournal::open(&path, BTreeMap::new()).unwrap();
        let offsets =
            |copied: &CopyJournal| copied.cursors().iter().map(|(id, m)| (id.0, m.offset)).collect::<Vec<_>>();
        assert_eq!(offsets(&again), [(1, 10), (2, 20), (7, 5)]);
        assert_eq!(again.pending(), Some(&copy(1, 10, 30)));
        again.done();
        assert_eq!(offsets(&again), [(1, 30), (2, 20), (7, 5)]);
        assert_eq!(again.cursors()[&SegmentId(1)].anchor, copy(1, 10, 30).ranges[0].anchor);

        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let mut torn = CopyJournal::open(&path, BTreeMap::new()).unwrap();
        assert_eq!(torn.pending(), Some(&copy(2, 0, 20)));
        // What comes next is not written behind half a line.
        torn.done_up_to([]);
        torn.begin(copy(3, 0, 1)).unwrap();
        let again = CopyJournal::open(&path, BTreeMap::new()).unwrap();
        assert_eq!((offsets(&again), again.pending()), (vec![(1, 10), (7, 5)], Some(&copy(3, 0, 1))));
    }

    #[test]
    fn what_was_settled_is_not_pending_any_more() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("copied");
        let mut copied = CopyJournal::open(&path, BTreeMap::new()).unwrap();
        copied.begin(copy(1, 0, 10)).unwrap();
        copied.settle().unwrap();
        let size = std::fs::metadata(&path).unwrap().len();
        copied.settle().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), size, "nothing is written where nothing happened");
        let again = CopyJournal::open(&path, BTreeMap::new()).unwrap();
        assert_eq!((again.pending(), again.cursors()[&SegmentId(1)].offset), (None, 10));
        copied.begin(copy(1, 10, 20)).unwrap();
        assert_eq!(CopyJournal::open(&path, BTreeMap::new()).unwrap().pending(), Some(&copy(1, 10, 20)));
    }

    #[test]
    fn it_stays_small() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("copied");
        let mut copied = CopyJournal::open(&path, BTreeMap::new()).unwrap();
        for n in 0..10_000 {
            copied.begin(copy(1, n, n + 1)).unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() < MOST + 1000);
        let mut again = CopyJournal::open(&path, BTreeMap::new()).unwrap();
        again.done();
        assert_eq!(again.cursors()[&SegmentId(1)].offset, 10_000);
    }
}
