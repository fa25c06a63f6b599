//! What a stop says, what its status says, and what the pages and metrics said before it: the same of each ending.

use std::fs;

use super::disk_full::{fill, on_a_small_disk};
use crate::{
    events,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tail::{QUICK_FORWARDER, QUICK_SOURCE, tailing},
    tools::can_mount,
};

const LOG: &str = "logs/audit.ndjson";
const ALL: &str = "logs/*.ndjson";

/// The last line of the log, without its time and level.
fn last_words(sidecar: &Sidecar) -> String {
    let said = sidecar.stderr();
    let last = said.lines().last().unwrap_or_default();
    last[last.find("stopped").unwrap_or_else(|| panic!("{said}"))..].to_owned()
}

/// Of the only source of a forwarder.
fn followed(sidecar: &Sidecar, forwarder: &str, number: &str) -> u64 {
    let status = sidecar.status();
    let all = status["forwarders"].as_array().unwrap();
    let one = all.iter().find(|one| one["name"] == forwarder).unwrap_or_else(|| panic!("{status}"));
    one["sources"][0][number].as_u64().unwrap()
}

fn alarm_kinds(sidecar: &Sidecar) -> Vec<String> {
    let status = sidecar.status();
    status["alarms"].as_array().unwrap().iter().map(|alarm| alarm["kind"].as_str().unwrap().to_owned()).collect()
}

fn start(receiver: &Receiver) -> Sidecar {
    let mut sidecar = tailing(ALL, receiver);
    sidecar.write_lines(LOG, 0..3);
    sidecar.start_again();
    receiver.wait_for_lines(3);
    sidecar.wait_for_metrics("all is settled", |metrics| metrics.events("siem", "delivered") == 3);
    sidecar
}

#[test]
fn all_is_delivered() {
    let receiver = Receiver::start();
    let mut sidecar = start(&receiver);
    assert_eq!(sidecar.get("/readyz").0, 200);
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(last_words(&sidecar), "stopped: everything is delivered");
}

#[test]
fn events_were_set_aside_in_this_run_and_in_no_other() {
    let receiver = Receiver::start();
    let mut sidecar = start(&receiver);
    sidecar.append(LOG, "no JSON\nneither\n");
    sidecar.wait_for_metrics("both dead letters", |metrics| metrics.events("siem", "dead_lettered") == 2);
    assert_eq!(followed(&sidecar, "siem", "deadLettered"), 2);
    assert_eq!(sidecar.get("/readyz").0, 200, "a loss does not make it unready");
    assert_eq!(sidecar.stop(), 11);
    assert_eq!(
        last_words(&sidecar),
        "stopped: what could be sent is delivered, and not all could be: 2 dead letters were written (auditpost dead-letters list)"
    );
    sidecar.start_again();
    sidecar.wait_for_readyz(200);
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(last_words(&sidecar), "stopped: everything is delivered");
}

#[test]
fn events_were_lost() {
    let receiver = Receiver::start();
    let mut sidecar = start(&receiver);
    receiver.always(Reply::status(503));
    sidecar.write_lines(LOG, 3..5);
    receiver.wait_for_requests(2);
    sidecar.kill();
    sidecar.truncate(LOG, 0);
    receiver.always(Reply::status(200));
    sidecar.start_again();
    let lost = events::lines(3..5).len() as u64;
    sidecar.wait_for_status("the gap", |status| status["forwarders"][0]["sources"][0]["gapBytes"] == lost);
    assert!(followed(&sidecar, "siem", "gap") > 0);
    assert_eq!(alarm_kinds(&sidecar), ["gap"]);
    assert_eq!(sidecar.get("/readyz").0, 200);
    assert_eq!(sidecar.stop(), 11);
    let words = last_words(&sidecar);
    assert!(words.contains("and not all could be: "), "{words}");
    assert!(words.ends_with(&format!("recorded: {lost} B, and 1 of unknown size (auditpost gaps list)")), "{words}");
}

#[test]
fn a_file_cannot_be_read() {
    let receiver = Receiver::start();
    let mut sidecar = start(&receiver);
    sidecar.append("elsewhere.ndjson", "{\"n\":7}\n");
    sidecar.symlink("elsewhere.ndjson", "logs/link.ndjson");
    sidecar.wait_for_alarm("file", "a link leads to");
    assert_eq!(sidecar.get("/readyz").0, 200, "the source scans");
    assert_eq!(sidecar.stop(), 11);
    let words = last_words(&sidecar);
    let expected = "stopped: what could be sent is delivered, and not all could be: source app: cannot read ";
    assert!(words.starts_with(expected) && words.contains("a link leads to"), "{words}");
}

#[test]
fn a_last_line_has_no_end() {
    let receiver = Receiver::start();
    let mut sidecar = start(&receiver);
    sidecar.append(LOG, "{\"n\":3");
    assert_eq!(sidecar.stop(), 10);
    assert_eq!(
        last_words(&sidecar),
        "stopped: what could be sent is delivered, and not all could be: 1 last line without its end is left, as told above"
    );
}

#[test]
fn a_removed_forwarder_has_a_backlog() {
    let (siem, archive) = (Receiver::start(), Receiver::start());
    archive.always(Reply::status(404));
    let both = |sidecar: Sidecar| {
        sidecar.file_source_with("app", LOG, QUICK_SOURCE).forwarder("siem", &siem.url(), QUICK_FORWARDER)
    };
    let mut sidecar = both(Sidecar::new()).forwarder("archive", &archive.url(), QUICK_FORWARDER);
    let with = sidecar.yaml();
    sidecar.write_lines(LOG, 0..3);
    sidecar.append(LOG, "no JSON\n");
    sidecar.start_again();
    siem.wait_for_lines(3);
    sidecar.wait_for_metrics("both have the dead letter", |m| {
        ["siem", "archive"].iter().all(|forwarder| m.events(forwarder, "dead_lettered") == 1)
    });
    sidecar.wait_for_alarm("held", "404");
    let before = sidecar.metrics();
    let without = with[..with.find("- name: archive").unwrap_or_else(|| panic!("{with}"))].to_owned();
    sidecar.set_config(&without);
    sidecar.hup();
    let size = fs::metadata(sidecar.path(LOG)).unwrap().len();
    let shown =
        sidecar.wait_for_status("it is shown as removed", |status| status["forwarders"][1]["state"] == "removed");
    assert!(shown["forwarders"][1]["reason"].as_str().unwrap().contains("cursors forget"), "{shown}");
    sidecar.wait_for_status("its backlog", |status| status["forwarders"][1]["sources"][0]["backlogBytes"] == size);
    sidecar.metrics().assert_no_counter_below(&before);
    assert_eq!(alarm_kinds(&sidecar), [""; 0]);
    // It comes back and goes on, with its counters.
    sidecar.set_config(&with);
    sidecar.hup();
    sidecar.wait_for_alarm("held", "404");
    sidecar.metrics().assert_no_counter_below(&before);
    sidecar.assert_books_balance();
    assert_eq!(followed(&sidecar, "archive", "read"), 4);
    // Over a restart it is shown too.
    sidecar.set_config(&without);
    sidecar.stop();
    sidecar.start_again();
    sidecar.wait_for_status("its backlog", |status| status["forwarders"][1]["sources"][0]["backlogBytes"] == size);
    assert_eq!(sidecar.stop(), 10);
    let words = last_words(&sidecar);
    assert!(
        words.ends_with(&format!("forwarder archive, which is no longer configured, has not delivered {size} B")),
        "{words}"
    );
    let (status, _, said) = sidecar.command(&["cursors", "forget", "--forwarder", "archive", "--yes"]);
    assert_eq!(status, 0, "{said}");
    sidecar.start_again();
    sidecar.wait_for_readyz(200);
    assert_eq!(sidecar.status()["forwarders"].as_array().unwrap().len(), 1);
    assert_eq!(sidecar.stop(), 0);
}

#[test]
fn a_new_file_waits_for_the_state_directory() {
    if !can_mount("a_new_file_waits_for_the_state_directory") {
        return;
    }
    let receiver = Receiver::start();
    let mut sidecar = on_a_small_disk(tailing(ALL, &receiver), "state", "size=512k");
    sidecar.write_lines(LOG, 0..3);
    sidecar.start_again();
    receiver.wait_for_lines(3);
    sidecar.wait_for_metrics("all is settled", |metrics| metrics.events("siem", "delivered") == 3);
    // The journal has nothing to write any more.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    fill(&sidecar.inside("state/filler"));
    sidecar.write_lines("logs/new.ndjson", 3..5);
    sidecar.wait_for_alarm("state", "the catalog cannot be written");
    sidecar.wait_for_readyz(503);
    let status = sidecar.stop();
    let words = last_words(&sidecar);
    assert!([10, 74].contains(&status) && words.contains("the catalog cannot be written"), "{status}: {words}");
    assert!(!words.contains("everything"), "{words}");
}

#[test]
fn a_backlog_and_what_was_set_aside_are_both_told() {
    let receiver = Receiver::start();
    let mut sidecar = start(&receiver);
    receiver.always(Reply::status(403));
    sidecar.append(LOG, "no JSON\n");
    sidecar.wait_for_metrics("the dead letter", |metrics| metrics.events("siem", "dead_lettered") == 1);
    sidecar.write_lines(LOG, 3..5);
    sidecar.wait_for_alarm("held", "403");
    assert_eq!(sidecar.stop(), 10);
    let words = last_words(&sidecar);
    let expected = "stopped with a backlog, which is safe on disk and is delivered after the next start; beside that: 1 dead letter was written";
    assert!(words.starts_with(expected), "{words}");
}
