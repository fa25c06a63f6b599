//! The disk under a spool: full, slow, failing, gone.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use super::{QUICK_FORWARDER, address, arrived, with_source};
use crate::{
    disk::Disk,
    events::{event, lines},
    http::post,
    receiver::{PATIENCE, Receiver},
    sidecar::Sidecar,
    tools::{can_mount, traced, wait_until},
};

const UNIX: &str = "kind: unix\npath: \"{dir}/a.sock\"\nacks: true";
const HTTP: &str = "kind: http\nlisten: 127.0.0.1:0";
const FIRST: &str = "{dir}/state/spool/app/00000000000000000001.ndjson";

fn connect(sidecar: &Sidecar) -> UnixStream {
    sidecar.wait_for_log("taking events");
    let stream = UnixStream::connect(sidecar.path("a.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn ack(stream: &UnixStream) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

fn http(sidecar: &Sidecar) -> std::net::SocketAddr {
    sidecar.wait_for_log("taking events");
    let said = sidecar.run_stderr();
    let (_, rest) = said.split_once("on=http://").unwrap();
    rest.split_whitespace().next().unwrap().parse().unwrap()
}

// D20 to D23: a record is acknowledged once it stands in a file whose sync went well, and arrives once.
#[test]
fn a_call_on_a_segment_that_fails_once_costs_a_new_segment_and_no_record() {
    let test = "a_call_on_a_segment_that_fails_once_costs_a_new_segment_and_no_record";
    for fault in [
        "fdatasync:error=ENOSPC",
        "fdatasync:error=EIO",
        "write:error=EIO",
        "write:error=EAGAIN",
        "write:error=EINTR",
    ] {
        let receiver = Receiver::start();
        let inject = format!("inject={fault}:when=1");
        let Some(sidecar) = traced(with_source(UNIX, &receiver), test, &["-P", FIRST, "-e", &inject]) else {
            return;
        };
        let mut sidecar = sidecar.start();
        let mut stream = connect(&sidecar);
        for n in 0..3 {
            stream.write_all(lines(n..n + 1).as_bytes()).unwrap();
            assert_eq!(ack(&stream), format!("ok {}\n", n + 1), "{fault}");
        }
        receiver.wait_for_lines(3);
        assert_eq!(sidecar.stop(), 0, "{fault}");
        assert_eq!(receiver.accepted_lines(), (0..3).map(event).collect::<Vec<_>>(), "{fault}");
        let replaced = sidecar.stderr().contains("a new one is begun");
        assert_eq!(replaced, !fault.contains("EINTR"), "{fault}: {}", sidecar.stderr());
    }
}

// D22, D24: files that may not grow: a write is cut short, the next fails, and no signal ends the process.
#[test]
fn where_files_may_not_grow_segments_are_shorter_and_no_record_is_lost() {
    let receiver = Receiver::start();
    let limit = "ulimit -f 128; exec \"$@\"";
    let mut sidecar = with_source(UNIX, &receiver).through(&["sh", "-c", limit, "sh"]).start();
    let mut stream = connect(&sidecar);
    for n in 0..40 {
        stream.write_all(lines(n * 100..n * 100 + 100).as_bytes()).unwrap();
        let mut acks = BufReader::new(&stream);
        let mut line = String::new();
        while line.trim_end() != format!("ok {}", n * 100 + 100) {
            line.clear();
            assert_ne!(acks.read_line(&mut line).unwrap(), 0, "{}", sidecar.stderr());
        }
    }
    receiver.wait_for_lines(4000);
    assert_eq!(arrived(&receiver), (0..4000).collect::<Vec<_>>());
    assert!(sidecar.times_said("a new one is begun") > 5, "{}", sidecar.stderr());
    sidecar.assert_books_balance();
    sidecar.kill();
}

// D18, D19, J15: the disk is full, which is not our limit.
#[test]
fn a_full_disk_puts_senders_off_and_they_are_taken_again_when_it_has_room() {
    let test = "a_full_disk_puts_senders_off_and_they_are_taken_again_when_it_has_room";
    if !can_mount(test) {
        return;
    }
    let receiver = Receiver::start();
    let script =
        "umask 077; mkdir -p {dir}/state && mount -t tmpfs -o size=2m,mode=0700 tmpfs {dir}/state && exec \"$@\"";
    let sidecar = with_source(HTTP, &receiver).through(&["unshare", "-m", "sh", "-c", script, "sh"]);
    let mut sidecar = sidecar.start();
    let at = http(&sidecar);
    assert_eq!(post(at, "/", lines(0..1).as_bytes()).unwrap(), 202);
    let mut filler = std::fs::File::create(sidecar.inside("state/filler")).unwrap();
    while filler.write_all(&[0; 4096]).is_ok() {}
    let body = lines(1..1000);
    assert_eq!(post(at, "/", body.as_bytes()).unwrap(), 503);
    sidecar.wait_for_alarm("state", "cannot be written");
    assert_eq!(sidecar.get("/livez").0, 200);
    filler.set_len(0).unwrap();
    assert_eq!(post(at, "/", body.as_bytes()).unwrap(), 202);
    receiver.wait_for_lines(1000);
    assert_eq!(arrived(&receiver), (0..1000).collect::<Vec<_>>());
    sidecar.assert_books_balance();
    assert_eq!(sidecar.stop(), 0);
}

// D25: as when a file system remounts itself read-only after an error: every write fails from now on.
#[test]
fn a_disk_that_fails_for_good_puts_senders_off_and_keeps_what_was_acknowledged() {
    let test = "a_disk_that_fails_for_good_puts_senders_off_and_keeps_what_was_acknowledged";
    let receiver = Receiver::start();
    super::dead(&receiver);
    let mut sidecar = with_source(HTTP, &receiver);
    let Some(disk) = Disk::mounted(test, sidecar.path("state.image"), sidecar.path("state")) else { return };
    sidecar.start_again();
    let at = http(&sidecar);
    for n in 0..5 {
        assert_eq!(post(at, "/", lines(n..n + 1).as_bytes()).unwrap(), 202);
    }
    disk.shut_down();
    assert_eq!(post(at, "/", lines(5..6).as_bytes()).unwrap(), 503);
    sidecar.wait_for_alarm("state", "cannot be written");
    assert_eq!(sidecar.get("/livez").0, 200);
    sidecar.kill();
    disk.mount_again();
    super::alive(&receiver);
    sidecar.start_again();
    receiver.wait_for_lines(5);
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(arrived(&receiver), (0..5).collect::<Vec<_>>());
}

// D26, D27: a sync takes a second: who wants to be told waits, together with all others; nobody else does.
#[test]
fn a_slow_sync_is_shared_by_all_who_wait_for_it_and_holds_up_nothing_else() {
    let test = "a_slow_sync_is_shared_by_all_who_wait_for_it_and_holds_up_nothing_else";
    const CLIENTS: u64 = 100;
    let receiver = Receiver::start();
    let sidecar = Sidecar::new()
        .source("app", UNIX)
        .file_source_with("file", "logs/*.ndjson", crate::tail::QUICK_SOURCE)
        .forwarder("siem", &receiver.url(), QUICK_FORWARDER);
    let options = ["-P", FIRST, "-e", "inject=fdatasync:delay_enter=1000000"];
    let Some(sidecar) = traced(sidecar, test, &options) else { return };
    sidecar.write_lines("logs/a.ndjson", 1000..1001);
    let mut sidecar = sidecar.start();
    receiver.wait_for_lines(1);
    let begun = Instant::now();
    let clients: Vec<UnixStream> = (0..CLIENTS)
        .map(|n| {
            let mut stream = connect(&sidecar);
            stream.write_all(lines(n..n + 1).as_bytes()).unwrap();
            stream
        })
        .collect();
    // While they wait for the first sync.
    clients[0].set_nonblocking(true).unwrap();
    sidecar.write_lines("logs/a.ndjson", 1001..1002);
    receiver.wait_until("the line of the file", PATIENCE, |all| all.iter().any(|d| d.text().contains("\"n\":1001,")));
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    assert!((&clients[0]).read(&mut [0; 5]).is_err(), "acknowledged before it was synced");
    clients[0].set_nonblocking(false).unwrap();
    for client in &clients {
        assert_eq!(ack(client), "ok 1\n");
    }
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(15), "{took:?} for {CLIENTS} clients");
    receiver.wait_for_lines(CLIENTS as usize + 2);
    sidecar.kill();
}

// J13: who goes away before he is told finds it delivered all the same.
#[test]
fn a_client_that_leaves_before_its_acknowledgement_is_delivered_once() {
    let receiver = Receiver::start();
    let mut sidecar = with_source("kind: tcp\nlisten: 127.0.0.1:0\nacks: true", &receiver).start();
    for n in 0..50 {
        let mut stream = TcpStream::connect(address(&sidecar, "tcp")).unwrap();
        stream.write_all(lines(n..n + 1).as_bytes()).unwrap();
        drop(stream);
    }
    wait_until("all", || receiver.accepted_lines().len() >= 50);
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(receiver.accepted_lines().len(), 50);
    assert_eq!(arrived(&receiver), (0..50).collect::<Vec<_>>());
}
