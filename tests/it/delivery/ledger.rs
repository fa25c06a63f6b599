//! One ledger: the journal, the books and the receiver say the same of what became of every record, also where a batch
//! goes in parts, and over kills and restarts amid them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{LOG, quick};
use crate::{
    receiver::{Delivery, PATIENCE, Receiver, Reply},
    sidecar::Sidecar,
};

const KEYS: &str = "disabledEvents: [update]\nbatch: {maxEvents: 200, maxAge: 50ms}";

/// Delivered, filtered, dead-lettered.
type Totals = [u64; 3];

/// 90 events, of which every third is filtered (an update), 5 lines that are no JSON, and one that is too long; the
/// receiver refuses event 56. Each of the others is somewhere between.
const TRUTH: Totals = [59, 30, 7];

fn write_records(sidecar: &Sidecar) {
    for n in 0..90 {
        sidecar.write_lines(LOG, n..n + 1);
        if n % 20 == 7 {
            sidecar.append(LOG, format!("no JSON {n}\n"));
        }
        if n == 41 {
            sidecar.append(LOG, format!("{{\"long\":\"{}\"}}\n", "x".repeat(4000)));
        }
    }
}

fn is_refused(delivery: &Delivery) -> bool {
    delivery.text().contains("\"n\":56,")
}

fn recorded(sidecar: &Sidecar) -> Totals {
    let (status, listed, stderr) = sidecar.command(&["cursors", "list"]);
    assert_eq!(status, 0, "{stderr}");
    let line = listed.lines().find(|line| line.starts_with("siem / app: ")).unwrap_or_else(|| panic!("{listed}"));
    let numbers: Vec<u64> = line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    numbers[..3].try_into().unwrap()
}

fn in_books(sidecar: &Sidecar) -> Totals {
    let metrics = sidecar.metrics();
    ["delivered", "filtered", "dead_lettered"].map(|result| metrics.events("siem", result))
}

/// Event 56, alone or among others.
fn refuse_one(receiver: &Receiver) {
    receiver.rule(|delivery| Reply::status(if is_refused(delivery) { 400 } else { 200 }));
}

fn assert_no_bug(sidecar: &Sidecar) {
    assert!(!sidecar.stderr().contains("a bug"), "{}", sidecar.stderr());
}

#[test]
fn the_journal_and_the_books_agree_where_a_batch_is_narrowed() {
    let receiver = Receiver::start();
    refuse_one(&receiver);
    let sidecar = narrowed(&receiver);
    write_records(&sidecar);
    let mut sidecar = sidecar.start();
    sidecar.wait_settled("siem", 96);
    assert_eq!((in_books(&sidecar), recorded(&sidecar)), (TRUTH, TRUTH));
    sidecar.stop_drained();
    assert_eq!(recorded(&sidecar), TRUTH);
    assert_no_bug(&sidecar);
}

/// The over-long line becomes a stub, which is delivered beside the events that are counted.
fn narrowed(receiver: &Receiver) -> Sidecar {
    Sidecar::new()
        .file_source_with("app", "logs/*.ndjson", "scanInterval: 100ms\nmaxEventBytes: 2KiB")
        .top("drainTimeout: 2s")
        .forwarder("siem", &receiver.url(), &quick(KEYS))
}

/// Answers some requests and hangs from then on.
fn narrow_until(receiver: &Receiver, answered: usize) {
    let asked = Arc::new(AtomicUsize::new(0));
    receiver.rule(move |delivery| match asked.fetch_add(1, Ordering::SeqCst) < answered {
        true => Reply::status(if is_refused(delivery) { 400 } else { 200 }),
        false => Reply::hang(),
    });
}

#[test]
fn a_kill_amid_the_parts_counts_nothing_twice() {
    for answered in [3, 8] {
        let receiver = Receiver::start();
        narrow_until(&receiver, answered);
        let sidecar = narrowed(&receiver);
        write_records(&sidecar);
        let mut sidecar = sidecar.start();
        receiver.wait_until("the request that hangs", PATIENCE, |requests| requests.len() > answered);
        let before = recorded(&sidecar);
        assert_eq!(before, in_books_of_settled(&sidecar, before), "after {answered} answers");
        sidecar.kill();
        refuse_one(&receiver);
        sidecar.start_again();
        sidecar.wait_settled("siem", TRUTH.iter().sum::<u64>() - before.iter().sum::<u64>());
        assert_eq!(recorded(&sidecar), TRUTH, "after {answered} answers");
        // The books begin with the process: with what was settled before they make the same.
        let after = in_books(&sidecar);
        assert_eq!([0, 1, 2].map(|n| before[n] + after[n]), TRUTH, "after {answered} answers");
        sidecar.stop_drained();
        assert_no_bug(&sidecar);
    }
}

/// The books count what is filtered and set aside here when the batch is first sent, the journal when its part is
/// settled: what is delivered is the same in both, the rest is no more than that.
fn in_books_of_settled(sidecar: &Sidecar, recorded: Totals) -> Totals {
    let books = in_books(sidecar);
    assert!(recorded[1] <= books[1] && recorded[2] <= books[2], "{recorded:?} of {books:?}");
    [books[0], recorded[1], recorded[2]]
}

#[test]
fn rules_that_change_between_kill_and_restart_count_each_record_once() {
    let receiver = Receiver::start();
    narrow_until(&receiver, 5);
    let sidecar = narrowed(&receiver);
    write_records(&sidecar);
    let mut sidecar = sidecar.start();
    receiver.wait_until("the request that hangs", PATIENCE, |requests| requests.len() > 5);
    let before = recorded(&sidecar);
    sidecar.kill();
    refuse_one(&receiver);
    // Now deletes are kept back and updates pass; event 56 is a delete.
    let yaml = sidecar.yaml().replace("disabledEvents: [update]", "disabledEvents: [delete]");
    sidecar.set_config(&yaml);
    sidecar.start_again();
    sidecar.wait_settled("siem", 96 - before.iter().sum::<u64>());
    let after = recorded(&sidecar);
    assert_eq!(after.iter().sum::<u64>(), 96, "{before:?} {after:?}");
    assert_eq!([0, 1, 2].map(|n| before[n] + in_books(&sidecar)[n]), after);
    sidecar.stop_drained();
    assert_no_bug(&sidecar);
}

// As many lines as before, but others.
#[test]
fn other_lines_that_the_rules_of_now_set_aside_are_in_the_dead_letters_too() {
    for reload in [false, true] {
        let receiver = Receiver::start();
        receiver.always(Reply::status(503));
        let (plain, cri) =
            (r#"{"id":"plain","type":"login"}"#, r#"2026-01-01T00:00:00.000000001Z stdout F {"id":"c1"}"#);
        let sidecar = Sidecar::new()
            .file_source_with("app", "logs/*.ndjson", "scanInterval: 100ms\nformat: cri")
            .top("drainTimeout: 2s")
            .forwarder("siem", &receiver.url(), &quick(""));
        sidecar.append(LOG, format!("{plain}\n{cri}\n"));
        let mut sidecar = sidecar.start();
        receiver.wait_for_requests(1);
        let yaml = sidecar.yaml().replace("\n  format: cri", "");
        assert_ne!(yaml, sidecar.yaml());
        if reload {
            sidecar.set_config(&yaml);
            sidecar.hup();
            sidecar.wait_for_log("sending what remains of a batch under a new id");
            receiver.always(Reply::status(200));
        } else {
            sidecar.kill();
            receiver.always(Reply::status(200));
            sidecar.set_config(&yaml);
            sidecar.start_again();
        }
        receiver.wait_until("the plain line", PATIENCE, |requests| {
            requests.iter().any(|request| request.accepted() && request.text().contains(plain))
        });
        let letters = sidecar.dead_letters("siem");
        let kept: Vec<String> = letters
            .iter()
            .map(|letter| match letter["payload"].as_str() {
                Some(text) => text.to_owned(),
                None => letter["payload_base64"].as_str().unwrap().to_owned(),
            })
            .collect();
        // The second is streamed: base64 of `2026-01-01T`.
        assert!(
            kept.contains(&plain.to_owned()) && kept.iter().any(|text| text.starts_with("MjAyNi0wMS0wMV")),
            "{kept:?}"
        );
        sidecar.stop_drained();
    }
}
