//! A request's body, handed over in small frames so that it is known how much of it the connection took.
//!
//! An answer that comes before the last frame was taken cannot be an answer to the whole batch.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// Small enough that the count is telling, large enough that it costs nothing.
const FRAME: usize = 16 * 1024;

/// Beyond this, bytes that the connection took may still lie unread in the buffers between us and the receiver.
const BUFFERED: u64 = 64 * 1024;

pub(super) struct Frames {
    rest: Bytes,
    progress: Arc<Progress>,
}

/// How far a body got.
#[derive(Debug)]
pub(super) struct Progress {
    total: u64,
    taken: AtomicU64,
}

impl Frames {
    pub(super) fn new(body: Bytes) -> (Self, Arc<Progress>) {
        let progress = Arc::new(Progress { total: body.len() as u64, taken: AtomicU64::new(0) });
        (Self { rest: body, progress: Arc::clone(&progress) }, progress)
    }
}

impl Progress {
    /// Bytes of the body that the connection took.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The connection took the whole body. The receiver need not have read it.
    pub(super) fn is_whole(&self) -> bool {
        self.taken() == self.total
    }

    /// The receiver may have stopped reading before the end: some was not taken, or so much was that the buffers
    /// between us may hold the rest.
    pub(super) fn may_be_unread(&self) -> bool {
        !self.is_whole() || self.total > BUFFERED
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(FRAME);
        let frame = self.rest.split_to(length);
        self.progress.taken.fetch_add(length as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn the_frames_are_the_body_and_each_is_counted() {
        let whole: Bytes = (0..40_000u32).map(|n| n as u8).collect::<Vec<_>>().into();
        let (mut frames, progress) = Frames::new(whole.clone());
        assert_eq!(http_body::Body::size_hint(&frames).exact(), Some(40_000));
        let first = frames.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!((first.len() as u64, progress.is_whole()), (progress.taken(), false));
        let rest = frames.collect().await.unwrap().to_bytes();
        assert_eq!([first, rest].concat(), whole);
        assert!(progress.is_whole() && !progress.may_be_unread());
    }

    #[test]
    fn a_large_body_may_lie_unread_in_the_buffers_even_when_all_of_it_was_taken() {
        let (_, small) = Frames::new(Bytes::from(vec![0; 65_536]));
        small.taken.store(65_536, Ordering::Relaxed);
        let (_, large) = Frames::new(Bytes::from(vec![0; 65_537]));
        large.taken.store(65_537, Ordering::Relaxed);
        assert_eq!((small.may_be_unread(), large.may_be_unread()), (false, true));
    }

    #[test]
    fn an_empty_body_is_whole_from_the_start() {
        let (frames, progress) = Frames::new(Bytes::new());
        assert!(progress.is_whole() && http_body::Body::is_end_stream(&frames));
    }
}
