//! Programs that rotate logs, run for real beside auditpost: what arrives is exactly what they wrote, each event once
//! and in order.
//!
//! A [`Program`] writes numbered events and rotates on the way, some thirty events a file. Each is followed in three
//! ways: auditpost sees nothing of some rotations while it runs, is stopped over some, and is killed over some. A test
//! whose program is not here says so and passes. `AUDITPOST_HEAVY=1` runs each with many times the events.

mod containers;
mod logrotate;
mod node;
mod pipes;
mod program;
mod python;
mod steps;
mod supervisors;

use std::{
    collections::BTreeSet,
    fmt,
    io::Write,
    time::{Duration, Instant},
};

use crate::{
    events::numbers,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tail::{QUICK_FORWARDER, tailing_with, without_repeats},
    tools::heavy,
};

pub use program::Program;

/// Where all of them write.
pub const LOGS: &str = "logs";

/// The file that most of them write, and what a newcomer includes.
pub const AUDIT: &str = "logs/audit.log";

/// When nothing arrived for so long, nothing more will.
const SILENCE: Duration = Duration::from_secs(8);

/// What happens to auditpost while the program rotates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It runs, and does not look while some rotations happen (SIGSTOP); then there is a burst under its eyes.
    Running,
    /// It is stopped, and started again some rotations later.
    Stopped,
    /// The same by `kill -9`.
    Killed,
}

/// What became of the events of one run.
pub struct Outcome {
    title: String,
    pub written: u64,
    pub lost: Vec<u64>,
    pub doubled: usize,
    pub disordered: usize,
    /// Of the source, as `/status` tells at the end.
    pub gap_bytes: u64,
    pub dead_letters: usize,
    pub said: String,
}

impl Outcome {
    pub fn is_complete(&self) -> bool {
        self.lost.is_empty() && self.doubled == 0 && self.gap_bytes == 0 && self.dead_letters == 0
    }

    pub fn is_exact(&self) -> bool {
        self.is_complete() && self.disordered == 0
    }

    fn of(title: String, written: u64, arrived: &[u64]) -> Self {
        let mut seen = BTreeSet::new();
        let (mut doubled, mut disordered) = (0, 0);
        for n in arrived {
            let is_late = seen.last().is_some_and(|last| n < last);
            match seen.insert(*n) {
                true => disordered += usize::from(is_late),
                false => doubled += 1,
            }
        }
        let lost = (0..written).filter(|n| !seen.contains(n)).collect();
        Self { title, written, lost, doubled, disordered, gap_bytes: 0, dead_letters: 0, said: String::new() }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, written, lost, doubled, disordered, gap_bytes, dead_letters, .. } = self;
        let lost = lost.len();
        write!(f, "{title}: of {written} lost {lost}, doubled {doubled}, disordered {disordered}")?;
        match (gap_bytes, dead_letters) {
            (0, 0) => Ok(()),
            (gap, dead) => write!(f, "; a gap of {gap} bytes, {dead} dead letters"),
        }
    }
}

/// Runs it in the three ways with what a newcomer includes, the first of `includes`, and over a stop with each other
/// one; asserts that everything arrives once and in order.
#[track_caller]
pub fn assert_exact(name: &str, includes: &[&str], start: impl Fn(&Sidecar) -> Program) {
    assert_all(Outcome::is_exact, name, includes, start);
}

/// The same in whatever order.
#[track_caller]
pub fn assert_complete(name: &str, includes: &[&str], start: impl Fn(&Sidecar) -> Program) {
    assert_all(Outcome::is_complete, name, includes, start);
}

#[track_caller]
fn assert_all(holds: impl Fn(&Outcome) -> bool, name: &str, includes: &[&str], start: impl Fn(&Sidecar) -> Program) {
    let first = [Way::Running, Way::Stopped, Way::Killed].map(|way| (includes[0], way));
    let others = includes[1..].iter().map(|include| (*include, Way::Stopped));
    let outcomes = first.into_iter().chain(others).map(|(include, way)| run(name, include, way, &start));
    let failed: Vec<Outcome> = outcomes.filter(|outcome| !holds(outcome)).collect();
    let told: Vec<String> =
        failed.iter().map(|it| format!("{it}\nlost: {:?}\nit said:\n{}", it.lost, it.said)).collect();
    assert!(failed.is_empty(), "{}", told.join("\n\n"));
}

/// Runs a program beside auditpost, which follows `include`, and says what became of its events.
pub fn run(name: &str, include: &str, way: Way, start: &impl Fn(&Sidecar) -> Program) -> Outcome {
    let scale = if heavy() { 20 } else { 1 };
    let receiver = Receiver::start();
    let mut sidecar = tailing_with(include, "", &receiver, QUICK_FORWARDER);
    std::fs::create_dir(sidecar.path(LOGS)).unwrap();
    let mut program = start(&sidecar);
    program.write(0..20);
    sidecar.start_again();
    receiver.wait_for_lines(1);
    program.write(20..70);
    let mut n = 70 + 200 * scale;
    match way {
        Way::Running => {
            sidecar.pause();
            program.write(70..n);
            sidecar.resume();
        }
        Way::Stopped => {
            assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
            program.write(70..n);
            sidecar.start_again();
        }
        Way::Killed => {
            // What is in flight is under way a second time.
            receiver.script([Reply::status(503)]);
            sidecar.kill();
            program.write(70..n);
            sidecar.start_again();
        }
    }
    program.write(n..n + 100 * scale);
    n += 100 * scale;
    wait_for(n, &receiver);
    // What it sent is known to it after a restart.
    sidecar.wait_for_books();
    sidecar.stop_drained();
    sidecar.start_again();
    program.write(n..n + 1);
    n += 1;
    wait_for(n, &receiver);
    if include.contains('*') {
        // What may be a copy in the making is held back for `sealAfter`; then it shows whether it is sent.
        std::thread::sleep(Duration::from_millis(400));
    }
    drop(program);
    sidecar.wait_for_books();
    let status = sidecar.status();
    assert_eq!(sidecar.stop(), 0, "{}", sidecar.stderr());
    let arrived = numbers(&without_repeats(&receiver.deliveries()));
    let mut outcome = Outcome::of(format!("{name}, {include}, {way:?}"), n, &arrived);
    outcome.gap_bytes = status["forwarders"][0]["sources"][0]["gapBytes"].as_u64().unwrap_or_default();
    outcome.dead_letters = sidecar.dead_letters("siem").len();
    outcome.said = sidecar.stderr();
    let _ = writeln!(std::io::stderr(), "{outcome}");
    outcome
}

/// Waits until as many different events arrived, or nothing does any more.
fn wait_for(events: u64, receiver: &Receiver) {
    let (mut arrived, mut since) = (0, Instant::now());
    while arrived < events as usize && since.elapsed() < SILENCE {
        let now = without_repeats(&receiver.deliveries()).into_iter().collect::<BTreeSet<_>>().len();
        if now > arrived {
            (arrived, since) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_outcome_counts_what_is_lost_doubled_and_disordered() {
    let counts = |arrived: &[u64]| {
        let outcome = Outcome::of(String::new(), 5, arrived);
        (outcome.lost, outcome.doubled, outcome.disordered)
    };
    assert_eq!(counts(&[0, 1, 2, 3, 4]), (vec![], 0, 0));
    assert_eq!(counts(&[0, 2, 1, 2, 4]), (vec![3], 1, 1));
}
