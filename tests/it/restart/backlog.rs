//! Memory does not depend on the backlog.

use std::{fs::OpenOptions, io::Write, time::Duration};

use crate::{
    events,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tail::{QUICK_SOURCE, tailing},
};

const LOG: &str = "logs/audit.ndjson";
const BACKLOG: usize = 200 << 20;

/// What it said at the start that it may use, in KiB.
fn printed_bound(sidecar: &Sidecar) -> u64 {
    let said = sidecar.stderr();
    let (_, text) = said.split_once("memory_at_most=").unwrap_or_else(|| panic!("no bound in {said}"));
    let words: Vec<&str> = text.lines().next().unwrap().trim_matches('"').split(' ').collect();
    let unit = match words[1] {
        "KiB" => 1,
        "MiB" => 1 << 10,
        "GiB" => 1 << 20,
        other => panic!("{other}"),
    };
    words[0].parse::<u64>().unwrap() * unit
}

// E4, I1, D17: three forwarders, two of them dead, and 200 MB behind.
#[test]
fn a_backlog_of_200_megabytes_behind_dead_webhooks_needs_no_memory() {
    let alive = Receiver::start();
    let refusing = Receiver::start();
    refusing.always(Reply::status(503));
    let hanging = Receiver::start();
    hanging.always(Reply::hang());
    let slow = "batch: {maxAge: 20ms}\ntimeout: 2s\nretry: {initial: 50ms, max: 200ms}";
    let mut sidecar =
        tailing(LOG, &alive).forwarder("refused", &refusing.url(), slow).forwarder("hanging", &hanging.url(), slow);
    std::fs::create_dir(sidecar.path("logs")).unwrap();
    let mut file = OpenOptions::new().create(true).append(true).open(sidecar.path(LOG)).unwrap();
    let mut n = 0;
    let mut written = 0;
    while written < BACKLOG / 2 {
        let block = events::lines(n..n + 2000);
        file.write_all(block.as_bytes()).unwrap();
        n += 2000;
        written += block.len();
    }
    sidecar.start_again();
    alive.wait_for_lines(2000);
    refusing.wait_for_requests(1);
    hanging.wait_for_requests(1);
    while written < BACKLOG {
        let block = events::lines(n..n + 2000);
        file.write_all(block.as_bytes()).unwrap();
        n += 2000;
        written += block.len();
    }
    sidecar.wait_for_metrics("the backlog to be seen", |metrics| {
        let of = [("forwarder", "refused"), ("source", "app")];
        metrics.get("auditpost_backlog_bytes", &of).is_some_and(|bytes| bytes > BACKLOG as f64 - 2e6)
    });
    // The living one goes through all of it meanwhile, or through enough of it in a slow build.
    let enough = if cfg!(debug_assertions) { 100_000 } else { n as usize };
    alive.wait_until("the living one", Duration::from_secs(60), |deliveries| {
        deliveries.iter().filter(|d| d.accepted()).map(|d| d.line_count()).sum::<usize>() >= enough
    });
    let (peak, bound) = (sidecar.peak_rss_kib(), printed_bound(&sidecar));
    eprintln!("peak {peak} KiB of {bound} KiB");
    assert!(peak < bound, "{peak} KiB is more than the {bound} KiB that it printed");
    if !cfg!(debug_assertions) {
        assert!(peak < 40 << 10, "{peak} KiB");
    }
    sidecar.assert_books_balance();
    sidecar.kill();
}

// E4 as the issue states it: one dead destination.
#[test]
fn one_dead_webhook_and_a_large_backlog_stay_within_the_bound() {
    let refusing = Receiver::start();
    refusing.always(Reply::status(503));
    let mut sidecar = Sidecar::new().file_source_with("app", LOG, QUICK_SOURCE).forwarder(
        "siem",
        &refusing.url(),
        "retry: {initial: 50ms, max: 100ms}",
    );
    std::fs::create_dir(sidecar.path("logs")).unwrap();
    let mut file = OpenOptions::new().create(true).append(true).open(sidecar.path(LOG)).unwrap();
    let block = events::lines(0..5000);
    for _ in 0..BACKLOG / block.len() {
        file.write_all(block.as_bytes()).unwrap();
    }
    sidecar.start_again();
    refusing.wait_for_requests(10);
    let (peak, bound) = (sidecar.peak_rss_kib(), printed_bound(&sidecar));
    eprintln!("peak {peak} KiB of {bound} KiB");
    let limit = if cfg!(debug_assertions) { bound + (24 << 10) } else { bound.min(40 << 10) };
    assert!(peak < limit, "{peak} KiB, printed {bound} KiB");
    sidecar.kill();
}
