//! The real `auditpost run`, as a child process that ends with its [`Sidecar`].

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use super::scrape::ScrapedMetrics;

/// How long anything may take before the demo gives up. Far above what it takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(10);
/// Of what it said, this many last lines are kept.
const WORDS: usize = 12;

/// The variable that brings the token in, so that the configuration need not hold it.
pub(super) const TOKEN_VARIABLE: &str = "AUDITPOST_DEMO_TOKEN";

/// A running child. Dropping it kills it.
pub(super) struct Sidecar {
    child: Child,
    words: Arc<Mutex<Words>>,
    client: Client,
    admin: SocketAddr,
    started: Instant,
}

/// What it said on standard error.
#[derive(Default)]
struct Words {
    last: VecDeque<String>,
    admin: Option<SocketAddr>,
}

/// What it used, as the kernel counted it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub cpu: Duration,
    pub peak_memory_bytes: u64,
}

impl Sidecar {
    /// Starts it and waits until its admin pages answer.
    pub(super) async fn start(config: &Path, token: &str, client: &Client) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot tell which program this is")?;
        let started = Instant::now();
        let mut child = command(&program, config, token)
            .spawn()
            .with_context(|| format!("cannot start {} run", program.display()))?;
        let words = Arc::new(Mutex::new(Words::default()));
        if let Some(stderr) = child.stderr.take() {
            let words = words.clone();
            thread::spawn(move || listen(stderr, &words));
        }
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut sidecar = Self { child, words, client: client.clone(), admin: unknown, started };
        sidecar.find_admin().await?;
        Ok(sidecar)
    }

    async fn find_admin(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        loop {
            let admin = self.words.lock().unwrap_or_else(PoisonError::into_inner).admin;
            if let Some(admin) = admin {
                self.admin = admin;
                return Ok(());
            }
            self.must_run()?;
            if Instant::now() > end {
                bail!("auditpost run does not say where its admin pages are{}", self.last_words());
            }
            sleep(PAUSE).await;
        }
    }

    /// Reads its `/metrics`.
    pub(super) async fn scrape(&mut self) -> anyhow::Result<ScrapedMetrics> {
        let page = async {
            let answer = self.client.get(format!("http://{}/metrics", self.admin)).send().await?;
            answer.error_for_status()?.text().await
        };
        match page.await {
            Ok(page) => Ok(ScrapedMetrics::parse(&page)),
            Err(error) => {
                self.must_run()?;
                bail!("its metrics cannot be read: {error}{}", self.last_words())
            }
        }
    }

    /// An error where it has ended by itself.
    pub(super) fn must_run(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait().context("cannot ask after auditpost run")? {
            None => Ok(()),
            Some(status) => bail!("auditpost run ended by itself ({status}){}", self.last_words()),
        }
    }

    /// SIGKILL: no last words, no clean-up.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().context("cannot kill auditpost run")?;
        self.child.wait().context("cannot wait for auditpost run")?;
        Ok(())
    }

    /// SIGTERM, and waits for the end: its exit status; `None` where a signal ended it.
    pub(super) async fn stop(&mut self) -> anyhow::Result<Option<i32>> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).context("cannot stop auditpost run")?;
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().context("cannot wait for auditpost run")? {
                return Ok(status.code());
            }
            sleep(PAUSE).await;
        }
        bail!("auditpost run does not stop{}", self.last_words())
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// What it used so far; `None` where the kernel does not say.
    pub(super) fn usage(&self) -> Option<Usage> {
        let proc = PathBuf::from(format!("/proc/{}", self.child.id()));
        let stat = std::fs::read_to_string(proc.join("stat")).ok()?;
        // The second field, the name, may hold blanks; it ends with the last bracket.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        let cpu = Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
        let status = std::fs::read_to_string(proc.join("status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = peak.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(Usage { cpu, peak_memory_bytes: kib * 1024 })
    }

    fn last_words(&self) -> String {
        // Its last lines may still be on their way through the pipe.
        thread::sleep(PAUSE);
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: String = words.last.iter().map(|line| format!("\n  {line}")).collect();
        format!("; its last words were:{lines}")
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(program: &Path, config: &Path, token: &str) -> Command {
    let mut command = Command::new(program);
    command.arg("run").arg("-c").arg(config).env(TOKEN_VARIABLE, token);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn listen(stderr: ChildStderr, words: &Mutex<Words>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(admin) = admin_address(&line) {
            words.admin = Some(admin);
        }
        if words.last.len() == WORDS {
            words.last.pop_front();
        }
        words.last.push_back(line);
    }
}

/// From the diagnostics, which the demo's configurations ask for as JSON.
fn admin_address(line: &str) -> Option<SocketAddr> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let listening = value.get("message")?.as_str()? == "admin listening";
    listening.then(|| value.get("addr")?.as_str()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_address_is_found_in_the_diagnostics() {
        let line = r#"{"timestamp":"T","level":"INFO","message":"admin listening","addr":"127.0.0.1:4711"}"#;
        assert_eq!(admin_address(line), Some(SocketAddr::from(([127, 0, 0, 1], 4711))));
        assert_eq!(admin_address("admin listening addr=127.0.0.1:4711"), None);
        assert_eq!(admin_address(&line.replace("listening", "listens")), None);
    }
}
