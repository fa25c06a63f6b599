//! A loss is told when it happens, to every forwarder that had not read what is gone, and named alike everywhere.

use std::fs;

use crate::{
    events,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tail::{QUICK_FORWARDER, QUICK_SOURCE},
};

const LOG: &str = "logs/audit.ndjson";

fn gaps(sidecar: &Sidecar, args: &[&str]) -> Vec<serde_json::Value> {
    let (status, out, said) = sidecar.command(&[&["gaps", "list", "--json"], args].concat());
    assert_eq!((status, said.as_str()), (0, ""), "{out}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn gap_bytes(status: &serde_json::Value, forwarder: usize) -> u64 {
    status["forwarders"][forwarder]["sources"][0]["gapBytes"].as_u64().unwrap()
}

// A6, A7 of the field's reports.
#[test]
fn a_truncation_while_the_receiver_refuses_us_is_told_at_once() {
    let (siem, archive) = (Receiver::start(), Receiver::start());
    let mut sidecar = Sidecar::new()
        .file_source_with("app", LOG, QUICK_SOURCE)
        .forwarder("siem", &siem.url(), QUICK_FORWARDER)
        .forwarder("archive", &archive.url(), "batch: {maxEvents: 10, maxAge: 20ms}\nretry: {probe: 200ms}");
    sidecar.write_lines(LOG, 0..5);
    sidecar.start_again();
    siem.wait_for_lines(5);
    archive.wait_for_lines(5);
    archive.always(Reply::status(403));
    // More than may be read ahead: the rest waits in the file.
    sidecar.write_lines(LOG, 5..1000);
    siem.wait_for_lines(1000);
    sidecar.wait_for_alarm("held", "403");
    let size = fs::metadata(sidecar.path(LOG)).unwrap().len();
    let before = sidecar.wait_for_status("the backlog", |status| {
        status["forwarders"][1]["sources"][0]["backlogBytes"].as_u64() > Some(size / 2)
    });
    assert_eq!(gap_bytes(&before, 1), 0);
    sidecar.truncate(LOG, 0);
    let status = sidecar.wait_for_status("the gap", |status| gap_bytes(status, 1) > 0);
    let lost = gap_bytes(&status, 1);
    assert!(lost > size / 2 && lost < size, "{lost} of {size}");
    assert_eq!((gap_bytes(&status, 0), status["forwarders"][1]["state"].as_str()), (0, Some("held")));
    let kept = size - lost;
    sidecar.wait_for_status("the backlog without what is lost", |status| {
        status["forwarders"][1]["sources"][0]["backlogBytes"].as_u64() < Some(kept)
    });
    let alarm = sidecar.wait_for_alarm("gap", "can never be delivered");
    let metrics = sidecar.metrics();
    let labels = [("forwarder", "archive"), ("source", "app"), ("reason", "truncated")];
    assert_eq!(metrics.get("auditpost_gaps_total", &labels), Some(1.0));
    assert_eq!(metrics.get("auditpost_gap_bytes_total", &labels), Some(lost as f64));
    sidecar.assert_books_balance();

    // The same bytes: in the alarm, in the log, in the list; while it runs and without it, and after a compaction.
    let listed = gaps(&sidecar, &[]);
    let gap = &listed[0];
    let (start, end) = (gap["start"].as_u64().unwrap(), gap["end"].as_u64().unwrap());
    assert_eq!((listed.len(), end - start, end), (1, lost, size));
    assert_eq!((&gap["forwarder"], &gap["source"], &gap["segment"]), (&"archive".into(), &"app".into(), &1.into()));
    assert!(gap["path"].as_str().unwrap().ends_with(LOG), "{gap}");
    assert!(gap["lastBefore"].is_string() && gap["firstAfter"].is_null(), "{gap}");
    assert!(
        alarm.contains(&format!("{lost} bytes, {start} to {end}, of ")) && alarm.contains("gaps list"),
        "{alarm}"
    );
    sidecar.wait_for_log(&format!("start={start} end={end}"));

    // What was read before the loss is delivered, and so is what was written after it.
    sidecar.write_lines(LOG, 1000..1005);
    archive.always(Reply::status(200));
    let first_lost = (0..=1000).find(|n| events::lines(0..*n).len() as u64 > start).unwrap() - 1;
    let expected: Vec<u64> = (0..first_lost).chain(1000..1005).collect();
    assert_eq!(events::numbers(&archive.wait_for_lines(expected.len())), expected);
    sidecar.wait_for_metrics("all is settled", |metrics| metrics.sum("auditpost_backlog_bytes", &[]) == 0.0);
    assert_eq!(gap_bytes(&sidecar.status(), 1), lost);
    assert_eq!(sidecar.stop(), 11);
    // A start writes the journal anew.
    sidecar.start_again();
    sidecar.wait_for_readyz(200);
    assert_eq!(sidecar.stop(), 0);
    let after = gaps(&sidecar, &["--forwarder", "archive"]);
    assert!(after.len() == 1 && after[0]["firstAfter"].is_string(), "{after:?}");
    assert_eq!((&after[0]["start"], &after[0]["end"], &after[0]["time"]), (&gap["start"], &gap["end"], &gap["time"]));
    assert_eq!(gaps(&sidecar, &["--forwarder", "siem"]), [serde_json::Value::Null; 0]);
    assert_eq!(gaps(&sidecar, &["--since", "2100-01-01"]), [serde_json::Value::Null; 0]);
    let (status, text, _) = sidecar.command(&["gaps", "list"]);
    assert!(status == 0 && text.contains(&format!("archive / app: bytes {start} to {end} of ")), "{text}");
    let (status, _, said) = sidecar.command(&["gaps", "list", "--forwarder", "nobody"]);
    assert!(status == 64 && said.contains("those that have: archive, siem"), "{said}");
}
