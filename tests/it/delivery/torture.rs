//! Everything at once, by chance: refusals, failures, kills. What must hold whatever happens.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use super::{LOG, accepted, forwarding};
use crate::{
    events,
    receiver::{Delivery, Receiver, Reply},
    sidecar::Sidecar,
};

const EVENTS: u64 = 1000;
const PER_BATCH: usize = 20;
const KILLS: usize = 5;

fn is_bad(n: u64) -> bool {
    n % 97 == 13
}

/// Refuses what is bad, fails now and then in every way, and remembers what it took: an id that it knows is taken.
fn misbehave(receiver: &Receiver, seed: u64) {
    let state = Mutex::new((fastrand::Rng::with_seed(seed), HashSet::new()));
    receiver.rule(move |delivery| {
        let (rng, known) = &mut *state.lock().unwrap();
        if known.contains(delivery.id()) {
            return Reply::status(200);
        }
        if events::numbers(&delivery.lines()).into_iter().any(is_bad) {
            return Reply::status([400, 422][rng.usize(..2)]);
        }
        match rng.u8(..40) {
            0 => Reply::status(500),
            1 => Reply::status(503),
            2 => Reply::status(429).header("retry-after", "0"),
            3 => Reply::status(401),
            4 => Reply::status(404),
            5 => Reply::hang(),
            6 => Reply::reset_after_body(),
            7 => Reply::close_without_answer(),
            8 => Reply::raw("no HTTP at all\r\n\r\n").close(),
            9 if delivery.line_count() > 3 => Reply::status(413),
            10..15 => accept(known, delivery).close(),
            15..20 => accept(known, delivery).delay(Duration::from_millis(rng.u64(..20))),
            _ => accept(known, delivery),
        }
    });
}

fn accept(known: &mut HashSet<String>, delivery: &Delivery) -> Reply {
    known.insert(delivery.id().to_owned());
    Reply::status(200)
}

fn dead(sidecar: &Sidecar) -> BTreeSet<String> {
    let letters = sidecar.dead_letters("siem");
    assert!(letters.iter().all(|letter| letter["reason"] == "refused"), "{letters:#?}");
    letters.iter().map(|letter| letter["payload"].as_str().unwrap().to_owned()).collect()
}

/// Kills it at moments of chance while it delivers, then lets it finish.
fn run(seed: u64, in_flight: usize) {
    let receiver = Receiver::start();
    misbehave(&receiver, seed);
    let mut sidecar = forwarding(
        &receiver,
        &format!(
            "inFlight: {in_flight}\ntimeout: 200ms\nretry: {{initial: 2ms, max: 10ms, probe: 20ms}}\n\
             batch: {{maxEvents: {PER_BATCH}, maxAge: 20ms}}"
        ),
    );
    let mut rng = fastrand::Rng::with_seed(!seed);
    let part = EVENTS / (KILLS as u64 + 1) + 1;
    for kill in 0..=KILLS as u64 {
        sidecar.write_lines(LOG, kill * part..EVENTS.min(kill * part + part));
        sidecar.start_again();
        if kill < KILLS as u64 {
            let books = sidecar.watch();
            receiver.wait_for_requests(receiver.deliveries().len() + rng.usize(1..20));
            thread::sleep(Duration::from_micros(rng.u64(..3000)));
            sidecar.kill();
            books.end_killed();
        }
    }
    let good: Vec<u64> = (0..EVENTS).filter(|n| !is_bad(*n)).collect();
    let bad: BTreeSet<String> = (0..EVENTS).filter(|n| is_bad(*n)).map(events::event).collect();
    let books = sidecar.watch();
    let end = Instant::now() + Duration::from_secs(60);
    let (mut arrived, mut letters) = (Vec::new(), BTreeSet::new());
    while arrived.len() < good.len() || letters.len() < bad.len() {
        assert!(Instant::now() < end, "{} of {} arrived; it said: {}", arrived.len(), good.len(), sidecar.stderr());
        thread::sleep(Duration::from_millis(50));
        arrived = accepted(&receiver);
        arrived.sort_unstable();
        arrived.dedup();
        letters = dead(&sidecar);
    }
    assert_eq!((arrived, letters), (good, bad));
    drop(books);
    sidecar.stop_drained();
    check(&receiver.deliveries(), in_flight);
}

/// An id has one body; an event is taken under one id; only a kill repeats what was taken.
fn check(deliveries: &[Delivery], in_flight: usize) {
    let mut bodies: BTreeMap<&str, &Delivery> = BTreeMap::new();
    let mut taken_as: BTreeMap<u64, &str> = BTreeMap::new();
    for delivery in deliveries.iter().filter(|delivery| delivery.complete) {
        let first = bodies.entry(delivery.id()).or_insert(delivery);
        assert_eq!(first.wire, delivery.wire, "{} has two bodies", delivery.id());
        assert_eq!(first.header("auditpost-batch"), delivery.header("auditpost-batch"));
        if delivery.accepted() {
            for n in events::numbers(&delivery.lines()) {
                let id = taken_as.entry(n).or_insert(delivery.id());
                assert_eq!(*id, delivery.id(), "event {n} was taken under two ids");
            }
        }
    }
    let mut accepted: BTreeMap<&str, usize> = BTreeMap::new();
    for delivery in deliveries.iter().filter(|delivery| delivery.accepted()) {
        *accepted.entry(delivery.id()).or_default() += 1;
    }
    let repeated = accepted.values().map(|times| times - 1).sum::<usize>();
    assert!(repeated <= KILLS * in_flight, "{repeated} batches were taken twice");
}

/// I7, I8, I9, I15, G10, G11, G41.
#[test]
fn whatever_fails_and_whenever_it_is_killed_every_event_is_delivered_or_a_dead_letter() {
    run(1, 1);
}

#[test]
fn the_same_holds_with_four_batches_on_the_way() {
    run(2, 4);
}
