//! Where the bytes of a file's life are, and how that changes.
//!
//! | from | to |
//! |---|---|
//! | `Sought` | `AtPath`, `Rotated` (found, itself or in a copy, or restored), `ContentLost` (found with other bytes), `Gone`, `Released` |
//! | `AtPath` | `Rotated`, `Deleted`, `Sought` (not held, and compressed where there is no room), `ContentLost`, `Gone`, `Released` |
//! | `Rotated` | `AtPath`, `Deleted`, `Sought`, `ContentLost`, `Gone`, `Released` |
//! | `Deleted` | `AtPath`, `Rotated` (named again, or taken into a copy of ours), `ContentLost`, `Released` |
//! | `ContentLost` | `AtPath`, `Rotated`, `Gone`, `Released` |
//! | `Gone` | `Released` |
//! | `Released` | nothing: what a late writer adds is a life of its own |
//!
//! `Sought` and `ContentLost` may stay as they are while a compressed file that has the bytes waits to be restored.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::log::{
    catalog::{Absorbed, CompressedOrigin},
    segment::SegmentState,
};

/// How long a compressed file is left alone that cannot be restored for want of room or rights.
pub const PAUSE: Duration = Duration::from_secs(10);

/// Where the bytes of a life are.
#[derive(Debug)]
pub enum Whereabouts {
    /// The catalog remembers it, or it is gone and was not held: its file is looked for under every name that it could
    /// have, and among copies and compressed files.
    Sought { later: Option<Later> },
    /// A path of the source names it.
    AtPath,
    /// It stands under another name, or it is a file of ours.
    Rotated,
    /// No path names it: our descriptor is all that keeps it.
    Deleted { since: Instant },
    /// Its file has other bytes now: its own are looked for among copies and compressed files.
    ContentLost { later: Option<Later> },
    /// Its bytes are in no file. What was not read of them is a gap.
    Gone,
    /// Every forwarder is past it. It is remembered as long as its file exists, so that that is not taken for a new one.
    Released,
}

impl Whereabouts {
    /// Whether a life may go there from here.
    pub(super) fn may_become(&self, to: &Self) -> bool {
        use Whereabouts::{AtPath, ContentLost, Deleted, Gone, Released, Rotated, Sought};
        match self {
            Sought { .. } => !matches!(to, Deleted { .. }),
            AtPath | Rotated => true,
            Deleted { .. } => !matches!(to, Sought { .. } | Gone | Deleted { .. }),
            ContentLost { .. } => !matches!(to, Sought { .. } | Deleted { .. }),
            Gone => matches!(to, Released),
            Released => false,
        }
    }

    /// Whether there is a file that has the bytes, and may be held.
    pub(super) fn has_file(&self) -> bool {
        matches!(self, Self::AtPath | Self::Rotated | Self::Deleted { .. })
    }

    /// What a segment's state becomes with it.
    pub(super) fn state(&self, before: SegmentState) -> SegmentState {
        match (self, before) {
            (Self::AtPath, _) => SegmentState::Active,
            (Self::Rotated | Self::Deleted { .. }, SegmentState::Active) => SegmentState::Draining,
            (Self::Gone, _) => SegmentState::Gone,
            _ => before,
        }
    }

    /// A compressed file has the bytes and cannot be restored now; or, with `None`, it can, or is there no more.
    pub fn waiting(&self, later: Option<Later>) -> Self {
        match self {
            Self::ContentLost { .. } => Self::ContentLost { later },
            _ => Self::Sought { later },
        }
    }
}

/// The file that has a life's bytes.
#[derive(Clone, Debug)]
pub enum ContentFile {
    /// The application's own.
    Original,
    /// The content of this compressed file, in a file of ours as long as it is read.
    Restored(CompressedOrigin),
    /// Our copy of what was unread of a deleted file.
    Copied(Absorbed),
}

/// A compressed file that cannot be restored for want of room or rights, and when that is tried again.
#[derive(Clone, Debug)]
pub struct Later {
    pub until: Instant,
    pub path: PathBuf,
    pub why: String,
}

impl Later {
    pub fn new(path: &Path, error: &io::Error, now: Instant) -> Self {
        Self { until: now + PAUSE, path: path.to_owned(), why: format!("its events wait until it can be: {error}") }
    }
}
