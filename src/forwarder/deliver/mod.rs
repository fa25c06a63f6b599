//! Delivering: one request, one answer, one verdict; and what a run of verdicts says of the receiver.
//!
//! * [`WebhookClient`] sends one [`Request`] and always comes back with an [`Answer`], within the configured timeout.
//!   It never follows a redirect, never asks a proxy of the environment and never repeats a request by itself.
//! * [`judge`] turns an answer into a [`AnswerVerdict`](crate::config::AnswerVerdict), by one table.
//! * [`ReceiverHealth`] is the forwarder's state machine: when may it send, what becomes of the batch, what is worth a line.
//! * [`SizeCeiling`] and [`RefusalBreaker`] are the plans for a size or a whole stream that the receiver
//!   refuses.
//!
//! All but [`WebhookClient`] are plain functions of values and `now`. Nothing here is kept over a restart: a forwarder that
//! crashes begins as if its receiver were well, and learns again.

mod answer;
mod backoff;
mod body;
mod breaker;
mod bulk;
mod ceiling;
mod certificate;
mod credentials;
mod excerpt;
mod failure;
mod health;
mod identity;
mod notice;
mod oauth;
mod response;
mod retry_after;
mod tls;
mod webhook;

#[cfg(test)]
mod tests;

use crate::{local_file, token};

pub use answer::{Answer, EventRefusal, FailureKind, judge};
pub use backoff::Backoff;
pub use breaker::{RefusalBreaker, Ruling};
pub use bulk::Fate;
pub use ceiling::SizeCeiling;
#[cfg(test)]
pub use certificate::Certificate;
pub use health::{Act, Attempt, ProbeIntervals, ReceiverHealth, ReceiverState, SendAllowance};
pub use notice::{HoldReason, Notice};
pub use response::BULK_ANSWER;
pub use webhook::{Request, Session, WebhookClient, WebhookError};
