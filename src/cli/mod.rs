//! The commands: one file each. Results go to standard output, diagnostics to standard error.

pub mod check;
pub mod command;
pub mod completions;
pub mod cursors;
pub mod dead_letters;
pub mod demo;
pub mod diagnostics;
pub mod exit;
pub mod explain;
mod failure;
pub mod gaps;
pub mod man;
pub mod ping;
mod printable;
pub mod receive;
pub mod replay;
pub mod replay_letters;
pub mod run;
pub mod schema;
pub mod state_dir;
pub mod status;
mod terminal;
pub mod verify_konnect;
