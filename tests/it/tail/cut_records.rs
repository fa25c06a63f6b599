//! Records of a container's log that a rotation cut, as the whole binary reads them.

use std::{collections::BTreeSet, fs};

use serde_json::Value;

use super::{QUICK_FORWARDER, QUICK_SOURCE, assert_each_batch_once, assert_exactly};
use crate::{
    events::{event, numbers},
    receiver::{PATIENCE, Receiver, Reply},
    sidecar::Sidecar,
};

const LOG: &str = "pods/shop_cart-0_0bd94a6e/app/0.log";

fn part(tag: &str, message: &str) -> String {
    format!("2026-11-22T04:00:00.123456789Z stdout {tag} {message}\n")
}

fn outs(range: std::ops::Range<u64>) -> String {
    range.map(|n| part("F", &event(n))).collect()
}

/// What a runtime has written of an event when it opens its log anew, and what it writes then.
fn halves(n: u64) -> (String, String) {
    let event = event(n);
    let (head, rest) = event.split_at(event.len() / 2);
    (part("P", head), part("F", rest))
}

/// As our DaemonSet has it: what is no JSON object is filtered.
fn following(receiver: &Receiver, more: &str) -> Sidecar {
    Sidecar::new()
        .top("drainTimeout: 5s")
        .file_source_with("app", "pods/*/*/*.log", &format!("{QUICK_SOURCE}\nformat: cri\nonlyJson: true\n{more}"))
        .forwarder("siem", &receiver.url(), QUICK_FORWARDER)
}

/// As the kubelet does: it renames the log, and has the runtime make a new one.
fn rotate(sidecar: &Sidecar, stamp: u32) {
    sidecar.rename(LOG, &rotated(stamp));
    sidecar.append(LOG, "");
}

fn rotated(stamp: u32) -> String {
    format!("{LOG}.20261122-{stamp:06}")
}

fn detail(letter: &Value) -> &str {
    letter["detail"].as_str().unwrap()
}

/// Ten events, one of which a rotation cuts.
fn write_with_the_sixth_cut(sidecar: &Sidecar) {
    let (head, rest) = halves(5);
    sidecar.append(LOG, outs(0..5) + &head);
    rotate(sidecar, 1);
    sidecar.append(LOG, rest + &outs(6..10));
}

#[test]
fn an_event_that_a_rotation_cut_arrives_whole_and_in_its_place() {
    for killed in [false, true] {
        let receiver = Receiver::start();
        let mut sidecar = following(&receiver, "");
        sidecar.append(LOG, outs(0..3));
        sidecar.start_again();
        receiver.wait_for_lines(3);
        for turn in 1..4u32 {
            let first = u64::from(turn) * 10;
            let (head, rest) = halves(first + 5);
            sidecar.append(LOG, outs(first..first + 5) + &head);
            if killed {
                sidecar.kill();
            }
            rotate(&sidecar, turn);
            if killed {
                sidecar.start_again();
            }
            receiver.wait_until("the records before it", PATIENCE, |deliveries| {
                deliveries.iter().any(|delivery| delivery.accepted() && delivery.lines().contains(&event(first + 4)))
            });
            if killed {
                sidecar.kill();
            }
            sidecar.append(LOG, rest + &outs(first + 6..first + 9));
            if killed {
                sidecar.start_again();
            }
        }
        let expected = (0..3).chain((1..4).flat_map(|turn| turn * 10..turn * 10 + 9));
        receiver.wait_until("the last event", PATIENCE, |deliveries| {
            deliveries.iter().any(|delivery| delivery.accepted() && delivery.lines().contains(&event(38)))
        });
        let metrics = sidecar.metrics();
        assert_eq!((metrics.events("siem", "dead_lettered"), metrics.events("siem", "filtered")), (0, 0));
        if killed {
            assert_each_batch_once(&mut sidecar, &receiver, expected);
        } else {
            assert_exactly(&mut sidecar, &receiver, expected);
        }
        assert!(sidecar.dead_letters("siem").is_empty());
    }
}

#[test]
fn a_batch_with_such_an_event_is_the_same_after_a_kill() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let mut sidecar = following(&receiver, "");
    write_with_the_sixth_cut(&sidecar);
    sidecar.start_again();
    receiver.wait_until("the cut event", PATIENCE, |deliveries| {
        deliveries.iter().any(|delivery| delivery.lines().contains(&event(5)))
    });
    sidecar.kill();
    receiver.always(Reply::status(200));
    sidecar.start_again();
    assert_each_batch_once(&mut sidecar, &receiver, 0..10);
    let deliveries = receiver.deliveries();
    let of_event = |delivery: &&crate::receiver::Delivery| delivery.lines().contains(&event(5));
    let sent: Vec<_> = deliveries.iter().filter(of_event).collect();
    assert!(sent.len() > 1);
    let ids: BTreeSet<&str> = sent.iter().map(|delivery| delivery.id()).collect();
    assert_eq!(ids.len(), 1, "under its id, with its bytes");
}

#[test]
fn where_one_is_refused_its_message_is_the_dead_letter_and_its_neighbours_arrive() {
    let receiver = Receiver::start();
    receiver.rule(|delivery| {
        let refused = delivery.lines().iter().any(|line| *line == event(5));
        Reply::status(if refused { 422 } else { 200 })
    });
    let mut sidecar = following(&receiver, "");
    write_with_the_sixth_cut(&sidecar);
    sidecar.start_again();
    sidecar.wait_for_metrics("a letter", |metrics| metrics.events("siem", "dead_lettered") == 1);
    receiver.wait_for_lines(9);
    sidecar.assert_books_balance();
    assert_eq!(sidecar.dead_letters("siem")[0]["payload"], event(5));
    assert_eq!(numbers(&receiver.accepted_lines()), (0..5).chain(6..10).collect::<Vec<_>>());
    sidecar.stop_drained();
}

#[test]
fn halves_that_cannot_be_joined_are_dead_letters_that_name_each_other() {
    let receiver = Receiver::start();
    let mut sidecar = following(&receiver, "");
    let (head, rest) = halves(1);
    sidecar.append(LOG, outs(0..1) + &head);
    sidecar.start_again();
    receiver.wait_for_lines(1);
    // The runtime makes no new log until long after.
    sidecar.rename(LOG, &rotated(1));
    sidecar.wait_for_metrics("the first half", |metrics| metrics.events("siem", "dead_lettered") == 1);
    sidecar.append(LOG, rest + &outs(2..4));
    receiver.wait_for_lines(3);
    let metrics = sidecar.wait_for_metrics("both halves", |metrics| metrics.events("siem", "dead_lettered") == 2);
    assert_eq!(metrics.events("siem", "filtered"), 0);
    sidecar.assert_books_balance();
    let letters = sidecar.dead_letters("siem");
    let [head, rest] = &letters[..] else { panic!("{letters:?}") };
    assert!(detail(head).contains("it is the beginning of a record whose last part did not come"), "{head}");
    assert!(detail(rest).contains("the beginning of which is in segment 1"), "{rest}");
    assert!(detail(rest).contains(&rotated(1)), "{rest}");
    assert_eq!(numbers(&receiver.accepted_lines()), [0, 2, 3]);
    sidecar.stop_drained();
}

#[test]
fn the_last_line_of_a_container_arrives_once_its_next_attempt_has_a_log() {
    let receiver = Receiver::start();
    let mut sidecar = following(&receiver, "");
    sidecar.append(LOG, outs(0..1) + &part("P", &event(1)));
    sidecar.start_again();
    receiver.wait_for_lines(1);
    let next = sidecar.path(LOG).with_file_name("1.log");
    fs::write(next, outs(2..3)).unwrap();
    receiver.wait_for_lines(3);
    assert_eq!(numbers(&receiver.accepted_lines()).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([0, 1, 2]));
    assert_eq!(sidecar.stop(), 0);
    assert!(sidecar.dead_letters("siem").is_empty());
}
