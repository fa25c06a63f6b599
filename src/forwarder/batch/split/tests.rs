use proptest::prelude::*;

use super::*;
use crate::{
    config::Framing,
    forwarder::{
        batch::{BatchDraft, BodyLimits, InFlightBatch, Pushed, RejectedLine},
        dead_letter::Reason,
        stats::FilterRule,
    },
    log::SegmentId,
};

const NO_LIMITS: BodyLimits = BodyLimits { max_events: 100, max_bytes: 10_000 };

/// What stands in a log, a record of ten bytes each.
#[derive(Clone, Copy, Debug)]
enum Line {
    Event,
    Filtered,
    Rejected,
    TooLong,
}

fn range(segment: u64, start: u64, end: u64) -> SegmentRange {
    SegmentRange { segment: SegmentId(segment), start, end }
}

/// A batch of these lines, in two segments.
fn batch(lines: &[Line]) -> InFlightBatch {
    let mut draft = BatchDraft::new("s".into(), BatchBody::new(Framing::Lines));
    let second = lines.len() as u64 / 2;
    for (n, line) in (0..).zip(lines) {
        let at = if n < second {
            range(1, 10 * n, 10 * n + 10)
        } else {
            range(2, 10 * (n - second), 10 * (n - second) + 10)
        };
        let rejected = |reason| RejectedLine {
            range: at,
            continued: Box::default(),
            reason,
            detail: String::new(),
            payload: None,
        };
        match line {
            Line::Event => {
                push(&mut draft, at, format!("event-{n}").as_bytes(), false);
            }
            Line::Filtered => draft.filter(FilterRule::Disabled, 1, at),
            Line::Rejected => assert!(draft.reject(&NO_LIMITS, rejected(Reason::InvalidJson))),
            Line::TooLong => {
                push(&mut draft, at, b"stub", true);
                draft.reject_stubbed(rejected(Reason::LineTooLong));
            }
        }
        draft.cover(at, std::time::Instant::now());
    }
    let span = draft.span(|_| None);
    InFlightBatch::new(1, "id".into(), draft.seal(span))
}

fn push(draft: &mut BatchDraft, at: SegmentRange, event: &[u8], stub: bool) {
    draft.begin_event(&None, &NO_LIMITS).expect("there is room").extend_from_slice(event);
    assert_eq!(draft.end_event(&NO_LIMITS, at, &[], stub), Pushed::In);
}

/// Counts the lines that a span has: what its part must say that it covers.
fn counted(lines: &[Line], span: &[AnchoredRange]) -> Coverage {
    let second = lines.len() as u64 / 2;
    let mut covers = Coverage::default();
    for AnchoredRange { range, .. } in span {
        let first = range.start / 10 + if range.segment == SegmentId(2) { second } else { 0 };
        for line in &lines[first as usize..(first + range.len() / 10) as usize] {
            match line {
                Line::Event => covers.events += 1,
                Line::Filtered => covers.filtered += 1,
                Line::Rejected | Line::TooLong => covers.dead_lettered += 1,
            }
        }
    }
    covers
}

/// What the journal knows of a batch that is not settled.
struct Known {
    n: u64,
    span: Vec<AnchoredRange>,
    covers: Coverage,
}

/// Plays a receiver that answers each request by the next of `answers`: false refuses it, and a single event then is a
/// dead letter. Every part must be a prefix of what remains of its parent and take from it what it has.
fn play(lines: &[Line], answers: &mut dyn Iterator<Item = bool>) {
    let mut batch = batch(lines);
    let mut known = vec![Known { n: 1, span: batch.span.clone(), covers: batch.covers }];
    let mut settled = Coverage::default();
    let mut n = 1;
    let whole = counted(lines, &batch.span);
    assert_eq!(batch.covers, whole);
    loop {
        if answers.next().unwrap_or(true) || batch.body.events().len() < 2 {
            settled = sum(settled, batch.covers);
            known.retain(|known| known.n != batch.n);
            let Some(split) = &mut batch.split else { break };
            split.settle();
        } else {
            assert!(batch.split());
        }
        let Some(part) = batch.next_part(usize::MAX) else { break };
        n += 1;
        assert_eq!(part.covers, counted(lines, &part.span), "{lines:?}");
        let parent = known.iter_mut().find(|known| known.n == part.of).expect("the parent is outstanding");
        let bytes: u64 = part.span.iter().map(|range| range.range.len()).sum();
        assert_eq!(first_bytes(&mut parent.span, bytes), part.span, "a prefix of what remains of {}", part.of);
        parent.covers = parent.covers.checked_sub(part.covers).expect("a part takes no more than there is");
        known.push(Known { n, span: part.span.clone(), covers: part.covers });
        batch.take_part(n, "id".into(), part);
    }
    assert_eq!(settled, whole, "each record is settled once");
    assert!(known.iter().all(|known| known.span.is_empty() && known.covers == Coverage::default()));
}

fn sum(a: Coverage, b: Coverage) -> Coverage {
    Coverage {
        events: a.events + b.events,
        dead_lettered: a.dead_lettered + b.dead_lettered,
        filtered: a.filtered + b.filtered,
    }
}

fn first_bytes(span: &mut Vec<AnchoredRange>, mut bytes: u64) -> Vec<AnchoredRange> {
    let mut first = Vec::new();
    while bytes > 0 {
        let range = span[0].range;
        if range.len() <= bytes {
            bytes -= range.len();
            first.push(span.remove(0));
        } else {
            first.push(SegmentRange { end: range.start + bytes, ..range }.into());
            span[0].range.start += bytes;
            bytes = 0;
        }
    }
    first
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    let line = prop_oneof![3 => Just(Line::Event), 2 => Just(Line::Filtered), 1 => Just(Line::Rejected), 1 => Just(Line::TooLong)];
    prop::collection::vec(line, 1..40).prop_filter("a batch has an event", |lines| {
        lines.iter().any(|line| matches!(line, Line::Event | Line::TooLong))
    })
}

proptest! {
    #[test]
    fn parts_cover_the_whole_once_and_each_covers_what_its_span_has(
        lines in lines(),
        answers in prop::collection::vec(any::<bool>(), 0..80),
    ) {
        play(&lines, &mut answers.into_iter());
    }

    #[test]
    fn a_receiver_that_refuses_all_leaves_nothing_uncounted(lines in lines()) {
        play(&lines, &mut std::iter::repeat(false));
    }
}

#[test]
fn one_event_is_not_split() {
    let mut batch = batch(&[Line::Filtered, Line::Event, Line::Filtered]);
    assert!(!batch.split());
    assert!(batch.only_event().is_some_and(|event| event.beside.filtered == 1));
    assert_eq!(batch.covers, Coverage { events: 1, dead_lettered: 0, filtered: 2 });
}

#[test]
fn what_stands_inside_a_record_belongs_to_it() {
    let mut draft = BatchDraft::new("s".into(), BatchBody::new(Framing::Lines));
    for n in 0..2 {
        let at = range(1, 10 * n, 10 * n + 10);
        push(&mut draft, at, b"x", false);
        draft.filter(FilterRule::Stream, 3, range(1, at.end, at.end));
        draft.cover(at, std::time::Instant::now());
    }
    let sealed = draft.seal(vec![range(1, 0, 20).into()]);
    let mut batch = InFlightBatch::new(1, "id".into(), sealed);
    assert!(batch.split());
    let part = batch.next_part(usize::MAX).expect("there are two");
    assert_eq!(part.covers, Coverage { events: 1, dead_lettered: 0, filtered: 3 });
}

#[test]
fn what_stands_inside_a_record_that_is_kept_back_belongs_to_what_comes_after() {
    let mut draft = BatchDraft::new("s".into(), BatchBody::new(Framing::Lines));
    push(&mut draft, range(1, 0, 10), b"x", false);
    draft.filter(FilterRule::Disabled, 1, range(1, 10, 20));
    draft.filter(FilterRule::Stream, 3, range(1, 20, 20));
    push(&mut draft, range(1, 20, 30), b"y", false);
    draft.cover(range(1, 0, 30), std::time::Instant::now());
    let mut batch = InFlightBatch::new(1, "id".into(), draft.seal(vec![range(1, 0, 30).into()]));
    assert!(batch.split());
    let part = batch.next_part(usize::MAX).expect("there are two");
    assert_eq!(part.covers, Coverage { events: 1, dead_lettered: 0, filtered: 0 });
}
