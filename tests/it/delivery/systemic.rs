//! Where nearly everything is refused the receiver or our configuration is wrong, and nothing more is given up.

use super::{LOG, accepted, forwarding, numbers};
use crate::receiver::{Receiver, Reply};

/// G30, I14.
#[test]
fn a_receiver_that_refuses_everything_is_held_before_twenty_dead_letters() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(400).body("never"));
    let sidecar = forwarding(&receiver, "");
    sidecar.write_lines(LOG, 0..1000);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    sidecar.wait_for_state("siem", "held");
    let alarm = sidecar.alarm("siem", "held").unwrap();
    assert!(alarm.contains("nearly every event is refused") && alarm.contains("never"), "{alarm}");
    let asked = sidecar.metrics().requests("siem", "400");
    assert!(asked <= 100, "{asked} requests until it was held");
    // It stays held, probe by probe, and what is written meanwhile waits.
    sidecar.write_lines(LOG, 1000..1500);
    let metrics = sidecar.wait_for_metrics("probes", |metrics| metrics.requests("siem", "400") >= asked + 3);
    assert_eq!(metrics.state("siem"), Some("held"));
    assert_eq!(sidecar.dead_letters("siem").len(), 19);
    assert!(receiver.accepted_lines().is_empty());
    assert_eq!(sidecar.times_said("deliveries are held (systemic)"), 1);
    sidecar.wait_for_log("check format, framing, contentType and compression");

    receiver.always(Reply::status(200));
    let metrics = sidecar.wait_settled("siem", 1500);
    assert_eq!(accepted(&receiver), numbers(19..1500), "all but the dead letters, once");
    assert_eq!(metrics.events("siem", "dead_lettered"), 19);
    sidecar.wait_for_state("siem", "ready");
    assert_eq!(sidecar.alarm("siem", "held"), None);
    drop(books);
}
