//! What a line is, and what becomes of one that is no event.

use std::{fs::OpenOptions, io::Write, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{QUICK_FORWARDER, assert_exactly, tailing, tailing_with};
use crate::{events, receiver::Receiver, sidecar::Sidecar, tools::wait_until};

/// A dead letter's payload, byte for byte.
fn payload(letter: &serde_json::Value) -> Vec<u8> {
    match letter["payload"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => STANDARD.decode(letter["payload_base64"].as_str().unwrap()).unwrap(),
    }
}

/// Waits until so many events are in the dead letters.
fn wait_for_dead_letters(sidecar: &Sidecar, count: u64) {
    sidecar.wait_for_metrics(&format!("{count} dead letters"), |metrics| {
        metrics.events("siem", "dead_lettered") == count
    });
}

// A7, A8
#[test]
fn a_line_written_in_parts_arrives_once_it_is_whole() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/audit.ndjson", &receiver);
    let line = events::event(0) + "\n";
    let (first, rest) = line.split_at(40);
    sidecar.append("logs/audit.ndjson", first);
    sidecar.start_again();
    // It is seen, and waits.
    sidecar.wait_for_metrics("40 bytes of backlog", |metrics| {
        metrics.get("auditpost_backlog_bytes", &[("forwarder", "siem"), ("source", "app")]) == Some(40.0)
    });
    let scans = std::time::Instant::now();
    wait_until("some scans", || scans.elapsed() > Duration::from_millis(200));
    assert!(receiver.deliveries().is_empty());
    let (second, third) = rest.split_at(100);
    sidecar.append("logs/audit.ndjson", second);
    sidecar.append("logs/audit.ndjson", third);
    assert_exactly(&mut sidecar, &receiver, 0..1);
}

// A13, A14, A20
#[test]
fn line_ends_blank_lines_and_a_byte_order_mark_are_no_part_of_events() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/audit.ndjson", &receiver);
    let event = events::event;
    let text = format!("\u{FEFF}{}\n\n\r\n {}\r\n  \t\n{}\n \r\n\n\n", event(0), event(1), event(2));
    sidecar.append("logs/audit.ndjson", text);
    sidecar.start_again();
    let lines = receiver.wait_for_lines(3);
    assert_eq!(lines, [event(0), format!(" {}", event(1)), event(2)], "bytes within a line stay as they are");
    assert_eq!(sidecar.stop(), 0);
    let (_, cursors, _) = sidecar.command(&["cursors", "list"]);
    let size = std::fs::metadata(sidecar.path("logs/audit.ndjson")).unwrap().len();
    assert!(cursors.contains(&format!("settled to {size} ")), "{cursors}");
    assert!(sidecar.dead_letters("siem").is_empty());
}

// A14, A17, A18, A19, I21
#[test]
fn what_is_no_json_goes_to_the_dead_letters_with_its_exact_bytes() {
    let bad: [(&[u8], &str); 8] = [
        (b"plain text", "invalid_json"),
        (b"{\"a\":1", "invalid_json"),
        (b"{\"a\":\"nul \0 inside\"}", "invalid_json"),
        (b"a lone\rcarriage return\r", "invalid_json"),
        (b"{\"a\":\"\xFF\"}", "invalid_utf8"),
        (b"{\"a\":\"\xC0\xAF overlong\"}", "invalid_utf8"),
        (b"{\"a\":\"\xED\xA0\x80 surrogate\"}", "invalid_utf8"),
        (b"\xFF\x00\x01\x02\r\xFE", "invalid_utf8"),
    ];
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/audit.ndjson", &receiver);
    for (n, (line, _)) in bad.iter().enumerate() {
        sidecar.write_lines("logs/audit.ndjson", n as u64..n as u64 + 1);
        sidecar.append("logs/audit.ndjson", [line, &b"\n"[..]].concat());
    }
    sidecar.write_lines("logs/audit.ndjson", 8..9);
    sidecar.start_again();
    wait_for_dead_letters(&sidecar, 8);
    assert_exactly(&mut sidecar, &receiver, 0..9);
    let letters = sidecar.dead_letters("siem");
    assert_eq!(letters.len(), bad.len());
    for (letter, (line, reason)) in letters.iter().zip(bad) {
        // A carriage return before the line feed is the line's end, one of them.
        assert_eq!(payload(letter), line.strip_suffix(b"\r").unwrap_or(line), "{letter}");
        assert_eq!(letter["reason"], reason, "{letter}");
    }
}

// A18
#[test]
fn a_megabyte_of_noise_is_accounted_for_and_nothing_is_lost_behind_it() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/audit.ndjson", &receiver);
    let mut rng = fastrand::Rng::with_seed(7);
    let mut noise: Vec<u8> = (0..1 << 20).map(|_| rng.u8(..)).collect();
    noise[0] = b'x'; // What begins like a byte order mark or gzip is refused as a whole.
    noise.push(b'\n');
    sidecar.append("logs/audit.ndjson", &noise);
    sidecar.write_lines("logs/audit.ndjson", 0..10);
    sidecar.start_again();
    let lines = noise.split(|byte| *byte == b'\n').map(|line| {
        // NUL where a line would begin is a hole, a carriage return before the line feed is its end.
        let text = &line[line.iter().take_while(|byte| **byte == 0).count()..];
        text.strip_suffix(b"\r").unwrap_or(text).to_vec()
    });
    // A lonely digit is JSON, even by chance.
    let is_json = |line: &Vec<u8>| serde_json::from_slice::<serde_json::Value>(line).is_ok();
    let (good, bad): (Vec<_>, Vec<_>) = lines.filter(|line| !line.is_empty()).partition(is_json);
    let arrived = receiver.wait_for_lines(good.len() + 10);
    assert_eq!(events::numbers(&arrived[good.len()..]), (0..10).collect::<Vec<_>>());
    sidecar.stop_drained();
    let letters: Vec<Vec<u8>> = sidecar.dead_letters("siem").iter().map(payload).collect();
    assert_eq!(letters.len(), bad.len());
    assert!(letters == bad, "every byte can be had back");
}

// A21
#[test]
fn a_file_in_utf_16_is_refused_in_plain_words() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/*.ndjson", &receiver);
    let text: Vec<u8> = "\u{FEFF}{\"a\":1}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    sidecar.append("logs/wide.ndjson", text);
    sidecar.write_lines("logs/narrow.ndjson", 0..2);
    sidecar.start_again();
    sidecar.wait_for_log("the file is UTF-16, which is not supported");
    sidecar.wait_for_alarm("file", "wide.ndjson");
    assert_exactly(&mut sidecar, &receiver, 0..2);
    assert_eq!(sidecar.stderr().matches("the file is UTF-16").count(), 1);
}

// A15
#[test]
fn a_line_at_the_limit_passes_and_a_longer_one_is_replaced_by_a_stub() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with("logs/audit.ndjson", "maxEventBytes: 2KiB", &receiver, QUICK_FORWARDER);
    let line = |bytes: usize| format!("{{\"pad\":\"{}\"}}", "x".repeat(bytes - 10));
    for (n, bytes) in [2048, 2049, 20_480, 600_000].into_iter().enumerate() {
        sidecar.append("logs/audit.ndjson", line(bytes) + "\n");
        sidecar.write_lines("logs/audit.ndjson", n as u64..n as u64 + 1);
    }
    sidecar.start_again();
    wait_for_dead_letters(&sidecar, 3);
    let lines = receiver.wait_for_lines(8);
    assert_eq!(lines[0], line(2048));
    assert_eq!(events::numbers(&[&lines[1], &lines[3], &lines[5], &lines[7]]), [0, 1, 2, 3]);
    let letters = sidecar.dead_letters("siem");
    for (stub, (bytes, letter)) in
        lines.iter().skip(2).step_by(2).zip([2049, 20_480, 600_000].into_iter().zip(&letters))
    {
        let stub: serde_json::Value = serde_json::from_str(stub).unwrap();
        assert!(stub.to_string().contains(&bytes.to_string()), "the stub tells the length {bytes}: {stub}");
        assert!(stub.to_string().contains(letter["event_id"].as_str().unwrap()), "{stub} {letter}");
        assert_eq!((letter["reason"].as_str(), letter["bytes"].as_u64()), (Some("line_too_long"), Some(bytes)));
        assert_eq!(payload(letter), line(bytes as usize).as_bytes());
    }
    sidecar.assert_books_balance();
    sidecar.stop_drained();
}

/// How long a giant line is: hashing is slow in a debug build.
const GIANT: usize = if cfg!(debug_assertions) { 64 << 20 } else { 200 << 20 };

// A16
#[test]
fn a_giant_line_needs_no_memory_and_the_lines_behind_it_are_intact() {
    let receiver = Receiver::start();
    let mut sidecar = tailing("logs/audit.ndjson", &receiver).start();
    sidecar.write_lines("logs/audit.ndjson", 0..1);
    receiver.wait_for_lines(1);
    let before = sidecar.rss_kib();
    let mut file = OpenOptions::new().append(true).open(sidecar.path("logs/audit.ndjson")).unwrap();
    let block = vec![b'a'; 1 << 20];
    for _ in 0..GIANT >> 20 {
        file.write_all(&block).unwrap();
    }
    file.write_all(b"\n").unwrap();
    sidecar.write_lines("logs/audit.ndjson", 1..3);
    receiver.wait_until("the lines behind it", Duration::from_secs(60), |deliveries| {
        deliveries.iter().filter(|d| d.accepted()).map(|d| d.line_count()).sum::<usize>() == 4
    });
    let lines = receiver.accepted_lines();
    assert_eq!(events::numbers(&[&lines[0], &lines[2], &lines[3]]), [0, 1, 2]);
    assert!(lines[1].contains(&GIANT.to_string()), "{}", lines[1]);
    let grown = sidecar.peak_rss_kib() - before;
    assert!(grown < 16 << 10, "it took {grown} KiB");
    sidecar.assert_books_balance();
    sidecar.stop_drained();
    let (_, listed, _) = sidecar.command(&["dead-letters", "list"]);
    assert!(listed.contains("line_too_long"), "{listed}");
}
