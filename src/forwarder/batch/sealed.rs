//! A batch that grows no more, before it has a number: its body, and what else its span covers.

use std::sync::Arc;

use bytes::Bytes;

use super::{BatchBody, RejectedLine};
use crate::{
    forwarder::{compress::Digest, journal::Coverage, stats::FilteredCounts},
    log::{AnchoredRange, ContainerOrigin},
};

/// Clones share the body.
#[derive(Clone, Debug)]
pub struct SealedBatch {
    pub source: Arc<str>,
    /// The container that its events are of.
    pub origin: Option<Arc<ContainerOrigin>>,
    pub span: Vec<AnchoredRange>,
    pub body: Arc<BatchBody>,
    /// Lines that can never be delivered, for the dead letters.
    pub rejected: Arc<[RejectedLine]>,
    /// Records that a rule kept back.
    pub filtered: FilteredCounts,
    /// The body as it is sent; empty before it is compressed.
    pub wire: Bytes,
    pub digest: Digest,
}

impl SealedBatch {
    pub(super) fn new(
        source: Arc<str>,
        origin: Option<Arc<ContainerOrigin>>,
        span: Vec<AnchoredRange>,
        body: BatchBody,
        rejected: Vec<RejectedLine>,
        filtered: FilteredCounts,
    ) -> Self {
        let digest = Digest::of(body.bytes());
        Self {
            source,
            origin,
            span,
            body: Arc::new(body),
            rejected: rejected.into(),
            filtered,
            wire: Bytes::new(),
            digest,
        }
    }

    /// Whether it has an event to deliver.
    pub fn has_events(&self) -> bool {
        !self.body.is_empty()
    }

    /// What becomes of the records of its span.
    pub fn coverage(&self) -> Coverage {
        Coverage {
            events: self.body.records(),
            dead_lettered: self.rejected.len() as u64,
            filtered: self.filtered.total(),
        }
    }
}
