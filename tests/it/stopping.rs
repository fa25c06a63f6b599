//! How it ends, and that there is only one.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{
    events::{lines, numbers},
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
};

const LOG: &str = "logs/audit.ndjson";
const QUICK: &str = "batch: {maxEvents: 100, maxAge: 20ms}\nretry: {initial: 20ms, max: 100ms}\ntimeout: 2s";

fn sidecar(url: &str) -> Sidecar {
    let sidecar = Sidecar::new().file_source_with("app", "logs/*.ndjson", "scanInterval: 50ms");
    let sidecar = sidecar.forwarder("siem", url, QUICK);
    std::fs::create_dir(sidecar.path("logs")).unwrap();
    sidecar
}

fn terminate(sidecar: &Sidecar) {
    let pid = Pid::from_raw(i32::try_from(sidecar.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
}

/// L1.
#[test]
fn with_nothing_to_deliver_it_stops_at_once() {
    let receiver = Receiver::start();
    let mut sidecar = sidecar(&receiver.url()).start();
    sidecar.append(LOG, lines(0..10));
    receiver.wait_for_lines(10);
    let begun = Instant::now();
    assert_eq!(sidecar.stop(), 0);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

/// L2, L4, I12: a backlog, and a line written right before the signal.
#[test]
fn what_was_written_right_before_the_signal_is_delivered() {
    let receiver = Receiver::start();
    let mut sidecar = sidecar(&receiver.url()).start();
    sidecar.append(LOG, lines(0..5000));
    receiver.wait_for_requests(1);
    sidecar.append(LOG, lines(5000..5001));
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(numbers(&receiver.accepted_lines()), (0..5001).collect::<Vec<_>>());
}

/// L3, L5.
#[test]
fn with_a_dead_webhook_it_stops_with_ten_when_the_time_is_up_and_keeps_all() {
    let mut receiver = Receiver::start();
    receiver.stop();
    let mut sidecar = sidecar(&receiver.url()).top("drainTimeout: 500ms").start();
    sidecar.append(LOG, lines(0..300));
    sidecar.wait_for_log("delivery failed");
    let begun = Instant::now();
    assert_eq!(sidecar.stop(), 10);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(450) && took < Duration::from_secs(4), "{took:?}");
    receiver.start_again();
    sidecar.start_again();
    assert_eq!(numbers(&receiver.wait_for_lines(300)), (0..300).collect::<Vec<_>>());
}

/// L6.
#[test]
fn a_second_signal_hurries() {
    let receiver = Receiver::start();
    receiver.always(Reply::hang());
    let mut sidecar = sidecar(&receiver.url()).top("drainTimeout: 60s").start();
    sidecar.append(LOG, lines(0..10));
    receiver.wait_for_requests(1);
    let begun = Instant::now();
    terminate(&sidecar);
    sidecar.wait_for_log("delivering what is left");
    terminate(&sidecar);
    assert_eq!(sidecar.wait(), 10);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

/// C26, C27.
#[test]
fn a_second_instance_says_who_holds_the_state_directory_and_a_dead_one_holds_nothing() {
    let receiver = Receiver::start();
    let mut sidecar = sidecar(&receiver.url()).start();
    sidecar.wait_for_log("forwarding");
    let config = sidecar.config_path();
    let (code, _, stderr) = sidecar.command(&["run", "-c", config.to_str().unwrap()]);
    assert_eq!(code, 75, "{stderr}");
    assert!(stderr.contains(&sidecar.pid().to_string()), "{stderr}");
    sidecar.append(LOG, lines(0..10));
    receiver.wait_for_lines(10);
    sidecar.wait_for_metrics("the settlement", |metrics| metrics.events("siem", "delivered") == 10);
    sidecar.kill();
    sidecar.start_again();
    sidecar.append(LOG, lines(10..20));
    assert_eq!(numbers(&receiver.wait_for_lines(20)), (0..20).collect::<Vec<_>>());
}

/// E8.
#[test]
fn it_goes_on_after_it_was_stopped_and_continued() {
    let receiver = Receiver::start();
    let mut sidecar = sidecar(&receiver.url()).start();
    sidecar.append(LOG, lines(0..10));
    receiver.wait_for_lines(10);
    sidecar.pause();
    sidecar.append(LOG, lines(10..20));
    sidecar.rename(LOG, "logs/old.ndjson");
    sidecar.append(LOG, lines(20..30));
    sidecar.resume();
    let mut arrived = numbers(&receiver.wait_for_lines(30));
    arrived.sort_unstable();
    assert_eq!(arrived, (0..30).collect::<Vec<_>>());
    assert_eq!(sidecar.stop(), 0);
}

/// E10: nobody reads what it says.
#[test]
fn closed_and_full_outputs_do_not_stop_it() {
    for redirect in ["2>&- >&-", "2>/dev/full >/dev/full"] {
        let receiver = Receiver::start();
        let sidecar = sidecar(&receiver.url());
        sidecar.write_config();
        let line =
            format!("exec {} run -c {} {redirect}", env!("CARGO_BIN_EXE_auditpost"), sidecar.config_path().display());
        let mut child = Command::new("sh").args(["-c", &line]).stdin(Stdio::null()).spawn().unwrap();
        sidecar.append(LOG, lines(0..50));
        let arrived = receiver.wait_for_lines(50);
        assert_eq!(numbers(&arrived), (0..50).collect::<Vec<_>>());
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{redirect}");
    }
}
