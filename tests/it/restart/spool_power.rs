//! Power cuts while a source is handed events: what was acknowledged is delivered, whatever the cut fell into.
//!
//! Each cut ends a life of its own on the same disk: it is killed at a call on a file of the spool, its ext4 image
//! is cut off (as in `power`) and mounted again, and the next life has to get over that. Nothing is delivered before
//! the cut, so that what is lost is missed; afterwards, for the cuts while segments are removed, everything is.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use crate::{
    disk::Disk,
    http::read_answer,
    receiver::{PATIENCE, Receiver, Reply},
    sidecar::Sidecar,
    tools::{has, skipped, under_strace},
};

/// Events of one life. Seven of them begin a second segment, for a segment has a quarter of a mebibyte.
const EVENTS: u64 = 8;
const FILL: usize = 50_000;

const QUICK: &str = "batch: {maxAge: 20ms}\nretry: {initial: 20ms, max: 50ms}";

/// A call, how many of it are cut at, and on which file below the state directory. `{n}` is the life's first segment
/// and `{m}` its second.
type Point = (&'static str, u32, &'static str);

/// While it takes events.
const TAKING: [Point; 12] = [
    ("openat", 1, "spool/app/{n}"),
    ("write", 2, "spool/app/{n}"),
    ("fdatasync", 2, "spool/app/{n}"),
    ("openat", 1, "spool/app/{m}"),
    ("write", 1, "spool/app/{m}"),
    ("fdatasync", 1, "spool/app/{m}"),
    ("fsync", 2, "spool/app"),
    ("openat", 2, "sources/app/catalog.tmp"),
    ("write", 1, "sources/app/catalog.tmp"),
    ("fsync", 2, "sources/app/catalog.tmp"),
    ("rename", 2, "sources/app/catalog.tmp"),
    ("fsync", 2, "sources/app"),
];

/// While it removes what was delivered.
const RELEASING: [Point; 3] =
    [("unlink", 1, "spool/app/{n}"), ("unlink", 1, "spool/app/{m}"), ("fsync", 3, "sources/app/catalog.tmp")];

/// The acknowledgement: the record is there, and its sender does not know.
const TELLING_UNIX: Point = ("sendto", 2, "");
const TELLING_HTTP: [Point; 3] =
    [("openat", 1, "sources/app/seen"), ("write", 2, "sources/app/seen"), ("writev", 2, "")];

#[derive(Clone, Copy)]
enum Way {
    Unix,
    Http,
}

impl Way {
    fn keys(self) -> &'static str {
        match self {
            Self::Unix => "kind: unix\npath: \"{dir}/a.sock\"\nacks: true\nmaxBytes: 1MiB",
            Self::Http => "kind: http\nlisten: 127.0.0.1:0\nmaxBytes: 1MiB",
        }
    }

    /// Hands the events over one by one, as long as it lives; those that were acknowledged.
    fn hand_over(self, sidecar: &Sidecar, events: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut taken = Vec::new();
        let acknowledged = match self {
            Self::Unix => over_unix,
            Self::Http => over_http,
        };
        for n in events {
            match acknowledged(sidecar, n) {
                Ok(true) => taken.push(n),
                Ok(false) => panic!("{n} was refused: {}", sidecar.stderr()),
                Err(_) => break,
            }
        }
        taken
    }
}

fn over_unix(sidecar: &Sidecar, n: u64) -> std::io::Result<bool> {
    let mut stream = UnixStream::connect(sidecar.path("a.sock"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(event(n).as_bytes())?;
    let mut ack = String::new();
    match BufReader::new(stream).read_line(&mut ack)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(ack == "ok 1\n"),
    }
}

fn over_http(sidecar: &Sidecar, n: u64) -> std::io::Result<bool> {
    let said = sidecar.run_stderr();
    let (_, rest) = said.split_once("on=http://").unwrap();
    let mut stream = TcpStream::connect(rest.split_whitespace().next().unwrap())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = event(n);
    let head = format!("POST / HTTP/1.1\r\nhost: h\r\nwebhook-id: {n}\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body.as_bytes()].concat())?;
    Ok(read_answer(&mut BufReader::new(stream))?.0 == 202)
}

fn event(n: u64) -> String {
    format!("{{\"n\":{n},\"fill\":\"{}\"}}\n", "z".repeat(FILL))
}

fn number(line: &str) -> u64 {
    line.strip_prefix("{\"n\":").and_then(|rest| rest.split(',').next()).and_then(|n| n.parse().ok()).unwrap()
}

/// One source and its spool, over all its lives.
struct Spool {
    way: Way,
    receiver: Receiver,
    sidecar: Option<Sidecar>,
    disk: Disk,
    next: u64,
}

impl Spool {
    /// `None`, and said, where that needs something that is not here.
    fn new(test: &str, way: Way) -> Option<Self> {
        if !has("strace") {
            skipped(test, "strace is not in PATH");
            return None;
        }
        let receiver = Receiver::start();
        let sidecar = Sidecar::new().source("app", way.keys()).forwarder("siem", &receiver.url(), QUICK);
        let disk = Disk::mounted(test, sidecar.path("state.image"), sidecar.path("state"))?;
        Some(Self { way, receiver, sidecar: Some(sidecar), disk, next: 0 })
    }

    /// The number of the next segment, as the catalog has it.
    fn next_segment(&self) -> u64 {
        let sidecar = self.sidecar.as_ref().unwrap();
        let Ok(catalog) = std::fs::read_to_string(sidecar.path("state/sources/app/catalog")) else { return 1 };
        let (_, rest) = catalog.split_once("\"next\":").unwrap();
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    }

    /// A life that ends with a power cut, at this call if it comes to it; the events that it acknowledged,
    /// and whether it did.
    fn live_and_be_cut(&mut self, options: &[&str], deliver: bool) -> (Vec<u64>, bool) {
        self.receiver.always(Reply::status(503));
        let mut sidecar = under_strace(self.sidecar.take().unwrap(), options);
        sidecar.start_again();
        let mut taken = Vec::new();
        if starts(&mut sidecar) {
            taken = self.way.hand_over(&sidecar, self.next..self.next + EVENTS);
            self.next += EVENTS;
        }
        if deliver {
            self.receiver.always(Reply::status(200));
            // What was delivered is released once the journal that says so is synced, each second.
            let end = Instant::now() + PATIENCE;
            while !sidecar.has_ended() && Instant::now() < end && segments(&sidecar) > 1 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let ended = sidecar.has_ended();
        if ended {
            assert_eq!(sidecar.wait(), 128 + 9, "{options:?}: {}", sidecar.stderr());
        } else {
            sidecar.kill();
        }
        self.disk.cut();
        self.sidecar = Some(sidecar);
        (taken, ended)
    }

    /// Starts it with nothing in its way and gives which of these do not arrive. What has arrived before counts.
    fn missing(&mut self, taken: &[u64]) -> Vec<u64> {
        self.receiver.always(Reply::status(200));
        let mut sidecar = self.sidecar.take().unwrap().through(&[]);
        sidecar.start_again();
        assert!(starts(&mut sidecar), "it must start whatever was left: {}", sidecar.stderr());
        // Behind all that is there, and delivered in that order.
        let last = self.next;
        self.next += 1;
        assert_eq!(self.way.hand_over(&sidecar, last..last + 1), [last]);
        let deliveries = self.receiver.wait_until("the last event", PATIENCE, |deliveries| {
            deliveries.iter().filter(|d| d.accepted()).flat_map(|d| d.lines()).any(|line| number(&line) == last)
        });
        sidecar.wait_for_books();
        sidecar.stop_drained();
        self.sidecar = Some(sidecar);
        self.receiver.clear();
        let arrived: Vec<u64> =
            deliveries.iter().filter(|d| d.accepted()).flat_map(|d| d.lines()).map(|line| number(&line)).collect();
        taken.iter().filter(|n| !arrived.contains(n)).copied().collect()
    }

    /// Cuts at each of these points. Gives how often it came to that.
    fn cut_at(&mut self, points: &[Point], deliver: bool) -> usize {
        let mut cuts = 0;
        for (call, most, file) in points {
            for when in 1..=*most {
                let next = self.next_segment();
                let name = |n: u64| format!("{n:020}.ndjson");
                let file = file.replace("{n}", &name(next)).replace("{m}", &name(next + 1));
                let path = self.sidecar.as_ref().unwrap().path("state").join(&file).display().to_string();
                let inject = format!("inject={call}:signal=KILL:when={when}");
                let mut options = vec!["-e", inject.as_str()];
                if !file.is_empty() {
                    options.extend(["-P", path.as_str()]);
                }
                let (taken, ended) = self.live_and_be_cut(&options, deliver);
                cuts += usize::from(ended || (taken.len() as u64) < EVENTS);
                assert_eq!(self.missing(&taken), [0; 0], "after a cut at {call} {when} of {file:?}");
            }
        }
        cuts
    }
}

/// Whether it comes to take events, and is not killed before.
fn starts(sidecar: &mut Sidecar) -> bool {
    let end = Instant::now() + PATIENCE;
    while !sidecar.run_stderr().contains("taking events") {
        if sidecar.has_ended() {
            return false;
        }
        assert!(Instant::now() < end, "it does not start: {}", sidecar.stderr());
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// The segments that are on disk.
fn segments(sidecar: &Sidecar) -> usize {
    let Ok(files) = std::fs::read_dir(sidecar.path("state/spool/app")) else { return 0 };
    files
        .filter(|file| file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|it| it == "ndjson")))
        .count()
}

// J12, D1, D2, D12 to D15.
#[test]
fn what_a_unix_socket_acknowledged_outlives_a_power_cut_at_any_call() {
    let Some(mut spool) = Spool::new("what_a_unix_socket_acknowledged_outlives_a_power_cut_at_any_call", Way::Unix)
    else {
        return;
    };
    let cuts = spool.cut_at(&TAKING, false) + spool.cut_at(&[TELLING_UNIX], false);
    assert!(cuts >= 15, "it was cut at {cuts} calls only");
    let cuts = spool.cut_at(&RELEASING, true);
    assert!(cuts >= 3, "it was cut at {cuts} calls only");
    // Cut again and again while it mends what the cut before left.
    let (mut taken, _) = spool.live_and_be_cut(&["-e", "inject=fdatasync:signal=KILL:when=4"], false);
    let mended = spool.sidecar.as_ref().unwrap().path("state/sources/app/catalog.tmp").display().to_string();
    for call in ["write", "fsync", "rename", "unlink"] {
        let inject = format!("inject={call}:signal=KILL:when=1");
        taken.extend(spool.live_and_be_cut(&["-e", &inject, "-P", &mended], false).0);
    }
    assert_eq!(spool.missing(&taken), [0; 0], "after cuts while it mends");
}

#[test]
fn what_an_http_source_acknowledged_outlives_a_power_cut_at_any_call() {
    let Some(mut spool) = Spool::new("what_an_http_source_acknowledged_outlives_a_power_cut_at_any_call", Way::Http)
    else {
        return;
    };
    let cuts = spool.cut_at(&TAKING, false) + spool.cut_at(&TELLING_HTTP, false);
    assert!(cuts >= 15, "it was cut at {cuts} calls only");
}

// The same shows a loss where the syncs of the segments do nothing: it could have failed.
#[test]
fn a_spool_without_syncs_loses_acknowledged_events_in_a_power_cut() {
    let test = "a_spool_without_syncs_loses_acknowledged_events_in_a_power_cut";
    for way in [Way::Unix, Way::Http] {
        let Some(mut spool) = Spool::new(test, way) else { return };
        let sidecar = spool.sidecar.as_ref().unwrap();
        let path = |n: u64| sidecar.path(format!("state/spool/app/{n:020}.ndjson")).display().to_string();
        let (first, second) = (path(1), path(2));
        let lie = ["-P", &first, "-P", &second, "-e", "inject=fdatasync,fsync:retval=0"];
        let (taken, _) = spool.live_and_be_cut(&lie, false);
        assert_eq!(taken.len() as u64, EVENTS);
        assert!(!spool.missing(&taken).is_empty(), "what was never synced must be lost, or nothing is tested");
        let (taken, _) = spool.live_and_be_cut(&["-e", "trace=none"], false);
        assert_eq!(taken.len() as u64, EVENTS);
        assert_eq!(spool.missing(&taken), [0; 0], "with its syncs nothing is");
    }
}
