//! The forwarder's recorder: what it writes down before and after it sends.
//!
//! What always holds: the dead letters of a batch are durable before its intent is written, its intent is written
//! before it is first sent, and a settlement is written when the receiver has it. All of it blocks on storage.

mod gap;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use jiff::Timestamp;
use tracing::{error, warn};

use super::{
    batch::{EventAt, RejectedLine},
    dead_letter::{DeadLetter, DeadLetters, LetterEnvelope, Reason},
    journal::{
        Advance, Coverage, CursorSet, Forget, Hold, HoldEnd, Intent, Journal, JournalAppendError, JournalRecord,
        Outcome, SetBy, Settled, UnixMillis,
    },
    judge::EventRefusal,
};
use crate::{
    alarm::{AlarmKind, AlarmSubject, Alarms},
    log::{AnchoredRange, Log, SegmentId, SegmentRange, Unread},
};

pub use write::RecorderWrite;

/// The storage of one forwarder. Shared between the blocking calls that its task has made: one writes, another syncs.
#[derive(Debug)]
pub struct Recorder {
    forwarder: String,
    journal: Mutex<Journal>,
    letters: Mutex<DeadLetters>,
    /// For each source, the last segment that it gave up and that its log was not told of.
    given_up: Mutex<BTreeMap<String, SegmentId>>,
    /// As the journal said last: to be asked where blocking is not allowed.
    is_degraded: AtomicBool,
    alarms: Arc<Alarms>,
}

impl Recorder {
    pub fn new(forwarder: &str, journal: Journal, letters: DeadLetters, alarms: Arc<Alarms>) -> Self {
        Self {
            forwarder: forwarder.to_owned(),
            is_degraded: AtomicBool::new(journal.degraded().is_some()),
            journal: Mutex::new(journal),
            letters: Mutex::new(letters),
            given_up: Mutex::default(),
            alarms,
        }
    }

    /// Makes the letters durable. On an error none counts, and what they belong to must wait.
    pub fn write_dead_letters(&self, log: &Log, dead: &[RejectedLine]) -> io::Result<()> {
        self.write_letters(log, &dead.iter().collect::<Vec<_>>())
    }

    /// The same for lines of a batch that is read again: most of them were written before it was first sent, but other
    /// rules may set others aside.
    pub fn write_missing_dead_letters(&self, log: &Log, dead: &[RejectedLine]) -> io::Result<()> {
        if dead.is_empty() {
            return Ok(());
        }
        let id = |dead: &RejectedLine| log.event_id(dead.range.segment, dead.range.start);
        let ids: Vec<String> = dead.iter().map(id).collect();
        let written = self.letters.lock().expect("nothing panics while it writes letters").written(&ids)?;
        let missing: Vec<_> = dead.iter().zip(&ids).filter(|(_, id)| !written.contains(*id)).collect();
        self.write_letters(log, &missing.into_iter().map(|(dead, _)| dead).collect::<Vec<_>>())
    }

    fn write_letters(&self, log: &Log, dead: &[&RejectedLine]) -> io::Result<()> {
        if dead.is_empty() {
            return Ok(());
        }
        let mut letters = self.letters.lock().expect("nothing panics while it writes letters");
        let now = Timestamp::now();
        let ids: Vec<String> = dead.iter().map(|dead| log.event_id(dead.range.segment, dead.range.start)).collect();
        let mut batch: Vec<DeadLetter<'_>> = Vec::new();
        for (dead, id) in dead.iter().zip(&ids) {
            let envelope = envelope(id, &log.name, dead, now);
            let payload = match &dead.payload {
                Some(payload) => payload.as_slice(),
                None => match log.record(dead.range, &dead.continued) {
                    Ok(mut record) => {
                        letters.write_stream(&envelope, &mut record)?;
                        continue;
                    }
                    Err(Unread::Gone(why)) => {
                        warn!(
                            forwarder = self.forwarder,
                            event_id = id,
                            why,
                            "the bytes of a dead letter are gone; it is written without them"
                        );
                        &[]
                    }
                    Err(Unread::NotNow(error)) => {
                        // The next scan finds out what became of its file.
                        log.scan_soon();
                        return Err(error);
                    }
                },
            };
            batch.push(DeadLetter { envelope, payload });
        }
        if batch.is_empty() { Ok(()) } else { letters.write(&batch) }
    }

    /// Makes durable that the receiver refuses this event. `encoded`: the event as it was sent, which stands in for the
    /// record where that cannot be read any more.
    pub fn dead_letter_refused(
        &self,
        log: &Log,
        event: &EventAt,
        encoded: &[u8],
        refusal: &EventRefusal,
    ) -> io::Result<()> {
        let mut payload = Vec::new();
        let read = log
            .record(event.range, &event.continued)
            .is_ok_and(|mut record| record.read_to_end(&mut payload).is_ok());
        let payload = if read { &payload } else { encoded };
        let event_id = log.event_id(event.range.segment, event.range.start);
        let detail = match refusal.reason {
            Reason::TooLarge => "the receiver finds the event alone too large",
            _ => "the receiver refuses the event alone",
        };
        let envelope = LetterEnvelope {
            event_id: &event_id,
            source: &log.name,
            reason: refusal.reason,
            status: refusal.status,
            excerpt: &refusal.excerpt,
            time: Timestamp::now(),
            detail,
        };
        let mut letters = self.letters.lock().expect("nothing panics while it writes letters");
        letters.write(&[DeadLetter { envelope, payload }])?;
        warn!(forwarder = self.forwarder, event_id, status = refusal.status, "{detail}: it is in the dead letters");
        Ok(())
    }

    pub fn record_intent(&self, mut intent: Intent) {
        intent.batch.at = UnixMillis::now();
        let batch = &intent.batch;
        let mut records = match intent.parent {
            None => self.first_positions(&batch.source, batch.span.iter().map(|range| range.range)),
            Some(_) => Vec::new(),
        };
        records.push(JournalRecord::Intent(intent));
        self.append(&records);
    }

    pub fn settle(&self, n: u64, outcome: Outcome, status: Option<u16>) {
        self.append(&[JournalRecord::Settled(Settled { n, outcome, status, at: UnixMillis::now() })]);
    }

    /// Reading moved over records that need no delivery.
    pub fn advance(&self, source: &str, span: Vec<AnchoredRange>, covers: Coverage) {
        let mut records = self.first_positions(source, span.iter().map(|range| range.range));
        let Coverage { dead_lettered, filtered, .. } = covers;
        let (source, at) = (source.to_owned(), UnixMillis::now());
        records.push(JournalRecord::Advance(Advance { source, span, dead_lettered, filtered, at }));
        self.append(&records);
    }

    /// The receiver refuses us from now on, for one of a closed set of reasons.
    pub fn held(&self, reason: &str, cause: &str) {
        let (reason, cause) = (reason.to_owned(), cause.to_owned());
        self.append(&[JournalRecord::Held(Hold { reason, cause, at: UnixMillis::now() })]);
    }

    /// It takes events again.
    pub fn hold_ended(&self) {
        self.append(&[JournalRecord::HoldEnded(HoldEnd { at: UnixMillis::now() })]);
    }

    /// Everything of a source up to and with this segment was announced, settled or recorded as a gap: the source's log
    /// may release it without this forwarder, once that is durable.
    pub fn detach_up_to(&self, source: &str, last: SegmentId) {
        self.detached().insert(source.to_owned(), last);
    }

    /// Makes all that was written durable, tells the logs what may be released, and forgets what was.
    pub fn sync(&self, logs: &[Log]) {
        // Before the sync begins: it covers what is written by now.
        let given_up: Vec<_> = logs.iter().filter_map(|log| Some((log, self.detached_and_written(log)?))).collect();
        let started = self.journal().start_sync();
        let done = started.run();
        let result = self.journal().finish_sync(done);
        let durable = result.is_ok();
        self.report_storage(result.err());
        for log in logs {
            let settled_cursors = self.journal().durable_cursors(&log.name);
            self.forget_released(log, &settled_cursors);
            log.release_gate.report(&self.forwarder, settled_cursors);
        }
        for (log, last) in given_up.into_iter().filter(|_| durable) {
            log.release_gate.detached(&self.forwarder, last);
            let mut waiting = self.detached();
            if waiting.get(&*log.name) == Some(&last) {
                waiting.remove(&*log.name);
            }
        }
    }

    /// The last segment that was given up, if the journal knows of every byte up to there.
    fn detached_and_written(&self, log: &Log) -> Option<SegmentId> {
        let last = *self.detached().get(&*log.name)?;
        let journal = self.journal();
        let cursors = journal.read_cursors(&log.name);
        let stands = |id: &SegmentId| cursors.and_then(|cursors| cursors.get(id)).map(|cursor| cursor.offset);
        let segments = log.segments();
        let mut given_up = segments.iter().take_while(|segment| segment.id <= last);
        given_up.all(|segment| stands(&segment.id).unwrap_or(segment.start.offset) >= segment.size()).then_some(last)
    }

    /// How many bytes of each segment are settled, wherever they stand in it.
    pub fn settled_bytes(&self, source: &str) -> BTreeMap<SegmentId, u64> {
        let journal = self.journal();
        let cursors = journal.read_cursors(source).into_iter().flatten();
        let mut settled: BTreeMap<_, _> = cursors.map(|(segment, cursor)| (*segment, cursor.offset)).collect();
        let outstanding = journal.outstanding().iter().filter(|batch| *batch.source == *source);
        for range in outstanding.flat_map(|batch| batch.span.iter().map(|anchored| anchored.range)) {
            if let Some(bytes) = settled.get_mut(&range.segment) {
                *bytes = bytes.saturating_sub(range.len());
            }
        }
        settled
    }

    /// The journal cannot be written. Does not block.
    pub fn is_degraded(&self) -> bool {
        self.is_degraded.load(Ordering::Acquire)
    }

    /// Segments that are met for the first time and do not begin at 0: the journal must know where reading began.
    fn first_positions(&self, source: &str, ranges: impl Iterator<Item = SegmentRange>) -> Vec<JournalRecord> {
        let journal = self.journal();
        let known = journal.read_cursors(source);
        let mut records: Vec<JournalRecord> = Vec::new();
        let mut met = BTreeSet::new();
        for SegmentRange { segment, start: offset, .. } in ranges {
            if met.insert(segment) && offset > 0 && known.is_none_or(|known| !known.contains_key(&segment)) {
                let (source, by, at) = (source.to_owned(), SetBy::StartAt, UnixMillis::now());
                records.push(JournalRecord::CursorSet(CursorSet { source, segment, offset, by, at }));
            }
        }
        records
    }

    fn forget_released(&self, log: &Log, known: &BTreeMap<SegmentId, u64>) {
        if !log.was_scanned() {
            return;
        }
        let published = log.segments();
        let released = |id: &&SegmentId| published.binary_search_by_key(*id, |segment| segment.id).is_err();
        // A segment that was given up may go before the batches that were read from it are settled.
        let outstanding: BTreeSet<SegmentId> = self
            .journal()
            .outstanding()
            .iter()
            .filter(|batch| *batch.source == *log.name)
            .flat_map(|batch| batch.span.iter().map(|range| range.range.segment))
            .collect();
        let settled = |id: &&SegmentId| !outstanding.contains(id);
        let segments: Vec<SegmentId> = known.keys().filter(released).filter(settled).copied().collect();
        if !segments.is_empty() {
            self.append(&[JournalRecord::Forget(Forget {
                source: log.name.to_string(),
                segments,
                at: UnixMillis::now(),
            })]);
        }
    }

    fn append(&self, records: &[JournalRecord]) {
        let result = self.journal().append(records);
        match result {
            Ok(()) => {}
            Err(JournalAppendError::Storage(error)) => self.report_storage(Some(error)),
            Err(JournalAppendError::Refused(why)) => {
                error!(
                    forwarder = self.forwarder,
                    why, "a bug: the journal does not take a record; after a restart events may be sent again"
                );
            }
        }
    }

    fn report_storage(&self, error: Option<io::Error>) {
        let (incident, is_degraded) = {
            let mut journal = self.journal();
            (journal.take_incident(), journal.degraded().is_some())
        };
        self.is_degraded.store(is_degraded, Ordering::Release);
        let subject = self.subject();
        if let Some(text) = error.map(|error| error.to_string()).or(incident) {
            let text = format!(
                "the journal cannot be written ({text}); delivery goes on, a crash now would send events again, and files are kept until it can be"
            );
            if self.alarms.raise(&subject, AlarmKind::State, &*text, Timestamp::now()) {
                error!(forwarder = self.forwarder, "{text}");
            }
        } else if !is_degraded {
            self.alarms.clear(&subject, AlarmKind::State);
        }
    }

    fn subject(&self) -> AlarmSubject {
        AlarmSubject::forwarder(&self.forwarder)
    }

    fn detached(&self) -> MutexGuard<'_, BTreeMap<String, SegmentId>> {
        self.given_up.lock().expect("nothing panics while it holds what was given up")
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().expect("nothing panics while it holds the journal")
    }
}

fn envelope<'a>(event_id: &'a str, source: &'a str, dead: &'a RejectedLine, time: Timestamp) -> LetterEnvelope<'a> {
    LetterEnvelope { event_id, source, reason: dead.reason, status: None, excerpt: "", time, detail: &dead.detail }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests;
