//! The whole job against its floor, on this machine, in one run: `cargo bench --bench job`.
//!
//! The floor is a loop that reads the same file, compresses blocks of 1 MB with the same backend and level, and posts
//! them. Each side is a process of its own, so its CPU time is what the kernel charged it; the receiver is a third
//! one and discards. Ratios are what counts: the machine is shared and absolute times move.
//!
//! `AUDITPOST_BENCH_MB` sets the size of the input (default 256; the figures of the README use 1000), and a word on the
//! command line runs one part: `cpu`, `memory`, `latency`, `intake`.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark prints, and ends where it cannot go on")]

mod floor;
mod input;
mod intake;
mod latency;
mod process;
mod receiver;

use std::{path::Path, time::Duration};

use process::{Child, Usage};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    match args.first().map(String::as_str) {
        Some("receiver") => return receiver::serve(),
        Some("floor") => return floor::run(&args[1], &args[2]),
        Some("compress") => return floor::compress_only(&args[1]),
        _ => {}
    }
    if cfg!(debug_assertions) {
        println!("a debug build measures nothing; run `cargo bench --bench job`");
        return;
    }
    let wants = |part: &str| args.is_empty() || args.iter().any(|arg| arg == part);
    let dir = tempfile::tempdir().unwrap();
    if wants("cpu") {
        cpu(dir.path());
    }
    if wants("memory") {
        memory(dir.path());
    }
    if wants("latency") {
        latency::run(dir.path());
    }
    if wants("intake") {
        intake::run(dir.path());
    }
}

/// CPU seconds a gigabyte and throughput, in rounds that alternate between the sides.
fn cpu(dir: &Path) {
    let file = input::file(dir);
    let gigabytes = std::fs::metadata(&file).unwrap().len() as f64 / 1e9;
    let receiver = Child::receiver(dir);
    let url = receiver.url();
    let rounds = 3;
    let mut sides: Vec<(&str, Vec<Usage>)> = vec![
        ("compress alone, one core", vec![]),
        ("floor", vec![]),
        ("json verbatim", vec![]),
        ("json, filter rule", vec![]),
        ("cef", vec![]),
    ];
    for _ in 0..rounds {
        let file = file.to_str().unwrap();
        sides[0].1.push(Child::this(&["compress", file]).wait());
        sides[1].1.push(Child::this(&["floor", file, &url]).wait());
        sides[2].1.push(ship(dir, file, &url, ""));
        sides[3].1.push(ship(dir, file, &url, "disabledEvents: [node_pruning]"));
        sides[4].1.push(ship(dir, file, &url, "format: cef"));
    }
    println!("\n{:<26} {:>10} {:>8} {:>9} {:>12} {:>9}", "", "CPU s/GB", "x floor", "MB/s", "x one core", "peak MB");
    let floor = median(&sides[1].1, |usage| usage.cpu);
    let alone = median(&sides[0].1, |usage| usage.wall);
    for (name, usages) in &sides {
        let (cpu, wall) = (median(usages, |usage| usage.cpu), median(usages, |usage| usage.wall));
        let peak = median(usages, |usage| usage.peak_mb);
        println!(
            "{name:<26} {:>10.2} {:>8.2} {:>9.0} {:>12.2} {peak:>9.1}",
            cpu / gigabytes,
            cpu / floor,
            1000.0 * gigabytes / wall,
            alone / wall
        );
    }
}

/// Ships the file to its end and says what it took.
pub fn ship(dir: &Path, file: &str, url: &str, forwarder: &str) -> Usage {
    // The last batch is not full: what it waits for others is no part of the throughput.
    let sidecar =
        Child::sidecar(dir, file, &format!("{{name: siem, uri: \"{url}\", batch: {{maxAge: 20ms}}, {forwarder}}}"));
    sidecar.wait_until_delivered();
    sidecar.stop()
}

fn memory(dir: &Path) {
    let file = input::file(dir);
    let file = file.to_str().unwrap();
    let receiver = Child::receiver(dir);
    println!("\n{:<44} {:>9}", "", "peak MB");
    let alive = ship(dir, file, &receiver.url(), "");
    println!("{:<44} {:>9.1}", "backlog, receiver alive", alive.peak_mb);
    let dead = Child::sidecar(dir, file, "{name: siem, uri: \"http://127.0.0.1:9/\", retry: {max: 1s}}");
    std::thread::sleep(Duration::from_secs(10));
    println!("{:<44} {:>9.1}", "backlog, receiver dead for 10 s", dead.kill().peak_mb);
    let two = Child::sidecar(
        dir,
        file,
        &format!("{{name: siem, uri: \"{}\"}}, {{name: dead, uri: \"http://127.0.0.1:9/\"}}", receiver.url()),
    );
    two.wait_until_delivered();
    println!("{:<44} {:>9.1}", "backlog, one receiver alive, one dead", two.kill().peak_mb);
    let empty = dir.join("empty.ndjson");
    std::fs::write(&empty, "").unwrap();
    let idle = Child::sidecar(dir, empty.to_str().unwrap(), &format!("{{name: siem, uri: \"{}\"}}", receiver.url()));
    std::thread::sleep(Duration::from_secs(3));
    println!("{:<44} {:>9.1}", "idle", idle.stop().peak_mb);
}

pub fn median(usages: &[Usage], of: impl Fn(&Usage) -> f64) -> f64 {
    let mut values: Vec<f64> = usages.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
