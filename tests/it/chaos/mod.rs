//! Everything at once, at random: `tests/chaos`. Not a part of the suite, for its time.

mod arrived;
mod missing;

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use self::{
    arrived::{Arrived, arrived},
    missing::listing,
};
use crate::{
    disk::Disk,
    events,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
    tools::works,
};

const LOG: &str = "logs/audit.ndjson";
const NAMES: [&str; 2] = ["siem", "archive"];

/// How long a mended world may take to deliver everything.
const MENDED: Duration = Duration::from_secs(120);

struct Chaos {
    rng: fastrand::Rng,
    sidecar: Sidecar,
    receivers: Vec<Receiver>,
    up: [bool; 2],
    disk: Option<Disk>,
    full: bool,
    paused: bool,
    running: bool,
    /// A signal was sent before the program ran: by the kernel's own way it ends the process.
    too_early: bool,
    /// The next event, and those that were written as no JSON.
    next: u64,
    bad: BTreeSet<String>,
    /// Half a line that stands at the file's end.
    half: Option<Vec<u8>>,
    generation: u64,
    plain: Vec<String>,
    /// What arrived, per receiver: how often, beyond batches that came again under their id.
    arrived: Vec<HashMap<u64, u32>>,
    repeated: u64,
    done: HashMap<&'static str, u64>,
}

#[test]
#[ignore = "it takes an hour: tests/chaos"]
fn everything_at_once() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let minutes = variable("AUDITPOST_CHAOS_MINUTES").unwrap_or(60);
    let seed = variable("AUDITPOST_CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..1 << 40));
    println!("chaos: seed {seed}, {minutes} minutes");
    let end = Instant::now() + Duration::from_secs(minutes * 60);
    let mut chaos = Chaos::new(seed);
    while Instant::now() < end {
        let checkpoint = (Instant::now() + Duration::from_secs(45)).min(end);
        while Instant::now() < checkpoint {
            chaos.step();
        }
        chaos.mend_and_check(seed);
    }
    let twice = chaos.arrived.iter().flat_map(HashMap::values).filter(|times| **times > 1).count();
    let mut done: Vec<_> = chaos.done.iter().map(|(what, times)| format!("{times} {what}")).collect();
    done.sort();
    println!(
        "chaos: seed {seed}, {minutes} minutes: {} events and {} bad lines written, 0 missing at either receiver, {} \
         batches again under their id, {twice} events again under another; {}",
        chaos.next,
        chaos.bad.len(),
        chaos.repeated,
        done.join(", ")
    );
}

impl Chaos {
    fn new(seed: u64) -> Self {
        let receivers: Vec<Receiver> = NAMES.iter().map(|_| Receiver::start()).collect();
        let sidecar = Sidecar::new();
        let disk = Disk::mounted("chaos: a full disk", sidecar.path("state.image"), sidecar.path("state"));
        fs::create_dir(sidecar.path("logs")).unwrap();
        let mut chaos = Self {
            rng: fastrand::Rng::with_seed(seed),
            sidecar,
            receivers,
            up: [true; 2],
            disk,
            full: false,
            paused: false,
            running: true,
            too_early: false,
            next: 0,
            bad: BTreeSet::new(),
            half: None,
            generation: 0,
            plain: Vec::new(),
            arrived: vec![HashMap::new(), HashMap::new()],
            repeated: 0,
            done: HashMap::new(),
        };
        chaos.configure();
        chaos.write();
        chaos.finish_line();
        chaos.sidecar.start_again();
        // What is rotated away before anybody looked is not ours.
        chaos.sidecar.wait_for_log("reading a file");
        chaos.receivers.iter().for_each(|receiver| drop(receiver.wait_for_lines(1)));
        chaos
    }

    fn configure(&mut self) {
        let mut yaml = "stateDir: {dir}/state\nadmin: {listen: \"127.0.0.1:0\"}\ndrainTimeout: 500ms\n\
            sources: [{name: app, kind: file, include: [\"{dir}/logs/audit.ndjson\"], scanInterval: 50ms, sealAfter: 300ms}]\n\
            forwarders:\n"
            .to_owned();
        for (name, receiver) in NAMES.iter().zip(&self.receivers) {
            let (most, flying) = (self.rng.u32(5..200), self.rng.u32(1..4));
            yaml += &format!(
                "- {{name: {name}, uri: \"{}\", timeout: 1s, inFlight: {flying}, batch: {{maxEvents: {most}, maxAge: 20ms}}, \
                 retry: {{initial: 20ms, max: 300ms}}}}\n",
                receiver.url()
            );
        }
        self.sidecar.set_config(&yaml);
    }

    fn did(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    fn step(&mut self) {
        match self.rng.u32(0..100) {
            0..45 => self.write(),
            45..55 => std::thread::sleep(Duration::from_millis(self.rng.u64(0..300))),
            55..62 => self.rotate(),
            62..65 => self.compress(),
            65..67 => self.copytruncate(),
            67..73 => self.kill(),
            73..76 => self.stop(),
            76..80 => self.start(),
            80..84 => self.freeze(),
            84..90 => self.receiver_goes_or_comes(),
            90..95 => self.receiver_answers_otherwise(),
            95..98 => self.reload(),
            _ => self.fill_or_free_the_disk(),
        }
    }

    fn write(&mut self) {
        let mut text = self.half.take().unwrap_or_default();
        let count = self.rng.u64(1..150);
        text.extend(events::lines(self.next..self.next + count).bytes());
        self.next += count;
        if self.rng.u32(0..4) == 0 {
            let bad = format!("bad {}", self.next);
            text.extend(format!("{bad}\n").bytes());
            self.bad.insert(bad);
        }
        if self.rng.bool() {
            let mut line = events::lines(self.next..self.next + 1).into_bytes();
            self.next += 1;
            self.half = Some(line.split_off(self.rng.usize(1..line.len())));
            text.extend(line);
        }
        self.sidecar.append(LOG, text);
    }

    fn finish_line(&mut self) {
        if let Some(rest) = self.half.take() {
            self.sidecar.append(LOG, rest);
        }
    }

    fn rotate(&mut self) {
        self.finish_line();
        if !self.sidecar.path(LOG).exists() {
            return;
        }
        self.generation += 1;
        let name = format!("{LOG}-{:06}", self.generation);
        self.sidecar.rename(LOG, &name);
        self.plain.push(name);
        // File times move in steps of a clock tick: what is younger must be seen to be.
        std::thread::sleep(Duration::from_millis(9));
        if self.rng.bool() {
            self.sidecar.append(LOG, "");
        }
        self.did("rotations");
    }

    /// What cannot be restored for want of room, and was seen by nobody yet, is forgotten by a restart: no compression then.
    fn compress(&mut self) {
        if self.full || self.plain.is_empty() {
            return;
        }
        let at = self.rng.usize(..self.plain.len());
        let name = self.plain.swap_remove(at);
        if works(&["gzip", &self.sidecar.path(&name).display().to_string()]) {
            self.did("compressions");
        }
    }

    /// A life of the file that began and was copied away between two looks is not found: it is looked at before.
    fn copytruncate(&mut self) {
        if !self.is_alive() || self.paused || self.full || !self.sidecar.path(LOG).exists() {
            return;
        }
        self.finish_line();
        std::thread::sleep(Duration::from_millis(500));
        self.generation += 1;
        let name = format!("{LOG}-{:06}", self.generation);
        self.sidecar.copytruncate(LOG, &name);
        std::thread::sleep(Duration::from_millis(500));
        self.did("copytruncates");
    }

    /// Whether it runs. It may have ended by itself, at a full disk when it started.
    fn is_alive(&mut self) -> bool {
        if self.running && !self.paused && self.sidecar.has_ended() {
            let status = self.sidecar.wait();
            self.assert_ended_with(status, &[73, 74]);
            self.running = false;
        }
        self.running
    }

    fn assert_ended_with(&mut self, status: i32, expected: &[i32]) {
        let by_early_signal = self.too_early && [128 + 1, 128 + 15].contains(&status);
        assert!(by_early_signal || expected.contains(&status), "{status}: {}", self.sidecar.stderr());
        if by_early_signal {
            self.did("signals before the program ran");
        }
    }

    fn kill(&mut self) {
        if self.is_alive() {
            let status = self.sidecar.end_by_kill();
            self.assert_ended_with(status, &[128 + 9]);
            (self.running, self.paused) = (false, false);
            self.did("kills");
            if self.rng.u32(0..4) > 0 {
                self.start();
            }
        }
    }

    fn stop(&mut self) {
        if self.is_alive() && !self.paused {
            self.too_early |= !self.sidecar.catches(Signal::TERM);
            let status = self.sidecar.stop();
            self.assert_ended_with(status, &[0, 10, 11, 73, 74]);
            self.running = false;
            self.did("stops");
        }
    }

    fn start(&mut self) {
        if !self.running {
            self.sidecar.start_again();
            (self.running, self.too_early) = (true, false);
        }
    }

    fn freeze(&mut self) {
        if self.is_alive() {
            if self.paused {
                self.sidecar.resume();
            } else {
                self.sidecar.pause();
                self.did("freezes");
            }
            self.paused = !self.paused;
        }
    }

    fn receiver_goes_or_comes(&mut self) {
        let which = self.rng.usize(..2);
        if self.up[which] {
            self.receivers[which].stop();
            self.did("absences of a receiver");
        } else {
            self.receivers[which].start_again();
        }
        self.up[which] = !self.up[which];
    }

    fn receiver_answers_otherwise(&mut self) {
        let pick = |rng: &mut fastrand::Rng| match rng.u32(0..8) {
            0 => Reply::status(503),
            1 => Reply::status(429).header("Retry-After", "1"),
            2 => Reply::hang(),
            3 => Reply::reset_after_body(),
            4 => Reply::close_without_answer(),
            5 => Reply::reset_mid_body(100),
            6 => Reply::status(413),
            _ => Reply::status(200).delay(Duration::from_millis(300)),
        };
        let replies: Vec<Reply> = (0..self.rng.usize(1..6)).map(|_| pick(&mut self.rng)).collect();
        let which = self.rng.usize(..2);
        self.receivers[which].script(replies);
        self.did("bad spells of a receiver");
    }

    fn reload(&mut self) {
        self.configure();
        if self.is_alive() {
            self.too_early |= !self.sidecar.catches(Signal::HUP);
            self.sidecar.hup();
            self.did("reloads");
            std::thread::sleep(Duration::from_millis(150));
        }
    }

    fn fill_or_free_the_disk(&mut self) {
        if self.disk.is_none() {
            return;
        }
        let filler: PathBuf = self.sidecar.path("state/filler");
        self.full = !self.full;
        if !self.full {
            let _ = fs::remove_file(filler);
            return;
        }
        let mut file = fs::File::create(filler).unwrap();
        let mut block = vec![0; 1 << 16];
        while !block.is_empty() {
            if file.write_all(&block).is_err() {
                block.truncate(block.len() / 2);
            }
        }
        self.did("full disks");
    }

    /// Everything works again: what was written must arrive at both.
    fn mend_and_check(&mut self, seed: u64) {
        if self.full {
            self.fill_or_free_the_disk();
        }
        if self.paused {
            self.freeze();
        }
        for which in 0..2 {
            self.receivers[which].clear_script();
            if !self.up[which] {
                self.receivers[which].start_again();
                self.up[which] = true;
            }
        }
        self.finish_line();
        self.is_alive();
        self.start();
        let end = Instant::now() + MENDED;
        let arrived = loop {
            let arrived: Vec<Arrived> = self.receivers.iter().map(arrived).collect();
            let missing = self.missing(&arrived);
            if missing.is_empty() {
                break arrived;
            }
            assert!(
                Instant::now() < end,
                "chaos: seed {seed}: MISSING {missing:?}\nafter {:?}\n{}\nstatus: {}\ncatalog:\n{}\nfiles: {:?}",
                self.done,
                self.sidecar.stderr(),
                self.sidecar.status(),
                self.sidecar.read("state/sources/app/catalog"),
                listing(&self.sidecar.path("logs")),
            );
            std::thread::sleep(Duration::from_millis(500));
        };
        for (which, now) in arrived.into_iter().enumerate() {
            // All are there: what comes from now on are repetitions.
            self.receivers[which].clear();
            self.repeated += now.repeated;
            for (n, times) in now.events {
                *self.arrived[which].entry(n).or_default() += times;
            }
        }
        let written = self.next;
        assert!(self.arrived.iter().all(|arrived| arrived.keys().all(|n| *n < written)), "what nobody wrote");
        self.sidecar.wait_for_books();
        println!("chaos: {written} events and {} bad lines, all there; {:?}", self.bad.len(), self.done);
    }
}
