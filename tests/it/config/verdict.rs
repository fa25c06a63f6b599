//! `check` and `run` say the same of a configuration, and a bad one starts nothing.

use std::{fs, time::Instant};

use crate::sidecar::Sidecar;

const SOURCES: &str = "sources: [{name: app, include: [\"{dir}/logs/*.ndjson\"]}]\n";
const FORWARDERS: &str = "forwarders: [{name: siem, uri: \"http://127.0.0.1:9/\"}]\n";

/// What `check` and `run` say of a configuration that both refuse, in the same words.
fn refusal(text: &str) -> String {
    let sidecar = Sidecar::new().config(text).env("WORDS", "not a number");
    let config = sidecar.config_path();
    let config = config.to_str().unwrap();
    let (status, stdout, checked) = sidecar.command(&["check", "-c", config]);
    assert_eq!((status, stdout.as_str()), (78, ""), "check of {text:?}: {checked}");
    let (status, stdout, ran) = sidecar.command(&["run", "-c", config]);
    assert_eq!((status, stdout.as_str()), (78, ""), "run of {text:?}: {ran}");
    assert_eq!(checked, ran, "of {text:?}");
    let made: Vec<_> = fs::read_dir(sidecar.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(made, ["config.yaml"], "something was created for {text:?}");
    checked.replace(config, "config.yaml")
}

#[track_caller]
fn refused(text: &str, complaint: &str) {
    let said = refusal(text);
    assert!(said.contains(complaint), "{complaint:?} is not what is said of {text:?}:\n{said}");
    assert!(said.trim_end().ends_with("in config.yaml; nothing was started"), "{said}");
}

/// K1: every kind of key with a value that it cannot have. The library's tests go through all of them.
#[test]
fn check_and_run_refuse_the_same_values_in_the_same_words() {
    let source = |key: &str| format!("sources: [{{name: app, include: [/x], {key}}}]\n{FORWARDERS}");
    let forwarder = |key: &str| {
        format!("{SOURCES}forwarders:\n- name: siem\n  uri: https://siem.test/\n  {}\n", key.replace('\n', "\n  "))
    };
    let top = |key: &str| format!("{SOURCES}{FORWARDERS}{key}\n");
    for (text, complaint) in [
        (top("drainTimeout: 5"), "config.yaml:3:15: drainTimeout: "),
        (top("admin: {listen: nowhere}"), "config.yaml:3:17: admin.listen: "),
        (top("log: {level: loud}"), "config.yaml:3:14: log.level: "),
        (top("log: {format: xml}"), "config.yaml:3:15: log.format: "),
        (top("stateDir: ''"), "config.yaml:3:11: stateDir: "),
        (source("kind: fiel"), "did you mean \"file\"?"),
        (source("kind: udp"), "sources[0].include: has no effect: it is for sources of kind file"),
        (source("startAt: middle"), "sources[0].startAt: "),
        (source("maxEventBytes: 1 GB"), "sources[0].maxEventBytes: "),
        (source("scanInterval: 0s"), "sources[0].scanInterval: "),
        (source("exclude: ['[']"), "sources[0].exclude[0]: "),
        (forwarder("method: GET"), "forwarders[0].method: "),
        (forwarder("timeout: 5 s"), "config.yaml:5:12: forwarders[0].timeout: "),
        (forwarder("batch: {maxEvents: 0}"), "forwarders[0].batch.maxEvents: "),
        (forwarder("batch: {maxBytes: 1}"), "forwarders[0].batch.maxBytes: "),
        (forwarder("retry: {initial: 2m, max: 1m}"), "forwarders[0].retry"),
        (forwarder("inFlight: 65"), "forwarders[0].inFlight: "),
        (forwarder("inFlight: ${WORDS}"), "forwarders[0].inFlight: "),
        (forwarder("framing: array\nformat: cef"), "forwarders[0].framing: "),
        (forwarder("sources: [app, ap]"), "no source is called \"ap\""),
        (forwarder("token: two words"), "forwarders[0].token: "),
        (forwarder("headers: {'X Y': z}"), "is no valid header name"),
        (forwarder("tls: {certFile: /x}"), "forwarders[0].tls"),
        (forwarder("responses: {99: retry}"), "forwarders[0].responses"),
        (format!("{SOURCES}forwarders: [{{uri: 'http://siem.test/'}}]\n"), "allowHttp: true"),
        (format!("{SOURCES}forwarders: [{{uri: 'ftp://siem.test/'}}]\n"), "must begin with https://"),
    ] {
        refused(&text, complaint);
    }
}

/// K1, K2: all problems come at once, each with its place, a caret under it and the word that was probably meant.
#[test]
fn all_problems_are_reported_at_once() {
    let said =
        refusal(&format!("{SOURCES}forwarders:\n- uri: https://siem.test/\n  retries: 3\n  timout: 5s\nlgo: {{}}\n"));
    assert_eq!(
        said,
        "config.yaml:4:3: forwarders[0].retries: unknown key\n  \
           4 |   retries: ***\n    |   ^ did you mean \"retry\"?\n\
         config.yaml:5:3: forwarders[0].timout: unknown key\n  \
           5 |   timout: ***\n    |   ^ did you mean \"timeout\"?\n\
         config.yaml:6:1: lgo: unknown key\n  \
           6 | lgo: {}\n    | ^ did you mean \"log\"?\n\
         3 problems in config.yaml; nothing was started\n"
    );
}

/// K3: duplicate keys, duplicate names.
#[test]
fn what_is_there_twice_is_refused() {
    refused(&format!("{SOURCES}{SOURCES}{FORWARDERS}"), "config.yaml:2:1: sources: ");
    refused(
        &format!("sources: [{{name: app, include: [/x]}}, {{name: app, include: [/y]}}]\n{FORWARDERS}"),
        "sources[1].name: ",
    );
    refused(
        &format!("{SOURCES}forwarders: [{{name: a, uri: 'https://x.test'}}, {{name: a, uri: 'https://y.test'}}]\n"),
        "forwarders[1].name: ",
    );
    refused(
        &format!("{SOURCES}{FORWARDERS}auditLogForwarders: [{{uri: 'https://x.test'}}]\n"),
        "auditLogForwarders: ",
    );
}

/// K4: what YAML can do to a reader. None of it takes time or memory.
#[test]
fn hostile_files_are_refused_at_once() {
    let begun = Instant::now();
    let levels: String =
        (1..=9).map(|n| format!("l{n}: &l{n} [*l{0}, *l{0}, *l{0}, *l{0}, *l{0}]\n", n - 1)).collect();
    refused(&format!("l0: &l0 [x, x]\n{levels}{SOURCES}{FORWARDERS}"), "config.yaml:10:1: l9: unknown key");
    let shared = "sources: [{name: app, include: &files [/x], exclude: *files}]\n";
    refused(&format!("{shared}{FORWARDERS}"), "anchors are not taken here");
    refused(&format!("{SOURCES}{FORWARDERS}drainTimeout: {}", "[".repeat(100_000)), "config.yaml:3:");
    refused(&format!("{SOURCES}{FORWARDERS}#{}", "x".repeat(10 << 20)), "is larger than 1 MiB");
    refused(&format!("{SOURCES}{FORWARDERS}\tdrainTimeout: 1s\n"), "config.yaml:3:");
    refused("sources: [\u{0}]\n", "config.yaml:1:");
    assert!(begun.elapsed().as_secs() < 20, "it took {:?}", begun.elapsed());
}

/// K6: nothing in it, or nothing to read, or nowhere to send.
#[test]
fn a_configuration_that_would_do_nothing_is_refused() {
    refused("", "is empty: it needs at least sources and forwarders");
    refused("# nothing\n", "is empty");
    refused("{}", "sources: is missing");
    refused(FORWARDERS, "sources: is missing");
    refused(SOURCES, "forwarders: is missing: nothing would be sent");
    refused(&format!("sources: []\n{FORWARDERS}"), "sources: is empty");
    refused(&format!("{SOURCES}forwarders: []\n"), "forwarders: is empty");
}

/// K16, and a variable that is not set.
#[test]
fn a_variable_that_is_not_set_is_named_and_one_with_a_default_is_not_missed() {
    let with = |token: &str| format!("{SOURCES}forwarders:\n- uri: https://siem.test/\n  token: {token}\n");
    refused(&with("${SIEM_TOKEN}"), "the variable SIEM_TOKEN is not set");
    let sidecar = Sidecar::new().config(&with("${SIEM_TOKEN:-none}"));
    let (status, stdout, stderr) = sidecar.command(&["check"]);
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
}

/// K16: what is no file, or cannot be read.
#[test]
fn a_configuration_that_cannot_be_read_is_the_same_to_both() {
    let sidecar = Sidecar::new();
    for path in ["missing.yaml", "."] {
        let (checked, ran) = (sidecar.command(&["check", "-c", path]), sidecar.command(&["run", "-c", path]));
        assert_eq!(checked, ran);
        assert_eq!(checked.0, 78);
        assert!(checked.2.starts_with(&format!("{path}: cannot be read: ")), "{}", checked.2);
    }
}

/// K16: what `check` takes, `run` runs.
#[test]
fn what_check_accepts_runs() {
    for text in [
        format!("{SOURCES}{FORWARDERS}"),
        format!("\u{feff}{SOURCES}{FORWARDERS}").replace('\n', "\r\n"),
        format!("{SOURCES}auditLogForwarders: [{{uri: \"http://localhost:9/\", profile: chainloop}}]\n"),
    ] {
        let mut sidecar = Sidecar::new().config(&text);
        let (status, stdout, stderr) = sidecar.command(&["check"]);
        assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
        assert!(!sidecar.path("auditpost-state").exists(), "check creates nothing");
        sidecar.start_again();
        sidecar.wait_for_log("forwarding");
        assert_eq!(sidecar.stop(), 0);
    }
}

#[test]
fn the_example_is_valid() {
    let text = include_str!("../../../config.example.yaml");
    let sidecar = Sidecar::new().config(text).env("SIEM_TOKEN", "example-token");
    let (status, stdout, stderr) = sidecar.command(&["check"]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    for words in [
        "source connect",
        "source billing",
        "forwarder siem",
        "forwarder archive",
        "admin      http://127.0.0.1:9600",
    ] {
        assert!(stdout.contains(words), "{words:?} is missing:\n{stdout}");
    }
    assert!(!stdout.contains("example-token"), "{stdout}");
}

#[test]
fn wrong_arguments_are_no_wrong_configuration() {
    for args in [&["run", "--confg", "x"][..], &["check", "a", "b"], &["frobnicate"], &[]] {
        let (status, stdout, stderr) = Sidecar::new().command(args);
        assert_eq!((status, stdout.as_str()), (64, ""), "{args:?}");
        assert!(stderr.contains("Usage"), "{stderr}");
    }
}
