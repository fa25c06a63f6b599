//! What clients of `tcp` and `unix` streams do, and what the spool does under them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use super::{QUICK_FORWARDER, TCP, alive, arrived, connect, dead, with_source};
use crate::{events::lines, receiver::Receiver, sidecar::Sidecar, tools::wait_until};

/// Reads to the end, or to the reset, and gives what came before.
fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

// J2, J10
#[test]
fn lines_and_counted_records_arrive_and_the_last_needs_no_line_end() {
    let receiver = Receiver::start();
    let mut sidecar = with_source(TCP, &receiver).start();
    let mut stream = connect(&sidecar);
    let text = lines(0..4);
    let [zero, one, two, three] = text.lines().collect::<Vec<_>>()[..] else { panic!("four") };
    let sent = format!("{zero}\r\n{} {one}\n{two}\n\n\r\n{three}", one.len());
    for piece in sent.as_bytes().chunks(7) {
        stream.write_all(piece).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(stream), "");
    assert_eq!(receiver.wait_for_lines(4), [zero, one, two, three]);
    sidecar.assert_books_balance();
    assert_eq!(sidecar.stop(), 0);
}

// J3
#[test]
fn a_half_line_before_a_reset_is_refused_counted_and_said() {
    let receiver = Receiver::start();
    let mut sidecar = with_source(TCP, &receiver).start();
    let mut stream = connect(&sidecar);
    stream.write_all(lines(0..1).as_bytes()).unwrap();
    stream.write_all(b"{\"half").unwrap();
    receiver.wait_for_lines(1);
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
    sidecar.wait_for_alarm("gap", "broke off");
    let cut = |metrics: &crate::metrics::Metrics| {
        metrics.sum("auditpost_source_refused_total", &[("reason", "cut")]) == 1.0
    };
    sidecar.wait_for_metrics("the count", cut);
    assert_eq!(receiver.accepted_lines().len(), 1);
    assert_eq!(sidecar.stop(), 11);
    let said = sidecar.stderr();
    assert!(said.lines().last().unwrap().contains("and not all could be: source app: "), "{said}");
}

// J7: within 8 MiB it is kept whole, above its length and digest stay; the next line is untouched.
#[test]
fn a_line_that_is_too_long_is_never_lost_in_silence() {
    let receiver = Receiver::start();
    let sidecar = with_source(TCP, &receiver).start();
    let mut stream = connect(&sidecar);
    let long = format!("{{\"long\":\"{}\"}}\n", "x".repeat(2 << 20));
    let longer = "y".repeat(9 << 20);
    stream.write_all(format!("{long}{longer}\n{}", lines(7..8)).as_bytes()).unwrap();
    let all = receiver.wait_for_lines(3);
    assert!(all.iter().any(|line| line.contains("line_too_long") && line.contains("\"bytes\":9437184")), "{all:?}");
    assert!(all.iter().any(|line| line.contains("\"n\":7")), "{all:?}");
    let (status, letters, _) = sidecar.command(&["dead-letters", "list"]);
    assert!(status == 0 && letters.contains("too_large") || letters.contains("long"), "{letters}");
    sidecar.assert_books_balance();
}

// J12, D2: kill -9 at any moment; what was acknowledged is delivered.
#[test]
fn every_acknowledged_record_outlives_a_kill() {
    let receiver = Receiver::start();
    let mut sidecar = with_source(&format!("{TCP}\nacks: true"), &receiver).start();
    let mut acknowledged = 0;
    for round in 0..4_u64 {
        let stream = connect(&sidecar);
        let mut writer = stream.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            for n in 0..100_000 {
                let n = round * 1_000_000 + n;
                if writer.write_all(lines(n..n + 1).as_bytes()).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let mut last = 0;
        let mut acks = BufReader::new(stream);
        for _ in 0..5 {
            let mut ack = String::new();
            acks.read_line(&mut ack).unwrap();
            let count: u64 = ack.trim_end().strip_prefix("ok ").unwrap().parse().unwrap();
            assert!(count > last, "{ack:?} after {last}");
            last = count;
        }
        sidecar.kill();
        sending.join().unwrap();
        sidecar.start_again();
        acknowledged += last;
        let all_there = |numbers: &[u64]| {
            let there = numbers.iter().filter(|n| (round * 1_000_000..round * 1_000_000 + last).contains(n)).count();
            there as u64 == last
        };
        wait_until("all that was acknowledged", || all_there(&arrived(&receiver)));
    }
    assert!(acknowledged > 20);
}

// D28, J14, J15: one receiver is dead and the spool is small.
#[test]
fn a_full_spool_stops_reading_says_so_and_recovers_by_itself() {
    let (dead_one, live_one) = (Receiver::start(), Receiver::start());
    dead(&dead_one);
    let mut sidecar = Sidecar::new()
        .source("app", &format!("{TCP}\nmaxBytes: 1MiB"))
        .forwarder("dead", &dead_one.url(), QUICK_FORWARDER)
        .forwarder("live", &live_one.url(), QUICK_FORWARDER)
        .start();
    let mut stream = connect(&sidecar);
    let sending = std::thread::spawn(move || {
        for n in 0..40_000 {
            stream.write_all(format!("{{\"n\":{n},\"fill\":\"{}\"}}\n", "z".repeat(300)).as_bytes()).unwrap();
        }
    });
    sidecar.wait_for_alarm("full", "no events are taken until there is room");
    assert!(!sending.is_finished(), "the sender must wait");
    let spool: u64 = std::fs::read_dir(sidecar.path("state/spool/app"))
        .unwrap()
        .filter_map(|file| file.ok().filter(|file| file.path().extension().is_some_and(|it| it == "ndjson")))
        .map(|file| file.metadata().unwrap().len())
        .sum();
    assert!(spool <= 1 << 20, "{spool}");
    alive(&dead_one);
    sending.join().unwrap();
    for receiver in [&dead_one, &live_one] {
        wait_until("all of them", || receiver.accepted_lines().len() >= 40_000);
    }
    sidecar.assert_books_balance();
    assert_eq!(sidecar.stop(), 0);
}

// J1, J4: half a line from each of 1,000 clients, and one that works.
#[test]
fn a_thousand_clients_with_half_lines_stay_within_the_printed_bound() {
    let receiver = Receiver::start();
    let mut sidecar = with_source(&format!("{TCP}\nmaxConnections: 1001\nidleTimeout: 4s"), &receiver).start();
    let half = vec![b'x'; 12 * 1024];
    let mut clients = Vec::new();
    for _ in 0..1000 {
        let mut stream = connect(&sidecar);
        stream.write_all(&half).unwrap();
        clients.push(stream);
    }
    let mut works = connect(&sidecar);
    works.write_all(lines(0..100).as_bytes()).unwrap();
    receiver.wait_for_lines(100);
    let said = sidecar.stderr();
    let (_, bound) = said.split_once("memory_at_most=").unwrap();
    let bound: u64 = bound.trim_start_matches('"').split(' ').next().unwrap().parse().unwrap();
    assert!(sidecar.peak_rss_kib() / 1024 < bound, "{} KiB of {bound} MiB", sidecar.peak_rss_kib());
    // The idle ones are let go.
    let mut first = clients.swap_remove(0);
    let _ = first.read(&mut [0]);
    sidecar.wait_for_log("an idle connection is closed");
    sidecar.stop_drained();
}

// J6
#[test]
fn more_clients_than_allowed_wait_until_one_leaves() {
    let receiver = Receiver::start();
    let sidecar = with_source(&format!("{TCP}\nmaxConnections: 1"), &receiver).start();
    let mut first = connect(&sidecar);
    first.write_all(lines(0..1).as_bytes()).unwrap();
    receiver.wait_for_lines(1);
    let mut second = connect(&sidecar);
    second.write_all(lines(1..2).as_bytes()).unwrap();
    sidecar.wait_for_log("maxConnections is reached");
    assert_eq!(arrived(&receiver), [0]);
    first.write_all(lines(2..3).as_bytes()).unwrap();
    receiver.wait_for_lines(2);
    drop(first);
    receiver.wait_for_lines(3);
}

// J1: who is quiet between two records may stay, until others wait.
#[test]
fn a_quiet_client_stays_while_there_is_room() {
    let receiver = Receiver::start();
    let sidecar = with_source(&format!("{TCP}\nmaxConnections: 1\nidleTimeout: 300ms"), &receiver).start();
    // Alone it is itself as many as may be.
    let first = connect(&sidecar);
    assert_eq!(rest(first), "", "others might wait");
    let sidecar = with_source(&format!("{TCP}\nidleTimeout: 300ms"), &receiver).start();
    let (mut quiet, mut within) = (connect(&sidecar), connect(&sidecar));
    within.write_all(b"{\"half").unwrap();
    assert_eq!(rest(within), "");
    quiet.write_all(lines(0..1).as_bytes()).unwrap();
    receiver.wait_for_lines(1);
    assert_eq!(sidecar.times_said("an idle connection is closed"), 1);
}

// J26
#[test]
fn too_many_open_files_pause_accepting_and_it_goes_on() {
    let receiver = Receiver::start();
    let sidecar = with_source(TCP, &receiver).through(&["sh", "-c", "ulimit -n 40; exec \"$@\"", "sh"]);
    let sidecar = sidecar.start();
    let mut clients: Vec<TcpStream> = (0..60).map(|_| connect(&sidecar)).collect();
    sidecar.wait_for_log("cannot accept connections");
    let failures = sidecar.times_said("cannot accept connections");
    clients.truncate(1);
    // It stays for a while, so that now that the pages have descriptors again they show it.
    sidecar.wait_for_alarm("file", "lower maxConnections");
    let mut works = connect(&sidecar);
    works.write_all(lines(0..10).as_bytes()).unwrap();
    receiver.wait_for_lines(10);
    assert!(failures <= 2, "it must not spin: {failures}");
    sidecar.wait_for_status("no alarm", |status| status["alarms"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(sidecar.times_said("accepting connections no longer fails"), 1, "{}", sidecar.stderr());
}

// J27
#[test]
fn a_stop_with_open_connections_takes_what_was_received_and_ends_in_time() {
    let receiver = Receiver::start();
    let mut sidecar = with_source(TCP, &receiver).start();
    let idle: Vec<TcpStream> = (0..100).map(|_| connect(&sidecar)).collect();
    let mut busy = connect(&sidecar);
    busy.write_all(lines(0..1000).as_bytes()).unwrap();
    receiver.wait_for_lines(1000);
    let begun = std::time::Instant::now();
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(arrived(&receiver).len(), 1000);
    drop(idle);
}

#[test]
fn syslog_headers_are_left_out() {
    let receiver = Receiver::start();
    let sidecar = with_source(&format!("{TCP}\nframing: syslog"), &receiver).start();
    let mut stream = connect(&sidecar);
    let text = lines(0..2);
    let (zero, one) = text.trim_end().split_once('\n').unwrap();
    let counted = format!("<13>1 2026-01-02T03:04:05Z host app 1 - [a b=\"]\"] {zero}").replace("\"]\"", "\"\\]\"");
    writeln!(stream, "{} {counted}<13>Jan  2 03:04:05 host app[1]: {one}", counted.len()).unwrap();
    assert_eq!(receiver.wait_for_lines(2), [zero, one]);
}
