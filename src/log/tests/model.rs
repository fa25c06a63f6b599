//! The tailed log against a model: random writes, rotations, restarts and reads.
//!
//! The file is met once before it is first rotated: what nobody opened is not promised.

use super::*;

/// What the application and its rotator did, and what must come of it.
#[derive(Default)]
struct Model {
    written: u32,
    /// The end of a line that was begun.
    open_line: Option<String>,
    copytruncate: bool,
    deletes: bool,
    /// The present life of the file was looked at when a whole line stood in it: only then is its copy known by its content.
    looked: bool,
    delivered: Vec<u32>,
    steps: Vec<String>,
}

fn run(seed: u64, glob: bool, copytruncate: bool, steps: usize) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut t = Bench::new(move |name| name == "a.log" || (glob && name.starts_with("a.log")));
    // What is sealed at once would make a copy in the making a file of its own.
    let deletes = !copytruncate && !seed.is_multiple_of(3);
    if deletes {
        t.seal_at_once();
        t.source.hold_deleted = Duration::ZERO;
    }
    let mut m = Model { copytruncate, deletes, ..Model::default() };
    t.append("a.log", "");
    t.start().scan();
    for _ in 0..steps {
        step(&mut t, &mut m, &mut rng);
    }
    finish_line(&t, &mut m);
    for _ in 0..3 {
        let lines = t.scan_and_read();
        m.take(&lines);
    }
    let expected: Vec<u32> = (0..m.written).collect();
    if copytruncate {
        m.delivered.sort_unstable(); // Copies made while nobody looked may be met in another order.
    }
    assert!(
        m.delivered == expected && t.gap_bytes == 0,
        "seed {seed}, glob {glob}, copytruncate {copytruncate}: gap {} bytes, delivered {:?}, expected 0..{}\n{}",
        t.gap_bytes,
        m.delivered,
        m.written,
        m.steps.join("\n")
    );
}

fn step(t: &mut Bench, m: &mut Model, rng: &mut fastrand::Rng) {
    match rng.u32(0..100) {
        0..30 => {
            finish_line(t, m);
            let n = rng.u32(1..5);
            m.did(format!("append {n}"));
            for _ in 0..n {
                t.append("a.log", &format!("{}\n", m.next()));
            }
        }
        30..40 if m.open_line.is_none() => {
            m.did("begin a line".into());
            let line = format!("{}\n", m.next());
            let (begun, rest) = line.split_at(1);
            t.append("a.log", begun);
            m.open_line = Some(rest.to_owned());
        }
        40..60 => {
            m.did("scan".into());
            t.scan();
            m.looked |= fs::metadata(t.path("a.log")).is_ok_and(|file| file.len() >= 7);
        }
        60..75 => {
            let most = rng.usize(1..6);
            let lines = t.read_at_most(most);
            m.did(format!("read at most {most}: {lines:?}"));
            m.take(&lines);
        }
        75..82 => {
            finish_line(t, m);
            m.did("rotate by renaming".into());
            m.looked = false;
            shift(t);
            if t.path("a.log").exists() {
                t.rename("a.log", "a.log.1");
                if rng.bool() {
                    t.append("a.log", "");
                }
                compress_sometimes(t, m, rng);
            }
        }
        82..88 if m.copytruncate && m.looked && t.path("a.log").exists() => {
            finish_line(t, m);
            shift(t);
            std::thread::sleep(Duration::from_millis(9)); // File times move in steps of a clock tick.
            fs::copy(t.path("a.log"), t.path("a.log.1")).unwrap();
            if rng.u32(0..4) == 0 {
                m.did("scan between copy and truncation".into());
                t.scan();
            }
            m.did("rotate by copytruncate".into());
            m.looked = false;
            OpenOptions::new().write(true).truncate(true).open(t.path("a.log")).unwrap();
            std::thread::sleep(Duration::from_millis(9));
            compress_sometimes(t, m, rng);
        }
        88..94 => {
            m.did("kill and start".into());
            t.kill();
            t.start();
        }
        94..97 => {
            m.did("stop and start".into());
            t.stop();
            t.start();
        }
        _ if m.deletes => delete(t, m, rng),
        _ => {}
    }
}

/// What was opened is deleted, and taken in before anybody is killed.
fn delete(t: &mut Bench, m: &mut Model, rng: &mut fastrand::Rng) {
    let name = if rng.bool() { "a.log".to_owned() } else { format!("a.log.{}", rng.u32(1..3)) };
    if t.path(&name).exists() {
        finish_line(t, m);
        m.did(format!("delete {name}"));
        // A path is given up, and what was rotated from it meanwhile opened, after two looks in vain.
        (0..3).for_each(|_| t.scan());
        fs::remove_file(t.path(&name)).unwrap();
        (0..4).for_each(|_| t.scan());
        if name == "a.log" {
            t.append("a.log", ""); // Where no file of a lineage is known, its next one is met before it is rotated.
            t.scan();
        }
    }
}

fn finish_line(t: &Bench, m: &mut Model) {
    if let Some(rest) = m.open_line.take() {
        m.did("finish the line".into());
        t.append("a.log", &rest);
    }
}

/// Generations move up by one; none is deleted.
fn shift(t: &Bench) {
    for n in (1..200).rev() {
        for suffix in ["", ".gz"] {
            if t.path(&format!("a.log.{n}{suffix}")).exists() {
                t.rename(&format!("a.log.{n}{suffix}"), &format!("a.log.{}{suffix}", n + 1));
            }
        }
    }
}

/// The newest rotated generation, as `compress` does it, or the one before, as `delaycompress`.
fn compress_sometimes(t: &Bench, m: &mut Model, rng: &mut fastrand::Rng) {
    let name = format!("a.log.{}", rng.u32(1..5));
    if t.path(&name).exists() {
        m.did(format!("compress {name}"));
        t.compress(&name, &format!("{name}.gz"));
    }
}

impl Model {
    /// The next line's text: its number, padded so that lines differ in length.
    fn next(&mut self) -> String {
        self.written += 1;
        format!("{:06}{}", self.written - 1, "x".repeat(self.written as usize % 90))
    }

    fn take(&mut self, lines: &[String]) {
        self.delivered.extend(lines.iter().map(|line| line[..6].parse::<u32>().unwrap_or(u32::MAX)));
    }

    fn did(&mut self, what: String) {
        tracing::info!("{what}");
        self.steps.push(what);
    }
}

fn runs() -> u64 {
    std::env::var("AUDITPOST_MODEL_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

#[test]
fn random_histories_deliver_every_line_once() {
    if std::env::var_os("AUDITPOST_MODEL_SEED").is_some() {
        let _ = tracing_subscriber::fmt().with_test_writer().without_time().with_target(false).try_init();
    }
    let first = std::env::var("AUDITPOST_MODEL_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..1 << 40));
    for seed in first..first + runs() {
        run(seed, seed % 2 == 0, seed % 4 < 2, 60);
    }
}
