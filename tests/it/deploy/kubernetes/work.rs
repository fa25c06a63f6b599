//! The other configurations at work, with the rights that a pod gives.

use std::{
    fs,
    io::{BufReader, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::Command,
};

use super::Rendered;
use crate::{
    events::{event, lines},
    http::read_answer,
    receiver::Receiver,
    sidecar::Sidecar,
    tools::{is_root, skipped, wait_until, works},
};

/// The configuration with the pod's paths below the test's directory, and the receiver as its webhook.
fn moved(rendered: &Rendered, receiver: &Receiver) -> Sidecar {
    let sidecar = rendered.sidecar(|config| {
        let config = config
            .replace("/var/log/audit", "{dir}/audit")
            .replace("/var/lib/auditpost", "{dir}/volume")
            .replace("/var/run/secrets/auditpost/", "{dir}/secrets/")
            .replace("0.0.0.0:9600", "127.0.0.1:0")
            .replace("0.0.0.0:8443", "127.0.0.1:0")
            .replace("0.0.0.0:6514", "127.0.0.1:0")
            .replace("https://siem.example.com/ingest", &receiver.url());
        // Without certificates of a cluster.
        config
            .lines()
            .filter(|line| !line.contains("tls:") && !line.contains("auditpost-tls"))
            .fold(String::new(), |text, line| text + line + "\n")
    });
    for directory in ["audit", "volume", "secrets"] {
        fs::create_dir(sidecar.path(directory)).unwrap();
    }
    fs::write(sidecar.path("secrets/token"), "t0ken\n").unwrap();
    fs::write(sidecar.path("secrets/intake"), "1ntake\n").unwrap();
    sidecar
}

/// In MiB, what it says at the start that it may take.
fn memory_at_most(sidecar: &Sidecar) -> u64 {
    let said = sidecar.stderr();
    let rest = &said[said.find("memory_at_most=").unwrap() + "memory_at_most=".len()..];
    rest.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn each_delivers_within_the_memory_that_its_pod_may_take() {
    let Some(all) = Rendered::all("each_delivers_within_the_memory_that_its_pod_may_take") else { return };
    for rendered in all.into_iter().filter(|rendered| rendered.name != "daemonset") {
        let receiver = Receiver::start();
        let mut sidecar = moved(&rendered, &receiver);
        sidecar.start_again();
        if rendered.name == "aggregator" {
            send_to_the_aggregator(&sidecar);
        } else {
            sidecar.append("audit/audit.ndjson", lines(0..10));
        }
        receiver.wait_for_lines(10);
        let pod = receiver.deliveries()[0].header("x-pod").unwrap().to_owned();
        assert!(pod.ends_with("metadata.name"), "{pod}");
        assert_eq!(sidecar.wait_for_readyz(200), "ok\n");
        let limit = rendered.container()["resources"]["limits"]["memory"].as_str().unwrap();
        let limit: u64 = limit.trim_end_matches("Mi").parse().unwrap();
        assert!(memory_at_most(&sidecar) < limit, "{}: {} MiB", rendered.name, memory_at_most(&sidecar));
        assert!(sidecar.peak_rss_kib() / 1024 < limit);
        assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    }
}

fn send_to_the_aggregator(sidecar: &Sidecar) {
    let address = |source: &str| -> SocketAddr {
        sidecar.wait_for_log(&format!("taking events source=\"{source}\""));
        let said = sidecar.stderr();
        let line = said.lines().find(|line| line.contains(&format!("taking events source=\"{source}\""))).unwrap();
        line.rsplit(['/', ' ']).next().unwrap().parse().unwrap()
    };
    let post = |token: &str, body: &str| {
        let mut stream = TcpStream::connect(address("http")).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        read_answer(&mut BufReader::new(stream)).unwrap().0
    };
    assert_eq!(post("wrong", &lines(0..5)), 401);
    assert_eq!(post("1ntake", &lines(0..5)) / 100, 2);
    let mut stream = TcpStream::connect(address("tcp")).unwrap();
    for n in 5..10 {
        writeln!(stream, "<14>1 2026-11-22T04:00:00Z host app - - - {}", event(n)).unwrap();
    }
}

/// A volume as the kubelet makes it for a pod with this `fsGroup`.
fn volume(path: &Path, group: u32) {
    chown(path, Some(0), Some(group)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o2770)).unwrap();
}

/// The StatefulSet's sidecar with the user, the groups and the volumes that its pod has; None, and said, where that
/// cannot be done. Not started.
fn in_a_pod(test: &str, receiver: &Receiver) -> Option<Sidecar> {
    const AS_POD: [&str; 5] = ["setpriv", "--reuid=65532", "--regid=65532", "--groups=2000", "--bounding-set=-all"];
    let all = Rendered::all(test)?;
    if !is_root() || !works(&[&AS_POD[..], &[env!("CARGO_BIN_EXE_auditpost"), "--version"]].concat()) {
        skipped(test, "it needs root, setpriv, and a binary that everybody may run");
        return None;
    }
    let rendered = all.into_iter().find(|rendered| rendered.name == "examples/statefulset").unwrap();
    assert_eq!(rendered.pod()["securityContext"]["fsGroup"], 2000);
    let sidecar = moved(&rendered, receiver).through(&AS_POD);
    fs::set_permissions(sidecar.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    for directory in ["audit", "volume"] {
        volume(&sidecar.path(directory), 2000);
    }
    Some(sidecar)
}

#[test]
fn state_that_the_pods_group_may_write_to_is_refused() {
    let receiver = Receiver::start();
    let Some(mut sidecar) = in_a_pod("state_that_the_pods_group_may_write_to_is_refused", &receiver) else { return };
    sidecar.start_again();
    sidecar.wait_for_log("forwarding");
    assert_eq!(sidecar.stop(), 0);
    // What the kubelet does to a claim that is mounted again, unless it is told OnRootMismatch.
    let mode = |mode| fs::set_permissions(sidecar.path("volume/state"), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o2770);
    sidecar.start_again();
    assert_eq!(sidecar.wait(), 73, "{}", sidecar.stderr());
    assert!(sidecar.stderr().contains("others may write to it"), "{}", sidecar.stderr());
    // The root of a volume.
    let root = sidecar.yaml().replace("/volume/state", "/volume");
    sidecar.set_config(&root);
    sidecar.start_again();
    assert_eq!(sidecar.wait(), 73, "{}", sidecar.stderr());
    assert!(sidecar.stderr().contains("belongs to user 0"), "{}", sidecar.stderr());
}

#[test]
fn with_the_rights_that_a_pods_group_gives_it_keeps_state_and_reads_what_the_application_writes() {
    let receiver = Receiver::start();
    let Some(mut sidecar) = in_a_pod("with_the_rights_that_a_pods_group_gives", &receiver) else { return };
    // As the application writes it: its own user, the volume's group, umask 027.
    let file = sidecar.path("audit/audit.ndjson");
    fs::write(&file, lines(0..3)).unwrap();
    chown(&file, Some(1000), Some(2000)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    sidecar.start_again();
    receiver.wait_for_lines(3);
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    // A second pod on the same claim, which OnRootMismatch leaves as it is.
    sidecar.append("audit/audit.ndjson", lines(3..5));
    sidecar.start_again();
    receiver.wait_for_lines(5);
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(receiver.accepted_lines().len(), 5);
}

#[test]
fn the_applications_of_the_examples_write_events_that_their_group_may_read() {
    let Some(all) = Rendered::all("the_applications_of_the_examples_write_events") else { return };
    for rendered in all.iter().filter(|rendered| rendered.name.starts_with("examples/")) {
        let dir = tempfile::tempdir().unwrap();
        let containers = rendered.pod()["containers"].as_array().unwrap();
        let application = containers.iter().find(|container| container["name"] != "auditpost").unwrap();
        assert_eq!(application["command"], serde_json::json!(["/bin/sh", "-c"]));
        let script = application["args"][0].as_str().unwrap();
        let script = script.replace("/var/log/audit", dir.path().to_str().unwrap()).replace("sleep 1", "sleep 0.1");
        let mut running = Command::new("/bin/sh").args(["-c", &script]).env("HOSTNAME", "pod-0").spawn().unwrap();
        let file = dir.path().join("audit.ndjson");
        wait_until("two events", || fs::read_to_string(&file).is_ok_and(|text| text.lines().count() >= 2));
        running.kill().unwrap();
        running.wait().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let second: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        assert_eq!(second["id"], "pod-0-2", "{}", rendered.name);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
