//! What a request is: its method, its headers, its body.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{LOG, following, forwarding, quick};
use crate::{
    events,
    receiver::{Delivery, Receiver},
};

const AGENT: &str = concat!("auditpost/", env!("CARGO_PKG_VERSION"));

/// Events that no re-encoding would leave alone.
const ODD: [&str; 7] = [
    r#"{"b":1, "a" : 2,"n":1.0,"m":1e2,"o":-0,"big":12345678901234567890123}"#,
    r#"{"type":"login","text":"Gr\u00fc\u00dfe \/ \ud83d\ude00 Grüße 😀"}"#,
    r#"  {"leading":"space"}"#,
    "{\"trailing\":\"space and tab\"} \t",
    r#"{"twice":1,"twice":2}"#,
    r#"["an","array"]"#,
    r#"{"nested":{"deep":[{"er":[[],{},null,true,false]}]}}"#,
];

fn odd() -> String {
    ODD.map(|line| format!("{line}\n")).concat()
}

/// G1, G56, I9, I22.
#[test]
fn every_receiver_gets_every_event_once_in_order_byte_for_byte() {
    let receivers = [Receiver::start(), Receiver::start(), Receiver::start()];
    let mut sidecar = following();
    for (name, receiver) in ["a", "b", "c"].iter().zip(&receivers) {
        sidecar = sidecar.forwarder(name, &receiver.url(), &quick("batch: {maxEvents: 100, maxAge: 20ms}"));
    }
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    for part in 0..20 {
        sidecar.write_lines(LOG, part * 100..part * 100 + 100);
        sidecar.append(LOG, odd());
    }
    for (name, receiver) in ["a", "b", "c"].iter().zip(&receivers) {
        sidecar.wait_settled(name, 20 * (100 + ODD.len() as u64));
        let bodies: Vec<u8> = receiver.deliveries().iter().flat_map(|delivery| delivery.body.to_vec()).collect();
        assert!(bodies == fs::read(sidecar.path(LOG)).unwrap(), "{name} has other bytes than the file");
        assert!(receiver.deliveries().iter().all(|delivery| delivery.accepted() && delivery.attempt() == 1));
    }
    drop(books);
}

#[test]
fn an_array_is_one_json_array_and_a_single_is_the_event_as_it_is() {
    let (arrays, singles) = (Receiver::start(), Receiver::start());
    let sidecar = following()
        .forwarder("arrays", &arrays.url(), &quick("framing: array\ncompression: none"))
        .forwarder("singles", &singles.url(), &quick("framing: single\nmethod: PUT"));
    sidecar.append(LOG, odd());
    let sidecar = sidecar.start();
    sidecar.wait_settled("arrays", ODD.len() as u64);
    sidecar.wait_settled("singles", ODD.len() as u64);
    let array = &arrays.deliveries()[0];
    assert_eq!(array.text(), format!("[{}]", ODD.join(",")));
    assert_eq!(
        (array.wire.as_slice(), array.header("content-type")),
        (array.body.as_slice(), Some("application/json"))
    );
    let bodies: Vec<String> = singles.deliveries().iter().map(Delivery::text).collect();
    assert_eq!(bodies, ODD);
    let deliveries = singles.deliveries();
    assert!(deliveries.iter().all(|d| d.method == "PUT" && d.header("auditpost-events") == Some("1")));
    let ids: std::collections::BTreeSet<_> = deliveries.iter().map(Delivery::id).collect();
    assert_eq!(ids.len(), ODD.len(), "an id of its own for each");
}

/// A request's headers but those that differ from one to the next, which are checked here.
fn standing(delivery: &Delivery, number: u64, events: u64) -> Vec<(String, String)> {
    let id = delivery.id();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    let is = |name: &str, value: &str| assert_eq!(delivery.header(name), Some(value), "{name}");
    is("idempotency-key", &format!("\"{id}\""));
    is("auditpost-batch", &number.to_string());
    is("auditpost-events", &events.to_string());
    is("auditpost-attempt", "1");
    is("content-length", &delivery.wire.len().to_string());
    let sent: u64 = delivery.header("webhook-timestamp").unwrap().parse().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(sent) <= 30, "{sent} is not now, {now}");
    let of_this = [
        "webhook-id",
        "idempotency-key",
        "auditpost-batch",
        "auditpost-events",
        "auditpost-attempt",
        "content-length",
        "webhook-timestamp",
        "host",
    ];
    let mut standing: Vec<_> =
        delivery.headers().iter().filter(|(name, _)| !of_this.contains(&name.as_str())).cloned().collect();
    standing.sort();
    standing
}

type Headers = Vec<(&'static str, &'static str)>;

/// Each case: further keys, and the headers that every request then has.
fn cases() -> Vec<(&'static str, &'static str, Headers)> {
    const GZIP: (&str, &str) = ("content-encoding", "gzip");
    let text = |content_type| ("content-type", content_type);
    let agent = ("user-agent", AGENT);
    vec![
        ("plain", "", vec![GZIP, text("application/x-ndjson"), agent]),
        ("array", "framing: array", vec![GZIP, text("application/json"), agent]),
        ("single", "framing: single", vec![GZIP, text("application/json"), agent]),
        ("cef", "format: cef", vec![GZIP, text("text/plain; charset=utf-8"), agent]),
        ("uncompressed", "compression: none", vec![text("application/x-ndjson"), agent]),
        (
            "konnect",
            "profile: konnect",
            vec![("content-encoding", "application/gzip"), text("application/text"), agent],
        ),
        (
            "chainloop",
            "profile: chainloop",
            vec![text("application/json"), ("user-agent", "Chainloop-Audit-Logger/1.0")],
        ),
        (
            "konnect-over",
            "profile: konnect\ncontentType: text/x-audit\ncontentEncoding: gzip\nuserAgent: us/1",
            vec![GZIP, text("text/x-audit"), ("user-agent", "us/1")],
        ),
        (
            "headers",
            "method: PATCH\ntoken: t0ken\nheaders: {X-Tenant: acme, x-note: \"two words\"}",
            vec![
                ("authorization", "Bearer t0ken"),
                GZIP,
                text("application/x-ndjson"),
                agent,
                ("x-note", "two words"),
                ("x-tenant", "acme"),
            ],
        ),
    ]
}

/// G19: `Expect` is in none of them.
#[test]
fn every_header_is_as_documented_and_there_is_no_other() {
    let mut sidecar = following();
    let mut receivers = Vec::new();
    for (name, extra, headers) in cases() {
        let receiver = Receiver::start();
        sidecar = sidecar.forwarder(name, &format!("{}?kind=audit&n=1", receiver.url()), &quick(extra));
        receivers.push((name, headers, receiver));
    }
    sidecar.write_lines(LOG, 0..2);
    let sidecar = sidecar.start();
    for (name, headers, receiver) in &receivers {
        sidecar.wait_settled(name, 2);
        let first = &receiver.deliveries()[0];
        let mut expected: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        expected.push(("auditpost-forwarder".to_owned(), (*name).to_owned()));
        expected.push(("accept".to_owned(), "*/*".to_owned()));
        expected.sort();
        let events = if first.header("content-type") == Some("application/json") && *name != "array" { 1 } else { 2 };
        assert_eq!(standing(first, 1, events), expected, "{name}");
        assert_eq!(first.path, "/ingest?kind=audit&n=1");
        assert_eq!(first.method, if *name == "headers" { "PATCH" } else { "POST" });
        assert_eq!(first.header("host"), Some(receiver.addr().to_string().as_str()));
        let encoded = first.wire.starts_with(&[0x1f, 0x8b]);
        assert_eq!(encoded, first.header("content-encoding").is_some(), "{name}: the header tells the truth");
    }
    let chainloop = &receivers.iter().find(|(name, ..)| *name == "chainloop").unwrap().2;
    assert_eq!(chainloop.deliveries().iter().map(Delivery::text).collect::<Vec<_>>(), [0, 1].map(events::event));
}

#[test]
fn cef_arrives_as_a_line_an_event() {
    let receiver = Receiver::start();
    let sidecar = forwarding(&receiver, "format: cef");
    let hostile = r#"{"type":"a|b=c\\d","message":"one\ntwo\rthree|=\\","actor":"x","n":1}"#;
    sidecar.append(LOG, format!("{}\n{hostile}\n{}\n", events::event(0), events::event(1)));
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", 3);
    let delivery = &receiver.deliveries()[0];
    assert!(delivery.text().ends_with('\n'));
    let lines = delivery.lines();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[0].starts_with("CEF:0|auditpost|app|1.0|login|login|3|"), "{}", lines[0]);
    assert!(lines[0].contains("externalId=evt-0000000000"), "{}", lines[0]);
    assert!(lines[1].starts_with(r"CEF:0|auditpost|app|1.0|a\|b=c\\d|a\|b=c\\d|3|"), "{}", lines[1]);
    assert!(lines[1].contains(r"msg=one\ntwo\nthree|\=\\"), "{}", lines[1]);
    assert!(lines[2].contains("|update|"), "{}", lines[2]);
}
