//! SIGHUP with a good configuration: what changed is taken over, what did not is not touched.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use super::{alarms, hup, reload, to, yaml, yaml_with};
use crate::{
    events::{lines, numbers, typed_event},
    receiver::{Receiver, Reply},
    sidecar::{Sidecar, append},
};

const LOG: &str = "logs/audit.ndjson";

/// Writes events one after the other while `meanwhile` runs; gives how many there are in the end.
fn write_while(sidecar: &mut Sidecar, from: u64, meanwhile: impl FnOnce(&mut Sidecar)) -> u64 {
    let (path, stop) = (sidecar.path(LOG), AtomicBool::new(false));
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut n = from;
            while !stop.load(Relaxed) {
                append(&path, lines(n..n + 10));
                n += 10;
                thread::sleep(Duration::from_millis(5));
            }
            n
        });
        meanwhile(sidecar);
        stop.store(true, Relaxed);
        writer.join().unwrap()
    })
}

fn in_order(range: std::ops::Range<u64>) -> Vec<u64> {
    range.collect()
}

/// K7
#[test]
fn a_forwarder_is_added_under_load_and_the_others_do_not_notice() {
    let (siem, archive) = (Receiver::start(), Receiver::start());
    let mut sidecar = Sidecar::new().config(&yaml(&[to("siem", &siem, "")])).start();
    let count = write_while(&mut sidecar, 0, |sidecar| {
        siem.wait_for_lines(100);
        reload(sidecar, &yaml(&[to("siem", &siem, ""), to("archive", &archive, "")]));
        let before = siem.accepted_lines().len();
        archive.wait_for_lines(before);
        siem.wait_for_lines(before + 100);
    });
    assert_eq!(numbers(&siem.wait_for_lines(count as usize)), in_order(0..count), "nothing twice, nothing lost");
    assert_eq!(numbers(&archive.wait_for_lines(count as usize)), in_order(0..count), "from the beginning");
    assert_eq!(siem.connections(), 1, "its connection was not touched");
    let metrics = sidecar.wait_for_metrics("all is settled", |m| {
        ["siem", "archive"].iter().all(|forwarder| m.events(forwarder, "delivered") == count)
    });
    metrics.assert_books_balance();
    assert_eq!(sidecar.stop(), 0);
}

#[test]
fn the_same_configuration_again_touches_nothing() {
    let siem = Receiver::start();
    let mut sidecar = Sidecar::new().config(&yaml(&[to("siem", &siem, "")])).start();
    sidecar.write_lines(LOG, 0..10);
    siem.wait_for_lines(10);
    let descriptors = sidecar.open_descriptors();
    hup(&sidecar, "reloaded: the configuration is the one that runs, nothing is touched");
    sidecar.write_lines(LOG, 10..20);
    assert_eq!(numbers(&siem.wait_for_lines(20)), in_order(0..20));
    assert_eq!((siem.connections(), sidecar.times_said("forwarder stopped")), (1, 0));
    assert_eq!(sidecar.open_descriptors(), descriptors);
    assert_eq!(sidecar.stop(), 0);
}

#[test]
fn a_changed_filter_holds_from_the_next_event_on() {
    let siem = Receiver::start();
    let mut sidecar = Sidecar::new().config(&yaml(&[to("siem", &siem, "")])).start();
    sidecar.append(LOG, typed_event(0, "login") + "\n");
    siem.wait_for_lines(1);
    reload(&mut sidecar, &yaml(&[to("siem", &siem, ", disabledEvents: [login]")]));
    sidecar.append(LOG, [typed_event(1, "login"), typed_event(2, "update"), String::new()].join("\n"));
    assert_eq!(numbers(&siem.wait_for_lines(2)), [0, 2]);
    sidecar.wait_for_metrics("the login is filtered", |metrics| metrics.events("siem", "filtered") == 1);
    reload(&mut sidecar, &yaml(&[to("siem", &siem, "")]));
    sidecar.append(LOG, typed_event(3, "login") + "\n");
    assert_eq!(numbers(&siem.wait_for_lines(3)), [0, 2, 3], "what was filtered stays filtered");
    assert_eq!(sidecar.stop(), 0);
}

/// K14
#[test]
fn a_forwarder_that_is_removed_and_added_again_goes_on_at_its_cursor() {
    let (siem, archive) = (Receiver::start(), Receiver::start());
    let both = yaml(&[to("siem", &siem, ""), to("archive", &archive, "")]);
    let mut sidecar = Sidecar::new().config(&both).start();
    sidecar.write_lines(LOG, 0..10);
    archive.wait_for_lines(10);
    reload(&mut sidecar, &yaml(&[to("siem", &siem, "")]));
    sidecar.wait_for_log("no longer configured: what it has not delivered is not sent, its cursors are kept");
    sidecar.write_lines(LOG, 10..20);
    siem.wait_for_lines(20);
    assert_eq!(archive.accepted_lines().len(), 10, "it was removed");
    assert_eq!(sidecar.metrics().sum("auditpost_events_read_total", &[("forwarder", "archive")]), 10.0);
    sidecar.restart();
    sidecar.wait_for_log("no longer configured");
    reload(&mut sidecar, &both);
    assert_eq!(numbers(&archive.wait_for_lines(20)), in_order(0..20));
    assert_eq!(numbers(&siem.accepted_lines()), in_order(0..20));
    assert_eq!(sidecar.stop(), 0);
}

#[test]
fn a_removed_forwarder_holds_no_file_and_no_alarm() {
    let (siem, archive) = (Receiver::start(), Receiver::start());
    archive.always(Reply::status(404));
    let source = "scanInterval: 100ms, sealAfter: 200ms";
    let mut sidecar =
        Sidecar::new().config(&yaml_with(source, &[to("siem", &siem, ""), to("archive", &archive, "")])).start();
    sidecar.write_lines(LOG, 0..10);
    sidecar.wait_for_metrics("archive is held", |metrics| metrics.state("archive") == Some("held"));
    assert_eq!(alarms(&sidecar).len(), 1);
    // The file that archive has not delivered stays open, although it has no name any more.
    sidecar.remove(LOG);
    sidecar.write_lines(LOG, 10..20);
    siem.wait_for_lines(20);
    let open = |sidecar: &Sidecar| sidecar.metrics().sum("auditpost_files_open", &[]);
    sidecar.wait_for_metrics("both files are open", |metrics| metrics.sum("auditpost_files_open", &[]) == 2.0);
    reload(&mut sidecar, &yaml_with(source, &[to("siem", &siem, "")]));
    sidecar.wait_for_metrics("the deleted file is let go", |metrics| metrics.sum("auditpost_files_open", &[]) == 1.0);
    assert_eq!(open(&sidecar), 1.0);
    assert_eq!(alarms(&sidecar), [""; 0]);
    assert_eq!(sidecar.stop(), 10, "archive has not delivered what is in the file that stands there");
}

#[test]
fn a_changed_source_goes_on_where_it_was() {
    let siem = Receiver::start();
    let mut sidecar = Sidecar::new().config(&yaml(&[to("siem", &siem, "")])).start();
    let count = write_while(&mut sidecar, 0, |sidecar| {
        siem.wait_for_lines(50);
        reload(sidecar, &yaml_with("scanInterval: 50ms, maxEventBytes: 2KiB", &[to("siem", &siem, "")]));
        siem.wait_for_lines(siem.accepted_lines().len() + 50);
    });
    assert_eq!(numbers(&siem.wait_for_lines(count as usize)), in_order(0..count));
    let long = format!("{{\"n\":1,\"pad\":\"{}\"}}\n", "x".repeat(3000));
    sidecar.append(LOG, long);
    sidecar.wait_for_metrics("the new limit holds", |metrics| metrics.events("siem", "dead_lettered") == 1);
    sidecar.stop_drained();
}

/// K15
#[test]
fn a_renamed_source_is_read_again_and_that_is_said_first() {
    let siem = Receiver::start();
    let old = yaml(&[to("siem", &siem, "")]);
    let mut sidecar = Sidecar::new().config(&old).start();
    sidecar.write_lines(LOG, 0..10);
    siem.wait_for_lines(10);
    reload(&mut sidecar, &old.replace("name: app", "name: audit"));
    sidecar.wait_for_log("if the source was renamed, files of the new name are read from their beginning");
    siem.wait_for_lines(20);
    // The way out that it names.
    siem.clear();
    reload(&mut sidecar, &old);
    sidecar.write_lines(LOG, 10..20);
    assert_eq!(numbers(&siem.wait_for_lines(10)), in_order(10..20));
    assert_eq!(sidecar.stop(), 0);
}

/// K13
#[test]
fn another_uri_gets_what_the_first_has_not_taken_and_no_more() {
    let (first, second) = (Receiver::start(), Receiver::start());
    let mut sidecar = Sidecar::new().config(&yaml(&[to("siem", &first, "")])).start();
    sidecar.write_lines(LOG, 0..10);
    first.wait_for_lines(10);
    first.always(Reply::status(503));
    sidecar.write_lines(LOG, 10..20);
    first.wait_until("a refused batch", Duration::from_secs(20), |all| {
        all.last().is_some_and(|d| d.answer == Some(503))
    });
    let refused = first.ids().pop().unwrap();
    reload(&mut sidecar, &yaml(&[to("siem", &second, "")]));
    assert_eq!(numbers(&second.wait_for_lines(10)), in_order(10..20), "the cursor was kept");
    assert_eq!(second.accepted_ids()[0], refused, "and so was the batch's id");
    assert_eq!(sidecar.stop(), 0);
}

/// K10
#[test]
fn a_storm_of_reloads_is_no_more_than_a_few_and_leaks_nothing() {
    let siem = Receiver::start();
    let mut sidecar = Sidecar::new().config(&yaml(&[to("siem", &siem, "")])).start();
    siem.rule(|_| Reply::status(200).delay(Duration::from_millis(5)));
    sidecar.write_lines(LOG, 0..10);
    siem.wait_for_lines(10);
    let descriptors = sidecar.open_descriptors();
    let count = write_while(&mut sidecar, 10, |sidecar| {
        for _ in 0..100 {
            sidecar.hup();
            thread::sleep(Duration::from_millis(10));
        }
    });
    assert_eq!(numbers(&siem.wait_for_lines(count as usize)), in_order(0..count));
    assert_eq!(siem.connections(), 1);
    assert_eq!(sidecar.open_descriptors(), descriptors);
    // Those that come while it cannot look are one.
    let before = sidecar.times_said("reloaded:");
    assert!(before <= 100, "{before}");
    sidecar.pause();
    for _ in 0..100 {
        sidecar.hup();
    }
    sidecar.resume();
    sidecar.wait_for_log_times("reloaded:", before + 1);
    sidecar.write_lines(LOG, count..count + 10);
    siem.wait_for_lines(count as usize + 10);
    // One of the storm before may have been on the way still.
    assert!(sidecar.times_said("reloaded:") <= before + 5, "{}", sidecar.times_said("reloaded:") - before);
    assert_eq!(sidecar.stop(), 0);
}

/// K9: during back-off.
#[test]
fn a_reload_during_backoff_keeps_the_batch_its_id_and_its_attempts() {
    let (siem, other) = (Receiver::start(), Receiver::start());
    siem.always(Reply::status(503));
    let mut sidecar = Sidecar::new().config(&yaml(&[to("siem", &siem, "")])).start();
    sidecar.write_lines(LOG, 0..10);
    siem.wait_for_requests(3);
    reload(&mut sidecar, &yaml(&[to("siem", &siem, ""), to("other", &other, "")]));
    other.wait_for_lines(10);
    let seen = siem.deliveries().len();
    let attempts: Vec<u64> = siem.wait_for_requests(seen + 2).iter().map(|delivery| delivery.attempt()).collect();
    assert!(
        attempts.is_sorted() && attempts.windows(2).all(|pair| pair[0] + 1 == pair[1]),
        "untouched: {attempts:?}"
    );
    // Changed itself, it begins to count anew, with the same batch.
    reload(&mut sidecar, &yaml(&[to("siem", &siem, ", timeout: 4s"), to("other", &other, "")]));
    siem.wait_until("a first attempt", Duration::from_secs(20), |all| {
        all.iter().filter(|d| d.attempt() == 1).count() == 2
    });
    siem.always(Reply::status(200));
    assert_eq!(numbers(&siem.wait_for_lines(10)), in_order(0..10));
    assert_eq!(siem.ids().into_iter().collect::<BTreeSet<_>>().len(), 1, "one id for all attempts");
    let bodies: BTreeSet<_> = siem.deliveries().iter().map(|delivery| delivery.body.to_vec()).collect();
    assert_eq!(bodies.len(), 1, "and the same bytes");
    assert_eq!(sidecar.stop(), 0);
}

/// K9: while a batch is narrowed down to the event that is refused.
#[test]
fn a_reload_amid_narrowing_still_finds_the_one_bad_event() {
    let siem = Receiver::start();
    siem.rule(|delivery| {
        let bad = delivery.text().contains("\"n\":37,");
        Reply::status(if bad { 400 } else { 200 }).delay(Duration::from_millis(30))
    });
    let mut sidecar = Sidecar::new().config(&yaml(&[to("siem", &siem, "")]));
    sidecar.write_lines(LOG, 0..64);
    sidecar.start_again();
    siem.wait_until("the second refusal", Duration::from_secs(20), |all| {
        all.iter().filter(|delivery| delivery.answer == Some(400)).count() >= 2
    });
    reload(&mut sidecar, &yaml(&[to("siem", &siem, ", timeout: 4s")]));
    let mut good = in_order(0..64);
    good.retain(|n| *n != 37);
    let mut arrived = numbers(&siem.wait_for_lines(63));
    arrived.sort_unstable();
    assert_eq!(arrived, good);
    // Its letter is written after the last good event has arrived, or before.
    sidecar.wait_for_metrics("nothing is in flight", |m| m.sum("auditpost_events_in_flight", &[]) == 0.0);
    let letters = sidecar.dead_letters("siem");
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert!(letters[0]["payload"].as_str().unwrap().contains("\"n\":37,"), "{letters:?}");
    sidecar.stop_drained();
}

/// K9: while it drains.
#[test]
fn a_reload_while_it_drains_does_not_stop_the_drain() {
    let siem = Receiver::start();
    siem.rule(|_| Reply::status(200).delay(Duration::from_millis(100)));
    let small = format!("- {{name: siem, uri: \"{}\", batch: {{maxEvents: 10, maxAge: 50ms}}}}\n", siem.url());
    let mut sidecar = Sidecar::new().config(&yaml(&[small]));
    sidecar.write_lines(LOG, 0..100);
    sidecar.start_again();
    siem.wait_for_lines(10);
    sidecar.terminate();
    sidecar.wait_for_log("stopping: delivering what is left");
    sidecar.hup();
    assert_eq!(sidecar.wait(), 0);
    assert_eq!(numbers(&siem.accepted_lines()), in_order(0..100));
}
