//! The profiles of log intakes: for each the head of the request, and its body to the byte.

use std::fs;

use super::{LOG, following, forwarding, quick};
use crate::{
    events,
    receiver::{Delivery, Receiver, Reply},
};

/// One with a time to the millisecond, one with quotes and without a time.
const LINES: [&str; 2] = [
    r#"{"type":"login","time":"2026-08-19T09:14:01.216Z","n":1}"#,
    r#"{"type":"log \"out\"","n":2.0, "path":"a\\b"}"#,
];

struct Case {
    profile: &'static str,
    more: &'static str,
    content_type: &'static str,
    gzip: bool,
    credential: (&'static str, &'static str),
    body: String,
}

fn text(line: &str) -> String {
    serde_json::to_string(line).unwrap()
}

fn case(profile: &'static str, content_type: &'static str, gzip: bool, body: String) -> Case {
    Case { profile, more: "token: t0ken", content_type, gzip, credential: ("authorization", "Bearer t0ken"), body }
}

fn cases() -> Vec<Case> {
    let [one, two] = LINES;
    let lines = || format!("{one}\n{two}\n");
    let hec = |one: &str, two: &str| {
        format!(
            "{{\"event\":{one},\"source\":\"app\",\"time\":1787130841.216}}\n{{\"event\":{two},\"source\":\"app\"}}\n"
        )
    };
    let datadog = |line: &str| format!(r#"{{"message":{},"ddsource":"auditpost","service":"app"}}"#, text(line));
    let (json, plain) = ("application/json", "text/plain; charset=utf-8");
    vec![
        Case { credential: ("authorization", "Splunk t0ken"), ..case("splunk-hec", json, true, hec(one, two)) },
        Case { credential: ("authorization", "Splunk t0ken"), ..case("splunk-hec-raw", plain, true, lines()) },
        Case { more: "", credential: ("authorization", ""), ..case("sumo", plain, true, lines()) },
        Case {
            credential: ("dd-api-key", "t0ken"),
            ..case("datadog", json, true, format!("[{},{}]", datadog(one), datadog(two)))
        },
        Case {
            more: "auth: {basic: {username: elastic, password: pässword}}",
            credential: ("authorization", "Basic ZWxhc3RpYzpww6Rzc3dvcmQ="),
            ..case(
                "elastic-bulk",
                "application/x-ndjson",
                true,
                format!("{{\"create\":{{}}}}\n{one}\n{{\"create\":{{}}}}\n{two}\n"),
            )
        },
        case("sentinel", json, true, format!("[{one},{two}]")),
        Case {
            more: "token: t0ken\nheaders: {X-goog-api-key: key}",
            credential: ("x-webhook-access-key", "t0ken"),
            ..case("secops", plain, false, lines())
        },
        Case {
            more: "token: t0ken\nauth: {header: X-Panther-Secret}",
            credential: ("x-panther-secret", "t0ken"),
            ..case("panther", "application/x-ndjson", true, lines())
        },
        case("logscale", plain, true, lines()),
        case(
            "loki",
            json,
            true,
            format!(
                r#"{{"streams":[{{"stream":{{"job":"auditpost"}},"values":[["1787130841216000000",{}],["0",{}]]}}]}}"#,
                text(one),
                text(two)
            ),
        ),
        case("better-stack", "application/x-ndjson", true, lines()),
        Case {
            credential: ("authorization", "Api-Token t0ken"),
            ..case(
                "dynatrace",
                "application/json; charset=utf-8",
                false,
                format!(
                    r#"[{{"content":{},"log.source":"app","timestamp":1787130841216}},{{"content":{},"log.source":"app"}}]"#,
                    text(one),
                    text(two)
                ),
            )
        },
    ]
}

#[test]
fn every_profile_sends_what_its_intake_expects() {
    let cases = cases();
    let receivers: Vec<Receiver> = cases.iter().map(|_| Receiver::start()).collect();
    let mut sidecar = following();
    for (case, receiver) in cases.iter().zip(&receivers) {
        if case.profile == "elastic-bulk" {
            receiver.always(
                Reply::status(200)
                    .body(r#"{"errors":false,"items":[{"create":{"status":201}},{"create":{"status":201}}]}"#),
            );
        }
        let extra = quick(&format!("profile: {}\n{}", case.profile, case.more));
        sidecar = sidecar.forwarder(case.profile, &receiver.url(), &extra);
    }
    sidecar.append(LOG, LINES.map(|line| format!("{line}\n")).concat());
    let sidecar = sidecar.start();
    for (case, receiver) in cases.iter().zip(&receivers) {
        let Case { profile, content_type, gzip, credential: (header, value), body, .. } = case;
        sidecar.wait_settled(profile, 2);
        let deliveries = receiver.deliveries();
        let [delivery] = deliveries.as_slice() else { panic!("{profile}: {} requests", deliveries.len()) };
        assert_eq!(delivery.text(), *body, "{profile}");
        assert_eq!(delivery.method, "POST");
        assert_eq!(delivery.header("content-type"), Some(*content_type), "{profile}");
        assert_eq!(delivery.header("content-encoding"), gzip.then_some("gzip"), "{profile}");
        assert_eq!(delivery.header(header).unwrap_or_default(), *value, "{profile}");
        assert_eq!(delivery.header("auditpost-events"), Some("2"), "{profile}");
        let credentials = |delivery: &Delivery| {
            let secret = |value: &str| value.contains("t0ken") || value.contains("Basic");
            delivery.headers().iter().filter(|(_, value)| secret(value)).count()
        };
        assert_eq!(credentials(delivery), usize::from(!value.is_empty()), "{profile}: in one header alone");
    }
    let (status, checked, _) = sidecar.command(&["check", "-c", &sidecar.config_path().display().to_string()]);
    assert_eq!(status, 0);
    for words in [
        "sent as    authorization: Splunk …\n",
        "sent as    dd-api-key: …\n",
        r#"each event {"event":%json%,"source":"%source%"%if.time%,"time":%time.s%%end%}"#,
        r#"each event {"create":{}}\n%json%"#,
        r#"all of them{"streams":[{"stream":{"job":"auditpost"},"values":…}]}"#,
        "answer     2xx means what each of its items says\n",
        "user       elastic\n",
    ] {
        assert!(checked.contains(words), "{words:?} is missing:\n{checked}");
    }
    assert!(!checked.contains("t0ken") && !checked.contains("pässword"), "{checked}");
}

#[test]
fn cef_rides_in_an_intakes_json_as_a_string() {
    let (hec, raw) = (Receiver::start(), Receiver::start());
    let sidecar = following().forwarder("hec", &hec.url(), &quick("profile: splunk-hec\nformat: cef")).forwarder(
        "lines",
        &raw.url(),
        &quick("format: cef"),
    );
    sidecar.write_lines(LOG, 0..20);
    let sidecar = sidecar.start();
    sidecar.wait_settled("hec", 20);
    sidecar.wait_settled("lines", 20);
    let events: Vec<String> = hec
        .accepted_lines()
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(events, raw.accepted_lines(), "what a string holds is the very line");
    assert!(events[0].starts_with("CEF:0|"));
}

/// The parts of a batch are enveloped as the batch was, and what is sent again after a kill is what was sent before.
#[test]
fn a_wrapped_batch_is_narrowed_halved_and_resumed_as_any_other() {
    let receiver = Receiver::start();
    let bad = ["\\\"n\\\":17,", "\\\"n\\\":60,"];
    receiver.rule(move |delivery| {
        let status = if delivery.line_count() != 1 || !delivery.text().starts_with("{\"streams\":[{") {
            500
        } else if delivery.body.len() > 12_000 {
            413
        } else if bad.iter().any(|bad| delivery.text().contains(bad)) {
            400
        } else {
            204
        };
        Reply::status(status)
    });
    receiver.script([Reply::hang()]);
    let mut sidecar = forwarding(&receiver, "profile: loki\ntimeout: 60s");
    sidecar.write_lines(LOG, 0..100);
    sidecar = sidecar.start();
    let first = receiver.wait_for_requests(1).remove(0);
    sidecar.kill();
    sidecar.start_again();
    sidecar.wait_settled("siem", 100);
    let again = &receiver.deliveries()[1];
    assert_eq!((again.id(), &again.wire), (first.id(), &first.wire));
    let mut arrived = Vec::new();
    for delivery in receiver.deliveries().iter().filter(|delivery| delivery.accepted()) {
        let body: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap();
        for value in body["streams"][0]["values"].as_array().unwrap() {
            arrived.push(value[1].as_str().unwrap().to_owned());
        }
    }
    let good: Vec<u64> = (0..100).filter(|n| ![17, 60].contains(n)).collect();
    assert_eq!(events::numbers(&arrived), good);
    let letters = sidecar.dead_letters("siem");
    let payloads: Vec<&str> = letters.iter().map(|letter| letter["payload"].as_str().unwrap()).collect();
    assert_eq!(payloads, [17, 60].map(events::event), "the dead letter is the event, without its wrapper");
}

#[test]
fn a_line_that_is_too_long_leaves_a_stub_in_the_same_wrapper() {
    let receiver = Receiver::start();
    let sidecar = crate::sidecar::Sidecar::new()
        .file_source_with("app", "logs/*.ndjson", "scanInterval: 100ms\nmaxEventBytes: 1KiB")
        .top("drainTimeout: 2s")
        .forwarder("siem", &receiver.url(), &quick("profile: splunk-hec"));
    sidecar.append(LOG, format!("{{\"long\":\"{}\"}}\n{}\n", "x".repeat(2000), events::event(1)));
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", 2);
    let lines = receiver.accepted_lines();
    let stub: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(stub["event"]["auditpost"]["stub"], "line_too_long");
    assert_eq!((stub["source"].as_str(), stub.get("time")), (Some("app"), None));
}

/// A Konnect record whose line is its evidence: the intake's JSON holds it exactly, so that its signature still verifies.
#[test]
fn a_line_of_cef_that_is_read_rides_as_it_is() {
    let receiver = Receiver::start();
    let sidecar = forwarding(&receiver, "profile: splunk-hec");
    let samples = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/konnect.cef")).unwrap();
    sidecar.append(LOG, &samples);
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", samples.lines().count() as u64);
    let arrived: Vec<serde_json::Value> =
        receiver.accepted_lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&str> = arrived.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(events, samples.lines().collect::<Vec<_>>());
    assert_eq!(arrived[0]["time"], 1_787_130_841.216, "its rt");
}
