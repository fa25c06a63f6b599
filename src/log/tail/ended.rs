//! Logs of containers that ended: their last line may have no line feed, and stands there as a part for ever.
//!
//! A runtime writes such a part when the container ends, and nothing after it. Nobody tells when that was: that the next
//! attempt has a log, or that nothing came for long, does. Where something comes after all, the file is read on.

use std::{
    collections::HashSet,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::info;

use super::{FileLife, Tail, Whereabouts};
use crate::{config::LineFormat, log::segment::SegmentState};

/// A log that stands at its path, is unread at its end, and was not written to for so long counts as finished.
const LONG_QUIET: Duration = Duration::from_secs(6 * 3600);

impl Tail {
    /// Seals logs of containers of which nothing more will come.
    pub(super) fn end_finished_logs(&mut self, now: Instant) {
        if !matches!(self.source.format, LineFormat::Cri(_)) {
            return;
        }
        let (seal_after, release_gate) = (self.source.seal_after, self.log.release_gate.clone());
        let is_unread = |life: &&FileLife| {
            let segment = &life.segment;
            !life.is_released() && !release_gate.all_past(segment.id, segment.start.offset, segment.size())
        };
        // The record that is open may be one that a rotation cut: then it is an older file that is unread.
        let unread: HashSet<Arc<Path>> =
            self.lives.iter().filter(is_unread).map(|life| life.segment.lineage.clone()).collect();
        let has_ended = |life: &FileLife| {
            let quiet = now.saturating_duration_since(life.quiet_since);
            life.missing == 0
                && matches!(life.whereabouts(), Whereabouts::AtPath)
                && life.segment.state() == SegmentState::Active
                && quiet >= seal_after.min(LONG_QUIET)
                && unread.contains(&life.segment.lineage)
                && (quiet >= LONG_QUIET || has_next_attempt(&life.segment.path()))
        };
        for id in self.lives.ids(has_ended) {
            info!(source = %self.log.name, segment = %id, "the container has ended, and its log is read to its end");
            self.lives.seal(id);
        }
    }
}

/// Whether the container was started again: beside `0.log` there is `1.log`.
fn has_next_attempt(path: &Path) -> bool {
    // The path may be a link that is named otherwise.
    let Ok(path) = path.canonicalize() else { return false };
    let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".log"));
    let attempt = number.and_then(|number| number.parse::<u32>().ok());
    let next = attempt.and_then(|attempt| attempt.checked_add(1));
    next.is_some_and(|next| path.with_file_name(format!("{next}.log")).exists())
}
