//! Stopping, starting again, and what stands on disk between.

mod backlog;
mod catalog;
mod clock;
mod cursors;
mod damaged;
mod disk_full;
mod endings;
mod frozen;
mod journal;
mod kills;
mod losses;
mod power;
mod process;
mod resume;
mod signals;
mod spool_power;
mod starting;
mod state_dir;
mod stopping;
mod storage;
