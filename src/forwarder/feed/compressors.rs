//! The compressors of a forwarder, on the blocking pool.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::{
    config,
    forwarder::{
        batch::{BatchBody, SealedBatch},
        compress::Compressor,
        unless_panicked,
    },
};

/// The compressors of one forwarder: as many as work at once. One more than there are cores keeps all of them busy
/// while the task hands out work; more would only take the cores from each other and from the task.
#[derive(Clone)]
pub struct Compressors {
    compression: config::Compression,
    idle: Arc<Mutex<Vec<Compressor>>>,
    busy: Arc<AtomicUsize>,
    most: usize,
    /// Is told when one becomes free.
    freed: Arc<Notify>,
}

/// Counts as a busy compressor until it is dropped.
pub struct Busy(Compressors);

impl Busy {
    /// A body that cannot be compressed is a bug and no reason to lose it: it ends the task, which starts anew.
    pub fn compress(&self, mut sealed: SealedBatch) -> SealedBatch {
        sealed.wire = self.0.compress(sealed.body.bytes());
        sealed
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Release);
        self.0.freed.notify_one();
    }
}

impl Compressors {
    pub fn new(compression: config::Compression, freed: Arc<Notify>) -> Self {
        let most = std::thread::available_parallelism().map_or(1, usize::from) + 1;
        Self { compression, idle: Arc::default(), busy: Arc::default(), most, freed }
    }

    pub fn one_is_free(&self) -> bool {
        self.busy.load(Ordering::Acquire) < self.most
    }

    pub fn occupy(&self) -> Busy {
        self.busy.fetch_add(1, Ordering::Release);
        Busy(self.clone())
    }

    /// Blocks for some milliseconds a megabyte.
    pub fn compress(&self, body: &[u8]) -> Bytes {
        let idle = self.idle.lock().expect("nothing panics while it holds the compressors").pop();
        let mut compressor = idle.unwrap_or_else(|| Compressor::new(self.compression));
        let wire = compressor.compress(body);
        self.idle.lock().expect("nothing panics while it holds the compressors").push(compressor);
        wire.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The body of a part, on the blocking pool.
    pub async fn compress_part(self, body: Arc<BatchBody>) -> Bytes {
        let job = tokio::task::spawn_blocking(move || self.compress(body.bytes()));
        unless_panicked(job.await)
    }
}
