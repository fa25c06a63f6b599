//! Lives whose bytes are in no file any more, and what that costs.
//!
//! | the life | is lost |
//! |---|---|
//! | was at rest (sealed), and every forwarder is past its end | nothing, and nothing is said |
//! | was at rest, and is not read to its end | what is unread: a gap of so many bytes |
//! | was not at rest, and its file was not looked at to the last: it vanished before the first look after a start, or was not held | what is unread, and what was added since the last look: a gap of unknown size |
//! | was replaced by a file with all that it had, and nobody was seen to write to it after that | what somebody may have written after we ended, and only a WARN says so |
//! | was not at rest, and its file was looked at to the last: it was truncated or rewritten | what is unread |
//!
//! The catalog knows a loss before any forwarder is told, and a forwarder's cursor is past it once its journal has it. A
//! crash in between tells it again.

use tracing::{info, warn};

use super::{FileLife, Tail, Whereabouts, lives::ContentFile};
use crate::log::{position::SegmentId, segment::SegmentState};

impl Tail {
    /// Neither its file nor a copy was found.
    pub(super) fn is_gone(&mut self, id: SegmentId) {
        let Some(life) = self.lives.get(id) else { return };
        let segment = life.segment.clone();
        let (path, seen_bytes) = (segment.path(), segment.size());
        if life.replaced_by().is_some() && life.is_copy() && segment.state() == SegmentState::Sealed {
            warn!(source = %self.log.name, segment = %id, path = %path.display(),
                "the file that was replaced by one with all that it had was held open, for somebody might still write to it; \
                 nobody was seen to do so, and what was written to it after auditpost ended is lost");
        } else if may_have_grown(life) {
            let last_change =
                jiff::Timestamp::new(life.modified.0, life.modified.1.cast_signed()).unwrap_or_default();
            warn!(source = %self.log.name, segment = %id, path = %path.display(), seen_bytes, %last_change,
                "the file is gone, was not held open and may have been written to since it was last looked at: \
                 a gap of unknown size is recorded for each forwarder");
            self.lives.lose_unseen(id);
        } else if !self.log.release_gate.all_past(id, segment.start.offset, seen_bytes) {
            info!(source = %self.log.name, segment = %id, path = %path.display(), seen_bytes,
                "the file's content is gone; where a forwarder has not read it to its end, the rest is recorded as a gap");
        }
        self.lives.advance(id, Whereabouts::Gone);
    }
}

/// Whether bytes may have come that nobody saw.
fn may_have_grown(life: &FileLife) -> bool {
    let was_at_rest = life.segment.state() == SegmentState::Sealed && !life.is_held_late();
    let was_watched = life.has_lost_content() && life.had_file();
    // Copies of ours and compressed files do not grow, nor does what ends before bytes that are known to be gone.
    let can_grow = matches!(life.content(), ContentFile::Original) && life.segment.gone_from().is_none();
    can_grow && !was_at_rest && !was_watched
}
