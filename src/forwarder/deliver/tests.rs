//! The client against real sockets: servers that speak raw TCP, so that they can do what no server should.

#![expect(clippy::unwrap_used, reason = "a test")]

mod faults;
mod files;
mod items;
mod peer;
mod requests;
mod tls;

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;

use super::{Request, WebhookClient};
use crate::config::{
    AnswerVerdict, Answers, Auth, BatchLimits, CefConfig, Compression, FilterRules, Format, Forwarder, Framing,
    Retry, Tls, Token,
};
use crate::forwarder::judge::{Answer, FailureKind};

/// A forwarder to `uri` as the configuration would give it, without a token.
fn forwarder(uri: &str) -> Forwarder {
    Forwarder {
        name: "siem".to_owned(),
        uri: uri.parse().unwrap(),
        method: Method::POST,
        auth: Auth::None,
        headers: Vec::new(),
        sources: vec!["app".to_owned()],
        filter: FilterRules::default(),
        cef: CefConfig::default(),
        format: Format::Json,
        framing: Framing::Lines,
        wrap: None,
        compression: Compression::None,
        content_type: "application/x-ndjson".to_owned(),
        content_encoding: "gzip".to_owned(),
        user_agent: "auditpost/test".to_owned(),
        timeout: Duration::from_secs(5),
        batch: BatchLimits { max_events: 1000, max_bytes: 1_000_000, max_age: Duration::from_secs(1) },
        retry: Retry { initial: Duration::from_secs(1), max: Duration::from_secs(60) },
        probe: Duration::from_secs(300),
        in_flight: 1,
        tls: Tls::default(),
        responses: Vec::new(),
        answers: Answers::Status,
    }
}

/// The token as a bearer token.
fn bearer(token: Token) -> Auth {
    Auth::Token { token, header: reqwest::header::AUTHORIZATION, scheme: Some("Bearer".to_owned()) }
}

fn webhook(uri: &str) -> WebhookClient {
    WebhookClient::new(&forwarder(uri)).unwrap()
}

/// A client that gives up early, for servers that never answer.
fn hasty(uri: &str) -> WebhookClient {
    WebhookClient::new(&Forwarder { timeout: Duration::from_millis(400), ..forwarder(uri) }).unwrap()
}

fn batch(body: impl Into<Bytes>) -> Request<'static> {
    Request { batch_id: "b-1", number: 7, events: 2, attempt: 3, body: body.into(), compressed: false, origin: None }
}

async fn send(webhook: &WebhookClient) -> Answer {
    webhook.send(batch("{\"n\":1}\n{\"n\":2}\n")).await
}

fn kind(answer: &Answer) -> FailureKind {
    answer.failure().unwrap_or_else(|| panic!("an answer: {answer:?}"))
}

fn text(answer: &Answer) -> String {
    answer.to_string()
}

fn verdict(answer: &Answer) -> AnswerVerdict {
    crate::forwarder::judge::judge(answer, &[])
}
