//! A forwarder follows logs at its own cursors and delivers what its rules let pass to one webhook.

pub mod batch;
pub mod compress;
pub mod dead_letter;
pub mod deliver;
pub mod encode;
pub mod filter;
pub mod journal;
pub mod stats;
