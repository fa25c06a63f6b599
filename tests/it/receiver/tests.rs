//! The receiver itself, driven by a raw TCP client.

use std::{
    io::{self, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use super::{Receiver, Reply};
use crate::{
    certificate::Authority,
    http::{Head, read_answer},
};

fn connect(receiver: &Receiver) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(receiver.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    BufReader::new(stream)
}

fn send(stream: &mut BufReader<impl Read + Write>, id: &str, body: &[u8]) -> io::Result<()> {
    let head =
        format!("POST /ingest HTTP/1.1\r\nHost: x\r\nWebhook-Id: {id}\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.get_mut().write_all(head.as_bytes())?;
    stream.get_mut().write_all(body)?;
    stream.get_mut().flush()
}

fn post(stream: &mut BufReader<impl Read + Write>, id: &str, body: &[u8]) -> io::Result<(u16, Head, String)> {
    send(stream, id, body)?;
    read_answer(stream)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn it_follows_the_script_then_the_rule_and_records_decoded_bodies() {
    let receiver = Receiver::start();
    receiver.script([Reply::status(503).header("retry-after", "2")]);
    receiver.rule(|delivery| Reply::status(if delivery.text().contains("bad") { 400 } else { 202 }));
    let mut stream = connect(&receiver);
    let (status, head, _) = post(&mut stream, "a", &gzip("one\ntwo\n")).unwrap();
    assert_eq!((status, head.get("Retry-After")), (503, Some("2")));
    assert_eq!(post(&mut stream, "a", &gzip("one\ntwo\n")).unwrap().0, 202);
    assert_eq!(post(&mut stream, "b", b"a bad one\n").unwrap().0, 400);

    let deliveries = receiver.wait_for_requests(3);
    assert_eq!(receiver.ids(), ["a", "a", "b"]);
    assert_eq!(receiver.accepted_ids(), ["a"]);
    assert_eq!(receiver.accepted_lines(), ["one", "two"]);
    assert_eq!(receiver.wait_for_lines(2).len(), 2);
    assert_eq!((receiver.connections(), deliveries[2].answer), (1, Some(400)));
    assert!(deliveries[0].wire.starts_with(&[0x1f, 0x8b]) && deliveries[0].complete);
}

#[test]
fn a_chunked_body_is_read_whole() {
    let receiver = Receiver::start();
    let mut stream = connect(&receiver);
    let request = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n";
    stream.get_mut().write_all(request.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().0, 200);
    assert_eq!(receiver.accepted_lines(), ["one", "two"]);
    assert_eq!(post(&mut stream, "x", b"").unwrap().0, 200, "the connection goes on");
}

#[test]
fn a_reset_is_a_reset_and_not_an_end() {
    let receiver = Receiver::start();
    receiver.script([Reply::reset_mid_body(3), Reply::reset_after_body(), Reply::close_without_answer()]);
    for expected in [Some(ErrorKind::ConnectionReset), Some(ErrorKind::ConnectionReset), None] {
        let mut stream = connect(&receiver);
        send(&mut stream, "x", b"123456").unwrap();
        let read = stream.read(&mut [0; 8]);
        match expected {
            Some(kind) => assert_eq!(read.unwrap_err().kind(), kind),
            None => assert_eq!(read.unwrap(), 0),
        }
    }
    let deliveries = receiver.wait_for_requests(3);
    assert_eq!(deliveries.iter().map(|d| d.complete).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(deliveries[0].wire.len(), 3);
    assert!(deliveries.iter().all(|delivery| delivery.answer.is_none()));
}

#[test]
fn it_can_answer_before_the_body_has_come() {
    let receiver = Receiver::start();
    receiver.script([Reply::early(413, 2)]);
    let mut stream = connect(&receiver);
    let head = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12";
    stream.get_mut().write_all(head.as_bytes()).unwrap();
    assert_eq!(read_answer(&mut stream).unwrap().0, 413);
    assert!(!receiver.deliveries()[0].finished);
    stream.get_mut().write_all(b"345").unwrap();
    assert_eq!(post(&mut stream, "next", b"x").unwrap().0, 200, "the rest was read");
    assert_eq!(receiver.deliveries()[0].text(), "12345");
}

#[test]
fn it_stops_and_starts_on_the_same_port_and_keeps_the_record() {
    let mut receiver = Receiver::start();
    receiver.script([Reply::hang()]);
    let mut stream = connect(&receiver);
    send(&mut stream, "x", b"1\n").unwrap();
    receiver.wait_for_requests(1);
    receiver.stop();
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0, "a hanging connection ends too");
    let refused = TcpStream::connect(receiver.addr()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

    receiver.start_again();
    assert_eq!(post(&mut connect(&receiver), "y", b"2\n").unwrap().0, 200);
    assert_eq!(receiver.ids(), ["x", "y"]);
}

#[test]
fn it_can_delay_drip_and_close_late() {
    let receiver = Receiver::start();
    let tenth = Duration::from_millis(100);
    receiver.script([
        Reply::status(200).delay(tenth),
        Reply::drip(204, Duration::from_millis(2)),
        Reply::raw("HTTP/1.1 103 Early Hints\r\n\r\n"),
        Reply::status(200).close_after(tenth),
    ]);
    let mut stream = connect(&receiver);
    let begin = Instant::now();
    assert_eq!(post(&mut stream, "x", b"1").unwrap().0, 200);
    assert!(begin.elapsed() >= tenth);
    send(&mut stream, "x", b"1").unwrap();
    assert_eq!(Head::read(&mut stream).unwrap().unwrap().first_line, "HTTP/1.1 204 Scripted");
    send(&mut stream, "x", b"1").unwrap();
    let hints = Head::read(&mut stream).unwrap().unwrap();
    assert!(hints.first_line.contains("103"));
    assert_eq!(receiver.deliveries()[2].answer, Some(103));

    let begin = Instant::now();
    assert_eq!(post(&mut stream, "x", b"1").unwrap().0, 200);
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    assert!(begin.elapsed() >= tenth);
}

#[test]
fn a_stalled_body_fills_the_senders_buffers() {
    let receiver = Receiver::start();
    receiver.script([Reply::stall_mid_body(1000)]);
    let mut stream = connect(&receiver);
    let limit = Some(Duration::from_millis(300));
    stream.get_ref().set_write_timeout(limit).unwrap();
    let blocked = send(&mut stream, "x", &vec![b'x'; 64 << 20]).unwrap_err();
    assert_eq!(blocked.kind(), ErrorKind::WouldBlock);
    assert!(!receiver.wait_for_requests(1)[0].complete);
}

#[test]
fn it_speaks_tls_with_a_certificate_of_our_own_authority() {
    let authority = Authority::new();
    let receiver = Receiver::start_tls(&authority.issue(&["localhost"]));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let tls = rustls::ClientConnection::new(config.into(), name).unwrap();
    let tcp = TcpStream::connect(receiver.addr()).unwrap();
    let mut stream = BufReader::new(rustls::StreamOwned::new(tls, tcp));
    assert_eq!(post(&mut stream, "x", b"1\n").unwrap().0, 200);
    assert_eq!(receiver.accepted_lines(), ["1"]);
    assert!(receiver.url_at("localhost").starts_with("https://localhost:"));
}

#[test]
#[should_panic(expected = "waited 1ms in vain for the impossible; there were 0 requests")]
fn waiting_in_vain_says_what_there_was() {
    let receiver = Receiver::start();
    receiver.wait_until("the impossible", Duration::from_millis(1), |_| false);
}
