//! The real container runtimes, under a program whose output is block-buffered: each of their rotations cuts an event.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{QUICK_FORWARDER, QUICK_SOURCE, without_repeats};
use crate::{
    receiver::{PATIENCE, Receiver},
    sidecar::Sidecar,
    tools::{has, skipped, works},
};

fn following(receiver: &Receiver, include: &str) -> Sidecar {
    let keys = format!("{QUICK_SOURCE}\nformat: cri\nonlyJson: true");
    Sidecar::new().top("drainTimeout: 5s").file_source_with("app", include, &keys).forwarder(
        "siem",
        &receiver.url(),
        QUICK_FORWARDER,
    )
}

/// Writes so many numbered events, some at a time, in blocks.
fn block_buffered(events: u64) -> String {
    format!(
        "i=0\nwhile [ $i -lt {events} ]; do\n echo '{{\"id\":'$i',\"text\":\"abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz\"}}'\n \
         i=$((i+1))\n if [ $((i % 20)) = 0 ]; then sleep 0.1; fi\ndone | dd ibs=512 obs=4096 2>/dev/null\n"
    )
}

/// So many events arrived, each once, whole and in order.
#[track_caller]
fn assert_all(sidecar: &mut Sidecar, receiver: &Receiver, events: u64) {
    receiver.wait_until("all events", PATIENCE * 2, |deliveries| without_repeats(deliveries).len() as u64 >= events);
    sidecar.wait_for_books();
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    let lines = without_repeats(&receiver.deliveries());
    let ids =
        lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_u64().unwrap());
    assert_eq!(ids.collect::<Vec<_>>(), (0..events).collect::<Vec<_>>());
}

#[test]
fn what_conmon_cuts_with_its_own_rotation_arrives_whole() {
    const TEST: &str = "what_conmon_cuts_with_its_own_rotation_arrives_whole";
    if !has("conmon") {
        return skipped(TEST, "conmon is not installed");
    }
    let receiver = Receiver::start();
    let mut sidecar = following(&receiver, "ctr.log");
    sidecar.start_again();
    fs::write(sidecar.path("program"), block_buffered(600)).unwrap();
    // A runtime that only starts the program, and says which process that is.
    let runtime = sidecar.path("runtime");
    let script = "#!/bin/sh\nwhile [ $# -gt 0 ]; do [ \"$1\" = --pid-file ] && pid=$2; shift; done\n\
                  sh \"$(dirname \"$0\")/program\" &\necho $! > \"$pid\"\n";
    fs::write(&runtime, script).unwrap();
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755)).unwrap();
    for directory in ["bundle", "sockets"] {
        fs::create_dir(sidecar.path(directory)).unwrap();
    }
    let path = |name: &str| sidecar.path(name).display().to_string();
    // It goes on in the background until the program ends.
    let started = Command::new("conmon")
        .args(["--api-version", "1", "-c", "box", "-u", "box", "-n", "box", "-r", &path("runtime")])
        .args(["-b", &path("bundle"), "-p", &path("pid"), "--socket-dir-path", &path("sockets")])
        .args(["-l", &format!("k8s-file:{}", path("ctr.log")), "--log-size-max", "30000"])
        .stdin(Stdio::null())
        .status();
    assert!(started.unwrap().success());
    assert_all(&mut sidecar, &receiver, 600);
    assert!(sidecar.dead_letters("siem").is_empty());
}

/// The script that drives containerd, which ends with it.
struct Containerd(Child);

impl Containerd {
    fn start(sidecar: &Sidecar, events: u64, rotations: u64) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tail/containerd.py");
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).args([sidecar.path("containerd"), sidecar.path("pods")]);
        command.args([events, rotations].map(|number| number.to_string()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until && self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_containerd_cuts_when_it_opens_its_log_anew_arrives_whole() {
    const TEST: &str = "what_containerd_cuts_when_it_opens_its_log_anew_arrives_whole";
    if std::env::var_os("AUDITPOST_HEAVY").is_none() {
        return skipped(TEST, "AUDITPOST_HEAVY is not set");
    }
    if !works(&["/usr/bin/python3", "-c", "import grpc"]) {
        return skipped(TEST, "Python has no grpc");
    }
    let (events, rotations) = (2000, 10);
    let receiver = Receiver::start();
    let mut sidecar = following(&receiver, "pods/*/*/*.log");
    sidecar.start_again();
    let mut containerd = Containerd::start(&sidecar, events, rotations);
    let said = BufReader::new(containerd.0.stdout.take().unwrap()).lines();
    let mut rotated = 0;
    for line in said.map_while(Result::ok) {
        match line.as_str() {
            "rotated" => {
                rotated += 1;
                if rotated % 4 == 0 {
                    sidecar.kill();
                    sidecar.start_again();
                }
            }
            "written" => break,
            why => return skipped(TEST, why),
        }
    }
    assert_eq!(rotated, rotations);
    let directory = sidecar.path("pods/test_box_uid/app");
    let is_cut = |entry: &fs::DirEntry| {
        let text = fs::read_to_string(entry.path()).unwrap();
        entry.file_name() != "0.log" && text.lines().last().is_some_and(|line| line.contains(" stdout P "))
    };
    let cut = fs::read_dir(directory).unwrap().filter(|entry| is_cut(entry.as_ref().unwrap())).count();
    assert!(cut > 0, "no rotation cut an event: this shows nothing");
    assert_all(&mut sidecar, &receiver, events);
    assert!(sidecar.dead_letters("siem").is_empty());
}
