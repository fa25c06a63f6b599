//! What commands print with `--json`: each fits the schema that `schema --of` gives, and none needs a secret.

use std::{fs, process::Command};

use serde_json::Value;

use super::{
    printed,
    schema::{VALIDATE, python},
};
use crate::{
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tail::tailing,
    tools::skipped,
};

/// What was printed, a value each; it fits the schema, and no member is undescribed.
#[track_caller]
fn assert_fits(of: &str, text: &str) -> Vec<Value> {
    let schema = printed(&["schema", "--of", of]);
    let known: Value = serde_json::from_str(&schema).unwrap();
    let known = known["properties"].as_object().unwrap();
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>().map(Result::unwrap);
    let values: Vec<Value> = values.collect();
    assert!(!values.is_empty(), "{of} printed nothing");
    for value in &values {
        let unknown: Vec<&String> =
            value.as_object().unwrap().keys().filter(|key| !known.contains_key(*key)).collect();
        assert!(unknown.is_empty(), "{of}: {unknown:?}");
    }
    let Some(python) = python() else {
        skipped("the schema of what is printed", "it needs python3 with jsonschema and yaml");
        return values;
    };
    let directory = tempfile::tempdir().unwrap();
    let schema_file = directory.path().join("schema.json");
    fs::write(&schema_file, schema).unwrap();
    let mut command = Command::new(python);
    command.args(["-c", VALIDATE]).arg(schema_file);
    for (number, value) in values.iter().enumerate() {
        let file = directory.path().join(format!("{number}.json"));
        fs::write(&file, value.to_string()).unwrap();
        command.arg(file);
    }
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let problems = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && problems.lines().all(|line| line == "0"), "{of}: {told}");
    assert_eq!(problems.lines().count(), values.len());
    values
}

#[test]
fn what_is_printed_fits_its_schema() {
    const LOG: &str = "logs/audit.ndjson";
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..3);
    sidecar.start_again();
    receiver.wait_for_lines(3);
    receiver.always(Reply::status(503));
    sidecar.write_lines(LOG, 3..5);
    receiver.wait_for_requests(2);
    sidecar.kill();
    sidecar.truncate(LOG, 0);
    receiver.always(Reply::status(200));
    sidecar.start_again();
    sidecar.wait_for_metrics("the gap", |metrics| metrics.events("siem", "gap") > 0);
    let json = |args: &[&str]| {
        let (status, out, said) = sidecar.command(args);
        assert_eq!((status, said.as_str()), (0, ""), "{args:?}");
        out
    };
    let admin = sidecar.admin().to_string();
    let shown = assert_fits("status", &json(&["status", "--admin", &admin, "--json"]));
    assert_eq!(shown[0]["forwarders"][0]["name"], "siem");
    assert!(!assert_fits("gaps", &json(&["gaps", "list", "--json"])).is_empty());
    let cursors = assert_fits("cursors", &json(&["cursors", "list", "--json"]));
    assert_eq!((&cursors[0]["source"], &cursors[0]["delivered"]), (&"app".into(), &3.into()));
    let checked = assert_fits("check", &json(&["check", "config.yaml", "--json"]));
    assert_eq!(checked[0]["valid"], true);
    sidecar.stop_drained();
    // The sidecar is asked where its configuration says that it is.
    let (status, _, said) = sidecar.command(&["status", "-c", "config.yaml"]);
    assert!(status == 74 && said.contains("nothing usable at http://127.0.0.1:"), "{status}: {said}");
}

#[test]
fn problems_are_listed_with_their_places() {
    let sidecar = Sidecar::new().config("sources:\n- {name: app, include: [/x], colour: red}\nforwarders: []\n");
    let (status, out, said) = sidecar.command(&["check", "--json"]);
    assert_eq!((status, said.as_str()), (78, ""));
    let report = &assert_fits("check", &out)[0];
    assert_eq!((&report["valid"], &report["problems"][0]["line"]), (&false.into(), &2.into()), "{report:#}");
    assert!(report["problems"][0]["text"].as_str().unwrap().contains("colour"), "{report:#}");
}

#[test]
fn what_sends_nothing_needs_no_secret() {
    let yaml = "stateDir: \"{dir}/state\"\nsources:\n- {name: app, include: [\"{dir}/logs/*\"]}\nforwarders:\n\
                - {name: siem, uri: \"${SIEM_URL}\", token: \"${SIEM_TOKEN}\", timeout: \"${SIEM_TIMEOUT}\"}\n\
                - {name: other, uri: \"https://${HOST}/x?key=${KEY}\"}\n";
    let sidecar = Sidecar::new().config(yaml);
    std::fs::create_dir_all(sidecar.path("state")).unwrap();
    sidecar.append("lines.ndjson", "{\"type\":\"login\"}\n");
    for args in [&["cursors", "list"][..], &["gaps", "list"], &["dead-letters", "list"], &["explain", "lines.ndjson"]]
    {
        let (status, out, said) = sidecar.command(args);
        assert_eq!(status, 0, "{args:?}: {out}{said}");
    }
    let (_, _, said) = sidecar.command(&["explain", "lines.ndjson"]);
    assert!(
        said.contains("not set, so something stands in for them: HOST, KEY, SIEM_TIMEOUT, SIEM_TOKEN, SIEM_URL"),
        "{said}"
    );
    let (status, _, said) = sidecar.command(&["check"]);
    assert!(status == 78 && said.contains("SIEM_TOKEN is not set"), "{status}: {said}");
    let (status, out, said) = sidecar.command(&["check", "--no-environment"]);
    assert_eq!((status, said.as_str()), (0, ""), "{out}");
    assert!(out.contains("the variable SIEM_TOKEN was not looked up"), "{out}");
    // What is wrong beside the variables is told all the same.
    let wrong = Sidecar::new().config(&yaml.replace("name: other", "name: siem"));
    let (status, _, said) = wrong.command(&["check", "--no-environment"]);
    assert!(status == 78 && said.contains("siem"), "{status}: {said}");
}
