//! Random steps of a world, and what it must come to.

use proptest::prelude::*;

use super::*;
use crate::{
    config::Framing,
    forwarder::judge::FailureKind,
    log::{SegmentId, SegmentRange, Unread},
};

#[derive(Clone, Debug)]
pub(super) enum Step {
    Arrive {
        source: bool,
        lines: u64,
    },
    Gap {
        lines: u64,
    },
    Detach,
    Write,
    SettleDown,
    Compress,
    ReadAgain(ReadAs),
    Answer {
        which: usize,
        what: What,
    },
    Pass {
        millis: u64,
    },
    FilesChanged,
    DiskFull(bool),
    /// The process dies; so many of the last records were not on disk.
    Crash {
        lost: usize,
    },
    /// The rules change, which is a stop and a start.
    Reload {
        seed: u64,
    },
    Drain,
}

#[derive(Clone, Debug)]
pub(super) enum ReadAs {
    Whole,
    NotNow,
    Gone,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// What a receiver that has its own mind about each event and about sizes says.
    Honest,
    /// The same, event by event, with some not taken this time.
    Items {
        seed: u64,
    },
    Status(u16),
    Failed(FailureKind),
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let read = prop_oneof![6 => Just(ReadAs::Whole), 1 => Just(ReadAs::NotNow), 1 => Just(ReadAs::Gone)];
    let what = prop_oneof![
        8 => Just(What::Honest),
        4 => any::<u64>().prop_map(|seed| What::Items { seed }),
        3 => prop::sample::select(vec![200u16, 400, 401, 404, 410, 413, 429, 503]).prop_map(What::Status),
        1 => prop::sample::select(vec![
            FailureKind::Timeout,
            FailureKind::Closed,
            FailureKind::Protocol,
            FailureKind::Reset { sending: true },
        ])
        .prop_map(What::Failed),
    ];
    let step = prop_oneof![
        12 => (any::<bool>(), 1u64..9).prop_map(|(source, lines)| Step::Arrive { source, lines }),
        1 => (1u64..4).prop_map(|lines| Step::Gap { lines }),
        1 => Just(Step::Detach),
        14 => Just(Step::Write),
        4 => Just(Step::SettleDown),
        6 => Just(Step::Compress),
        6 => read.prop_map(Step::ReadAgain),
        14 => (0usize..4, what).prop_map(|(which, what)| Step::Answer { which, what }),
        6 => (1u64..400_000).prop_map(|millis| Step::Pass { millis }),
        1 => Just(Step::FilesChanged),
        2 => any::<bool>().prop_map(Step::DiskFull),
        1 => (0usize..4).prop_map(|lost| Step::Crash { lost }),
        1 => any::<u64>().prop_map(|seed| Step::Reload { seed }),
        1 => Just(Step::Drain),
    ];
    prop::collection::vec(step, 1..150)
}

/// Rules that make something of each tenth line.
pub(super) fn rules(seed: u64) -> Rules {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut rules = Rules::default();
    for line in 0..1500 {
        match rng.u8(0..30) {
            0..2 => _ = rules.filtered.insert(line),
            2 => _ = rules.rejected.insert(line),
            3 => _ = rules.too_long.insert(line),
            _ => {}
        }
    }
    rules
}

/// The receiver refuses these whatever happens, until it is mended.
fn is_bad(event: u64) -> bool {
    event % 13 == 5
}

fn honest(events: &[u64], is_mended: bool) -> Answer {
    if events.len() > 6 {
        status(413)
    } else if !is_mended && events.iter().any(|event| is_bad(*event)) {
        status(400)
    } else {
        status(200)
    }
}

impl World {
    pub(super) fn step(&mut self, step: &Step) {
        // Reading begins where there is room, so there may be a draft from then on.
        self.has_draft |= self.window.room() > 0;
        match step {
            Step::Arrive { source, lines } => {
                let source = SOURCES[usize::from(*source)];
                let single = self.config.framing == Framing::Single;
                if self.window.room() > 0 {
                    self.arrive(source, if single { 1 } else { *lines });
                }
            }
            Step::Gap { lines } => {
                for _ in 0..*lines {
                    if self.window.room() > 0 {
                        let range = self.lines.take("b", 1)[0];
                        self.lose_lines("b", [range]);
                        self.on(WindowEvent::Arrived(Arrival::Gap("b".into(), range.into())));
                    }
                }
            }
            Step::Detach => self.detach_all(),
            Step::Write => _ = self.write_one(),
            Step::SettleDown => self.settle_down(),
            Step::Compress => {
                if let Some((n, wire)) = self.parts.pop_front() {
                    self.on(WindowEvent::Compressed { n, wire });
                }
            }
            Step::ReadAgain(how) => self.read_again_as(how),
            Step::Answer { which, what } if !self.wire.is_empty() => {
                let which = which % self.wire.len();
                let answer = self.decide(which, what);
                self.answer_at(which, answer);
            }
            Step::Answer { .. } => {}
            Step::Pass { millis } => {
                self.now += Duration::from_millis(*millis);
                self.on(WindowEvent::Tick { has_all_read: false });
            }
            Step::FilesChanged => self.on(WindowEvent::FilesChanged),
            Step::DiskFull(is_full) => self.is_full = *is_full,
            Step::Crash { lost } => self.lose(*lost),
            Step::Reload { seed } => self.reload(*seed),
            Step::Drain => {
                let until = self.now + Duration::from_secs(20);
                self.on(WindowEvent::Order(ForwarderOrder::Drain(until)));
            }
        }
    }

    fn read_again_as(&mut self, how: &ReadAs) {
        let Some(record) = &self.to_read_again else { return };
        let error = match how {
            ReadAs::Whole => return self.read_again(),
            ReadAs::NotNow => Unread::NotNow(io::Error::from(io::ErrorKind::PermissionDenied)),
            ReadAs::Gone => Unread::Gone("a test".to_owned()),
        };
        if matches!(how, ReadAs::Gone) {
            let (source, ranges) = (record.source.clone(), record.span.iter().map(|range| range.range));
            let ranges: Vec<_> = ranges.collect();
            self.lose_lines(&source, ranges);
        }
        self.to_read_again = None;
        self.on(WindowEvent::ReadAgain(Err(error)));
    }

    /// These may be a gap.
    fn lose_lines(&mut self, source: &str, ranges: impl IntoIterator<Item = SegmentRange>) {
        let lines = ranges.into_iter().flat_map(logs::lines_of);
        self.lost.extend(lines.map(|line| (source.to_owned(), line)));
    }

    fn decide(&mut self, which: usize, what: &What) -> Answer {
        let events = self.sent()[which].clone();
        match what {
            What::Items { seed } if events.len() > 1 => {
                let mut rng = fastrand::Rng::with_seed(*seed);
                let fate = |event: &u64| match rng.u8(0..4) {
                    _ if is_bad(*event) => Fate::Refused { status: 400, cause: String::new() },
                    0 => Fate::Again,
                    _ => Fate::Delivered,
                };
                items(events.iter().map(fate).collect::<Vec<_>>())
            }
            What::Honest | What::Items { .. } => honest(&events, false),
            What::Status(code) => status(*code),
            What::Failed(kind) => Answer::Failed { kind: *kind, text: "failed".to_owned() },
        }
    }

    /// A spool needs room: everything of `a` up to the end of its segment is given up. First comes a draft, whether or not
    /// there is room.
    fn detach_all(&mut self) {
        let in_segment = logs::SEGMENT / logs::LINE;
        let is_read = self.to_read_again.as_ref().is_some_and(|record| record.source == "a");
        if is_read || self.window.order != ForwarderOrder::Run || self.window.has_gap_queued() {
            return;
        }
        if std::mem::take(&mut self.has_draft) && self.window.restart.is_over() {
            self.arrive("a", 1);
        }
        let read = self.lines.count("a");
        let last = read.div_ceil(in_segment).max(1);
        let unread = self.lines.take("a", last * in_segment - read);
        self.lose_lines("a", unread.iter().copied());
        let left = self.window.restart.outstanding.iter().filter(|batch| batch.source == "a");
        let left: Vec<SegmentRange> = left.flat_map(|batch| &batch.span).map(|range| range.range).collect();
        self.lose_lines("a", left);
        let detachment = Detachment { source: "a".into(), last: SegmentId(last), unread };
        self.on(WindowEvent::Arrived(Arrival::Detach(detachment)));
    }

    /// The end of a process, and of what the disk had not taken. Reading goes on where the journal says.
    fn lose(&mut self, lost: usize) {
        self.forget_at_most(self.config.in_flight);
        self.journal.keep(self.journal.len().saturating_sub(lost));
        for source in SOURCES {
            let mut read = 0;
            while self.journal.offset(source, logs::range_of(read).segment) > logs::range_of(read).start {
                read += 1;
            }
            self.lines.go_back(source, read);
        }
        self.crash();
        self.on(WindowEvent::Scanned);
    }

    /// The receiver has no more batches that the journal has as outstanding than may be on their way.
    fn forget_at_most(&mut self, batches: usize) {
        let outstanding: BTreeSet<u64> = self.journal.outstanding().iter().map(|batch| batch.n).collect();
        let repeated: BTreeSet<u64> = self.taken_batches.drain(..).filter(|n| outstanding.contains(n)).collect();
        assert!(repeated.len() <= batches, "batches {repeated:?} will be sent again");
    }

    fn reload(&mut self, seed: u64) {
        self.on(WindowEvent::Order(ForwarderOrder::Stop));
        for _ in 0..100 {
            self.settle_down();
            if self.to_read_again.is_some() {
                self.read_again();
            } else if !self.wire.is_empty() {
                let answer = self.decide(0, &What::Honest);
                self.answer_at(0, answer);
            }
        }
        assert_eq!(self.window.end(true, false, self.now), Some(ForwarderEnd::Backlog), "a stop ends");
        self.rules = rules(seed);
        self.lose(0);
    }

    /// Everything is well from now on: all that was read is settled, and the window says that it is done.
    pub(super) fn heal(&mut self) {
        if let ForwarderOrder::Drain(until) = self.window.order {
            self.now = self.now.max(until);
            self.on(WindowEvent::Woken);
            assert!(self.window.end(false, false, self.now).is_some(), "a drain ends in time");
            self.lose(0);
        }
        self.is_full = false;
        for _ in 0..5000 {
            self.settle_down();
            if self.to_read_again.is_some() {
                self.read_again();
            } else if let Some(events) = self.sent().first().cloned() {
                self.answer_at(0, honest(&events, true));
            } else if self.window.is_empty() {
                break;
            } else {
                let then = self.window.wake_at(self.now);
                self.now = then.expect("what is not done waits for something").max(self.now);
                self.on(WindowEvent::Woken);
            }
        }
        self.on(WindowEvent::Tick { has_all_read: true });
        assert!(self.raised.is_empty(), "raised for ever: {:?}", self.raised);
        self.on(WindowEvent::Order(ForwarderOrder::Drain(self.now)));
        assert_eq!(self.window.end(true, false, self.now), Some(ForwarderEnd::Drained), "{:#?}", self.window);
    }

    /// Each line that was read is settled, once, and for a reason that can be seen from outside.
    pub(super) fn account(&self) {
        assert!(self.journal.outstanding().is_empty());
        for source in SOURCES {
            assert_eq!(self.in_flight(source), 0, "the books of {source} balance");
        }
        let taken: BTreeSet<(char, u64)> = self.taken.iter().copied().collect();
        let mut settled = BTreeSet::new();
        for span in self.journal.settled() {
            for line in span.ranges.iter().flat_map(|range| logs::lines_of(*range)) {
                let name = (span.source.clone(), line);
                assert!(settled.insert(name.clone()), "line {line} of {} is settled twice", span.source);
                let event = (span.source.chars().next().unwrap(), line);
                let is_letter = self.letters.contains(&name);
                let may_be_filtered = self.was_filtered.contains(&name);
                match span.outcome {
                    Some(Outcome::Gap) => assert!(self.lost.contains(&name), "{name:?} is a gap, and was there"),
                    Some(Outcome::DeadLettered) => assert!(is_letter || may_be_filtered, "{name:?} is no letter"),
                    Some(Outcome::Delivered | Outcome::Filtered) | None => {
                        let is_known = taken.contains(&event) || is_letter || may_be_filtered;
                        assert!(is_known, "{name:?} counts as settled, and nobody has it");
                    }
                }
            }
        }
        for source in SOURCES {
            let read = self.lines.count(source);
            let missing: Vec<u64> = (0..read).filter(|line| !settled.contains(&(source.to_owned(), *line))).collect();
            assert!(missing.is_empty(), "lines {missing:?} of {source} are settled by nothing");
        }
    }
}
