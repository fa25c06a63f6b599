//! The unit of systemd, as its own tools judge it, and the configuration beside it.

use std::{path::Path, process::Command};

use crate::{
    receiver::Receiver,
    sidecar::Sidecar,
    tools::{has, skipped},
};

pub const UNIT: &str = include_str!("../../../deploy/systemd/auditpost.service");
pub const CONFIG: &str = include_str!("../../../deploy/systemd/config.yaml");

/// The exposure that `systemd-analyze security` may find, in tenths: 0 is none, 100 all. What is left is what the job
/// needs: the network, groups that may read logs, and limits that it sets itself.
const EXPOSURE: u32 = 15;

/// All values of a setting, in order.
fn settings(key: &str) -> Vec<&'static str> {
    UNIT.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

fn seconds(value: &str) -> u64 {
    value.trim_end_matches('s').parse().unwrap()
}

/// systemd's tool on a copy of the unit that names a binary that is there: whether it is content, and what it says.
fn analyze(arguments: &[&str]) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("auditpost.service");
    std::fs::write(&unit, UNIT.replace("/usr/local/bin/auditpost", env!("CARGO_BIN_EXE_auditpost"))).unwrap();
    let output = Command::new("systemd-analyze").args(arguments).arg(&unit).env("LC_ALL", "C").output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), said)
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    if !has("systemd-analyze") {
        return skipped("systemd_finds_nothing_wrong_with_the_unit", "systemd-analyze is not here");
    }
    assert_eq!(analyze(&["verify"]), (true, String::new()));
}

#[test]
fn the_unit_exposes_little() {
    let test = "the_unit_exposes_little";
    if !has("systemd-analyze") {
        return skipped(test, "systemd-analyze is not here");
    }
    let (content, said) = analyze(&["--version"]);
    let version = said.split_whitespace().nth(1).and_then(|version| version.parse::<u32>().ok());
    if !content || version.is_none_or(|version| version < 250) {
        return skipped(test, "systemd-analyze is too old to judge a file");
    }
    let (content, said) = analyze(&["security", "--no-pager", "--offline=yes", &format!("--threshold={EXPOSURE}")]);
    assert!(content, "{said}");
}

#[test]
fn the_unit_knows_how_the_binary_ends() {
    let stop: Vec<_> = settings("SuccessExitStatus");
    assert_eq!(stop, ["10 11"]);
    let prevent: Vec<_> = settings("RestartPreventExitStatus")[0].split(' ').collect();
    let sidecar = Sidecar::new();
    // With arguments that are wrong and with a configuration that is wrong it would fail for ever.
    let wrong = [vec!["run", "--nonsense"], vec!["run", "-c", "absent.yaml"]];
    let ends = wrong.map(|arguments| sidecar.command(&arguments).0.to_string());
    assert_eq!(prevent, ends);
}

#[test]
fn a_stop_has_the_time_to_drain_and_a_hang_the_time_to_be_noticed() {
    let drain = CONFIG.lines().find_map(|line| line.strip_prefix("drainTimeout: ")).unwrap();
    let drain = seconds(drain.split(' ').next().unwrap());
    // Two seconds more for the last writes, and some for a busy machine.
    assert!(seconds(settings("TimeoutStopSec")[0]) >= drain + 10);
    assert!(seconds(settings("WatchdogSec")[0]) > auditpost::internals::STUCK_AFTER.as_secs());
}

/// `LoadCredential=` puts the token where the configuration looks for it.
#[test]
fn the_configuration_takes_its_token_from_the_credentials_directory() {
    let (name, _) = settings("LoadCredential")[0].split_once(':').unwrap();
    let receiver = Receiver::start();
    let yaml = CONFIG
        .replace("/var/lib/private/auditpost", "{dir}/state")
        .replace("/var/log/app/", "{dir}/")
        .replace("https://siem.example.com/ingest", &receiver.url())
        .replace("127.0.0.1:9600", "127.0.0.1:0");
    let sidecar = Sidecar::new().config(&yaml);
    let credentials = sidecar.path("credentials");
    std::fs::create_dir(&credentials).unwrap();
    std::fs::write(credentials.join(name), "from-a-credential\n").unwrap();
    sidecar.write_lines("audit.ndjson", 0..2);
    let mut sidecar = sidecar.env("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap()).start();
    receiver.wait_for_lines(2);
    let token = receiver.deliveries()[0].header("authorization").map(str::to_owned);
    assert_eq!(token.as_deref(), Some("Bearer from-a-credential"));
    assert_eq!(sidecar.stop(), 0);
}

#[test]
fn the_configuration_beside_the_unit_is_valid_without_systemd() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd/config.yaml");
    let (status, said, errors) = Sidecar::new().command(&["check", "-c", path.to_str().unwrap()]);
    assert_eq!(status, 0, "{errors}");
    assert!(said.contains("from /etc/auditpost/siem.token"), "{said}");
}
