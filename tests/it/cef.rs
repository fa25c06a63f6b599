//! CEF of known systems, from the file to the receiver.

use crate::{
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
};

const SAMPLES: [&str; 4] = [
    include_str!("../samples/connect.ndjson"),
    include_str!("../samples/infrakitchen.ndjson"),
    include_str!("../samples/konnect.ndjson"),
    include_str!("../samples/chainloop.ndjson"),
];

#[test]
fn an_event_is_the_same_cef_after_a_crash_and_what_was_cut_is_counted() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let long = format!("{{\"type\":\"long\",\"message\":\"{}\"}}\n", "x".repeat(2000));
    let settings = "format: cef\nbatch: {maxAge: 50ms}\nretry: {initial: 50ms, max: 100ms}\n\
                    cef: {host: node-1, prefix: \"{time} {host} \", severity: {denied: 9}}";
    let mut sidecar = Sidecar::new().file_source_with("app", "logs/*.ndjson", "scanInterval: 100ms").forwarder(
        "siem",
        &receiver.url(),
        settings,
    );
    sidecar.append("logs/audit.ndjson", SAMPLES.concat() + &long);
    let events = SAMPLES.concat().lines().count() + 1;
    sidecar = sidecar.start();
    let first = receiver.wait_for_requests(1)[0].clone();
    sidecar.kill();
    receiver.always(Reply::status(200));
    sidecar.start_again();
    let lines = receiver.wait_for_lines(events);
    assert_eq!(first.lines(), lines, "the clock and the crash are in no line");
    let last = receiver.deliveries().pop().expect("a delivery");
    assert_eq!(last.id(), first.id());

    assert!(lines[0].starts_with("2026-08-19T08:15:02Z node-1 CEF:0|Cofide|Connect|0.55.2|trust_zone_creation|"));
    assert!(lines[5].contains("|Role binding creation|9|"), "{}", lines[5]);
    let cut = &lines[events - 1];
    assert!(
        cut.starts_with("- node-1 CEF:0|auditpost|app|1.0|long|long|3|msg=xxx") && cut.contains("x... adWhole_msg=x")
    );
    sidecar.wait_for_metrics("a cut value", |metrics| {
        metrics.sum("auditpost_cef_values_cut_total", &[("forwarder", "siem")]) >= 1.0
    });
    assert_eq!(sidecar.stop(), 0);
}
