//! Delivery from end to end: the real binary against receivers that take, refuse, break and hang.
//!
//! Which cases of the fault catalogue a test covers stands above it; `tests/CASES.md` has the whole list.

mod auth;
mod batching;
mod bulk;
mod connections;
mod dead_letters;
mod in_flight;
mod intakes;
mod isolation;
mod ledger;
mod narrowing;
mod oauth;
mod peer;
mod requests;
mod resets;
mod responses;
mod retry_after;
mod scraper;
mod secrets;
mod systemic;
mod tls;
mod too_large;
mod torture;
mod verdicts;

use std::ops::Range;

use self::scraper::Scraper;
use crate::{
    events,
    metrics::Metrics,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
};

/// The file that the one source of these tests follows.
const LOG: &str = "logs/audit.ndjson";

/// The keys of a forwarder: `extra`, and short waits for what it leaves out.
fn quick(extra: &str) -> String {
    let mut keys = extra.to_owned();
    for (key, value) in
        [("timeout:", "2s"), ("retry:", "{initial: 20ms, max: 100ms, probe: 200ms}"), ("batch:", "{maxAge: 50ms}")]
    {
        if !extra.lines().any(|line| line.starts_with(key)) {
            keys.push_str(&format!("\n{key} {value}"));
        }
    }
    keys
}

/// A sidecar with one source, `app`, and no forwarder yet.
fn following() -> Sidecar {
    Sidecar::new().file_source_with("app", "logs/*.ndjson", "scanInterval: 100ms").top("drainTimeout: 2s")
}

/// The same with the forwarder `siem`; not yet started, so that what is written before makes one batch.
fn forwarding(receiver: &Receiver, extra: &str) -> Sidecar {
    following().forwarder("siem", &receiver.url(), &quick(extra))
}

/// One forwarder for each of the named cases, each with a receiver of its own that does as `reply` says.
fn fan<'a, T: 'a>(
    cases: impl IntoIterator<Item = (&'a str, T)>,
    extra: impl Fn(&T) -> String,
    reply: impl Fn(&T, &Receiver),
) -> (Sidecar, Vec<(&'a str, T, Receiver)>) {
    let mut sidecar = following();
    let mut receivers = Vec::new();
    for (name, case) in cases {
        let receiver = Receiver::start();
        reply(&case, &receiver);
        sidecar = sidecar.forwarder(name, &receiver.url(), &quick(&extra(&case)));
        receivers.push((name, case, receiver));
    }
    (sidecar, receivers)
}

fn numbers(range: Range<u64>) -> Vec<u64> {
    range.collect()
}

/// What the receiver has: the numbers of the events that it accepted, in their order, repetitions included.
fn accepted(receiver: &Receiver) -> Vec<u64> {
    events::numbers(&receiver.accepted_lines())
}

/// A rule: `status` for every request that holds one of these events, 200 for the others.
fn refuse(receiver: &Receiver, status: u16, bad: impl IntoIterator<Item = u64>) {
    let bad: Vec<String> = bad.into_iter().map(|n| format!("\"n\":{n},")).collect();
    receiver.rule(move |delivery| {
        let text = delivery.text();
        match bad.iter().find(|bad| text.contains(*bad)) {
            Some(bad) => Reply::status(status).body(format!("cannot take {bad}")),
            None => Reply::status(200),
        }
    });
}

impl Sidecar {
    /// Waits until every event that was read is settled, `n` of them at least, and gives that scrape.
    fn wait_settled(&self, forwarder: &str, n: u64) -> Metrics {
        self.wait_for_metrics(&format!("{n} events of {forwarder} to be settled"), |metrics| {
            let of = [("forwarder", forwarder)];
            metrics.sum("auditpost_events_total", &of) as u64 >= n
                && metrics.sum("auditpost_events_in_flight", &of) == 0.0
        })
    }

    fn wait_for_state(&self, forwarder: &str, state: &str) -> Metrics {
        let what = format!("{forwarder} to be {state}");
        self.wait_for_metrics(&what, |metrics| metrics.state(forwarder) == Some(state))
    }

    /// The text of the forwarder's alarm, if one of this kind is raised.
    fn alarm(&self, forwarder: &str, kind: &str) -> Option<String> {
        let status = self.status();
        let object = format!("forwarder {forwarder}");
        let alarms = status["alarms"].as_array().unwrap();
        let alarm = alarms.iter().find(|alarm| alarm["object"] == object && alarm["kind"] == kind)?;
        Some(alarm["text"].as_str().unwrap().to_owned())
    }

    /// The entry of a forwarder in `/status`.
    fn shown(&self, forwarder: &str) -> serde_json::Value {
        let status = self.status();
        let shown = status["forwarders"].as_array().unwrap().iter().find(|shown| shown["name"] == forwarder);
        shown.unwrap_or_else(|| panic!("no forwarder {forwarder} in {status}")).clone()
    }

    fn watch(&self) -> Scraper {
        Scraper::start(self.admin())
    }
}

impl Metrics {
    /// How many requests ended with this status or failure.
    fn requests(&self, forwarder: &str, code: &str) -> u64 {
        self.sum("auditpost_requests_total", &[("forwarder", forwarder), ("code", code)]) as u64
    }

    /// How long the requests took that ended so, together.
    fn seconds(&self, forwarder: &str, code: &str) -> f64 {
        self.sum("auditpost_request_duration_seconds_sum", &[("forwarder", forwarder), ("code", code)])
    }

    fn all_requests(&self, forwarder: &str) -> u64 {
        self.sum("auditpost_requests_total", &[("forwarder", forwarder)]) as u64
    }
}
