//! The window without anything round it: each test plays the logs, the disk and the receiver.

#![expect(clippy::unwrap_used, reason = "a test")]

mod disk;
mod logs;
mod play;
mod properties;
mod refused;
mod restart;
mod stops;
mod verdicts;
mod writes;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    sync::LazyLock,
};

use bytes::Bytes;

use super::*;
use crate::forwarder::{
    batch::SealedBatch,
    compress::Digest,
    journal::{BatchRecord, Intent, JournalRecord, Outcome, tests::PlainJournal},
    judge::{Answer, Fate},
    stats::{Books, ForwarderState, Tally},
};
use logs::{Lines, Rules};

pub(super) const SOURCES: [&str; 2] = ["a", "b"];

/// A window, and what it deals with.
pub(super) struct World {
    pub(super) window: Window,
    pub(super) now: Instant,
    pub(super) config: config::Forwarder,
    pub(super) rules: Rules,
    pub(super) lines: Lines,
    pub(super) journal: PlainJournal,
    /// Where the lines begin that are dead letters, by source.
    pub(super) letters: BTreeSet<(String, u64)>,
    /// Lines that a rule kept back whenever they were read.
    pub(super) was_filtered: BTreeSet<(String, u64)>,
    /// No dead letter can be written.
    pub(super) is_full: bool,
    /// Asked for and not done.
    pub(super) writes: VecDeque<(WriteId, Vec<RecorderWrite>)>,
    pub(super) parts: VecDeque<(u64, Bytes)>,
    pub(super) to_read_again: Option<BatchRecord>,
    /// Sent and not answered.
    pub(super) wire: Vec<Transmission>,
    /// What the receiver has, in the order in which it came.
    pub(super) taken: Vec<(char, u64)>,
    /// Everything that the window asked for but for what is above, in words.
    pub(super) told: Vec<String>,
    pub(super) state: Option<ForwarderState>,
    pub(super) synced: usize,
    books: BTreeMap<String, Books>,
    /// What the books must say, by what was written: delivered, filtered, dead-lettered, bytes lost.
    expected: BTreeMap<String, [u64; 4]>,
    /// Something was read of `a` that is no batch yet.
    pub(super) has_draft: bool,
    /// The batches that the receiver has as a whole, since the last start.
    pub(super) taken_batches: Vec<u64>,
    /// Lines of which a test says that they are gone, or given up.
    pub(super) lost: BTreeSet<(String, u64)>,
    /// Letters that were written more than once.
    pub(super) repeated_letters: Vec<(String, u64)>,
    /// Alarms that are raised, by their subject and kind.
    pub(super) raised: BTreeSet<String>,
    /// Everything that the window asked for, where a test wants that.
    pub(super) history: Option<Vec<String>>,
}

pub(super) fn config() -> config::Forwarder {
    static CONFIG: LazyLock<config::Forwarder> = LazyLock::new(|| {
        let text = "sources: [{name: a, include: [/log/a]}, {name: b, include: [/log/b]}]\n\
                    forwarders: [{name: siem, uri: 'https://siem.test/', compression: none, \
                    retry: {initial: 1s, max: 1m, probe: 5m}}]";
        config::load_text("test.yaml", text, &|_| None).unwrap().forwarders.remove(0)
    });
    CONFIG.clone()
}

impl World {
    pub(super) fn new(change: impl FnOnce(&mut config::Forwarder)) -> Self {
        let mut config = config();
        change(&mut config);
        let journal = PlainJournal::new();
        let now = Instant::now();
        let mut world = Self {
            window: window(&config, &journal, now),
            now,
            config,
            rules: Rules::default(),
            lines: Lines::default(),
            journal,
            letters: BTreeSet::new(),
            was_filtered: BTreeSet::new(),
            is_full: false,
            writes: VecDeque::new(),
            parts: VecDeque::new(),
            to_read_again: None,
            wire: Vec::new(),
            taken: Vec::new(),
            told: Vec::new(),
            state: None,
            synced: 0,
            books: BTreeMap::new(),
            expected: BTreeMap::new(),
            has_draft: false,
            taken_batches: Vec::new(),
            lost: BTreeSet::new(),
            repeated_letters: Vec::new(),
            raised: BTreeSet::new(),
            history: None,
        };
        world.on(WindowEvent::Order(ForwarderOrder::Run));
        world
    }

    /// The process ends here and another begins with what is on disk. What was asked for and not done is lost.
    pub(super) fn crash(&mut self) {
        self.now += Duration::from_millis(10);
        self.window = window(&self.config, &self.journal, self.now);
        self.has_draft = false;
        self.writes.clear();
        self.parts.clear();
        self.wire.clear();
        (self.to_read_again, self.state) = (None, None);
        self.books.clear();
        self.expected.clear();
        self.raised.clear();
        self.told.clear();
        self.on(WindowEvent::Order(ForwarderOrder::Run));
    }

    pub(super) fn on(&mut self, event: WindowEvent) {
        for effect in self.window.on(event, self.now) {
            self.see(effect);
        }
        self.check();
    }

    fn see(&mut self, effect: WindowEffect) {
        self.history.iter_mut().for_each(|history| history.push(format!("{effect:?}")));
        match effect {
            WindowEffect::Write(id, writes) => {
                self.expect_beside(&writes);
                self.writes.push_back((id, writes));
            }
            WindowEffect::Send(transmission) => self.send(transmission),
            WindowEffect::Compress { n, body } => {
                self.parts.push_back((n, Bytes::copy_from_slice(body.bytes())));
            }
            WindowEffect::ReadAgain(record) => {
                assert!(self.to_read_again.replace(record).is_none(), "one at a time");
            }
            WindowEffect::Sync => self.synced += 1,
            WindowEffect::Recycle(_) => {}
            WindowEffect::Count { source, mut tally, filtered } => {
                tally.filtered(filtered.total());
                self.books.entry(source.to_string()).or_default().enter(&tally);
            }
            WindowEffect::CountBatch { events, .. } => self.told.push(format!("batch of {events}")),
            WindowEffect::Succeeded => self.told.push("succeeded".to_owned()),
            WindowEffect::Failed(text) => self.told.push(format!("failed: {text}")),
            WindowEffect::Raise(alarm) => {
                let name = format!("{} {}", alarm.subject("siem"), alarm.kind().name());
                self.told.push(format!("raise {name}: {alarm}"));
                self.raised.insert(name);
            }
            WindowEffect::Clear(subject, kind) => {
                let name = format!("{subject} {}", kind.name());
                self.told.push(format!("clear {name}"));
                self.raised.remove(&name);
            }
            WindowEffect::Log(notice) => {
                if let WindowNotice::SentAgain { n, .. } = &notice {
                    let known = self.journal.outstanding().iter().find(|batch| batch.n == *n).unwrap();
                    let BatchRecord { source, covers, .. } = known.clone();
                    self.expect(&source, [0, covers.filtered, covers.dead_lettered, 0]);
                }
                self.told.push(format!("log {notice:?}"));
            }
            WindowEffect::Show(state, _) => self.state = Some(state),
        }
    }

    /// Nothing is sent before its intent is written, and before the dead letters of its span are.
    fn send(&mut self, sent: Transmission) {
        let known = self.journal.outstanding().iter().find(|batch| batch.n == sent.n);
        let known = known.unwrap_or_else(|| panic!("batch {} is sent, and the journal does not know it", sent.n));
        assert_eq!(known.id.as_ref(), Some(&sent.id), "the id is the one that was written");
        assert_eq!(known.digest, Some(Digest::of(&sent.wire)), "the bytes are those that were announced");
        for line in known.span.iter().flat_map(|range| logs::lines_of(range.range)) {
            if self.rules.sets_aside(line) {
                assert!(self.letters.contains(&(known.source.clone(), line)), "line {line} is no dead letter yet");
            }
        }
        let already = self.wire.iter().find(|other| other.n == sent.n);
        assert!(already.is_none(), "batch {} is on its way twice", sent.n);
        assert!(self.wire.len() < self.config.in_flight, "more is on its way than may be");
        assert_ne!(self.window.order, ForwarderOrder::Stop, "nothing is sent after a stop");
        self.wire.push(sent);
    }

    /// What must hold after each step.
    fn check(&self) {
        for source in SOURCES {
            let books = self.books.get(source).copied().unwrap_or_default();
            let expected = self.expected.get(source).copied().unwrap_or_default();
            let counted = [books.delivered(), books.filtered(), books.dead_lettered(), books.gap_bytes()];
            assert_eq!(counted, expected, "delivered, filtered, dead-lettered and bytes lost of {source}");
        }
        let then = self.window.wake_at(self.now).filter(|_| !matches!(self.window.order, ForwarderOrder::Drain(_)));
        assert!(then.is_none_or(|then| then > self.now), "what is due is done");
        let detaching = self.window.queue.iter().filter(|arrival| matches!(arrival, Arrival::Detach(_))).count();
        let most = self.config.in_flight + AHEAD + detaching + 1;
        assert!(self.window.queue.len() + self.window.batches.len() <= most, "memory is bounded");
    }

    /// Does all that waits for the disk and the compressors.
    pub(super) fn settle_down(&mut self) {
        loop {
            if let Some((n, wire)) = self.parts.pop_front() {
                self.on(WindowEvent::Compressed { n, wire });
            } else if !self.write_one() {
                return;
            }
        }
    }

    /// So many lines arrive as one batch.
    pub(super) fn arrive(&mut self, source: &str, lines: u64) {
        let (batch, tally) = self.lines.read(source, lines, &self.rules, &self.config);
        self.note_filtered(&batch);
        self.enter(source, &tally);
        self.on(WindowEvent::Arrived(Arrival::Batch(batch)));
    }

    fn note_filtered(&mut self, batch: &SealedBatch) {
        let lines = batch.span.iter().flat_map(|range| logs::lines_of(range.range));
        let filtered = lines.filter(|line| self.rules.filtered.contains(line));
        self.was_filtered.extend(filtered.map(|line| (batch.source.to_string(), line)));
    }

    pub(super) fn enter(&mut self, source: &str, tally: &Tally) {
        self.books.entry(source.to_owned()).or_default().enter(tally);
    }

    /// The events of each request that is on its way.
    pub(super) fn sent(&self) -> Vec<Vec<u64>> {
        self.wire.iter().map(|sent| logs::events_in(&sent.wire).map(|(_, line)| line).collect()).collect()
    }

    /// The oldest request is answered; the receiver has its events where it says so. Then all that waits is done.
    pub(super) fn answer(&mut self, answer: Answer) {
        self.answer_at(0, answer);
        self.settle_down();
    }

    pub(super) fn answer_at(&mut self, index: usize, answer: Answer) {
        let sent = self.wire.remove(index);
        let events: Vec<_> = logs::events_in(&sent.wire).collect();
        let has_all = matches!(answer, Answer::Status { code: 200..=299, .. });
        self.taken_batches.extend(has_all.then_some(sent.n));
        match &answer {
            Answer::Status { code: 200..=299, premature: false, .. } => self.taken.extend(events),
            Answer::Items { fates, .. } => {
                assert_eq!(fates.len(), events.len(), "the test answers for each event");
                let taken = events.iter().zip(fates).filter(|(_, fate)| **fate == Fate::Delivered);
                self.taken.extend(taken.map(|(event, _)| *event));
            }
            Answer::Status { .. } | Answer::Failed { .. } => {}
        }
        let begun = self.now;
        self.now += Duration::from_millis(1);
        self.on(WindowEvent::Answered { n: sent.n, begun, answer });
    }

    /// Time passes, with a tick a second.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now = until.min(self.now + Duration::from_secs(1));
            self.on(WindowEvent::Tick { has_all_read: false });
        }
        self.settle_down();
    }

    /// The same while the disk does nothing.
    pub(super) fn pass_without_disk(&mut self, time: Duration) {
        self.now += time;
        self.on(WindowEvent::Woken);
        self.on(WindowEvent::Tick { has_all_read: false });
    }

    /// The batch that is to be read again is.
    pub(super) fn read_again(&mut self) {
        let record = self.to_read_again.take().expect("a batch is to be read again");
        let (batch, tally) = self.lines.again(&record, &self.rules, &self.config);
        self.note_filtered(&batch);
        self.on(WindowEvent::ReadAgain(Ok((batch, tally))));
    }

    pub(super) fn has_told(&self, text: &str) -> bool {
        self.told.iter().any(|told| told.contains(text))
    }

    pub(super) fn in_flight(&self, source: &str) -> u64 {
        self.books.get(source).map_or(0, Books::in_flight)
    }
}

fn window(config: &config::Forwarder, journal: &PlainJournal, now: Instant) -> Window {
    let sources = SOURCES.map(Arc::from).to_vec();
    let setup = WindowSetup {
        config: config.clone(),
        sources,
        recovered: journal.recovered(),
        rng: Rng::with_seed(journal.len() as u64),
        is_counted: false,
    };
    Window::new(setup, now)
}

pub(super) fn status(code: u16) -> Answer {
    Answer::Status { code, retry_after: None, excerpt: String::new(), premature: false }
}

pub(super) fn items(fates: impl Into<Vec<Fate>>) -> Answer {
    Answer::Items { code: 200, fates: fates.into(), excerpt: String::new() }
}
