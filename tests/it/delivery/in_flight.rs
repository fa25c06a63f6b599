//! Several batches on the way at once, answered in any order; and what a crash then repeats.

use super::{LOG, accepted, forwarding, numbers};
use crate::receiver::{Delivery, Receiver, Reply};

const FOUR: &str = "inFlight: 4\ntimeout: 60s\nbatch: {maxEvents: 10, maxAge: 20ms}";

fn number(delivery: &Delivery) -> u64 {
    delivery.header("auditpost-batch").unwrap().parse().unwrap()
}

fn sorted(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers
}

#[test]
fn as_many_batches_are_on_the_way_as_configured_and_no_more() {
    let receiver = Receiver::start();
    receiver.script([0; 4].map(|_| Reply::hang()));
    let mut sidecar = forwarding(&receiver, FOUR);
    sidecar.write_lines(LOG, 0..200);
    sidecar = sidecar.start();
    let waiting = receiver.wait_for_requests(4);
    assert_eq!(sorted(waiting.iter().map(number).collect()), [1, 2, 3, 4]);
    // What was read is bounded by what may be on the way, not by the backlog.
    sidecar.wait_for_metrics("what is read ahead", |metrics| metrics.sum("auditpost_events_in_flight", &[]) == 70.0);
    assert_eq!(receiver.deliveries().len(), 4);
    sidecar.kill();
}

/// I7, I8.
#[test]
fn after_a_kill_only_what_was_not_answered_is_sent_again_under_its_old_id() {
    let receiver = Receiver::start();
    // The first and the third never get an answer, and the others go on past them.
    receiver.rule(|delivery| if [1, 3].contains(&number(delivery)) { Reply::hang() } else { Reply::status(200) });
    let mut sidecar = forwarding(&receiver, FOUR);
    sidecar.write_lines(LOG, 0..200);
    sidecar = sidecar.start();
    let books = sidecar.watch();
    sidecar.wait_for_metrics("all but two batches", |metrics| metrics.events("siem", "delivered") == 180);
    drop(books);
    let before = receiver.deliveries();
    let of_batch = |n: u64| before.iter().find(|delivery| number(delivery) == n).unwrap();
    sidecar.kill();

    receiver.clear();
    receiver.always(Reply::status(200));
    sidecar.start_again();
    let books = sidecar.watch();
    sidecar.wait_settled("siem", 20);
    let mut after = receiver.deliveries();
    after.sort_by_key(number);
    assert_eq!(after.len(), 2, "nothing that was answered is sent again");
    for (again, n) in after.iter().zip([1, 3]) {
        assert_eq!((again.id(), number(again)), (of_batch(n).id(), n));
        assert_eq!(again.wire, of_batch(n).wire, "the same bytes");
    }
    let first = (10..20).chain(30..200);
    let both = before.iter().filter(|delivery| delivery.accepted()).flat_map(Delivery::lines).collect::<Vec<_>>();
    assert_eq!(sorted(crate::events::numbers(&both)), first.collect::<Vec<_>>());
    assert_eq!(sorted(accepted(&receiver)), (0..10).chain(20..30).collect::<Vec<_>>());
    drop(books);
}

#[test]
fn a_kill_between_request_and_answer_repeats_the_request_as_it_was() {
    let receiver = Receiver::start();
    let mut sidecar = forwarding(&receiver, "timeout: 60s\nbatch: {maxEvents: 10, maxAge: 20ms}");
    receiver.rule(|delivery| if number(delivery) == 3 { Reply::hang() } else { Reply::status(200) });
    sidecar.write_lines(LOG, 0..60);
    sidecar = sidecar.start();
    for _ in 0..3 {
        let hanging = receiver.wait_until("the third batch", crate::receiver::PATIENCE, |deliveries| {
            deliveries.last().is_some_and(|last| last.finished && number(last) == 3)
        });
        let hanging = hanging.last().unwrap().clone();
        sidecar.kill();
        receiver.clear();
        sidecar.start_again();
        let again = receiver.wait_for_requests(1)[0].clone();
        assert_eq!((again.id(), number(&again), &again.wire), (hanging.id(), 3, &hanging.wire));
    }
    receiver.always(Reply::status(200));
    sidecar.kill();
    receiver.clear();
    sidecar.start_again();
    sidecar.wait_settled("siem", 40);
    assert_eq!(accepted(&receiver), numbers(20..60));
}
