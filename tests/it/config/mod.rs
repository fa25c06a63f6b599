//! The configuration of the running binary: its verdicts, reloads, secrets, and the admin pages.
//!
//! `tests/CASES.md` says which case of the fault catalogue each test is.

mod admin;
mod credentials;
mod reload;
mod reload_faults;
mod secrets;
mod verdict;

use crate::{receiver::Receiver, sidecar::Sidecar};

/// A configuration with one source, `logs/*.ndjson`, and these forwarders.
fn yaml(forwarders: &[String]) -> String {
    yaml_with("scanInterval: 100ms", forwarders)
}

/// The same with other keys of the source.
fn yaml_with(source: &str, forwarders: &[String]) -> String {
    format!(
        "stateDir: \"{{dir}}/state\"\nadmin: {{listen: \"127.0.0.1:0\"}}\nlog: {{level: debug}}\ndrainTimeout: 10s\n\
         sources:\n- {{name: app, include: [\"{{dir}}/logs/*.ndjson\"], {source}}}\nforwarders:\n{}",
        forwarders.concat()
    )
}

/// A quick forwarder; `more` is further keys, each `, key: value`.
fn to(name: &str, receiver: &Receiver, more: &str) -> String {
    format!(
        "- {{name: {name}, uri: \"{}\", batch: {{maxAge: 50ms}}, retry: {{initial: 50ms, max: 200ms}}{more}}}\n",
        receiver.url()
    )
}

/// Puts a configuration in the place of the present one and has it taken over.
fn reload(sidecar: &mut Sidecar, yaml: &str) {
    sidecar.set_config(yaml);
    hup(sidecar, "reloaded:");
}

/// Puts a configuration in place that will be refused, and waits until it was.
fn reload_in_vain(sidecar: &mut Sidecar, yaml: &str) {
    sidecar.set_config(yaml);
    hup(sidecar, "not reloaded");
}

/// Sends SIGHUP and waits until it says so once more.
fn hup(sidecar: &Sidecar, answer: &str) {
    let before = sidecar.times_said(answer);
    sidecar.hup();
    sidecar.wait_for_log_times(answer, before + 1);
}

/// The texts of the alarms that are raised now.
fn alarms(sidecar: &Sidecar) -> Vec<String> {
    let status = sidecar.status();
    let alarms = status["alarms"].as_array().unwrap().iter();
    alarms.map(|alarm| format!("{} {}: {}", alarm["object"], alarm["kind"], alarm["text"])).collect()
}
