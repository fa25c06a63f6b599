//! What hostile names, senders and neighbours may try, beside what the stages' own tests show.

use std::{io::Write, net::TcpStream, os::unix::fs::MetadataExt, time::Instant};

use crate::{
    http::post,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tail::tailing,
};

/// A sidecar with an `http` source and a `file` source, and where the first listens.
fn intake(receiver: &Receiver) -> (Sidecar, std::net::SocketAddr) {
    let sidecar = Sidecar::new()
        .source("hooks", "kind: http\nlisten: 127.0.0.1:0")
        .file_source("app", "logs/*.ndjson")
        .forwarder("siem", &receiver.url(), "batch: {maxAge: 20ms}")
        .start();
    sidecar.wait_for_log("on=http://");
    let said = sidecar.run_stderr();
    let (_, rest) = said.split_once("on=http://").unwrap();
    let at = rest.split_whitespace().next().unwrap().parse().unwrap();
    (sidecar, at)
}

// M5: a file's name and a sender's request write no line of their own into our diagnostics, and colour none.
#[test]
fn what_others_name_writes_no_diagnostics_of_its_own() {
    let receiver = Receiver::start();
    let (mut sidecar, at) = intake(&receiver);
    let name = "logs/a\n2026-01-01T00:00:00Z ERROR forged\u{1b}[31m\u{202e}.ndjson";
    sidecar.write_lines(name, 0..1);
    sidecar.append(name, "not json\n");
    receiver.wait_for_lines(1);
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(b"POST /\x1b[31m\nforged HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let forged_path = "/%0aERROR%20forged%1b[31m";
    assert_eq!(post(at, forged_path, b"no event\x1b[31m\nERROR forged").unwrap(), 400);
    sidecar.wait_for_log("a request was refused");
    sidecar.stop_drained();
    let said = sidecar.stderr();
    assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}'), "{said:?}");
    assert!(!said.lines().any(|line| line.starts_with("2026-01-01") || line.starts_with("ERROR forged")), "{said}");
}

// M12: nothing that others choose is a label.
#[test]
fn metrics_do_not_grow_with_files_clients_or_events() {
    let receiver = Receiver::start();
    let (sidecar, at) = intake(&receiver);
    let series = || sidecar.get("/metrics").1.lines().filter(|line| !line.starts_with('#')).count();
    let round = |from: u64, to: u64| {
        for n in from..to {
            sidecar.write_lines(&format!("logs/{n}.ndjson"), n..n + 1);
            let event = format!("{{\"type\":\"type-{n}\",\"n\":{n}}}");
            assert_eq!(post(at, &format!("/path-{n}"), event.as_bytes()).unwrap(), 202);
        }
        receiver.wait_for_lines(2 * to as usize);
    };
    round(0, 5);
    let before = series();
    round(5, 200);
    let after = series();
    assert!(before > 50 && after <= before + 5, "{before} series before, {after} after");
}

// M13: through a source, not only through the scanner.
#[test]
fn events_of_absurd_shapes_end_no_process() {
    let receiver = Receiver::start();
    let (mut sidecar, at) = intake(&receiver);
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let wide: String = (0..50_000).map(|n| format!("\"k{n}\":{n},")).collect();
    let wide = format!("{{{wide}\"n\":1e400}}");
    assert_eq!(post(at, "/", deep.as_bytes()).unwrap(), 400);
    assert_eq!(post(at, "/", wide.as_bytes()).unwrap(), 202);
    sidecar.append("logs/a.ndjson", format!("{deep}\n{wide}\n"));
    let lines = receiver.wait_for_lines(2);
    assert!(lines.iter().all(|line| *line == wide), "byte for byte");
    sidecar.wait_for_metrics("the deep one", |metrics| {
        metrics.sum("auditpost_events_total", &[("result", "dead_lettered")]) == 1.0
    });
    sidecar.stop_drained();
}

// M14: tokens are in its memory.
#[test]
fn no_core_is_dumped_and_no_neighbour_looks_in() {
    let test = "no_core_is_dumped_and_no_neighbour_looks_in";
    let receiver = Receiver::start();
    let Some(mut sidecar) = tailing("logs/a.ndjson", &receiver).without_root(test) else { return };
    sidecar.start_again();
    sidecar.wait_for_log("starting");
    let proc = format!("/proc/{}", sidecar.pid());
    let limits = std::fs::read_to_string(format!("{proc}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    // What may not be dumped belongs to root in /proc, so that others of the same user cannot read it.
    assert_eq!(std::fs::metadata(format!("{proc}/environ")).unwrap().uid(), 0);
    sidecar.kill();
}

// L10: while it works hard for webhooks that are all dead.
#[test]
fn the_probes_answer_at_once_under_load() {
    let receiver = Receiver::start();
    receiver.always(Reply::status(503));
    let sidecar = tailing("logs/a.ndjson", &receiver).start();
    sidecar.wait_for_readyz(200);
    for n in 0..20 {
        sidecar.write_lines("logs/a.ndjson", n * 5000..(n + 1) * 5000);
        let begun = Instant::now();
        assert_eq!(sidecar.get("/livez").0, 200);
        assert_eq!(sidecar.get("/readyz").0, 200);
        // A tenth of that on a quiet machine.
        assert!(begun.elapsed().as_secs() < 1, "{:?}", begun.elapsed());
    }
}
