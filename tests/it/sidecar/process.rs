//! The running process: signals, what it says, what its admin pages say.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::Sidecar;
use crate::{http, metrics::Metrics};

/// How long a wait waits before the test fails. It covers `drainTimeout`'s default.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Process {
    child: Child,
    output: Arc<Output>,
    reader: Option<JoinHandle<()>>,
}

/// Standard error so far, and whether there can be more.
#[derive(Default)]
struct Output {
    text: Mutex<(String, bool)>,
    more: Condvar,
}

impl Process {
    pub(super) fn start(dir: &Path, env: &[(String, String)], wrapper: &[String], args: &[&OsStr]) -> Self {
        let mut child =
            command(dir, env, wrapper).args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Arc::new(Output::default());
        let stderr = child.stderr.take().unwrap();
        let reader = {
            let output = output.clone();
            thread::spawn(move || output.collect(BufReader::new(stderr)))
        };
        Self { child, output, reader: Some(reader) }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn said(&self) -> String {
        self.output.text.lock().unwrap().0.clone()
    }

    /// Waits for the end: the exit status, or 128 + the signal's number.
    fn wait(&mut self) -> i32 {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > end {
                panic!("it does not end; it said:\n{}", self.said());
            }
            thread::sleep(Duration::from_millis(5));
        };
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Output {
    fn collect(&self, mut stderr: impl BufRead) {
        let mut line = Vec::new();
        while stderr.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            self.text.lock().unwrap().0.push_str(&String::from_utf8_lossy(&line));
            self.more.notify_all();
            line.clear();
        }
        self.text.lock().unwrap().1 = true;
        self.more.notify_all();
    }

    /// Waits until `find` finds something in what was said; panics where the process ends or time is up before.
    fn wait_for<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        let mut text = self.text.lock().unwrap();
        loop {
            if let Some(found) = find(&text.0) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || text.1 {
                let said = text.0.clone();
                drop(text);
                panic!("waited in vain for {what}; it said:\n{said}");
            }
            text = self.more.wait_timeout(text, left).unwrap().0;
        }
    }
}

impl Sidecar {
    /// Asks it to stop (SIGTERM) and waits: the exit status.
    pub fn stop(&mut self) -> i32 {
        self.terminate();
        self.wait()
    }

    /// Asks it to stop: it drains, and says whether it set something aside, lost it or could not read it.
    pub fn stop_drained(&mut self) {
        let status = self.stop();
        let said = self.stderr();
        let words = said.lines().last().unwrap_or_default();
        let expected =
            if status == 11 { "stopped: what could be sent is delivered, and" } else { "stopped: everything is" };
        assert!([0, 11].contains(&status) && words.contains(expected), "{status}: {said}");
    }

    /// Asks it to stop (SIGTERM) and does not wait.
    pub fn terminate(&self) {
        self.running().signal(Signal::TERM);
    }

    /// Waits until it ends by itself: the exit status.
    pub fn wait(&mut self) -> i32 {
        let mut process = self.process.take().expect("it is not running");
        let status = process.wait();
        self.past += &process.said();
        status
    }

    /// Whether it has ended by itself; [`Self::wait`] then gives how.
    pub fn has_ended(&mut self) -> bool {
        let process = self.process.as_mut().expect("it is not running");
        process.child.try_wait().unwrap().is_some()
    }

    /// SIGKILL: no last words, no clean-up.
    pub fn kill(&mut self) {
        assert_eq!(self.end_by_kill(), 128 + 9);
    }

    /// The same where another signal may come first: the exit status.
    pub fn end_by_kill(&mut self) -> i32 {
        self.running().signal(Signal::KILL);
        self.wait()
    }

    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Asks it to read its configuration again.
    pub fn hup(&self) {
        self.running().signal(Signal::HUP);
    }

    /// Freezes it (SIGSTOP).
    pub fn pause(&self) {
        self.running().signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.running().signal(Signal::CONT);
    }

    /// Whether it has a handler for a signal now: from then on it hears it.
    pub fn catches(&self, signal: Signal) -> bool {
        self.has_in(signal, "SigCgt:")
    }

    /// Whether it ignores a signal, as whoever started us may have wanted (`nohup`).
    pub fn ignores(&self, signal: Signal) -> bool {
        self.has_in(signal, "SigIgn:")
    }

    fn has_in(&self, signal: Signal, set: &str) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let signals = status.lines().find_map(|line| line.strip_prefix(set)).unwrap_or_default();
        let signals = u64::from_str_radix(signals.trim(), 16).unwrap_or_default();
        signals & (1 << (signal.as_raw() - 1)) != 0
    }

    pub fn pid(&self) -> u32 {
        self.running().child.id()
    }

    /// What it wrote to standard error so far, in all its runs.
    pub fn stderr(&self) -> String {
        let now = self.process.as_ref().map(Process::said);
        self.past.clone() + &now.unwrap_or_default()
    }

    /// What this run said so far.
    pub fn run_stderr(&self) -> String {
        self.running().said()
    }

    /// Waits until this run's diagnostics hold `text`.
    pub fn wait_for_log(&self, text: &str) {
        self.running()
            .output
            .wait_for(&format!("{text:?} in the diagnostics"), |said| said.contains(text).then_some(()));
    }

    /// Waits until this run's diagnostics hold `text` as often as that.
    pub fn wait_for_log_times(&self, text: &str, times: usize) {
        let enough = |said: &str| (said.matches(text).count() >= times).then_some(());
        self.running().output.wait_for(&format!("{text:?} {times} times in the diagnostics"), enough);
    }

    /// How often this run's diagnostics hold `text` so far.
    pub fn times_said(&self, text: &str) -> usize {
        self.running().said().matches(text).count()
    }

    /// Waits until this run's diagnostics are as the predicate wants them.
    pub fn wait_until_said(&self, what: &str, holds: impl Fn(&str) -> bool) {
        self.running().output.wait_for(what, |said| holds(said).then_some(()));
    }

    /// Where the admin pages are; waits until it listens.
    pub fn admin(&self) -> SocketAddr {
        self.running().output.wait_for("the admin address", |said| {
            let line = said.lines().find(|line| line.contains("admin listening"))?;
            let (_, addr) = line.split_once("addr=").or_else(|| line.split_once("\"addr\":\""))?;
            addr.split(['"', ' ', ',', '}']).next()?.parse().ok()
        })
    }

    /// `GET path` of the admin pages: the status and the body.
    pub fn get(&self, path: &str) -> (u16, String) {
        let (status, _, body) =
            http::get(self.admin(), path).unwrap_or_else(|error| self.fail(&format!("{path}: {error}")));
        (status, body)
    }

    pub fn metrics(&self) -> Metrics {
        let (status, body) = self.get("/metrics");
        assert_eq!(status, 200, "{body}");
        Metrics::parse(&body)
    }

    pub fn status(&self) -> serde_json::Value {
        let (status, body) = self.get("/status");
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Scrapes until the predicate holds, and gives that scrape.
    pub fn wait_for_metrics(&self, what: &str, holds: impl Fn(&Metrics) -> bool) -> Metrics {
        let end = Instant::now() + PATIENCE;
        loop {
            let metrics = self.metrics();
            if holds(&metrics) {
                return metrics;
            }
            if Instant::now() > end {
                self.fail(&format!("waited in vain for {what}: {metrics:?}"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks for `/status` until the predicate holds, and gives that one.
    pub fn wait_for_status(&self, what: &str, holds: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.status();
            if holds(&status) {
                return status;
            }
            if Instant::now() > end {
                self.fail(&format!("waited in vain for {what}: {status:#}"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn assert_books_balance(&self) {
        self.metrics().assert_books_balance();
    }

    /// Resident memory now, in KiB.
    pub fn rss_kib(&self) -> u64 {
        self.kib("VmRSS:")
    }

    /// The most resident memory it has had, in KiB.
    pub fn peak_rss_kib(&self) -> u64 {
        self.kib("VmHWM:")
    }

    /// How many descriptors it has open.
    pub fn open_descriptors(&self) -> usize {
        let dir = format!("/proc/{}/fd", self.pid());
        std::fs::read_dir(dir).unwrap().count()
    }

    fn kib(&self, key: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn running(&self) -> &Process {
        self.process.as_ref().expect("it is not running")
    }

    fn fail(&self, what: &str) -> ! {
        panic!("{what}; it said:\n{}", self.stderr());
    }
}

/// Runs the binary to its end; kills it after the time limit.
pub(super) fn run_to_end(dir: &Path, env: &[(String, String)], args: &[&str]) -> (i32, String, String) {
    let mut child = command(dir, env, &[]).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let stdout = thread::spawn(move || std::io::read_to_string(stdout).unwrap());
    let stderr = child.stderr.take().unwrap();
    let output = Arc::new(Output::default());
    let reader = {
        let output = output.clone();
        thread::spawn(move || output.collect(BufReader::new(stderr)))
    };
    let mut process = Process { child, output, reader: Some(reader) };
    let status = process.wait();
    (status, stdout.join().unwrap(), process.said())
}

/// With nothing of the tests' own environment but what finds libraries and programs.
fn command(dir: &Path, env: &[(String, String)], wrapper: &[String]) -> Command {
    let binary = env!("CARGO_BIN_EXE_auditpost");
    let mut command = Command::new(wrapper.first().map_or(binary, String::as_str));
    command.args(wrapper.iter().skip(1));
    if !wrapper.is_empty() {
        command.arg(binary);
    }
    command.env_clear().current_dir(dir).stdin(Stdio::null());
    for name in ["PATH", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(env.iter().map(|(name, value)| (name, value)));
    command
}
