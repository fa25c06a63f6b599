//! Many files, large files beside small ones.

use std::time::{Duration, Instant};

use super::{QUICK_FORWARDER, assert_exactly, sorted, tailing, tailing_with};
use crate::{events, receiver::Receiver};

// A24: far more files than descriptors.
#[test]
fn ten_thousand_files_are_followed_with_256_descriptors() {
    let receiver = Receiver::start();
    let source = "scanInterval: 1s";
    let mut sidecar = crate::sidecar::Sidecar::new()
        .top("drainTimeout: 10s")
        .file_source_with("app", "logs/*.ndjson", source)
        .forwarder("siem", &receiver.url(), QUICK_FORWARDER)
        .through(&["sh", "-c", "ulimit -n 256; exec \"$@\"", "sh"]);
    let name = |n: u64| format!("logs/{n}.ndjson");
    (0..10_000).for_each(|n| sidecar.write_lines(&name(n), n..n + 1));
    sidecar.start_again();
    let arrived = sorted(&receiver.wait_for_lines(10_000));
    assert!(arrived == (0..10_000).collect::<Vec<_>>());
    assert!(sidecar.open_descriptors() < 256);
    (0..10_000).for_each(|n| sidecar.write_lines(&name(n), n + 10_000..n + 10_001));
    let arrived = sorted(&receiver.wait_for_lines(20_000));
    assert!(arrived == (0..20_000).collect::<Vec<_>>());
    let peak = sidecar.peak_rss_kib();
    assert!(peak < 120 << 10, "{peak} KiB");
    sidecar.assert_books_balance();
    // B16, E6: rotated away all at once, far more than can be held open.
    (0..10_000).for_each(|n| sidecar.rename(&name(n), &format!("{}.1", name(n))));
    (0..100).for_each(|n| sidecar.write_lines(&name(n), n + 20_000..n + 20_001));
    let arrived = sorted(&receiver.wait_for_lines(20_100));
    assert!(arrived == (0..20_100).collect::<Vec<_>>());
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    assert_eq!(receiver.accepted_lines().len(), 20_100);
}

// A25
#[test]
fn small_files_do_not_wait_for_a_large_one() {
    let receiver = Receiver::start();
    receiver.rule(|_| crate::receiver::Reply::status(200).delay(Duration::from_millis(10)));
    let mut sidecar = tailing("logs/*.ndjson", &receiver);
    let line = format!("{{\"n\":null,\"large\":true,\"pad\":\"{}\"}}\n", "x".repeat(1000));
    let block = line.repeat(1000);
    (0..40).for_each(|_| sidecar.append("logs/a-large.ndjson", &block));
    sidecar.start_again();
    receiver.wait_for_requests(2);
    let begun = Instant::now();
    (0..50).for_each(|n| sidecar.write_lines(&format!("logs/small-{n}.ndjson"), n..n + 1));
    let is_small = |line: &String| line.contains("\"id\":\"evt-");
    receiver.wait_until("the small files", Duration::from_secs(10), |deliveries| {
        deliveries.iter().filter(|d| d.accepted()).flat_map(|d| d.lines()).filter(is_small).count() == 50
    });
    let waited = begun.elapsed();
    let large = receiver.accepted_lines().iter().filter(|line| !is_small(line)).count();
    assert!(large < 40_000, "the large file was read first");
    assert!(waited < Duration::from_secs(5), "{waited:?}");
}

// A43: a writer much faster than the receiver.
#[test]
fn a_slow_receiver_costs_time_and_no_memory() {
    let receiver = Receiver::start();
    receiver.rule(|_| crate::receiver::Reply::status(200).delay(Duration::from_millis(20)));
    let forwarder = "batch: {maxEvents: 1000, maxAge: 20ms}";
    let mut sidecar = tailing_with("logs/audit.ndjson", "", &receiver, forwarder).start();
    let block = events::lines(0..1000);
    sidecar.append("logs/audit.ndjson", &block);
    receiver.wait_for_lines(1000);
    let before = sidecar.rss_kib();
    for n in 1..60 {
        sidecar.write_lines("logs/audit.ndjson", n * 1000..n * 1000 + 1000);
    }
    sidecar.wait_for_metrics("a backlog", |metrics| {
        metrics.get("auditpost_backlog_bytes", &[("forwarder", "siem"), ("source", "app")]).is_some_and(|b| b > 1e6)
    });
    receiver.wait_for_lines(60_000);
    let grown = sidecar.peak_rss_kib().saturating_sub(before);
    assert!(grown < 12 << 10, "{grown} KiB");
    assert_exactly(&mut sidecar, &receiver, 0..60_000);
}

// A receiver that is slow, and a file whose name begins with that of a busy one.
#[test]
fn a_live_file_gets_its_turn_beside_a_busy_one_whatever_their_names_begin_with() {
    let receiver = Receiver::start();
    receiver.rule(|_| crate::receiver::Reply::status(200).delay(Duration::from_millis(50)));
    let small = "batch: {maxEvents: 20, maxAge: 20ms}";
    let mut sidecar = tailing_with("logs/audit.log*", "", &receiver, small);
    sidecar.write_lines("logs/audit.log", 1000..21_000);
    sidecar.write_lines("logs/audit.log.json", 0..1);
    sidecar.start_again();
    for n in 0..13 {
        let is_it = |line: &String| line.contains(&format!("evt-{n:010}"));
        let arrived = receiver.wait_until("an event of the quiet file", Duration::from_secs(20), |deliveries| {
            deliveries.iter().filter(|it| it.accepted()).flat_map(|it| it.lines()).any(|line| is_it(&line))
        });
        let before: usize = arrived.iter().map(|it| it.line_count()).sum();
        assert!(before < 10_000, "event {n} came behind {before} others");
        sidecar.write_lines("logs/audit.log.json", n + 1..n + 2);
    }
}
