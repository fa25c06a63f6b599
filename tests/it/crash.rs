//! `kill -9` at any moment: nothing is lost, and what arrives twice arrives under an id that is already known.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{
    events::{event, lines, numbers},
    receiver::{Delivery, Receiver, Reply},
    sidecar::Sidecar,
};

const LOG: &str = "logs/audit.ndjson";
const QUICK: &str =
    "batch: {maxEvents: 100, maxAge: 20ms}\nretry: {initial: 20ms, max: 100ms, probe: 200ms}\ntimeout: 2s";
const SCANS: &str = "scanInterval: 50ms\nsealAfter: 300ms";

fn sidecar(receiver: &Receiver, extra: &str) -> Sidecar {
    let sidecar = Sidecar::new().file_source_with("app", "logs/audit.ndjson", SCANS);
    let sidecar = sidecar.forwarder("siem", &receiver.url(), &format!("{QUICK}\n{extra}"));
    std::fs::create_dir(sidecar.path("logs")).unwrap();
    sidecar
}

/// Every event arrived; one that arrived twice did so in the same bytes under the same id; the first arrivals of
/// each id are in order.
fn assert_nothing_lost_nothing_unknown(receiver: &Receiver, written: u64) {
    let deliveries: Vec<Delivery> = receiver.deliveries().into_iter().filter(|delivery| delivery.complete).collect();
    let mut wires: BTreeMap<String, std::sync::Arc<Vec<u8>>> = BTreeMap::new();
    let mut ids: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    let mut first = Vec::new();
    for delivery in &deliveries {
        let id = delivery.id().to_owned();
        let known = wires.entry(id.clone()).or_insert_with(|| {
            first.extend(numbers(&delivery.lines()));
            delivery.wire.clone()
        });
        assert_eq!(*known, delivery.wire, "the id {id} came with other bytes");
        for number in numbers(&delivery.lines()) {
            ids.entry(number).or_default().insert(id.clone());
        }
    }
    let unknown: Vec<_> = ids.iter().filter(|(_, ids)| ids.len() > 1).collect();
    assert!(unknown.is_empty(), "these came again under another id: {unknown:?}");
    let accepted: BTreeSet<u64> = numbers(&receiver.accepted_lines()).into_iter().collect();
    assert_eq!(accepted, (0..written).collect::<BTreeSet<_>>(), "some were lost");
    assert_eq!(first, (0..written).collect::<Vec<_>>(), "the first arrivals are in order");
}

/// C2, A10.
#[test]
fn fifteen_kills_under_load_lose_nothing_and_repeat_only_known_batches() {
    let receiver = Receiver::start();
    let mut sidecar = sidecar(&receiver, "").start();
    let (done, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = {
        let (done, written, path) = (done.clone(), written.clone(), sidecar.path(LOG));
        thread::spawn(move || {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            while !done.load(Ordering::Relaxed) {
                let n = written.load(Ordering::Relaxed);
                let text = format!("{}\n", event(n));
                // In two writes, so that a kill meets half lines too.
                let half = text.len() / 2;
                std::io::Write::write_all(&mut file, &text.as_bytes()[..half]).unwrap();
                std::io::Write::write_all(&mut file, &text.as_bytes()[half..]).unwrap();
                written.store(n + 1, Ordering::Relaxed);
                thread::sleep(Duration::from_micros(300));
            }
        })
    };
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..15 {
        thread::sleep(Duration::from_millis(random.u64(20..300)));
        sidecar.kill();
        sidecar.start_again();
    }
    done.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    let written = written.load(Ordering::Relaxed);
    receiver.wait_until("every event", Duration::from_secs(60), |deliveries| {
        let accepted = deliveries.iter().filter(|delivery| delivery.accepted());
        let distinct: BTreeSet<u64> = accepted.flat_map(|delivery| numbers(&delivery.lines())).collect();
        distinct.len() as u64 == written
    });
    assert_nothing_lost_nothing_unknown(&receiver, written);
    sidecar.assert_books_balance();
    assert_eq!(sidecar.stop(), 0);
}

/// C2, B8: rotations and kills in turn.
#[test]
fn kills_between_rotations_lose_nothing() {
    let receiver = Receiver::start();
    let mut sidecar = sidecar(&receiver, "").start();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut written = 0;
    sidecar.write_lines(LOG, 0..0);
    sidecar.wait_for_log("reading a file");
    for round in 0..8 {
        let more = random.u64(1..400);
        sidecar.write_lines(LOG, written..written + more);
        written += more;
        thread::sleep(Duration::from_millis(random.u64(0..80)));
        let killed = random.bool();
        if killed {
            sidecar.kill();
        }
        for n in (1..=round).rev() {
            if sidecar.path(format!("{LOG}.{n}")).exists() {
                sidecar.rename(&format!("{LOG}.{n}"), &format!("{LOG}.{}", n + 1));
            }
        }
        sidecar.rename(LOG, &format!("{LOG}.1"));
        sidecar.write_lines(LOG, written..written + 10);
        written += 10;
        if !killed {
            sidecar.kill();
        }
        sidecar.start_again();
    }
    receiver.wait_until("every event", Duration::from_secs(60), |deliveries| {
        let accepted = deliveries.iter().filter(|delivery| delivery.accepted());
        let distinct: BTreeSet<u64> = accepted.flat_map(|delivery| numbers(&delivery.lines())).collect();
        distinct.len() as u64 == written
    });
    assert_nothing_lost_nothing_unknown(&receiver, written);
}

/// G55, E12: the same id, number and bytes over a kill.
#[test]
fn a_batch_that_was_refused_before_a_kill_comes_again_as_it_was() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let mut sidecar = sidecar(&receiver, "").start();
    sidecar.append(LOG, lines(0..250));
    let before = receiver.wait_for_requests(3);
    sidecar.kill();
    sidecar.append(LOG, lines(250..260));
    receiver.clear();
    receiver.always(Reply::status(200));
    sidecar.start_again();
    let delivered = receiver.wait_for_lines(260);
    assert_eq!(numbers(&delivered), (0..260).collect::<Vec<_>>());
    let after = &receiver.deliveries()[0];
    assert_eq!(after.id(), before[0].id());
    assert_eq!(after.wire, before[0].wire);
    assert_eq!(after.header("auditpost-batch"), before[0].header("auditpost-batch"));
    assert_eq!(after.header("auditpost-events"), Some("100"));
}

/// E12: killed while a batch is narrowed down.
#[test]
fn a_kill_while_a_batch_is_narrowed_loses_nothing_but_what_is_refused() {
    let receiver = Receiver::start();
    let poison = format!("\"n\":{}", 37);
    assert!(event(37).contains(&poison), "{}", event(37));
    let refuses = move |delivery: &Delivery| delivery.lines().iter().any(|line| *line == event(37));
    // The third request and all behind it get no answer: the kill comes in the middle of the narrowing.
    let count = AtomicU64::new(0);
    let refused = refuses;
    receiver.rule(move |delivery| match count.fetch_add(1, Ordering::Relaxed) {
        0 | 1 if refused(delivery) => Reply::status(400),
        0 | 1 => Reply::status(200),
        _ => Reply::hang(),
    });
    let mut sidecar = sidecar(&receiver, "").start();
    sidecar.append(LOG, lines(0..100));
    receiver.wait_for_requests(3);
    sidecar.kill();
    receiver.rule(move |delivery| if refuses(delivery) { Reply::status(400) } else { Reply::status(200) });
    sidecar.start_again();
    sidecar.append(LOG, lines(100..110));
    receiver.wait_for_lines(109);
    sidecar.wait_for_metrics("the refused event", |metrics| metrics.events("siem", "dead_lettered") == 1);
    let letters = sidecar.dead_letters("siem");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["payload"], event(37));
    let accepted = numbers(&receiver.accepted_lines());
    assert_eq!(accepted.len(), 109, "each once: {accepted:?}");
    assert_eq!(accepted.into_iter().collect::<BTreeSet<_>>(), (0..110).filter(|n| *n != 37).collect::<BTreeSet<_>>());
    assert_eq!(sidecar.stop(), 0);
}
