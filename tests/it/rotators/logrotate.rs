//! logrotate in its modes, and savelog.

use std::{fs, process::Command};

use super::{AUDIT, Program, assert_complete, assert_exact, program::run_well};
use crate::{
    sidecar::Sidecar,
    tools::{has, skipped},
};

const NAMES: [&str; 2] = [AUDIT, "logs/audit*"];

/// Rotates with these options, one after the other on days of its own.
fn logrotate(options: &'static str) -> impl Fn(&Sidecar) -> Program {
    move |sidecar| {
        let config = sidecar.path("logrotate.conf");
        let log = sidecar.path(AUDIT).display().to_string();
        fs::write(&config, format!("\"{log}\" {{\n rotate 5000\n missingok\n{options}\n}}\n")).unwrap();
        let state = sidecar.path("logrotate.state");
        let mut day = 0;
        Program::rotating(sidecar, move || {
            day += 1;
            let is_dated = options.contains("dateext");
            let mut command = if is_dated { on_day(day, "logrotate") } else { Command::new("logrotate") };
            run_well(command.args(["-f", "-s"]).arg(&state).arg(&config));
        })
    }
}

/// A program whose clock shows another day, of months of 28. The files keep their times.
fn on_day(day: u32, program: &str) -> Command {
    let (year, month, day) = (2025 + day / 336, day / 28 % 12 + 1, day % 28 + 1);
    let mut command = Command::new("faketime");
    command.args([&format!("{year}-{month:02}-{day:02} 04:00:00"), program]);
    command.env("NO_FAKE_STAT", "1").env("FAKE_UTIME", "0");
    command
}

/// Whether what the test needs is here.
fn is_here(test: &str, programs: &[&str]) -> bool {
    let missing = programs.iter().find(|program| !has(program));
    if let Some(program) = missing {
        skipped(test, &format!("{program} is not in PATH: apt-get install {program}"));
    }
    missing.is_none()
}

#[test]
fn logrotate_create() {
    if is_here("logrotate_create", &["logrotate"]) {
        assert_exact("logrotate create", &NAMES, logrotate(" create"));
    }
}

#[test]
fn logrotate_dateext() {
    if is_here("logrotate_dateext", &["logrotate", "faketime"]) {
        assert_exact("logrotate dateext", &NAMES, logrotate(" create\n dateext"));
    }
}

#[test]
fn logrotate_dateext_and_extension() {
    if is_here("logrotate_dateext_and_extension", &["logrotate", "faketime"]) {
        assert_exact("logrotate extension", &NAMES, logrotate(" create\n dateext\n extension .log"));
        let compressed = logrotate(" create\n dateext\n extension .log\n compress");
        assert_exact("logrotate extension compress", &NAMES, compressed);
    }
}

#[test]
fn logrotate_compress() {
    if is_here("logrotate_compress", &["logrotate"]) {
        assert_exact("logrotate compress", &NAMES, logrotate(" create\n compress"));
        assert_exact("logrotate delaycompress", &NAMES, logrotate(" create\n compress\n delaycompress"));
    }
}

#[test]
fn logrotate_compress_zstd() {
    if is_here("logrotate_compress_zstd", &["logrotate", "zstd"]) {
        let zstd = " create\n compress\n compresscmd /usr/bin/zstd\n compressoptions -q --rm\n compressext .zst";
        assert_exact("logrotate zstd", &NAMES, logrotate(zstd));
    }
}

// Nobody writes between the copy and the cut here: what is written then is gone.
#[test]
fn logrotate_copytruncate() {
    if is_here("logrotate_copytruncate", &["logrotate"]) {
        assert_exact("logrotate copytruncate", &NAMES, logrotate(" copytruncate"));
        assert_exact("logrotate copytruncate compress", &NAMES, logrotate(" copytruncate\n compress"));
    }
}

#[test]
fn logrotate_olddir_that_is_included() {
    if is_here("logrotate_olddir_that_is_included", &["logrotate"]) {
        let olddir = logrotate(" create\n olddir old\n createolddir 755 root root");
        assert_exact("logrotate olddir", &["logs/{audit.log,old/audit.log*}"], olddir);
    }
}

#[test]
fn logrotate_olddir() {
    if is_here("logrotate_olddir", &["logrotate"]) {
        assert_exact("logrotate olddir", &[AUDIT], logrotate(" create\n olddir old\n createolddir 755 root root"));
    }
}

// A copy waits until it is known to be one, and its original's rest with it: younger events may come first.
#[test]
fn logrotate_renamecopy() {
    if is_here("logrotate_renamecopy", &["logrotate"]) {
        assert_complete("logrotate renamecopy", &NAMES, logrotate(" create\n renamecopy"));
    }
}

#[test]
fn logrotate_copy() {
    if is_here("logrotate_copy", &["logrotate"]) {
        assert_exact("logrotate copy", &NAMES, logrotate(" copy"));
    }
}

fn savelog(options: &'static [&'static str]) -> impl Fn(&Sidecar) -> Program {
    move |sidecar| {
        let log = sidecar.path(AUDIT);
        let mut day = 0;
        Program::rotating(sidecar, move || {
            day += 1;
            let mut command = if options.contains(&"-d") { on_day(day, "savelog") } else { Command::new("savelog") };
            run_well(command.args(["-q", "-c", "5000"]).args(options).arg(&log));
        })
    }
}

#[test]
fn savelog_plain_and_compressed() {
    if is_here("savelog_plain_and_compressed", &["savelog"]) {
        assert_exact("savelog -l", &NAMES, savelog(&["-l"]));
        assert_exact("savelog", &NAMES, savelog(&[]));
    }
}

#[test]
fn savelog_dated() {
    if is_here("savelog_dated", &["savelog", "faketime"]) {
        assert_exact("savelog -d", &NAMES, savelog(&["-d"]));
    }
}
