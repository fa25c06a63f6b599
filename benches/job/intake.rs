//! Sources that are sent their events, each beside what bounds it: a socket beside a file, acknowledged requests beside
//! the disk's own syncs, a thousand clients beside the bound that is printed.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use crate::{
    input, median,
    process::{Child, Usage, word_after},
    ship,
};

const ROUNDS: usize = 3;
const CLIENTS: [usize; 3] = [1, 16, 256];

pub fn run(dir: &Path) {
    socket_beside_file(dir);
    requests_beside_syncs(dir);
    half_lines(dir);
}

/// The same events through a Unix socket and its spool, and from a file, in rounds that alternate.
fn socket_beside_file(dir: &Path) {
    let file = input::file(dir);
    let file = file.to_str().unwrap();
    let megabytes = std::fs::metadata(file).unwrap().len() as f64 / 1e6;
    let receiver = Child::receiver(dir);
    let mut sides: [(&str, Vec<Usage>); 3] =
        [("file to webhook", vec![]), ("unix socket to webhook", vec![]), ("the same, acks: true", vec![])];
    for _ in 0..ROUNDS {
        sides[0].1.push(ship(dir, file, &receiver.url(), ""));
        sides[1].1.push(ship_through_socket(dir, file, &receiver.url(), false));
        sides[2].1.push(ship_through_socket(dir, file, &receiver.url(), true));
    }
    println!("\n{:<26} {:>9} {:>8} {:>9} {:>9}", "", "MB/s", "x file", "CPU s/GB", "peak MB");
    let from_file = median(&sides[0].1, |usage| usage.wall);
    for (name, usages) in &sides {
        let wall = median(usages, |usage| usage.wall);
        println!(
            "{name:<26} {:>9.0} {:>8.2} {:>9.2} {:>9.1}",
            megabytes / wall,
            from_file / wall,
            1000.0 * median(usages, |usage| usage.cpu) / megabytes,
            median(usages, |usage| usage.peak_mb)
        );
    }
}

fn ship_through_socket(dir: &Path, file: &str, url: &str, acks: bool) -> Usage {
    let path = dir.join("app.sock");
    let source = format!("{{name: app, kind: unix, path: {}, acks: {acks}}}", path.display());
    let forwarder = format!("{{name: siem, uri: \"{url}\", batch: {{maxAge: 20ms}}}}");
    let (mut sidecar, _) = Child::sidecar_with(dir, &source, &forwarder, "taking events");
    sidecar.expect_bytes(std::fs::metadata(file).unwrap().len());
    let mut stream = UnixStream::connect(path).unwrap();
    let mut answers = stream.try_clone().unwrap();
    let listening = thread::spawn(move || std::io::copy(&mut answers, &mut std::io::sink()));
    let mut input = File::open(file).unwrap();
    let mut block = vec![0; 256 << 10];
    loop {
        match input.read(&mut block).unwrap() {
            0 => break,
            bytes => stream.write_all(&block[..bytes]).unwrap(),
        }
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    sidecar.wait_until_delivered();
    let _ = listening.join();
    sidecar.stop()
}

/// Requests of one event each that were answered 202, and `write` with `fdatasync` of the same bytes on the same disk.
fn requests_beside_syncs(dir: &Path) {
    let time = Duration::from_secs(if input::megabytes() < 50 { 1 } else { 5 });
    let event = format!("{{\"type\":\"login\",\"pad\":\"{}\"}}\n", "x".repeat(570));
    let before = syncs(dir, event.as_bytes(), time);
    let receiver = Child::receiver(dir);
    let forwarder = format!("{{name: siem, uri: \"{}\"}}", receiver.url());
    let mut taken = Vec::new();
    for clients in CLIENTS {
        let source = "{name: app, kind: http, listen: \"127.0.0.1:0\"}";
        let (sidecar, said) = Child::sidecar_with(dir, source, &forwarder, "taking events");
        taken.push(requests(word_after(&said, "on=http://"), clients, event.as_bytes(), time));
        sidecar.stop();
    }
    let after = syncs(dir, event.as_bytes(), time);
    let disk = f64::midpoint(before, after);
    println!("\n{:<44} {:>9} {:>8}", "", "each s", "x disk");
    println!("{:<44} {disk:>9.0} {:>8.2}", "write and fdatasync of one event, alone", 1.0);
    for (clients, each_second) in CLIENTS.iter().zip(taken) {
        let name = format!("events acknowledged over http, {clients} at once");
        println!("{name:<44} {each_second:>9.0} {:>8.2}", each_second / disk);
    }
}

fn syncs(dir: &Path, event: &[u8], time: Duration) -> f64 {
    let path = dir.join("syncs");
    let mut file = File::create(&path).unwrap();
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < time {
        file.write_all(event).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    let each_second = f64::from(count) / begun.elapsed().as_secs_f64();
    std::fs::remove_file(path).unwrap();
    each_second
}

/// How many a second are answered 202, each client sending its next event once it has its answer.
fn requests(address: &str, clients: usize, event: &[u8], time: Duration) -> f64 {
    let (stop, taken) = (AtomicBool::new(false), AtomicU64::new(0));
    let request =
        [format!("POST / HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n", event.len()).as_bytes(), event].concat();
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
                stream.get_ref().set_nodelay(true).unwrap();
                while !stop.load(Relaxed) {
                    stream.get_mut().write_all(&request).unwrap();
                    assert!(answer(&mut stream).starts_with("HTTP/1.1 202"));
                    taken.fetch_add(1, Relaxed);
                }
            });
        }
        // Until all are connected and the first segment is there.
        thread::sleep(time / 5);
        let (begun, before) = (Instant::now(), taken.load(Relaxed));
        thread::sleep(time);
        let each_second = (taken.load(Relaxed) - before) as f64 / begun.elapsed().as_secs_f64();
        stop.store(true, Relaxed);
        each_second
    })
}

/// The first line of an answer, which is read to its end.
fn answer(stream: &mut BufReader<TcpStream>) -> String {
    let (mut first, mut length) = (String::new(), 0);
    stream.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        length = line.strip_prefix("content-length: ").map_or(length, |text| text.parse().unwrap());
    }
    stream.read_exact(&mut vec![0; length]).unwrap();
    first
}

/// A thousand clients that have each begun a record, beside the bound that it prints.
fn half_lines(dir: &Path) {
    const HALF: usize = 12 << 10;
    let receiver = Child::receiver(dir);
    let forwarder = format!("{{name: siem, uri: \"{}\"}}", receiver.url());
    let path = dir.join("app.sock");
    let source = format!("{{name: app, kind: unix, path: {}, acks: true}}", path.display());
    let (sidecar, said) = Child::sidecar_with(dir, &source, &forwarder, "taking events");
    let bound = word_after(&said, "memory_at_most=").trim_matches('"').to_owned();
    let half = vec![b'x'; HALF];
    let clients: Vec<UnixStream> = (0..990)
        .map(|_| {
            let mut stream = UnixStream::connect(&path).unwrap();
            stream.write_all(&half).unwrap();
            stream
        })
        .collect();
    // One that works, and is answered once the others were read.
    let mut works = UnixStream::connect(&path).unwrap();
    works.write_all(b"{}\n").unwrap();
    works.read_exact(&mut [0; 5]).unwrap();
    thread::sleep(Duration::from_secs(1));
    let peak = sidecar.stop().peak_mb;
    println!("\n{:<44} {:>9} {:>13}", "", "peak MB", "printed MiB");
    let name = format!("{} clients with {} KiB of a record", clients.len(), HALF >> 10);
    println!("{name:<44} {peak:>9.1} {bound:>13}");
}
