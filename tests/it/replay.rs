//! `auditpost replay`: what was delivered once goes out again, as it was, or is said to be gone.

use std::fs;

use crate::{
    receiver::{Delivery, Receiver, Reply},
    sidecar::Sidecar,
};

const LOG: &str = "logs/audit.ndjson";

/// 40 events in four batches, delivered and settled, and the process stopped. The requests so far are forgotten, but given.
fn delivered(receiver: &Receiver, more: &str) -> (Sidecar, Vec<Delivery>) {
    let sidecar =
        Sidecar::new().file_source_with("app", "logs/*.ndjson", "scanInterval: 50ms\nsealAfter: 50ms").forwarder(
            "siem",
            &receiver.url(),
            &format!("batch: {{maxEvents: 10, maxAge: 50ms}}\nretry: {{initial: 10ms, max: 20ms}}\n{more}"),
        );
    sidecar.write_lines(LOG, 0..40);
    let mut sidecar = sidecar.start();
    sidecar.wait_for_metrics("40 delivered events", |metrics| metrics.events("siem", "delivered") == 40);
    assert_eq!(sidecar.stop(), 0);
    let deliveries = receiver.deliveries();
    receiver.clear();
    assert_eq!(deliveries.len(), 4);
    (sidecar, deliveries)
}

fn replay(sidecar: &Sidecar, more: &[&str]) -> (i32, String, String) {
    sidecar.command(&[&["replay", "--forwarder", "siem", "--since", "1h"], more].concat())
}

fn what_was_sent(deliveries: &[Delivery]) -> Vec<(String, String, Vec<u8>)> {
    let number = |delivery: &Delivery| delivery.header("auditpost-batch").unwrap().to_owned();
    deliveries.iter().map(|delivery| (delivery.id().to_owned(), number(delivery), delivery.body.to_vec())).collect()
}

#[test]
fn batches_are_sent_again_under_their_ids_with_the_same_bytes_and_no_cursor_moves() {
    let receiver = Receiver::start();
    let (mut sidecar, before) = delivered(&receiver, "disabledEvents: [nothing_of_it]");
    let journal = fs::read(sidecar.path("state/forwarders/siem/journal")).unwrap();

    let (status, out, told) = replay(&sidecar, &["--dry-run"]);
    assert_eq!((status, told.as_str()), (0, ""), "{out}");
    assert!(out.contains("4 batches (40 events) would be sent again"), "{out}");
    assert!(receiver.deliveries().is_empty());

    let (status, out, told) = replay(&sidecar, &[]);
    assert_eq!((status, told.as_str()), (0, ""), "{out}");
    assert!(out.ends_with("4 batches (40 events) sent again\n"), "{out}");
    assert_eq!(what_was_sent(&receiver.deliveries()), what_was_sent(&before));
    assert_eq!(fs::read(sidecar.path("state/forwarders/siem/journal")).unwrap(), journal);

    receiver.clear();
    let (status, ..) = replay(&sidecar, &["--new-ids"]);
    assert_eq!(status, 0);
    let anew = what_was_sent(&receiver.deliveries());
    for ((id, number, body), (was, _, bytes)) in anew.iter().zip(what_was_sent(&before)) {
        assert!(*id != was && number == "0" && *body == bytes, "{id} {number}");
    }
    assert_eq!(anew.len(), 4);

    // It may run beside an instance, whose own account goes on where it was.
    receiver.clear();
    sidecar.append(LOG, "{\"n\":40}\n");
    sidecar.start_again();
    receiver.wait_for_lines(1);
    assert_eq!(replay(&sidecar, &["--until", "1h"]).0, 0, "nothing was settled before an hour ago");
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(receiver.accepted_lines(), ["{\"n\":40}"]);
}

#[test]
fn a_time_range_takes_the_batches_that_were_settled_in_it() {
    let receiver = Receiver::start();
    // Each batch is settled some time after the one before.
    receiver.always(Reply::status(200).delay(std::time::Duration::from_millis(20)));
    let (sidecar, before) = delivered(&receiver, "");
    let (_, out, _) = replay(&sidecar, &["--dry-run"]);
    let times: Vec<&str> = out.lines().filter_map(|line| line.split("settled ").nth(1)?.split(',').next()).collect();
    let [_, second, _, fourth] = times[..] else { panic!("{out}") };
    let (status, out, _) = sidecar.command(&["replay", "--forwarder", "siem", "--since", second, "--until", fourth]);
    assert_eq!(status, 0, "{out}");
    assert_eq!(what_was_sent(&receiver.deliveries()), what_was_sent(&before[1..3]));
}

#[test]
fn a_rotated_file_is_found_and_one_that_is_gone_or_rewritten_is_counted() {
    let receiver = Receiver::start();
    let (sidecar, before) = delivered(&receiver, "");
    sidecar.rename(LOG, "logs/audit.ndjson.1");
    sidecar.append(LOG, "{\"other\":1}\n");
    let (status, out, _) = replay(&sidecar, &[]);
    assert_eq!(status, 0, "{out}");
    assert_eq!(what_was_sent(&receiver.deliveries()), what_was_sent(&before));

    // One byte of the third batch is another: the two before it are whole, and of the rest nobody knows.
    receiver.clear();
    let mut bytes = fs::read(sidecar.path("logs/audit.ndjson.1")).unwrap();
    let third: usize = before[..3].iter().map(|delivery| delivery.body.len()).sum();
    bytes[third - 3] ^= 1;
    fs::write(sidecar.path("logs/audit.ndjson.1"), &bytes).unwrap();
    let (status, out, _) = replay(&sidecar, &[]);
    assert_eq!(status, 10, "{out}");
    assert!(out.contains("1 batches (10 events) not: they cannot be replayed"), "{out}");
    let sent = [&before[..2], &before[3..]].concat();
    assert_eq!(what_was_sent(&receiver.deliveries()), what_was_sent(&sent));

    receiver.clear();
    sidecar.remove("logs/audit.ndjson.1");
    let (status, out, _) = replay(&sidecar, &[]);
    assert_eq!(status, 10);
    assert!(
        out.contains("is gone, or has other bytes there now") && out.contains("0 batches (0 events) sent"),
        "{out}"
    );
    assert!(out.contains("4 batches (40 events) not"), "{out}");
    assert!(receiver.deliveries().is_empty());
}

#[test]
fn under_another_configuration_events_go_under_new_ids() {
    let receiver = Receiver::start();
    let (mut sidecar, before) = delivered(&receiver, "");
    let yaml = sidecar.yaml();
    let retry = yaml.lines().find(|line| line.trim_start().starts_with("retry:")).unwrap();
    let with = |key: &str| yaml.replace(retry, &format!("{}\n{retry}", retry.replace(retry.trim_start(), key)));
    sidecar.set_config(&with("format: cef"));
    let (status, out, told) = replay(&sidecar, &[]);
    assert_eq!(status, 0, "{out}{told}");
    assert!(out.contains("10 events under a new id: it has other bytes than then"), "{out}");
    let sent = receiver.deliveries();
    assert_eq!(sent.len(), 4);
    for (now, was) in sent.iter().zip(&before) {
        assert!(now.text().starts_with("CEF:0|") && now.id() != was.id() && now.line_count() == 10);
    }

    sidecar.set_config(&with("enabledEvents: [none_of_them]"));
    let (status, out, _) = replay(&sidecar, &[]);
    assert_eq!(status, 10);
    assert!(out.contains("no event of it passes the rules of today's configuration"), "{out}");
}

#[test]
fn a_receiver_that_fails_ends_it_and_says_where_to_go_on() {
    let receiver = Receiver::start();
    let (sidecar, before) = delivered(&receiver, "");
    receiver.script([Reply::status(200), Reply::status(503), Reply::status(200)]);
    receiver.always(Reply::status(401));
    let (status, out, told) = replay(&sidecar, &[]);
    assert_eq!(status, 10, "{out}");
    assert!(told.contains("answered 401") && told.contains("2 batches were sent"), "{told}");
    let since = told.trim_end().rsplit(' ').next().unwrap().to_owned();
    receiver.clear();
    receiver.always(Reply::status(200));
    let (status, ..) = sidecar.command(&["replay", "--forwarder", "siem", "--since", &since]);
    assert_eq!(status, 0);
    assert!(what_was_sent(&receiver.deliveries()).ends_with(&what_was_sent(&before[2..])));

    let (status, _, told) = sidecar.command(&["replay", "--forwarder", "nobody", "--since", "1h"]);
    assert_eq!(status, 64);
    assert!(told.contains("no forwarder is called nobody"), "{told}");
}
