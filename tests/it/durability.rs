//! What is on disk when: the order of writes and syncs, as the kernel sees them.
//!
//! A `kill -9` does not show a missing sync, for the page cache survives it. `strace` does.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{events::lines, receiver::Receiver, sidecar::Sidecar};

const CALLS: &str = "trace=write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,sendto,sendmsg,writev";

/// The calls of a whole run: start, three dead letters and fifty events, stop. `None` where there is no strace.
fn trace() -> Option<Vec<String>> {
    let traces = Command::new("strace").args(["-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if !traces.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: what is on disk when: strace is not to be had");
        return None;
    }
    let receiver = Receiver::start();
    let sidecar = Sidecar::new().file_source_with("app", "logs/*.ndjson", "scanInterval: 50ms");
    let sidecar = sidecar.forwarder("siem", &receiver.url(), "batch: {maxAge: 50ms}");
    fs::create_dir(sidecar.path("logs")).unwrap();
    sidecar.write_config();
    sidecar.append("logs/a.ndjson", format!("bad 1\nbad 2\n{}", lines(0..50)));
    let out = sidecar.path("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-s", "32", "-e", CALLS, "-o"]).arg(&out);
    strace.arg(env!("CARGO_BIN_EXE_auditpost")).args(["run", "-c"]).arg(sidecar.config_path());
    let mut strace = strace.stderr(Stdio::null()).spawn().unwrap();
    receiver.wait_for_lines(50);
    // A sync comes once a second: until one has covered the settlement.
    let end = Instant::now() + Duration::from_secs(20);
    let settled = |text: &str| {
        let write = text.rfind("settled");
        write.is_some_and(|at| text[at..].contains("fdatasync") && text[at..].contains("forwarders/siem/journal"))
    };
    let holds =
        || fs::read_to_string(&out).is_ok_and(|text| settled(&text) || text.matches("fdatasync(").count() > 2);
    while !holds() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid: i32 = fs::read_to_string(sidecar.path("state/lock")).unwrap().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    strace.wait().unwrap();
    Some(fs::read_to_string(&out).unwrap().lines().map(str::to_owned).collect())
}

fn position(calls: &[String], from: usize, what: &str, holds: impl Fn(&str) -> bool) -> usize {
    let found = calls[from..].iter().position(|call| holds(call));
    let tail = || calls[from..].join("\n");
    from + found.unwrap_or_else(|| panic!("no {what} in:\n{}", tail()))
}

#[test]
fn dead_letters_are_durable_before_the_intent_is_written_and_the_intent_is_written_before_the_request() {
    let Some(calls) = trace() else { return };
    let letters = |call: &str| call.contains("dead-letters/siem/");
    let journal = |call: &str| call.contains("forwarders/siem/journal>");
    let written = position(&calls, 0, "dead letter", |call| call.contains("write(") && letters(call));
    let durable =
        position(&calls, written, "sync of the dead letters", |call| call.contains("fdatasync(") && letters(call));
    let intent = position(&calls, durable, "intent", |call| call.contains("write(") && journal(call));
    let sent = position(&calls, intent, "request", |call| call.contains("POST /"));
    assert!(calls[..sent].iter().filter(|call| call.contains("POST /")).count() == 0, "nothing is sent before");
    let settled = position(&calls, sent, "settlement", |call| call.contains("write(") && journal(call));
    position(&calls, settled, "sync of the journal", |call| call.contains("fdatasync(") && journal(call));
}

#[test]
fn the_catalog_and_the_journal_are_replaced_so_that_a_power_cut_leaves_one_whole() {
    let Some(calls) = trace() else { return };
    for file in ["sources/app/catalog", "forwarders/siem/journal"] {
        let temporary = |call: &str| call.contains(file) && !call.contains(&format!("{file}>"));
        let written = position(&calls, 0, file, |call| call.contains("write(") && temporary(call));
        let synced = position(&calls, written, file, |call| call.contains("sync(") && temporary(call));
        let renamed =
            position(&calls, synced, file, |call| call.contains("rename") && call.contains(&format!("{file}\"")));
        let directory = file.rsplit_once('/').unwrap().0;
        position(&calls, renamed, file, |call| call.contains("fsync(") && call.contains(&format!("{directory}>")));
    }
}
