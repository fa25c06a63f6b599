//! Connections between requests: kept, closed, closed at the very moment of the next request.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::{LOG, accepted, fan, following, forwarding, numbers, quick};
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
        // The time to connect is generous: a knock that the kernel drops under load is repeated by it after a second.
        |_| "framing: single\ntimeout: 15s\nretry: {initial: 10s, max: 10s}".to_owned(),
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

/// A listener whose queue is full: what knocks now is neither let in nor sent away.
fn crowded() -> (TcpListener, Vec<TcpStream>) {
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let listener = TcpListener::from(socket);
    let addr = listener.local_addr().unwrap();
    let mut inside = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&addr, Duration::from_millis(200)) {
        inside.push(stream);
        assert!(inside.len() < 1000, "its queue never fills up");
    }
    (listener, inside)
}

/// G3, G4, G59: each is told apart, tried again, and no neighbour waits for it.
#[test]
fn a_receiver_that_cannot_be_reached_is_tried_again_and_the_reason_is_told() {
    let living = Receiver::start();
    let (black_hole, _inside) = crowded();
    let cases = [
        (
            "black-hole",
            format!("http://{}/", black_hole.local_addr().unwrap()),
            "timeout",
            "no connection within 300ms",
        ),
        ("unreachable", "http://127.255.255.255:9/".to_owned(), "connect", "no connection: "),
        // Too long for a label, so that no name server is asked.
        ("no-name", format!("http://{}.localhost/", "a".repeat(64)), "dns", "the name cannot be resolved"),
    ];
    let mut sidecar = following().forwarder("living", &living.url(), &quick(""));
    for (name, url, ..) in &cases {
        sidecar = sidecar.forwarder(name, url, &quick("timeout: 300ms"));
    }
    sidecar.write_lines(LOG, 0..50);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    for (name, _, code, text) in &cases {
        let metrics = sidecar.wait_for_metrics("three tries", |metrics| metrics.requests(name, code) >= 3);
        assert_eq!(metrics.all_requests(name), metrics.requests(name, code), "{name} fails in one way alone");
        assert_ne!(metrics.state(name), Some("held"), "{name}");
        let error = sidecar.shown(name)["lastError"]["text"].as_str().unwrap().to_owned();
        assert!(error.contains(text), "{name}: {error}");
    }
    sidecar.wait_settled("living", 50);
    assert_eq!(accepted(&living), numbers(0..50));
    drop(books);
}

/// G57.
#[test]
fn a_proxy_that_the_environment_names_is_not_asked() {
    let (receiver, proxy) = (Receiver::start(), Receiver::start());
    let mut sidecar = forwarding(&receiver, "");
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        sidecar = sidecar.env(name, &proxy.url());
    }
    sidecar.write_lines(LOG, 0..10);
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", 10);
    assert_eq!((accepted(&receiver), proxy.connections()), (numbers(0..10), 0));
}
