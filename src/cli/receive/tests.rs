//! The receiver over real connections.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    fs,
    io::{ErrorKind, Write},
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{Behaviour, Delivery, Receiver, ReceiverCounts, Then, save::Archive};

struct Running {
    addr: SocketAddr,
    deliveries: mpsc::Receiver<Delivery>,
    counts: Arc<ReceiverCounts>,
    stop: CancellationToken,
}

async fn start(behaviour: Behaviour) -> Running {
    let listen = "127.0.0.1:0".parse().unwrap();
    let (receiver, deliveries) = Receiver::bind(listen, behaviour).await.unwrap();
    let stop = CancellationToken::new();
    let running = Running { addr: receiver.addr(), deliveries, counts: receiver.counts(), stop: stop.clone() };
    tokio::spawn(receiver.run(stop));
    running
}

impl Running {
    async fn send(&self, id: &str, headers: &str, body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let head = format!(
            "POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nwebhook-id: {id}\r\n{headers}\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body).await.unwrap();
        stream
    }

    async fn post(&self, id: &str, headers: &str, body: &[u8]) -> String {
        let mut answer = String::new();
        let mut stream = self.send(id, headers, body).await;
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn what_is_answered_was_reported_decoded_and_counted() {
    let mut receiver =
        start(Behaviour { faults: vec!["429:1:retry-after=2".parse().unwrap()], ..Behaviour::default() }).await;
    let body = gzip(b"{\"n\":1}\n{\"n\":2}\n");
    let encoding = "Content-Encoding: application/gzip\r\n";
    let answers = [
        receiver.post("a", encoding, &body).await,
        receiver.post("a", encoding, &body).await,
        receiver.post("a", encoding, &body).await,
        receiver.post("b", "Content-Encoding: gzip\r\n", b"no gzip").await,
    ];
    assert!(answers[0].starts_with("HTTP/1.1 429") && answers[0].contains("retry-after: 2"));
    assert!(answers[1].starts_with("HTTP/1.1 200") && answers[2].starts_with("HTTP/1.1 200"));
    assert!(answers[3].starts_with("HTTP/1.1 400") && answers[3].contains("it is not"));

    let mut duplicates = Vec::new();
    for _ in 0..4 {
        let delivery = receiver.deliveries.try_recv().unwrap();
        duplicates.push(delivery.duplicate);
        if delivery.headers["webhook-id"] == "a" {
            assert_eq!(delivery.events, ["{\"n\":1}", "{\"n\":2}"]);
            assert_eq!(delivery.wire_bytes, body.len());
        }
    }
    assert_eq!(duplicates, [false, false, true, false], "a retry is no duplicate");
    let counts = &receiver.counts;
    assert_eq!(counts.requests.load(Relaxed), 4);
    assert_eq!(counts.events.load(Relaxed), 4);
    assert_eq!(counts.duplicates.load(Relaxed), 1);
    assert_eq!(counts.rejected.load(Relaxed), 2);
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_hang_ends_with_the_receiver() {
    let receiver = start(Behaviour { then: Then::Reset, ..Behaviour::default() }).await;
    let mut stream = receiver.send("a", "", b"x").await;
    let error = stream.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    let mut receiver = start(Behaviour { then: Then::Hang, ..Behaviour::default() }).await;
    let mut stream = receiver.send("a", "", b"x").await;
    receiver.deliveries.recv().await.unwrap();
    receiver.stop.cancel();
    let mut bytes = [0; 8];
    let end = timeout(Duration::from_secs(10), stream.read(&mut bytes));
    assert!(matches!(end.await.unwrap(), Ok(0) | Err(_)), "there was an answer");
    assert!(receiver.deliveries.recv().await.is_none(), "the channel ends");
}

#[tokio::test]
async fn bodies_are_kept_without_the_token_and_never_written_over() {
    let mut receiver = start(Behaviour::default()).await;
    let token = "Authorization: Bearer hunter2\r\n";
    receiver.post("../a", token, &gzip(b"one\n")).await;
    let delivery = receiver.deliveries.recv().await.unwrap();

    let dir = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let mut archive = Archive::open(dir.path()).unwrap();
        archive.save(&delivery).unwrap();
    }
    for number in ["000001", "000002"] {
        let file = |extension| dir.path().join(format!("{number}-___a.{extension}"));
        assert_eq!(fs::read(file("ndjson")).unwrap(), b"one\n");
        let head = fs::read_to_string(file("headers")).unwrap();
        assert!(head.starts_with("POST /x\n") && head.contains("webhook-id: ../a\n"), "{head}");
        assert!(head.contains("authorization: [redacted]") && !head.contains("hunter2"));
    }
}
