//! Rotators that are libraries of languages that are not here: a writer takes the same steps under the same names, as
//! their sources have them. That they do so in fact is not tested.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};

use super::{AUDIT, Program, assert_exact, program::PER_FILE};
use crate::{events, sidecar::Sidecar};

/// Writes to `active` with the file held open, and after so many events rotates: renames it to what `name` says of the
/// rotation's number, opens it anew, and compresses what was renamed where `compresses`.
fn renaming(
    active: &'static str,
    name: impl Fn(u64) -> String + Copy + 'static,
    compresses: bool,
) -> impl Fn(&Sidecar) -> Program {
    move |sidecar| {
        let (log, logs) = (sidecar.path(active), sidecar.path("logs"));
        let mut file = File::create(&log).unwrap();
        Program::Writing(Box::new(move |n| {
            if n > 0 && n % PER_FILE == 0 {
                let rotated = logs.join(name(n / PER_FILE));
                fs::rename(&log, &rotated).unwrap();
                std::thread::sleep(Duration::from_millis(8)); // File times move in steps of a clock tick.
                file = File::create_new(&log).unwrap();
                if compresses {
                    compress(&rotated);
                }
            }
            file.write_all(events::lines(n..n + 1).as_bytes()).unwrap();
        }))
    }
}

/// Into `.gz` beside it, without its times; then removes it.
fn compress(path: &Path) {
    let packed = PathBuf::from(format!("{}.gz", path.display()));
    let mut encoder = GzEncoder::new(File::create_new(packed).unwrap(), Compression::fast());
    encoder.write_all(&fs::read(path).unwrap()).unwrap();
    encoder.finish().unwrap();
    fs::remove_file(path).unwrap();
}

/// A time some seconds after another for each rotation.
fn time(n: u64) -> String {
    format!("2026-11-29T{:02}-{:02}-{:02}.206", n / 1200 % 24, n / 20 % 60, n % 20 * 3)
}

// lumberjack 2.2.1: the Kubernetes API server's audit log, and many others.
#[test]
fn lumberjack_as_its_source_has_it() {
    for compresses in [false, true] {
        let start = renaming(AUDIT, |n| format!("audit-{}.log", time(n)), compresses);
        assert_exact(&format!("lumberjack, compress {compresses}"), &[AUDIT, "logs/audit*.log*"], start);
    }
}

// timberjack, as Caddy has it.
#[test]
fn timberjack_as_its_source_has_it() {
    let start = renaming(AUDIT, |n| format!("audit-{}-size.log", time(n)), true);
    assert_exact("timberjack, compress", &[AUDIT], start);
}

// flexi_logger 0.31.10
#[test]
fn flexi_logger_as_its_source_has_it() {
    let start = renaming("logs/audit_rCURRENT.log", |n| format!("audit_r{:05}.log", n - 1), false);
    assert_exact("flexi_logger", &["logs/audit_rCURRENT.log", "logs/audit_r*.log"], start);
}

// file-rotate 0.8.0 with AppendTimestamp; with AppendCount it is as Python's RotatingFileHandler.
#[test]
fn file_rotate_as_its_source_has_it() {
    let start = renaming(AUDIT, |n| format!("audit.log.{}", time(n).replace(['-', '.'], "")), true);
    assert_exact("file-rotate", &[AUDIT, "logs/audit*"], start);
}
