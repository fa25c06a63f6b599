//! Dead letters written and read back.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    fs::{self, File},
    io::{self, Cursor, Read, Write},
    path::{Path, PathBuf},
};

use super::*;
use crate::durable;

fn envelope(event_id: &str) -> LetterEnvelope<'_> {
    LetterEnvelope {
        event_id,
        source: "connect",
        reason: Reason::Refused,
        status: Some(400),
        excerpt: "bad, \"field\",",
        time: Timestamp::UNIX_EPOCH,
        detail: "line\nbreak,\"payload\":\"x\"",
    }
}

fn letter<'a>(event_id: &'a str, payload: &'a [u8]) -> DeadLetter<'a> {
    DeadLetter { envelope: envelope(event_id), payload }
}

fn read_all(dir: &Path) -> Vec<(Letter, Vec<u8>)> {
    let with_payload = |letter: io::Result<Letter>| {
        let letter = letter.unwrap();
        let mut payload = Vec::new();
        letter.copy_payload(&mut payload).unwrap();
        (letter, payload)
    };
    select(dir, LetterFilter::default()).unwrap().map(with_payload).collect()
}

fn ids(dir: &Path) -> Vec<String> {
    read_all(dir).into_iter().map(|(letter, _)| letter.event_id).collect()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let directory = dir.join("dead-letters/siem");
    read::numbers(&directory).unwrap().into_iter().map(|number| read::path(&directory, number)).collect()
}

#[test]
fn letters_are_plain_json_with_the_exact_bytes_whatever_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let payloads: Vec<Vec<u8>> = vec![
        br#"{"a":"quote \" backslash \\ end\\"}"#.to_vec(),
        br#"\"#.to_vec(),
        b"\"".to_vec(),
        "\0\u{1f600}\u{202e}\n\r".into(),
        vec![],
        vec![0xff],
        vec![0xff, 0],
        (0..=255).collect(),
        b"x".repeat(200_000),
        vec![0xfe; 200_000],
    ];
    let ids: Vec<String> = (0..payloads.len()).map(|i| format!("e{i}")).collect();
    let letters: Vec<_> = ids.iter().zip(&payloads).map(|(id, payload)| letter(id, payload)).collect();
    DeadLetters::open(dir.path(), "siem").unwrap().write(&letters).unwrap();
    let found = read_all(dir.path());
    assert_eq!(found.len(), payloads.len());
    for ((found, payload), (id, expected)) in found.iter().zip(ids.iter().zip(&payloads)) {
        assert_eq!((&found.event_id, payload, found.bytes), (id, expected, expected.len() as u64));
        assert_eq!((found.status, found.excerpt.as_str()), (Some(400), "bad, \"field\","));
    }
    for line in fs::read_to_string(&files(dir.path())[0]).unwrap().lines() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((&json["v"], &json["reason"], &json["forwarder"]), (&1.into(), &"refused".into(), &"siem".into()));
        assert!(json["payload"].is_string() != json["payload_base64"].is_string());
    }
}

#[test]
fn an_over_long_line_is_streamed_with_its_length_and_digest() {
    let dir = tempfile::tempdir().unwrap();
    for length in [0, 1, 2, 3, 65_536, 200_001] {
        let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        let id = format!("e{length}");
        let mut letters = DeadLetters::open(dir.path(), "siem").unwrap();
        let streamed = letters.write_stream(&envelope(&id), &mut Cursor::new(&payload)).unwrap();
        assert_eq!(streamed.bytes, length as u64);
        let found = read_all(dir.path()).pop().unwrap();
        assert_eq!((found.0.event_id, found.0.bytes, found.1), (id, length as u64, payload));
        let text = fs::read_to_string(&files(dir.path())[0]).unwrap();
        let json: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!((&json["bytes"], &json["sha256"]), (&length.into(), &streamed.hex().into()));
    }
}

#[test]
fn a_torn_last_line_is_cut_off_and_its_file_never_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let mut letters = DeadLetters::open(dir.path(), "siem").unwrap();
    letters.write(&[letter("one", b"1")]).unwrap();
    let whole = fs::read(&files(dir.path())[0]).unwrap();
    letters.write(&[letter("two", &b"2".repeat(100_000))]).unwrap();
    drop(letters);
    let both = fs::read(&files(dir.path())[0]).unwrap();
    for cut in [whole.len() + 1, both.len() / 2, both.len() - 1] {
        fs::write(&files(dir.path())[0], &both[..cut]).unwrap();
        assert_eq!(ids(dir.path()), ["one"], "a reader passes over a torn line");
        let mut letters = DeadLetters::open(dir.path(), "siem").unwrap();
        assert_eq!(fs::read(&files(dir.path())[0]).unwrap(), whole);
        letters.write(&[letter("two", b"2")]).unwrap();
        assert_eq!(fs::read(&files(dir.path())[0]).unwrap(), whole);
        assert_eq!(ids(dir.path()), ["one", "two"]);
        fs::remove_file(&files(dir.path())[1]).unwrap();
    }
}

#[test]
fn a_failed_write_leaves_no_trace_and_the_next_goes_to_a_new_file() {
    struct Failing(usize);
    impl Read for Failing {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(1).ok_or_else(|| io::Error::other("gone"))?;
            out.fill(b'x');
            Ok(out.len())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut letters = DeadLetters::open(dir.path(), "siem").unwrap();
    letters.write(&[letter("one", b"1")]).unwrap();
    let before = fs::read(&files(dir.path())[0]).unwrap();
    let error = letters.write_stream(&envelope("long"), &mut Failing(40)).unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
    assert_eq!(fs::read(&files(dir.path())[0]).unwrap(), before);
    letters.open = Some((File::options().append(true).open("/dev/full").unwrap(), 0));
    let error = letters.write(&[letter("two", b"2")]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    letters.write(&[letter("two", b"2")]).unwrap();
    assert_eq!(fs::read(&files(dir.path())[0]).unwrap(), before);
    assert_eq!((ids(dir.path()), files(dir.path()).len()), (vec!["one".into(), "two".into()], 2));
}

#[test]
fn files_are_bounded_and_an_event_that_was_written_twice_is_shown_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut letters = DeadLetters::open_with(dir.path(), "siem", 500).unwrap();
    for id in ["a", "b", "c", "d", "b"] {
        letters.write(&[letter(id, b"payload")]).unwrap();
    }
    assert!(files(dir.path()).len() >= 2);
    assert_eq!(ids(dir.path()), ["a", "b", "c", "d"]);
    DeadLetters::open(dir.path(), "other").unwrap().write(&[letter("b", b"payload")]).unwrap();
    assert_eq!(ids(dir.path()), ["b", "a", "b", "c", "d"], "the same event of another forwarder is another letter");
}

#[test]
fn a_filter_picks_by_forwarder_reason_and_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut letters = DeadLetters::open(dir.path(), "siem").unwrap();
    let late = LetterEnvelope { time: "2026-01-02T03:04:05Z".parse().unwrap(), ..envelope("late") };
    let large = LetterEnvelope { reason: Reason::TooLarge, ..envelope("large") };
    for envelope in [late, large] {
        letters.write(&[DeadLetter { envelope, payload: b"x" }]).unwrap();
    }
    let count = |filter| select(dir.path(), filter).unwrap().map(|l| l.unwrap().event_id).collect::<Vec<_>>();
    assert_eq!(count(LetterFilter { reason: Some("too_large".into()), ..LetterFilter::default() }), ["large"]);
    let since = Some("2026-01-02T03:04:05Z".parse().unwrap());
    assert_eq!(count(LetterFilter { since, ..LetterFilter::default() }), ["late"]);
    assert!(count(LetterFilter { forwarder: Some("other".into()), ..LetterFilter::default() }).is_empty());
    assert!(
        select(dir.path(), LetterFilter { forwarder: Some("../siem".into()), ..LetterFilter::default() }).is_err()
    );
}

#[test]
fn what_is_no_letter_is_counted_and_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut letters = DeadLetters::open(dir.path(), "siem").unwrap();
    letters.write(&[letter("one", b"1")]).unwrap();
    let mut file = durable::append_file(&files(dir.path())[0]).unwrap();
    file.write_all(b"not json\n{\"v\":2,\"payload\":\"\"}\n\n").unwrap();
    file.write_all(&[b'x'; 300_000]).unwrap();
    file.write_all(b"\n").unwrap();
    letters.write(&[letter("two", b"2")]).unwrap();
    let mut letters = select(dir.path(), LetterFilter::default()).unwrap();
    let found: Vec<_> = letters.by_ref().map(|letter| letter.unwrap().event_id).collect();
    assert_eq!((found, letters.unreadable()), (vec!["one".into(), "two".into()], 4));
}
