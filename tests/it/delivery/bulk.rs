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

fn good(range: std::ops::Range<u64>, bad: &[u64]) -> Vec<u64> {
    range.filter(|n| !bad.contains(n)).collect()
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
    assert_eq!(sidecar.stop(), 0);
    sidecar.start_again();
    sidecar.write_lines(LOG, 100..101);
    sidecar.wait_settled("siem", 1);
    assert_eq!(receiver.deliveries().iter().flat_map(bulk).collect::<Vec<_>>(), [100]);
}

#[test]
fn a_cluster_that_takes_nothing_now_is_backed_off_from_and_loses_nothing() {
    let receiver = Receiver::start();
    let busy = |status: u16| {
        Reply::status(200).body(format!(
            r#"{{"errors":true,"items":[{}]}}"#,
            vec![format!(r#"{{"create":{{"status":{status}}}}}"#); 40].join(",")
        ))
    };
    receiver.script([busy(429), busy(503), busy(403)]);
    receiver.rule(|delivery| items(&bulk(delivery), |_| 201));
    let sidecar = forwarding(&receiver, "profile: elastic-bulk\nretry: {initial: 20ms, max: 100ms, probe: 200ms}");
    sidecar.write_lines(LOG, 0..40);
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", 40);
    let deliveries = receiver.deliveries();
    assert!(deliveries.iter().all(|d| d.id() == deliveries[0].id()), "the same batch, again");
    assert_eq!(deliveries.len(), 4);
    assert_eq!(sidecar.dead_letters("siem").len(), 0);
}

#[test]
fn an_answer_that_cannot_be_understood_settles_nothing() {
    let receiver = Receiver::start();
    receiver.script([
        Reply::status(200).body("ok"),
        Reply::status(200).body(r#"{"errors":true,"items":[{"create":{"status":201}}]}"#),
        Reply::status(200).body(r#"{"errors":true}"#),
        Reply::status(200).body(r#"{"errors":false}"#).header("content-encoding", "gzip"),
    ]);
    receiver.rule(|delivery| items(&bulk(delivery), |_| 201));
    let sidecar = forwarding(&receiver, "profile: elastic-bulk");
    sidecar.write_lines(LOG, 0..10);
    let sidecar = sidecar.start();
    let metrics = sidecar.wait_settled("siem", 10);
    assert_eq!(receiver.deliveries().len(), 5);
    assert_eq!(metrics.events("siem", "delivered"), 10);
    assert_eq!(sidecar.dead_letters("siem").len(), 0);
    sidecar.wait_for_log("what became of the events is not known");
}

/// As where a proxy ends the answer: what was told counts, the rest goes again.
#[test]
fn what_an_answer_told_before_it_broke_off_counts() {
    let receiver = Receiver::start();
    let told: Vec<String> =
        (0..6).map(|n| format!(r#"{{"create":{{"status":{}}}}}"#, if n == 2 { 400 } else { 201 })).collect();
    receiver.script([Reply::status(200).body(format!(r#"{{"errors":true,"items":[{},{{"cre"#, told.join(",")))]);
    receiver.rule(|delivery| items(&bulk(delivery), |_| 201));
    let sidecar = forwarding(&receiver, "profile: elastic-bulk");
    sidecar.write_lines(LOG, 0..10);
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", 10);
    let sent: Vec<Vec<u64>> = receiver.deliveries().iter().map(bulk).collect();
    assert_eq!(sent, [(0..10).collect::<Vec<_>>(), (6..10).collect()]);
    assert_eq!(sidecar.dead_letters("siem").len(), 1);
}

/// Four times in a row, which would be held if it were nonsense.
#[test]
fn an_answer_that_breaks_off_before_it_says_anything_is_tried_again() {
    let receiver = Receiver::start();
    let broken = || Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"took\":").close();
    receiver.script([broken(), broken(), broken(), broken()]);
    receiver.rule(|delivery| items(&bulk(delivery), |_| 201));
    let extra = "profile: elastic-bulk\nretry: {initial: 20ms, max: 100ms, probe: 1h}";
    let sidecar = forwarding(&receiver, extra);
    sidecar.write_lines(LOG, 0..10);
    let sidecar = sidecar.start();
    let metrics = sidecar.wait_settled("siem", 10);
    assert_eq!((receiver.deliveries().len(), metrics.events("siem", "delivered")), (5, 10));
    assert!(!sidecar.stderr().contains("deliveries are held"), "{}", sidecar.stderr());
}

#[test]
fn a_large_answer_is_read_whole() {
    let receiver = Receiver::start();
    receiver.rule(|delivery| {
        let reason = "r".repeat(1500);
        let events = bulk(delivery);
        let items: Vec<String> = events
            .iter()
            .map(|n| match n {
                900 => format!(r#"{{"create":{{"status":400,"error":{{"type":"t","reason":"{reason}"}}}}}}"#),
                _ => format!(r#"{{"create":{{"_id":"{reason}","status":201}}}}"#),
            })
            .collect();
        Reply::status(200).body(format!(r#"{{"errors":true,"items":[{}]}}"#, items.join(",")))
    });
    let sidecar = forwarding(&receiver, "profile: elastic-bulk");
    sidecar.write_lines(LOG, 0..1000);
    let sidecar = sidecar.start();
    let metrics = sidecar.wait_settled("siem", 1000);
    assert_eq!(receiver.deliveries().len(), 1);
    assert_eq!((metrics.events("siem", "delivered"), metrics.events("siem", "dead_lettered")), (999, 1));
}

#[test]
fn nearly_everything_refused_holds_and_goes_on_when_the_mapping_is_mended() {
    let receiver = Receiver::start();
    receiver.rule(|delivery| items(&bulk(delivery), |_| 400));
    let sidecar = forwarding(&receiver, "profile: elastic-bulk");
    sidecar.write_lines(LOG, 0..60);
    let sidecar = sidecar.start();
    sidecar.wait_for_state("siem", "held");
    let dead = sidecar.dead_letters("siem").len();
    assert_eq!(dead, 19);
    receiver.rule(|delivery| items(&bulk(delivery), |_| 201));
    sidecar.wait_settled("siem", 60);
    assert_eq!(sidecar.dead_letters("siem").len(), dead, "what was said before it was mended no longer counts");
    let last: Vec<u64> = receiver.deliveries().iter().skip(1).flat_map(bulk).collect();
    assert!(good(19..60, &[]).iter().all(|n| last.contains(n)), "{last:?}");
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
