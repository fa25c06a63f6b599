//! Lives of what comes behind the known end of a file without a name.

use std::{sync::Arc, time::Instant};

use super::FileLife;
use crate::log::{
    position::{Cursor, SegmentId},
    segment::{Segment, SegmentState},
    tail::lives::{
        examine::BehindNul,
        whereabouts::{ContentFile, Whereabouts},
    },
};

impl FileLife {
    /// The life of what may be added to a file without a name behind `end`, what is before that being in another one.
    pub(in crate::log::tail) fn behind(&self, id: SegmentId, end: Cursor) -> Self {
        let old = &self.segment;
        let state = SegmentState::Sealed;
        let segment = Segment::new(id, old.lineage.clone(), end, end.offset, state, old.path(), old.key());
        segment.set_head(old.head());
        Self {
            segment: Arc::new(segment),
            seen: end,
            line_end: end,
            earlier_cursors: Vec::new(),
            behind_nul: BehindNul::default(),
            modified: self.modified,
            changed: self.changed,
            quiet_since: self.quiet_since,
            missing: 0,
            had_file: true,
            is_held_late: true,
            replaced_by: self.replaced_by,
            began_as_copy: false,
            whereabouts: Whereabouts::Deleted { since: Instant::now() },
            content: ContentFile::Original,
        }
    }

    /// Its file was replaced by that of this life, which has all that stands before its start.
    pub fn replaced_by(&self) -> Option<SegmentId> {
        self.replaced_by
    }

    pub(in crate::log::tail) fn with_replacement(self, by: SegmentId) -> Self {
        Self { replaced_by: Some(by), ..self }
    }
}
