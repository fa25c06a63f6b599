//! Signals while it starts: they mean what they mean later, once it is started.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    net::TcpStream,
    os::unix::fs::OpenOptionsExt,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, mknodat},
    process::Signal,
};

use crate::{
    events::lines,
    intake::address,
    receiver::{PATIENCE, Receiver},
    sidecar::Sidecar,
    tail::{QUICK_FORWARDER, assert_exactly, tailing, tailing_with},
    tools::{skipped, traced, wait_until},
};

const LOG: &str = "logs/audit.ndjson";

/// A pipe in the configuration's place: who reads it waits until the test writes.
const SLOW: &str = "slow.yaml";

/// Starts a command that reads its configuration from the pipe; returns once it does.
fn reading_its_configuration(sidecar: Sidecar, command: &str) -> (Sidecar, File) {
    mknodat(CWD, sidecar.path(SLOW), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let script = format!("exec \"$1\" {command} -c {{dir}}/{SLOW}");
    let sidecar = sidecar.through(&["sh", "-c", &script, "sh"]).start();
    let end = Instant::now() + PATIENCE;
    loop {
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(sidecar.path(SLOW));
        match opened {
            Ok(pipe) => return (sidecar, pipe),
            Err(error) => assert!(Instant::now() < end, "nobody reads the configuration: {error}"),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Lets it read the configuration to its end. Who reads it again finds a file.
fn give_configuration(sidecar: &Sidecar, mut pipe: File) {
    sidecar.rename("config.yaml", SLOW);
    pipe.write_all(sidecar.yaml().as_bytes()).unwrap();
}

// E9: before anything but the signals is looked at.
#[test]
fn a_reload_that_is_asked_for_before_the_configuration_is_read_comes_after_the_start() {
    let receiver = Receiver::start();
    let sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..5);
    let (mut sidecar, pipe) = reading_its_configuration(sidecar, "run");
    sidecar.hup();
    give_configuration(&sidecar, pipe);
    sidecar.wait_for_log("reloaded: the configuration is the one that runs, nothing is touched");
    assert_exactly(&mut sidecar, &receiver, 0..5);
}

// E9
#[test]
fn a_stop_that_is_asked_for_before_the_configuration_is_read_delivers_what_there_is() {
    for signal in [Signal::TERM, Signal::INT] {
        let receiver = Receiver::start();
        let sidecar = tailing(LOG, &receiver);
        sidecar.write_lines(LOG, 0..5);
        let (mut sidecar, pipe) = reading_its_configuration(sidecar, "run");
        // It goes before a reload.
        sidecar.hup();
        sidecar.send_signal(signal);
        give_configuration(&sidecar, pipe);
        assert_eq!(sidecar.wait(), 0, "{}", sidecar.stderr());
        assert!(!sidecar.stderr().contains("reloaded"), "{}", sidecar.stderr());
        assert_eq!(crate::events::numbers(&receiver.accepted_lines()), [0, 1, 2, 3, 4]);
    }
}

// E9: a file system that hangs, or a configuration that is typed and never comes.
#[test]
fn a_start_that_hangs_is_ended_by_a_second_signal_or_after_a_while() {
    for signals in [&[Signal::INT, Signal::TERM][..], &[Signal::TERM]] {
        let receiver = Receiver::start();
        let (mut sidecar, _pipe) = reading_its_configuration(tailing(LOG, &receiver), "run");
        let begun = Instant::now();
        for signal in signals {
            sidecar.send_signal(*signal);
        }
        assert_eq!(sidecar.wait(), 10, "{}", sidecar.stderr());
        assert!(sidecar.stderr().contains("nothing was started"), "{}", sidecar.stderr());
        assert_eq!(begun.elapsed() < Duration::from_secs(2), signals.len() > 1, "{:?}", begun.elapsed());
        assert!(!sidecar.path("state").exists());
    }
}

// E9
#[test]
fn commands_that_come_to_an_end_by_themselves_are_ended_by_each_signal() {
    for (signal, status) in [(Signal::HUP, 1), (Signal::INT, 2), (Signal::TERM, 15)] {
        let receiver = Receiver::start();
        let (mut sidecar, _pipe) = reading_its_configuration(tailing(LOG, &receiver), "check");
        if sidecar.ignores(signal) {
            let test = "commands_that_come_to_an_end_by_themselves_are_ended_by_each_signal";
            skipped(test, &format!("whoever runs the tests ignores {signal:?}"));
            continue;
        }
        sidecar.send_signal(signal);
        assert_eq!(sidecar.wait(), 128 + status);
    }
}

// E9: over the whole start, its first moment included. Before the program runs at all, the kernel has its own way.
#[test]
fn a_signal_at_any_moment_of_the_start_is_heard() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    let (mut written, mut too_early, mut unheard) = (0, 0, 0);
    for round in 0..60 {
        let signal = [Signal::HUP, Signal::TERM, Signal::INT][round % 3];
        sidecar.write_lines(LOG, written..written + 5);
        written += 5;
        sidecar.start_again();
        thread::sleep(Duration::from_micros(fastrand::u64(..50_000)));
        let is_heard = sidecar.catches(signal);
        sidecar.send_signal(signal);
        let all = || receiver.accepted_lines().len() as u64 == written;
        let end = Instant::now() + PATIENCE;
        let mut again = Instant::now() + PATIENCE / 4;
        while !sidecar.has_ended() && (signal != Signal::HUP || !all()) {
            if Instant::now() >= again {
                // tokio listens a few microseconds after it has the handler in place: what comes between both is lost.
                (again, unheard) = (end, unheard + 1);
                sidecar.send_signal(signal);
            }
            assert!(Instant::now() < end, "{round}: {signal:?}: {}", sidecar.stderr());
            thread::sleep(Duration::from_millis(2));
        }
        let status = if sidecar.has_ended() { sidecar.wait() } else { sidecar.stop() };
        if status == 128 + signal.as_raw() && !is_heard {
            too_early += 1;
            sidecar.start_again();
            receiver.wait_for_lines(written as usize);
            assert_eq!(sidecar.stop(), 0, "{round}: {}", sidecar.stderr());
        } else {
            assert_eq!(status, 0, "{round}: {signal:?}: {}", sidecar.stderr());
        }
        assert!(all(), "{round}: {signal:?}: {}", sidecar.stderr());
    }
    assert!(unheard <= 1, "{unheard} signals were not heard");
    // Else the others say little.
    assert!(too_early < 45, "{too_early} of 60 signals came before the program ran");
    assert_eq!(crate::events::numbers(&receiver.accepted_lines()), (0..written).collect::<Vec<_>>());
}

/// A forwarder's keys with a token file, which is there.
fn with_a_token(sidecar: &Sidecar, keys: &str) -> String {
    fs::write(sidecar.path("token"), "t").unwrap();
    format!("{keys}\ntokenFile: \"{{dir}}/token\"")
}

// E9: what sources took while the start hung behind them is in their spools.
#[test]
fn a_start_that_is_given_up_loses_nothing_of_what_its_sources_took() {
    let receiver = Receiver::start();
    let sidecar = Sidecar::new().source("app", "kind: tcp\nlisten: 127.0.0.1:0");
    let keys = with_a_token(&sidecar, QUICK_FORWARDER);
    let sidecar = sidecar.forwarder("siem", &receiver.url(), &keys);
    let spool = "{dir}/state/spool/app/00000000000000000001.ndjson";
    let (hangs, slow) = ("inject=read:delay_enter=20s", "inject=write,writev,pwrite64:delay_enter=1s");
    let options = ["-P", "{dir}/token", "-P", spool, "-e", hangs, "-e", slow];
    let test = "a_start_that_is_given_up_loses_nothing_of_what_its_sources_took";
    let Some(sidecar) = traced(sidecar, test, &options) else { return };
    let mut sidecar = sidecar.start();
    let mut stream = TcpStream::connect(address(&sidecar, "tcp")).unwrap();
    sidecar.wait_for_log("a client connected");
    stream.write_all(lines(0..5).as_bytes()).unwrap();
    wait_until("the lines to be taken off the connection", || nothing_unread(&stream));
    for signal in [Signal::INT, Signal::TERM] {
        sidecar.send_signal(signal);
    }
    sidecar.wait_for_log("stopped before everything was started");
    // A tracer that delays a call may hold the process back.
    sidecar.send_signal(Signal::KILL);
    sidecar.wait();
    let _sidecar = sidecar.through(&[]).start();
    receiver.wait_for_lines(5);
}

/// Whether the other end has read all that was sent to it, by the kernel's table of connections.
fn nothing_unread(stream: &TcpStream) -> bool {
    let (ours, theirs) = (stream.local_addr().unwrap().port(), stream.peer_addr().unwrap().port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let line = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|fields| {
        let ends_with =
            |field: usize, port| fields.get(field).is_some_and(|it| it.ends_with(&format!(":{port:04X}")));
        ends_with(1, theirs) && ends_with(2, ours)
    });
    line.is_some_and(|fields| fields[4].ends_with(":00000000"))
}

// L8
#[test]
fn a_token_file_that_hangs_holds_up_its_own_forwarder_alone() {
    let (one, other) = (Receiver::start(), Receiver::start());
    let sidecar = Sidecar::new();
    let keys = with_a_token(&sidecar, "timeout: 1s");
    let sidecar = sidecar.file_source("app", LOG).forwarder("one", &one.url(), &keys).forwarder(
        "other",
        &other.url(),
        QUICK_FORWARDER,
    );
    sidecar.write_lines(LOG, 0..5);
    let options = ["-P", "{dir}/token", "-e", "inject=read:delay_enter=20s"];
    let test = "a_token_file_that_hangs_holds_up_its_own_forwarder_alone";
    let Some(sidecar) = traced(sidecar, test, &options) else { return };
    let begun = Instant::now();
    let mut sidecar = sidecar.start();
    other.wait_for_lines(5);
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
    assert!(sidecar.stderr().contains("could not be read in time"), "{}", sidecar.stderr());
    sidecar.kill();
}

// L8: the journal is opened as the first that a start needs of its disk.
#[test]
fn the_pages_answer_while_a_start_waits_for_its_disk() {
    let receiver = Receiver::start();
    let sidecar = tailing_with(LOG, "", &receiver, QUICK_FORWARDER);
    let options = ["-P", "{dir}/state/forwarders/siem/journal", "-e", "inject=openat:delay_enter=8s"];
    let test = "the_pages_answer_while_a_start_waits_for_its_disk";
    let Some(sidecar) = traced(sidecar, test, &options) else { return };
    let mut sidecar = sidecar.start();
    sidecar.admin();
    let begun = Instant::now();
    assert_eq!(sidecar.get("/livez").0, 200);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(sidecar.times_said("forwarding"), 0, "it starts still");
    sidecar.kill();
}
