//! What an answer leads to: delivered, tried again, held. The table of verdicts, row by row, is tested where it stands.

use std::time::Duration;

use super::{LOG, accepted, fan, following, forwarding, numbers, quick};
use crate::receiver::{Delivery, Receiver, Reply};

/// Each is sent again as it was: the same id, number and bytes, the attempt one higher.
fn assert_tried_again(attempts: &[Delivery]) {
    let first = &attempts[0];
    for (index, delivery) in attempts.iter().enumerate() {
        assert_eq!((delivery.id(), &delivery.wire), (first.id(), &first.wire), "attempt {}", index + 1);
        assert_eq!(delivery.attempt(), index as u64 + 1);
        for name in ["auditpost-batch", "auditpost-events", "idempotency-key", "content-encoding", "content-type"] {
            assert_eq!(delivery.header(name), first.header(name), "{name}");
        }
    }
}

/// G33, G41, G42, G55.
#[test]
fn a_receiver_that_fails_every_other_time_gets_everything_in_order_with_one_retry_each() {
    let receiver = Receiver::start();
    receiver.rule(|delivery| Reply::status(if delivery.attempt() == 1 { 500 } else { 200 }));
    let sidecar = forwarding(&receiver, "batch: {maxEvents: 10, maxAge: 20ms}");
    sidecar.write_lines(LOG, 0..200);
    let sidecar = sidecar.start();
    let metrics = sidecar.wait_settled("siem", 200);
    assert_eq!(accepted(&receiver), numbers(0..200));
    assert_eq!((metrics.requests("siem", "500"), metrics.requests("siem", "200")), (20, 20));
    receiver.deliveries().chunks(2).for_each(assert_tried_again);
    sidecar.wait_for_state("siem", "ready");
}

/// G2, G43; I17 from outside.
#[test]
fn a_receiver_that_is_down_gets_everything_once_it_is_up() {
    let mut receiver = Receiver::start();
    receiver.stop();
    let sidecar = forwarding(&receiver, "batch: {maxEvents: 10, maxAge: 20ms}").start();
    let books = sidecar.watch();
    sidecar.write_lines(LOG, 0..100);
    let metrics = sidecar.wait_for_metrics("some attempts", |metrics| metrics.requests("siem", "connect") >= 6);
    assert_eq!(metrics.state("siem"), Some("open"), "after five failures one request at a time tries it");
    let reason = sidecar.shown("siem")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("refused") && reason.contains(&receiver.addr().to_string()), "{reason}");
    receiver.start_again();
    sidecar.write_lines(LOG, 100..120);
    let metrics = sidecar.wait_settled("siem", 120);
    assert_eq!(accepted(&receiver), numbers(0..120));
    sidecar.wait_for_state("siem", "ready");
    assert!(receiver.deliveries()[0].attempt() >= 7);

    // Down under load, and back: no stall afterwards.
    receiver.stop();
    sidecar.write_lines(LOG, 120..220);
    let failed = metrics.requests("siem", "connect");
    sidecar.wait_for_metrics("a failure", |metrics| metrics.requests("siem", "connect") > failed);
    receiver.start_again();
    sidecar.wait_settled("siem", 220);
    assert_eq!(accepted(&receiver), numbers(0..220));
    drop(books);
}

/// G6, G10, G11.
#[test]
fn no_answer_is_tried_again_with_the_same_id_and_bytes() {
    let cases =
        [("timeout", Reply::hang()), ("reset", Reply::reset_after_body()), ("closed", Reply::close_without_answer())];
    let script = |reply: &Reply, receiver: &Receiver| receiver.script([reply.clone(), reply.clone()]);
    let (sidecar, receivers) = fan(cases, |_| "timeout: 500ms".to_owned(), script);
    sidecar.write_lines(LOG, 0..20);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    for (name, _, receiver) in &receivers {
        let metrics = sidecar.wait_settled(name, 20);
        assert_eq!(accepted(receiver), numbers(0..20), "{name}");
        let deliveries = receiver.deliveries();
        assert!(deliveries.len() >= 3, "{name}");
        assert_tried_again(&deliveries);
        assert!(metrics.requests(name, name) >= 2, "{name}");
        let error = sidecar.shown(name)["lastError"]["text"].as_str().unwrap().to_owned();
        assert!(error.contains(&receiver.addr().to_string()) && !error.contains("/ingest"), "{error}");
    }
    let metrics = sidecar.metrics();
    assert!(metrics.seconds("timeout", "timeout") >= 0.5 * metrics.requests("timeout", "timeout") as f64);
    drop(books);
}

/// G25, G26, G27, G32.
#[test]
fn a_status_that_refuses_us_holds_the_queue_and_redirects_are_never_followed() {
    let trap = Receiver::start();
    let cases = [("found", 302), ("not-modified", 304), ("redirected", 307), ("not-found", 404)];
    let location = trap.url();
    let (sidecar, receivers) = fan(
        cases,
        |_| "token: s3cret\nbatch: {maxEvents: 5, maxAge: 20ms}".to_owned(),
        |status, receiver| {
            // A loop back to itself, and a way to somebody else.
            let to = if *status == 302 { receiver.url() } else { location.clone() };
            receiver.always(Reply::status(*status).header("location", &to).body("not like this"));
        },
    );
    sidecar.write_lines(LOG, 0..10);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    for (name, status, receiver) in &receivers {
        sidecar.wait_for_state(name, "held");
        let alarm = sidecar.alarm(name, "held").unwrap_or_else(|| panic!("{name} raises no alarm"));
        assert!(alarm.contains(&status.to_string()), "{alarm}");
        assert!(*status == 304 || alarm.contains("not like this"), "{alarm}");
        assert!(receiver.accepted_lines().is_empty());
    }
    for (name, status, receiver) in &receivers {
        // It probes until the receiver takes it.
        let code = status.to_string();
        sidecar.wait_for_metrics("a probe", |metrics| metrics.requests(name, &code) >= 2);
        receiver.always(Reply::status(200));
        let metrics = sidecar.wait_settled(name, 10);
        assert_eq!(accepted(receiver), numbers(0..10), "{name}");
        assert_eq!((metrics.events(name, "dead_lettered"), metrics.events(name, "gap")), (0, 0));
        sidecar.wait_for_state(name, "ready");
        assert_eq!(sidecar.alarm(name, "held"), None, "{name}");
        let deliveries = receiver.deliveries();
        let held: Vec<&Delivery> = deliveries.iter().filter(|delivery| delivery.id() == deliveries[0].id()).collect();
        for pair in held.windows(2) {
            assert_eq!(pair[0].wire, pair[1].wire);
            let pause = pair[1].at - pair[0].at;
            assert!(pause >= Duration::from_millis(200), "{name}: probed again after {pause:?}");
        }
    }
    assert_eq!(trap.connections(), 0, "somebody else was sent to");
    drop(books);
}

/// G40, and a receiver that says that it has it already.
#[test]
fn an_operator_can_change_what_a_status_means() {
    let (halving, having) = (Receiver::start(), Receiver::start());
    halving.rule(|delivery| Reply::status(if delivery.line_count() > 2 { 500 } else { 200 }));
    having.always(Reply::status(409));
    let sidecar = following().forwarder("halving", &halving.url(), &quick("responses: {500: halve}")).forwarder(
        "having",
        &having.url(),
        &quick("responses: {409: delivered}"),
    );
    sidecar.write_lines(LOG, 0..8);
    let sidecar = sidecar.start();
    for name in ["halving", "having"] {
        assert_eq!(sidecar.wait_settled(name, 8).events(name, "delivered"), 8, "{name}");
    }
    assert_eq!(accepted(&halving), numbers(0..8));
    let sizes: Vec<usize> = halving.deliveries().iter().map(|delivery| delivery.line_count()).collect();
    assert_eq!(sizes, [8, 4, 2, 2, 2, 2], "a size that was refused is not tried twice");
    assert_eq!(having.deliveries().len(), 1);
}
