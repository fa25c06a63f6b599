//! What stands in `deploy/`, tried for real.

mod booted;
mod helm;
mod kubernetes;
mod manager;
mod prometheus;
mod systemd;
mod watching;
mod yaml;

use std::path::PathBuf;

/// A path below the project's directory.
fn project(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}
