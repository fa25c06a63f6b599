//! Requests that come again.

use super::*;

#[tokio::test]
async fn a_request_that_comes_again_is_answered_alike_and_stored_once_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    for header in ["webhook-id: a1\r\n", "Idempotency-Key: \"b1\"\r\n"] {
        for _ in 0..3 {
            assert!(running.post(header, "{\"n\":1}\n{\"n\":2}\n").await.has("202 Accepted"));
        }
    }
    // The same request in another coding is the same; the same id with another body is not.
    let zipped = running.post("webhook-id: a1\r\n", gzip(b"{\"n\":1}\n{\"n\":2}\n")).await;
    assert!(zipped.has("{\"accepted\":2}"), "{zipped:?}");
    assert_eq!(running.lines().len(), 4);
    assert_eq!(running.post("webhook-id: a1\r\n", "{\"n\":3}").await.status(), 202);
    assert_eq!(running.lines().len(), 5);
    running.stop().await;

    let running = start(dir.path()).await;
    assert!(running.post("webhook-id: a1\r\n", "{\"n\":3}").await.has("{\"accepted\":1}"));
    assert_eq!(running.lines().len(), 5);
    assert_eq!(running.post("", "{\"n\":3}").await.status(), 202);
    assert_eq!(running.lines().len(), 6, "without an id everything is new");
    running.stop().await;
}

#[tokio::test]
async fn many_at_once_with_one_id_are_all_answered_and_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let running = Arc::new(start(dir.path()).await);
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let running = running.clone();
        senders.spawn(async move { running.post("webhook-id: one\r\n", "{\"n\":1}").await.status() });
    }
    assert_eq!(senders.join_all().await, [202; 50]);
    assert_eq!(running.lines(), ["{\"n\":1}"]);
}

#[tokio::test]
async fn what_was_refused_is_taken_when_it_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_with(dir.path(), config(), 1500).await;
    let filler = format!("\"{}\"", "x".repeat(998));
    assert_eq!(running.post("webhook-id: a\r\n", &filler).await.status(), 202);
    let refused = running.post("webhook-id: b\r\n", &filler).await;
    assert_eq!(refused.status(), 503);
    let segments = running.log.segments();
    running.log.release_gate.report("siem", segments.iter().map(|segment| (segment.id, segment.size())).collect());
    let end = time::Instant::now() + Duration::from_secs(10);
    while running.post("webhook-id: b\r\n", &filler).await.status() != 202 {
        assert!(time::Instant::now() < end, "there is room again");
        time::sleep(Duration::from_millis(20)).await;
    }
    running.stop().await;
}

#[tokio::test]
async fn a_sender_that_goes_away_before_the_answer_finds_its_request_taken_once() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let request = b"POST / HTTP/1.1\r\nHost: h\r\nwebhook-id: gone\r\nContent-Length: 7\r\n\r\n{\"n\":1}";
    for _ in 0..20 {
        let mut stream = running.connect().await;
        stream.write_all(request).await.unwrap();
    }
    assert_eq!(running.post("webhook-id: gone\r\n", "{\"n\":1}").await.status(), 202);
    assert_eq!(running.lines(), ["{\"n\":1}"]);
    running.stop().await;
}
