//! A batch that has a number and an id: what is sent under them now, and the split where it is a part of something.

use std::sync::Arc;

use bytes::Bytes;

use super::{BatchBody, BatchPart, EventAt, SealedBatch, SplitBatch};
use crate::{
    forwarder::{
        compress::{BodyCoding, Digest},
        journal::{BatchParent, BatchRecord, Coverage, Intent, UnixMillis},
        judge::{EventRefusal, Fate},
    },
    log::{AnchoredRange, ContainerOrigin},
};

/// Sixteen random bytes in hexadecimal digits.
pub fn new_id(rng: &mut fastrand::Rng) -> String {
    format!("{:032x}", rng.u128(..))
}

#[derive(Debug)]
pub struct InFlightBatch {
    pub n: u64,
    pub id: String,
    pub source: Arc<str>,
    /// The container that its events are of.
    pub origin: Option<Arc<ContainerOrigin>>,
    pub span: Vec<AnchoredRange>,
    pub body: Arc<BatchBody>,
    /// The body as it is sent; `None` while it is being compressed, or need not be.
    pub wire: Option<Bytes>,
    pub digest: Digest,
    /// What becomes of the records of its span.
    pub covers: Coverage,
    pub attempts: u32,
    pub stage: FlightStage,
    /// The batch that this one is a part of.
    pub split: Option<SplitBatch>,
}

/// Where a batch is between its admission and its settlement.
///
/// ```text
///  Announcing ──the journal has its intent──► Waiting ──sent──► Flying ──► delivered
///  a part, or what                                                 ├──to be sent again──► Waiting
///  replaces a batch                                                ├──split: the next part──► Announcing
///                                                                  └──one event, refused──► Refused ──► a dead letter,
///                                                                                           once that can be written
/// ```
#[derive(Debug)]
pub enum FlightStage {
    /// Its intent is being written: it is not sent before.
    Announcing,
    /// To be sent, unless what it is a part of told its fate.
    Waiting,
    /// A request is on its way.
    Flying,
    /// The receiver refuses its one event, which is no dead letter yet: it is not sent again.
    Refused { refusal: EventRefusal, is_being_written: bool },
}

impl InFlightBatch {
    /// A batch that the journal does not know yet.
    pub fn new(n: u64, id: String, sealed: SealedBatch) -> Self {
        let covers = sealed.coverage();
        let SealedBatch { source, origin, span, body, wire, digest, .. } = sealed;
        Self {
            n,
            id,
            source,
            origin,
            span,
            body,
            wire: Some(wire),
            digest,
            covers,
            attempts: 0,
            stage: FlightStage::Announcing,
            split: None,
        }
    }

    /// What the journal says of it before it is sent, but for the time, which is when it is written.
    pub fn intent(&self, parent: Option<BatchParent>, coding: BodyCoding) -> Intent {
        let batch = BatchRecord {
            n: self.n,
            id: Some(self.id.clone()),
            source: self.source.to_string(),
            span: self.span.clone(),
            covers: self.covers,
            counted: true,
            digest: Some(self.digest),
            coding: Some(coding),
            at: UnixMillis::default(),
        };
        Intent { batch, parent }
    }

    /// Whether it waits for nothing but the receiver.
    pub fn can_be_sent(&self) -> bool {
        matches!(self.stage, FlightStage::Waiting) && self.wire.is_some() && self.fate().is_none()
    }

    pub fn is_flying(&self) -> bool {
        matches!(self.stage, FlightStage::Flying)
    }

    /// What the receiver said of the events of this part when they were in a larger batch, so that it is not sent.
    pub fn fate(&self) -> Option<&Fate> {
        self.split.as_ref()?.fate()
    }

    /// What the receiver said of events that it refuses no longer counts: they are to be sent.
    pub fn forget_refusals(&mut self) {
        self.split.iter_mut().for_each(SplitBatch::forget_refusals);
    }

    /// The one event of a batch that cannot be split further.
    pub fn only_event(&self) -> Option<EventAt> {
        match self.body.events() {
            [event] => Some(event.clone()),
            _ => None,
        }
    }

    /// This batch was refused: from now on it goes in halves. False where it is one event.
    pub fn split(&mut self) -> bool {
        if self.body.events().len() < 2 {
            return false;
        }
        match &mut self.split {
            None => {
                self.split = Some(SplitBatch::in_halves(self.n, self.body.clone(), self.span.clone(), self.covers));
                true
            }
            Some(split) => split.halve(self.n, &self.span, self.covers),
        }
    }

    /// This batch was read again, and a request holds one event by now: it goes in as many parts as it has events. False
    /// where it has one.
    pub fn split_singly(&mut self) -> bool {
        if self.body.events().len() < 2 {
            return false;
        }
        self.split = Some(SplitBatch::singly(self.n, self.body.clone(), self.span.clone(), self.covers));
        true
    }

    /// The receiver said of each event what became of it: from now on the batch goes in parts of one fate each, and each
    /// event that it refuses is a part of its own. False where this is one event, or the fates are not those of its
    /// events.
    pub fn split_by(&mut self, fates: &[Fate]) -> bool {
        let events = self.body.events().len();
        if events < 2 || fates.len() != events {
            return false;
        }
        match &mut self.split {
            None => {
                let (body, span) = (self.body.clone(), self.span.clone());
                self.split = Some(SplitBatch::by_fates(self.n, body, span, self.covers, fates));
                true
            }
            Some(split) => split.cut_by_fates(self.n, &self.span, self.covers, fates),
        }
    }

    /// The part that was sent is settled, or was split: the next one, if any is left. One of more than `hopeless` bytes
    /// is halved unsent.
    pub fn next_part(&mut self, hopeless: usize) -> Option<BatchPart> {
        self.split.as_mut()?.next_part(hopeless)
    }

    /// From now on this is what is sent, under a number and an id of its own, for it has other bytes.
    pub fn take_part(&mut self, n: u64, id: String, part: BatchPart) {
        (self.n, self.id, self.attempts, self.stage) = (n, id, 0, FlightStage::Announcing);
        self.digest = Digest::of(part.body.bytes());
        (self.body, self.wire) = (Arc::new(part.body), None);
        (self.span, self.covers) = (part.span, part.covers);
    }
}
