//! Processes, and what the kernel says they used.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What a process used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Seconds, user and system.
    pub cpu: f64,
    /// Seconds.
    pub wall: f64,
    /// Highest resident memory, in MB of a million bytes.
    pub peak_mb: f64,
}

pub struct Child {
    child: std::process::Child,
    begun: Instant,
    /// What it printed first: an address.
    pub address: String,
    bytes: u64,
}

impl Child {
    /// This program with other arguments.
    pub fn this(args: &[&str]) -> Self {
        Self::spawn(Command::new(std::env::current_exe().unwrap()).args(args).stdout(Stdio::null()))
    }

    pub fn receiver(_dir: &Path) -> Self {
        let mut receiver =
            Self::spawn(Command::new(std::env::current_exe().unwrap()).arg("receiver").stdout(Stdio::piped()));
        let mut line = String::new();
        BufReader::new(receiver.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        receiver.address = line.trim().to_owned();
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// `auditpost run` in a fresh state directory, reading one file.
    pub fn sidecar(dir: &Path, file: &str, forwarders: &str) -> Self {
        let source = format!("{{name: app, kind: file, include: [{file}]}}");
        let mut sidecar = Self::sidecar_with(dir, &source, forwarders, "admin listening").0;
        sidecar.bytes = fs::metadata(file).unwrap().len();
        sidecar
    }

    /// The same with any source, and what it said up to the line with `sign`.
    pub fn sidecar_with(dir: &Path, source: &str, forwarders: &str, sign: &str) -> (Self, String) {
        let state = dir.join("state");
        let _ = fs::remove_dir_all(&state);
        let config = dir.join("config.yaml");
        let text = format!(
            "stateDir: {}\nsources: [{source}]\nforwarders: [{forwarders}]\nadmin: {{listen: \"127.0.0.1:0\"}}\ndrainTimeout: 5s\n",
            state.display()
        );
        fs::write(&config, text).unwrap();
        let mut sidecar = Self::spawn(
            Command::new(env!("CARGO_BIN_EXE_auditpost")).arg("run").arg("-c").arg(&config).stderr(Stdio::piped()),
        );
        let mut lines = BufReader::new(sidecar.child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        while !(said.contains("admin listening") && said.contains(sign)) {
            said += &lines.next().expect("it starts").unwrap();
            said.push('\n');
        }
        sidecar.address = word_after(&said, "admin listening addr=").to_owned();
        thread::spawn(move || for _ in lines {});
        (sidecar, said)
    }

    /// How many bytes [`Self::wait_until_delivered`] waits for.
    pub fn expect_bytes(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    fn spawn(command: &mut Command) -> Self {
        Self { child: command.spawn().unwrap(), begun: Instant::now(), address: String::new(), bytes: 0 }
    }

    /// Until the forwarder `siem` has read and settled all.
    pub fn wait_until_delivered(&self) {
        loop {
            let metrics = self.metrics();
            let value = |name: &str| -> f64 {
                let line = metrics.lines().find(|line| line.starts_with(name) && line.contains("forwarder=\"siem\""));
                line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
            };
            if value("auditpost_bytes_read_total") as u64 >= self.bytes && value("auditpost_events_in_flight") == 0.0
            {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn metrics(&self) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        let pid = self.child.id();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        let kib: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        Usage {
            cpu: ticks / rustix::param::clock_ticks_per_second() as f64,
            wall: self.begun.elapsed().as_secs_f64(),
            peak_mb: kib * 1024.0 / 1e6,
        }
    }

    /// Waits until it ends; the last look before that counts, it is at most 2 ms old.
    pub fn wait(mut self) -> Usage {
        let mut last = self.usage();
        while self.child.try_wait().unwrap().is_none() {
            if fs::read_to_string(format!("/proc/{}/status", self.child.id()))
                .is_ok_and(|status| status.contains("VmHWM"))
            {
                last = self.usage();
            }
            thread::sleep(Duration::from_millis(2));
        }
        last
    }

    /// What it used until now; then it is stopped.
    pub fn stop(self) -> Usage {
        self.kill()
    }

    pub fn kill(mut self) -> Usage {
        let usage = self.usage();
        let _ = self.child.kill();
        let _ = self.child.wait();
        usage
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What follows a sign in what was said, up to the next blank.
pub fn word_after<'a>(said: &'a str, sign: &str) -> &'a str {
    said.split(sign).nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap()
}
