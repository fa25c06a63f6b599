//! A service manager as systemd is one: a datagram socket that `NOTIFY_SOCKET` names.

use std::{
    os::unix::net::UnixDatagram,
    time::{Duration, Instant},
};

use rustix::time::{ClockId, clock_gettime};

use crate::{events::numbers, receiver::Receiver, sidecar::Sidecar, tools::traced};

const LOG: &str = "logs/audit.ndjson";

struct Manager(UnixDatagram);

impl Manager {
    /// A sidecar that it looks after, not started yet.
    fn of(receiver: &Receiver, watchdog: Duration) -> (Self, Sidecar) {
        let sidecar = Sidecar::new().file_source("app", "logs/*.ndjson").forwarder("siem", &receiver.url(), "");
        let path = sidecar.path("notify");
        let manager = Self(UnixDatagram::bind(&path).unwrap());
        let sidecar = sidecar
            .env("NOTIFY_SOCKET", path.to_str().unwrap())
            .env("WATCHDOG_USEC", &watchdog.as_micros().to_string());
        (manager, sidecar)
    }

    /// The next message, if one comes in time.
    fn hears_within(&self, limit: Duration) -> Option<String> {
        self.0.set_read_timeout(Some(limit)).unwrap();
        let mut bytes = [0; 4096];
        let length = self.0.recv(&mut bytes).ok()?;
        Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
    }

    /// Waits for a message with this line, and gives all that came until then, this one last.
    fn wait_for(&self, wanted: &str) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(60);
        let mut all = Vec::new();
        while let Some(message) = self.hears_within(end.saturating_duration_since(Instant::now()).max(MOMENT)) {
            let found = message.lines().any(|line| line.starts_with(wanted));
            all.push(message);
            if found {
                return all;
            }
        }
        panic!("waited in vain for {wanted}; it said {all:?}");
    }

    /// Takes what has come already.
    fn forget(&self) {
        while self.hears_within(MOMENT).is_some() {}
    }
}

const MOMENT: Duration = Duration::from_millis(1);

/// Long enough that a busy machine keeps it, short enough to wait for several.
const WATCHDOG: Duration = Duration::from_secs(2);

fn micros_now() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1000
}

#[test]
fn a_service_manager_is_told_of_start_reload_and_stop() {
    let receiver = Receiver::start();
    let (manager, mut sidecar) = Manager::of(&receiver, WATCHDOG);
    sidecar.write_lines(LOG, 0..3);
    sidecar.start_again();
    assert_eq!(manager.wait_for("READY=1").len(), 1, "nothing before it is ready");
    sidecar.wait_for_readyz(200);
    manager.wait_for("STATUS=1 forwarder: 1 ready; backlog 0 B");

    let before = micros_now();
    sidecar.hup();
    let reloading = manager.wait_for("RELOADING=1").pop().unwrap();
    let time: i64 = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
    assert!((before..=micros_now()).contains(&time), "{time} is not when the reload began");
    manager.wait_for("READY=1");

    // One that is refused is over too, and the line says that something is wrong.
    sidecar.set_config("nonsense");
    sidecar.hup();
    manager.wait_for("RELOADING=1");
    manager.wait_for("READY=1");
    let status = manager.wait_for("STATUS=").pop().unwrap();
    assert!(status.contains("1 alarm, the first: reload of configuration"), "{status}");

    sidecar.terminate();
    manager.wait_for("STOPPING=1");
    assert_eq!(sidecar.wait(), 0);
    assert_eq!(numbers(&receiver.accepted_lines()), [0, 1, 2]);
}

#[test]
fn nothing_is_said_to_be_ready_where_the_start_fails() {
    let receiver = Receiver::start();
    let (manager, mut sidecar) = Manager::of(&receiver, WATCHDOG);
    std::fs::write(sidecar.path("state"), "no directory").unwrap();
    sidecar.start_again();
    assert_eq!(sidecar.wait(), 73);
    assert_eq!(manager.hears_within(MOMENT), None);
}

#[test]
fn the_watchdog_is_fed_in_time_and_not_by_one_that_is_frozen() {
    let receiver = Receiver::start();
    let (manager, mut sidecar) = Manager::of(&receiver, WATCHDOG);
    sidecar.start_again();
    manager.wait_for("WATCHDOG=1");
    for _ in 0..5 {
        let asked = Instant::now();
        manager.wait_for("WATCHDOG=1");
        assert!(asked.elapsed() < WATCHDOG, "a manager would have restarted it");
    }
    sidecar.pause();
    manager.forget();
    assert_eq!(manager.hears_within(2 * WATCHDOG), None);
    sidecar.resume();
    manager.wait_for("WATCHDOG=1");
    assert_eq!(sidecar.stop(), 0);
}

// The process runs, its runtime too, but a forwarder hangs in a call: a disk that does not answer.
#[test]
fn the_watchdog_is_not_fed_while_a_loop_hangs() {
    let test = "the_watchdog_is_not_fed_while_a_loop_hangs";
    let receiver = Receiver::start();
    let (manager, sidecar) = Manager::of(&receiver, WATCHDOG);
    sidecar.write_lines(LOG, 0..3);
    // Longer than the thirty seconds after which a loop counts as stuck, and then it answers again.
    let options =
        ["-P", "{dir}/state/forwarders/siem/journal", "-e", "inject=write,writev,pwrite64:delay_enter=35s:when=1"];
    let Some(mut sidecar) = traced(sidecar, test, &options) else { return };
    sidecar.start_again();
    let status = manager.wait_for("STATUS=not alive").pop().unwrap();
    assert_eq!(status, "STATUS=not alive: forwarder siem: has not turned for 30 s");
    assert_eq!(sidecar.get("/livez").0, 503, "the same judgement");
    // What ends the wait is that it turns again.
    let mut until_then = manager.wait_for("WATCHDOG=1");
    let again = until_then.pop().unwrap();
    assert!(again.starts_with("STATUS=1 forwarder: "), "{again}");
    assert!(!until_then.is_empty(), "it was not fed for some seconds");
    assert!(until_then.iter().all(|message| message.starts_with("STATUS=not alive: ")), "{until_then:?}");
    receiver.wait_for_lines(3);
    // It is not stopped here: each thread has a first write of its own, and the next one hangs by now.
}
