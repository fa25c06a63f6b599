//! Where nearly everything is refused the receiver or our configuration is wrong, and nothing more is given up.

use super::{LOG, accepted, fan, numbers};
use crate::{
    events,
    receiver::{Receiver, Reply},
};

/// G30, G54, I14: whole batches and single events, for whatever reason.
#[test]
fn a_receiver_that_refuses_everything_is_held_before_twenty_dead_letters() {
    let cases = [("bad", (400, "")), ("gzip", (415, "")), ("single", (422, "framing: single")), ("large", (413, ""))];
    let (sidecar, receivers) = fan(
        cases,
        |(_, extra)| (*extra).to_owned(),
        |(status, _), receiver| receiver.always(Reply::status(*status).body("never")),
    );
    sidecar.write_lines(LOG, 0..1000);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    for (name, (status, _), receiver) in &receivers {
        sidecar.wait_for_state(name, "held");
        let alarm = sidecar.alarm(name, "held").unwrap();
        assert!(alarm.contains("nearly every event is refused") && alarm.contains("never"), "{name}: {alarm}");
        let asked = sidecar.metrics().requests(name, &status.to_string());
        assert!(asked <= 100, "{name}: {asked} requests until it was held");
        // It stays held, probe by probe.
        sidecar.wait_for_metrics("probes", |metrics| metrics.requests(name, &status.to_string()) >= asked + 3);
        assert_eq!(sidecar.metrics().state(name), Some("held"), "{name}");
        assert_eq!(sidecar.dead_letters(name).len(), 19, "{name}");
        assert!(receiver.accepted_lines().is_empty());
    }
    let said = sidecar.stderr();
    assert_eq!(said.matches("deliveries are held (systemic)").count(), receivers.len(), "{said}");
    assert!(said.contains("check format, framing, contentType and compression"), "{said}");

    for (name, _, receiver) in &receivers {
        receiver.always(Reply::status(200));
        let metrics = sidecar.wait_settled(name, 1000);
        assert_eq!(accepted(receiver), numbers(19..1000), "{name}: all but the dead letters, once");
        assert_eq!(metrics.events(name, "dead_lettered"), 19, "{name}");
        sidecar.wait_for_state(name, "ready");
        assert_eq!(sidecar.alarm(name, "held"), None);
    }
    drop(books);
}

#[test]
fn a_bad_event_now_and_then_is_no_reason_to_hold() {
    let receiver = Receiver::start();
    let bad: Vec<u64> = (0..600).filter(|n| n % 10 == 3).collect();
    super::refuse(&receiver, 400, bad.iter().copied());
    let sidecar = super::forwarding(&receiver, "batch: {maxEvents: 100, maxAge: 20ms}");
    sidecar.write_lines(LOG, 0..600);
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", 600);
    let letters = sidecar.dead_letters("siem");
    let dead: Vec<&str> = letters.iter().map(|letter| letter["payload"].as_str().unwrap()).collect();
    assert_eq!(dead, bad.iter().map(|n| events::event(*n)).collect::<Vec<_>>());
    assert_eq!(accepted(&receiver).len(), 540);
    assert!(!sidecar.stderr().contains("deliveries are held"), "{}", sidecar.stderr());
}

/// Half of the last 200, though some are taken in between.
#[test]
fn a_receiver_that_refuses_more_than_it_takes_is_held_too() {
    let receiver = Receiver::start();
    receiver.rule(|delivery| {
        let all_good = delivery.lines().iter().all(|line| line.contains(r#""type":"login""#));
        Reply::status(if all_good { 200 } else { 400 })
    });
    let sidecar = super::forwarding(&receiver, "framing: single");
    sidecar.write_lines(LOG, 0..600);
    let sidecar = sidecar.start();
    sidecar.wait_for_state("siem", "held");
    let dead = sidecar.dead_letters("siem").len();
    // Two in three are refused: of the first 200 that is before the window is full.
    assert!((100..=134).contains(&dead), "{dead}");
    assert!(sidecar.stderr().contains("deliveries are held (systemic)"), "{}", sidecar.stderr());
}
