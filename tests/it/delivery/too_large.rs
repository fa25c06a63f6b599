//! Batches that the receiver finds too large: halved, and not built so large again.

use super::{LOG, accepted, fan, forwarding, numbers};
use crate::receiver::{Delivery, Receiver, Reply};

const LIMIT: usize = 20_000;

/// An event of that many bytes and a bit, which does not compress.
fn large(n: u64, bytes: usize) -> String {
    let mut random = generator(n);
    let pad: String = (0..bytes).map(|_| char::from(b'a' + (random() % 26) as u8)).collect();
    format!(r#"{{"type":"large","n":{n},"pad":"{pad}"}}"#)
}

/// A generator good enough to defeat a compressor.
fn generator(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 32
    }
}

/// Refuses what `measure` finds longer than the limit.
fn limit(receiver: &Receiver, measure: fn(&Delivery) -> usize, limit: usize) {
    receiver.rule(move |delivery| Reply::status(if measure(delivery) > limit { 413 } else { 200 }));
}

/// G37, G39: the receiver may measure before or after it decompresses.
#[test]
fn a_batch_is_halved_until_it_fits_and_the_limit_is_remembered() {
    type Measure = fn(&Delivery) -> usize;
    let cases: [(&str, (Measure, usize)); 2] =
        [("raw", (|delivery| delivery.body.len(), LIMIT)), ("wire", (|delivery| delivery.wire.len(), LIMIT / 10))];
    let (sidecar, receivers) =
        fan(cases, |_| String::new(), |(measure, bytes), receiver| limit(receiver, *measure, *bytes));
    sidecar.write_lines(LOG, 0..1000);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    let mut refused = Vec::new();
    for (name, _, receiver) in &receivers {
        let metrics = sidecar.wait_settled(name, 1000);
        assert_eq!(accepted(receiver), numbers(0..1000), "{name}");
        assert!(sidecar.dead_letters(name).is_empty());
        refused.push(metrics.requests(name, "413"));
        // What was once found too large is not sent that large again.
        assert!(refused[refused.len() - 1] <= 6, "{name}: {refused:?} refusals");
    }
    sidecar.write_lines(LOG, 1000..3000);
    for ((name, _, receiver), refused) in receivers.iter().zip(refused) {
        let metrics = sidecar.wait_settled(name, 3000);
        assert_eq!(accepted(receiver), numbers(0..3000), "{name}");
        assert_eq!(metrics.requests(name, "413"), refused, "{name}: nothing is built larger than what was taken");
        let bodies: Vec<usize> = receiver.deliveries().iter().map(|delivery| delivery.line_count()).collect();
        assert!(bodies[bodies.len() - 5] > 10, "{name}: nor much smaller than that: {bodies:?}");
    }
    drop(books);
}

/// G38, and the reason and bytes of the letter.
#[test]
fn an_event_too_large_alone_is_a_dead_letter_once_and_its_neighbours_are_delivered() {
    let receiver = Receiver::start();
    limit(&receiver, |delivery| delivery.body.len(), LIMIT);
    let sidecar = forwarding(&receiver, "");
    sidecar.write_lines(LOG, 0..40);
    sidecar.append(LOG, large(40, 30_000) + "\n");
    sidecar.write_lines(LOG, 41..80);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    let metrics = sidecar.wait_settled("siem", 80);
    let arrived: Vec<u64> = (0..80).filter(|n| *n != 40).collect();
    assert_eq!(accepted(&receiver), arrived);
    assert_eq!((metrics.events("siem", "delivered"), metrics.events("siem", "dead_lettered")), (79, 1));
    let letters = sidecar.dead_letters("siem");
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0]["reason"], &letters[0]["status"]), (&"too_large".into(), &413.into()));
    assert_eq!(letters[0]["payload"], large(40, 30_000));
    drop(books);
}

/// G24: an answer that comes before the body and a connection closed on the rest of it, which the sender may see as a
/// 413 or as a reset.
#[test]
fn an_early_413_with_a_reset_ends_in_smaller_batches_all_of_them_delivered() {
    let receiver = Receiver::start();
    receiver.script((0..4).map(|_| Reply::early(413, 1024).close()));
    limit(&receiver, |delivery| delivery.body.len(), 200_000);
    let sidecar = forwarding(&receiver, "compression: none\nbatch: {maxEvents: 5000, maxBytes: 8MB, maxAge: 50ms}");
    sidecar.append(LOG, (0..2000).map(|n| large(n, 2000) + "\n").collect::<String>());
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    let metrics = sidecar.wait_settled("siem", 2000);
    let arrived = receiver.accepted_lines();
    assert_eq!(arrived.len(), 2000);
    assert!(arrived.iter().zip(0..).all(|(line, n)| *line == large(n, 2000)), "all of them once, in order");
    assert_eq!(metrics.events("siem", "dead_lettered"), 0);
    assert!(sidecar.dead_letters("siem").is_empty());
    drop(books);
}
