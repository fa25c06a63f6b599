//! Plain HTTP: what is sent, and what each kind of misbehaviour looks like.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::header::HeaderName;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

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
    config.token = Some(Token::Inline(Secret::new("s3cret")));
    config.headers = vec![(HeaderName::from_static("x-tenant"), Secret::new("acme"))];
    let before = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let request = Request {
        compressed: true,
        ..batch("not really gzip")
    };
    let answer = Webhook::new(&config).unwrap().send(request).await;
    assert_eq!(
        answer,
        Answer::Status {
            code: 200,
            retry_after: None,
            excerpt: String::new(),
            premature: false
        }
    );

    let request = received.recv().await.unwrap();
    assert_eq!(request.body, b"not really gzip");
    let timestamp: u64 = request
        .header("webhook-timestamp")
        .unwrap()
        .parse()
        .unwrap();
    assert!((before..before + 5).contains(&timestamp));
    let mut lines: Vec<_> = request
        .head
        .lines()
        .filter(|line| !line.is_empty())
        .collect();
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
    config.headers = [
        ("content-type", "text/x"),
        ("authorization", "Splunk abc"),
        ("x-many", "1"),
        ("x-many", "2"),
    ]
    .map(|(name, value)| (HeaderName::from_static(name), Secret::new(value)))
    .into();
    send(&Webhook::new(&config).unwrap()).await;
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
    for uri in [
        "http://user:pass@localhost/",
        "http://user@localhost/",
        "ftp://localhost/",
    ] {
        assert!(
            matches!(Webhook::new(&forwarder(uri)), Err(WebhookError::Uri)),
            "{uri}"
        );
    }
    let mut config = forwarder("http://localhost/");
    config.headers = vec![(
        HeaderName::from_static("x-a"),
        Secret::new("canary\r\nx-b: 2"),
    )];
    let error = Webhook::new(&config).err().unwrap().to_string();
    assert!(
        error.contains("x-a") && !error.contains("canary"),
        "{error}"
    );
}

#[tokio::test]
async fn a_connection_is_used_again_whatever_the_size_of_the_answer_within_bounds() {
    let body = "x".repeat(40_000);
    let peer = Peer::answering(format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 40000\r\n\r\n{body}"
    ))
    .await;
    let webhook = webhook(&peer.uri());
    for _ in 0..5 {
        assert_eq!(send(&webhook).await.code(), Some(200));
    }
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let answer = send(&webhook(&format!(
        "http://{address}/secret/path?key=canary"
    )))
    .await;
    assert_eq!(
        (kind(&answer), verdict(&answer)),
        (FailureKind::Connect, Verdict::Retry)
    );
    assert_eq!(
        text(&answer),
        format!("http://{address}: no connection: Connection refused (os error 111)")
    );
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_says_so() {
    // Too long for a label, so that no resolver is asked.
    let answer = send(&webhook(&format!("http://{}.invalid/", "a".repeat(64)))).await;
    assert_eq!(kind(&answer), FailureKind::Dns, "{answer:?}");
}

#[tokio::test]
async fn a_reset_in_the_middle_of_the_body_is_told_from_one_after_it() {
    let peer = Peer::start(|mut stream| async move {
        stream.read_exact(&mut [0; 1024]).await.unwrap();
        reset(stream);
    })
    .await;
    let answer = webhook(&peer.uri())
        .send(batch(vec![b'x'; 8_000_000]))
        .await;
    assert_eq!(
        kind(&answer),
        FailureKind::Reset { sending: true },
        "{answer:?}"
    );
    // The buffers take all of it at once; the receiver does not.
    let answer = webhook(&peer.uri()).send(batch(vec![b'x'; 100_000])).await;
    assert_eq!(
        kind(&answer),
        FailureKind::Reset { sending: true },
        "{answer:?}"
    );

    let peer = Peer::start(|mut stream| async move {
        read_request(&mut stream).await;
        reset(stream);
    })
    .await;
    let answer = send(&webhook(&peer.uri())).await;
    assert_eq!(
        (kind(&answer), verdict(&answer)),
        (FailureKind::Reset { sending: false }, Verdict::Retry)
    );
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_says_so() {
    let peer = Peer::start(|mut stream| async move {
        read_request(&mut stream).await;
    })
    .await;
    let answer = send(&webhook(&peer.uri())).await;
    assert_eq!(
        (kind(&answer), verdict(&answer)),
        (FailureKind::Closed, Verdict::Retry)
    );
    assert!(!text(&answer).contains("canary"), "{answer:?}");
}

#[tokio::test]
async fn a_receiver_that_hangs_costs_the_timeout_and_the_text_says_where() {
    let silent = Peer::start(|mut stream| async move {
        drain(&mut stream).await;
    })
    .await;
    let begun = Instant::now();
    let answer = send(&hasty(&silent.uri())).await;
    assert_eq!(
        (kind(&answer), verdict(&answer)),
        (FailureKind::Timeout, Verdict::Retry)
    );
    assert!(
        text(&answer).contains("took the request and did not answer within 400ms"),
        "{answer:?}"
    );
    assert!(
        begun.elapsed() >= Duration::from_millis(400) && begun.elapsed() < Duration::from_secs(4)
    );

    let deaf = Peer::start(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let answer = hasty(&deaf.uri()).send(batch(vec![0; 64_000_000])).await;
    assert!(
        text(&answer).contains("stopped taking the request"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_answer_that_comes_a_byte_at_a_time_runs_into_the_timeout() {
    let peer = Peer::start(|mut stream| async move {
        read_request(&mut stream).await;
        for byte in OK.as_bytes() {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert_eq!(kind(&send(&hasty(&peer.uri())).await), FailureKind::Timeout);
}

#[tokio::test]
async fn a_success_before_the_body_was_sent_is_premature() {
    let peer = Peer::start(|mut stream| async move {
        stream.read_exact(&mut [0; 1024]).await.unwrap();
        stream.write_all(OK.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let answer = webhook(&peer.uri())
        .send(batch(vec![b'x'; 64_000_000]))
        .await;
    assert!(
        matches!(
            answer,
            Answer::Status {
                code: 200,
                premature: true,
                ..
            }
        ),
        "{answer:?}"
    );
    assert_eq!(verdict(&answer), Verdict::Retry);
}

#[tokio::test]
async fn a_large_body_that_was_read_is_not_premature() {
    let peer = Peer::answering(OK).await;
    let answer = webhook(&peer.uri())
        .send(batch(vec![b'x'; 8_000_000]))
        .await;
    assert!(
        matches!(
            answer,
            Answer::Status {
                code: 200,
                premature: false,
                ..
            }
        ),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_early_413_ends_in_a_smaller_batch_whether_it_or_the_reset_is_seen() {
    let peer = Peer::start(|mut stream| async move {
        stream.read_exact(&mut [0; 1024]).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
    })
    .await;
    for _ in 0..5 {
        let answer = webhook(&peer.uri())
            .send(batch(vec![b'x'; 4_000_000]))
            .await;
        let seen = answer.code() == Some(413)
            || answer.failure() == Some(FailureKind::Reset { sending: true });
        assert!(seen, "{answer:?}");
    }
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
        config.token = Some(Token::Inline(Secret::new("canary")));
        let answer = send(&Webhook::new(&config).unwrap()).await;
        assert_eq!(
            (answer.code(), verdict(&answer)),
            (Some(code), Verdict::Hold)
        );
        assert_eq!(peer.connections(), 1);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn the_body_of_an_answer_is_read_in_bounds_and_changes_nothing() {
    let drip = Peer::start(|mut stream| async move {
        read_request(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
            .await
            .unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let begun = Instant::now();
    let answer = send(&webhook(&drip.uri())).await;
    assert_eq!(answer.code(), Some(200));
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );

    let (sender, mut written) = mpsc::unbounded_channel();
    let huge = Peer::start(move |mut stream| {
        let sender = sender.clone();
        async move {
            read_request(&mut stream).await;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")
                .await
                .unwrap();
            sender
                .send(flood(&mut stream, &[b'y'; 65_536], 16_384).await)
                .unwrap();
        }
    })
    .await;
    let Answer::Status {
        code: 200, excerpt, ..
    } = send(&webhook(&huge.uri())).await
    else {
        panic!("no 200")
    };
    assert!(excerpt.starts_with("yyy") && excerpt.len() <= 512);
    assert!(
        written.recv().await.unwrap() < 1000,
        "the connection was dropped early on"
    );

    let short = Peer::start(|mut stream| async move {
        read_request(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 1000\r\n\r\n\x1b[31mtry later")
            .await
            .unwrap();
    })
    .await;
    let answer = send(&webhook(&short.uri())).await;
    assert_eq!(
        text(&answer),
        "answered 503 Service Unavailable: \\u{1b}[31mtry later"
    );
}

#[tokio::test]
async fn a_secret_that_is_echoed_is_not_repeated() {
    let peer = Peer::start(|mut stream| async move {
        let request = read_request(&mut stream).await.unwrap();
        let head = format!(
            "HTTP/1.1 500 Oops\r\ncontent-length: {}\r\n\r\n{}",
            request.head.len(),
            request.head
        );
        stream.write_all(head.as_bytes()).await.unwrap();
    })
    .await;
    let mut config = forwarder(&peer.uri());
    config.token = Some(Token::Inline(Secret::new("canary-token")));
    config.headers = vec![(
        HeaderName::from_static("x-key"),
        Secret::new("canary-header"),
    )];
    let answer = send(&Webhook::new(&config).unwrap()).await;
    let said = format!("{answer} {answer:?}");
    assert!(
        said.contains("POST /ingest?[redacted]") && said.contains("Bearer [redacted]"),
        "{said}"
    );
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
async fn what_is_not_http_is_a_protocol_failure() {
    let headers = format!(
        "HTTP/1.1 200 OK\r\n{}\r\n",
        "x-filler: aaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(500_000)
    );
    for response in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "<html>an answer of HTTP/0.9</html>\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        headers.as_str(),
    ] {
        let response = response.to_owned();
        let peer = Peer::start(move |mut stream| {
            let response = response.clone();
            async move {
                read_request(&mut stream).await;
                let _ = stream.write_all(response.as_bytes()).await;
                drain(&mut stream).await;
            }
        })
        .await;
        let answer = send(&webhook(&peer.uri())).await;
        assert_eq!(
            (kind(&answer), verdict(&answer)),
            (FailureKind::Protocol, Verdict::Retry),
            "{answer:?}"
        );
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
    assert_eq!(
        (answer.retry_after(), verdict(&answer)),
        (Some(Duration::from_secs(7)), Verdict::Retry)
    );
}

#[tokio::test]
async fn a_connection_that_the_receiver_closes_while_idle_costs_no_delivery() {
    let peer = Peer::start(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    let webhook = webhook(&peer.uri());
    for _ in 0..50 {
        let answer = send(&webhook).await;
        // The close may cross the request; what then comes back is what the forwarder's health replaces once.
        let replaced = matches!(
            answer.failure(),
            Some(FailureKind::Closed | FailureKind::Reset { sending: false })
        );
        assert!(answer.code() == Some(200) || replaced, "{answer:?}");
    }
}
