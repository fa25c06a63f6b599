//! Records of a container's log that a rotation cut.

mod ended;
mod random;

use super::*;
use crate::{
    config::{CriStream, LineFormat},
    log::{CutPart, LogItem, SegmentRange, Span},
};

const LOG: &str = "0.log";

fn part(stream: &str, tag: &str, message: &str) -> String {
    format!("2026-11-22T04:00:00.123456789Z {stream} {tag} {message}\n")
}

fn out(tag: &str, message: &str) -> String {
    part("stdout", tag, message)
}

fn err(message: &str) -> String {
    part("stderr", "F", message)
}

/// A container's log; only its path is named, as the kubelet's rotated files are named by nobody.
fn container() -> Bench {
    let mut t = Bench::new(|name| name == LOG);
    t.source.format = LineFormat::Cri(CriStream::Stdout);
    t
}

/// What was read at once, and may be read again after a restart.
#[derive(Debug)]
struct Batch {
    items: Vec<String>,
    span: Span,
}

impl Batch {
    fn take(&mut self, item: LogItem<'_>) {
        item.ranges().for_each(|range| self.span.push(range));
        let text = match item.kind {
            ItemKind::Line(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            ItemKind::Foreign(bytes) => format!("foreign {}", String::from_utf8_lossy(bytes)),
            ItemKind::Other(lines) => format!("other {lines}"),
            ItemKind::TooLong => "too long".to_owned(),
            ItemKind::Gap { .. } => format!("gap {}", item.range.len()),
            ItemKind::Blank => return,
        };
        self.items.push(match item.cut {
            None => text,
            Some(CutPart::Head { rest }) => format!("head of {}: {text}", number(rest)),
            Some(CutPart::Rest { head, .. }) => format!("rest of {}: {text}", number(head)),
        });
    }
}

/// The segment that a text names.
fn number(text: &str) -> &str {
    text.split("segment ").nth(1).map_or("none", |text| text.split(',').next().unwrap_or(text))
}

impl Bench {
    /// Rotates as the kubelet does: a rename, and the runtime makes a new file.
    fn rotate(&self, n: u32) {
        self.rename(LOG, &format!("{LOG}.20261122-{n:06}"));
        self.append(LOG, "");
    }

    /// Reads all that is whole, at most so many items at once. Each batch is read again, and is the same.
    fn batches(&mut self, most: usize) -> Vec<Batch> {
        let mut batches = Vec::new();
        loop {
            let mut batch = Batch { items: Vec::new(), span: Span::default() };
            let reader = self.reader.as_mut().unwrap();
            let mut left = most;
            let end = reader.read(usize::MAX, &mut |item| {
                let is_inside = matches!(item.kind, ItemKind::Other(_)) && item.range.is_empty();
                if left == 0 && !is_inside {
                    return Take::Not;
                }
                left = left.saturating_sub(1);
                batch.take(item);
                Take::More
            });
            if !batch.items.iter().any(|item| item.starts_with("gap")) {
                assert_eq!(
                    without_marks(&self.span_again(&batch.span)),
                    without_marks(&batch.items),
                    "{:?}",
                    batch.span
                );
            }
            if !batch.span.is_empty() {
                batches.push(batch);
            }
            if end == ReadEnd::CaughtUp {
                break;
            }
        }
        self.remember();
        self.settle();
        batches
    }

    fn records(&mut self) -> Vec<String> {
        self.batches(usize::MAX).into_iter().flat_map(|batch| batch.items).collect()
    }

    /// As after a restart: by the span alone.
    fn span_again(&self, span: &Span) -> Vec<String> {
        let mut reader = Reader::new(self.log.clone().unwrap(), MAX_LINE, BTreeMap::new());
        let mut again = Batch { items: Vec::new(), span: Span::default() };
        reader.read_again(span, &mut |item| again.take(item)).unwrap();
        assert_eq!(again.span, *span);
        again.items
    }
}

/// What is read again knows nothing of what was cut.
fn without_marks(items: &[String]) -> Vec<String> {
    let plain = |item: &String| match item.split_once(": ") {
        Some((mark, text)) if mark.starts_with("head of") || mark.starts_with("rest of") => text.to_owned(),
        _ => item.clone(),
    };
    items.iter().map(plain).collect()
}

/// A record is begun, and what is at rest is sealed from now on.
fn begun_and_sealing_at_once() -> Bench {
    let mut t = container();
    t.append(LOG, &(out("F", "one") + &out("P", "tw")));
    t.start().scan();
    t.records();
    t.seal_at_once();
    restarted(t)
}

#[test]
fn a_record_that_a_rotation_cut_is_one_and_so_are_those_round_it() {
    for how in ["runs", "stops", "is killed"] {
        let mut t = container();
        t.append(LOG, &(out("F", "one") + &out("P", "tw")));
        t.start().scan();
        assert_eq!(t.records(), ["one"]);
        match how {
            "stops" => t.stop(),
            "is killed" => t.kill(),
            _ => {}
        }
        t.rotate(1);
        if t.tail.is_none() {
            t.start();
        }
        t.scan();
        assert_eq!(t.records(), [""; 0], "its rest is not there yet");
        t.append(LOG, &(out("F", "o") + &out("F", "three")));
        t.scan();
        assert_eq!(t.records(), ["two", "three"], "{how}");
        assert_eq!(t.gap_bytes, 0);
    }
}

#[test]
fn its_span_is_of_both_files_and_its_place_in_the_first() {
    let mut t = container();
    t.append(LOG, &(out("F", "one") + &out("P", "tw")));
    t.start().scan();
    t.records();
    t.rotate(1);
    t.append(LOG, &(out("F", "o") + &out("F", "three")));
    t.scan();
    let batches = t.batches(1);
    let range = |segment, start: usize, end: usize| SegmentRange {
        segment: SegmentId(segment),
        start: start as u64,
        end: end as u64,
    };
    let (first, begun, rest) = (out("F", "one").len(), out("P", "tw").len(), out("F", "o").len());
    assert_eq!(batches[0].span, Span(vec![range(1, first, first + begun), range(2, 0, rest)]));
    assert_eq!((batches[0].items.join(" "), batches[1].items.join(" ")), ("two".to_owned(), "three".to_owned()));
}

#[test]
fn a_record_may_go_over_several_files_and_the_other_stream_may_stand_between_its_parts() {
    let mut t = container();
    t.append(LOG, &(out("P", "a") + &err("1")));
    t.start().scan();
    assert_eq!(t.records(), [""; 0]);
    for n in 1..4 {
        t.rotate(n);
        t.append(LOG, &(err("2") + &out("P", "b") + &err("3")));
        t.scan();
        assert_eq!(t.records(), [""; 0]);
    }
    t.rotate(4);
    t.append(LOG, &err("4"));
    t.scan();
    assert_eq!(t.records(), [""; 0], "the other stream tells nothing of it");
    t.append(LOG, &(out("F", "c") + &err("5")));
    t.scan();
    assert_eq!(t.records(), ["abbbc", "other 8", "other 1"]);
}

#[test]
fn where_its_file_is_sealed_and_the_rest_comes_late_it_is_one_all_the_same() {
    let mut t = begun_and_sealing_at_once();
    t.rotate(1);
    for _ in 0..3 {
        t.scan();
        assert_eq!(t.records(), [""; 0], "the program's next block can come hours later");
    }
    assert_eq!(t.segments(), 2, "its file is not let go");
    t.append(LOG, &out("F", "o"));
    t.scan();
    assert_eq!(t.records(), ["two"]);
    t.scan();
    assert_eq!(t.segments(), 1);
}

/// With the source as it is by now.
fn restarted(mut t: Bench) -> Bench {
    t.stop();
    t.start();
    t
}

#[test]
fn an_empty_last_part_ends_a_record_and_a_line_in_no_format_does_too() {
    for (next, expected) in [
        (out("F", ""), vec!["two"]),
        (out("F", "") + &out("F", "x"), vec!["two", "x"]),
        ("no such line\n".to_owned() + &out("F", "x"), vec!["head of none: two", "foreign no such line", "x"]),
        (out("P", "") + "no such line\n", vec!["head of none: two", "foreign no such line"]),
    ] {
        let mut t = container();
        t.append(LOG, &out("P", "two"));
        t.start().scan();
        t.records();
        t.rotate(1);
        t.append(LOG, &next);
        t.scan();
        assert_eq!(t.records(), expected);
    }
}

#[test]
fn a_late_writer_of_the_old_file_is_waited_for() {
    let mut t = container();
    let mut old = t.append(LOG, &out("P", "a"));
    t.start().scan();
    t.records();
    t.rotate(1);
    t.scan();
    old.write_all(out("P", "b").as_bytes()).unwrap();
    t.append(LOG, &out("F", "c"));
    // The scan sees the new file's bytes, not yet the old one's.
    let new = t.path(LOG);
    t.tail.as_mut().unwrap().note_growth(&[new].into());
    assert_eq!(t.records(), [""; 0]);
    t.scan();
    assert_eq!(t.records(), ["abc"]);
}

#[test]
fn a_file_that_is_deleted_by_its_rotation_is_joined_while_it_is_held() {
    let mut t = container();
    t.append(LOG, &out("P", "a"));
    t.start().scan();
    t.records();
    // As conmon does: the new file is renamed over the old one.
    t.append("0.log.tmp", &out("F", "b"));
    t.rename("0.log.tmp", LOG);
    t.scan();
    assert_eq!(t.records(), ["ab"]);
}

#[test]
fn where_the_next_file_is_gone_or_never_came_the_beginning_goes_alone_and_says_so() {
    let mut t = begun_and_sealing_at_once();
    t.rename(LOG, "0.log.20261122-000001");
    t.scan();
    t.scan();
    assert_eq!(t.records(), ["head of none: tw"]);
    t.append(LOG, &(out("F", "o") + &out("F", "three")));
    t.scan();
    let batches = t.batches(usize::MAX);
    assert_eq!(batches[0].items, ["rest of 1: o", "three"]);
}

#[test]
fn what_is_too_long_when_it_is_joined_is_given_in_its_parts_that_name_each_other() {
    let mut t = container();
    let (head, rest) = ("a".repeat(400 * 1024), "b".repeat(400 * 1024));
    t.append(LOG, &out("P", &head));
    t.start().scan();
    assert_eq!(t.records(), [""; 0]);
    t.rotate(1);
    t.append(LOG, &(out("F", &rest) + &out("F", "next")));
    t.scan();
    let batches = t.batches(usize::MAX);
    assert_eq!(batches[0].items, [format!("head of 2: {head}")], "no span has both");
    assert_eq!(batches[1].items, [format!("rest of 1: {rest}"), "next".to_owned()]);
}

#[test]
fn a_record_of_an_old_file_that_is_too_long_already_is_too_long_and_the_new_one_is_read() {
    let mut t = container();
    t.append(LOG, &out("P", &"a".repeat(900 * 1024)));
    t.start().scan();
    assert_eq!(t.records(), [""; 0]);
    t.seal_at_once();
    let mut t = restarted(t);
    t.rotate(1);
    t.append(LOG, &(out("F", "b") + &out("F", "next")));
    t.scan();
    t.scan();
    assert_eq!(t.records(), ["too long", "b", "next"]);
}

#[test]
fn a_span_that_ends_before_the_rest_gives_the_beginning_alone() {
    let mut t = container();
    let head = out("P", "tw");
    t.append(LOG, &head);
    t.start().scan();
    t.rotate(1);
    t.append(LOG, &out("F", "o"));
    t.scan();
    let alone = Span(vec![SegmentRange { segment: SegmentId(1), start: 0, end: head.len() as u64 }]);
    assert_eq!(t.span_again(&alone), ["head of none: tw"], "as an older version read it");
}

#[test]
fn containers_do_not_wait_for_each_other() {
    let mut t = Bench::new(|name| ["0.log", "1.log"].contains(&name));
    t.source.format = LineFormat::Cri(CriStream::Stdout);
    t.append("0.log", &out("P", "a"));
    t.append("1.log", &out("P", "b"));
    t.start().scan();
    t.records();
    t.rotate(1);
    t.append("1.log", &(out("F", "c") + &out("F", "d")));
    t.scan();
    assert_eq!(t.records(), ["bc", "d"]);
}
