//! What an answer means, and what a run of answers says of the receiver.
//!
//! * [`judge`] turns an answer into a [`AnswerVerdict`](crate::config::AnswerVerdict), by one table; [`bulk`] reads the
//!   answers that tell of each event.
//! * [`ReceiverHealth`] is the state machine of a receiver: when may it be sent to, what becomes of the batch, what is
//!   worth a line.
//! * [`SizeCeiling`] and [`RefusalBreaker`] are the plans for a size or a whole stream that the receiver refuses.
//!
//! All of it is plain functions of values and `now`: nothing here sends, waits or writes. Nothing is kept over a restart:
//! a forwarder that crashes begins as if its receiver were well, and learns again.

mod answer;
mod backoff;
mod breaker;
pub mod bulk;
mod ceiling;
mod health;
mod notice;

pub use answer::{Answer, EventRefusal, FailureKind, judge};
pub use backoff::Backoff;
pub use breaker::{RefusalBreaker, Ruling};
pub use bulk::Fate;
pub use ceiling::SizeCeiling;
pub use health::{Act, Attempt, ProbeIntervals, ReceiverHealth, SendAllowance};
pub use notice::{HoldReason, Notice};
