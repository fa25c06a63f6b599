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
        assert_eq!(sidecar.stop(), 11, "{script}");
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

// L12: and the root is read-only: only the state directory can be written.
#[test]
fn with_a_read_only_root_it_works() {
    let test = "with_a_read_only_root_it_works";
    let receiver = Receiver::start();
    let sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..5);
    std::fs::create_dir(sidecar.path("state")).unwrap();
    std::fs::set_permissions(sidecar.path("state"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    crate::tools::give_to_nobody(&sidecar.path(""));
    // Every other mount as well: the directory may be on one of its own.
    let script = "mount --bind {dir}/state {dir}/state && mount --bind {dir} {dir} && mount --rbind {dir}/state {dir}/state \
         && mount -o remount,ro,bind {dir} && mount -o remount,ro,bind / \
         && ! touch {dir}/probe 2>/dev/null && ! touch /probe 2>/dev/null && exec setpriv --reuid=65534 --regid=65534 \
         --clear-groups --no-new-privs \"$@\"";
    let dir = sidecar.path("").display().to_string();
    let dir = dir.trim_end_matches('/').to_owned();
    let probe = script.replace("{dir}", &dir);
    if !works(&["unshare", "-m", "sh", "-c", &probe, "sh", "true"]) {
        return skipped(test, "it needs root, unshare and a root that can be mounted read-only");
    }
    let mut sidecar = sidecar.through(&["unshare", "-m", "sh", "-c", script, "sh"]);
    sidecar.start_again();
    receiver.wait_for_lines(5);
    sidecar.write_lines(LOG, 5..8);
    assert_exactly(&mut sidecar, &receiver, 0..8);
}

// E7: no thread, or too few: it says so and ends, or goes on; nothing is lost.
#[test]
fn where_threads_cannot_be_started_nothing_is_lost() {
    let test = "where_threads_cannot_be_started_nothing_is_lost";
    for threads in [1, 3, 4, 6] {
        let limit = format!("--nproc={threads}:{threads}");
        // A user that nobody else is: the limit counts all of a user's threads.
        let wrapper = ["prlimit", &limit, "setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"];
        let mut probe = wrapper.to_vec();
        probe.extend([env!("CARGO_BIN_EXE_auditpost"), "--version"]);
        if !works(&probe) {
            return skipped(test, "it needs root, prlimit, setpriv, and a binary that everybody may run");
        }
        let receiver = Receiver::start();
        let sidecar = tailing(LOG, &receiver);
        sidecar.write_lines(LOG, 0..50);
        assert!(works(&["chown", "-R", "54321:54321", &sidecar.path("").display().to_string()]));
        let mut sidecar = sidecar.through(&wrapper);
        sidecar.start_again();
        if threads < 4 {
            assert_eq!(sidecar.wait(), 70, "{}", sidecar.stderr());
            assert!(sidecar.stderr().contains("raise the limit of processes"), "{}", sidecar.stderr());
            assert!(!sidecar.path("state").exists(), "nothing was begun");
        } else {
            let end = std::time::Instant::now() + std::time::Duration::from_secs(2);
            while !sidecar.has_ended() && std::time::Instant::now() < end {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            if sidecar.has_ended() {
                sidecar.wait();
            } else {
                sidecar.kill();
            }
        }
        let mut sidecar = sidecar.through(&wrapper[2..]);
        sidecar.start_again();
        crate::tail::assert_each_batch_once(&mut sidecar, &receiver, 0..50);
    }
}

// E3: killed by the kernel for its memory, again and again.
#[test]
fn a_kill_for_want_of_memory_loses_nothing() {
    let test = "a_kill_for_want_of_memory_loses_nothing";
    let group = std::path::PathBuf::from(format!("/sys/fs/cgroup/memory/auditpost-{}", std::process::id()));
    let made = std::fs::create_dir(&group).and_then(|()| std::fs::write(group.join("memory.limit_in_bytes"), "1M"));
    if made.is_err() {
        let _ = std::fs::remove_dir(&group);
        return skipped(test, "it needs a memory cgroup (v1) and root");
    }
    let receiver = Receiver::start();
    let sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..2000);
    let enter = format!("echo $$ > {}/cgroup.procs && exec \"$@\"", group.display());
    let mut sidecar = sidecar.through(&["sh", "-c", &enter, "sh"]);
    for round in 0..3 {
        sidecar.start_again();
        assert_eq!(sidecar.wait(), 128 + 9, "{round}: {}", sidecar.stderr());
    }
    let said = std::fs::read_to_string(group.join("memory.oom_control")).unwrap();
    std::fs::remove_dir(&group).unwrap();
    assert!(said.contains("oom_kill 3"), "{said}");
    let mut sidecar = sidecar.through(&[]);
    sidecar.start_again();
    crate::tail::assert_each_batch_once(&mut sidecar, &receiver, 0..2000);
}
