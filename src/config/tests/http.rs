//! `http` sources.

use std::fmt::Write as _;

use super::*;
use crate::config::{HmacAlgorithm, HmacEncoding, HttpIntake, SourceKind, Token};

fn text(keys: &str) -> String {
    let mut text = String::from("forwarders: [{uri: \"https://s.test\"}]\nsources:\n- name: a\n  kind: http\n");
    let listen = if keys.contains("listen") { "" } else { "listen: \"127.0.0.1:1\"\n" };
    for line in format!("{listen}{keys}").lines() {
        let _ = writeln!(text, "  {line}");
    }
    text
}

fn intake(keys: &str) -> HttpIntake {
    let mut config = load(&text(keys)).unwrap_or_else(|problems| panic!("{keys}\n{problems}"));
    match config.sources.remove(0).kind {
        SourceKind::Http(source) => source.intake,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_http_source_needs_no_more_than_an_address() {
    let intake = intake("");
    assert_eq!((intake.path, intake.max_body_bytes, intake.max_connections), (None, 16 << 20, 1000));
    assert_eq!(intake.senders, Default::default());
}

#[test]
fn each_way_to_know_a_sender_can_be_set() {
    let senders = intake(
        "token: abc\nhmac: {secretFile: /s, header: X-Sig}\nsignature: {secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}",
    )
    .senders;
    assert!(matches!(senders.token, Some(Token::Inline(_))) && matches!(senders.signature, Some(Token::Inline(_))));
    let hmac = senders.hmac.expect("it is set");
    assert_eq!((hmac.header.as_str(), hmac.prefix.as_str()), ("x-sig", ""));
    assert_eq!((hmac.algorithm, hmac.encoding), (HmacAlgorithm::Sha256, HmacEncoding::Hex));
    let senders = intake("hmac: {secret: k, header: h, algorithm: sha1, encoding: base64, prefix: 'p='}").senders;
    let hmac = senders.hmac.expect("it is set");
    assert_eq!((hmac.algorithm, hmac.encoding, &*hmac.prefix), (HmacAlgorithm::Sha1, HmacEncoding::Base64, "p="));
}

#[test]
fn what_makes_no_sense_is_refused_and_quotes_no_secret() {
    for (keys, what) in [
        ("listen: here", "sources[0].listen: \"here\" is no address and port"),
        ("path: audit", "sources[0].path: \"audit\" is no path of a URL"),
        ("path: /a?b", "sources[0].path: \"/a?b\" is no path of a URL"),
        ("maxBodyBytes: 1B", "sources[0].maxBodyBytes: \"1B\" is out of range"),
        ("token: ''", "sources[0].token: is empty"),
        ("token: 'can ary'", "sources[0].token: has a space"),
        ("token: canary\ntokenFile: /t", "sources[0].tokenFile: stands beside token"),
        ("hmac: {secret: canary}", "sources[0].hmac.header: is missing"),
        ("hmac: {header: h}", "sources[0].hmac: needs secret or secretFile"),
        ("hmac: {secret: canary, header: 'a b'}", "sources[0].hmac.header: \"a b\" is no name of a header"),
        ("signature: {}", "sources[0].signature: needs secret or secretFile"),
        ("signature: {secret: canary}", "sources[0].signature.secret: is no secret of Standard Webhooks"),
        ("signature: {secret: whsec_}", "sources[0].signature.secret: is no secret of Standard Webhooks"),
        ("framing: lines", "sources[0].framing: has no effect"),
    ] {
        let said = complaints(&text(keys));
        assert!(said.len() == 1 && said[0].contains(what), "{keys}: {said:?}");
        assert!(!said[0].contains("canary") && !said[0].contains("can ary"), "{said:?}");
    }
}
