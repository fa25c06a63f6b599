//! conmon, which writes the logs of Podman's and CRI-O's containers, with a runtime that starts nothing but `cat`.
//! Where a log is as large as it may be, conmon renames a new file over it: no generation is kept.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
};

use super::LOGS;
use crate::{
    events,
    receiver::Receiver,
    sidecar::Sidecar,
    tail::{QUICK_FORWARDER, assert_exactly, tailing_with},
    tools::{has, skipped, wait_until},
};

const LOG: &str = "logs/ctr.log";

/// Takes `create` and ignores everything else: the container is a `cat` of a pipe with a name.
const RUNTIME: &str = "#!/bin/sh
while [ $# -gt 0 ]; do [ \"$1\" = --pid-file ] && pid=$2; shift; done
[ -n \"$pid\" ] || exit 0
cat pipe &
echo $! > \"$pid\"
";

struct Conmon {
    child: Child,
    /// What the container says.
    pipe: Option<File>,
}

impl Conmon {
    /// `None`, and said, where there is no conmon.
    fn start(test: &str, sidecar: &Sidecar) -> Option<Self> {
        if !has("conmon") || !has("mkfifo") {
            skipped(test, "conmon is not in PATH: apt-get install conmon");
            return None;
        }
        fs::create_dir(sidecar.path(LOGS)).unwrap();
        fs::write(sidecar.path("runtime"), RUNTIME).unwrap();
        fs::set_permissions(sidecar.path("runtime"), Permissions::from_mode(0o755)).unwrap();
        assert!(Command::new("mkfifo").arg(sidecar.path("pipe")).status().unwrap().success());
        let dir = sidecar.path("").display().to_string();
        let mut command = Command::new("conmon");
        command.args(["--sync", "--cid", "c", "--cuuid", "c", "--name", "c", "--bundle", &dir, "--exit-dir", &dir]);
        command.args(["--runtime", &format!("{dir}/runtime"), "--container-pidfile", &format!("{dir}/pid")]);
        command.args(["--log-path", &format!("k8s-file:{dir}/{LOG}"), "--log-size-max", "20000"]);
        command.args(["--socket-dir-path", &dir]).current_dir(&dir);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pipe = OpenOptions::new().write(true).open(sidecar.path("pipe")).unwrap();
        Some(Self { child, pipe: Some(pipe) })
    }

    /// Writes an event, and returns once it is in the log.
    fn write(&mut self, sidecar: &Sidecar, n: u64) {
        self.pipe.as_mut().unwrap().write_all(events::lines(n..n + 1).as_bytes()).unwrap();
        wait_until("the event in the log", || sidecar.read(LOG).contains(&events::event(n)));
    }
}

impl Drop for Conmon {
    fn drop(&mut self) {
        // The container ends with its pipe, and conmon with the container.
        drop(self.pipe.take());
        let _ = self.child.wait();
    }
}

#[test]
fn conmon_that_is_followed_while_it_replaces_its_log() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with(LOG, "format: cri", &receiver, QUICK_FORWARDER);
    let test = "conmon_that_is_followed_while_it_replaces_its_log";
    let Some(mut conmon) = Conmon::start(test, &sidecar) else { return };
    sidecar.start_again();
    for n in 0..300 {
        conmon.write(&sidecar, n);
        // Two of its files between two looks are one too many.
        if n % 20 == 19 {
            receiver.wait_for_lines(n as usize + 1);
        }
    }
    drop(conmon);
    assert_exactly(&mut sidecar, &receiver, 0..300);
}

#[test]
fn conmon_that_replaced_its_log_while_it_was_stopped_is_a_gap() {
    let receiver = Receiver::start();
    let mut sidecar = tailing_with(LOG, "format: cri", &receiver, QUICK_FORWARDER);
    let test = "conmon_that_replaced_its_log_while_it_was_stopped_is_a_gap";
    let Some(mut conmon) = Conmon::start(test, &sidecar) else { return };
    sidecar.start_again();
    (0..20).for_each(|n| conmon.write(&sidecar, n));
    receiver.wait_for_lines(20);
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    (20..300).for_each(|n| conmon.write(&sidecar, n));
    let kept = sidecar.read(LOG).lines().count() as u64;
    sidecar.start_again();
    sidecar.wait_for_alarm("gap", "can never be delivered");
    drop(conmon);
    // All that is in the last file, and of what was between nothing.
    assert_exactly(&mut sidecar, &receiver, (0..20).chain(300 - kept..300));
}
