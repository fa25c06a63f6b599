//! From the append to the arrival, and from the start to the first delivery.

use std::{
    fs::OpenOptions,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use super::process::Child;

const EVENTS: usize = 2_000;
const A_SECOND: u32 = 200;

pub fn run(dir: &Path) {
    println!("\n{:<44} {:>9} {:>9} {:>9}", "", "p50 ms", "p99 ms", "max ms");
    let alone = measure(dir, "");
    show("append to arrival, maxAge 50ms, 200 events/s", &alone);
    let hang = TcpListener::bind("127.0.0.1:0").unwrap();
    let beside =
        format!(", {{name: hangs, uri: \"http://{}/\", batch: {{maxAge: 50ms}}}}", hang.local_addr().unwrap());
    thread::spawn(move || {
        let kept: Vec<_> = hang.incoming().collect();
        drop(kept);
    });
    let hung = measure(dir, &beside);
    show("the same, beside a webhook that hangs for ever", &hung);
    let p99 = |times: &[f64]| times[times.len() * 99 / 100];
    println!("p99 beside the hanging one, over alone: {:.2}", p99(&hung) / p99(&alone));
    start_up(dir);
}

fn show(name: &str, times: &[f64]) {
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    println!("{name:<44} {:>9.1} {:>9.1} {:>9.1}", at(50), at(99), at(100));
}

/// Which event arrived when.
type Arrivals = Arc<Mutex<Vec<(usize, Instant)>>>;

/// A receiver that notes when each event arrives.
fn receiver() -> (String, Arrivals) {
    let arrivals = Arrivals::default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let noted = arrivals.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let noted = noted.clone();
            thread::spawn(move || {
                super::receiver::while_it_lasts(stream.unwrap(), |_, body| {
                    let now = Instant::now();
                    let mut text = String::new();
                    flate2::read::MultiGzDecoder::new(body).read_to_string(&mut text).unwrap();
                    let numbers = text
                        .lines()
                        .map(|line| line.split("\"n\":").nth(1).unwrap().trim_end_matches('}').parse().unwrap());
                    noted.lock().unwrap().extend(numbers.map(|n: usize| (n, now)));
                });
            });
        }
    });
    (url, arrivals)
}

/// Sorted milliseconds from each event's append to its arrival.
fn measure(dir: &Path, beside: &str) -> Vec<f64> {
    let (url, arrivals) = receiver();
    let path = dir.join("latency.ndjson");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&path).unwrap();
    let forwarders = format!("{{name: siem, uri: \"{url}\", batch: {{maxAge: 50ms}}}}{beside}");
    let sidecar = Child::sidecar(dir, path.to_str().unwrap(), &forwarders);
    thread::sleep(Duration::from_millis(500));
    let mut appended = Vec::new();
    let begun = Instant::now();
    for n in 0..EVENTS {
        let due = begun + Duration::from_secs(1) * n as u32 / A_SECOND;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let line = format!("{{\"type\":\"login\",\"text\":\"{}\",\"n\":{n}}}\n", "x".repeat(560));
        appended.push(Instant::now());
        file.write_all(line.as_bytes()).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while arrivals.lock().unwrap().len() < EVENTS && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    drop(sidecar);
    let arrivals = arrivals.lock().unwrap();
    assert_eq!(arrivals.len(), EVENTS, "every event arrives once");
    let mut times: Vec<f64> = arrivals.iter().map(|(n, at)| (*at - appended[*n]).as_secs_f64() * 1000.0).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// From starting the process to the first delivery of what was there.
fn start_up(dir: &Path) {
    let path = dir.join("start.ndjson");
    let line = |n: usize| format!("{{\"type\":\"login\",\"n\":{n}}}\n");
    std::fs::write(&path, (0..1000).map(line).collect::<String>()).unwrap();
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let (url, arrivals) = receiver();
            let begun = Instant::now();
            let sidecar = Child::sidecar(dir, path.to_str().unwrap(), &format!("{{name: siem, uri: \"{url}\"}}"));
            while arrivals.lock().unwrap().is_empty() {
                thread::sleep(Duration::from_micros(200));
            }
            drop(sidecar);
            let first = arrivals.lock().unwrap()[0].1;
            (first - begun).as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    show("start to first delivery (1000 events waiting)", &times);
}
