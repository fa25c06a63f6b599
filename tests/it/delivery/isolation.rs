//! One webhook's trouble is its own: the others do not notice.

use std::time::{Duration, Instant};

use super::{LOG, accepted, following, numbers, peer::Peer, quick};
use crate::{
    events,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
};

/// A timeout that a living neighbour would show if it had to wait for it.
const SLOW: &str = "timeout: 10s\nbatch: {maxEvents: 5, maxAge: 10ms}\ninFlight: 2";

/// How long events take from the file to the living receiver, one by one.
fn latencies(sidecar: &Sidecar, living: &Receiver, from: u64, rounds: u64) -> Vec<Duration> {
    let latency = |n| {
        let begun = Instant::now();
        sidecar.write_lines(LOG, n..n + 1);
        let wanted = events::event(n);
        living.wait_until("the event", Duration::from_secs(20), |deliveries| {
            deliveries.iter().rev().any(|delivery| delivery.accepted() && delivery.text().contains(&wanted))
        });
        begun.elapsed()
    };
    (from..from + rounds).map(latency).collect()
}

fn median(mut latencies: Vec<Duration>) -> Duration {
    latencies.sort_unstable();
    latencies[latencies.len() / 2]
}

/// I1, I2, I3, I5; G5, G6, H6.
#[test]
fn dead_hanging_dripping_and_refusing_webhooks_do_not_slow_a_living_one_down() {
    let living = Receiver::start();
    let mut dead = Receiver::start();
    dead.stop();
    let [hanging, dripping, picky, held] = [(); 4].map(|()| Receiver::start());
    hanging.always(Reply::hang());
    dripping.always(Reply::drip(200, Duration::from_secs(1)));
    picky.always(Reply::status(422));
    held.always(Reply::status(401));
    let (deaf, no_tls) = (Peer::deaf(), Peer::deaf());
    let mut sidecar = following().forwarder("living", &living.url(), &quick("batch: {maxAge: 10ms}")).start();
    let alone = median(latencies(&sidecar, &living, 0, 20));
    assert_eq!(sidecar.stop(), 0);

    for (name, url) in [
        ("dead", dead.url()),
        ("hanging", hanging.url()),
        ("dripping", dripping.url()),
        ("picky", picky.url()),
        ("held", held.url()),
        ("deaf", deaf.url("http")),
        ("no-tls", no_tls.url("https")),
    ] {
        sidecar = sidecar.forwarder(name, &url, &quick(SLOW));
    }
    sidecar.start_again();
    let books = sidecar.watch();
    sidecar.write_lines(LOG, 20..2000);
    sidecar.wait_settled("living", 1980);
    for name in ["held", "picky"] {
        sidecar.wait_for_state(name, "held");
    }
    let beside = median(latencies(&sidecar, &living, 2000, 20));
    assert!(beside < alone + Duration::from_millis(250), "{beside:?} beside the others, {alone:?} alone");
    assert_eq!(accepted(&living), numbers(0..2020));
    let metrics = sidecar.metrics();
    for name in ["dead", "hanging", "dripping", "held", "deaf", "no-tls"] {
        assert_eq!(metrics.events(name, "delivered"), 0, "{name}");
    }
    drop(books);
    assert_eq!(sidecar.stop(), 10);
}

/// I6.
#[test]
fn all_of_them_dead_and_all_of_them_back() {
    let mut receivers = [(); 3].map(|()| Receiver::start());
    let mut sidecar = following();
    for (name, receiver) in ["a", "b", "c"].iter().zip(&mut receivers) {
        receiver.stop();
        sidecar = sidecar.forwarder(name, &receiver.url(), &quick("batch: {maxEvents: 100, maxAge: 10ms}"));
    }
    let sidecar = sidecar.start();
    sidecar.write_lines(LOG, 0..3000);
    for name in ["a", "b", "c"] {
        sidecar.wait_for_state(name, "open");
    }
    let (live, _) = sidecar.get("/livez");
    let (ready, _) = sidecar.get("/readyz");
    assert_eq!((live, ready), (200, 200), "peers that are down are no reason to restart us");
    receivers.iter_mut().for_each(Receiver::start_again);
    for (name, receiver) in ["a", "b", "c"].iter().zip(&receivers) {
        sidecar.wait_settled(name, 3000);
        assert_eq!(accepted(receiver), numbers(0..3000), "{name}");
    }
}

/// I4, I19: dead letters that cannot be written hold their own forwarder alone, and no event is passed over.
#[test]
fn a_forwarder_that_cannot_write_its_dead_letters_waits_alone_and_goes_on_afterwards() {
    let [broken, whole] = [(); 2].map(|()| Receiver::start());
    super::refuse(&broken, 400, [3]);
    let sidecar = following()
        .forwarder("broken", &broken.url(), &quick("batch: {maxEvents: 10, maxAge: 10ms}"))
        .forwarder("whole", &whole.url(), &quick(""))
        .start();
    sidecar.wait_for_state("broken", "ready");
    // A file where the directory should be: the storage is there, and refuses.
    sidecar.rename("state/dead-letters/broken", "aside");
    sidecar.append("state/dead-letters/broken", "");
    sidecar.write_lines(LOG, 0..30);
    sidecar.wait_settled("whole", 30);
    let books = sidecar.watch();
    sidecar.wait_for_metrics("the alarm", |_| {
        sidecar.status()["alarms"].to_string().contains("dead letters cannot be written")
    });
    let metrics = sidecar.metrics();
    assert_eq!((metrics.events("broken", "dead_lettered"), metrics.events("whole", "delivered")), (0, 30));
    assert!(metrics.events("broken", "delivered") < 4, "what follows the event waits for it");

    sidecar.remove("state/dead-letters/broken");
    let metrics = sidecar.wait_settled("broken", 30);
    assert_eq!(metrics.events("broken", "dead_lettered"), 1);
    assert_eq!(sidecar.dead_letters("broken")[0]["payload"], events::event(3));
    assert_eq!(accepted(&broken), (0..30).filter(|n| *n != 3).collect::<Vec<_>>());
    sidecar.wait_for_metrics("the alarm to end", |_| {
        !sidecar.status()["alarms"].to_string().contains("dead letters cannot be written")
    });
    drop(books);
}
