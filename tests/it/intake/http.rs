//! Webhooks that are taken in.

use std::{
    io::{BufReader, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    certificate::Authority,
    events::{event, lines, numbers},
    http::{Head, read_answer},
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tools::{is_root, wait_until},
};

/// A sidecar with one `http` source, with further keys as lines of YAML.
fn sidecar(receiver: &Receiver, extra: &str) -> Sidecar {
    let keys = format!("kind: http\nlisten: \"127.0.0.1:0\"\n{extra}");
    Sidecar::new().source("hooks", &keys).forwarder("siem", &receiver.url(), "batch: {maxAge: 50ms}")
}

/// Where the source listens, as the process says.
pub(super) fn address(sidecar: &Sidecar) -> SocketAddr {
    sidecar.wait_for_log("taking events");
    let said = sidecar.run_stderr();
    let line = said.lines().rfind(|line| line.contains("taking events")).unwrap();
    line.split("://").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

/// `POST /` with headers as lines that end with CRLF.
fn post(addr: SocketAddr, headers: &str, body: &[u8]) -> std::io::Result<(u16, Head, String)> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let length = body.len();
    let head =
        format!("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    stream.write_all(&[head.as_bytes(), body].concat())?;
    read_answer(&mut BufReader::new(stream))
}

fn status(addr: SocketAddr, headers: &str, body: &[u8]) -> u16 {
    post(addr, headers, body).unwrap().0
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn what_the_senders_there_are_post_is_forwarded_byte_for_byte() {
    let receiver = Receiver::start();
    let mut sidecar = sidecar(&receiver, "token: let-me-in").start();
    let addr = address(&sidecar);
    let bearer = "Authorization: Bearer let-me-in\r\n";
    // Konnect: gzip of lines, announced as its documentation has it.
    let konnect = format!("Content-Type: text/plain\r\nContent-Encoding: application/gzip\r\n{bearer}");
    assert_eq!(status(addr, &konnect, &gzip(lines(0..3).as_bytes())), 202);
    // Chainloop: one object.
    let chainloop = format!("Content-Type: application/json\r\n{bearer}");
    assert_eq!(status(addr, &chainloop, event(3).as_bytes()), 202);
    // Kubernetes: a list.
    let list = format!(
        "{{\"kind\":\"EventList\",\"apiVersion\":\"audit.k8s.io/v1\",\"items\":[{},{}]}}",
        event(4),
        event(5)
    );
    assert_eq!(status(addr, &chainloop, list.as_bytes()), 202);
    assert_eq!(status(addr, &chainloop, format!("[{},\n{}]", event(6), event(7)).as_bytes()), 202);
    assert_eq!(status(addr, "", event(8).as_bytes()), 401);
    assert_eq!(status(addr, "Authorization: Bearer let-me-im\r\n", event(8).as_bytes()), 401);
    let received = receiver.wait_for_lines(8);
    assert_eq!(received, (0..8).map(event).collect::<Vec<_>>());
    assert_eq!(sidecar.stop(), 0);
    let said = sidecar.stderr();
    assert!(said.contains("a request was refused") && !said.contains("let-me-i"), "{said}");
}

#[test]
fn a_request_that_comes_again_is_forwarded_once_also_after_kill_9() {
    let receiver = Receiver::start();
    let mut sidecar = sidecar(&receiver, "").start();
    let addr = address(&sidecar);
    for _ in 0..3 {
        assert_eq!(status(addr, "webhook-id: msg_1\r\n", lines(0..2).as_bytes()), 202);
    }
    sidecar.kill();
    sidecar.start_again();
    let addr = address(&sidecar);
    let (again, _, body) = post(addr, "webhook-id: msg_1\r\n", lines(0..2).as_bytes()).unwrap();
    assert_eq!((again, body.as_str()), (202, "{\"accepted\":2}\n"));
    assert_eq!(status(addr, "webhook-id: msg_2\r\n", lines(2..3).as_bytes()), 202);
    receiver.wait_until("the last event", Duration::from_secs(20), |all| {
        all.iter().any(|delivery| delivery.text().contains(&event(2)))
    });
    assert_eq!(sidecar.stop(), 0);
    // A batch that was under way at the kill is sent again under its own id.
    let mut seen = numbers(&receiver.accepted_lines());
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [0, 1, 2]);
    let spooled: String = sidecar.read_all("state/spool/hooks").into_iter().map(|(_, text)| text).collect();
    assert!(spooled.matches(&event(0)).count() <= 1, "it was stored once: {spooled}");
}

#[test]
fn every_event_that_was_acknowledged_is_delivered_after_kill_9_amid_500_posts() {
    const SENDERS: usize = 500;
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let mut sidecar = sidecar(&receiver, "").log_level("info").start();
    let addr = address(&sidecar);
    let begin = Arc::new(Barrier::new(SENDERS));
    let answered = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (begin, answered) = (begin.clone(), answered.clone());
            thread::Builder::new().stack_size(256 << 10).spawn(move || {
                begin.wait();
                let mut taken = Vec::new();
                for n in 0..4 {
                    let number = (sender * 4 + n) as u64;
                    let id = format!("webhook-id: {number}\r\n");
                    match post(addr, &id, event(number).as_bytes()) {
                        Ok((202, ..)) => {
                            taken.push(number);
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok((status, ..)) => assert!([429, 503].contains(&status), "{status}"),
                        Err(_) => break,
                    }
                }
                taken
            })
        })
        .collect();
    wait_until("some answers", || answered.load(Ordering::Relaxed) > 300);
    sidecar.kill();
    let mut taken: Vec<u64> = senders.into_iter().flat_map(|sender| sender.unwrap().join().unwrap()).collect();
    taken.sort_unstable();
    assert!(taken.len() < SENDERS * 4, "it was killed amid them");
    receiver.always(Reply::status(200));
    sidecar.start_again();
    receiver.wait_until("every event that was taken", Duration::from_secs(30), |all| {
        let lines: Vec<String> = all.iter().filter(|delivery| delivery.accepted()).flat_map(|d| d.lines()).collect();
        let mut delivered = numbers(&lines);
        delivered.sort_unstable();
        taken.iter().all(|number| delivered.binary_search(number).is_ok())
    });
    assert_eq!(sidecar.stop(), 0);
}

#[test]
fn a_full_spool_puts_senders_off_and_takes_again_once_there_is_room() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let mut sidecar = sidecar(&receiver, "maxBytes: 1MiB").start();
    let addr = address(&sidecar);
    let event = |n: u64| format!("{{\"n\":{n},\"fill\":\"{}\"}}", "x".repeat(100_000));
    let mut taken = 0;
    let refused = loop {
        let (status, head, body) = post(addr, "", event(taken).as_bytes()).unwrap();
        if status != 202 {
            break (status, head, body);
        }
        taken += 1;
        assert!(taken < 20, "1 MiB is full at some time");
    };
    assert_eq!(refused.0, 503, "{refused:?}");
    assert!(refused.1.get("retry-after").is_some(), "{refused:?}");
    sidecar.wait_for_log("its spool is full");
    receiver.always(Reply::status(200));
    wait_until("room for the one that was refused", || status(addr, "", event(taken).as_bytes()) == 202);
    let received = receiver.wait_for_lines(usize::try_from(taken).unwrap() + 1);
    assert_eq!(received.len() as u64, taken + 1);
    assert_eq!(sidecar.stop(), 0);
}

// J26
#[test]
fn too_many_open_files_let_senders_wait_with_an_alarm_until_there_are_fewer() {
    let receiver = Receiver::start();
    let sidecar = sidecar(&receiver, "").through(&["sh", "-c", "ulimit -n 40; exec \"$@\"", "sh"]).start();
    let addr = address(&sidecar);
    let clients: Vec<TcpStream> = (0..60).map(|_| TcpStream::connect(addr).unwrap()).collect();
    sidecar.wait_for_log("cannot accept connections");
    drop(clients);
    sidecar.wait_for_alarm("file", "lower maxConnections");
    assert_eq!(status(addr, "", event(0).as_bytes()), 202);
    receiver.wait_for_lines(1);
    sidecar.wait_for_status("no alarm", |status| status["alarms"].as_array().is_some_and(Vec::is_empty));
}

#[test]
fn memory_stays_flat_under_bombs() {
    let receiver = Receiver::start();
    let mut sidecar = sidecar(&receiver, "").start();
    let addr = address(&sidecar);
    // A gigabyte of blanks in a megabyte.
    let bomb = gzip(&vec![b' '; 256 << 20]).repeat(4);
    assert_eq!(status(addr, "", &bomb), 413);
    let before = sidecar.peak_rss_kib();
    for _ in 0..10 {
        assert_eq!(status(addr, "Content-Encoding: gzip\r\n", &bomb), 413);
    }
    let more = sidecar.peak_rss_kib() - before;
    assert!(more < 16 << 10, "{more} KiB more than after the first");
    assert!(before < 100 << 10, "{before} KiB");
    assert_eq!(status(addr, "", event(0).as_bytes()), 202);
    receiver.wait_for_lines(1);
    assert_eq!(sidecar.stop(), 0);
}

#[test]
fn a_stop_amid_a_body_answers_it_and_delivers_it() {
    let receiver = Receiver::start();
    let mut sidecar = sidecar(&receiver, "").start();
    let addr = address(&sidecar);
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let body = event(7);
    let length = body.len();
    write!(stream, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    assert_eq!(Head::read(&mut reader).unwrap().unwrap().first_line, "HTTP/1.1 100 Continue");
    sidecar.terminate();
    wait_until("it to listen no more", || TcpStream::connect(addr).is_err());
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut reader).unwrap().0, 202);
    assert_eq!(sidecar.wait(), 0);
    assert_eq!(receiver.accepted_lines(), [body]);
}

#[test]
fn storage_that_cannot_be_written_puts_senders_off_until_it_can() {
    if is_root() {
        return storage_that_is_away();
    }
    let receiver = Receiver::start();
    let mut sidecar = sidecar(&receiver, "").start();
    let addr = address(&sidecar);
    let dir = sidecar.path("state/spool/hooks");
    std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o500)).unwrap();
    let (refused, head, _) = post(addr, "", event(0).as_bytes()).unwrap();
    assert_eq!((refused, head.get("retry-after")), (503, Some("10")));
    std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(status(addr, "", event(0).as_bytes()), 202);
    receiver.wait_for_lines(1);
    assert_eq!(sidecar.stop(), 0);
}

/// Root may write anywhere: a file stands where the directory of the spool was.
fn storage_that_is_away() {
    let receiver = Receiver::start();
    let mut sidecar = sidecar(&receiver, "").start();
    let addr = address(&sidecar);
    let dir = sidecar.path("state/spool/hooks");
    std::fs::rename(&dir, sidecar.path("away")).unwrap();
    std::fs::write(&dir, "").unwrap();
    let (refused, head, _) = post(addr, "", event(0).as_bytes()).unwrap();
    assert_eq!((refused, head.get("retry-after")), (503, Some("10")));
    std::fs::remove_file(&dir).unwrap();
    std::fs::rename(sidecar.path("away"), &dir).unwrap();
    assert_eq!(status(addr, "", event(0).as_bytes()), 202);
    receiver.wait_for_lines(1);
    assert_eq!(sidecar.stop(), 0);
}

#[test]
fn one_auditpost_hands_over_to_another_with_tls_and_a_client_certificate() {
    let receiver = Receiver::start();
    let authority = Authority::new();
    let tls = "tls: {certFile: \"{dir}/server.crt\", keyFile: \"{dir}/server.key\", clientCaFile: \"{dir}/ca\"}";
    let mut taker = sidecar(&receiver, tls);
    put(&taker, &authority, "server", "127.0.0.1");
    taker = taker.start();
    let addr = address(&taker);
    let shown = "batch: {maxAge: 50ms}\ntls: {caFile: \"{dir}/ca\", certFile: \"{dir}/client.crt\", keyFile: \"{dir}/client.key\"}";
    let giver =
        Sidecar::new().file_source("app", "audit.ndjson").forwarder("taker", &format!("https://{addr}/"), shown);
    put(&giver, &authority, "client", "client.test");
    giver.write_lines("audit.ndjson", 0..500);
    let mut giver = giver.start();
    let received = receiver.wait_for_lines(500);
    assert_eq!(numbers(&received), (0..500).collect::<Vec<_>>());
    assert!(post(addr, "", event(500).as_bytes()).is_err(), "without TLS there is no answer");
    assert_eq!((giver.stop(), taker.stop()), (0, 0));
    assert_eq!(receiver.accepted_lines().len(), 500);
}

/// A certificate with its key, and the authority that signed it.
fn put(sidecar: &Sidecar, authority: &Authority, name: &str, host: &str) {
    let identity = authority.issue(&[host]);
    std::fs::write(sidecar.path("ca"), authority.pem()).unwrap();
    std::fs::write(sidecar.path(format!("{name}.crt")), &identity.certificate_pem).unwrap();
    std::fs::write(sidecar.path(format!("{name}.key")), &identity.key_pem).unwrap();
}
