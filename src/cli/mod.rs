//! The commands: one file each. Results go to standard output, diagnostics to standard error.

pub mod check;
pub mod exit;
pub mod receive;
pub mod status;
mod terminal;
