//! SIGTERM: one more scan, what can be delivered, and a status that says how it went.

use std::time::{Duration, Instant};

use crate::{
    events,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tail::{QUICK_FORWARDER, QUICK_SOURCE, assert_exactly, tailing, tailing_with},
};

const LOG: &str = "logs/audit.ndjson";

fn draining_for(timeout: &str, receiver: &Receiver) -> Sidecar {
    Sidecar::new().top(&format!("drainTimeout: {timeout}")).file_source_with("app", LOG, QUICK_SOURCE).forwarder(
        "siem",
        &receiver.url(),
        QUICK_FORWARDER,
    )
}

// L1, I13
#[test]
fn with_nothing_to_do_it_ends_at_once() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..3);
    sidecar.append(LOG, "half a li");
    sidecar.start_again();
    receiver.wait_for_lines(3);
    let begun = Instant::now();
    assert_eq!(sidecar.stop(), 10);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(receiver.deliveries().len(), 1, "no empty request");
    let said = sidecar.stderr();
    assert!(said.contains("what could be sent is delivered") && !said.contains("everything is delivered"), "{said}");
    let left = said.lines().find(|line| line.contains("a last line without its end is left")).unwrap();
    assert!(left.contains("audit.ndjson bytes=9"), "{left}");
    sidecar.append(LOG, "ne\n");
    sidecar.start_again();
    sidecar.wait_for_metrics("the dead letter", |metrics| metrics.events("siem", "dead_lettered") == 1);
    sidecar.stop_drained();
    assert!(
        sidecar.stderr().ends_with("1 dead letter was written (auditpost dead-letters list)\n"),
        "{}",
        sidecar.stderr()
    );
}

// L1 with copies in a spool.
#[test]
fn a_last_line_without_its_end_is_told_of_a_source_with_a_spool_too() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with(LOG, "spool: true", &receiver, QUICK_FORWARDER);
    sidecar.write_lines(LOG, 0..3);
    sidecar.append(LOG, "half");
    sidecar.start_again();
    receiver.wait_for_lines(3);
    assert_eq!(sidecar.stop(), 10);
    let said = sidecar.stderr();
    assert!(said.contains("audit.ndjson bytes=4") && !said.contains("everything is delivered"), "{said}");
}

// L2, I12: what waited for others goes too.
#[test]
fn a_backlog_is_delivered_before_it_ends() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with(LOG, "", &receiver, "batch: {maxAge: 1h}");
    sidecar.write_lines(LOG, 0..20_500);
    sidecar.start_again();
    receiver.wait_for_lines(20_000);
    let deliveries = receiver.deliveries();
    assert!(deliveries.iter().all(|delivery| delivery.line_count() == 1000), "the rest waits for an hour");
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(events::numbers(&receiver.accepted_lines()), (0..20_500).collect::<Vec<_>>());
}

// L3, L9
#[test]
fn a_dead_destination_is_given_up_at_the_deadline_and_nothing_is_lost() {
    let mut receiver = Receiver::start();
    receiver.stop();
    let mut sidecar = draining_for("700ms", &receiver);
    sidecar.write_lines(LOG, 0..50);
    sidecar.start_again();
    sidecar.wait_for_metrics("failures", |metrics| metrics.sum("auditpost_requests_total", &[]) >= 1.0);
    assert_eq!(sidecar.get("/readyz").0, 200, "the peer does not count");
    let begun = Instant::now();
    assert_eq!(sidecar.stop(), 10);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(600) && took < Duration::from_secs(3), "{took:?}");
    assert!(sidecar.stderr().contains("safe on disk"), "{}", sidecar.stderr());
    receiver.start_again();
    sidecar.start_again();
    assert_exactly(&mut sidecar, &receiver, 0..50);
}

// L3: while it backs off for long, a stop tries once more at once.
#[test]
fn a_stop_tries_at_once_what_waits_for_its_turn() {
    let receiver = Receiver::start();
    receiver.script([Reply::status(503)]);
    let mut sidecar = Sidecar::new().top("drainTimeout: 10s").file_source_with("app", LOG, QUICK_SOURCE).forwarder(
        "siem",
        &receiver.url(),
        "batch: {maxAge: 20ms}\nretry: {initial: 1h, max: 1h}",
    );
    sidecar.write_lines(LOG, 0..5);
    sidecar.start_again();
    receiver.wait_for_requests(1);
    sidecar.wait_for_log("503");
    let begun = Instant::now();
    assert_eq!(sidecar.stop(), 0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(receiver.accepted_lines().len(), 5);
}

// L3: who refuses us is asked once more, and not waited for.
#[test]
fn a_stop_does_not_wait_for_a_receiver_that_refuses_us() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(403));
    let mut sidecar = draining_for("30s", &receiver);
    sidecar.write_lines(LOG, 0..5);
    sidecar.start_again();
    sidecar.wait_for_alarm("held", "403");
    let before = receiver.deliveries().len();
    let begun = Instant::now();
    assert_eq!(sidecar.stop(), 10, "{}", sidecar.stderr());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let tried = receiver.deliveries().len() - before;
    assert!((1..=2).contains(&tried), "{tried} attempts");
    receiver.always(Reply::status(200));
    sidecar.start_again();
    assert_exactly(&mut sidecar, &receiver, 0..5);
}

// L3: mended in the meantime.
#[test]
fn a_stop_delivers_what_was_held_if_the_receiver_takes_it_now() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(403));
    let mut sidecar = draining_for("30s", &receiver);
    sidecar.write_lines(LOG, 0..5);
    sidecar.start_again();
    sidecar.wait_for_alarm("held", "403");
    receiver.always(Reply::status(200));
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    assert_eq!(receiver.accepted_lines().len(), 5);
}

// L4: even where no scan is due and inotify had no time.
#[test]
fn the_last_line_before_the_stop_is_delivered() {
    for round in 0..5 {
        let receiver = Receiver::start();
        let mut sidecar = Sidecar::new()
            .top("drainTimeout: 5s")
            .file_source_with("app", "logs/*.ndjson", "scanInterval: 20s")
            .forwarder("siem", &receiver.url(), "batch: {maxAge: 1h}");
        sidecar.write_lines(LOG, 0..1);
        sidecar.start_again();
        sidecar.wait_for_log("reading a file");
        sidecar.write_lines(LOG, 1..2);
        sidecar.write_lines(&format!("logs/new-{round}.ndjson"), 2..3);
        assert_eq!(sidecar.stop(), 0);
        assert_eq!(crate::tail::sorted(&receiver.accepted_lines()), [0, 1, 2]);
    }
}

// L5
#[test]
fn a_kill_soon_after_the_stop_loses_nothing() {
    let receiver = Receiver::start();
    receiver.rule(|_| Reply::status(200).delay(Duration::from_millis(5)));
    let forwarder = "batch: {maxEvents: 20, maxAge: 20ms}";
    let mut sidecar = tailing_with(LOG, "", &receiver, forwarder);
    for round in 0..5 {
        sidecar.write_lines(LOG, round * 1000..round * 1000 + 1000);
        sidecar.start_again();
        receiver.wait_for_requests(receiver.deliveries().len() + 2);
        sidecar.terminate();
        std::thread::sleep(Duration::from_millis(30 + round * 20));
        sidecar.kill();
    }
    sidecar.start_again();
    crate::tail::assert_each_batch_once(&mut sidecar, &receiver, 0..5000);
}

// L6
#[test]
fn a_second_signal_ends_it_at_once_with_its_state_written() {
    let receiver = Receiver::start();
    receiver.always(Reply::hang());
    let mut sidecar = draining_for("30s", &receiver);
    sidecar.write_lines(LOG, 0..50);
    sidecar.start_again();
    let hung = receiver.wait_for_requests(1)[0].id().to_owned();
    sidecar.terminate();
    sidecar.wait_for_log("stopping");
    let begun = Instant::now();
    assert_eq!(sidecar.stop(), 10);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    receiver.always(Reply::status(200));
    sidecar.start_again();
    receiver.wait_for_lines(50);
    assert_eq!(receiver.accepted_ids(), [hung], "the same batch");
    assert_eq!(sidecar.stop(), 0);
}

// L7: whenever it comes, and with what a crash left to recover.
#[test]
fn a_stop_while_it_starts_is_a_clean_end() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with(LOG, "", &receiver, "batch: {maxEvents: 10, maxAge: 20ms}");
    sidecar.write_lines(LOG, 0..200);
    for pause in [0, 1, 2, 4, 8, 12, 16, 20, 25, 30, 40, 60] {
        sidecar.start_again();
        std::thread::sleep(Duration::from_millis(pause));
        // Before it listens for signals nothing was opened, and the signal ends it as it ends any program.
        let status = sidecar.stop();
        assert!([0, 128 + 15].contains(&status), "{status} after {pause} ms: {}", sidecar.stderr());
    }
    sidecar.start_again();
    assert_exactly(&mut sidecar, &receiver, 0..200);
}

// L13: the application's process ends, the sidecar is told, everything arrives.
#[test]
fn a_job_that_completes_leaves_nothing_behind() {
    let receiver = Receiver::start();
    let mut sidecar = draining_for("10s", &receiver);
    sidecar.write_lines(LOG, 0..1);
    sidecar.start_again();
    receiver.wait_for_lines(1);
    let script = format!(
        "for n in 1 2 3; do echo '{{\"type\":\"x\",\"done\":'$n'}}' >> {}; done",
        sidecar.path(LOG).display()
    );
    let job = std::process::Command::new("sh").args(["-c", &script]).status().unwrap();
    assert!(job.success());
    assert_eq!(sidecar.stop(), 0);
    let lines = receiver.accepted_lines();
    assert_eq!(lines[1..], [1, 2, 3].map(|n| format!("{{\"type\":\"x\",\"done\":{n}}}")));
}
