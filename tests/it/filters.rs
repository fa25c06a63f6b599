//! Rules from the configuration to the books: what arrives, what does not, and which rule kept it back.

use std::collections::BTreeMap;

use crate::{receiver::Receiver, sidecar::Sidecar};

const CONNECT: &str = include_str!("../samples/connect.ndjson");
const INFRAKITCHEN: &str = include_str!("../samples/infrakitchen.ndjson");
const KONNECT: &str = include_str!("../samples/konnect.ndjson");
const KONNECT_CEF: &str = include_str!("../samples/konnect.cef");
const CHAINLOOP: &str = include_str!("../samples/chainloop.ndjson");

/// All of the JSON samples, in one file.
fn samples() -> Vec<&'static str> {
    [CONNECT, INFRAKITCHEN, KONNECT, CHAINLOOP].into_iter().flat_map(str::lines).collect()
}

fn text(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn settled(sidecar: &Sidecar, forwarder: &str, events: usize) {
    sidecar.wait_for_metrics(&format!("{events} events of {forwarder} settled"), |metrics| {
        metrics.sum("auditpost_events_total", &[("forwarder", forwarder)]) as usize == events
    });
}

/// What `/status` says that each rule of the forwarder kept back; `/metrics` must say the same.
fn kept_back(sidecar: &Sidecar, forwarder: &str) -> BTreeMap<String, u64> {
    let status = sidecar.status();
    let all = status["forwarders"].as_array().unwrap();
    let shown = all.iter().find(|shown| shown["name"] == forwarder).unwrap();
    let source = &shown["sources"][0];
    let by_rule: BTreeMap<String, u64> = serde_json::from_value(source["filteredBy"].clone()).unwrap();
    assert_eq!(source["filtered"].as_u64().unwrap(), by_rule.values().sum::<u64>(), "{source}");
    let metrics = sidecar.metrics();
    metrics.assert_books_balance();
    for (rule, events) in &by_rule {
        let labels = [("forwarder", forwarder), ("source", "app"), ("rule", rule.as_str())];
        assert_eq!(metrics.get("auditpost_filtered_total", &labels), Some(*events as f64), "{rule}: {metrics:?}");
    }
    by_rule
}

/// A forwarder's rules, the lines that must arrive, and what each rule must have kept back.
fn sends(rules: &str, wanted: impl Fn(&str) -> bool, expected: &[(&str, u64)]) {
    let receiver = Receiver::start();
    let lines = samples();
    let sidecar = Sidecar::new().file_source_with("app", "logs/*.ndjson", "scanInterval: 100ms").forwarder(
        "siem",
        &receiver.url(),
        &format!("batch: {{maxAge: 50ms}}\n{rules}"),
    );
    sidecar.append("logs/audit.ndjson", text(&lines));
    let mut sidecar = sidecar.start();
    settled(&sidecar, "siem", lines.len());
    let arrived = receiver.accepted_lines();
    let wanted: Vec<&str> = lines.into_iter().filter(|line| wanted(line)).collect();
    assert!(!wanted.is_empty(), "a test that waits for nothing");
    assert_eq!(arrived, wanted, "{rules}");
    let expected: BTreeMap<String, u64> = expected.iter().map(|(rule, n)| ((*rule).to_owned(), *n)).collect();
    assert_eq!(kept_back(&sidecar, "siem"), expected, "{rules}");
    assert_eq!(sidecar.stop(), 0);
}

#[test]
fn types_are_called_by_each_systems_own_words() {
    let words =
        ["\"type\":\"EVENT_TYPE_TOKEN_EXCHANGE\"", "\"action\":\"login\"", "\"name\":\"Authz.", "\"RoleChanged\""];
    sends(
        "enabledEvents: [token_exchange, login, authz, RoleChanged]\ndisabledEvents: [Authz.webhook]",
        |line| words.iter().any(|word| line.contains(word)) && !line.contains("Authz.webhook"),
        &[("disabledEvents", 1), ("enabledEvents", samples().len() as u64 - 6 - 1)],
    );
}

#[test]
fn what_was_denied_is_sent_whatever_its_system_calls_it() {
    let denied = ["OUTCOME_DENIED", "\"granted\":false", "\"status\":403"];
    let is_denied = |line: &str| denied.iter().any(|word| line.contains(word));
    let others = samples().into_iter().filter(|line| !is_denied(line)).count() as u64;
    sends("outcomes: [denied]", is_denied, &[("outcomes", others)]);
}

#[test]
fn all_rules_must_pass_and_the_first_that_does_not_is_counted() {
    let lines = samples();
    let of_konnect = lines.iter().filter(|line| line.contains("\"cef_version\"")).count() as u64;
    let by_eve = |line: &str| line.contains("c3a9d2b1-55e4-4f0a-9a68-7c1e5b2d4f33");
    let not_by_eve = lines.iter().filter(|line| !by_eve(line)).count() as u64;
    assert!(of_konnect > 0 && not_by_eve > 0);
    let requests = |line: &&&str| by_eve(line) && line.contains("\"act\":");
    let requests = lines.iter().filter(requests).count() as u64;
    sends(
        "actors: [c3a9d2b1-55e4-4f0a-9a68-7c1e5b2d4f33]\nwhere:\n- {field: request.method, exists: false}\n- {field: /name, matches: \"_(LOCKED|PASSWORD)$$\"}",
        |line| by_eve(line) && (line.contains("_LOCKED") || line.contains("INVALID_PASSWORD")),
        &[("actors", not_by_eve), ("where[0]", requests), ("where[1]", 2)],
    );
}

#[test]
fn lines_of_cef_arrive_as_cef_and_are_dead_letters_among_json() {
    let (as_cef, as_json) = (Receiver::start(), Receiver::start());
    let quick = "batch: {maxAge: 50ms}\noutcomes: [failure]";
    let sidecar = Sidecar::new()
        .file_source_with("app", "logs/*.cef", "scanInterval: 100ms\nschema: konnect")
        .forwarder("cef", &as_cef.url(), &format!("{quick}\nformat: cef"))
        .forwarder("json", &as_json.url(), quick);
    sidecar.append("logs/audit.cef", KONNECT_CEF);
    sidecar.append("logs/audit.cef", KONNECT.lines().nth(1).unwrap().to_owned() + "\n");
    let all = KONNECT_CEF.lines().count() + 1;
    let mut sidecar = sidecar.start();
    settled(&sidecar, "cef", all);
    settled(&sidecar, "json", all);

    let failed = ["_PASSWORD|", "_LOCKED|", "_EXPIRED|", "status=500"];
    let wanted = KONNECT_CEF.lines().filter(|line| failed.iter().any(|word| line.contains(word))).count();
    assert_eq!(wanted, 4);
    assert_eq!(as_cef.accepted_lines().len(), wanted + 1);
    assert_eq!(
        as_json.accepted_lines(),
        [KONNECT.lines().nth(1).unwrap()],
        "JSON of the same file goes out verbatim"
    );
    let letters = sidecar.dead_letters("json");
    assert_eq!(letters.len(), wanted, "what a rule keeps back is no dead letter");
    for letter in letters {
        assert_eq!(letter["reason"], "invalid_json");
        assert!(letter["detail"].as_str().unwrap().contains("set format: cef on the forwarder"), "{letter}");
    }
    let kept = (all - wanted - 1) as u64;
    assert_eq!(kept_back(&sidecar, "json"), BTreeMap::from([("outcomes".to_owned(), kept)]));
    sidecar.stop_drained();
}

#[test]
fn an_applications_own_fields_are_where_its_source_says() {
    let receiver = Receiver::start();
    let sidecar = Sidecar::new()
        .file_source_with(
            "app",
            "logs/*.ndjson",
            "scanInterval: 100ms\nschema: generic\nfields: {type: /what, actor.name: /who/login}",
        )
        .forwarder(
            "siem",
            &receiver.url(),
            "batch: {maxAge: 50ms}\nenabledEvents: [delete]\nactors: [ada]\nwhere: [{field: /n, notIn: [3]}]",
        );
    let line = |n: u32, what: &str, who: &str| {
        format!(r#"{{"n":{n},"type":"x","what":"{what}","actor":"x","who":{{"login":"{who}"}}}}"#)
    };
    let lines =
        [line(1, "delete", "ada"), line(2, "delete", "bob"), line(3, "delete", "ada"), line(4, "read", "ada")];
    sidecar.append("logs/audit.ndjson", lines.map(|line| line + "\n").concat());
    let mut sidecar = sidecar.start();
    settled(&sidecar, "siem", 4);
    assert_eq!(receiver.accepted_lines(), [line(1, "delete", "ada")]);
    let each = ["enabledEvents", "actors", "where[0]"].map(|rule| (rule.to_owned(), 1));
    assert_eq!(kept_back(&sidecar, "siem"), BTreeMap::from(each));
    assert_eq!(sidecar.stop(), 0);
}

#[test]
fn a_type_that_its_system_does_not_have_starts_nothing() {
    let sidecar = Sidecar::new().file_source_with("app", "logs/*.ndjson", "schema: chainloop").forwarder(
        "siem",
        "http://127.0.0.1:9/",
        "enabledEvents: [LogedIn]\nwhere: [{field: actr.id, exists: true}]",
    );
    let config = sidecar.config_path().display().to_string();
    for command in ["check", "run"] {
        let (status, stdout, said) = sidecar.command(&[command, "-c", &config]);
        assert_eq!((status, stdout.as_str()), (78, ""), "{said}");
        assert!(said.contains("\"LogedIn\" is no event type of chainloop"), "{said}");
        assert!(said.contains("did you mean \"LoggedIn\"?"), "{said}");
        assert!(said.contains("did you mean \"actor.id\"?"), "{said}");
    }
}
