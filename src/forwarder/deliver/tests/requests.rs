//! Plain HTTP with a receiver that behaves: what is sent, and what is made of its answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::HeaderName;
use tokio::{io::AsyncWriteExt, sync::mpsc};

use super::{peer::*, *};
use crate::{
    config::{Secret, Token},
    forwarder::deliver::WebhookError,
};

/// A peer that hands on what it receives, and answers 200.
async fn recording() -> (Peer, mpsc::UnboundedReceiver<Received>) {
    let (sender, received) = mpsc::unbounded_channel();
    let peer = Peer::start(move |mut stream| {
        let sender = sender.clone();
        async move {
            while let Some(request) = read_request(&mut stream).await {
                sender.send(request).unwrap();
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    (peer, received)
}

#[tokio::test]
async fn a_request_has_exactly_the_headers_that_are_promised() {
    let (peer, mut received) = recording().await;
    let mut config = forwarder(&peer.uri());
    config.auth = bearer(Token::Inline(Secret::new("s3cret")));
    config.headers = vec![(HeaderName::from_static("x-tenant"), Secret::new("acme"))];
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let request = Request { compressed: true, ..batch("not really gzip") };
    let answer = WebhookClient::new(&config).unwrap().send(request).await;
    assert_eq!(answer, Answer::Status { code: 200, retry_after: None, excerpt: String::new(), premature: false });

    let request = received.recv().await.unwrap();
    assert_eq!(request.body, b"not really gzip");
    let timestamp: u64 = request.header("webhook-timestamp").unwrap().parse().unwrap();
    assert!((before..before + 5).contains(&timestamp));
    let mut lines: Vec<_> = request.head.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.remove(0), "POST /ingest?key=canary-query HTTP/1.1");
    lines.sort_unstable();
    let timestamp = format!("webhook-timestamp: {timestamp}");
    let host = format!("host: {}", peer.address);
    let mut expected = vec![
        "accept: */*",
        "auditpost-attempt: 3",
        "auditpost-batch: 7",
        "auditpost-events: 2",
        "auditpost-forwarder: siem",
        "authorization: Bearer s3cret",
        "content-encoding: gzip",
        "content-length: 15",
        "content-type: application/x-ndjson",
        &host,
        "idempotency-key: \"b-1\"",
        "user-agent: auditpost/test",
        "webhook-id: b-1",
        &timestamp,
        "x-tenant: acme",
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn configured_headers_win_over_defaults_and_no_coding_is_named_without_compression() {
    let (peer, mut received) = recording().await;
    let mut config = forwarder(&peer.uri());
    config.method = Method::PUT;
    config.headers = [("content-type", "text/x"), ("authorization", "Splunk abc"), ("x-many", "1"), ("x-many", "2")]
        .map(|(name, value)| (HeaderName::from_static(name), Secret::new(value)))
        .into();
    send(&WebhookClient::new(&config).unwrap()).await;
    let request = received.recv().await.unwrap();
    assert!(request.head.starts_with("PUT /ingest"));
    assert_eq!(request.header("content-type"), Some("text/x"));
    assert_eq!(request.header("authorization"), Some("Splunk abc"));
    assert_eq!(request.header("content-encoding"), None);
    assert_eq!(request.head.matches("content-type").count(), 1);
    assert!(request.head.contains("x-many: 1\r\nx-many: 2\r\n"));
}

#[test]
fn a_uri_with_a_password_and_a_header_of_two_lines_are_refused() {
    for uri in ["http://user:pass@localhost/", "http://user@localhost/", "ftp://localhost/"] {
        assert!(matches!(WebhookClient::new(&forwarder(uri)), Err(WebhookError::Uri)), "{uri}");
    }
    let mut config = forwarder("http://localhost/");
    config.headers = vec![(HeaderName::from_static("x-a"), Secret::new("canary\r\nx-b: 2"))];
    let error = WebhookClient::new(&config).err().unwrap().to_string();
    assert!(error.contains("x-a") && !error.contains("canary"), "{error}");
}

#[tokio::test]
async fn a_connection_is_used_again_whatever_the_size_of_the_answer_within_bounds() {
    let body = "x".repeat(40_000);
    let peer = Peer::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: 40000\r\n\r\n{body}")).await;
    let webhook = webhook(&peer.uri());
    for _ in 0..5 {
        assert_eq!(send(&webhook).await.code(), Some(200));
    }
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn a_redirect_is_never_followed_and_the_token_goes_nowhere_else() {
    let elsewhere = Peer::answering(OK).await;
    for code in [301, 302, 303, 307, 308] {
        let location = elsewhere.address;
        let peer = Peer::answering(format!(
            "HTTP/1.1 {code} Moved\r\nlocation: http://{location}/\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
        let mut config = forwarder(&peer.uri());
        config.auth = bearer(Token::Inline(Secret::new("canary")));
        let answer = send(&WebhookClient::new(&config).unwrap()).await;
        assert_eq!((answer.code(), verdict(&answer)), (Some(code), AnswerVerdict::Hold));
        assert_eq!(peer.connections(), 1);
    }
    assert_eq!(elsewhere.connections(), 0);
    let upgrade = "HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
    let answer = send(&webhook(&Peer::answering(upgrade).await.uri())).await;
    assert_eq!((answer.code(), verdict(&answer)), (Some(101), AnswerVerdict::Hold));
}

#[tokio::test]
async fn a_secret_that_is_echoed_is_not_repeated() {
    let peer = Peer::start(|mut stream| async move {
        let request = read_request(&mut stream).await.unwrap();
        let head = format!("HTTP/1.1 500 Oops\r\ncontent-length: {}\r\n\r\n{}", request.head.len(), request.head);
        stream.write_all(head.as_bytes()).await.unwrap();
    })
    .await;
    let mut config = forwarder(&peer.uri());
    config.auth = bearer(Token::Inline(Secret::new("canary-token")));
    config.headers = vec![(HeaderName::from_static("x-key"), Secret::new("canary-header"))];
    let answer = send(&WebhookClient::new(&config).unwrap()).await;
    let said = format!("{answer} {answer:?}");
    assert!(said.contains("POST /ingest?[redacted]") && said.contains("Bearer [redacted]"), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[tokio::test]
async fn interim_answers_old_versions_and_odd_framings_are_understood() {
    for response in [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nbye",
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-trailer: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc",
    ] {
        let peer = Peer::start(move |mut stream| async move {
            read_request(&mut stream).await;
            stream.write_all(response.as_bytes()).await.unwrap();
        })
        .await;
        let answer = send(&webhook(&peer.uri())).await;
        assert_eq!(answer.code(), Some(200), "{response:?}: {answer:?}");
    }
}

#[tokio::test]
async fn retry_after_is_read_with_the_answers_own_date() {
    let peer = Peer::answering(
        "HTTP/1.1 429 Slow Down\r\ndate: Sun, 06 Nov 1994 08:49:30 GMT\r\n\
         retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let answer = send(&webhook(&peer.uri())).await;
    assert_eq!((answer.retry_after(), verdict(&answer)), (Some(Duration::from_secs(7)), AnswerVerdict::Retry));
}
