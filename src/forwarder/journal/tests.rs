//! The journal against a model: one entry per byte.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use proptest::prelude::*;

use super::*;
use crate::{
    forwarder::compress::Digest,
    log::{AnchoredRange, SegmentId},
};

mod made;
mod plain;

pub(crate) use made::*;
pub(crate) use plain::PlainJournal;

/// What became of a byte that reading is past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Byte {
    Settled,
    Out(u64),
}

type Place = (String, SegmentId);

/// What the records mean, said as plainly as can be.
#[derive(Clone, Debug, Default)]
struct Model {
    bytes: BTreeMap<Place, Vec<Byte>>,
    /// Bytes that were settled once, whatever was done to cursors later.
    ever: BTreeMap<Place, BTreeSet<u64>>,
    /// How large a batch was when its intent was written.
    size: BTreeMap<u64, usize>,
}

impl Model {
    fn apply(&mut self, record: &JournalRecord) {
        match record {
            JournalRecord::Intent(intent) => {
                let batch = &intent.batch;
                assert_eq!(self.of(batch.n), 0);
                if let Some(BatchParent::Replaces(n)) = intent.parent {
                    self.size.remove(&n);
                }
                self.put(&batch.source, &batch.span, Byte::Out(batch.n));
                self.size.insert(batch.n, self.of(batch.n));
            }
            JournalRecord::Settled(settled) => {
                for byte in self.bytes.values_mut().flatten().filter(|byte| **byte == Byte::Out(settled.n)) {
                    *byte = Byte::Settled;
                }
            }
            JournalRecord::Advance(advance) => self.put(&advance.source, &advance.span, Byte::Settled),
            JournalRecord::Gap(gap) => {
                self.put(&gap.source, &[range(gap.segment.0, gap.start, gap.end.unwrap())], Byte::Settled)
            }
            JournalRecord::Forget(forget) => {
                for segment in &forget.segments {
                    self.bytes.remove(&(forget.source.clone(), *segment));
                }
            }
            JournalRecord::ForgetSource(forget) => self.bytes.retain(|(source, _), _| *source != forget.source),
            JournalRecord::CursorSet(set) => {
                let bytes = vec![Byte::Settled; set.offset as usize];
                self.bytes.insert((set.source.clone(), set.segment), bytes);
            }
            JournalRecord::Held(_) | JournalRecord::HoldEnded(_) | JournalRecord::Letter(_) => {}
        }
        for (place, bytes) in &self.bytes {
            let ever = self.ever.entry(place.clone()).or_default();
            ever.extend((0u64..).zip(bytes).filter(|(_, byte)| **byte == Byte::Settled).map(|(at, _)| at));
        }
    }

    fn put(&mut self, source: &str, span: &[AnchoredRange], byte: Byte) {
        for AnchoredRange { range, .. } in span.iter().filter(|r| !r.range.is_empty()) {
            let bytes = self.bytes.entry((source.to_owned(), range.segment)).or_default();
            bytes.resize(bytes.len().max(range.end as usize), byte);
            bytes[range.start as usize..range.end as usize].fill(byte);
        }
    }

    fn of(&self, n: u64) -> usize {
        self.bytes.values().flatten().filter(|byte| **byte == Byte::Out(n)).count()
    }

    fn read_to(&self, source: &str, segment: u64) -> u64 {
        self.bytes.get(&(source.to_owned(), SegmentId(segment))).map_or(0, Vec::len) as u64
    }

    /// What was recovered is what the model says, to the byte.
    fn agrees(&self, recovered: &Recovered) {
        assert_eq!(self.bytes, bytes_of(recovered));
        for o in &recovered.outstanding {
            let whole = self.of(o.n) == self.size[&o.n];
            assert_eq!(o.id, whole.then(|| format!("id-{}", o.n)), "{o:?}");
            assert_eq!(o.digest, whole.then_some(Digest { crc32: o.n as u32, len: 9 }));
            assert!(!o.counted || o.covers == covers(&o.span), "{o:?}");
        }
        for (source, cursors) in &recovered.read_cursors {
            let starts = recovered.outstanding.iter().filter(|o| o.source == *source).flat_map(|o| &o.span);
            let mut last = BTreeMap::new();
            for r in starts {
                let before = last.insert(r.range.segment, r.range.end).unwrap_or(0);
                assert!(before <= r.range.start && r.range.end <= cursors[&r.range.segment].offset, "order");
            }
        }
    }

    /// Nothing that was recovered counts as settled that never was.
    fn is_safe(&self, recovered: &Recovered) {
        for (place, bytes) in bytes_of(recovered) {
            for (at, byte) in (0u64..).zip(bytes) {
                let ever = self.ever.get(&place).is_some_and(|ever| ever.contains(&at));
                assert!(byte != Byte::Settled || ever, "byte {at} of {place:?} was never settled: {recovered:#?}");
            }
        }
    }
}

fn bytes_of(recovered: &Recovered) -> BTreeMap<Place, Vec<Byte>> {
    let mut bytes = BTreeMap::new();
    for (source, cursors) in &recovered.read_cursors {
        for (segment, cursor) in cursors {
            bytes.insert((source.clone(), *segment), vec![Byte::Settled; cursor.offset as usize]);
        }
    }
    for o in &recovered.outstanding {
        for AnchoredRange { range, .. } in &o.span {
            let place = bytes.get_mut(&(o.source.clone(), range.segment)).unwrap();
            place[range.start as usize..range.end as usize].fill(Byte::Out(o.n));
        }
    }
    bytes
}

/// A random step; the numbers are taken modulo what there is to choose from.
#[derive(Clone, Debug)]
enum Step {
    Read { source: bool, first: (u8, u8), second: Option<(u8, u8)>, deliver: bool },
    Part { which: u8, bytes: u8 },
    Replace { which: u8 },
    Settle { which: u8 },
    Gap { source: bool, segment: u8, start: u8, end: u8 },
    Set { source: bool, segment: u8, offset: u8 },
    Forget { source: bool, segment: u8 },
    ForgetSource { source: bool },
    Compact,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..3u8, 1..30u8);
    prop_oneof![
        8 => (any::<bool>(), place(), proptest::option::of(place()), proptest::bool::weighted(0.7))
            .prop_map(|(source, first, second, deliver)| Step::Read { source, first, second, deliver }),
        6 => (any::<u8>(), 1..30u8).prop_map(|(which, bytes)| Step::Part { which, bytes }),
        2 => any::<u8>().prop_map(|which| Step::Replace { which }),
        6 => any::<u8>().prop_map(|which| Step::Settle { which }),
        2 => (any::<bool>(), 0..3u8, any::<u8>(), 0..30u8)
            .prop_map(|(source, segment, start, end)| Step::Gap { source, segment, start, end }),
        1 => (any::<bool>(), 0..3u8, 0..60u8).prop_map(|(source, segment, offset)| Step::Set { source, segment, offset }),
        1 => (any::<bool>(), 0..3u8).prop_map(|(source, segment)| Step::Forget { source, segment }),
        1 => any::<bool>().prop_map(|source| Step::ForgetSource { source }),
        1 => Just(Step::Compact),
        2 => Just(Step::Reopen),
    ]
}

fn name(source: bool) -> String {
    if source { "a" } else { "b" }.into()
}

/// The record that a step stands for, where it makes sense.
fn record(step: &Step, model: &Model, journal: &Journal) -> Option<JournalRecord> {
    let chosen = |which: u8| {
        let outstanding = journal.outstanding();
        (!outstanding.is_empty()).then(|| outstanding[which as usize % outstanding.len()].clone())
    };
    Some(match *step {
        Step::Read { source, first, second, deliver } => {
            let mut model = model.clone();
            let mut span = Vec::new();
            for (segment, len) in [Some(first), second].into_iter().flatten() {
                let start = model.read_to(&name(source), segment.into());
                span.push(range(segment.into(), start, start + u64::from(len)));
                model.put(&name(source), &span[span.len() - 1..], Byte::Settled);
            }
            match deliver {
                true => JournalRecord::Intent(batch(journal.next_batch(), &name(source), span, None)),
                false => JournalRecord::Advance(Advance {
                    source: name(source),
                    span,
                    filtered: 1,
                    dead_lettered: 0,
                    at: AT,
                }),
            }
        }
        Step::Part { which, bytes } => {
            let parent = chosen(which)?;
            let mut left = u64::from(bytes);
            let mut span = Vec::new();
            for r in &parent.span {
                let end = r.range.end.min(r.range.start + left);
                left -= end - r.range.start;
                if end > r.range.start {
                    span.push(range(r.range.segment.0, r.range.start, end));
                }
            }
            let of = BatchParent::PartOf(parent.n);
            JournalRecord::Intent(batch(journal.next_batch(), &parent.source, span, Some(of)))
        }
        Step::Replace { which } => {
            let replaced = chosen(which)?;
            let of = BatchParent::Replaces(replaced.n);
            JournalRecord::Intent(batch(journal.next_batch(), &replaced.source, replaced.span, Some(of)))
        }
        Step::Settle { which } => settled(chosen(which).filter(|o| o.id.is_some())?.n),
        Step::Gap { source, segment, start, end } => {
            let start = u64::from(start) % (model.read_to(&name(source), segment.into()) + 1);
            let (source, segment, end) = (name(source), SegmentId(segment.into()), start + u64::from(end));
            JournalRecord::Gap(gap(&source, segment, start, end))
        }
        Step::Set { source, segment, offset } => JournalRecord::CursorSet(CursorSet {
            source: name(source),
            segment: SegmentId(segment.into()),
            offset: offset.into(),
            by: SetBy::Operator,
            at: AT,
        }),
        Step::Forget { source, segment } => {
            let segment = SegmentId(segment.into());
            let bytes = model.bytes.get(&(name(source), segment))?;
            if bytes.iter().any(|byte| *byte != Byte::Settled) {
                return None;
            }
            JournalRecord::Forget(Forget { source: name(source), segments: vec![segment], at: AT })
        }
        Step::ForgetSource { source } => JournalRecord::ForgetSource(ForgetSource { source: name(source), at: AT }),
        Step::Compact | Step::Reopen => return None,
    })
}

/// Runs steps against a journal and the model; returns the model after each line of the file as it is now, with
/// the file's size then.
fn run(dir: &Path, steps: &[Step]) -> Vec<(u64, Model)> {
    let (mut journal, _) = Journal::open(dir, "siem").unwrap();
    let mut model = Model::default();
    let mut points = vec![(journal.size(), model.clone())];
    for step in steps {
        match step {
            Step::Compact => journal.compact().unwrap(),
            Step::Reopen => {
                drop(journal);
                let recovered;
                (journal, recovered) = Journal::open(dir, "siem").unwrap();
                model.agrees(&recovered);
                assert_eq!(recovered.damage, Damage::default());
            }
            step => {
                let Some(record) = record(step, &model, &journal) else {
                    continue;
                };
                let before = (journal.settled_cursors("a"), journal.settled_cursors("b"));
                journal.append(std::slice::from_ref(&record)).unwrap();
                model.apply(&record);
                if !matches!(
                    record,
                    JournalRecord::CursorSet(_) | JournalRecord::Forget(_) | JournalRecord::ForgetSource(_)
                ) {
                    let (a, b) = before;
                    for (source, before) in [("a", a), ("b", b)] {
                        let after = journal.settled_cursors(source);
                        assert!(
                            before.iter().all(|(segment, offset)| after[segment] >= *offset),
                            "a cursor moved back"
                        );
                    }
                }
                points.push((journal.size(), model.clone()));
                continue;
            }
        }
        points = vec![(journal.size(), model.clone())];
    }
    points
}

fn file(dir: &Path) -> std::path::PathBuf {
    dir.join("forwarders/siem/journal")
}

/// What a start would recover from these bytes.
fn recover(bytes: &[u8]) -> Recovered {
    let mut lines = lines::ChecksummedLines::new(bytes);
    assert!(matches!(lines.next_line().unwrap(), Some(lines::ChecksummedLine::Whole { .. })), "the header is whole");
    let (state, damage) = replay::read_records(&mut lines, 2, 0).unwrap();
    recovered(&state, damage, false)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_record_counts_from_the_moment_it_is_whole_and_a_torn_one_counts_for_nothing(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let points = run(dir.path(), &steps);
        let bytes = fs::read(file(dir.path())).unwrap();
        for (size, model) in &points {
            model.agrees(&recover(&bytes[..*size as usize]));
        }
        if let [.., (before, model), (end, _)] = &points[..] {
            for cut in *before + 1..*end {
                let recovered = recover(&bytes[..cut as usize]);
                prop_assert!(recovered.damage.torn);
                model.agrees(&recovered);
            }
        }
    }

    #[test]
    fn damage_costs_duplicates_and_never_an_event(
        steps in proptest::collection::vec(step(), 1..40),
        damages in proptest::collection::vec(
            proptest::collection::vec(any::<(prop::sample::Index, u8)>(), 1..4),
            1..50,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let points = run(dir.path(), &steps);
        let (_, model) = points.last().unwrap();
        let whole = fs::read(file(dir.path())).unwrap();
        let header = memchr::memchr(b'\n', &whole).unwrap() + 1;
        prop_assume!(whole.len() > header);
        let mut bytes = Vec::new();
        for flips in damages {
            bytes.clone_from(&whole);
            for (index, bit) in flips {
                let at = header + index.index(bytes.len() - header);
                bytes[at] ^= 1 << (bit % 8);
            }
            model.is_safe(&recover(&bytes));
        }
        // Opening writes it anew; what it then says is as safe, and nothing more is lost.
        fs::write(file(dir.path()), bytes).unwrap();
        let (_, recovered) = Journal::open(dir.path(), "siem").unwrap();
        model.is_safe(&recovered);
        let again = Journal::read(dir.path(), "siem").unwrap().unwrap();
        model.is_safe(&again);
        prop_assert_eq!(&again.damage, &Damage::default());
        prop_assert!(again.next_batch >= recovered.next_batch);
    }
}
