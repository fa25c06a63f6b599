//! Following files, as the whole binary does it: what is read, and that it arrives.

mod absorb;
mod appearing;
mod compressed;
mod compressions;
mod containers;
mod cut_records;
mod deletion;
mod known;
mod late;
mod lines;
mod links;
mod logrotate;
mod many;
mod mounts;
mod names;
mod noticing;
mod reading;
mod room;
mod rotation;
mod runtimes;
mod spooled;
mod truncation;
mod unreadable;
mod vanished;

use std::collections::{HashMap, HashSet};

use crate::{
    events::numbers,
    receiver::{Delivery, PATIENCE, Receiver},
    sidecar::Sidecar,
};

/// For sources: quick to notice, quick to believe that a rotated file is finished.
pub const QUICK_SOURCE: &str = "scanInterval: 50ms\nsealAfter: 300ms";

/// For forwarders: quick to send, quick to try again.
pub const QUICK_FORWARDER: &str = "batch: {maxAge: 20ms}\nretry: {initial: 50ms, max: 200ms}";

/// The source `app` on `include` and the forwarder `siem`, both quick. Not started.
pub fn tailing(include: &str, receiver: &Receiver) -> Sidecar {
    tailing_with(include, "", receiver, QUICK_FORWARDER)
}

/// The same with further keys of the source, and other keys of the forwarder.
pub fn tailing_with(include: &str, source: &str, receiver: &Receiver, forwarder: &str) -> Sidecar {
    Sidecar::new()
        .top("drainTimeout: 5s")
        .file_source_with("app", include, &format!("{QUICK_SOURCE}\n{source}"))
        .forwarder("siem", &receiver.url(), forwarder)
}

/// The lines of the accepted requests, each batch once. Panics where a batch came again under an id with other
/// bytes: then nobody could tell that it came again.
pub fn without_repeats(deliveries: &[Delivery]) -> Vec<String> {
    let mut bodies: HashMap<&str, &[u8]> = HashMap::new();
    for delivery in deliveries.iter().filter(|delivery| delivery.complete) {
        let body = bodies.entry(delivery.id()).or_insert(&delivery.body);
        assert!(*body == delivery.body.as_slice(), "batch {} has other bytes the second time", delivery.id());
    }
    let mut seen = HashSet::new();
    let accepted = deliveries.iter().filter(|delivery| delivery.accepted());
    accepted.filter(|delivery| seen.insert(delivery.id())).flat_map(Delivery::lines).collect()
}

/// The numbers of events that may have come in any order, in order.
pub fn sorted(lines: &[String]) -> Vec<u64> {
    let mut numbers = numbers(lines);
    numbers.sort_unstable();
    numbers
}

/// The numbered events that stand in files, in order of their numbers: whole lines only.
pub fn on_disk(sidecar: &Sidecar, directory: &str) -> Vec<u64> {
    let files = sidecar.read_all(directory);
    let whole =
        files.iter().flat_map(|(_, text)| text.split_inclusive('\n')).filter_map(|line| line.strip_suffix('\n'));
    // A copy may end, and a truncated file may begin, amid a line.
    let events: Vec<String> = whole.filter(|line| line.starts_with("{\"id\"")).map(str::to_owned).collect();
    sorted(&events)
}

/// Drains it, and asserts that exactly these numbered events arrived, once and in this order.
#[track_caller]
pub fn assert_exactly(sidecar: &mut Sidecar, receiver: &Receiver, expected: impl IntoIterator<Item = u64>) {
    let expected: Vec<u64> = expected.into_iter().collect();
    receiver.wait_for_lines(expected.len());
    sidecar.wait_for_books();
    sidecar.stop_drained();
    let arrived = numbers(&receiver.accepted_lines());
    assert!(arrived == expected, "expected {}, arrived {}", runs(&expected), runs(&arrived));
}

/// The same after a `kill -9`: whole batches may have come twice, under the same id and with the same bytes.
#[track_caller]
pub fn assert_each_batch_once(sidecar: &mut Sidecar, receiver: &Receiver, expected: impl IntoIterator<Item = u64>) {
    let expected: Vec<u64> = expected.into_iter().collect();
    receiver.wait_until("all events", PATIENCE, |deliveries| without_repeats(deliveries).len() >= expected.len());
    sidecar.wait_for_books();
    sidecar.stop_drained();
    let arrived = numbers(&without_repeats(&receiver.deliveries()));
    assert!(arrived == expected, "expected {}, arrived {}\n{}", runs(&expected), runs(&arrived), sidecar.stderr());
}

/// `0..5 7..9`: readable where there are thousands.
fn runs(numbers: &[u64]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for n in numbers {
        match runs.last_mut() {
            Some((_, end)) if *end == *n => *end += 1,
            _ => runs.push((*n, n + 1)),
        }
    }
    runs.iter().map(|(start, end)| format!("{start}..{end} ")).collect()
}
