//! Datagrams.

use std::net::UdpSocket;

use super::{address, arrived, with_source};
use crate::{events::lines, receiver::Receiver};

// J20
#[test]
fn each_datagram_is_an_event_and_what_the_kernel_drops_is_counted() {
    let receiver = Receiver::start();
    let mut sidecar = with_source("kind: udp\nlisten: 127.0.0.1:0", &receiver).start();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = address(&sidecar, "udp");
    for line in lines(0..50).lines() {
        socket.send_to(line.as_bytes(), to).unwrap();
    }
    receiver.wait_for_lines(50);
    assert_eq!(arrived(&receiver), (0..50).collect::<Vec<_>>());
    // While it stands still, more comes than the kernel keeps.
    sidecar.pause();
    let datagram = [b"{\"n\":".as_slice(), &vec![b'1'; 60_000], b"}"].concat();
    for _ in 0..2000 {
        socket.send_to(&datagram, to).unwrap();
    }
    sidecar.resume();
    sidecar.wait_for_alarm("gap", "the kernel dropped");
    let dropped = sidecar.metrics().sum("auditpost_source_refused_total", &[("reason", "dropped")]);
    assert!((1.0..2000.0).contains(&dropped), "{dropped}");
    assert_eq!(sidecar.stop(), 11, "{}", sidecar.stderr());
}
