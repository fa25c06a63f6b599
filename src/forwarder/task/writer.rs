//! Writing down, on the blocking pool: in order, one thing at a time.

use std::{io, sync::Arc};

use tokio::task::JoinHandle;

use crate::{
    forwarder::{
        recorder::{Recorder, RecorderWrite},
        unless_panicked,
        window::WriteId,
    },
    log::Log,
};

/// Hands writes to the recorder. A slow disk delays what follows from them, and no thread of the runtime.
pub(super) struct Writer {
    recorder: Arc<Recorder>,
    logs: Arc<[Log]>,
    waiting: Vec<(WriteId, Vec<RecorderWrite>)>,
    running: Option<JoinHandle<Vec<WriteResult>>>,
}

pub(super) type WriteResult = (WriteId, io::Result<()>);

impl Writer {
    pub(super) fn new(recorder: Arc<Recorder>, logs: Arc<[Log]>) -> Self {
        Self { recorder, logs, waiting: Vec::new(), running: None }
    }

    pub(super) fn write(&mut self, id: WriteId, writes: Vec<RecorderWrite>) {
        self.waiting.push((id, writes));
        self.begin();
    }

    pub(super) fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// What was written next; waits for ever where nothing is.
    pub(super) async fn written(&mut self) -> Vec<WriteResult> {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let written = unless_panicked(running.await);
        self.running = None;
        self.begin();
        written
    }

    fn begin(&mut self) {
        if self.running.is_some() || self.waiting.is_empty() {
            return;
        }
        let (recorder, logs, writes) = (self.recorder.clone(), self.logs.clone(), std::mem::take(&mut self.waiting));
        self.running = Some(tokio::task::spawn_blocking(move || {
            writes.into_iter().map(|(id, writes)| (id, recorder.write_all(&logs, writes))).collect()
        }));
    }
}
