//! Elasticsearch's answers: a 200 that tells the fate of each event.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{LOG, forwarding, quick};
use crate::{
    events,
    receiver::{Delivery, Receiver, Reply},
};

/// The numbers of the events in a bulk request; panics where it is none.
fn bulk(delivery: &Delivery) -> Vec<u64> {
    let lines = delivery.lines();
    let events = lines.chunks(2).map(|pair| {
        assert_eq!(pair[0], r#"{"create":{}}"#);
        pair[1].clone()
    });
    events::numbers(&events.collect::<Vec<_>>())
}

/// The answer that gives each event the status that `status` says.
fn items(events: &[u64], status: impl Fn(u64) -> u16) -> Reply {
    let items: Vec<String> = events
        .iter()
        .map(|n| match status(*n) {
            201 => r#"{"create":{"_index":"logs","_id":"x","status":201}}"#.to_owned(),
            status => format!(
                r#"{{"create":{{"status":{status},"error":{{"type":"some_exception","reason":"no \"{n}\"","caused_by":{{"reason":"deeper"}}}}}}}}"#
            ),
        })
        .collect();
    let errors = events.iter().any(|n| status(*n) != 201);
    Reply::status(200).body(format!(r#"{{"took":3,"errors":{errors},"items":[{}]}}"#, items.join(",")))
}

#[test]
fn each_event_meets_the_fate_that_its_item_tells() {
    let receiver = Receiver::start();
    let (refused, busy, there) = ([3, 4, 70], [5, 6, 99], [10, 50]);
    let round = Arc::new(AtomicUsize::new(0));
    receiver.rule(move |delivery| {
        let busy_now = round.fetch_add(1, Ordering::SeqCst) == 0;
        items(&bulk(delivery), |n| match n {
            n if refused.contains(&n) => 400,
            n if busy.contains(&n) && busy_now => 429,
            n if there.contains(&n) => 409,
            _ => 201,
        })
    });
    let mut sidecar = forwarding(&receiver, "profile: elastic-bulk");
    sidecar.write_lines(LOG, 0..100);
    let mut sidecar = {
        sidecar.start_again();
        sidecar
    };
    let books = sidecar.watch();
    let metrics = sidecar.wait_settled("siem", 100);
    let sent: Vec<Vec<u64>> = receiver.deliveries().iter().map(bulk).collect();
    assert_eq!(sent, [(0..100).collect::<Vec<_>>(), vec![5, 6], vec![99]], "what was taken is not sent again");
    let ids: std::collections::BTreeSet<String> = receiver.ids().into_iter().collect();
    assert_eq!(ids.len(), 3, "other bytes, another id");
    let letters = sidecar.dead_letters("siem");
    let payloads: Vec<&str> = letters.iter().map(|letter| letter["payload"].as_str().unwrap()).collect();
    assert_eq!(payloads, [3, 4, 70].map(events::event));
    assert_eq!((&letters[0]["reason"], &letters[0]["status"]), (&"refused".into(), &400.into()));
    assert_eq!(letters[0]["excerpt"], "some_exception: no \"3\"");
    let count = |result| metrics.events("siem", result);
    assert_eq!((count("delivered"), count("dead_lettered")), (97, 3));
    sidecar.wait_for_state("siem", "ready");
    drop(books);
    // All of it is settled for good.
    receiver.clear();
    sidecar.stop_drained();
    sidecar.start_again();
    sidecar.write_lines(LOG, 100..101);
    sidecar.wait_settled("siem", 1);
    assert_eq!(receiver.deliveries().iter().flat_map(bulk).collect::<Vec<_>>(), [100]);
}

#[test]
fn a_kill_amid_the_parts_repeats_nothing_that_was_settled() {
    let receiver = Receiver::start();
    receiver.script([items(&(0..100).collect::<Vec<_>>(), |n| match n {
        20 => 400,
        50..60 => 503,
        _ => 201,
    })]);
    receiver.script([Reply::hang()]);
    receiver.rule(|delivery| items(&bulk(delivery), |_| 201));
    let mut sidecar = forwarding(&receiver, &quick("profile: elastic-bulk\ntimeout: 60s"));
    sidecar.write_lines(LOG, 0..100);
    sidecar = sidecar.start();
    let hanging = receiver.wait_for_requests(2)[1].clone();
    assert_eq!(bulk(&hanging), (50..60).collect::<Vec<_>>());
    sidecar.kill();
    sidecar.start_again();
    sidecar.wait_settled("siem", 10);
    let again: Vec<Vec<u64>> = receiver.deliveries()[2..].iter().map(bulk).collect();
    assert_eq!(again[0], (50..60).collect::<Vec<_>>());
    let known_before_the_kill: Vec<u64> = again.iter().flatten().copied().filter(|n| *n < 50).collect();
    assert_eq!(known_before_the_kill, [0u64; 0], "they were settled before what stood behind them was sent");
    assert_eq!(sidecar.dead_letters("siem").len(), 1);
}
