//! Files that are replaced while we run.

use std::{fs, time::Instant};

use tokio::io::AsyncWriteExt;

use super::{
    peer::*,
    tls::{Authority, serving},
    *,
};
use crate::config::Token;

/// A receiver that knows one token.
async fn knowing(token: &'static str) -> Peer {
    Peer::start(move |mut stream| async move {
        while let Some(request) = read_request(&mut stream).await {
            let known = request.header("authorization") == Some(&format!("Bearer {token}"));
            let refusal = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(if known { OK } else { refusal }.as_bytes()).await.unwrap();
        }
    })
    .await
}

fn with_token_file(uri: &str, path: &std::path::Path) -> WebhookClient {
    WebhookClient::new(&Forwarder { auth: bearer(Token::File(path.to_owned())), ..forwarder(uri) }).unwrap()
}

/// Sends until the answer is `wanted`; a change of a file may take a second to be noticed.
async fn until(webhook: &WebhookClient, wanted: impl Fn(&Answer) -> bool) {
    let begun = Instant::now();
    loop {
        let answer = send(webhook).await;
        if wanted(&answer) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_token_that_was_refused_is_read_again_for_the_very_next_request() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    fs::write(&path, "old\n").unwrap();
    let peer = knowing("new").await;
    let webhook = with_token_file(&peer.uri(), &path);
    assert_eq!(send(&webhook).await.code(), Some(401));
    fs::write(&path, "new\n").unwrap();
    assert_eq!(send(&webhook).await.code(), Some(200));
}

#[tokio::test]
async fn a_token_that_is_replaced_before_it_is_refused_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    fs::write(&path, "new").unwrap();
    let peer = knowing("new").await;
    let webhook = with_token_file(&peer.uri(), &path);
    assert_eq!(send(&webhook).await.code(), Some(200));
    assert!(!webhook.files_have_changed().await);
    fs::write(&path, "next").unwrap();
    assert!(webhook.files_have_changed().await);
    assert_eq!(send(&webhook).await.code(), Some(401), "seen, so read at once");
}

#[tokio::test]
async fn a_token_file_that_is_away_holds_without_a_request_and_mends_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let peer = knowing("new").await;
    let webhook = with_token_file(&peer.uri(), &path);
    assert!(webhook.check().await.unwrap_err().to_string().contains("token file"));
    for content in [None, Some(""), Some("two\nlines")] {
        content.iter().for_each(|content| fs::write(&path, content).unwrap());
        let answer = send(&webhook).await;
        assert_eq!((kind(&answer), verdict(&answer)), (FailureKind::Local, AnswerVerdict::Hold), "{answer:?}");
        assert!(text(&answer).contains("token file /"), "{answer:?}");
        assert!(!webhook.files_have_changed().await, "nothing to try again for");
    }
    assert_eq!(peer.connections(), 0);
    fs::write(&path, "new").unwrap();
    assert!(webhook.files_have_changed().await);
    assert_eq!(send(&webhook).await.code(), Some(200));
    fs::remove_file(&path).unwrap();
    until(&webhook, |answer| answer.failure() == Some(FailureKind::Local)).await;
    let answer = send(&webhook).await;
    assert_eq!(kind(&answer), FailureKind::Local, "the token that was taken away is not used again");
}

#[tokio::test]
async fn a_ca_file_that_is_replaced_is_trusted_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let peer = serving(new.issue(&["127.0.0.1"]).server(None)).await;
    let mut config = forwarder(&format!("https://{}/", peer.address));
    config.tls.ca_file = Some(old.file());
    let webhook = WebhookClient::new(&config).unwrap();
    assert_eq!(kind(&send(&webhook).await), FailureKind::TlsCertificate);
    fs::write(old.file(), "half of a fi").unwrap();
    until(&webhook, |answer| answer.failure() == Some(FailureKind::Local)).await;
    fs::write(old.file(), new.pem()).unwrap();
    assert_eq!(send(&webhook).await.code(), Some(200));
}

#[tokio::test]
async fn plain_http_needs_no_certificates_at_all() {
    let peer = Peer::answering(OK).await;
    let mut config = forwarder(&peer.uri());
    config.tls.ca_file = Some("/nowhere/ca.pem".into());
    let webhook = WebhookClient::new(&config).unwrap();
    assert!(webhook.check().await.is_ok());
    assert_eq!(send(&webhook).await.code(), Some(200));
}
