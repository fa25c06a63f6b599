//! Bodies that are used again: the memory of a settled batch is that of the next one.

use std::sync::{Arc, Mutex, MutexGuard};

use super::{BatchBody, BodyFrame};
use crate::config;

/// Room beside the largest body: the event that turns out not to fit is written before it is taken back.
const SLACK: usize = 16 * 1024;

/// The idle bodies of one forwarder. Clones share them.
#[derive(Clone, Debug)]
pub struct BodyPool {
    frame: BodyFrame,
    capacity: usize,
    most: usize,
    idle: Arc<Mutex<Vec<BatchBody>>>,
}

impl BodyPool {
    /// Keeps at most `most` idle ones.
    pub fn new(forwarder: &config::Forwarder, most: usize) -> Self {
        Self {
            frame: BodyFrame::of(forwarder),
            capacity: forwarder.batch.max_bytes + SLACK,
            most,
            idle: Arc::default(),
        }
    }

    /// An empty one.
    pub fn take(&self) -> BatchBody {
        self.idle().pop().unwrap_or_else(|| BatchBody::with_capacity(self.frame.clone(), self.capacity))
    }

    /// Takes back one that nobody else holds any more. One that had to grow for a huge event is let go.
    pub fn give(&self, body: Arc<BatchBody>) {
        let Ok(mut body) = Arc::try_unwrap(body) else { return };
        let mut idle = self.idle();
        if idle.len() < self.most && body.capacity() <= 2 * self.capacity {
            body.clear();
            idle.push(body);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<BatchBody>> {
        self.idle.lock().expect("nothing panics while it holds the bodies")
    }
}
