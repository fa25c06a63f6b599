//! Storage that fails, hangs, or is cut off at a system call: with strace in the place of a bad disk.

use std::time::{Duration, Instant};

use crate::{
    events::numbers,
    receiver::{PATIENCE, Receiver, Reply},
    sidecar::Sidecar,
    tail::{assert_each_batch_once, tailing, tailing_with, without_repeats},
    tools::traced,
};

const LOG: &str = "logs/audit.ndjson";
const JOURNAL: &str = "state/forwarders/siem/journal";

// C18, D21: the descriptor is not trusted again, whatever it says the second time.
#[test]
fn a_sync_that_fails_once_leads_to_a_new_file() {
    let receiver = Receiver::start();
    let sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..10);
    let options = ["-P", "{dir}/state/forwarders/siem/journal", "-e", "inject=fdatasync:error=EIO:when=1"];
    let Some(mut sidecar) = traced(sidecar, "a_sync_that_fails_once_leads_to_a_new_file", &options) else {
        return;
    };
    sidecar.start_again();
    receiver.wait_for_lines(10);
    sidecar.wait_for_log("cannot sync the journal");
    sidecar.wait_for_log("Input/output error");
    sidecar.write_lines(LOG, 10..20);
    receiver.wait_for_lines(20);
    // Written anew, in whole: it begins with what a compaction leaves.
    let journal = sidecar.read(JOURNAL);
    assert!(journal.lines().nth(2).unwrap().contains("\"record\":\"totals\""), "{journal}");
    sidecar.kill();
    let mut sidecar = sidecar.through(&[]);
    sidecar.start_again();
    assert_each_batch_once(&mut sidecar, &receiver, 0..20);
}

// C19, C20, C21: for ever: delivery goes on, nothing is let go, and everybody is told.
#[test]
fn syncs_that_always_fail_stop_no_delivery_and_release_nothing() {
    for calls in ["fdatasync,fsync", "rename,renameat,renameat2"] {
        let receiver = Receiver::start();
        let mut sidecar = tailing(LOG, &receiver);
        sidecar.write_lines(LOG, 0..10);
        sidecar.start_again();
        receiver.wait_for_lines(10);
        assert_eq!(sidecar.stop(), 0);
        let inject = format!("inject={calls}:error=EIO");
        let test = "syncs_that_always_fail_stop_no_delivery_and_release_nothing";
        let Some(mut sidecar) = traced(sidecar, test, &["-e", &inject]) else { return };
        sidecar.start_again();
        sidecar.write_lines(LOG, 10..20);
        receiver.wait_for_lines(20);
        sidecar.wait_for_alarm("state", "the journal cannot be written");
        sidecar.wait_for_readyz(503);
        sidecar.rename(LOG, "logs/audit.ndjson.1");
        sidecar.wait_for_alarm("state", "the catalog cannot be written");
        let open = sidecar.wait_for_metrics("the rotated file to be held", |metrics| {
            metrics.get("auditpost_files_open", &[("source", "app")]) == Some(1.0)
        });
        open.assert_books_balance();
        sidecar.kill();
        let mut sidecar = sidecar.through(&[]);
        sidecar.start_again();
        sidecar.write_lines(LOG, 20..25);
        receiver.wait_until("what came later", PATIENCE, |deliveries| {
            deliveries.iter().any(|delivery| delivery.accepted() && delivery.text().contains("evt-0000000024"))
        });
        assert_eq!(sidecar.stop(), 0);
        // Nothing could be written down: what was sent meanwhile comes again under other ids, and nothing is lost.
        let mut arrived = numbers(&without_repeats(&receiver.deliveries()));
        arrived.sort_unstable();
        arrived.dedup();
        assert_eq!(arrived, (0..25).collect::<Vec<_>>());
    }
}

// L8: a stop does not wait for storage that never answers.
#[test]
fn a_stop_ends_in_time_while_a_sync_hangs() {
    let receiver = Receiver::start();
    let sidecar = tailing_with(LOG, "", &receiver, crate::tail::QUICK_FORWARDER);
    sidecar.write_lines(LOG, 0..10);
    let yaml = sidecar.yaml().replace("drainTimeout: 5s", "drainTimeout: 500ms");
    let options = ["-P", "{dir}/state/forwarders/siem/journal", "-e", "inject=fdatasync:delay_enter=8000000"];
    let Some(mut sidecar) = traced(sidecar, "a_stop_ends_in_time_while_a_sync_hangs", &options) else { return };
    sidecar.set_config(&yaml);
    sidecar.start_again();
    receiver.wait_for_lines(10);
    // D26: while the sync hangs events still flow.
    std::thread::sleep(Duration::from_millis(1200));
    sidecar.write_lines(LOG, 10..20);
    receiver.wait_for_lines(20);
    let begun = Instant::now();
    sidecar.terminate();
    sidecar.wait_for_log("storage does not answer");
    assert!(begun.elapsed() < Duration::from_secs(7), "a sync takes 8 s: {:?}", begun.elapsed());
    // A tracer that delays a call may hold the process back; without one it ends by itself.
    let pid = rustix::process::Pid::from_raw(i32::try_from(sidecar.pid()).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    let status = sidecar.wait();
    assert!([74, 137].contains(&status), "{status}");
    let mut sidecar = sidecar.through(&[]);
    sidecar.start_again();
    assert_each_batch_once(&mut sidecar, &receiver, 0..20);
}

// A36: a read that fails for a while is tried again, from the same place.
#[test]
fn reads_that_fail_are_tried_again_and_lose_nothing() {
    let receiver = Receiver::start();
    let sidecar = tailing("logs/*.ndjson", &receiver);
    sidecar.write_lines(LOG, 0..10);
    sidecar.write_lines("logs/other.ndjson", 100..101);
    let options = ["-P", "{dir}/logs/audit.ndjson", "-e", "inject=pread64:error=EIO:when=1..4"];
    let Some(mut sidecar) = traced(sidecar, "reads_that_fail_are_tried_again_and_lose_nothing", &options) else {
        return;
    };
    sidecar.start_again();
    assert_eq!(crate::tail::sorted(&receiver.wait_for_lines(11)), (0..10).chain([100]).collect::<Vec<_>>());
    assert!(sidecar.stderr().contains("cannot read the file"), "{}", sidecar.stderr());
    sidecar.write_lines(LOG, 10..12);
    receiver.wait_for_lines(13);
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(receiver.accepted_lines().len(), 13);
}

// A37: a slow disk under one file holds up no other forwarder, and no other source.
#[test]
fn a_file_on_a_slow_disk_holds_up_no_other_source() {
    let (slow, quick) = (Receiver::start(), Receiver::start());
    let sidecar = Sidecar::new()
        .top("drainTimeout: 10s")
        .file_source_with("slow", "slow/audit.ndjson", crate::tail::QUICK_SOURCE)
        .file_source_with("quick", "quick/audit.ndjson", crate::tail::QUICK_SOURCE)
        .forwarder("slow", &slow.url(), "sources: [slow]\nbatch: {maxAge: 20ms}")
        .forwarder("quick", &quick.url(), "sources: [quick]\nbatch: {maxAge: 20ms}");
    sidecar.write_lines("slow/audit.ndjson", 0..5);
    sidecar.write_lines("quick/audit.ndjson", 0..5);
    let options = ["-P", "{dir}/slow/audit.ndjson", "-e", "inject=pread64:delay_enter=1500000:when=3+"];
    let Some(mut sidecar) = traced(sidecar, "a_file_on_a_slow_disk_holds_up_no_other_source", &options) else {
        return;
    };
    sidecar.start_again();
    quick.wait_for_lines(5);
    let begun = Instant::now();
    sidecar.write_lines("slow/audit.ndjson", 5..6);
    for n in 5..15 {
        sidecar.write_lines("quick/audit.ndjson", n..n + 1);
        quick.wait_for_lines(n as usize + 1);
    }
    // Had each of the ten waited for one read of the slow file, it would have taken 15 s.
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    slow.wait_for_lines(6);
    sidecar.kill();
}

// C3, C2: killed at the Nth call of each kind that changes the disk: it always starts again, and nothing is lost.
#[test]
fn a_kill_at_any_call_that_changes_the_disk_loses_nothing() {
    let calls =
        [("write", 60), ("fdatasync", 6), ("fsync", 10), ("rename", 6), ("openat", 70), ("mkdir", 8), ("unlink", 6)];
    for (call, most) in calls {
        for when in (1..=most).step_by((most / 6).max(1)) {
            let receiver = Receiver::start();
            receiver.script([Reply::status(200), Reply::status(503), Reply::status(400)]);
            let sidecar = tailing_with(
                LOG,
                "",
                &receiver,
                "batch: {maxEvents: 10, maxAge: 20ms}\nretry: {initial: 20ms, max: 50ms}",
            );
            sidecar.write_lines(LOG, 0..20);
            sidecar.append(LOG, "not json\n");
            sidecar.write_lines(LOG, 20..30);
            let inject = format!("inject={call}:signal=KILL:when={when}");
            let test = "a_kill_at_any_call_that_changes_the_disk_loses_nothing";
            let Some(mut sidecar) = traced(sidecar, test, &["-e", &inject]) else { return };
            sidecar.start_again();
            // It is killed, or gets through without so many calls.
            let end = Instant::now() + Duration::from_millis(1500);
            while !sidecar.has_ended() && receiver.accepted_lines().len() < 30 && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(5));
            }
            if sidecar.has_ended() {
                assert_eq!(sidecar.wait(), 128 + 9, "{call} {when}: {}", sidecar.stderr());
            } else {
                sidecar.kill();
            }
            let mut sidecar = sidecar.through(&[]);
            sidecar.start_again();
            receiver.wait_until(&format!("all after {call} {when}"), PATIENCE, |deliveries| {
                let mut arrived = numbers(&without_repeats(deliveries));
                arrived.sort_unstable();
                // A batch that was taken before the kill and is refused after it (400) goes on in parts of other ids.
                arrived.dedup();
                arrived == (0..30).collect::<Vec<_>>()
            });
            sidecar.wait_for_books();
            sidecar.stop_drained();
            let letters = sidecar.dead_letters("siem");
            assert!(
                !letters.is_empty() && letters.iter().all(|letter| letter["payload"] == "not json"),
                "{letters:?}"
            );
        }
    }
}
