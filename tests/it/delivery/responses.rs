//! Answers that are odd as HTTP, or large, or slow: the status decides, the rest costs nothing.

use std::{
    io::Write,
    time::{Duration, Instant},
};

use super::{LOG, accepted, fan, numbers};
use crate::{
    events,
    receiver::{Delivery, Receiver, Reply},
};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// G16, G18, G22, G46, G47, G49, G51, and G48 in a success.
#[test]
fn a_success_is_a_success_whatever_stands_around_its_status() {
    let raw = |bytes: &str| Reply::raw(bytes.to_owned());
    let huge = {
        let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n".to_vec();
        answer.resize(32 << 20, b'x');
        Reply::raw(answer)
    };
    let bomb = Reply::status(200).header("content-encoding", "gzip").body(gzip(&vec![0; 64 << 20]));
    let cases = [
        ("error-text", Reply::status(200).body("error: nothing was stored")),
        ("interim-100", raw("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")),
        (
            "interim-102",
            raw("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 204 Done\r\n\r\n"),
        ),
        (
            "interim-103",
            raw("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 201 Made\r\ncontent-length: 1\r\n\r\nx"),
        ),
        ("http-1-0", raw("HTTP/1.0 200 OK\r\n\r\nuntil the end").close()),
        ("too-short", raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort").close()),
        ("too-long", raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nmuch longer than that").close()),
        (
            "chunked",
            raw(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n2\r\nok\r\n0\r\nx-t: 1\r\n\r\n",
            ),
        ),
        ("bad-chunk", raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n").close()),
        ("no-last-chunk", raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n").close()),
        ("stalled-body", raw("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this")),
        ("control-header", raw("HTTP/1.1 200 OK\r\nx-ansi: \t[31m\r\ncontent-length: 0\r\n\r\n")),
        ("huge", huge.close()),
        ("bomb", bomb),
    ];
    let (sidecar, receivers) =
        fan(cases, |_| "timeout: 10s".to_owned(), |reply, receiver| receiver.always(reply.clone()));
    sidecar.write_lines(LOG, 0..10);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    for (name, ..) in &receivers {
        sidecar.wait_settled(name, 10);
    }
    // None held a connection up, or is counted as a failure.
    let second = Instant::now();
    sidecar.write_lines(LOG, 10..20);
    for (name, _, receiver) in &receivers {
        let metrics = sidecar.wait_settled(name, 20);
        let lines: Vec<String> = receiver.deliveries().iter().flat_map(Delivery::lines).collect();
        assert_eq!(events::numbers(&lines), numbers(0..20), "{name}: sent once");
        assert_eq!(metrics.state(name), Some("ready"), "{name}");
        assert_eq!(metrics.events(name, "delivered"), 20, "{name}");
    }
    assert!(second.elapsed() < Duration::from_secs(8), "no answer's body was waited for: {:?}", second.elapsed());
    assert!(!sidecar.stderr().contains("delivery failed"), "{}", sidecar.stderr());
    assert!(sidecar.peak_rss_kib() < 48 * 1024, "{} KiB", sidecar.peak_rss_kib());
    drop(books);
}

/// G48, G51.
#[test]
fn what_an_answer_says_is_quoted_in_short_on_one_line_and_never_decoded() {
    let cases = [
        ("bomb", Reply::status(503).header("content-encoding", "gzip").body(gzip(&vec![b'A'; 1 << 20]))),
        ("ansi", Reply::status(503).body("\x1b[31mred\r\nlevel=ERROR forged line\u{202e}")),
        ("long", Reply::status(503).body("lorem ipsum ".repeat(10_000))),
    ];
    let (sidecar, receivers) = fan(cases, |_| String::new(), |reply, receiver| receiver.script([reply.clone()]));
    sidecar.write_lines(LOG, 0..1);
    let sidecar = sidecar.start();
    for (name, _, receiver) in &receivers {
        sidecar.wait_settled(name, 1);
        assert_eq!(accepted(receiver), [0]);
    }
    let text = |name: &str| sidecar.shown(name)["lastError"]["text"].as_str().unwrap().to_owned();
    assert_eq!(text("bomb"), "answered 503 Service Unavailable: (a compressed body)");
    assert!(text("ansi").contains(r"\u{1b}[31mred\r\nlevel=ERROR forged line\u{202e}"), "{}", text("ansi"));
    assert!(text("long").len() < 600, "{}", text("long"));
    let said = sidecar.stderr();
    assert!(!said.contains('\x1b') && !said.contains('\u{202e}'), "{said}");
    assert!(!said.lines().any(|line| line.starts_with("level=ERROR forged")), "{said}");
}

/// G17, G50, G52.
#[test]
fn a_peer_that_does_not_speak_http_is_held_after_three_answers_and_taken_up_again() {
    let headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-filler: aaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(50_000));
    let cases = [
        ("ssh", "SSH-2.0-OpenSSH_9.2\r\n".to_owned()),
        ("http-0-9", "<html>an answer of HTTP/0.9</html>\r\n".to_owned()),
        ("two-lengths", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd".to_owned()),
        ("headers", headers),
    ];
    let reply = |bytes: &String, receiver: &Receiver| receiver.always(Reply::raw(bytes.clone()).close());
    let (sidecar, receivers) = fan(cases, |_| String::new(), reply);
    sidecar.write_lines(LOG, 0..5);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    for (name, _, receiver) in &receivers {
        sidecar.wait_for_state(name, "held");
        let alarm = sidecar.alarm(name, "held").unwrap();
        assert!(alarm.contains("not HTTP"), "{name}: {alarm}");
        assert!(receiver.deliveries().len() >= 3, "{name}");
    }
    for (name, _, receiver) in &receivers {
        receiver.always(Reply::status(200));
        let metrics = sidecar.wait_settled(name, 5);
        assert!(metrics.requests(name, "protocol") >= 3, "{name}");
        let ids: std::collections::BTreeSet<String> = receiver.ids().into_iter().collect();
        assert_eq!(ids.len(), 1, "{name}: one batch, however often it is sent");
        sidecar.wait_for_state(name, "ready");
        assert_eq!(sidecar.alarm(name, "held"), None, "{name}");
    }
    drop(books);
}
