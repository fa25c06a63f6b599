//! The verdict table, row by row: what is delivered, tried again, held.

use std::time::Duration;

use super::{LOG, accepted, fan, forwarding, numbers};
use crate::receiver::{Delivery, Receiver, Reply};

/// G21.
#[test]
fn every_2xx_delivers_at_the_first_attempt() {
    let receiver = Receiver::start();
    let statuses = [200, 201, 202, 203, 204, 205, 206, 207, 226, 299];
    receiver.script(statuses.map(|status| Reply::status(status).body(if status == 204 { "" } else { "noted" })));
    let sidecar = forwarding(&receiver, "framing: single");
    sidecar.write_lines(LOG, 0..10);
    let sidecar = sidecar.start();
    let metrics = sidecar.wait_settled("siem", 10);
    assert_eq!(accepted(&receiver), numbers(0..10));
    assert!(receiver.deliveries().iter().all(|delivery| delivery.attempt() == 1));
    assert!(statuses.iter().all(|status| metrics.requests("siem", &status.to_string()) == 1));
}

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

/// G33, G55.
#[test]
fn a_transient_status_is_tried_again_with_the_same_id_and_bytes() {
    let transient = [408, 409, 423, 425, 429, 500, 502, 503, 504, 506, 507, 511, 520, 599];
    let receiver = Receiver::start();
    for status in transient {
        receiver.script([Reply::status(status), Reply::status(status), Reply::status(200)]);
    }
    let sidecar = forwarding(&receiver, "framing: single");
    sidecar.write_lines(LOG, 0..transient.len() as u64);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    let metrics = sidecar.wait_settled("siem", transient.len() as u64);
    assert_eq!(accepted(&receiver), numbers(0..transient.len() as u64));
    let deliveries = receiver.deliveries();
    assert_eq!(deliveries.len(), 3 * transient.len());
    for (attempts, status) in deliveries.chunks(3).zip(transient) {
        assert_tried_again(attempts);
        assert_eq!(metrics.requests("siem", &status.to_string()), 2, "{status}");
    }
    assert_eq!(metrics.state("siem"), Some("ready"));
    drop(books);
}

/// G41, G42.
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
    assert_eq!(metrics.state("siem"), Some("ready"));
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
    assert!(receivers[0].2.deliveries()[1].at - receivers[0].2.deliveries()[0].at >= Duration::from_millis(500));
    drop(books);
}

/// All that the table holds for, but credentials, TLS and 410.
const HOLDS: [u16; 21] =
    [300, 301, 302, 303, 304, 305, 306, 307, 308, 404, 405, 411, 414, 417, 418, 421, 426, 431, 451, 501, 505];

/// G25, G26, G27, G32.
#[test]
fn a_status_that_refuses_us_holds_the_queue_and_redirects_are_never_followed() {
    let trap = Receiver::start();
    let names = HOLDS.map(|status| format!("hold-{status}"));
    let cases = names.iter().map(String::as_str).zip(HOLDS);
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

/// G32: a 410 is probed twelve times more slowly.
#[test]
fn a_receiver_that_is_gone_is_probed_more_slowly_still() {
    let receiver = Receiver::start();
    receiver.script([Reply::status(410), Reply::status(410)]);
    let sidecar = forwarding(&receiver, "retry: {initial: 10ms, max: 10ms, probe: 40ms}");
    sidecar.write_lines(LOG, 0..5);
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", 5);
    assert_eq!(accepted(&receiver), numbers(0..5));
    let deliveries = receiver.deliveries();
    for pair in deliveries.windows(2) {
        assert!(pair[1].at - pair[0].at >= Duration::from_millis(480), "{:?}", pair[1].at - pair[0].at);
    }
    assert!(sidecar.stderr().contains("deliveries are held (gone)"), "{}", sidecar.stderr());
}

#[test]
fn a_held_forwarder_keeps_what_is_written_meanwhile_and_says_so_once() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(404));
    let mut sidecar = forwarding(&receiver, "batch: {maxEvents: 10, maxAge: 20ms}").start();
    sidecar.write_lines(LOG, 0..10);
    sidecar.wait_for_state("siem", "held");
    sidecar.write_lines(LOG, 10..500);
    let metrics = sidecar.wait_for_metrics("more probes", |metrics| metrics.requests("siem", "404") >= 4);
    assert_eq!(metrics.events("siem", "delivered"), 0);
    sidecar.wait_for_metrics("the backlog to show", |metrics| metrics.sum("auditpost_backlog_bytes", &[]) > 0.0);
    let held = sidecar.stderr().matches("deliveries are held").count();
    assert_eq!(held, 1, "{}", sidecar.stderr());

    // A stop does not make it give up anything.
    assert_eq!(sidecar.stop(), 10);
    sidecar.start_again();
    sidecar.wait_for_state("siem", "held");
    receiver.always(Reply::status(200));
    sidecar.wait_settled("siem", 500);
    assert_eq!(accepted(&receiver), numbers(0..500));
    assert_eq!(receiver.ids()[0], receiver.accepted_ids()[0], "the same batch over the restart");
}

#[test]
fn an_operator_can_change_what_a_status_means() {
    let verdicts: [(&str, (u16, &str)); 6] = [
        ("delivered", (409, "delivered")),
        ("retry", (404, "retry")),
        ("hold", (503, "hold")),
        ("unauthorized", (418, "unauthorized")),
        ("halve", (500, "halve")),
        ("narrow", (404, "narrow")),
    ];
    let (sidecar, receivers) = fan(
        verdicts,
        |(status, verdict)| {
            format!("responses: {{{status}: {verdict}}}\nretry: {{initial: 10ms, max: 10ms, probe: 1s}}")
        },
        |(status, verdict), receiver| match *verdict {
            // The whole batch, then a part of it: both must be split.
            "halve" | "narrow" => {
                let status = *status;
                receiver.rule(move |delivery| Reply::status(if delivery.line_count() > 2 { status } else { 200 }));
            }
            "retry" => receiver.script((0..5).map(|_| Reply::status(*status))),
            _ => receiver.script([Reply::status(*status), Reply::status(*status)]),
        },
    );
    sidecar.write_lines(LOG, 0..8);
    let sidecar = sidecar.start();
    for (name, (status, _), receiver) in &receivers {
        sidecar.wait_settled(name, 8);
        let pauses: Vec<Duration> = receiver.deliveries().windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        let second = Duration::from_secs(1);
        match *name {
            "delivered" => {
                assert_eq!((receiver.deliveries().len(), receiver.deliveries()[0].answer), (1, Some(*status)));
            }
            "retry" => assert!(pauses.len() == 5 && pauses.iter().sum::<Duration>() < second, "{pauses:?}"),
            "hold" => assert!(pauses.len() == 2 && pauses.iter().all(|pause| *pause >= second), "{pauses:?}"),
            "unauthorized" => assert!(pauses.len() == 2 && pauses[0] < second && pauses[1] >= second, "{pauses:?}"),
            // 8, 4, 2, 2, 4, 2, 2; a size that was refused is not tried twice.
            "halve" => assert_eq!((receiver.deliveries().len(), receiver.accepted_ids().len()), (6, 4)),
            _ => assert_eq!((receiver.deliveries().len(), receiver.accepted_ids().len()), (7, 4)),
        }
        if *name != "delivered" {
            assert_eq!(accepted(receiver), numbers(0..8), "{name}");
        }
    }
}
