//! Lines and records of the CRI format.

use proptest::prelude::*;

use super::*;
use crate::{
    config::LineFormat,
    log::{
        SegmentId,
        long::{LongEnd, LongRecord},
    },
};

const OUT: &str = "2026-11-22T04:00:00.123456789+00:00 stdout";
const ERR: &str = "2026-11-22T04:00:00.123456789Z stderr";

fn of(bytes: &[u8], start: usize, is_complete: bool) -> SegmentBytes<'_> {
    SegmentBytes { segment: SegmentId(1), start: start as u64, bytes, is_complete }
}

fn texts(data: &[u8], complete: bool) -> Vec<String> {
    let mut joined = Vec::new();
    let mut records = Records::new(of(data, 0, complete), CriStream::Stdout, &mut joined);
    let mut texts = Vec::new();
    loop {
        let Some(item) = records.next_item() else { return texts };
        let range = format!("{}..{}", item.range.start, item.range.end);
        let text = match item.kind {
            ItemKind::Line([]) | ItemKind::Blank => range,
            ItemKind::Line(bytes) => format!("{range} {}", String::from_utf8_lossy(bytes)),
            ItemKind::Foreign(bytes) => format!("{range} foreign {}", String::from_utf8_lossy(bytes)),
            ItemKind::Other(_) => format!("{range} other"),
            kind => panic!("{kind:?}"),
        };
        let between = records.between();
        texts.push(if between > 0 { format!("{text} +{between}") } else { text });
    }
}

fn range(text: &str) -> &str {
    text.split(' ').next().expect("a word")
}

#[test]
fn a_line_has_a_time_a_stream_tags_and_a_message() {
    let line = |text: &'static str| CriLine::parse(text.as_bytes());
    let out = |partial, message: &'static str| {
        Some(CriLine { stream: CriStream::Stdout, partial, message: message.as_bytes() })
    };
    assert_eq!(line("2026-11-22T04:00:00.1+00:00 stdout F a  b "), out(false, "a  b "));
    assert_eq!(line("2026-11-22T04:00:00Z stdout P \r"), out(true, "\r"), "it may be the message's own");
    assert_eq!(line("2026-11-22T04:00:00Z stdout P:x:F m"), out(true, "m"), "the first tag counts");
    assert_eq!(line("2026-11-22T04:00:00Z stdout F "), out(false, ""));
    for foreign in [
        "",
        "{\"type\":\"login\"}",
        "2026-11-22T04:00:00Z stdout F",
        "2026-11-22T04:00:00Z stdin F m",
        "2026-11-22T04:00:00Z stdout X m",
        "2026-11-22T04:00:00Z  stdout F m",
        "now stdout F m",
        "2026-11-22 stdout F m",
    ] {
        assert_eq!(line(foreign), None, "{foreign:?}");
    }
}

#[test]
fn a_record_goes_from_its_first_part_to_its_last() {
    let (p, f) = (format!("{OUT} P ab\n"), format!("{OUT} F cd\n"));
    let e = format!("{ERR} F oops\n");
    let data = format!("{p}{e}{p}\0\0\n{f}{f}{e}");
    let ends = [2 * p.len() + e.len() + 3 + f.len(), f.len(), e.len()];
    let (first, second) = (ends[0], ends[0] + ends[1]);
    assert_eq!(
        texts(data.as_bytes(), false),
        [
            format!("0..{first} ababcd +1"),
            format!("{first}..{second} cd"),
            format!("{second}..{} other", second + ends[2])
        ]
    );
}

#[test]
fn an_unfinished_record_waits_and_ends_with_its_file() {
    let data = format!("{OUT} F whole\n{OUT} P be{ERR}");
    assert_eq!(texts(data.as_bytes(), false).len(), 1);
    let data = format!("{OUT} P be\n{ERR} F oops\n");
    assert!(texts(data.as_bytes(), false).is_empty(), "what comes between its parts is no reason to pass it over");
    assert_eq!(texts(data.as_bytes(), true), [format!("0..{} be +1", data.len())]);
    assert_eq!(texts(format!("{OUT} F be").as_bytes(), true).len(), 1, "as it does for lines");
}

#[test]
fn a_line_in_another_format_ends_a_record_and_is_none_itself() {
    let (p, f) = (format!("{OUT} P be\n"), format!("{OUT} F gin\n"));
    let data = format!("{p}what\n{f}");
    let (one, two) = (p.len(), p.len() + 5);
    assert_eq!(
        texts(data.as_bytes(), false),
        [format!("0..{one} be"), format!("{one}..{two} foreign what"), format!("{two}..{} gin", data.len())]
    );
}

#[test]
fn one_carriage_return_at_the_end_of_a_message_is_trimmed() {
    let data = format!("{OUT} F a\r\r\n{OUT} P a\r\n{OUT} F \r\n{OUT} F \r\n");
    let texts = texts(data.as_bytes(), false);
    assert!(texts[0].ends_with(" a\r") && texts[1].ends_with(" a\r"), "{texts:?}");
    assert_eq!(texts[2], range(&texts[2]), "an empty message is no event");
}

/// A message, its stream, and where the runtime cuts it.
fn messages() -> impl Strategy<Value = Vec<(bool, Vec<u8>, Vec<usize>)>> {
    let byte = prop_oneof![any::<u8>(), Just(b'\r'), Just(b' '), Just(0)];
    let message = proptest::collection::vec(byte, 0..60)
        .prop_map(|bytes| bytes.into_iter().filter(|byte| *byte != b'\n').collect());
    proptest::collection::vec((any::<bool>(), message, proptest::collection::vec(0usize..60, 0..4)), 0..8)
}

fn written(err: bool, message: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| (*cut).min(message.len())).collect();
    cuts.sort_unstable();
    let mut at = 0;
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let stream = if err { ERR } else { OUT };
    for cut in cuts.into_iter().chain([message.len()]) {
        lines.push([format!("{stream} P ").as_bytes(), &message[at..cut], b"\n"].concat());
        at = cut;
    }
    lines.last_mut().expect("there is one")[stream.len() + 1] = b'F';
    lines
}

/// The streams' lines in the order of `turns`, each stream's own order kept.
fn interleaved(all: &[(bool, Vec<u8>, Vec<usize>)], turns: &[bool]) -> Vec<u8> {
    let of = |err| all.iter().filter(move |(its, ..)| *its == err);
    let lines = |err| of(err).flat_map(|(err, message, cuts)| written(*err, message, cuts)).collect::<Vec<_>>();
    let (mut out, mut err) = (lines(false).into_iter(), lines(true).into_iter());
    let mut data = Vec::new();
    for turn in turns {
        data.extend(if *turn { err.next() } else { out.next() }.unwrap_or_default());
    }
    data.extend(out.chain(err).flatten());
    data
}

/// The messages of standard output in what is read: the file is cut in two reads at `cut`, as it grows.
fn read(data: &[u8], cut: usize) -> (Vec<Vec<u8>>, u64) {
    let (mut found, mut others, mut at) = (Vec::new(), 0, 0);
    let mut joined = Vec::new();
    for upto in [cut.min(data.len()), data.len()] {
        let mut records = Records::new(of(&data[at..upto], at, false), CriStream::Stdout, &mut joined);
        let mut next = at as u64;
        while let Some(item) = records.next_item() {
            match item.kind {
                ItemKind::Line([]) | ItemKind::Blank => {}
                ItemKind::Line(bytes) => found.push(bytes.to_vec()),
                ItemKind::Other(lines) => others += lines,
                kind => panic!("{kind:?}"),
            }
            assert_eq!(item.range.start, next, "items follow each other without gaps");
            next = item.range.end;
            others += records.between();
        }
        at += records.consumed();
        assert_eq!(at as u64, next);
    }
    assert_eq!(at, data.len());
    (found, others)
}

proptest! {
    #[test]
    fn however_messages_are_cut_and_mixed_the_events_are_the_same(
        all in messages(), turns in proptest::collection::vec(any::<bool>(), 0..30), cut in 0usize..2000
    ) {
        let mut data = interleaved(&all, &turns);
        data.extend_from_slice(format!("{OUT} F end\n").as_bytes());
        let mut expected: Vec<Vec<u8>> =
            all.iter().filter(|(err, ..)| !err).map(|(_, message, _)| trimmed(message).to_vec()).collect();
        expected.retain(|message| !message.is_empty());
        expected.push(b"end".to_vec());
        let errors: usize = all.iter().filter(|(err, ..)| *err).map(|(err, message, cuts)| written(*err, message, cuts).len()).sum();
        prop_assert_eq!(read(&data, cut), (expected, errors as u64));
    }

    #[test]
    fn any_bytes_are_covered_without_gaps(data in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(0), any::<u8>()], 0..200), complete: bool) {
        let mut at = 0;
        for text in texts(&data, complete) {
            let (start, end) = range(&text).split_once("..").expect("a range");
            prop_assert_eq!(start.parse::<usize>().expect("a number"), at);
            at = end.parse().expect("a number");
        }
        prop_assert!(!data[at..].contains(&b'\n') && (at == data.len() || !complete));
    }

    #[test]
    fn the_end_of_a_long_record_is_where_it_is_when_it_is_held(
        all in messages(), turns in proptest::collection::vec(any::<bool>(), 0..30),
        torn in prop_oneof!["(what|\r|\x00)?", "[ \t]{0,200}\n?", "( \n){1,9}"], piece in 1usize..300, complete: bool
    ) {
        let mut data = interleaved(&all, &turns);
        data.extend_from_slice(format!("{OUT} P more\r\n{torn}").as_bytes());
        let mut joined = Vec::new();
        let mut records = Records::new(of(&data, 0, complete), CriStream::Stdout, &mut joined);
        loop {
            let start = records.consumed();
            let Some(item) = records.next_item() else { break };
            if item.kind == ItemKind::Blank {
                continue;
            }
            let (is_ours, end) = (!matches!(item.kind, ItemKind::Other(_)), item.range.end);
            let mut long = LongRecord::new(LineFormat::Cri(CriStream::Stdout), start as u64);
            let found = (start..).step_by(piece).find_map(|upto| {
                let upto = (upto + piece).min(data.len());
                long.feed(&data[long.looked() as usize..upto], complete && upto == data.len())
            });
            let Some(LongEnd { bytes, .. }) = found else { panic!("it ends") };
            prop_assert_eq!(found, Some(LongEnd { end, is_ours, bytes }));
        }
    }

    #[test]
    fn a_line_is_told_by_its_head_however_long_it_becomes(text in "[ -~]{0,300}", stream in 0usize..3) {
        let line = [format!("{OUT} P "), format!("{ERR} F "), String::new()][stream].clone() + &text;
        let head = &line.as_bytes()[..line.len().min(MAX_HEAD)];
        let told = CriLine::parse(line.as_bytes()).map(|line| (line.stream, line.partial));
        prop_assert_eq!(told, CriLine::parse(head).map(|line| (line.stream, line.partial)));
    }
}
