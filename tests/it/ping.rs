//! `auditpost ping` against receivers that take events and that do not, over real TLS.

use std::{fs, time::Duration};

use crate::{
    certificate::Authority,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
};

const CA: &str = "tls: {caFile: \"{dir}/ca.pem\"}";

fn with(authority: &Authority) -> Sidecar {
    let sidecar = Sidecar::new().file_source("app", "logs/*.ndjson");
    fs::write(sidecar.path("ca.pem"), authority.pem()).unwrap();
    sidecar
}

/// What it printed of each forwarder, and its exit status.
fn ping(sidecar: &Sidecar, more: &[&str]) -> (i32, Vec<(String, String)>) {
    let (status, out, told) = sidecar.command(&[&["ping"], more].concat());
    assert_eq!(told, "", "{out}");
    let parts = out.split("forwarder ").skip(1).map(|part| part.split_once('\n').unwrap());
    (status, parts.map(|(name, part)| (name.to_owned(), part.to_owned())).collect())
}

#[test]
fn a_receiver_that_takes_the_event_is_well_and_can_tell_it_from_others() {
    let authority = Authority::new();
    let receiver = Receiver::start_tls(&authority.issue(&["localhost"]));
    let sidecar = with(&authority)
        .forwarder("siem", &receiver.url_at("localhost"), &format!("{CA}\ntoken: t0ken"))
        .forwarder("soc", &receiver.url_at("localhost"), &format!("{CA}\nformat: cef\ncompression: none"));
    let (status, told) = ping(&sidecar, &[]);
    assert_eq!((status, told.len()), (0, 2), "{told:?}");
    let (_, siem) = &told[0];
    for expected in [
        "  ok     name: https://localhost:",
        "  ok     TLS: 1.3, certificate issued by auditpost test authority, good until 4096-01-01T00:00:00Z",
        "  ok     authentication: our token was sent and not refused",
        "  ok     gzip: the compressed body was taken",
        "  ok     event: answered 200 OK after ",
    ] {
        assert!(siem.contains(expected), "{expected}: {siem}");
    }
    assert!(told[1].1.contains("2 of 2 receivers take events"), "{told:?}");
    assert!(!siem.contains("t0ken"));

    let mut deliveries = receiver.wait_for_requests(2);
    deliveries.sort_by_key(|delivery| delivery.header("auditpost-forwarder").unwrap().to_owned());
    for delivery in &deliveries {
        assert_eq!(delivery.header("auditpost-test"), Some("true"));
        assert_eq!(delivery.header("auditpost-batch"), Some("0"), "no batch has this number");
        assert!(delivery.id().starts_with("ping-") && delivery.text().contains(delivery.id()));
    }
    assert_eq!(deliveries[0].header("content-encoding"), Some("gzip"));
    let event: serde_json::Value = serde_json::from_str(deliveries[0].text().trim_end()).unwrap();
    assert_eq!(event["type"], "auditpost.ping");
    assert!(deliveries[1].text().starts_with("CEF:0|") && deliveries[1].text().contains("nothing happened"));
    assert!(!sidecar.path("state").exists(), "nothing is kept of it");
}

#[test]
fn a_certificate_that_is_not_trusted_is_told_before_anything_is_sent() {
    let (authority, other) = (Authority::new(), Authority::new());
    let cases = [
        ("expired", authority.issue_expired(&["localhost"]), "its certificate expired at 2020-01-01T00:00:00Z"),
        ("stranger", other.issue(&["localhost"]), "certificate"),
        ("misnamed", authority.issue(&["elsewhere.example"]), "is not for localhost but for"),
    ];
    let mut sidecar = with(&authority);
    let mut receivers = Vec::new();
    for (name, identity, _) in &cases {
        let receiver = Receiver::start_tls(identity);
        sidecar = sidecar.forwarder(name, &receiver.url_at("localhost"), CA);
        receivers.push(receiver);
    }
    // The platform does not know our authority.
    let unknown = Receiver::start_tls(&authority.issue(&["localhost"]));
    let sidecar = sidecar.forwarder("unknown", &unknown.url_at("localhost"), "");
    let (status, told) = ping(&sidecar, &[]);
    assert_eq!(status, 69);
    for ((name, _, expected), (told_of, text)) in cases.iter().zip(&told) {
        assert_eq!(name, told_of);
        assert!(text.contains("  FAILED TLS: ") && text.contains(expected), "{name}: {text}");
        assert!(text.contains("deliveries are held until that is mended"), "{name}: {text}");
    }
    let (_, text) = &told[3];
    assert!(text.contains("CA that we do not trust") && text.contains("tls.caFile"), "{text}");
    assert!(text.ends_with("0 of 4 receivers take events\n"), "{text}");
    receivers.push(unknown);
    assert!(receivers.iter().all(|receiver| receiver.deliveries().is_empty()), "something was sent");
}

#[test]
fn a_client_certificate_that_is_missing_is_asked_for() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let receiver = Receiver::start_mutual_tls(&authority.issue(&["localhost"]), &clients);
    let sidecar = with(&authority).forwarder("siem", &receiver.url_at("localhost"), CA);
    let (status, told) = ping(&sidecar, &[]);
    assert_eq!(status, 69);
    assert!(told[0].1.contains("it wants a client certificate: set tls.certFile and tls.keyFile"), "{told:?}");
}

#[test]
fn a_refused_token_a_receiver_without_gzip_and_a_slow_one_are_told_apart() {
    let authority = Authority::new();
    let identity = authority.issue(&["localhost"]);
    let start = || Receiver::start_tls(&identity);
    let (token, plain, kinds, slow, hanging, busy) = (start(), start(), start(), start(), start(), start());
    token.always(Reply::status(401).body("no such token: t0ken"));
    plain.rule(|delivery| Reply::status(if delivery.header("content-encoding").is_some() { 415 } else { 200 }));
    kinds.always(Reply::status(415));
    slow.always(Reply::status(200).delay(Duration::from_millis(2600)));
    hanging.always(Reply::hang());
    busy.always(Reply::status(503));
    let forwarder = |sidecar: Sidecar, name: &str, receiver: &Receiver, more: &str| {
        sidecar.forwarder(name, &receiver.url_at("localhost"), &format!("{CA}\n{more}"))
    };
    let mut sidecar = with(&authority);
    for (name, receiver, more) in [
        ("token", &token, "token: t0ken"),
        ("plain", &plain, ""),
        ("kinds", &kinds, ""),
        ("slow", &slow, "timeout: 5s"),
        ("hanging", &hanging, "timeout: 1s"),
        ("busy", &busy, ""),
    ] {
        sidecar = forwarder(sidecar, name, receiver, more);
    }
    let (status, told) = ping(&sidecar, &[]);
    assert_eq!(status, 69);
    let expected = [
        (
            "token",
            "FAILED authentication: answered 401 Unauthorized: no such token: [redacted]; deliveries would be held",
        ),
        ("plain", "FAILED gzip: answered 415 Unsupported Media Type; the same uncompressed: answered 200 OK"),
        ("kinds", "FAILED event: answered 415 Unsupported Media Type; one event is what it refuses"),
        ("slow", "look   event: answered 200 OK after "),
        ("hanging", "FAILED event: https://localhost:"),
        ("busy", "FAILED event: answered 503 Service Unavailable; deliveries would be tried again"),
    ];
    for ((name, expected), (told_of, text)) in expected.iter().zip(&told) {
        assert_eq!(name, told_of);
        assert!(text.contains(expected), "{name}: {text}");
        assert!(!text.contains("t0ken"), "{text}");
    }
    assert!(told[4].1.contains("did not answer within 1s; every batch would be sent again"), "{told:?}");
    assert!(told[5].1.ends_with("1 of 6 receivers take events\n"), "a slow one takes them: {told:?}");
    assert_eq!((token.deliveries().len(), plain.deliveries().len()), (1, 2), "each is asked as little as will do");
}

#[test]
fn nothing_that_listens_and_no_such_name_are_told_apart() {
    let mut gone = Receiver::start();
    gone.stop();
    let sidecar = with(&Authority::new()).forwarder("gone", &gone.url(), "").forwarder(
        "unnamed",
        "https://no-such-host.invalid/",
        "",
    );
    let (status, told) = ping(&sidecar, &[]);
    assert_eq!(status, 69);
    assert!(told[0].1.contains("FAILED connection: ") && told[0].1.contains("refused"), "{told:?}");
    assert!(told[1].1.contains("FAILED name: ") && told[1].1.contains("is the host of uri right"), "{told:?}");

    let (_, told) = ping(&sidecar, &["--forwarder", "gone"]);
    assert_eq!(told.len(), 1);
    let (status, _, told) = sidecar.command(&["ping", "--forwarder", "gnoe"]);
    assert_eq!(status, 64);
    assert!(told.contains("no forwarder is called gnoe; there are gone, unnamed"), "{told}");
}
