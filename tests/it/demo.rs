//! `auditpost demo`, as a newcomer runs it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::sidecar::Sidecar;

/// A sidecar that is none: its directory is where the demo makes its own.
fn place() -> Sidecar {
    let place = Sidecar::new();
    let dir = place.path("").display().to_string();
    place.env("TMPDIR", &dir)
}

fn leftovers(place: &Sidecar) -> Vec<String> {
    let entries = fs::read_dir(place.path("")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().display().to_string());
    names.filter(|name| name != "config.yaml").collect()
}

#[test]
fn it_proves_what_it_claims_and_leaves_nothing_behind() {
    let place = place();
    let begun = Instant::now();
    let (status, stdout, stderr) = place.command(&["demo"]);
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
    let claims: Vec<&str> = stdout.lines().filter_map(|line| line.strip_prefix("   ok      ")).collect();
    for claim in [
        "siem has all 47 events that its rules let pass: the same bytes, in order, once",
        "2 events were filtered by `disabledEvents: [node_attestation, login]`",
        "soc has all 49: what it refused came again, 3 times, under the same id with the same bytes",
        "the line that was cut off is in the dead letters, whole, with its reason: invalid_json",
        "archive is down and delayed nobody: siem had everything ",
        "lost: 0. siem has all its ",
        "events came twice, in ",
        "byte for byte at siem, and in the order written, over the kill and both rotations",
        "scrapes read = delivered + filtered + dead letters + gap + in flight",
        "stopped (SIGTERM) with exit status 10: archive is still down, all that it wants waits safely",
        "events arrived: the same bytes, in order, once",
    ] {
        assert!(claims.iter().any(|line| line.contains(claim)), "{claim:?} is missing:\n{stdout}");
    }
    assert!(stdout.contains(&format!("\nall {} claims were verified in this run, in ", claims.len())), "{stdout}");
    assert!(!stdout.contains("FAILED"), "{stdout}");
    assert!(!stdout.contains(['\x1b', '\r']), "colours or progress without a terminal:\n{stdout}");
    // Beside the other tests, on few processors, it takes longer than it does alone.
    assert!(begun.elapsed() < Duration::from_secs(60), "it took {:?}", begun.elapsed());
    assert_eq!(leftovers(&place), [""; 0]);
}

#[test]
fn the_end_of_it_by_a_signal_leaves_no_process_and_no_file() {
    let place = place();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_auditpost"))
        .arg("demo")
        .env("TMPDIR", place.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(demo.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("2. ") {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0, "it ended before the second act");
    }
    let [dir] = &leftovers(&place)[..] else { panic!("one directory is expected") };
    assert!(processes_with(&place.path(dir)) > 0, "the child runs");
    kill_process(Pid::from_child(&demo), Signal::INT).unwrap();
    let mut stderr = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(demo.wait().unwrap().code(), Some(130), "{stderr}");
    assert!(stderr.contains("interrupted"), "{stderr}");
    let mut said = String::new();
    stdout.read_to_string(&mut said).unwrap();
    assert!(!said.contains("verified"), "{said}");
    assert!(nobody_is_left_with(&place.path(dir)), "the child outlived it");
    assert_eq!(leftovers(&place), [""; 0]);
}

#[test]
fn a_place_where_nothing_can_be_written_is_named() {
    let place = Sidecar::new().env("TMPDIR", "/nonexistent");
    let (status, stdout, stderr) = place.command(&["demo"]);
    assert_eq!((status, stdout.as_str()), (73, ""));
    assert!(stderr.contains("cannot make a directory in /nonexistent") && stderr.contains("TMPDIR"), "{stderr}");
}

#[test]
fn nobody_who_listens_any_more_is_no_panic() {
    let place = place();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_auditpost"))
        .arg("demo")
        .env("TMPDIR", place.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(demo.stdout.take());
    let mut stderr = String::new();
    demo.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((demo.wait().unwrap().code(), stderr.as_str()), (Some(130), ""));
    assert_eq!(leftovers(&place), [""; 0]);
}

/// Whether no process has this path on its command line any more. One that was just killed may take a moment to go.
fn nobody_is_left_with(path: &Path) -> bool {
    let end = Instant::now() + Duration::from_secs(5);
    while processes_with(path) > 0 && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    processes_with(path) == 0
}

fn processes_with(path: &Path) -> usize {
    let path = path.display().to_string();
    let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(&path)).count()
}
