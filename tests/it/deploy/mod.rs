//! What stands in `deploy/`, tried for real.

mod helm;
mod prometheus;
mod watching;

use std::path::PathBuf;

/// A path below the project's directory.
fn project(relative: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(relative)
}
