//! When a batch is complete: by count, by bytes, by age, at a stop.

use std::time::{Duration, Instant};

use super::{LOG, accepted, following, forwarding, numbers, quick};
use crate::{events, receiver::Receiver};

fn sizes(receiver: &Receiver) -> Vec<usize> {
    receiver.deliveries().iter().map(|delivery| delivery.line_count()).collect()
}

/// I10.
#[test]
fn a_batch_has_no_more_events_than_it_may_and_the_rest_waits_for_its_age() {
    let receiver = Receiver::start();
    let sidecar = forwarding(&receiver, "batch: {maxEvents: 10, maxAge: 700ms}");
    sidecar.write_lines(LOG, 0..25);
    let sidecar = sidecar.start();
    receiver.wait_for_lines(25);
    assert_eq!(sizes(&receiver), [10, 10, 5]);
    let deliveries = receiver.deliveries();
    let wait = deliveries[2].at - deliveries[0].at;
    assert!(wait >= Duration::from_millis(500), "the last ones waited only {wait:?} for others");
    sidecar.wait_settled("siem", 25);
}

/// I10.
#[test]
fn a_batch_is_filled_up_to_its_bytes_and_a_larger_event_goes_alone() {
    const LIMIT: usize = 2048;
    let receiver = Receiver::start();
    let sidecar = forwarding(&receiver, "batch: {maxEvents: 1000, maxBytes: 2KiB, maxAge: 50ms}");
    sidecar.write_lines(LOG, 0..20);
    let large = format!(r#"{{"n":20,"pad":"{}"}}"#, "z".repeat(3000));
    sidecar.append(LOG, format!("{large}\n"));
    sidecar.write_lines(LOG, 21..41);
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", 41);
    let bodies: Vec<String> = receiver.deliveries().iter().map(|delivery| delivery.text()).collect();
    assert_eq!(bodies.concat(), sidecar.read(LOG));
    assert!(bodies.contains(&format!("{large}\n")), "alone");
    let others: Vec<&String> = bodies.iter().filter(|body| body.len() <= LIMIT).collect();
    assert_eq!(others.len(), bodies.len() - 1);
    let next = |body: &str| bodies.iter().skip_while(|other| *other != body).nth(1);
    for body in &others[..others.len() - 1] {
        let first_of_next = next(body).unwrap().lines().next().unwrap();
        assert!(body.len() + first_of_next.len() + 1 > LIMIT, "there was room for one more: {}", body.len());
    }
}

/// I11.
#[test]
fn a_trickle_is_sent_when_its_first_event_is_old_enough() {
    let receiver = Receiver::start();
    let sidecar = forwarding(&receiver, "batch: {maxEvents: 1000, maxAge: 600ms}").start();
    sidecar.admin();
    let begun = Instant::now();
    let mut written = 0;
    while receiver.deliveries().is_empty() {
        sidecar.write_lines(LOG, written..written + 1);
        written += 1;
        std::thread::sleep(Duration::from_millis(50));
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing is ever old enough");
    }
    let first = receiver.wait_for_requests(1)[0].clone();
    let waited = first.at - begun;
    assert!(waited >= Duration::from_millis(600) && waited < Duration::from_secs(4), "{waited:?}");
    assert!(first.line_count() > 1, "the first event waited for others");
    sidecar.wait_settled("siem", written);
    assert_eq!(accepted(&receiver), numbers(0..written));
}

/// I12.
#[test]
fn a_stop_sends_what_waits_for_its_age() {
    let receiver = Receiver::start();
    let mut sidecar = forwarding(&receiver, "batch: {maxEvents: 1000, maxAge: 1h}");
    sidecar.write_lines(LOG, 0..3);
    sidecar = sidecar.start();
    sidecar
        .wait_for_metrics("the events to be read", |metrics| metrics.sum("auditpost_events_in_flight", &[]) == 3.0);
    assert!(receiver.deliveries().is_empty());
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    assert_eq!((accepted(&receiver), sizes(&receiver)), (numbers(0..3), vec![3]));
}

/// I13.
#[test]
fn nothing_is_sent_where_there_is_nothing_to_send() {
    let receiver = Receiver::start();
    let mut sidecar = forwarding(&receiver, "disabledEvents: [login, update, delete]").start();
    sidecar.append(LOG, "\n\r\n\0\0\0\0\n");
    sidecar.write_lines(LOG, 0..500);
    let metrics = sidecar.wait_settled("siem", 500);
    assert_eq!(metrics.events("siem", "filtered"), 500);
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(receiver.connections(), 0);

    // What was filtered is behind the cursor.
    sidecar.start_again();
    sidecar.append(LOG, events::typed_event(500, "other") + "\n");
    sidecar.wait_settled("siem", 1);
    assert_eq!(accepted(&receiver), [500]);
    assert_eq!(sidecar.metrics().sum("auditpost_events_read_total", &[]), 1.0);
}

#[test]
fn each_forwarder_has_the_events_that_its_rules_let_pass() {
    let receivers = [Receiver::start(), Receiver::start(), Receiver::start()];
    let rules =
        ["enabledEvents: [login]", "disabledEvents: [login]", "enabledEvents: [login, delete]\nsources: [app]"];
    let mut sidecar = following();
    for ((name, rules), receiver) in ["only", "but", "some"].iter().zip(rules).zip(&receivers) {
        sidecar = sidecar.forwarder(name, &receiver.url(), &quick(rules));
    }
    sidecar.write_lines(LOG, 0..300);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    for ((name, kinds), receiver) in
        [("only", vec![0]), ("but", vec![1, 2]), ("some", vec![0, 2])].iter().zip(&receivers)
    {
        let metrics = sidecar.wait_settled(name, 300);
        let expected: Vec<u64> = (0..300).filter(|n| kinds.contains(&(n % 3))).collect();
        assert_eq!(metrics.events(name, "filtered"), 300 - expected.len() as u64, "{name}");
        assert_eq!(accepted(receiver), expected, "{name}");
    }
    drop(books);
}
