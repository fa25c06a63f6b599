//! The DaemonSet's configuration on a directory that looks like a node's `/var/log`.

use std::{collections::BTreeMap, fs};

use super::Rendered;
use crate::receiver::Receiver;

fn line(stream: &str, tag: &str, message: &str) -> String {
    format!("2026-11-22T04:00:00.123456789Z {stream} {tag} {message}\n")
}

fn audit(n: u32) -> String {
    format!("{{\"log_type\":\"audit\",\"id\":{n},\"type\":\"login\"}}")
}

#[test]
fn of_a_nodes_logs_the_audit_events_arrive_with_their_pods_and_nothing_else() {
    let Some(all) = Rendered::all("of_a_nodes_logs_the_audit_events_arrive") else { return };
    let rendered = all.into_iter().find(|rendered| rendered.name == "daemonset").unwrap();
    let receiver = Receiver::start();
    let url = receiver.url();
    let mut sidecar = rendered.sidecar(|config| {
        config
            .replace("/var/log/pods", "{dir}/pods")
            .replace("/var/lib/auditpost", "{dir}")
            .replace("/var/run/secrets/auditpost", "{dir}")
            .replace("0.0.0.0:9600", "127.0.0.1:0")
            .replace("https://siem.example.com/ingest", &url)
    });
    fs::write(sidecar.path("token"), "t0ken\n").unwrap();
    // What was there before is not sent; what its pod writes later is.
    let old = "pods/kube-system_coredns-6d4_u1/coredns/0.log";
    sidecar.append(old, line("stdout", "F", &audit(0)));
    sidecar.start_again();
    sidecar.wait_for_log("reading a file");
    assert_eq!(sidecar.wait_for_readyz(200), "ok\n");

    let chatter = [
        line("stdout", "F", "listening on 8080"),
        line("stdout", "F", "{\"level\":\"info\",\"msg\":\"GET /\"}"),
        line("stderr", "F", &audit(99)),
    ]
    .concat();
    let (first, second) = (audit(2), audit(3));
    let parts =
        line("stdout", "P", &second[..9]) + &chatter.replace("stdout", "stderr") + &line("stdout", "F", &second[9..]);
    sidecar.append(old, line("stdout", "F", &audit(1)));
    sidecar.append(
        "pods/shop_till-7d4b_u2/till/0.log",
        [&chatter, &line("stdout", "F", &first), &chatter].map(String::as_str).concat(),
    );
    sidecar.append("pods/shop_till-7d4b_u2/proxy/3.log", parts);
    sidecar.append("pods/auditpost_auditpost-node-x_u3/auditpost/0.log", line("stdout", "F", &audit(98)));
    receiver.wait_for_lines(3);
    sidecar.wait_for_metrics("all lines", |metrics| metrics.events("siem", "filtered") == 9);
    sidecar.assert_books_balance();
    let metrics = sidecar.metrics();
    let by = |rule| metrics.sum("auditpost_filtered_total", &[("rule", rule)]);
    assert_eq!((by("stream"), by("onlyJson"), by("where[0]")), (5.0, 2.0, 2.0));

    let deliveries = receiver.deliveries();
    let from: BTreeMap<String, String> = deliveries
        .iter()
        .map(|delivery| {
            let names = ["namespace", "pod", "container"]
                .map(|name| delivery.header(&format!("auditpost-kubernetes-{name}")).unwrap());
            assert_eq!(delivery.header("x-node"), Some("spec.nodeName"));
            assert_eq!(delivery.header("authorization"), Some("Bearer t0ken"));
            (names.join("/"), delivery.lines().join("\n"))
        })
        .collect();
    let expected = [
        ("kube-system/coredns-6d4/coredns", audit(1)),
        ("shop/till-7d4b/till", first),
        ("shop/till-7d4b/proxy", second),
    ];
    assert_eq!(from, expected.map(|(names, event)| (names.to_owned(), event)).into());
    assert_eq!(sidecar.stop(), 0);
}
