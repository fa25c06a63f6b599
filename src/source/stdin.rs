//! The `stdin` source: `app | auditpost run`.
//!
//! What always holds: where the spool is full nothing is read, so that the application waits. A half line outlives a
//! reload, for the input cannot be read twice. At the end of input the last line needs no line end.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use tokio::{
    io::{AsyncReadExt, Stdin},
    sync::Mutex,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    framing::Framer,
    spool_writer::{SpoolLines, SpoolWriter},
    stats::IntakeRefusal,
};
use crate::config::SourceFraming;

const READ: usize = 256 * 1024;

/// What is read of the process's one input, whichever task does it.
struct Input {
    stdin: Stdin,
    framer: Option<Framer>,
}

fn input() -> Arc<Mutex<Input>> {
    static INPUT: OnceLock<Arc<Mutex<Input>>> = OnceLock::new();
    INPUT.get_or_init(|| Arc::new(Mutex::new(Input { stdin: tokio::io::stdin(), framer: None }))).clone()
}

/// Reads until the input ends, which `ended` tells, or until it is told to stop.
pub async fn run(spool_writer: SpoolWriter, ended: CancellationToken, stop: CancellationToken) {
    let input = input();
    let mut input = input.lock().await;
    let Input { stdin, framer } = &mut *input;
    let framer = framer.get_or_insert_with(|| Framer::new(spool_writer.longest()));
    let mut buffer = vec![0; READ];
    loop {
        let stopping = stop.is_cancelled();
        let read = tokio::select! {
            // What was read already comes before the stop.
            biased;
            read = stdin.read(&mut buffer) => read,
            () = stop.cancelled() => return,
        };
        let mut lines = SpoolLines::new(SourceFraming::Lines);
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                warn!(source = &*spool_writer.name, %error, "standard input cannot be read: it counts as ended");
                0
            }
        };
        let at_end = bytes == 0;
        if at_end {
            if framer.finish(&mut |frame| lines.add(&frame)) {
                spool_writer.refuse(
                    IntakeRefusal::Cut,
                    "standard input ended within a record of stated length: its part is dropped",
                );
            }
        } else {
            framer.feed(&buffer[..bytes], &mut |frame| lines.add(&frame));
        }
        let records = lines.records;
        if records > 0 && spool_writer.put(lines.bytes.into(), &stop).await.is_err() {
            spool_writer.refuse(
                IntakeRefusal::Stopped,
                &format!("{records} records of standard input found no room before the stop"),
            );
            return;
        }
        if at_end {
            info!(source = &*spool_writer.name, "standard input ended");
            return ended.cancel();
        }
        if stopping {
            return;
        }
    }
}
