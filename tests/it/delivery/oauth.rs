//! A token that is fetched for a client's secret: kept, renewed, refused, and never shown.

use std::{fs, time::Duration};

use super::{LOG, accepted, forwarding, numbers};
use crate::{
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
};

const NO_PROBE: &str = "retry: {initial: 20ms, max: 100ms, probe: 1h}\nbatch: {maxEvents: 10, maxAge: 20ms}";

fn granted(token: &str, expires_in: u64) -> Reply {
    Reply::status(200).body(format!(
        r#"{{"token_type":"Bearer","expires_in":{expires_in},"ext_expires_in":{expires_in},"access_token":"{token}"}}"#
    ))
}

/// A forwarder that is the client `me` of `issuer`, its secret in the file `secret`.
fn client(receiver: &Receiver, issuer: &Receiver, extra: &str) -> Sidecar {
    let auth = format!(
        "auth:\n  oauth2:\n    tokenUrl: {}?key=CANARY-query\n    clientId: me\n    clientSecretFile: \"{{dir}}/secret\"\n    \
         scope: a b\n    audience: https://siem.test",
        issuer.url()
    );
    let sidecar = forwarding(receiver, &format!("{NO_PROBE}\n{auth}\n{extra}"));
    fs::write(sidecar.path("secret"), "CANARY &+secret\n").unwrap();
    sidecar
}

fn takes_only(receiver: &Receiver, token: &str) {
    let expected = format!("Bearer {token}");
    receiver.rule(move |delivery| {
        Reply::status(if delivery.header("authorization") == Some(&expected) { 200 } else { 401 })
    });
}

#[test]
fn a_token_is_fetched_once_and_used_until_shortly_before_it_expires() {
    let (receiver, issuer) = (Receiver::start(), Receiver::start());
    issuer.script([granted("tok-1", 1)]);
    issuer.always(granted("tok-2", 3600));
    let sidecar = client(&receiver, &issuer, "");
    sidecar.write_lines(LOG, 0..50);
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", 50);
    let first = issuer.wait_for_requests(1).remove(0);
    assert_eq!((first.method.as_str(), first.path.as_str()), ("POST", "/ingest?key=CANARY-query"));
    assert_eq!(first.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(first.header("authorization"), None);
    assert_eq!(
        first.text(),
        "grant_type=client_credentials&client_id=me&client_secret=CANARY+%26%2Bsecret&scope=a+b&audience=https%3A%2F%2Fsiem.test"
    );
    // Its second is over.
    std::thread::sleep(Duration::from_secs(1));
    sidecar.write_lines(LOG, 50..100);
    sidecar.wait_settled("siem", 100);
    assert_eq!(accepted(&receiver), numbers(0..100));
    let deliveries = receiver.deliveries();
    assert_eq!(deliveries[0].header("authorization"), Some("Bearer tok-1"));
    assert!(deliveries[5..].iter().all(|delivery| delivery.header("authorization") == Some("Bearer tok-2")));
    assert_eq!(issuer.deliveries().len(), 2, "once for each life of a token");
    assert!(!sidecar.stderr().contains("CANARY") && !sidecar.stderr().contains("tok-"), "{}", sidecar.stderr());
}

#[test]
fn a_token_that_is_refused_is_fetched_again_once_and_then_held() {
    let (receiver, issuer) = (Receiver::start(), Receiver::start());
    issuer.always(granted("old", 3600));
    takes_only(&receiver, "old");
    let sidecar = client(&receiver, &issuer, "").start();
    sidecar.write_lines(LOG, 0..5);
    sidecar.wait_settled("siem", 5);
    // It is revoked; the next one is good: no hold.
    takes_only(&receiver, "new");
    issuer.always(granted("new", 3600));
    sidecar.write_lines(LOG, 5..10);
    let metrics = sidecar.wait_settled("siem", 10);
    assert_eq!((metrics.requests("siem", "401"), issuer.deliveries().len()), (1, 2));
    assert!(!sidecar.stderr().contains("deliveries are held"), "{}", sidecar.stderr());
    // No token is good: one more is asked for, and no more.
    takes_only(&receiver, "another");
    sidecar.write_lines(LOG, 10..15);
    let metrics = sidecar.wait_for_state("siem", "held");
    assert_eq!((metrics.requests("siem", "401"), issuer.deliveries().len()), (3, 3));
    assert_eq!(accepted(&receiver), numbers(0..10));
}

#[test]
fn a_client_that_is_not_known_is_held_and_goes_on_with_its_next_secret() {
    let (receiver, issuer) = (Receiver::start(), Receiver::start());
    issuer.rule(|delivery| {
        if delivery.text().contains("client_secret=rotated&") {
            return granted("tok", 3600);
        }
        // It tells us what we told it.
        Reply::status(401).body(format!(r#"{{"error":"invalid_client","error_description":"{}"}}"#, delivery.text()))
    });
    let sidecar = client(&receiver, &issuer, "");
    sidecar.write_lines(LOG, 0..20);
    let sidecar = sidecar.start();
    let metrics = sidecar.wait_for_state("siem", "held");
    assert_eq!((metrics.requests("siem", "token"), receiver.deliveries().len()), (1, 0));
    let alarm = sidecar.alarm("siem", "held").unwrap();
    let endpoint = format!("token endpoint http://127.0.0.1:{}: answered 401: ", issuer.port());
    assert!(alarm.contains(&endpoint) && alarm.contains("invalid_client"), "{alarm}");
    assert!(alarm.contains("check clientId, clientSecret and scope"), "{alarm}");
    assert!(alarm.contains("[redacted]") && !alarm.contains("CANARY"), "{alarm}");

    fs::write(sidecar.path("secret.new"), "rotated\n").unwrap();
    sidecar.rename("secret.new", "secret");
    sidecar.wait_settled("siem", 20);
    assert_eq!(accepted(&receiver), numbers(0..20));
    assert_eq!(sidecar.alarm("siem", "held"), None);
    assert!(!sidecar.stderr().contains("CANARY"), "{}", sidecar.stderr());
}

#[test]
fn an_endpoint_that_is_down_or_talks_nonsense_is_tried_again_and_no_batch_is_blamed() {
    let (receiver, mut issuer) = (Receiver::start(), Receiver::start());
    issuer.script([
        Reply::status(503),
        Reply::status(429).body("slow down"),
        Reply::close_without_answer(),
        Reply::reset_after_body(),
        Reply::hang(),
        Reply::status(200).body("<html>CANARY"),
        Reply::status(200).body(r#"{"access_token":""}"#),
        Reply::status(200).body(vec![b'x'; 100_000]),
    ]);
    issuer.always(granted("tok", 3600));
    issuer.stop();
    let sidecar = client(&receiver, &issuer, "timeout: 300ms");
    sidecar.write_lines(LOG, 0..5);
    let sidecar = sidecar.start();
    sidecar.wait_for_metrics("it fails", |metrics| metrics.requests("siem", "token") >= 2);
    issuer.start_again();
    let metrics = sidecar.wait_settled("siem", 5);
    assert!(metrics.requests("siem", "token") >= 10);
    assert_eq!(receiver.deliveries().len(), 1, "nothing is sent without a token");
    assert_eq!(accepted(&receiver), numbers(0..5));
    assert_eq!(sidecar.dead_letters("siem").len(), 0);
    assert!(!sidecar.stderr().contains("CANARY"), "{}", sidecar.stderr());
}

#[test]
fn many_requests_at_once_ask_for_one_token() {
    let (receiver, issuer) = (Receiver::start(), Receiver::start());
    issuer.always(granted("tok", 3600).delay(Duration::from_millis(200)));
    let sidecar = client(&receiver, &issuer, "inFlight: 8");
    sidecar.write_lines(LOG, 0..200);
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", 200);
    assert_eq!(issuer.deliveries().len(), 1);
}

#[test]
fn no_secret_of_any_way_is_in_anything_that_is_written_printed_or_served() {
    let (receiver, issuer) = (Receiver::start(), Receiver::start());
    issuer.always(granted("CANARY-access", 3600));
    // It tells us all that we told it, and refuses some of it.
    receiver.rule(|delivery| {
        let head: String = delivery.headers().iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        Reply::status(if delivery.line_count() > 1 { 400 } else { 422 }).body(head)
    });
    let basic = "auth: {basic: {username: me, password: CANARY-password}}";
    let encoded = "bWU6Q0FOQVJZLXBhc3N3b3Jk";
    let mut sidecar = client(&receiver, &issuer, "")
        .forwarder("basic", &receiver.url(), &super::quick(basic))
        .forwarder("header", &receiver.url(), &super::quick("token: CANARY-token\nauth: {header: X-Key}"))
        .forwarder("scheme", &receiver.url(), &super::quick("token: CANARY-token\nprofile: splunk-hec"));
    sidecar.write_lines(LOG, 0..3);
    let (status, checked, said) = sidecar.command(&["check", "-c", &sidecar.config_path().display().to_string()]);
    assert_eq!(status, 0, "{said}");
    sidecar.start_again();
    for name in ["siem", "basic", "header", "scheme"] {
        sidecar.wait_for_metrics("it is refused", |metrics| metrics.events(name, "dead_lettered") == 3);
        let letters = sidecar.dead_letters(name);
        assert!(letters[0]["excerpt"].as_str().unwrap().contains("[redacted]"), "{name}: {}", letters[0]);
    }
    let mut seen = vec![("check".to_owned(), checked + &said)];
    for page in ["/metrics", "/status", "/"] {
        seen.push((page.to_owned(), sidecar.get(page).1));
    }
    sidecar.stop();
    seen.push(("diagnostics".to_owned(), sidecar.stderr()));
    seen.extend(sidecar.read_all("state"));
    for (name, text) in &seen {
        assert!(!text.contains("CANARY") && !text.contains(encoded), "a secret is in {name}:\n{text}");
    }
    let sent: Vec<String> =
        receiver.deliveries().iter().filter_map(|d| d.header("authorization").map(str::to_owned)).collect();
    for value in ["Bearer CANARY-access", &format!("Basic {encoded}"), "Splunk CANARY-token"] {
        assert!(sent.iter().any(|sent| sent == value), "{value} was sent: {sent:?}");
    }
}
