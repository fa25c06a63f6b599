//! `auditpost explain`: its verdicts and its requests are those of `run`.

use crate::{events, receiver::Receiver, sidecar::Sidecar};

const LOG: &str = "logs/audit.ndjson";

/// A request that was printed: the forwarder, the headers, the body.
type Printed = (String, Vec<(String, String)>, String);

fn requests(printed: &str) -> Vec<Printed> {
    let mut found = Vec::new();
    for part in printed.split("\n--- ").skip(1) {
        let (title, rest) = part.split_once('\n').unwrap();
        let (head, body) = rest.split_once("\n\n").unwrap();
        let headers = head.lines().skip(1).map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let forwarder = title.split(',').next().unwrap().to_owned();
        found.push((forwarder, headers, body.split("---\n").next().unwrap().to_owned()));
    }
    found
}

#[test]
fn the_request_that_it_prints_is_the_one_that_is_sent() {
    let receivers = [Receiver::start(), Receiver::start()];
    let mut sidecar = Sidecar::new()
        .file_source("app", "logs/*.ndjson")
        .forwarder(
            "siem",
            &receivers[0].url(),
            "batch: {maxAge: 50ms}\ntoken: CANARY-1\nheaders: {X-Tenant: CANARY-2}\ndisabledEvents: [ping]",
        )
        .forwarder(
            "lake",
            &receivers[1].url(),
            "batch: {maxAge: 50ms, maxEvents: 3}\nformat: cef\ncompression: none",
        );
    for n in 0..4 {
        sidecar.append(LOG, events::typed_event(n, if n == 1 { "ping" } else { "login" }) + "\n");
    }
    sidecar.write_config();
    let (status, printed, said) = sidecar.command(&[
        "explain",
        "-c",
        sidecar.config_path().to_str().unwrap(),
        sidecar.path(LOG).to_str().unwrap(),
    ]);
    assert_eq!((status, said.as_str()), (0, ""), "{printed}");
    assert!(!printed.contains("CANARY"), "secrets are hidden: {printed}");
    assert!(receivers.iter().all(|receiver| receiver.connections() == 0), "nothing is sent");
    assert!(!sidecar.path("auditpost-state").exists() && !sidecar.path("state").exists(), "nothing is created");

    sidecar.start_again();
    receivers[0].wait_for_lines(3);
    receivers[1].wait_for_lines(4);
    let printed = requests(&printed);
    for (forwarder, receiver) in ["siem", "lake"].iter().zip(&receivers) {
        let printed: Vec<_> = printed.iter().filter(|(name, ..)| name == forwarder).collect();
        let sent = receiver.deliveries();
        assert_eq!(printed.len(), sent.len(), "{forwarder}");
        for ((_, headers, body), delivery) in printed.iter().zip(&sent) {
            assert_eq!(*body, delivery.text());
            let comparable = |(name, value): &(String, String)| match (name.as_str(), value.as_str()) {
                ("webhook-id" | "idempotency-key" | "webhook-timestamp", _) => (name.clone(), String::new()),
                ("authorization" | "x-tenant", _) => (name.clone(), "secret".to_owned()),
                _ => (name.clone(), value.clone()),
            };
            let mut printed: Vec<_> = headers.iter().map(comparable).collect();
            let mut sent: Vec<_> = delivery.headers().iter().map(comparable).collect();
            printed.sort();
            sent.sort();
            assert_eq!(printed, sent, "{forwarder}");
        }
    }
}

#[test]
fn every_line_has_each_forwarders_verdict() {
    let mut sidecar = Sidecar::new().config(
        "sources: [{name: app, include: [\"{dir}/a.log\"], maxEventBytes: 1KiB}, {name: other, include: [/nowhere/x]}]\n\
         forwarders:\n\
         - {name: siem, uri: \"http://127.0.0.1:9/\", sources: [app], enabledEvents: [login]}\n\
         - {name: lake, uri: \"http://127.0.0.1:9/\", format: cef}\n",
    );
    let long = format!("{{\"type\":\"login\",\"text\":\"{}\"}}", "x".repeat(2000));
    let text = format!("{{\"type\":\"login\"}}\n\nno json\n{{\"type\":\"ping\"}}\n{{}}\n{long}\n");
    sidecar.append("a.log", text);
    sidecar.write_config();
    let config = sidecar.config_path().to_str().unwrap().to_owned();
    let file = sidecar.path("a.log").to_str().unwrap().to_owned();
    let (status, printed, _) = sidecar.command(&["explain", "-c", &config, &file]);
    assert_eq!(status, 0);
    let lines: Vec<&str> = printed.lines().collect();
    let verdicts = |number: u32| {
        let at = lines.iter().position(|line| line.starts_with(&format!("line {number}: "))).unwrap();
        (lines[at + 1].trim(), lines[at + 2].trim())
    };
    assert_eq!(verdicts(1), ("siem  sent (login), in request 1", "lake  sent (login), in request 1"));
    let no_json = verdicts(3);
    assert!(no_json.0.starts_with("siem  dead letter: invalid_json: "), "{no_json:?}");
    assert!(no_json.1.starts_with("lake  dead letter: invalid_json: "), "{no_json:?}");
    assert_eq!(
        verdicts(4),
        ("siem  filtered (ping): enabledEvents does not name its type", "lake  sent (ping), in request 1")
    );
    assert_eq!(verdicts(5).0, "siem  filtered: it has no event type and enabledEvents is a list");
    assert!(verdicts(6).0.starts_with("siem  dead letter: line_too_long: 2026 bytes"), "{printed}");

    let (status, _, said) = sidecar.command(&["explain", "-c", &config, "/dev/null"]);
    assert_eq!(status, 64, "whose lines they are is not known");
    assert!(said.contains("--source with one of: app, other"), "{said}");
    sidecar.set_config("sources: [{name: a, include: [/x]}]\nforwarders: [{uri: ftp}]\n");
    let (status, printed, said) = sidecar.command(&["explain", "-c", &config, &file]);
    assert_eq!((status, printed.as_str()), (78, ""), "{said}");
}
