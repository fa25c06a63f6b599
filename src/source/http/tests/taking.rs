//! Bodies of the senders there are.

use super::*;

const CEF: &str = "2026-08-19T09:20:05Z konghq.com CEF:0|KongInc|Konnect|1.0|servicehub|Authz.x|6|rt=1 src=::1";

#[tokio::test]
async fn a_batch_of_konnect_is_taken_however_its_gzip_is_announced() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let body = gzip(format!("{CEF}\n{CEF}\n").as_bytes());
    for encoding in ["Content-Encoding: gzip\r\n", "Content-Encoding: application/gzip\r\n", ""] {
        let headers = format!("Content-Type: text/plain\r\n{encoding}");
        let answered = running.post(&headers, &body).await;
        assert_eq!(answered.status(), 202, "{answered:?}");
        assert!(answered.has("{\"accepted\":2}"), "{answered:?}");
    }
    assert_eq!(running.lines(), [CEF; 6]);
    running.stop().await;
}

#[tokio::test]
async fn a_single_object_of_chainloop_is_taken_by_every_method_it_may_use() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let pretty = "{\n  \"ActionType\": \"x\",\n  \"id\": 1\n}\n";
    for method in ["POST", "PUT", "PATCH"] {
        let headers = "Content-Type: application/json\r\nUser-Agent: Chainloop-Audit-Logger/1.0\r\n";
        assert_eq!(running.send(method, "/any/path?x=1", headers, pretty.as_bytes()).await.status(), 202);
    }
    assert_eq!(running.lines(), ["{   \"ActionType\": \"x\",   \"id\": 1 }"; 3]);
    running.stop().await;
}

#[tokio::test]
async fn an_event_list_of_kubernetes_and_an_array_are_taken_apart() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let list = r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[{"auditID":"1"},{"auditID":"2"}]}"#;
    assert!(running.post("", list).await.has("{\"accepted\":2}"));
    assert!(running.post("", "[{\"n\":1},{\"n\":2},{\"n\":3}]").await.has("{\"accepted\":3}"));
    assert_eq!(
        running.lines(),
        ["{\"auditID\":\"1\"}", "{\"auditID\":\"2\"}", "{\"n\":1}", "{\"n\":2}", "{\"n\":3}"]
    );
    running.stop().await;
}

#[tokio::test]
async fn a_bad_line_is_named_and_nothing_of_its_body_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let answered = running.post("", "{\"n\":1}\n{\"n\":2}\n{\"canary\":}\n").await;
    assert_eq!(answered.status(), 400);
    assert!(answered.has("line 3 ") && !answered.has("canary"), "{answered:?}");
    assert!(running.lines().is_empty());
    running.stop().await;
}

#[tokio::test]
async fn an_empty_body_is_taken_as_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    assert!(running.post("", "").await.has("{\"accepted\":0}"));
    assert_eq!(running.raw(b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.status(), 202);
    running.stop().await;
}

#[tokio::test]
async fn other_methods_and_other_paths_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_with(dir.path(), HttpIntake { path: Some("/audit".into()), ..config() }, 1 << 20).await;
    let answered = running.send("GET", "/audit", "", b"").await;
    assert_eq!(answered.status(), 405);
    assert!(answered.has("\r\nallow: POST, PUT, PATCH\r\n"));
    assert_eq!(running.send("POST", "/audit/", "", b"{}").await.status(), 404);
    assert_eq!(running.stats.refused(IntakeRefusal::Request), 2);
    assert_eq!(running.send("POST", "/audit?from=x", "", b"{}").await.status(), 202);
    assert_eq!(running.lines(), ["{}"]);
    running.stop().await;
}

#[tokio::test]
async fn a_connection_serves_many_requests_also_in_chunks_and_after_a_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let mut all = Vec::new();
    for n in 0..3 {
        all.extend_from_slice(
            format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{{\"n\"\r\n3\r\n:{n}}}\r\n0\r\n\r\n")
                .as_bytes(),
        );
        all.extend_from_slice(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nbad");
    }
    all.extend_from_slice(b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}");
    let answered = running.raw(&all).await;
    assert_eq!(answered.text.matches("HTTP/1.1 202").count(), 4, "{answered:?}");
    assert_eq!(answered.text.matches("HTTP/1.1 400").count(), 3, "{answered:?}");
    assert_eq!(running.lines(), ["{\"n\":0}", "{\"n\":1}", "{\"n\":2}", "{}"]);
    running.stop().await;
}

#[tokio::test]
async fn a_request_with_two_lengths_is_refused_and_its_connection_ends() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path()).await;
    let smuggled = "0\r\n\r\nPOST /smuggled HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}";
    let both =
        format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n{smuggled}");
    let different = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 9\r\n\r\n{smuggled}");
    let garbage = "\x16\x03\x01 a TLS client\r\n\r\n".to_owned();
    for bytes in [both, different, garbage] {
        let answered = running.raw(bytes.as_bytes()).await;
        assert!(!answered.has("accepted\":1"), "{bytes:?}: {answered:?}");
    }
    assert!(running.lines().is_empty());
    running.stop().await;
}
