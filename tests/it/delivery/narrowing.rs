//! A batch that is refused for one of its events: that one is a dead letter, its neighbours are delivered once.

use std::collections::BTreeSet;

use super::{LOG, accepted, forwarding, numbers, refuse};
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
    const BAD: [u64; 4] = [0, 499, 500, 999];
    let receiver = Receiver::start();
    refuse(&receiver, 400, BAD);
    let sidecar = forwarding(&receiver, "");
    sidecar.write_lines(LOG, 0..1000);
    let mut sidecar = sidecar.start();
    let books = sidecar.watch();
    let metrics = sidecar.wait_settled("siem", 1000);
    assert_eq!(accepted(&receiver), good(0..1000, &BAD));
    assert_dead(&sidecar, "siem", 400, &BAD);
    assert_eq!((metrics.events("siem", "delivered"), metrics.events("siem", "dead_lettered")), (996, 4));
    sidecar.wait_for_state("siem", "ready");
    let deliveries = receiver.deliveries();
    assert!(deliveries.len() <= 1 + 20 * BAD.len(), "{} requests", deliveries.len());
    let ids: BTreeSet<&str> = deliveries.iter().map(|delivery| delivery.id()).collect();
    assert_eq!(ids.len(), deliveries.len(), "other bytes, another id");
    for (index, delivery) in deliveries.iter().enumerate() {
        assert_eq!(delivery.header("auditpost-batch"), Some((index + 1).to_string().as_str()));
        assert_eq!(delivery.header("auditpost-events"), Some(delivery.line_count().to_string().as_str()));
    }
    drop(books);

    // All of it is settled for good.
    receiver.clear();
    sidecar.stop_drained();
    sidecar.start_again();
    sidecar.write_lines(LOG, 1000..1001);
    sidecar.wait_settled("siem", 1);
    assert_eq!(accepted(&receiver), [1000]);
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
