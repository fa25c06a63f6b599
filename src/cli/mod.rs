//! The commands: one file each. Results go to standard output, diagnostics to standard error.

pub mod check;
pub mod cursors;
pub mod dead_letters;
pub mod demo;
pub mod diagnostics;
pub mod exit;
pub mod explain;
mod failure;
mod printable;
pub mod receive;
pub mod replay_letters;
pub mod run;
pub mod state_dir;
pub mod status;
mod terminal;
pub mod verify_konnect;
