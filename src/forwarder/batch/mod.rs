//! The life of a batch: each step takes what the one before made.
//!
//! ```text
//!  lines ──► BatchDraft ──► SealedBatch ──► InFlightBatch ──► settled
//!            draft.rs       sealed.rs       in_flight.rs        ▲
//!            events go      it has a span,  it has a number     │ delivered, or
//!            into its       is compressed   and an id: it is    │ its one event is
//!            BatchBody      (compress.rs)   announced, sent     │ a dead letter
//!            body.rs                          │        ▲        │
//!                                     refused │        │ the next BatchPart
//!                                             ▼        │ takes its place
//!                                           SplitBatch ┘
//!                                           split.rs, by the plan of narrowing.rs
//! ```
//!
//! `pool.rs` keeps the memory of settled bodies for the next ones. What always holds: a body's bytes follow from its
//! events alone; a span has no holes; what a batch covers is what its parts cover together.

mod body;
mod draft;
mod event_at;
mod in_flight;
mod narrowing;
mod pool;
mod sealed;
mod split;

pub use body::{BatchBody, BodyFrame, BodyLimits, Pushed};
pub use draft::{BatchDraft, RejectedLine};
pub use event_at::{Beside, EventAt};
pub use in_flight::{FlightStage, InFlightBatch, new_id};
pub use narrowing::Narrowing;
pub use pool::BodyPool;
pub use sealed::SealedBatch;
pub use split::{BatchPart, SplitBatch};
