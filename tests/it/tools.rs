//! Programs and rights that some tests need: a test that lacks one says so and passes.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{receiver::Receiver, sidecar::Sidecar};

/// Runs it as nobody, with no rights of root. For [`Sidecar::through`].
pub const AS_NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a program is in PATH.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Whether a command line ends well.
pub fn works(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether tests may take long: they then do many times as much.
pub fn heavy() -> bool {
    std::env::var_os("AUDITPOST_HEAVY").is_some_and(|value| value == "1")
}

/// Says that a test was skipped, past the capture of the tests' output.
pub fn skipped(test: &str, because: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {because}");
}

/// Runs it under strace, which does this to its system calls; `None` (and said) where there is no strace.
pub fn traced(sidecar: Sidecar, test: &str, options: &[&str]) -> Option<Sidecar> {
    if !works(&["strace", "-D", "-f", "-o", "/dev/null", "true"]) {
        skipped(test, "strace is not to be had, or may not trace");
        return None;
    }
    Some(under_strace(sidecar, options))
}

/// The same where it is known that strace is there.
pub fn under_strace(sidecar: Sidecar, options: &[&str]) -> Sidecar {
    // With -D the traced process is the child, and strace stands aside.
    let mut wrapper = vec!["strace", "-D", "-f", "-qq", "-o", "/dev/null"];
    wrapper.extend(options);
    sidecar.through(&wrapper)
}

/// Whether file systems can be mounted in a name space of one's own; says so where not.
pub fn can_mount(test: &str) -> bool {
    let can = works(&["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"]);
    if !can {
        skipped(test, "mounting a file system needs root and unshare");
    }
    can
}

/// Gives a tree to nobody, so that [`AS_NOBODY`] can use it.
pub fn give_to_nobody(path: &Path) {
    std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            give_to_nobody(&entry.unwrap().path());
        }
    }
}

/// Waits until the condition holds; panics, and says what for, when it never does.
pub fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Sidecar {
    /// Runs it without the rights of root, where the test has them; false (and said) where that cannot be done.
    pub fn without_root(self, test: &str) -> Option<Self> {
        if !is_root() {
            return Some(self);
        }
        let mut probe = AS_NOBODY.to_vec();
        probe.extend([env!("CARGO_BIN_EXE_auditpost"), "--version"]);
        if !works(&probe) {
            skipped(test, "as root it needs setpriv, and a binary that everybody may run");
            return None;
        }
        give_to_nobody(&self.path(""));
        Some(self.through(&AS_NOBODY))
    }

    /// Waits until `/readyz` answers with this status, and gives what it says.
    pub fn wait_for_readyz(&self, status: u16) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let (now, body) = self.get("/readyz");
            if now == status {
                return body;
            }
            assert!(Instant::now() < end, "readyz is {now}, not {status}: {body}\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for an alarm of this kind with this text in it, and gives its text.
    pub fn wait_for_alarm(&self, kind: &str, text: &str) -> String {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let status = self.status();
            let alarms = status["alarms"].as_array().unwrap().iter().filter(|alarm| alarm["kind"] == kind);
            let mut texts = alarms.map(|alarm| alarm["text"].as_str().unwrap().to_owned());
            if let Some(found) = texts.find(|found| found.contains(text)) {
                return found;
            }
            assert!(Instant::now() < end, "no alarm {kind} with {text:?}: {status}\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until there are books, as a start takes a moment, and asserts that they balance.
    pub fn wait_for_books(&self) {
        self.wait_for_metrics("books", |metrics| !metrics.is_empty()).assert_books_balance();
    }

    /// Starts it, waits until the receiver has `lines` in all, and stops it.
    pub fn restart_and_expect(&mut self, receiver: &Receiver, lines: usize) {
        self.start_again();
        self.wait_for_log("forwarding");
        receiver.wait_for_lines(lines);
        assert_eq!(self.stop(), 0);
        assert_eq!(receiver.accepted_lines().len(), lines);
    }

    pub fn send_signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid().cast_signed()).unwrap(), signal).unwrap();
    }

    /// A path as the running process sees it, whatever name space it is in.
    pub fn inside(&self, relative: &str) -> std::path::PathBuf {
        let path = self.path(relative);
        Path::new("/proc").join(self.pid().to_string()).join("root").join(path.strip_prefix("/").unwrap())
    }
}
