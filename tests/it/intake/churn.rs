//! Many clients, hostile clients, and clients that are there when it stops.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
};

use super::{TCP, address, arrived, connect, with_source};
use crate::{
    events::{event, lines},
    receiver::Receiver,
    sidecar::Sidecar,
    tools::wait_until,
};

fn open_connections(sidecar: &Sidecar) -> f64 {
    sidecar.metrics().sum("auditpost_source_connections", &[])
}

// J4, J5
#[test]
fn ten_thousand_connections_that_come_and_go_leave_nothing_behind() {
    let receiver = Receiver::start();
    let mut sidecar = with_source(TCP, &receiver).log_level("info").start();
    let at = address(&sidecar, "tcp");
    let churn = |from: u64, to: u64| {
        for n in from..to {
            let mut stream = TcpStream::connect(at).unwrap();
            if n % 10 == 0 {
                stream.write_all(event(n).as_bytes()).unwrap();
            }
            // At once, so that no port of ours waits; what was sent arrives before it.
            stream.shutdown(Shutdown::Write).unwrap();
            let _ = stream.read(&mut [0]);
        }
        let all = (to - 1) / 10 + 1;
        receiver.wait_for_lines(all as usize);
        wait_until("all to be gone", || open_connections(&sidecar) == 0.0);
    };
    churn(0, 1000);
    let (descriptors, memory) = (sidecar.open_descriptors(), sidecar.rss_kib());
    churn(1000, 10_000);
    let (descriptors_now, memory_now) = (sidecar.open_descriptors(), sidecar.rss_kib());
    assert!(descriptors_now <= descriptors + 3, "{descriptors_now} descriptors, {descriptors} before");
    assert!(memory_now < memory + 4096, "{memory_now} KiB, {memory} before");
    assert_eq!(arrived(&receiver), (0..10_000).step_by(10).collect::<Vec<_>>());
    assert_eq!(sidecar.stop(), 0);
}

// J9, J11: noise, and lengths that are lies; whoever sends well is taken.
#[test]
fn garbage_and_false_lengths_are_accounted_for_and_disturb_nobody() {
    let receiver = Receiver::start();
    let mut sidecar = with_source(TCP, &receiver).start();
    let mut random = fastrand::Rng::with_seed(9);
    let before = {
        let mut first = connect(&sidecar);
        first.write_all(lines(0..1).as_bytes()).unwrap();
        receiver.wait_for_lines(1);
        sidecar.peak_rss_kib()
    };
    // Without digits, so that no part of it states a length, or is JSON.
    let mut noise: Vec<u8> =
        std::iter::repeat_with(|| random.u8(..)).filter(|b| !b.is_ascii_digit()).take(1 << 20).collect();
    noise.push(b'\n');
    let records = noise
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.iter().all(|b| *b == 0 || b.is_ascii_whitespace()))
        .count();
    let mut stream = connect(&sidecar);
    stream.write_all(&noise).unwrap();
    stream.write_all(lines(1..2).as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    receiver.wait_for_lines(2);
    // Each of them is a dead letter with its bytes; none is missing, and none was made up.
    sidecar.wait_for_metrics("its dead letters", |metrics| {
        metrics.sum("auditpost_events_total", &[("result", "dead_lettered")]) == records as f64
    });
    for lie in ["999999999 a", "99999999999999999999 a\n", "5 \n", "-1 x\n", "0 a\n"] {
        let mut stream = connect(&sidecar);
        stream.write_all(lie.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = stream.read(&mut [0; 10]);
    }
    sidecar.wait_for_metrics("the two that were cut", |metrics| {
        metrics.sum("auditpost_source_refused_total", &[("reason", "cut")]) == 2.0
    });
    let mut works = connect(&sidecar);
    works.write_all(lines(2..3).as_bytes()).unwrap();
    receiver.wait_for_lines(3);
    assert_eq!(arrived(&receiver), [0, 1, 2]);
    let grown = sidecar.peak_rss_kib() - before;
    assert!(grown < 24 << 10, "{grown} KiB for a length that was claimed");
    sidecar.assert_books_balance();
    sidecar.stop_drained();
}

// L4: the application says its last word and everything is told to stop.
#[test]
fn the_last_record_before_the_stop_is_taken() {
    for round in 0..5_u64 {
        let receiver = Receiver::start();
        let mut sidecar = with_source(&format!("{TCP}\nacks: true"), &receiver).start();
        let mut stream = connect(&sidecar);
        stream.write_all(lines(0..1).as_bytes()).unwrap();
        let mut acks = BufReader::new(stream.try_clone().unwrap());
        acks.read_line(&mut String::new()).unwrap();
        stream.write_all(lines(1..2 + round).as_bytes()).unwrap();
        sidecar.terminate();
        assert_eq!(sidecar.wait(), 0, "{}", sidecar.stderr());
        assert_eq!(arrived(&receiver), (0..2 + round).collect::<Vec<_>>());
        let mut rest = String::new();
        let _ = acks.read_to_string(&mut rest);
        assert!(rest.ends_with(&format!("ok {}\n", 2 + round)), "{rest:?}");
    }
}
