//! Tells a service manager how we are: systemd's protocol (sd_notify(3)), datagrams to the socket that `NOTIFY_SOCKET` names.
//!
//! What always holds: nothing is sent where nobody asked for it; a manager that does not read holds nothing up; and
//! `WATCHDOG=1` goes out only while every loop turns, by the judgement of `/livez`, so that the manager starts anew what
//! hangs. No datagram holds a secret: states, counts and the names of loops.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use crate::admin::{Registry, human, status::Status};

/// How often the status line is looked at where no watchdog asks for more.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// How long a message waits for a manager that does not read.
const PATIENCE: Duration = Duration::from_millis(100);

/// Whoever started us and wants to know; or nobody, and then every message goes nowhere.
#[derive(Debug, Default)]
pub struct ServiceManager {
    line: Option<(UnixDatagram, SocketAddr)>,
    /// It restarts us when it has not heard `WATCHDOG=1` for so long.
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// As the environment names it: `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`.
    pub fn of_environment() -> Self {
        Self::of(&|name| env::var_os(name))
    }

    fn of(env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let Some(name) = env("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return Self::default() };
        match line(&name) {
            Ok(line) => Self { line: Some(line), watchdog: watchdog(env) },
            Err(error) => {
                warn!(%error, "NOTIFY_SOCKET cannot be used: the service manager is told nothing");
                Self::default()
            }
        }
    }

    /// Everything is started, or a reload is over, whether it changed something or not.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// A reload begins; [`Self::ready`] ends it. The time tells a manager which reload it is (`Type=notify-reload`).
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// Keeps the watchdog fed and the status line true for as long as it is polled.
    pub async fn run(self: Arc<Self>, registry: Arc<Registry>) {
        if self.line.is_none() {
            return;
        }
        // Twice as often as it must be, as sd_watchdog_enabled(3) advises.
        let every = self.watchdog.map_or(STATUS_EVERY, |limit| (limit / 2).min(STATUS_EVERY));
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = String::new();
        let mut lived = true;
        loop {
            ticks.tick().await;
            let status = Status::of(&registry, Timestamp::now());
            let lives = status.stuck.is_empty();
            if lives != lived && self.watchdog.is_some() {
                log_stuck(&status.stuck);
            }
            lived = lives;
            let line = describe(&status);
            let mut message = String::new();
            if line != told {
                message = format!("STATUS={line}\n");
            }
            if lives && self.watchdog.is_some() {
                message += "WATCHDOG=1\n";
            }
            if !message.is_empty() && self.send(message.trim_end()) {
                told = line;
            }
        }
    }

    fn send(&self, message: &str) -> bool {
        let Some((socket, manager)) = &self.line else { return false };
        let sent = socket.send_to_addr(message.as_bytes(), manager);
        if let Err(error) = &sent {
            let about = message.split('=').next().unwrap_or_default();
            warn!(%error, about, "the service manager cannot be told");
        }
        sent.is_ok()
    }
}

/// A socket of our own and the manager's address: a path, or after `@` a name without one. Not connected: a manager that
/// starts anew makes another socket of the same name.
fn line(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        [b'/', ..] => SocketAddr::from_pathname(name)?,
        _ => return Err(io::Error::new(io::ErrorKind::Unsupported, "it is neither a path nor an abstract name")),
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok((socket, address))
}

/// The watchdog's limit, where there is one and it is meant for this process.
fn watchdog(env: &dyn Fn(&str) -> Option<OsString>) -> Option<Duration> {
    let number = |name: &str| env(name)?.to_str()?.parse::<u64>().ok();
    if env("WATCHDOG_PID").is_some() && number("WATCHDOG_PID") != Some(std::process::id().into()) {
        return None;
    }
    number("WATCHDOG_USEC").filter(|micros| *micros > 0).map(Duration::from_micros)
}

fn log_stuck(stuck: &[String]) {
    if stuck.is_empty() {
        info!("every loop turns again: the service manager's watchdog is fed");
    } else {
        error!(loops = ?stuck, "loops do not turn: the service manager's watchdog is no longer fed, so that it starts us anew");
    }
}

/// One line for `systemctl status`: `3 forwarders: 2 ready, 1 held; backlog 12 MB; 1 alarm, the first: …`.
fn describe(status: &Status) -> String {
    if !status.stuck.is_empty() {
        return format!("not alive: {}", status.stuck.join("; "));
    }
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for forwarder in &status.forwarders {
        *states.entry(&forwarder.state).or_default() += 1;
    }
    let states: Vec<_> = states.iter().map(|(state, number)| format!("{number} {state}")).collect();
    let number = status.forwarders.len();
    let mut line = format!("{number} forwarder{}: {}", plural(number), states.join(", "));
    let followed = status.forwarders.iter().flat_map(|forwarder| &forwarder.sources);
    let backlog = followed.map(|followed| followed.backlog_bytes).sum();
    line += &format!("; backlog {}", human::bytes(backlog));
    if let Some(first) = status.alarms.first() {
        let number = status.alarms.len();
        line += &format!("; {number} alarm{}, the first: {} of {}", plural(number), first.kind, first.object);
    }
    line
}

fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::alarm::{AlarmKind, AlarmSubject};

    /// A manager that listens at this name, and what it gave us as environment.
    fn manager(name: &str, watchdog: &[(&str, &str)]) -> (UnixDatagram, ServiceManager) {
        let (_, address) = line(name.as_ref()).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let told = ServiceManager::of(&|asked| match asked {
            "NOTIFY_SOCKET" => Some(name.into()),
            _ => watchdog.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.into()),
        });
        (socket, told)
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// Until a message of this kind; gives those before it too.
    fn heard_until(socket: &UnixDatagram, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            all.push(heard(socket));
            if wanted(&all[all.len() - 1]) {
                return all;
            }
            assert!(all.len() < 1000, "{all:?}");
        }
    }

    #[test]
    fn a_manager_is_reached_by_path_and_by_abstract_name_also_when_it_starts_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let path = path.to_str().unwrap();
        for name in [path, &format!("@auditpost-test-{}", std::process::id())] {
            let (socket, told) = manager(name, &[]);
            told.ready();
            told.stopping();
            assert_eq!([heard(&socket), heard(&socket)], ["READY=1", "STOPPING=1"]);
            drop(socket);
            assert!(!told.send("READY=1"), "nobody is there, and that is no reason to end");
            let _ = std::fs::remove_file(path);
            let (socket, _) = manager(name, &[]);
            assert!(told.send("READY=1"));
            assert_eq!(heard(&socket), "READY=1");
        }
    }

    #[test]
    fn a_reload_tells_when_it_began_on_the_clock_that_does_not_jump() {
        let dir = tempfile::tempdir().unwrap();
        let (socket, told) = manager(dir.path().join("notify").to_str().unwrap(), &[]);
        let now = || {
            let now = clock_gettime(ClockId::Monotonic);
            u64::try_from(now.tv_sec).unwrap() * 1_000_000 + u64::try_from(now.tv_nsec).unwrap() / 1000
        };
        let before = now();
        told.reloading();
        let message = heard(&socket);
        let time: u64 = message.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!((before..=now()).contains(&time), "{time}, not since {before}");
    }

    #[test]
    fn nobody_is_told_where_nobody_asked_or_the_name_is_no_socket() {
        for name in [None, Some(""), Some("vsock:2:1234"), Some("relative/path")] {
            let told = ServiceManager::of(&|asked| (asked == "NOTIFY_SOCKET").then_some(name?.into()));
            assert!(told.line.is_none() && !told.send("READY=1"), "{name:?}");
        }
    }

    #[test]
    fn the_watchdog_is_ours_only_where_it_is_meant_for_us() {
        let limit = |pairs: &[(&str, &str)]| {
            watchdog(&|asked| pairs.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.into()))
        };
        let (usec, own) = (("WATCHDOG_USEC", "1500000"), std::process::id().to_string());
        let ours = Some(Duration::from_millis(1500));
        assert_eq!(limit(&[usec]), ours);
        assert_eq!(limit(&[usec, ("WATCHDOG_PID", &own)]), ours);
        assert_eq!(limit(&[usec, ("WATCHDOG_PID", "1")]), None);
        assert_eq!(limit(&[("WATCHDOG_USEC", "0")]), None);
        assert_eq!(limit(&[("WATCHDOG_USEC", "soon")]), None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_watchdog_is_fed_while_the_loops_turn_and_only_then() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("notify");
        let (socket, told) = manager(name.to_str().unwrap(), &[("WATCHDOG_USEC", "40000")]);
        let registry = Arc::new(Registry::new(Timestamp::now()));
        let attended = tokio::spawn(Arc::new(told).run(registry.clone()));
        assert_eq!(heard(&socket), "STATUS=0 forwarders: ; backlog 0 B\nWATCHDOG=1");
        assert_eq!([heard(&socket), heard(&socket)], ["WATCHDOG=1"; 2]);
        let inner = registry.clone();
        let died = std::thread::spawn(move || {
            let _pulse = inner.health.pulse("forwarder siem");
            panic!("on purpose");
        });
        assert!(died.join().is_err());
        let last = heard_until(&socket, |message| message.contains("STATUS")).pop().unwrap();
        assert_eq!(last, "STATUS=not alive: forwarder siem: panicked");
        // The next thing that it says is another status, so many pings later as there would have been.
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        assert!(socket.recv(&mut [0; 64]).is_err(), "nothing, while a loop does not turn");
        let _revived = registry.health.pulse("forwarder siem");
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        assert_eq!(heard(&socket), "STATUS=0 forwarders: ; backlog 0 B\nWATCHDOG=1");
        attended.abort();
    }

    #[test]
    fn the_status_line_counts_states_and_names_the_first_alarm() {
        let registry = Registry::new(Timestamp::UNIX_EPOCH);
        registry.alarms.raise(&AlarmSubject::forwarder("siem"), AlarmKind::Held, "401", Timestamp::UNIX_EPOCH);
        registry.alarms.raise(&AlarmSubject::source("app"), AlarmKind::File, "gone", Timestamp::UNIX_EPOCH);
        let siem =
            crate::forwarder::stats::ForwarderStats::new("siem", vec!["app".to_owned()], Timestamp::UNIX_EPOCH);
        registry.set_forwarders(vec![Arc::new(siem)]);
        let line = describe(&Status::of(&registry, Timestamp::UNIX_EPOCH));
        assert_eq!(line, "1 forwarder: 1 ready; backlog 0 B; 2 alarms, the first: held of forwarder siem");
    }
}
