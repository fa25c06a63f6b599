//! Connections that are reset, or stall, while a body is being sent.

use std::time::Duration;

use super::{LOG, accepted, forwarding, numbers};
use crate::{
    events,
    receiver::{Receiver, Reply},
};

/// Large enough that a receiver can stop reading in the middle of it.
const PLAIN: &str = "compression: none\nbatch: {maxEvents: 1000, maxAge: 500ms}";

/// G9.
#[test]
fn three_resets_while_a_batch_is_sent_halve_it_and_cost_no_event() {
    let receiver = Receiver::start();
    receiver.script([0, 1024, 1024].map(Reply::reset_mid_body));
    let sidecar = forwarding(&receiver, PLAIN);
    sidecar.write_lines(LOG, 0..1000);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    let metrics = sidecar.wait_settled("siem", 1000);
    assert_eq!(accepted(&receiver), numbers(0..1000));
    assert!(sidecar.dead_letters("siem").is_empty());
    assert_eq!(metrics.requests("siem", "reset"), 3);
    let deliveries = receiver.deliveries();
    assert!(deliveries[..3].iter().all(|delivery| delivery.id() == deliveries[0].id()));
    let halves: Vec<usize> = deliveries[3..].iter().map(|delivery| delivery.line_count()).collect();
    assert_eq!(halves, [500, 500]);
    assert!(deliveries[3].id() != deliveries[0].id() && deliveries[4].id() != deliveries[3].id());
    // On this evidence nothing is remembered: the next batch is as large as any.
    sidecar.write_lines(LOG, 1000..2000);
    sidecar.wait_settled("siem", 2000);
    let largest = receiver.deliveries()[5..].iter().map(|delivery| delivery.line_count()).max();
    assert!(largest > Some(500), "{largest:?}");
    drop(books);
}

/// G5, G23: a body that no buffer between us can hold.
#[test]
fn a_receiver_that_stops_reading_or_answers_too_early_does_not_have_the_batch() {
    let receiver = Receiver::start();
    receiver.script([
        Reply::stall_mid_body(1000),
        Reply::early(200, 1000).close_after(Duration::from_millis(300)),
        Reply::early(204, 1000).close_after(Duration::from_millis(300)),
    ]);
    let sidecar =
        forwarding(&receiver, "compression: none\ntimeout: 3s\nbatch: {maxEvents: 1000, maxBytes: 32MB, maxAge: 2s}");
    let event = |n: u64| format!(r#"{{"n":{n},"pad":"{}"}}"#, "y".repeat(900_000));
    sidecar.append(LOG, (0..20).map(|n| event(n) + "\n").collect::<String>());
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    let metrics = sidecar.wait_settled("siem", 20);
    assert_eq!(metrics.requests("siem", "timeout"), 1);
    let arrived = receiver.accepted_lines();
    assert_eq!(arrived.len(), 20);
    assert!(arrived.iter().zip(0..).all(|(line, n)| *line == event(n)));
    let deliveries = receiver.deliveries();
    assert!(deliveries[..4].iter().all(|delivery| delivery.id() == deliveries[0].id()), "one batch, four times");
    sidecar.wait_for_log("stopped taking the request after at most");
    let error = sidecar.shown("siem")["lastError"]["text"].as_str().unwrap().to_owned();
    assert!(error.contains("before the whole request was sent"), "{error}");
    drop(books);
}

/// G23, the other half: what was handed over whole counts as taken. This is the documented limit.
#[test]
fn an_early_success_for_a_body_that_was_handed_over_counts() {
    let receiver = Receiver::start();
    receiver.script([Reply::early(200, 10)]);
    let sidecar = forwarding(&receiver, "");
    sidecar.write_lines(LOG, 0..10);
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", 10);
    receiver.wait_for_requests(1);
    assert_eq!(receiver.deliveries().len(), 1);
    assert_eq!(events::numbers(&receiver.deliveries()[0].lines()), numbers(0..10));
}
