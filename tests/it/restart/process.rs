//! The process in odd surroundings: closed streams, few descriptors, PID 1.

use crate::{
    receiver::{PATIENCE, Receiver},
    sidecar::Sidecar,
    tail::{assert_exactly, tailing, tailing_with},
    tools::{has, skipped, works},
};

const LOG: &str = "logs/audit.ndjson";

// E10: nobody reads what it says, or nobody can.
#[test]
fn streams_that_are_closed_full_or_not_read_stop_no_delivery() {
    let streams = ["exec \"$@\" >&- 2>&-", "exec \"$@\" >/dev/full 2>/dev/full", "exec \"$@\" <&- >&- 2>&-"];
    for script in streams {
        let receiver = Receiver::start();
        let sidecar = tailing(LOG, &receiver);
        sidecar.write_lines(LOG, 0..5);
        sidecar.append(LOG, "not json\n");
        let mut sidecar = sidecar.through(&["sh", "-c", script, "sh"]);
        sidecar.start_again();
        receiver.wait_for_lines(5);
        sidecar.write_lines(LOG, 5..500);
        receiver.wait_for_lines(500);
        assert_eq!(sidecar.stop(), 0, "{script}");
        assert_eq!(receiver.accepted_lines().len(), 500);
        assert_eq!(sidecar.dead_letters("siem").len(), 1);
    }
}

// E10: a pipe that nobody reads from: what it says is lost at some point, what it delivers is not.
#[test]
fn a_pipe_of_diagnostics_that_nobody_reads_stops_no_delivery() {
    let receiver = Receiver::start();
    let sidecar = tailing_with("logs/*.ndjson", "", &receiver, crate::tail::QUICK_FORWARDER);
    for n in 0..1500 {
        sidecar.write_lines(&format!("logs/{n}.ndjson"), n..n + 1);
    }
    // The reader of the pipe sleeps; a pipe holds 64 KiB, and a line is said of each file.
    let mut sidecar = sidecar.through(&["bash", "-c", "exec 2> >(exec sleep 25 2>&-); exec \"$@\"", "bash"]);
    if !has("bash") {
        return skipped("a_pipe_of_diagnostics_that_nobody_reads_stops_no_delivery", "bash is not in PATH");
    }
    sidecar.start_again();
    receiver.wait_until("all", PATIENCE, |deliveries| {
        deliveries.iter().filter(|d| d.accepted()).map(|d| d.line_count()).sum::<usize>() == 1500
    });
    sidecar.kill();
}

// E6
#[test]
fn with_very_few_descriptors_it_still_delivers() {
    let receiver = Receiver::start();
    let sidecar = tailing("logs/*.ndjson", &receiver);
    for n in 0..200 {
        sidecar.write_lines(&format!("logs/{n}.ndjson"), n..n + 1);
    }
    let mut sidecar = sidecar.through(&["sh", "-c", "ulimit -n 48; exec \"$@\"", "sh"]);
    sidecar.start_again();
    let mut arrived = crate::tail::sorted(&receiver.wait_for_lines(200));
    arrived.dedup();
    assert_eq!(arrived.len(), 200);
    for n in 0..200 {
        sidecar.write_lines(&format!("logs/{n}.ndjson"), n + 200..n + 201);
    }
    receiver.wait_for_lines(400);
    assert_eq!(sidecar.get("/livez").0, 200);
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    assert_eq!(receiver.accepted_lines().len(), 400);
}

// E11
#[test]
fn as_the_first_process_of_a_container_it_hears_its_signals() {
    if !works(&["unshare", "-Urpf", "--kill-child", "true"]) {
        return skipped("as_the_first_process_of_a_container_it_hears_its_signals", "no PID name space can be made");
    }
    let receiver = Receiver::start();
    let sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..5);
    // `unshare` stays outside as the parent, so the signal is sent to its child.
    let mut sidecar = sidecar.through(&["unshare", "-Urpf", "--kill-child"]);
    sidecar.start_again();
    receiver.wait_for_lines(5);
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", sidecar.pid())).unwrap();
    let child = rustix::process::Pid::from_raw(children.trim().parse().unwrap()).unwrap();
    sidecar.write_lines(LOG, 5..7);
    rustix::process::kill_process(child, rustix::process::Signal::TERM).unwrap();
    assert_eq!(sidecar.wait(), 0);
    assert_eq!(receiver.accepted_lines().len(), 7);
}

// L12: nothing but the state directory can be written, and nobody is root.
#[test]
fn without_rights_of_root_it_works() {
    let test = "without_rights_of_root_it_works";
    let receiver = Receiver::start();
    let sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..5);
    let Some(sidecar) = sidecar.without_root(test) else { return };
    let mut sidecar: Sidecar = sidecar;
    sidecar.start_again();
    receiver.wait_for_lines(5);
    sidecar.write_lines(LOG, 5..8);
    assert_exactly(&mut sidecar, &receiver, 0..8);
}
