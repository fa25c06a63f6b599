//! What writes events and rotates.

use std::{
    fs::File,
    io::{Read, Write},
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use flate2::read::MultiGzDecoder;

use super::{AUDIT, LOGS};
use crate::{events, sidecar::Sidecar, tools::wait_until};

/// How many events a file has where the test rotates.
pub const PER_FILE: u64 = 30;

/// Something that writes numbered events below [`LOGS`] and rotates on the way.
pub enum Program {
    /// It takes events on its standard input, and rotates by itself.
    Piped {
        child: Child,
        input: Option<ChildStdin>,
        logs: PathBuf,
        /// How long it is left alone after each ten events.
        pause: Duration,
    },
    /// The test writes, opening the file for each write; this rotates it, after so many events.
    Rotating(Box<dyn FnMut()>, PathBuf),
    /// It is asked to write each event itself.
    Writing(Box<dyn FnMut(u64)>),
}

impl Program {
    /// Starts a command in the directory of `sidecar`.
    pub fn piped(sidecar: &Sidecar, command: &mut Command) -> Self {
        let command = command.current_dir(sidecar.path("")).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        Self::Piped { child, input, logs: sidecar.path(LOGS), pause: Duration::ZERO }
    }

    /// The same with a clock that goes twenty times as fast; some twenty events come a second of it.
    pub fn piped_in_a_hurry(sidecar: &Sidecar, command: &Command) -> Self {
        let mut hurried = Command::new("faketime");
        hurried.args(["-f", "+0 x20"]).arg(command.get_program()).args(command.get_args());
        hurried.env("NO_FAKE_STAT", "1").env("FAKE_UTIME", "0");
        Self::piped(sidecar, &mut hurried).pausing(Duration::from_millis(25))
    }

    /// The same program, left alone for so long after each ten events.
    pub fn pausing(mut self, after_ten: Duration) -> Self {
        if let Self::Piped { pause, .. } = &mut self {
            *pause = after_ten;
        }
        self
    }

    /// The test writes to [`AUDIT`], and this rotates it.
    pub fn rotating(sidecar: &Sidecar, rotate: impl FnMut() + 'static) -> Self {
        Self::Rotating(Box::new(rotate), sidecar.path(AUDIT))
    }

    /// Writes these events, and returns once the last of them is on disk.
    pub fn write(&mut self, range: Range<u64>) {
        match self {
            Self::Piped { child, input, logs, pause } => {
                let Some(last) = range.clone().last() else { return };
                let input = input.as_mut().unwrap();
                for from in range.clone().step_by(10) {
                    input.write_all(events::lines(from..range.end.min(from + 10)).as_bytes()).unwrap();
                    std::thread::sleep(*pause);
                }
                let end = Instant::now() + Duration::from_secs(30);
                while !is_on_disk(logs, last) {
                    assert!(child.try_wait().unwrap().is_none(), "the program has ended");
                    assert!(Instant::now() < end, "the program does not write event {last}");
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            Self::Rotating(rotate, log) => {
                for n in range {
                    crate::sidecar::append(log, events::lines(n..n + 1));
                    if n % PER_FILE == PER_FILE - 1 {
                        rotate();
                    }
                }
            }
            Self::Writing(write) => range.for_each(write),
        }
    }
}

impl Program {
    /// Gives a piped program any text.
    pub fn write_text(&mut self, text: &[u8]) {
        let Self::Piped { input: Some(input), .. } = self else { panic!("it takes no text") };
        input.write_all(text).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let Self::Piped { child, input, .. } = self else { return };
        // The end of its input ends it.
        drop(input.take());
        let end = Instant::now() + Duration::from_secs(5);
        while matches!(child.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Whether a file below the directory has the event, compressed or not.
fn is_on_disk(directory: &Path, n: u64) -> bool {
    let event = events::event(n);
    let has = |text: &[u8]| memchr::memmem::find(text, event.as_bytes()).is_some();
    let Ok(entries) = std::fs::read_dir(directory) else { return false };
    entries.flatten().map(|entry| entry.path()).any(|path| {
        if path.is_dir() {
            return is_on_disk(&path, n);
        }
        // It may go while it is looked at.
        let mut text = Vec::new();
        let Ok(mut file) = File::open(&path) else { return false };
        let _ = file.read_to_end(&mut text);
        if !text.starts_with(&[0x1F, 0x8B]) {
            return has(&text);
        }
        let mut plain = Vec::new();
        let _ = MultiGzDecoder::new(text.as_slice()).read_to_end(&mut plain);
        has(&plain)
    })
}

/// Runs a command to its end; panics with what it said where that is no good one.
pub fn run_well(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Waits until no file below the directory has this suffix: what makes it works in the background.
pub fn wait_until_none_ends_in(directory: &Path, suffix: &str) {
    wait_until(suffix, || {
        let entries = std::fs::read_dir(directory).unwrap();
        !entries.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(suffix))
    });
}
