//! What the fields of a system's events are called, and whether a line is an event at all.
//!
//! A [`Checker`] belongs to one forwarder's reading of one source. It makes one pass over a line and keeps no
//! more of it than its reader [`Needs`]: where nothing is filtered and JSON goes out as it came, only validity
//! is judged.

pub mod chainloop;
mod checker;
pub mod connect;
mod event;
mod facts;
mod field;
pub mod generic;
pub mod infrakitchen;
pub mod konnect;
pub mod kubernetes;
mod layout;
mod needs;
mod system;
#[cfg(test)]
mod tests;
pub mod vault;

pub use checker::Checker;
pub use event::{Event, EventForm, JsonEvent};
pub use facts::Facts;
pub use field::{Field, FieldSet};
pub use needs::Needs;
pub use system::{FieldPlace, Schema, System};
