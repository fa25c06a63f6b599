//! A real Prometheus reads a real auditpost.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::project;
use crate::{
    events::lines,
    http,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tools::{has, skipped},
};

/// The server, until it is dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Prometheus {
    /// Scrapes this address, with our rules, four times a second.
    fn start(dir: &Path, target: SocketAddr) -> Self {
        let config = json!({
            "global": {"scrape_interval": "250ms", "scrape_timeout": "200ms", "evaluation_interval": "250ms"},
            "rule_files": [project("deploy/prometheus/alerts.yaml")],
            "scrape_configs": [{"job_name": "audit", "static_configs": [{"targets": [target.to_string()]}]}],
        });
        fs::write(dir.join("prometheus.yml"), config.to_string()).unwrap();
        let mut prometheus = Command::new("prometheus");
        prometheus.args([
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--web.listen-address=127.0.0.1:0",
        ]);
        let mut child = prometheus.current_dir(dir).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = said.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, address) = line.split_once("msg=\"Listening on\" address=")?;
            address.split_whitespace().next()?.parse().ok()
        });
        // It must not come to wait for a reader of what it says.
        thread::spawn(move || said.for_each(drop));
        let address = address.expect("it says where it listens");
        Self { child, address }
    }

    /// Asks its API until the answer is as wanted, and gives that one.
    fn wait_for(&self, what: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = http::get(self.address, path).map(|(_, _, body)| serde_json::from_str::<Value>(&body));
            if let Ok(Ok(answer)) = &answer
                && wanted(&answer["data"])
            {
                return answer["data"].clone();
            }
            assert!(Instant::now() < end, "waited in vain for {what}: {answer:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn prometheus_understands_the_page_and_sees_a_receiver_that_refuses_us() {
    if !has("prometheus") {
        return skipped(
            "prometheus_understands_the_page_and_sees_a_receiver_that_refuses_us",
            "prometheus is not here",
        );
    }
    let (refusing, dir) = (Receiver::start(), tempfile::tempdir().unwrap());
    refusing.always(Reply::status(403));
    let sidecar = Sidecar::new()
        .file_source("app", "logs/*.ndjson")
        .forwarder("siem", &refusing.url(), "batch: {maxAge: 20ms}\nretry: {initial: 20ms, max: 50ms}")
        .start();
    sidecar.append("logs/audit.ndjson", lines(0..3));
    sidecar.wait_for_metrics("it is held", |metrics| metrics.state("siem") == Some("held"));
    let prometheus = Prometheus::start(dir.path(), sidecar.admin());

    let targets = prometheus.wait_for("a scrape", "/api/v1/targets", |data| {
        ["up", "down"].contains(&data["activeTargets"][0]["health"].as_str().unwrap_or_default())
    });
    let target = &targets["activeTargets"][0];
    assert_eq!((&target["health"], &target["lastError"]), (&json!("up"), &json!("")), "{target:#}");

    let on_the_page: BTreeSet<String> = sidecar.get("/metrics").1.lines().filter_map(name).collect();
    let names = prometheus.wait_for("names", "/api/v1/label/__name__/values", |data| {
        data.as_array().is_some_and(|names| !names.is_empty())
    });
    let known: BTreeSet<String> =
        names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    assert!(on_the_page.len() > 25, "{on_the_page:?}");
    assert_eq!(on_the_page.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());

    let held = |alert: &Value| {
        (&alert["labels"]["alertname"], &alert["labels"]["forwarder"])
            == (&json!("AuditpostForwarderHeld"), &json!("siem"))
    };
    let alerts = prometheus.wait_for("the alert", "/api/v1/alerts", |data| {
        data["alerts"].as_array().is_some_and(|alerts| alerts.iter().any(held))
    });
    let alert = alerts["alerts"].as_array().unwrap().iter().find(|alert| held(alert)).unwrap();
    assert_eq!(alert["state"], "pending", "it is raised after two minutes");
    assert_eq!(alert["annotations"]["summary"], "the receiver of forwarder siem refuses us");
}

/// The name of a sample.
fn name(line: &str) -> Option<String> {
    let end = line.find(['{', ' '])?;
    (!line.starts_with('#')).then(|| line[..end].to_owned())
}
