//! `auditpost schema`, as an independent reader of JSON Schema sees it.

use std::{fs, process::Command};

use super::{printed, root};
use crate::tools::{skipped, works};

/// Checks each YAML file against the schema, and prints a line for each: how many problems it has.
pub(super) const VALIDATE: &str = r#"
import json, sys, warnings, yaml
warnings.simplefilter("ignore")
from jsonschema import Draft202012Validator
schema = json.load(open(sys.argv[1]))
Draft202012Validator.check_schema(schema)
def keyed(value):  # a key 404 is a text in JSON
    if isinstance(value, dict): return {str(key): keyed(value) for key, value in value.items()}
    if isinstance(value, list): return [keyed(item) for item in value]
    return value
for path in sys.argv[2:]:
    problems = list(Draft202012Validator(schema).iter_errors(keyed(yaml.safe_load(open(path)))))
    for problem in problems: print(path, list(problem.absolute_path), problem.message, file=sys.stderr)
    print(len(problems))
"#;

/// A Python that knows JSON Schema and YAML.
pub(super) fn python() -> Option<String> {
    let venv = root().join("target/kubernetes-validate/bin/python").display().to_string();
    let knows = |python: &&str| works(&[python, "-c", "import yaml, jsonschema; jsonschema.Draft202012Validator"]);
    ["python3", "/usr/bin/python3", &venv].into_iter().find(knows).map(str::to_owned)
}

#[test]
fn a_validator_takes_the_example_and_refuses_what_is_wrong() {
    let test = "a_validator_takes_the_example_and_refuses_what_is_wrong";
    let Some(python) = python() else {
        return skipped(test, "it needs python3 with jsonschema and yaml");
    };
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let file = |forwarder: &str| {
        format!("sources: [{{name: a, include: [/a]}}]\nforwarders:\n  - uri: https://s.test/x\n    {forwarder}\n")
    };
    let cases = [
        ("framing: lines", 0),
        ("framing: ${FRAMING}", 0),
        ("inFlight: ${N:-4}", 0),
        ("name: \"${NAME}\"", 0),
        ("batch: {maxBytes: 64KiB, maxAge: 500ms}", 0),
        ("framing: line", 1),
        ("inFlight: 65", 1),
        ("inFligth: 2", 1),
        ("name: SIEM", 1),
        ("batch: {maxBytes: 64 KiB}", 1),
        ("timeout: 5", 1),
        ("token:", 1),
    ];
    let schema = write("schema.json", &printed(&["schema"]));
    let mut command = Command::new(python);
    command.args(["-c", VALIDATE]).arg(schema).arg(root().join("config.example.yaml"));
    for (number, (forwarder, _)) in cases.iter().enumerate() {
        command.arg(write(&format!("{number}.yaml"), &file(forwarder)));
    }
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let problems = String::from_utf8(output.stdout).unwrap();
    let problems: Vec<usize> = problems.lines().map(|line| line.parse().unwrap()).collect();
    let expected: Vec<usize> = [0].into_iter().chain(cases.iter().map(|(_, problems)| *problems)).collect();
    assert_eq!(problems, expected, "the example first, then {cases:?}: {told}");
}
