//! What stands in `deploy/`, with the real binary.

mod booted;
mod manager;
mod systemd;
