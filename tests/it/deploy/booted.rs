//! The unit under a real systemd: process 1 of a container that has this machine's programs and nothing else of it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{
    events::{lines, numbers},
    receiver::Receiver,
    sidecar::append,
    tools::{has, is_root, skipped, wait_until},
};

use super::systemd::{CONFIG, UNIT};

/// The group `adm`, whose members read logs, and which the unit joins.
const ADM: u32 = 4;

const CONFIG_PATH: &str = "etc/auditpost/config.yaml";
const LOG: &str = "var/log/app/audit.ndjson";

struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    /// Boots with the unit and its configuration as they are, but for where to send; `None`, and said, where it cannot.
    fn boot(test: &str, receiver: &Receiver) -> Option<Self> {
        if !is_root()
            || !["podman", "runc", "systemctl"].into_iter().all(has)
            || !Path::new("/usr/lib/systemd/systemd").exists()
        {
            skipped(test, "it needs root, podman, runc and systemd");
            return None;
        }
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        machine.furnish(receiver);
        let booted = machine.run();
        if !booted.status.success() {
            skipped(test, &format!("no container can be run here: {}", String::from_utf8_lossy(&booted.stderr)));
            return None;
        }
        // What comes after is the unit's doing, no more the container's.
        wait_until("systemd", || machine.systemctl(&["show", "--property=Version"]).is_some());
        Some(machine)
    }

    fn furnish(&self, receiver: &Receiver) {
        for directory in [
            "etc/systemd/system",
            "etc/auditpost",
            "var/lib",
            "var/log/app",
            "usr",
            "tmp",
            "run",
            "proc",
            "sys",
            "dev",
            "root",
            "home",
        ] {
            fs::create_dir_all(self.path(directory)).unwrap();
        }
        for name in ["bin", "sbin", "lib", "lib64"] {
            symlink(format!("usr/{name}"), self.path(name)).unwrap();
        }
        self.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
        self.write("etc/group", &format!("root:x:0:\nadm:x:{ADM}:\n"));
        self.write("etc/machine-id", "");
        self.write("etc/auditpost/siem.token", "a-token-of-root\n");
        fs::set_permissions(self.path("etc/auditpost/siem.token"), fs::Permissions::from_mode(0o600)).unwrap();
        let config = CONFIG
            .replace("https://siem.example.com/ingest", &receiver.url())
            .replace("127.0.0.1:9600", "127.0.0.1:0");
        self.write(CONFIG_PATH, &config);
        self.write("etc/systemd/system/auditpost.service", UNIT);
        // So that a test need not wait for a minute.
        self.write(
            "etc/systemd/system/auditpost.service.d/test.conf",
            "[Service]\nWatchdogSec=5\nRestartSec=100ms\n",
        );
        self.write("etc/systemd/system/test.target", "[Unit]\nRequires=basic.target\nAfter=basic.target\n");
        self.write(LOG, "");
        for (path, mode) in [("var/log/app", 0o750), (LOG, 0o640)] {
            chown(self.path(path), None, Some(ADM)).unwrap();
            fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        let programs = self.dir.path().join("programs");
        fs::create_dir(&programs).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_auditpost"), programs.join("auditpost")).unwrap();
    }

    /// With the network of the tests, for the receiver. systemd needs SYS_ADMIN and SYS_PTRACE to set up a sandbox.
    fn run(&self) -> Output {
        let programs = format!("{}:/usr/local/bin:ro", self.dir.path().join("programs").display());
        let mut command = self.podman(&["run", "--detach", "--name=machine", "--network=host", "--systemd=always"]);
        command.args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--cap-add=SYS_ADMIN,SYS_PTRACE"]);
        command.args(["--security-opt=seccomp=unconfined", "--volume=/usr:/usr:ro", "--volume", &programs]);
        // Without shared mounts the credentials, which are a mount of their own, would not be seen by the service.
        let boot = "mount --make-rshared / && exec /lib/systemd/systemd --unit=test.target";
        command.arg("--rootfs").arg(self.path("")).args(["sh", "-c", boot]).output().unwrap()
    }

    fn podman(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("podman");
        command
            .arg("--root")
            .arg(self.dir.path().join("storage"))
            .arg("--runroot")
            .arg(self.dir.path().join("runroot"));
        command.args(["--runtime=runc", "--cgroup-manager=cgroupfs"]).args(arguments);
        command
    }

    fn inside(&self, words: &[&str]) -> Output {
        self.podman(&["exec", "machine"]).args(words).output().unwrap()
    }

    /// What it says, where it succeeds.
    fn systemctl(&self, words: &[&str]) -> Option<String> {
        let output = self.inside(&[&["systemctl"], words].concat());
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
    }

    fn property(&self, name: &str) -> String {
        self.systemctl(&["show", "--property", name, "--value", "auditpost"]).unwrap()
    }

    fn wait_for_property(&self, name: &str, value: &str) {
        wait_until(&format!("{name} to be {value}"), || self.property(name) == value);
    }

    fn write_lines(&self, events: std::ops::Range<u64>) {
        append(&self.path(LOG), lines(events));
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join("root").join(relative)
    }

    /// With these last words, and not as a failure, which would be remembered.
    fn assert_stopped(&self, words: &str) {
        assert_eq!(self.property("ActiveState"), "inactive");
        assert!(self.journal().contains(words), "no {words:?}");
    }

    fn journal(&self) -> String {
        String::from_utf8_lossy(&self.inside(&["journalctl", "--no-pager", "--unit=auditpost"]).stdout).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.journal());
        }
        let _ = self.podman(&["rm", "--force", "--time=0", "machine"]).output();
        let _ = Command::new("umount").arg(self.dir.path().join("storage/overlay")).output();
    }
}

#[test]
fn under_systemd_it_starts_reloads_is_restarted_and_drains() {
    let receiver = Receiver::start();
    let Some(machine) = Machine::boot("under_systemd_it_starts_reloads_is_restarted_and_drains", &receiver) else {
        return;
    };
    machine.write_lines(0..5);
    assert!(machine.systemctl(&["start", "auditpost"]).is_some(), "{}", machine.journal());
    receiver.wait_for_lines(5);
    assert_eq!(receiver.deliveries()[0].header("authorization"), Some("Bearer a-token-of-root"));
    machine.wait_for_property("StatusText", "1 forwarder: 1 ready; backlog 0 B");
    assert_hardened(&machine);

    // A reload takes over what is right, and fails where it is wrong, with the service as it was.
    let right = fs::read_to_string(machine.path(CONFIG_PATH)).unwrap();
    machine
        .write(CONFIG_PATH, &right.replace("  - name: siem\n", "  - name: siem\n    headers: {X-Reloaded: yes}\n"));
    assert!(machine.systemctl(&["reload", "auditpost"]).is_some(), "{}", machine.journal());
    wait_until("the reload", || machine.journal().contains("reloaded: taking over what changed"));
    let pid = machine.property("MainPID");
    machine.write(CONFIG_PATH, "nonsense: true\n");
    assert!(machine.systemctl(&["reload", "auditpost"]).is_none());
    assert_eq!((machine.property("ActiveState"), machine.property("MainPID")), ("active".to_owned(), pid.clone()));
    machine.write(CONFIG_PATH, &right);

    // What hangs is restarted, and goes on where it was.
    machine.inside(&["kill", "-STOP", &pid]);
    machine.write_lines(5..10);
    machine.wait_for_property("NRestarts", "1");
    receiver.wait_for_lines(10);
    assert!(machine.journal().contains("Watchdog timeout"));

    machine.write_lines(10..15);
    assert!(machine.systemctl(&["stop", "auditpost"]).is_some());
    machine.assert_stopped("stopped: everything is delivered");
    assert_eq!(numbers(&receiver.accepted_lines()), (0..15).collect::<Vec<_>>());
}

#[test]
fn under_systemd_a_backlog_is_no_failure_and_a_wrong_configuration_no_loop() {
    let mut receiver = Receiver::start();
    let test = "under_systemd_a_backlog_is_no_failure_and_a_wrong_configuration_no_loop";
    let Some(machine) = Machine::boot(test, &receiver) else { return };
    let right = fs::read_to_string(machine.path(CONFIG_PATH)).unwrap();
    machine.write(CONFIG_PATH, &right.replace("drainTimeout: 20s", "drainTimeout: 500ms"));
    receiver.stop();
    machine.write_lines(0..5);
    assert!(machine.systemctl(&["start", "auditpost"]).is_some(), "{}", machine.journal());
    assert!(machine.systemctl(&["stop", "auditpost"]).is_some());
    machine.assert_stopped("stopped with a backlog");

    machine.write(CONFIG_PATH, "nonsense: true\n");
    assert!(machine.systemctl(&["start", "auditpost"]).is_none());
    machine.wait_for_property("ActiveState", "failed");
    assert_eq!(
        (machine.property("ExecMainStatus"), machine.property("NRestarts")),
        ("78".to_owned(), "0".to_owned())
    );

    // The state is where it was, of whatever user it was: nothing is lost, nothing comes twice.
    machine.write(CONFIG_PATH, &right);
    receiver.start_again();
    assert!(machine.systemctl(&["start", "auditpost"]).is_some(), "{}", machine.journal());
    receiver.wait_for_lines(5);
    assert!(machine.systemctl(&["stop", "auditpost"]).is_some());
    assert_eq!(numbers(&receiver.accepted_lines()), (0..5).collect::<Vec<_>>());
}

/// That the sandbox is in force: systemd goes on without a part that it cannot set up.
fn assert_hardened(machine: &Machine) {
    let pid = machine.property("MainPID");
    let status = String::from_utf8(machine.inside(&["cat", &format!("/proc/{pid}/status")]).stdout).unwrap();
    let value = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("no {key}: {status}")).to_owned()
    };
    assert!(value("Uid").split('\t').all(|user| user.parse::<u32>().unwrap() >= 61184), "a dynamic user: {status}");
    for key in ["CapEff", "CapPrm", "CapBnd", "CapAmb"] {
        assert_eq!(value(key), "0000000000000000", "{key}");
    }
    assert_eq!((value("NoNewPrivs").as_str(), value("Seccomp").as_str()), ("1", "2"));
    let writes = format!("touch /proc/{pid}/root/etc/x || touch /proc/{pid}/root/var/log/app/x");
    assert!(!machine.inside(&["sh", "-c", &writes]).status.success(), "even root cannot write there");
    let state = machine.inside(&["stat", "--format=%a", "/var/lib/private/auditpost"]).stdout;
    assert_eq!(String::from_utf8(state).unwrap(), "700\n");
}
