//! A batch that is refused for one of its events: that one is a dead letter, its neighbours are delivered once.

use std::collections::BTreeSet;

use super::{LOG, accepted, fan, forwarding, numbers, refuse};
use crate::{
    events,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
};

/// The numbers of `range` but for `bad`.
fn good(range: std::ops::Range<u64>, bad: &[u64]) -> Vec<u64> {
    range.filter(|n| !bad.contains(n)).collect()
}

fn assert_dead(sidecar: &Sidecar, forwarder: &str, status: u16, bad: &[u64]) {
    let letters = sidecar.dead_letters(forwarder);
    let payloads: Vec<&str> = letters.iter().map(|letter| letter["payload"].as_str().unwrap()).collect();
    assert_eq!(payloads, bad.iter().map(|n| events::event(*n)).collect::<Vec<_>>(), "{forwarder}");
    for (letter, n) in letters.iter().zip(bad) {
        assert_eq!((&letter["reason"], &letter["status"]), (&"refused".into(), &status.into()), "{letter}");
        assert_eq!(letter["excerpt"], format!("cannot take \"n\":{n},"), "{letter}");
        assert_eq!((&letter["source"], &letter["forwarder"]), (&"app".into(), &forwarder.into()));
    }
    let ids: BTreeSet<&str> = letters.iter().map(|letter| letter["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), bad.len(), "each event has an id of its own");
}

/// G28, G29, I14: at most 2·log2(1024) requests for a bad event after the one that was refused.
#[test]
fn only_the_events_that_are_refused_are_dead_letters_and_they_are_found_in_few_requests() {
    let cases: [(&str, &[u64]); 6] = [
        ("none", &[]),
        ("seventh", &[7]),
        ("ends", &[0, 999]),
        ("three", &[7, 500, 998]),
        ("neighbours", &[499, 500]),
        ("last", &[999]),
    ];
    let (sidecar, receivers) =
        fan(cases, |_| String::new(), |bad, receiver| refuse(receiver, 400, bad.iter().copied()));
    sidecar.write_lines(LOG, 0..1000);
    let mut sidecar = sidecar.start();
    let books = sidecar.watch();
    for (name, bad, receiver) in &receivers {
        let metrics = sidecar.wait_settled(name, 1000);
        assert_eq!(accepted(receiver), good(0..1000, bad), "{name}");
        assert_dead(&sidecar, name, 400, bad);
        assert_eq!(metrics.events(name, "dead_lettered"), bad.len() as u64);
        assert_eq!(metrics.events(name, "delivered"), 1000 - bad.len() as u64);
        assert_eq!(metrics.state(name), Some("ready"));
        let deliveries = receiver.deliveries();
        assert!(deliveries.len() <= 1 + 20 * bad.len(), "{name}: {} requests", deliveries.len());
        let ids: BTreeSet<&str> = deliveries.iter().map(|delivery| delivery.id()).collect();
        assert_eq!(ids.len(), deliveries.len(), "{name}: other bytes, another id");
        for (index, delivery) in deliveries.iter().enumerate() {
            assert_eq!(delivery.header("auditpost-batch"), Some((index + 1).to_string().as_str()), "{name}");
            assert_eq!(delivery.header("auditpost-events"), Some(delivery.line_count().to_string().as_str()));
        }
    }
    drop(books);

    // All of it is settled for good.
    for (.., receiver) in &receivers {
        receiver.clear();
    }
    assert_eq!(sidecar.stop(), 0);
    sidecar.start_again();
    sidecar.write_lines(LOG, 1000..1001);
    for (name, _, receiver) in &receivers {
        sidecar.wait_settled(name, 1);
        assert_eq!(accepted(receiver), [1000], "{name}");
    }
}

#[test]
fn each_status_that_judges_the_batch_narrows_it_down_whatever_the_framing() {
    let cases = [
        ("bad-request", (400, "framing: lines")),
        ("not-acceptable", (406, "framing: array\ncompression: none")),
        ("media-type", (415, "inFlight: 3\nbatch: {maxEvents: 20, maxAge: 20ms}")),
        ("unprocessable", (422, "framing: single")),
    ];
    let (sidecar, receivers) =
        fan(cases, |(_, extra)| (*extra).to_owned(), |(status, _), receiver| refuse(receiver, *status, [33, 71]));
    sidecar.write_lines(LOG, 0..100);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    for (name, (status, extra), receiver) in &receivers {
        sidecar.wait_settled(name, 100);
        let mut arrived = if extra.contains("array") {
            let bodies = receiver.deliveries().into_iter().filter(|delivery| delivery.accepted());
            let arrays =
                bodies.flat_map(|body| serde_json::from_slice::<Vec<serde_json::Value>>(&body.body).unwrap());
            arrays.map(|event| event["n"].as_u64().unwrap()).collect()
        } else {
            accepted(receiver)
        };
        if extra.contains("inFlight") {
            arrived.sort_unstable();
        }
        assert_eq!(arrived, good(0..100, &[33, 71]), "{name}");
        let letters = sidecar.dead_letters(name);
        let mut dead: Vec<&str> = letters.iter().map(|letter| letter["payload"].as_str().unwrap()).collect();
        dead.sort_unstable();
        assert_eq!(dead, [33, 71].map(events::event), "{name}");
        assert!(letters.iter().all(|letter| letter["status"] == *status));
    }
    drop(books);
}

/// I15, I16.
#[test]
fn trouble_in_the_middle_of_narrowing_is_tried_again_and_costs_no_event() {
    let receiver = Receiver::start();
    refuse(&receiver, 400, [60]);
    // The whole batch is refused; the left half fails in every way before it is taken.
    let trouble = [
        Reply::status(400),
        Reply::status(500),
        Reply::hang(),
        Reply::reset_after_body(),
        Reply::status(401),
        Reply::status(429).header("retry-after", "0"),
        Reply::status(404),
    ];
    receiver.script(trouble);
    let sidecar = forwarding(&receiver, "timeout: 500ms");
    sidecar.write_lines(LOG, 0..100);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    let metrics = sidecar.wait_settled("siem", 100);
    assert_eq!(accepted(&receiver), good(0..100, &[60]));
    assert_dead(&sidecar, "siem", 400, &[60]);
    let deliveries = receiver.deliveries();
    let left = &deliveries[1..8];
    assert!(left.iter().all(|delivery| delivery.id() == left[0].id() && delivery.wire == left[0].wire));
    assert_eq!(left.iter().map(|delivery| delivery.attempt()).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(metrics.state("siem"), Some("ready"));
    drop(books);
}

#[test]
fn a_kill_in_the_middle_of_narrowing_repeats_nothing_but_what_was_on_the_way() {
    let receiver = Receiver::start();
    // 100 refused, 0..50 taken, 50..100 refused, 50..75 refused, 50..62 hangs.
    receiver.script([400, 200, 400, 400].map(Reply::status));
    receiver.script([Reply::hang()]);
    refuse(&receiver, 400, [60, 90]);
    let mut sidecar = forwarding(&receiver, "timeout: 60s");
    sidecar.write_lines(LOG, 0..100);
    sidecar.append(LOG, "{not json\n\n");
    sidecar = sidecar.start();
    let hanging = receiver.wait_for_requests(5)[4].clone();
    assert_eq!(events::numbers(&hanging.lines()), numbers(50..62));
    sidecar.kill();
    sidecar.start_again();
    let books = sidecar.watch();
    sidecar.wait_settled("siem", 50);
    let again = receiver.deliveries()[5].clone();
    assert_eq!((again.id(), &again.wire), (hanging.id(), &hanging.wire), "the part is sent again as it was");
    assert_eq!(accepted(&receiver), good(0..100, &[60, 90]));
    let letters = sidecar.dead_letters("siem");
    let refused: Vec<_> = letters.iter().filter(|letter| letter["reason"] == "refused").collect();
    assert_eq!(
        refused.iter().map(|letter| letter["payload"].as_str().unwrap()).collect::<Vec<_>>(),
        [60, 90].map(events::event)
    );
    assert_eq!(letters.iter().filter(|letter| letter["reason"] == "invalid_json").count(), 1);
    drop(books);
}

#[test]
fn what_is_filtered_or_no_event_at_all_is_counted_once_when_a_batch_is_narrowed() {
    let receiver = Receiver::start();
    refuse(&receiver, 422, [5, 34]);
    let sidecar = forwarding(&receiver, "disabledEvents: [delete]");
    for n in 0..40 {
        sidecar.append(LOG, format!("{}\nno json {n}\n\n", events::event(n)));
    }
    let mut sidecar = sidecar.start();
    let books = sidecar.watch();
    let metrics = sidecar.wait_settled("siem", 80);
    // Every third event is a `delete`; 5 is one, and never sent.
    let sent: Vec<u64> = (0..40).filter(|n| n % 3 != 2 && *n != 34).collect();
    assert_eq!(accepted(&receiver), sent);
    let count = |result| metrics.events("siem", result);
    assert_eq!((count("delivered"), count("filtered"), count("dead_lettered")), (26, 13, 41));
    assert_eq!(sidecar.dead_letters("siem").len(), 41);
    drop(books);
    assert_eq!(sidecar.stop(), 0);
    sidecar.start_again();
    sidecar.write_lines(LOG, 40..41);
    sidecar.wait_settled("siem", 1);
    assert_eq!(sidecar.metrics().sum("auditpost_events_read_total", &[("forwarder", "siem")]), 1.0);
}
