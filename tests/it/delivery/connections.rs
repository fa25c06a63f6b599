//! Connections between requests: kept, closed, closed at the very moment of the next request.

use std::time::Duration;

use super::{LOG, accepted, fan, forwarding, numbers};
use crate::receiver::{Receiver, Reply};

#[test]
fn a_connection_is_used_again() {
    let receiver = Receiver::start();
    let sidecar = forwarding(&receiver, "framing: single");
    sidecar.write_lines(LOG, 0..100);
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", 100);
    assert_eq!((accepted(&receiver), receiver.connections()), (numbers(0..100), 1));
}

/// G13.
#[test]
fn a_receiver_that_wants_a_connection_each_has_it() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(200).header("connection", "close").close());
    let sidecar = forwarding(&receiver, "framing: single");
    sidecar.write_lines(LOG, 0..50);
    let sidecar = sidecar.start();
    let metrics = sidecar.wait_settled("siem", 50);
    assert_eq!((accepted(&receiver), receiver.connections()), (numbers(0..50), 50));
    assert_eq!(metrics.all_requests("siem"), 50);
}

/// G12: requests follow each other at once, so that many meet the close of their connection on the way.
#[test]
fn a_connection_closed_as_it_is_used_again_is_replaced_at_once_and_no_failure() {
    let pauses = [("at-once", 0), ("soon", 1), ("later", 5)];
    let (sidecar, receivers) = fan(
        pauses,
        // A failure that counted would show as a pause of at least a second.
        |_| "framing: single\nretry: {initial: 10s, max: 10s}".to_owned(),
        |pause, receiver| receiver.always(Reply::status(200).close_after(Duration::from_millis(*pause))),
    );
    sidecar.write_lines(LOG, 0..300);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    for (name, _, receiver) in &receivers {
        let metrics = sidecar.wait_settled(name, 300);
        let mut arrived = accepted(receiver);
        arrived.dedup();
        assert_eq!(arrived, numbers(0..300), "{name}");
        assert_eq!(metrics.state(name), Some("ready"));
    }
    let said = sidecar.stderr();
    assert!(!said.contains("delivery failed"), "{said}");
    drop(books);
}

/// The other way to close an idle connection.
#[test]
fn a_receiver_that_restarts_between_two_requests_costs_no_failure() {
    let mut receiver = Receiver::start();
    let sidecar = forwarding(&receiver, "retry: {initial: 10s, max: 10s}").start();
    for round in 0..5 {
        sidecar.write_lines(LOG, round * 10..round * 10 + 10);
        sidecar.wait_settled("siem", round * 10 + 10);
        receiver.stop();
        receiver.start_again();
    }
    assert_eq!(accepted(&receiver), numbers(0..50));
    assert!(!sidecar.stderr().contains("delivery failed"), "{}", sidecar.stderr());
}
