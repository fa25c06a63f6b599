//! The task that copies the lines of a file source into its spool as they come (`spool: true`).
//!
//! It follows the tailed files as a forwarder does, at cursors of its own, and nothing of a file is released before it
//! is past it. What always holds: where it is about to copy is written down before the lines go to the spool
//! ([`CopyJournal`]), and a position counts as copied once the spool has the lines, as far as `sync` promises. Where the
//! spool is full it stops: the files are the queue then, as they are without a spool.

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    copy_journal::{self, CopiedGroup, CopyJournal},
    framing::FramedItem,
    spool_writer::{SpoolLines, SpoolWriter},
    stats::IntakeRefusal,
};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    config::SourceFraming,
    log::{
        AnchoredRange, Cursor, ItemKind, Log, LogItem, LostRange, Reader, SegmentId, SegmentRange, Span, Take, Unread,
    },
};

/// Bytes read before they are put together.
const GROUP: usize = 512 * 1024;

/// How often what is copied is made durable and reported, so that files can be released.
const SETTLE: Duration = Duration::from_secs(1);

/// The name under which it stands on the board of the tailed log.
pub const FOLLOWER: &str = "spool";

pub struct Copier {
    spool_writer: SpoolWriter,
    /// Taken only while it is at work where blocking is allowed.
    work: Option<CopyWork>,
    subject: AlarmSubject,
}

/// What blocks on the file system.
struct CopyWork {
    files: Log,
    spool: Log,
    copied: CopyJournal,
    /// How much the spool had of the copy that was pending, before it released anything.
    there: Option<u64>,
    reader: Option<Reader>,
    longest: usize,
    /// Bytes that are put together, unless one line has more.
    group: usize,
    settled: Instant,
}

/// What is to be put, or why there is nothing.
#[derive(Default)]
struct Group {
    lines: Bytes,
    gap: Option<LostRange>,
    /// The position could not be written down, or a line not be read.
    failure: Option<io::Error>,
    is_last: bool,
}

impl Copier {
    pub fn new(files: Log, spool: Log, copied: CopyJournal, spool_writer: SpoolWriter) -> Self {
        files.release_gate.add_follower(FOLLOWER);
        let subject = AlarmSubject::copier(&spool_writer.name);
        let work = CopyWork::new(files, spool, copied, spool_writer.longest(), spool_writer.part().min(GROUP));
        Self { spool_writer, work: Some(work), subject }
    }

    /// Copies until it is told to stop, and then what is there still.
    pub async fn run(mut self, stop: CancellationToken) {
        let Some(work) = &self.work else { return };
        let mut changes = work.files.changes();
        loop {
            let group = self.with(CopyWork::next).await;
            let tried = group.failure.is_none();
            self.report_group(&group);
            if !group.lines.is_empty() && self.spool_writer.put(group.lines, &stop).await.is_err() {
                return; // What is not in the spool is in the files, and copied after the next start.
            }
            if group.is_last {
                if stop.is_cancelled() {
                    break;
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    // Closed where the scanner has ended: the stop follows.
                    _ = changes.changed(), if tried && changes.has_changed().is_ok() => {}
                    () = sleep(SETTLE) => {}
                }
            }
        }
        self.with(CopyWork::settle).await;
    }

    fn report_group(&self, group: &Group) {
        if let Some(gap) = group.gap {
            let (bytes, segment) = (gap.known_bytes(), gap.range.segment);
            let mut text = format!(
                "{bytes} bytes of segment {segment} were gone from their file before they were copied to the spool: they can never be delivered"
            );
            if gap.is_unknown {
                text.push_str("; nor can what was added behind them and not seen, nobody knows how much");
            }
            self.spool_writer.refuse(IntakeRefusal::Gone, &text);
        }
        let alarms = &self.spool_writer.alarms;
        match &group.failure {
            Some(failure) => {
                let text = format!("nothing is copied to the spool, and the files are the queue: {failure}");
                if alarms.raise(&self.subject, AlarmKind::State, &*text, Timestamp::now()) {
                    error!(source = &*self.spool_writer.name, "{text}");
                }
            }
            None => {
                alarms.clear(&self.subject, AlarmKind::State);
            }
        }
    }

    async fn with<T: Send + 'static>(&mut self, does: impl FnOnce(&mut CopyWork) -> T + Send + 'static) -> T {
        let mut work = self.work.take().expect("only a call that blocks takes it, and gives it back");
        let done = tokio::task::spawn_blocking(move || {
            let result = does(&mut work);
            (work, result)
        });
        let (work, result) = done.await.expect("the copier does not panic");
        self.work = Some(work);
        result
    }
}

impl CopyWork {
    /// To be made before the spool's task runs, which releases what is delivered.
    fn new(files: Log, spool: Log, copied: CopyJournal, longest: usize, group: usize) -> Self {
        let there = copied.pending().map(|copy| copy_journal::bytes_behind(&spool, copy.behind));
        Self { files, spool, copied, there, reader: None, longest, group, settled: Instant::now() }
    }

    /// Reads what is to be copied next and writes down that it will be. What it gave before is in the spool.
    fn next(&mut self) -> Group {
        if !self.files.was_scanned() {
            return Group { is_last: true, ..Group::default() };
        }
        if self.reader.is_none() {
            self.resume();
        }
        self.copied.done();
        if self.settled.elapsed() >= SETTLE {
            self.settle();
        }
        let Some(reader) = &mut self.reader else { return Group { is_last: true, ..Group::default() } };
        let mut read = CopyReading::new(self.files.clone(), self.group);
        reader.read(self.group, &mut |item| read.take(item));
        let anchored = |range: &SegmentRange| {
            let cursor = reader.cursor(range.segment).filter(|cursor| cursor.offset == range.end);
            AnchoredRange { range: *range, anchor: cursor.and_then(|cursor| cursor.anchor) }
        };
        let ranges: Vec<_> = read.span.0.iter().map(anchored).collect();
        if let Some((segment, _)) = &read.failed {
            reader.leave_alone(*segment);
        }
        let failure = read.failed.map(|(_, failure)| failure);
        if ranges.is_empty() {
            return Group { failure, is_last: true, ..Group::default() };
        }
        let bytes = read.lines.bytes.len() as u64;
        let copy = CopiedGroup { ranges, bytes, behind: copy_journal::end_of(&self.spool) };
        match self.copied.begin(copy) {
            Ok(()) => Group { lines: read.lines.bytes.into(), gap: read.gap, failure, is_last: false },
            Err(error) => {
                // From where it stands durably, once that works again.
                self.reader = None;
                let failure = Some(io::Error::new(error.kind(), format!("its position cannot be written: {error}")));
                Group { failure, is_last: true, ..Group::default() }
            }
        }
    }

    /// Takes up what was left: what the spool has of the last copy is not copied again.
    fn resume(&mut self) {
        if let Some(copy) = self.copied.pending().cloned() {
            let there = self.there.take().unwrap_or_else(|| copy_journal::bytes_behind(&self.spool, copy.behind));
            if there >= copy.bytes {
                self.copied.done();
            } else {
                let cursors = self.part(&copy, there);
                info!(source = %self.files.name, bytes = there, of = copy.bytes, "a copy to the spool was cut short: it is gone on with");
                self.copied.done_up_to(cursors);
            }
        }
        self.reader = Some(Reader::new(self.files.clone(), self.longest, self.copied.cursors().clone()));
    }

    /// Where the files stand behind the first bytes of a copy.
    fn part(&self, copy: &CopiedGroup, there: u64) -> BTreeMap<SegmentId, Cursor> {
        let mut cursors: BTreeMap<SegmentId, Cursor> = BTreeMap::new();
        if there == 0 {
            return cursors;
        }
        let mut reader = Reader::new(self.files.clone(), self.longest, BTreeMap::new());
        let mut read = CopyReading::new(self.files.clone(), usize::MAX);
        let span = Span(copy.ranges.iter().map(|anchored| anchored.range).collect());
        let again = reader.read_again(&span, &mut |item| {
            read.take(item);
            if read.lines.bytes.len() as u64 <= there {
                let ends = item.ranges().map(|range| (range.segment, Cursor { offset: range.end, anchor: None }));
                cursors.extend(ends);
            }
        });
        let failed = again.map_err(|error| error.to_string()).err();
        if let Some(error) = failed.or(read.failed.map(|(_, error)| error.to_string())) {
            warn!(source = %self.files.name, error, "what was copied last cannot be compared with the spool: some of it is copied again");
            return BTreeMap::new();
        }
        cursors
    }

    /// Makes the positions durable and says so, so that files can be released.
    fn settle(&mut self) {
        self.settled = Instant::now();
        let synced = self.copied.settle();
        if let Err(error) = synced {
            warn!(source = %self.files.name, %error, "where copying stands could not be synced; it is written anew");
            return;
        }
        let offsets = self.copied.cursors().iter().map(|(id, cursor)| (*id, cursor.offset)).collect();
        self.files.release_gate.report(FOLLOWER, offsets);
        self.copied.retain(&self.files);
    }
}

/// Lines as they are read, and where they stood.
struct CopyReading {
    files: Log,
    lines: SpoolLines,
    span: Span,
    gap: Option<LostRange>,
    failed: Option<(SegmentId, io::Error)>,
    /// More bytes are not put together.
    most: usize,
}

impl CopyReading {
    fn new(files: Log, most: usize) -> Self {
        let lines = SpoolLines::new(SourceFraming::Lines);
        Self { files, lines, span: Span::default(), gap: None, failed: None, most }
    }

    fn take(&mut self, item: LogItem<'_>) -> Take {
        let range = item.range;
        if !self.lines.bytes.is_empty() && self.lines.bytes.len() as u64 + item.bytes() > self.most as u64 {
            return Take::Not;
        }
        match item.kind {
            ItemKind::Line(bytes) | ItemKind::Foreign(bytes) => self.lines.add(&FramedItem::Record(bytes)),
            ItemKind::Blank | ItemKind::Other(_) => {}
            ItemKind::TooLong => match self.files.digest(range) {
                Ok(digest) => self.lines.add(&FramedItem::TooLong(digest)),
                Err(Unread::NotNow(error)) => {
                    self.failed = Some((range.segment, error));
                    return Take::Not;
                }
                Err(Unread::Gone(_)) => self.gap = Some(range.into()),
            },
            ItemKind::Gap { is_unknown } => self.gap = Some(LostRange { range, is_unknown }),
        }
        item.ranges().for_each(|range| self.span.push(range));
        if self.gap.is_some() { Take::Last } else { Take::More }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::log::spool::{Limits, Spool};

    #[test]
    fn what_the_spool_released_since_the_start_is_not_copied_again() {
        let dir = tempfile::tempdir().unwrap();
        let open = || {
            let limits = Limits { segment: 1000, total: 10_000 };
            Spool::open("app", &dir.path().join("spool"), &dir.path().join("catalog"), limits, &HashMap::new())
                .unwrap()
        };
        let range = SegmentRange { segment: SegmentId(1), start: 0, end: 9 };
        let copy = CopiedGroup { ranges: vec![range.into()], bytes: 9, behind: (SegmentId(0), 0) };
        let path = dir.path().join("copied");
        CopyJournal::open(&path, BTreeMap::new()).unwrap().begin(copy).unwrap();
        let mut spool = open();
        spool.append(b"evidence\n", true).unwrap();
        drop(spool);

        let mut spool = open();
        let log = spool.log().clone();
        let (files, _publish) = Log::new("app", "files");
        let copied = CopyJournal::open(&path, BTreeMap::new()).unwrap();
        let mut work = CopyWork::new(files, log.clone(), copied, 1000, GROUP);
        log.release_gate.add_follower("siem");
        log.release_gate.report("siem", log.segments().iter().map(|segment| (segment.id, segment.size())).collect());
        assert!(spool.release() && log.segments().is_empty());
        work.resume();
        assert_eq!((work.copied.pending(), work.copied.cursors()[&SegmentId(1)].offset), (None, 9));
    }
}
