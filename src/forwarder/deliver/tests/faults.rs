//! Plain HTTP with a receiver that misbehaves: what each fault looks like, and what it costs.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use super::{peer::*, *};

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let answer = send(&webhook(&format!("http://{address}/secret/path?key=canary"))).await;
    assert_eq!((kind(&answer), verdict(&answer)), (FailureKind::Connect, AnswerVerdict::Retry));
    assert_eq!(text(&answer), format!("http://{address}: no connection: Connection refused (os error 111)"));
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
    let answer = webhook(&peer.uri()).send(batch(vec![b'x'; 8_000_000])).await;
    assert_eq!(kind(&answer), FailureKind::Reset { sending: true }, "{answer:?}");
    // The buffers take all of it at once; the receiver does not.
    let answer = webhook(&peer.uri()).send(batch(vec![b'x'; 100_000])).await;
    assert_eq!(kind(&answer), FailureKind::Reset { sending: true }, "{answer:?}");

    let peer = Peer::start(|mut stream| async move {
        read_request(&mut stream).await;
        reset(stream);
    })
    .await;
    let answer = send(&webhook(&peer.uri())).await;
    assert_eq!((kind(&answer), verdict(&answer)), (FailureKind::Reset { sending: false }, AnswerVerdict::Retry));
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_says_so() {
    let peer = Peer::start(|mut stream| async move {
        read_request(&mut stream).await;
    })
    .await;
    let answer = send(&webhook(&peer.uri())).await;
    assert_eq!((kind(&answer), verdict(&answer)), (FailureKind::Closed, AnswerVerdict::Retry));
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
    assert_eq!((kind(&answer), verdict(&answer)), (FailureKind::Timeout, AnswerVerdict::Retry));
    assert!(text(&answer).contains("took the request and did not answer within 400ms"), "{answer:?}");
    assert!(begun.elapsed() >= Duration::from_millis(400) && begun.elapsed() < Duration::from_secs(4));

    let deaf = Peer::start(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let answer = hasty(&deaf.uri()).send(batch(vec![0; 64_000_000])).await;
    assert!(text(&answer).contains("stopped taking the request"), "{answer:?}");
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
    let answer = webhook(&peer.uri()).send(batch(vec![b'x'; 64_000_000])).await;
    assert!(matches!(answer, Answer::Status { code: 200, premature: true, .. }), "{answer:?}");
    assert_eq!(verdict(&answer), AnswerVerdict::Retry);
}

#[tokio::test]
async fn a_receiver_that_stops_reading_cannot_keep_a_connection_and_its_body() {
    for response in [Some(OK), Some("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"), None] {
        let peer = Peer::start(move |mut stream| async move {
            stream.read_exact(&mut [0; 1024]).await.unwrap();
            if let Some(response) = response {
                stream.write_all(response.as_bytes()).await.unwrap();
            }
            std::future::pending::<()>().await;
        })
        .await;
        let body = Bytes::from(vec![b'x'; 16_000_000]);
        hasty(&peer.uri()).send(batch(body.clone())).await;
        let begun = Instant::now();
        while !body.is_unique() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{response:?}: the body is still held");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_large_body_that_was_read_is_not_premature() {
    let peer = Peer::answering(OK).await;
    let answer = webhook(&peer.uri()).send(batch(vec![b'x'; 8_000_000])).await;
    assert!(matches!(answer, Answer::Status { code: 200, premature: false, .. }), "{answer:?}");
}

#[tokio::test]
async fn an_early_413_ends_in_a_smaller_batch_whether_it_or_the_reset_is_seen() {
    let peer = Peer::start(|mut stream| async move {
        stream.read_exact(&mut [0; 1024]).await.unwrap();
        stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    })
    .await;
    for _ in 0..5 {
        let answer = webhook(&peer.uri()).send(batch(vec![b'x'; 4_000_000])).await;
        let seen = answer.code() == Some(413) || answer.failure() == Some(FailureKind::Reset { sending: true });
        assert!(seen, "{answer:?}");
    }
}

#[tokio::test]
async fn the_body_of_an_answer_is_read_in_bounds_and_changes_nothing() {
    let drip = Peer::start(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let begun = Instant::now();
    let answer = send(&webhook(&drip.uri())).await;
    assert_eq!(answer.code(), Some(200));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());

    let (sender, mut written) = mpsc::unbounded_channel();
    let huge = Peer::start(move |mut stream| {
        let sender = sender.clone();
        async move {
            read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n").await.unwrap();
            sender.send(flood(&mut stream, &[b'y'; 65_536], 16_384).await).unwrap();
        }
    })
    .await;
    let Answer::Status { code: 200, excerpt, .. } = send(&webhook(&huge.uri())).await else { panic!("no 200") };
    assert!(excerpt.starts_with("yyy") && excerpt.len() <= 512);
    assert!(written.recv().await.unwrap() < 1000, "the connection was dropped early on");

    let short = Peer::start(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 1000\r\n\r\n\x1b[31mtry later").await.unwrap();
    })
    .await;
    let answer = send(&webhook(&short.uri())).await;
    assert_eq!(text(&answer), "answered 503 Service Unavailable: \\u{1b}[31mtry later");
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_failure() {
    let headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-filler: aaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(500_000));
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
        assert_eq!((kind(&answer), verdict(&answer)), (FailureKind::Protocol, AnswerVerdict::Retry), "{answer:?}");
    }
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
        let replaced = matches!(answer.failure(), Some(FailureKind::Closed | FailureKind::Reset { sending: false }));
        assert!(answer.code() == Some(200) || replaced, "{answer:?}");
    }
}
