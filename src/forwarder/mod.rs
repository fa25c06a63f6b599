//! A forwarder follows logs at its own cursors and delivers what its rules let pass to one webhook.
//!
//! It shares nothing that another forwarder could hold up: it has its own task, cursors, journal, dead letters,
//! compressors and client. [`window`] decides, [`feed`] reads for it and [`task`] runs both; the other modules stand in
//! the order in which a record passes them.

use tokio::task::JoinError;

pub mod follow;

pub mod line_rule;

pub mod filter;

pub mod encode;

pub mod compress;

pub mod judge;

pub mod batch;

pub mod deliver;

pub mod journal;

pub mod dead_letter;

pub mod recorder;

pub mod window;

pub mod feed;

pub mod backlog;
pub mod stats;

pub mod task;

/// A panic of a job is one of the forwarder.
fn unless_panicked<T>(result: Result<T, JoinError>) -> T {
    result.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
