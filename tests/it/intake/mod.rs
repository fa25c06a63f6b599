//! Sources that are sent their events, from the outside.

mod churn;
mod detach;
mod http;
mod stdin;
mod storage;
mod streams;
mod tcp;
mod udp;
mod unix;

use std::net::{SocketAddr, TcpStream};

use crate::{
    events::numbers,
    receiver::{PATIENCE, Receiver, Reply},
    sidecar::Sidecar,
};

const QUICK_FORWARDER: &str = "batch: {maxAge: 20ms}\nretry: {initial: 20ms, max: 50ms}";

/// A sidecar with one source, `app`, of these further keys, and one forwarder, `siem`.
fn with_source(keys: &str, receiver: &Receiver) -> Sidecar {
    Sidecar::new().source("app", keys).forwarder("siem", &receiver.url(), QUICK_FORWARDER)
}

/// Where the source listens; waits until it does.
pub fn address(sidecar: &Sidecar, protocol: &str) -> SocketAddr {
    let sign = format!("on={protocol} ");
    sidecar.wait_for_log("taking events");
    let said = sidecar.stderr();
    let line = said.lines().rfind(|line| line.contains(&sign)).unwrap_or_else(|| panic!("{sign:?}: {said}"));
    let (_, rest) = line.split_once(&sign).unwrap();
    rest.split([' ', '"']).next().unwrap().parse().unwrap()
}

/// A source that takes plain connections, at a port of its own; see [`connect`].
const TCP: &str = "kind: tcp\nlisten: 127.0.0.1:0";

fn connect(sidecar: &Sidecar) -> TcpStream {
    let stream = TcpStream::connect(address(sidecar, "tcp")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The events that arrived, each once, in the order of their numbers.
fn arrived(receiver: &Receiver) -> Vec<u64> {
    let mut numbers = numbers(&receiver.accepted_lines());
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Nothing is accepted until it is [`alive`] again.
fn dead(receiver: &Receiver) {
    receiver.always(Reply::status(503));
}

fn alive(receiver: &Receiver) {
    receiver.always(Reply::status(200));
}
