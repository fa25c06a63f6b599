//! Signals other than those that stop it.

use std::time::{Duration, Instant};

use crate::{
    receiver::{Receiver, Reply},
    tail::{assert_exactly, tailing, tailing_with},
};

const LOG: &str = "logs/audit.ndjson";

// E8: frozen amid a request: it comes again under the same id, then goes on.
#[test]
fn a_process_that_was_frozen_goes_on() {
    let receiver = Receiver::start();
    let mut sidecar =
        tailing_with(LOG, "", &receiver, "timeout: 1s\nbatch: {maxAge: 20ms}\nretry: {initial: 50ms, max: 100ms}");
    sidecar.write_lines(LOG, 0..10);
    sidecar.start_again();
    receiver.wait_for_lines(10);
    receiver.script([Reply::status(200).delay(Duration::from_millis(300))]);
    sidecar.write_lines(LOG, 10..20);
    receiver.wait_for_requests(2);
    sidecar.pause();
    let frozen = Instant::now();
    // Longer than the request may take.
    sidecar.write_lines(LOG, 20..30);
    while frozen.elapsed() < Duration::from_millis(1500) {
        std::thread::sleep(Duration::from_millis(50));
    }
    sidecar.resume();
    receiver.wait_until("all", crate::receiver::PATIENCE, |deliveries| {
        crate::tail::without_repeats(deliveries).len() == 30
    });
    assert!(receiver.deliveries().len() <= 4, "one request again at the most, no storm");
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(
        crate::events::numbers(&crate::tail::without_repeats(&receiver.deliveries())),
        (0..30).collect::<Vec<_>>()
    );
}

// E9: a configuration that did not change disturbs nothing; signals that mean nothing here do nothing.
#[test]
fn signals_that_ask_for_nothing_disturb_nothing() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver).start();
    sidecar.wait_for_log("forwarding");
    let mut n = 0;
    for _ in 0..5 {
        sidecar.write_lines(LOG, n..n + 50);
        n += 50;
        sidecar.hup();
        sidecar.send_signal(rustix::process::Signal::PIPE);
        sidecar.send_signal(rustix::process::Signal::WINCH);
        receiver.wait_for_lines(n as usize);
    }
    assert_eq!(receiver.connections(), 1, "the connection stayed");
    assert_exactly(&mut sidecar, &receiver, 0..n);
}
