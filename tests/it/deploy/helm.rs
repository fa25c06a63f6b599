//! The Helm chart: Helm itself installs it, Kubernetes' schemas hold its objects, and `auditpost check` its configuration.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::project;
use crate::{
    sidecar::Sidecar,
    tools::{has, skipped, works},
};

const CHART: &str = "deploy/helm/auditpost";
const SECRET: &str = "CANARY-of-a-token";

/// One installation as Helm made it.
struct Release(Value);

impl Release {
    /// The objects of a kind.
    fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.objects().iter().filter(|object| object["kind"] == kind).collect()
    }

    fn one(&self, kind: &str) -> &Value {
        let found = self.of_kind(kind);
        assert_eq!(found.len(), 1, "{kind} in {:#}", self.0);
        found[0]
    }

    fn objects(&self) -> &[Value] {
        self.0["objects"].as_array().unwrap_or_else(|| panic!("not installed: {:#}", self.0))
    }

    fn error(&self) -> &str {
        self.0["error"].as_str().unwrap_or_else(|| panic!("it was installed: {:#}", self.0))
    }

    fn config(&self) -> &str {
        self.one("ConfigMap")["data"]["config.yaml"].as_str().unwrap()
    }
}

/// Has Helm install the chart once for each of these values; `None`, and said, where Helm is not here.
fn install(test: &str, chart: &Path, values: &[Value]) -> Option<Vec<Release>> {
    install_on("1.34", test, chart, values)
}

/// The same on this version of Kubernetes.
fn install_on(kubernetes: &str, test: &str, chart: &Path, values: &[Value]) -> Option<Vec<Release>> {
    let python = project("target/deploy-venv/bin/python");
    let python = python.to_str().unwrap();
    if !works(&[python, "-c", "import helm_sdkpy, kubernetes_validate, yaml"]) {
        skipped(test, "target/deploy-venv has no helm-sdkpy, which needs Python 3.12 (.ci/run installs it)");
        return None;
    }
    let case = |values: &Value| json!({"chart": chart, "release": "r", "namespace": "audit", "kubernetes": kubernetes, "values": values});
    let cases: Vec<Value> = values.iter().map(case).collect();
    let mut helm = Command::new(python);
    helm.arg(project("tests/it/deploy/helm.py")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut helm = helm.spawn().unwrap();
    helm.stdin.take().unwrap().write_all(json!(cases).to_string().as_bytes()).unwrap();
    let output = helm.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let releases: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    for release in &releases {
        assert_eq!(release["invalid"].as_array().map_or(0, Vec::len), 0, "{:#}", release["invalid"]);
    }
    Some(releases.into_iter().map(Release).collect())
}

fn chart() -> PathBuf {
    project(CHART)
}

fn siem() -> Value {
    json!({"name": "siem", "kind": "webhook", "uri": "https://siem.example.com/ingest", "method": "POST", "token": SECRET})
}

/// Runs `auditpost check` on the configuration of the ConfigMap, with the paths of the pod below a directory.
fn check(config: &str, secrets: Option<&Value>) -> (i32, String) {
    let sidecar = Sidecar::new().config(&config.replace("/var/", "{dir}/var/"));
    let dir = sidecar.path("var/run/secrets/auditpost");
    fs::create_dir_all(&dir).unwrap();
    let names = secrets.and_then(|secret| secret["data"].as_object());
    for name in names.into_iter().flat_map(|data| data.keys()) {
        fs::write(dir.join(name), SECRET).unwrap();
    }
    let (status, stdout, stderr) = sidecar.command(&["check"]);
    (status, stdout + &stderr)
}

#[test]
fn the_aggregator_has_what_it_needs_and_its_configuration_is_valid() {
    let test = "the_aggregator_has_what_it_needs_and_its_configuration_is_valid";
    let big = json!({"auditLogForwarders": [
        {"name": "siem", "uri": "https://siem.example.com/", "token": SECRET, "batch": {"maxBytes": 10_000_000, "maxEvents": 1_000_000}},
        {"name": "basic", "uri": "https://b.example.com/", "auth": {"basic": {"username": "u", "password": SECRET}}},
        {"name": "oauth", "uri": "https://o.example.com/", "enabledEvents": ["login"], "auth": {"oauth2":
            {"tokenUrl": "https://o.example.com/token", "clientId": "c", "clientSecret": SECRET}}}],
        "disabledEvents": ["node_attestation"],
        "sources": [
            {"name": "a", "kind": "http", "listen": "0.0.0.0:8088", "token": SECRET, "hmac": {"secret": SECRET, "header": "X-Sign"},
             "maxBytes": 9_007_199_254_740_992_i64},
            {"name": "a-name-that-is-longer-than-a-port-may-be", "kind": "udp", "listen": "[::]:514"}],
        "aggregator": {"replicas": 3}, "terminationGracePeriodSeconds": 1_000_000,
        "podAnnotations": {"a": "b"}, "podMonitor": {"enabled": true}});
    let Some(releases) = install(test, &chart(), &[json!({"auditLogForwarders": [siem()]}), big]) else { return };
    let kinds = |release: &Release| -> BTreeSet<String> {
        release.objects().iter().map(|object| object["kind"].as_str().unwrap().to_owned()).collect()
    };
    let wanted =
        ["ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Secret", "Service", "ServiceAccount", "StatefulSet"];
    assert_eq!(kinds(&releases[0]), BTreeSet::from(wanted.map(str::to_owned)));
    for release in &releases {
        let coded = BASE64_STANDARD.encode(SECRET);
        for object in release.objects().iter().filter(|object| object["kind"] != "Secret") {
            let text = object.to_string();
            assert!(!text.contains(SECRET) && !text.contains(&coded), "{object:#}");
        }
        assert_eq!(release.one("Secret")["data"]["siem.token"], coded.as_str());
        assert!(!release.0["notes"].to_string().contains(SECRET));
        let (status, said) = check(release.config(), Some(release.one("Secret")));
        assert_eq!(status, 0, "{said}\n{}", release.config());
        let linted = &release.0["lint"];
        assert!(linted["Errors"].is_null(), "{linted:#}");
        pod_is_hardened(&release.one("StatefulSet")["spec"]["template"]["spec"], 65532);
    }

    let [plain, big] = &releases[..] else { panic!() };
    assert!(plain.0["notes"].as_str().unwrap().contains("r-auditpost.audit.svc:8088"), "{}", plain.0["notes"]);
    let secrets: Vec<&String> = big.one("Secret")["data"].as_object().unwrap().keys().collect();
    assert_eq!(secrets, ["a.hmac.secret", "a.token", "basic.password", "oauth.clientSecret", "siem.token"]);
    for number in ["maxBytes: 10000000\n", "maxEvents: 1000000\n", "maxBytes: 9007199254740992\n"] {
        assert!(big.config().contains(number), "{number:?} in {}", big.config());
    }
    let set = &big.one("StatefulSet")["spec"];
    assert_eq!(
        (&set["replicas"], &set["template"]["spec"]["terminationGracePeriodSeconds"]),
        (&json!(3), &json!(1_000_000))
    );
    let service = big.of_kind("Service")[0];
    let ports: Vec<(&Value, &Value)> =
        service["spec"]["ports"].as_array().unwrap().iter().map(|port| (&port["port"], &port["protocol"])).collect();
    assert_eq!(ports, [(&json!(8088), &json!("TCP")), (&json!(514), &json!("UDP"))]);
    assert_eq!(big.config().matches("- node_attestation").count(), 3, "{}", big.config());
    assert_eq!(big.config().matches("- all").count(), 2, "a forwarder's own list goes before: {}", big.config());
}

/// Read-only, without capabilities, as this user; the probes and the configuration are where the container looks.
fn pod_is_hardened(pod: &Value, user: u32) {
    let find = |list: &str| pod[list].as_array().into_iter().flatten().find(|one| one["name"] == "auditpost");
    let container = find("containers").or_else(|| find("initContainers")).unwrap();
    let of = |key: &str| {
        let own = &container["securityContext"][key];
        if own.is_null() { pod["securityContext"][key].clone() } else { own.clone() }
    };
    assert_eq!(of("runAsUser"), user, "{pod:#}");
    assert_eq!(of("runAsNonRoot") == true, user != 0, "{pod:#}");
    assert_eq!(of("seccompProfile")["type"], "RuntimeDefault");
    assert_eq!((of("readOnlyRootFilesystem"), of("allowPrivilegeEscalation")), (json!(true), json!(false)));
    assert_eq!(of("capabilities"), json!({"drop": ["ALL"]}));
    let port = container["ports"].as_array().unwrap().iter().find(|port| port["containerPort"] == 9600).unwrap();
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], port["name"], "{probe}");
    }
    let volumes: Vec<&Value> = pod["volumes"].as_array().unwrap().iter().map(|volume| &volume["name"]).collect();
    for mount in container["volumeMounts"].as_array().unwrap() {
        let claimed = mount["name"] == "auditpost-state";
        assert!(claimed || volumes.contains(&&mount["name"]), "no volume for {mount}");
    }
}

#[test]
fn the_daemonset_reads_container_logs_and_not_its_own() {
    let test = "the_daemonset_reads_container_logs_and_not_its_own";
    let values = json!({"mode": "daemonset", "daemonset": {"include": ["/var/log/pods/shop_*/*/*.log"]},
        "existingSecret": "tokens", "prometheusRule": {"enabled": true},
        "auditLogForwarders": [{"name": "siem", "uri": "https://siem.example.com/", "tokenSecret": {"key": "siem"}}]});
    let without = json!({"mode": "daemonset", "auditLogForwarders": [siem()]});
    let Some(releases) = install(test, &chart(), &[values, without]) else { return };
    assert!(releases[1].error().contains("daemonset.include: say which"), "{}", releases[1].error());
    let release = &releases[0];
    let pod = &release.one("DaemonSet")["spec"]["template"]["spec"];
    pod_is_hardened(pod, 0);
    assert!(release.of_kind("Secret").is_empty(), "the Secret is there already");
    let secret = json!([{"secret": {"name": "tokens", "items": [{"key": "siem", "path": "siem.token"}]}}]);
    assert!(
        pod["volumes"].as_array().unwrap().iter().any(|volume| volume["projected"]["sources"] == secret),
        "{pod:#}"
    );
    assert!(release.config().contains("- /var/log/pods/audit_r-auditpost-*/*/*.log\n"), "{}", release.config());

    let given = fs::read_to_string(project("deploy/prometheus/alerts.yaml")).unwrap();
    let groups = release.one("PrometheusRule")["spec"]["groups"][0]["rules"].as_array().unwrap();
    assert_eq!(groups.len(), given.matches("- alert: ").count());

    let secrets = json!({"data": {"siem.token": ""}});
    let (status, said) = check(release.config(), Some(&secrets));
    assert_eq!(status, 0, "{said}\n{}", release.config());
}

#[test]
fn another_chart_takes_the_sidecar_from_the_named_templates() {
    let test = "another_chart_takes_the_sidecar_from_the_named_templates";
    let dir = tempfile::tempdir().unwrap();
    let parent = dir.path().join("example");
    // As `helm dependency build` does it.
    copy(&project("deploy/helm/example"), &parent);
    copy(&chart(), &parent.join("charts/auditpost"));
    let old =
        json!({"auditpost": {"sidecar": {"native": false, "stateClaim": "state"}, "auditLogForwarders": [siem()]}});
    let Some(new) = install(test, &parent, &[json!({})]) else { return };
    let before = install_on("1.28", test, &parent, &[json!({}), old]).unwrap();
    assert!(before[0].error().contains("needs Kubernetes 1.29; set it to false"), "{}", before[0].error());
    let (new, old) = (&new[0], &before[1]);
    let pod = |release: &Release| release.one("Deployment")["spec"]["template"]["spec"].clone();
    for release in [new, old] {
        pod_is_hardened(&pod(release), 65532);
        for kind in ["StatefulSet", "DaemonSet", "Service", "ServiceAccount"] {
            assert!(release.of_kind(kind).is_empty(), "{kind}");
        }
        let (status, said) = check(release.config(), Some(&json!({"data": {"siem.token": ""}})));
        assert_eq!(status, 0, "{said}\n{}", release.config());
        let volume = |release: &Release| -> Vec<Value> { pod(release)["volumes"].as_array().unwrap().clone() };
        let app = &pod(release)["containers"][0]["volumeMounts"][0];
        assert_eq!(app, &json!({"name": "audit-logs", "mountPath": "/var/log/app"}));
        assert!(volume(release).contains(&json!({"name": "audit-logs", "emptyDir": {}})), "{:#}", pod(release));
    }
    assert_eq!(pod(new)["initContainers"][0]["restartPolicy"], "Always");
    assert!(pod(old)["initContainers"].is_null() && pod(old)["containers"][1]["restartPolicy"].is_null());
    let claim = json!({"name": "auditpost-state", "persistentVolumeClaim": {"claimName": "state"}});
    assert!(pod(old)["volumes"].as_array().unwrap().contains(&claim));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

#[test]
fn a_changed_configuration_makes_new_pods_and_a_changed_token_does_not() {
    let test = "a_changed_configuration_makes_new_pods_and_a_changed_token_does_not";
    let [mut token, mut uri] = [siem(), siem()];
    token["token"] = "another".into();
    uri["uri"] = "https://siem.example.com/other".into();
    let values = [siem(), token, uri].map(|forwarder| json!({"auditLogForwarders": [forwarder]}));
    let Some(releases) = install(test, &chart(), &values) else { return };
    let [plain, token, uri] = [0, 1, 2].map(|n: usize| releases[n].one("StatefulSet")["spec"]["template"].clone());
    assert_eq!(plain, token, "its file is read again, and a hash of it would help to guess it");
    assert_ne!(plain, uri);
    assert_ne!(releases[0].one("Secret")["data"], releases[1].one("Secret")["data"]);
}

#[test]
fn values_that_make_no_sense_are_refused_with_their_reason() {
    let test = "values_that_make_no_sense_are_refused_with_their_reason";
    let with = |more: Value| {
        let mut forwarder = siem();
        forwarder.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"auditLogForwarders": [forwarder]})
    };
    let cases = [
        (json!({}), "auditLogForwarders: say where events go"),
        (with(json!({"tokenSecret": {"name": "x"}})), "siem: it has a token and a tokenSecret"),
        (with(json!({"headers": {"X-Api-Key": SECRET}})), "header X-Api-Key looks like a secret"),
        (with(json!({"enabledEvnts": ["all"]})), "additional properties 'enabledEvnts' not allowed"),
        (with(json!({"method": "GET"})), "method"),
        (json!({"auditLogForwarders": [siem(), siem()]}), "two secrets are called siem.token"),
        (json!({"auditLogForwarders": [siem()], "mode": "deployment"}), "mode"),
        (json!({"auditLogForwarders": [siem()], "image": {"tag": 1.10}}), "tag"),
        (json!({"auditLogForwarders": [siem()], "replicas": 3}), "additional properties 'replicas' not allowed"),
        (
            json!({"auditLogForwarders": [siem()], "sources": [{"name": "a", "include": ["/x"]}]}),
            "an aggregator needs a source that listens",
        ),
    ];
    let values: Vec<Value> = cases.iter().map(|(values, _)| values.clone()).collect();
    let Some(releases) = install(test, &chart(), &values) else { return };
    for (release, (values, reason)) in releases.iter().zip(&cases) {
        assert!(release.error().contains(reason), "{values}: {}", release.error());
        assert!(!release.error().contains(SECRET), "{values}: {}", release.error());
    }
}

#[test]
fn the_table_of_values_is_up_to_date() {
    if !has("python3") {
        return skipped("the_table_of_values_is_up_to_date", "python3 is not here");
    }
    let output = Command::new(project("deploy/helm/readme")).arg("--check").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_chart_installs_this_version() {
    for chart in ["deploy/helm/auditpost", "deploy/helm/example"] {
        let text = fs::read_to_string(project(chart).join("Chart.yaml")).unwrap();
        assert!(text.contains(&format!("\nappVersion: {}\n", env!("CARGO_PKG_VERSION"))), "{text}");
    }
}

/// A key that the chart's schema does not know could not be set.
#[test]
fn the_chart_knows_every_key_of_a_forwarder_and_of_a_source() {
    let read = |path: &str| fs::read(project(path)).ok().map(|text| serde_json::from_slice::<Value>(&text).unwrap());
    let Some(ours) = read("docs/config.schema.json") else {
        return skipped(
            "the_chart_knows_every_key_of_a_forwarder_and_of_a_source",
            "docs/config.schema.json is not here",
        );
    };
    let values = read("deploy/helm/auditpost/values.schema.json").unwrap();
    let keys =
        |object: &Value| -> BTreeSet<String> { object["properties"].as_object().unwrap().keys().cloned().collect() };
    let mut forwarder = keys(&values["properties"]["auditLogForwarders"]["items"]);
    assert!(forwarder.remove("tokenSecret"), "the chart's own key");
    assert_eq!(forwarder, keys(&ours["$defs"]["Forwarder"]));
    assert_eq!(keys(&values["properties"]["sources"]["items"]), keys(&ours["$defs"]["Source"]));
}
