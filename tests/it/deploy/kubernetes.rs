//! The Kustomize components and bases: what they render to, whether Kubernetes takes it, and whether it works.

mod node;
mod work;

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use super::{project, yaml};
use crate::{
    sidecar::Sidecar,
    tools::{has, skipped},
};

const EXAMPLES: [&str; 3] = ["examples/deployment", "examples/deployment-before-1.29", "examples/statefulset"];
const ALL: [&str; 5] = [EXAMPLES[0], EXAMPLES[1], EXAMPLES[2], "daemonset", "aggregator"];

/// The versions of Kubernetes that each must be valid for, oldest and newest.
fn versions(of: &str) -> [&'static str; 2] {
    if of == "examples/deployment-before-1.29" { ["1.25", "1.37"] } else { ["1.29", "1.37"] }
}

/// What a directory below `deploy/kubernetes` renders to; None, and said, where nothing here can render.
fn render(test: &str, directory: &str) -> Option<String> {
    let path = project("deploy/kubernetes").join(directory);
    render_path(test, &path)
}

fn render_path(test: &str, path: &Path) -> Option<String> {
    let words = [["kubectl", "kustomize"], ["kustomize", "build"]];
    let Some([program, verb]) = words.into_iter().find(|[program, _]| has(program)) else {
        skipped(test, "neither kubectl nor kustomize is in PATH");
        return None;
    };
    let rendered = Command::new(program).arg(verb).arg(path).output().unwrap();
    let said = String::from_utf8(rendered.stderr).unwrap();
    assert!(rendered.status.success() && said.is_empty(), "{}: {said}", path.display());
    Some(String::from_utf8(rendered.stdout).unwrap())
}

/// What is of these kinds.
fn of_kind<'a>(documents: &'a [Value], kinds: &[&str]) -> Vec<&'a Value> {
    documents.iter().filter(|document| kinds.contains(&document["kind"].as_str().unwrap())).collect()
}

fn workloads(documents: &[Value]) -> Vec<&Value> {
    of_kind(documents, &["Deployment", "StatefulSet", "DaemonSet", "Job"])
}

/// The containers named `auditpost` of a workload, of either kind of container.
fn auditposts(workload: &Value) -> Vec<&Value> {
    let pod = &workload["spec"]["template"]["spec"];
    let containers = ["initContainers", "containers"].into_iter().filter_map(|kind| pod[kind].as_array()).flatten();
    containers.filter(|container| container["name"] == "auditpost").collect()
}

/// A workload with auditpost in it, and what else is rendered with it.
struct Rendered {
    name: &'static str,
    documents: Vec<Value>,
}

impl Rendered {
    fn all(test: &str) -> Option<Vec<Self>> {
        let each = ALL.into_iter().map(|name| Some(Self { name, documents: yaml::documents(&render(test, name)?) }));
        each.collect()
    }

    fn workload(&self) -> &Value {
        let [only] = workloads(&self.documents)[..] else { panic!("{}: one workload", self.name) };
        only
    }

    fn pod(&self) -> &Value {
        &self.workload()["spec"]["template"]["spec"]
    }

    fn container(&self) -> &Value {
        let [only] = auditposts(self.workload())[..] else { panic!("{}: one auditpost", self.name) };
        only
    }

    /// The configuration, through the volume that the container mounts.
    fn config(&self) -> String {
        let volume = self.volume_at("/etc/auditpost");
        let name = &volume["configMap"]["name"];
        let maps = of_kind(&self.documents, &["ConfigMap"]);
        let map = maps.iter().find(|map| map["metadata"]["name"] == *name);
        map.unwrap_or_else(|| panic!("{}: no ConfigMap {name}", self.name))["data"]["config.yaml"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The volume whose mount holds a path.
    fn volume_at(&self, path: &str) -> Value {
        let mounts = self.container()["volumeMounts"].as_array().unwrap();
        let mount = mounts.iter().find(|mount| Path::new(path).starts_with(mount["mountPath"].as_str().unwrap()));
        let name = &mount.unwrap_or_else(|| panic!("{}: {path} is on no volume", self.name))["name"];
        let claims = self.workload()["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten();
        let claimed = claims.filter(|claim| claim["metadata"]["name"] == *name);
        let volumes = self.pod()["volumes"].as_array().into_iter().flatten().filter(|volume| volume["name"] == *name);
        claimed.chain(volumes).next().unwrap_or_else(|| panic!("{}: no volume {name}", self.name)).clone()
    }

    /// A sidecar of this configuration, after changes to its text, with what the container's environment would be.
    fn sidecar(&self, change: impl FnOnce(String) -> String) -> Sidecar {
        let environment = self.container()["env"].as_array().into_iter().flatten();
        let sidecar = Sidecar::new().config(&change(self.config()));
        environment.fold(sidecar, |sidecar, variable| {
            let field = variable["valueFrom"]["fieldRef"]["fieldPath"].as_str().unwrap();
            sidecar.env(variable["name"].as_str().unwrap(), field)
        })
    }
}

#[test]
fn kubernetes_takes_what_is_rendered() {
    const TEST: &str = "kubernetes_takes_what_is_rendered";
    let installed = project("target/kubernetes-validate/bin/kubernetes-validate");
    let validator = if installed.exists() { installed } else { "kubernetes-validate".into() };
    if !validator.is_absolute() && !has("kubernetes-validate") {
        return skipped(TEST, "kubernetes-validate is not here; .ci/run installs it");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("rendered.yaml");
    let check = |text: &str, version: &str| {
        fs::write(&file, text).unwrap();
        let checked = Command::new(&validator).args(["--strict", "-k", version]).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&checked.stdout) + String::from_utf8_lossy(&checked.stderr);
        (checked.status.success(), said.into_owned())
    };
    for name in ALL {
        let Some(text) = render(TEST, name) else { return };
        for version in versions(name) {
            let (taken, said) = check(&text, version);
            assert!(taken, "{name} for {version}: {said}");
            assert_eq!(said.matches(" passed for resource ").count(), yaml::documents(&text).len(), "{said}");
        }
        let misspelt = text.replace("readOnlyRootFilesystem", "readOnlyRootFileSystem");
        assert!(!check(&misspelt, "1.37").0, "what is misspelt is refused");
    }
    let Some(text) = render(TEST, "examples/deployment") else { return };
    assert!(!check(&text, "1.25").0, "a native sidecar is nothing that an older cluster knows");
}

#[test]
fn the_configuration_of_each_is_valid_and_fits_its_pod() {
    let Some(all) = Rendered::all("the_configuration_of_each_is_valid_and_fits_its_pod") else { return };
    for rendered in all {
        let name = rendered.name;
        let sidecar = rendered.sidecar(|config| config);
        let (status, said, problems) = sidecar.command(&["check", "-c", sidecar.config_path().to_str().unwrap()]);
        assert_eq!((status, problems.as_str()), (0, ""), "{name}: {said}");
        let config = &yaml::documents(&rendered.config())[0];

        let grace = rendered.pod()["terminationGracePeriodSeconds"].as_i64().unwrap();
        let drain = config["drainTimeout"].as_str().unwrap().trim_end_matches('s').parse::<i64>().unwrap();
        assert!(grace >= drain + 10, "{name}: {grace} s of grace for {drain} s");

        let ports = rendered.container()["ports"].as_array().unwrap();
        let mut listens = vec![&config["admin"]["listen"]];
        let sources = config["sources"].as_array().unwrap();
        listens.extend(sources.iter().map(|source| &source["listen"]).filter(|listen| !listen.is_null()));
        let listened: Vec<i64> = listens.iter().map(|at| at.as_str().unwrap()[8..].parse().unwrap()).collect();
        let opened: Vec<i64> = ports.iter().map(|port| port["containerPort"].as_i64().unwrap()).collect();
        assert_eq!(listened, opened, "{name}");

        let state = config["stateDir"].as_str().unwrap();
        let mounts = rendered.container()["volumeMounts"].as_array().unwrap();
        let place =
            |path: &str| mounts.iter().find(|it| path.starts_with(it["mountPath"].as_str().unwrap())).unwrap();
        assert_ne!(place(state)["mountPath"], state, "{name}: the root of a volume is open to its group");
        assert!(place(state)["readOnly"].is_null());
        let text = rendered.config();
        let paths = text.split([' ', '[', ']', ',', '\n']).filter(|word| word.starts_with("/var/"));
        for path in paths.filter(|path| *path != state) {
            assert_eq!(place(path)["readOnly"], true, "{name}: {path} is only read");
            rendered.volume_at(path);
        }
    }
}

#[test]
fn each_auditpost_is_confined_watched_and_bounded() {
    let Some(all) = Rendered::all("each_auditpost_is_confined_watched_and_bounded") else { return };
    for rendered in all {
        let (name, pod, container) = (rendered.name, rendered.pod(), rendered.container());
        let both = |key: &str| match &container["securityContext"][key] {
            Value::Null => &pod["securityContext"][key],
            set => set,
        };
        assert_eq!(both("allowPrivilegeEscalation"), false, "{name}");
        assert_eq!(both("readOnlyRootFilesystem"), true, "{name}");
        assert_eq!(both("capabilities"), &serde_json::json!({"drop": ["ALL"]}), "{name}");
        assert_eq!(both("seccompProfile"), &serde_json::json!({"type": "RuntimeDefault"}), "{name}");
        if name == "daemonset" {
            assert_eq!(both("runAsUser"), 0, "only root may read containers' logs");
        } else {
            assert_eq!((both("runAsUser"), both("runAsNonRoot")), (&65532.into(), &true.into()), "{name}");
            assert!(pod["securityContext"]["fsGroup"].is_i64(), "{name}");
            assert_eq!(pod["securityContext"]["fsGroupChangePolicy"], "OnRootMismatch", "{name}");
        }
        assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
        for (probe, path) in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz"), ("startupProbe", "/readyz")]
        {
            let wanted = serde_json::json!({"path": path, "port": "auditpost"});
            assert_eq!(container[probe]["httpGet"], wanted, "{name}: {probe}");
        }
        for (of, size) in [("requests", "cpu"), ("requests", "memory"), ("limits", "memory")] {
            assert!(container["resources"][of][size].is_string(), "{name}: {of} {size}");
        }
        let every = ["initContainers", "containers"].into_iter().filter_map(|kind| pod[kind].as_array()).flatten();
        for image in every.map(|container| container["image"].as_str().unwrap()) {
            assert!(image.contains(':') && !image.ends_with(":latest"), "{name}: {image}");
        }
        assert_eq!(container["image"], format!("auditpost:{}", env!("CARGO_PKG_VERSION")), "{name}");
        let is_native = container["restartPolicy"] == "Always";
        assert_eq!(is_native, matches!(name, "examples/deployment" | "examples/statefulset"), "{name}");
    }
}

#[test]
fn the_component_changes_what_is_labelled_and_nothing_else() {
    const TEST: &str = "the_component_changes_what_is_labelled_and_nothing_else";
    let dir = tempfile::Builder::new().prefix("overlay-").tempdir_in(project("target")).unwrap();
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: NAME, LABELS}\nspec: {template: {spec: \
               {initContainers: [{name: first, image: x:1}], containers: [{name: main, image: x:1}]}}}\n";
    let labelled = job.replace("NAME", "labelled").replace("LABELS", "labels: {auditpost: sidecar}");
    let other = job.replace("NAME", "other").replace("LABELS", "labels: {auditpost: none}");
    fs::write(dir.path().join("jobs.yaml"), format!("{labelled}---\n{other}")).unwrap();
    fs::write(dir.path().join("config.yaml"), "sources: []\n").unwrap();
    let rendered = |component: &str| {
        let text = format!(
            "resources: [jobs.yaml]\ncomponents: [../../deploy/kubernetes/{component}]\n\
             configMapGenerator: [{{name: auditpost, files: [config.yaml]}}]\n\
             images: [{{name: auditpost, newName: registry.example.com/audit, newTag: 9.9.9}}]\n"
        );
        fs::write(dir.path().join("kustomization.yaml"), text).unwrap();
        render_path(TEST, dir.path()).map(|text| yaml::documents(&text))
    };
    let Some(documents) = rendered("sidecar") else { return };
    let [labelled, other] = workloads(&documents)[..] else { panic!("two jobs") };
    let [container] = auditposts(labelled)[..] else { panic!("one auditpost") };
    assert_eq!(container["image"], "registry.example.com/audit:9.9.9");
    let pod = &labelled["spec"]["template"]["spec"];
    assert_eq!(pod["initContainers"][0]["name"], "auditpost", "it is there before what else begins first");
    assert_eq!(pod["initContainers"][1]["name"], "first");
    let map = of_kind(&documents, &["ConfigMap"])[0]["metadata"]["name"].clone();
    let volumes = pod["volumes"].as_array().unwrap();
    assert!(volumes.iter().any(|volume| volume["configMap"]["name"] == map), "{volumes:?}");
    assert!(auditposts(other).is_empty() && other["spec"]["template"]["spec"]["securityContext"].is_null());

    let Some(documents) = rendered("sidecar-before-1.29") else { return };
    assert!(workloads(&documents).into_iter().all(|job| auditposts(job).is_empty()), "a Job would never be complete");
}

#[test]
fn the_aggregator_is_reached_by_its_services_and_protected() {
    let Some(all) = Rendered::all("the_aggregator_is_reached_by_its_services_and_protected") else { return };
    let rendered = all.into_iter().find(|rendered| rendered.name == "aggregator").unwrap();
    let labels = &rendered.workload()["spec"]["template"]["metadata"]["labels"];
    assert!(labels.as_object().is_some_and(|labels| labels.len() == 2), "{labels}");
    assert_eq!(&rendered.workload()["spec"]["selector"]["matchLabels"], labels);
    let services = of_kind(&rendered.documents, &["Service"]);
    assert_eq!(services.len(), 2);
    let ports: Vec<&Value> =
        rendered.container()["ports"].as_array().unwrap().iter().map(|port| &port["name"]).collect();
    for service in services {
        assert_eq!(&service["spec"]["selector"], labels);
        for port in service["spec"]["ports"].as_array().unwrap() {
            assert!(ports.contains(&&port["targetPort"]), "{port}");
        }
        let headless = service["spec"]["clusterIP"] == "None";
        assert_eq!(headless, service["metadata"]["name"] == rendered.workload()["spec"]["serviceName"]);
    }
    let [budget] = of_kind(&rendered.documents, &["PodDisruptionBudget"])[..] else { panic!("a budget") };
    assert_eq!(&budget["spec"]["selector"]["matchLabels"], labels);
    let [policy] = of_kind(&rendered.documents, &["NetworkPolicy"])[..] else { panic!("a policy") };
    assert_eq!(&policy["spec"]["podSelector"]["matchLabels"], labels);
    assert!(rendered.volume_at("/var/lib/auditpost/state")["spec"]["resources"].is_object(), "a claim");
}
