//! The alerting rules and the dashboard: Prometheus takes them, and all that they ask for is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    net::{SocketAddr, TcpStream},
    process::Command,
};

use auditpost::internals::{AlarmKind, IntakeRefusal};
use regex_lite::Regex;
use serde_json::Value;

use super::project;
use crate::{
    events::lines,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tools::{has, skipped},
};

const RULES: &str = "deploy/prometheus/alerts.yaml";

/// What Prometheus adds to every series, and to those of a histogram.
const ADDED: [&str; 5] = ["job", "instance", "le", "alertname", "alertstate"];

/// The labels of each metric, with their values.
type Metrics = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

struct Rule {
    name: String,
    /// On one line.
    expr: String,
    /// From its name to the next rule.
    text: String,
}

/// The rules, from the form in which our own file has them.
fn rules() -> Vec<Rule> {
    let text = fs::read_to_string(project(RULES)).unwrap();
    let parts = text.split("- alert: ").skip(1);
    let rule = |part: &str| {
        let (name, rest) = part.split_once('\n').unwrap();
        let (_, expr) = rest.split_once("expr: ").unwrap();
        let next = Regex::new("\n +(for|labels): ").unwrap();
        let expr = &expr[..next.find(expr).unwrap().start()];
        let words: Vec<&str> = expr.trim_start_matches(">-").split_whitespace().collect();
        Rule { name: name.to_owned(), expr: words.join(" "), text: rest.to_owned() }
    };
    parts.map(rule).collect()
}

fn dashboard() -> Value {
    serde_json::from_slice(&fs::read(project("deploy/grafana/auditpost.json")).unwrap()).unwrap()
}

/// Every query of the dashboard: of panels, variables and annotations.
fn queries(of: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match of {
        Value::Object(entries) => {
            for (key, value) in entries {
                match value {
                    Value::String(text) if key == "expr" => found.push(text.clone()),
                    Value::String(text) if key == "definition" => {
                        let call = text.strip_prefix("label_values(").and_then(|rest| rest.rsplit_once(", "));
                        found.push(call.expect("a variable asks for label values").0.to_owned());
                    }
                    inner => found.extend(queries(inner)),
                }
            }
        }
        Value::Array(items) => found.extend(items.iter().flat_map(queries)),
        _ => {}
    }
    found
}

/// What Grafana puts in the place of its variables.
fn for_prometheus(query: &str) -> String {
    query.replace("$__rate_interval", "5m").replace("$__range", "1h")
}

fn promtool(test: &str, args: &[&str]) -> Option<String> {
    if !has("promtool") {
        skipped(test, "promtool is not here (Debian's package prometheus has it)");
        return None;
    }
    let output = Command::new("promtool").args(args).current_dir(project("deploy/prometheus")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool {args:?}: {said}");
    Some(said.into_owned())
}

#[test]
fn the_alerts_fire_when_they_should_and_not_before() {
    let test = "the_alerts_fire_when_they_should_and_not_before";
    let Some(said) = promtool(test, &["check", "rules", "alerts.yaml"]) else { return };
    assert!(said.contains(&format!("{} rules found", rules().len())), "this test reads other rules than {said}");
    promtool(test, &["test", "rules", "alerts_test.yaml"]);
    let cases = fs::read_to_string(project("deploy/prometheus/alerts_test.yaml")).unwrap();
    for Rule { name, .. } in rules() {
        assert!(cases.contains(&format!("labels: '{{alertname=\"{name}\"")), "no case in which {name} fires");
    }
}

#[test]
fn every_alert_says_what_to_do_and_where_to_read_on() {
    let runbook = fs::read_to_string(project("docs/runbook.md"));
    let rules = rules();
    assert!(rules.len() > 20);
    for Rule { name, text, .. } in &rules {
        let anchor = name.to_lowercase();
        assert!(text.contains(&format!("runbook: docs/runbook.md#{anchor}\n")), "{name}: {text}");
        for key in ["summary: ", "description: ", "severity: "] {
            assert_eq!(text.matches(key).count(), 1, "{name}: {key}");
        }
        assert!(Regex::new(r"severity: (critical|warning|info)\}").unwrap().is_match(text), "{name}");
        if let Ok(runbook) = &runbook {
            let heading = |line: &str| line.starts_with('#') && line.trim_start_matches('#').trim() == name;
            assert!(runbook.lines().any(heading), "docs/runbook.md has no section {name}");
        }
    }
}

/// What the binary shows when everything is there that it can show: two forwarders, sources of both kinds, an event
/// that is filtered, one that is put aside, one that is refused at the door, and an alarm.
fn metrics() -> Metrics {
    let (siem, refusing) = (Receiver::start(), Receiver::start());
    refusing.always(Reply::status(403));
    let quick = "batch: {maxAge: 20ms}\nretry: {initial: 20ms, max: 50ms}";
    let sidecar = Sidecar::new()
        .file_source("app", "logs/*.ndjson")
        .source("agents", "kind: tcp\nlisten: 127.0.0.1:0")
        .forwarder("siem", &siem.url(), &format!("{quick}\ndisabledEvents: [login]"))
        .forwarder("held", &refusing.url(), quick)
        .start();
    sidecar.append("logs/audit.ndjson", &(lines(0..9) + "no json\n"));
    sidecar.wait_for_log("taking events");
    let said = sidecar.stderr();
    let (_, address) = said.rsplit_once("on=tcp ").unwrap();
    let address: SocketAddr = address.split_whitespace().next().unwrap().parse().unwrap();
    TcpStream::connect(address).unwrap().write_all(b"100 a record of stated length that ends too soon").unwrap();
    sidecar.wait_for_metrics("everything has happened", |metrics| {
        let (delivered, dead) = (metrics.events("siem", "delivered"), metrics.events("siem", "dead_lettered"));
        (delivered, dead, metrics.state("held")) == (6, 1, Some("held"))
            && metrics.sum("auditpost_alarms", &[("kind", "held"), ("object", "forwarder held")]) == 1.0
            && metrics.sum("auditpost_source_refused_total", &[("reason", "cut")]) == 1.0
            && metrics.sum("auditpost_spool_limit_bytes", &[]) > 0.0
            && metrics.sum("auditpost_files_matched", &[]) == 1.0
    });
    of_page(&sidecar.get("/metrics").1)
}

fn of_page(page: &str) -> Metrics {
    let (sample, label) =
        (Regex::new(r"^([a-z_]+)(?:\{(.*)\})? ").unwrap(), Regex::new(r#"([a-z_]+)="([^"]*)""#).unwrap());
    let mut metrics = Metrics::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let found = sample.captures(line).unwrap_or_else(|| panic!("no sample: {line}"));
        let labels = metrics.entry(found[1].to_owned()).or_default();
        for pair in label.captures_iter(found.get(2).map_or("", |labels| labels.as_str())) {
            labels.entry(pair[1].to_owned()).or_default().insert(pair[2].to_owned());
        }
    }
    // Of these a scrape shows only what has happened.
    let kinds = [
        AlarmKind::Held,
        AlarmKind::Stalled,
        AlarmKind::Gap,
        AlarmKind::File,
        AlarmKind::State,
        AlarmKind::Full,
        AlarmKind::Reload,
        AlarmKind::Bug,
    ];
    for (metric, label, values) in [
        ("auditpost_alarms", "kind", kinds.map(AlarmKind::name).to_vec()),
        ("auditpost_source_refused_total", "reason", IntakeRefusal::ALL.map(IntakeRefusal::name).to_vec()),
    ] {
        let known = metrics.get_mut(metric).unwrap().get_mut(label).unwrap();
        known.extend(values.into_iter().map(str::to_owned));
    }
    metrics
}

/// What a query asks for that is not there.
fn missing(query: &str, metrics: &Metrics) -> Vec<String> {
    let selector = Regex::new(r"\b(auditpost_[a-z_]+)(?:\{([^}]*)\})?").unwrap();
    let matcher = Regex::new(r#"([a-z_]+)(=~|!~|!=|=)"([^"]*)""#).unwrap();
    let grouping = Regex::new(r"\b(?:by|without|on) \(([^)]*)\)").unwrap();
    let (mut missing, mut labels_at_hand) = (Vec::new(), BTreeSet::from(ADDED.map(str::to_owned)));
    for found in selector.captures_iter(query) {
        let Some(labels) = metrics.get(&found[1]) else {
            missing.push(format!("metric {}", &found[1]));
            continue;
        };
        labels_at_hand.extend(labels.keys().cloned());
        for pair in matcher.captures_iter(found.get(2).map_or("", |matchers| matchers.as_str())) {
            let (label, operator, value) = (&pair[1], &pair[2], &pair[3]);
            let open = value.contains('$') || ADDED.contains(&label) || label == "code";
            let known = |value: &str| open || labels.get(label).is_some_and(|values| values.contains(value));
            let values: Vec<&str> = if operator.ends_with('~') { value.split('|').collect() } else { vec![value] };
            if !ADDED.contains(&label) && !labels.contains_key(label) {
                missing.push(format!("label {label} of {}", &found[1]));
            } else if !values.into_iter().all(known) {
                missing.push(format!("{label}={value} of {}", &found[1]));
            }
        }
    }
    for group in grouping.captures_iter(query) {
        let labels = group[1].split(',').map(str::trim);
        missing.extend(labels.filter(|label| !labels_at_hand.contains(*label)).map(|label| format!("label {label}")));
    }
    missing
}

#[test]
fn every_metric_label_and_state_that_an_alert_or_a_panel_asks_for_is_there() {
    let metrics = metrics();
    let about = |queries: Vec<String>| queries.into_iter().filter(|query| query.contains("auditpost_"));
    let panels: Vec<String> = about(queries(&dashboard())).collect();
    assert!(panels.len() > 30, "{panels:?}");
    let label = Regex::new(r"\$labels\.([a-z_]+)").unwrap();
    for query in rules().into_iter().map(|rule| rule.expr).chain(panels.iter().cloned()) {
        assert_eq!(missing(&query, &metrics), Vec::<String>::new(), "{query}");
    }
    for Rule { name, expr, text } in rules() {
        for used in label.captures_iter(&text) {
            let known = ADDED.contains(&&used[1])
                || metrics.iter().any(|(metric, labels)| expr.contains(metric) && labels.contains_key(&used[1]));
            assert!(known, "{name}: $labels.{} is never there", &used[1]);
        }
    }

    // And the dashboard shows all there is; of a histogram at least one of its series.
    let all = panels.join("\n");
    for metric in metrics.keys() {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| metric.strip_suffix(part));
        assert!(all.contains(family.unwrap_or(metric)), "no panel shows {metric}");
    }

    for (query, lacks) in [
        ("rate(auditpost_events_total{result=\"lost\"}[5m])", "result=lost of auditpost_events_total"),
        ("sum by (colour) (auditpost_backlog_bytes)", "label colour"),
        ("auditpost_event_total", "metric auditpost_event_total"),
        ("auditpost_spool_bytes{forwarder=~\"$forwarder\"}", "label forwarder of auditpost_spool_bytes"),
    ] {
        assert_eq!(missing(query, &metrics), [lacks], "{query}");
    }
}

#[test]
fn every_query_of_the_dashboard_is_one_to_prometheus() {
    let test = "every_query_of_the_dashboard_is_one_to_prometheus";
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("panels.yaml");
    let mut rules = "groups:\n- name: panels\n  rules:\n".to_owned();
    let queries = queries(&dashboard());
    for (number, query) in queries.iter().enumerate() {
        let quoted = serde_json::to_string(&for_prometheus(query)).unwrap();
        rules += &format!("  - {{record: \"panel:{number}\", expr: {quoted}}}\n");
    }
    fs::write(&file, rules).unwrap();
    if let Some(said) = promtool(test, &["check", "rules", file.to_str().unwrap()]) {
        assert!(said.contains(&format!("{} rules found", queries.len())), "{said}");
    }
}

#[test]
fn the_panels_of_the_dashboard_are_whole_and_do_not_overlap() {
    let dashboard = dashboard();
    let variables: BTreeSet<&str> =
        dashboard["templating"]["list"].as_array().unwrap().iter().filter_map(|v| v["name"].as_str()).collect();
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels have one id: {panel}");
        assert!(place("x") + place("w") <= 24, "{panel}");
        for (x, y) in (0..place("w")).flat_map(|x| (0..place("h")).map(move |y| (x, y))) {
            assert!(taken.insert((place("x") + x, place("y") + y)), "it lies on another panel: {panel}");
        }
        if panel["type"] != "row" {
            assert!(!panel["description"].as_str().unwrap().is_empty(), "{panel}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        }
    }
    let used = Regex::new(r"\$([a-z]+)").unwrap();
    let text = dashboard.to_string();
    for name in used.captures_iter(&text) {
        assert!(variables.contains(&name[1]), "no variable {}", &name[0]);
    }
}
