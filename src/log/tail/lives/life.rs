//! One life of a file, as the scanner knows it.

mod behind;

use std::{io, path::PathBuf, sync::Arc, time::Instant};

use super::{
    examine::BehindNul,
    whereabouts::{ContentFile, Later, Whereabouts},
};
use crate::log::{
    catalog::{CatalogEntry, CatalogStage},
    data_end,
    identity::{self, FileKey, FileStat, OpenFile},
    position::{Cursor, SegmentId},
    segment::{Segment, SegmentState},
};

/// Scans in a row that must not find a file before it counts as gone.
const MISSING_SCANS: u8 = 2;

/// One life of a file, and what the scanner knows of it beside what it shares.
#[derive(Debug)]
pub struct FileLife {
    pub segment: Arc<Segment>,
    /// Its bytes up to here were checked last: where its data ended.
    pub seen: Cursor,
    /// The last line end up to there: nobody has read behind it, and what stands there was never a line.
    pub(super) line_end: Cursor,
    /// Cursors before that one, the oldest first: some of those that were checked.
    pub(super) earlier_cursors: Vec<Cursor>,
    /// What stands behind NUL at which its data ends.
    pub(super) behind_nul: BehindNul,
    /// When its content was last seen to change, as the file says: anybody can set that.
    pub modified: (i64, u32),
    /// When it was last changed as it was seen then, by the clock that gives files their birth: nobody can set that.
    pub changed: (i64, u32),
    pub quiet_since: Instant,
    /// Scans in a row that did not find it under any name.
    pub missing: u8,
    /// It had a file since we were started: what was added to that was seen, or is in the file.
    had_file: bool,
    /// No path names it, and somebody may write to it: it is not known to be finished, whatever its segment's state.
    is_held_late: bool,
    replaced_by: Option<SegmentId>,
    /// All that its file had when it was met was in another one.
    began_as_copy: bool,
    whereabouts: Whereabouts,
    content: ContentFile,
}

impl FileLife {
    /// A life of a file that is met now, whose bytes end at `end`.
    pub fn begin(
        segment: Segment,
        OpenFile { file, stat, .. }: &OpenFile,
        end: u64,
        content: ContentFile,
        now: Instant,
    ) -> io::Result<Self> {
        segment.set_head(identity::head(file, end)?);
        let seen = identity::cursor_at(file, end)?;
        let line_end = match data_end::last_line_end(file, end.saturating_sub(data_end::LOOK_BACK), end)? {
            Some(offset) => identity::cursor_at(file, offset)?,
            None if end < data_end::LOOK_BACK => Cursor::default(),
            None => seen,
        };
        Ok(Self {
            seen,
            line_end,
            earlier_cursors: Vec::new(),
            behind_nul: BehindNul::default(),
            modified: stat.modified,
            changed: stat.changed,
            quiet_since: now,
            missing: 0,
            had_file: true,
            is_held_late: false,
            replaced_by: None,
            began_as_copy: false,
            whereabouts: found(&segment),
            content,
            segment: Arc::new(segment),
        })
    }

    /// The same life where its file is known to be a copy of another.
    pub fn of_copy(self) -> Self {
        Self { began_as_copy: true, ..self }
    }

    /// A life of the catalog. `cursors_of_forwarders`: the cursors at which forwarders stand in it.
    pub fn of(entry: CatalogEntry, cursors_of_forwarders: &[Cursor]) -> Self {
        let (whereabouts, state) = match entry.stage {
            CatalogStage::Active => (Whereabouts::Sought { later: None }, SegmentState::Active),
            CatalogStage::Draining => (Whereabouts::Sought { later: None }, SegmentState::Draining),
            CatalogStage::Sealed => (Whereabouts::Sought { later: None }, SegmentState::Sealed),
            CatalogStage::Gone => (Whereabouts::Gone, SegmentState::Gone),
            CatalogStage::Released => (Whereabouts::Released, SegmentState::Draining),
        };
        let is_released = entry.stage == CatalogStage::Released;
        let content = match (entry.packed, entry.absorbed) {
            (Some(origin), absorbed) if is_released || absorbed.is_none() => ContentFile::Restored(origin),
            (_, Some(absorbed)) => ContentFile::Copied(absorbed),
            (_, None) => ContentFile::Original,
        };
        // Who stands behind what is gone is no measure for what the file has.
        let is_there = |cursor: &Cursor| entry.gone_from.is_none_or(|gone| cursor.offset <= gone);
        let mut trail: Vec<Cursor> =
            cursors_of_forwarders.iter().copied().filter(is_there).chain(entry.trail).chain([entry.seen]).collect();
        trail.sort_by_key(|cursor| cursor.offset);
        let furthest = trail.pop().unwrap_or_default();
        // Where forwarders stand lines end.
        let line_end = entry.torn_from.filter(|_| furthest == entry.seen).unwrap_or(furthest);
        let size = entry.size.max(furthest.offset);
        let lineage = entry.lineage.as_path().into();
        let mut segment = Segment::new(entry.id, lineage, entry.start, size, state, entry.path, entry.key);
        segment.kept_from = entry.absorbed.map(|absorbed| absorbed.from);
        // Where it is as short as a head it is one, and newer: of that a torn line may have been cut since.
        let is_head = |cursor: &Cursor| cursor.anchor.is_some_and(|anchor| u64::from(anchor.len) == cursor.offset);
        let head = Some(furthest).filter(|cursor| is_head(cursor) && cursor.offset >= entry.head.offset);
        segment.set_head(head.unwrap_or(entry.head));
        if let Some(offset) = entry.gone_from {
            segment.lose_from(offset);
        }
        if entry.has_unseen {
            segment.remember_unseen();
        }
        Self {
            segment: Arc::new(segment),
            seen: furthest,
            line_end,
            earlier_cursors: trail,
            behind_nul: BehindNul::default(),
            modified: entry.modified,
            changed: entry.changed.unwrap_or(entry.modified),
            quiet_since: Instant::now(),
            missing: 0,
            had_file: false,
            is_held_late: entry.held_late,
            replaced_by: entry.replaced_by,
            began_as_copy: entry.is_copy,
            whereabouts,
            content,
        }
    }

    /// The life of what is added to a released file: it begins where this one ended.
    pub(super) fn begun_again(self, id: SegmentId, size: u64, at: Whereabouts, now: Instant) -> Self {
        let old = &self.segment;
        let state = SegmentState::Draining;
        let segment = Segment::new(id, old.lineage.clone(), self.seen, size, state, old.path(), old.key());
        segment.set_head(old.head());
        let content = match self.content {
            ContentFile::Copied(_) => ContentFile::Original,
            content => content,
        };
        Self { segment: Arc::new(segment), quiet_since: now, missing: 0, whereabouts: at, content, ..self }
    }

    pub fn whereabouts(&self) -> &Whereabouts {
        &self.whereabouts
    }

    pub fn content(&self) -> &ContentFile {
        &self.content
    }

    /// Its file is known, and stands under some name or is held.
    pub fn is_followed(&self) -> bool {
        self.whereabouts.has_file()
    }

    pub fn is_released(&self) -> bool {
        matches!(self.whereabouts, Whereabouts::Released)
    }

    /// Its file was not found: after a start, or because it is gone.
    pub fn is_sought(&self) -> bool {
        matches!(self.whereabouts, Whereabouts::Sought { .. })
    }

    /// Whether somebody may have written to it behind what was seen, though it was at rest.
    pub fn is_held_late(&self) -> bool {
        self.is_held_late
    }

    pub(super) fn hold_late(&mut self) {
        self.is_held_late = true;
    }

    /// Whether it had a file since we were started.
    pub fn had_file(&self) -> bool {
        self.had_file
    }

    pub fn has_lost_content(&self) -> bool {
        matches!(self.whereabouts, Whereabouts::ContentLost { .. })
    }

    /// Where the application's own file was last that has its bytes, plain or compressed.
    pub fn application_path(&self) -> Option<PathBuf> {
        match &self.content {
            ContentFile::Original => Some(self.segment.path()),
            ContentFile::Restored(origin) => Some(origin.path.clone()),
            ContentFile::Copied(_) => None,
        }
    }

    /// Its bytes end behind its last whole line.
    pub(super) fn forget_torn_line(&mut self) {
        if self.line_end.offset < self.seen.offset && self.segment.gone_from().is_none() {
            self.earlier_cursors.retain(|cursor| cursor.offset <= self.line_end.offset);
            self.seen = self.line_end;
            self.segment.cut_to(self.line_end.offset);
        }
    }

    /// Nothing was seen in its file yet.
    pub fn is_empty(&self) -> bool {
        self.seen.offset == 0
    }

    /// Takes note of the times of its file, whose content was looked at.
    pub fn note_times(&mut self, stat: &FileStat) {
        (self.modified, self.changed) = (stat.modified, stat.changed);
    }

    /// Its bytes are in our copy of a deleted file.
    pub fn is_copied(&self) -> bool {
        matches!(self.content, ContentFile::Copied(_))
    }

    /// The compressed file that has its bytes, where it cannot be restored now.
    pub fn later(&self) -> Option<&Later> {
        match &self.whereabouts {
            Whereabouts::Sought { later } | Whereabouts::ContentLost { later } => later.as_ref(),
            _ => None,
        }
    }

    /// Its bytes are looked for among copies and compressed files, and there is enough to know them by.
    pub fn seeks_a_copy(&self) -> bool {
        (self.is_sought() || self.has_lost_content())
            && !self.is_copied()
            && self.seen.offset > 0
            && self.segment.head().offset > 0
    }

    /// Where its file goes on once it is found.
    pub fn found(&self) -> Whereabouts {
        found(&self.segment)
    }

    pub(super) fn advance(&mut self, to: Whereabouts) {
        debug_assert!(
            self.whereabouts.may_become(&to),
            "segment {}: {:?} to {to:?}",
            self.segment.id,
            self.whereabouts
        );
        self.segment.set_state(to.state(self.segment.state()));
        if !to.has_file() {
            self.segment.unpin(); // What stands there, if anything, has other bytes.
        }
        self.had_file |= to.has_file();
        self.is_held_late &= !matches!(to, Whereabouts::AtPath | Whereabouts::Rotated);
        self.whereabouts = to;
        self.segment.set_waits(self.later().is_some());
        self.missing = 0;
    }

    pub(super) fn set_content(&mut self, content: ContentFile) {
        self.content = content;
    }

    /// What its bytes are found under: its file, and the compressed one that they are from.
    pub(in crate::log::tail) fn keys(&self) -> Vec<FileKey> {
        let has_file = match self.whereabouts {
            Whereabouts::ContentLost { .. } | Whereabouts::Gone => false,
            Whereabouts::Released => matches!(self.content, ContentFile::Original),
            _ => true,
        };
        let origin = if let ContentFile::Restored(origin) = &self.content { Some(origin.key) } else { None };
        has_file.then(|| self.segment.key()).into_iter().chain(origin).collect()
    }

    /// Counts one more scan that did not find it; true where it has been missing for long enough to be gone, for one
    /// scan may have looked while it was renamed. A scan that could not look everywhere does not count.
    pub fn count_missing(&mut self, consistent: bool) -> bool {
        self.missing = self.missing.saturating_add(u8::from(consistent));
        self.missing >= MISSING_SCANS
    }

    /// The cursors whose anchors have all bytes before them: the head, and shorter beginnings.
    pub fn first_bytes(&self) -> impl Iterator<Item = Cursor> {
        let head = self.segment.head();
        let shorter = self.earlier_cursors.iter().copied();
        let shorter = shorter.filter(move |cursor| cursor.anchor.is_some() && cursor.offset < head.offset);
        [head].into_iter().chain(shorter)
    }

    /// All that its file has is in another one, which is read: nothing was added since it was met.
    pub fn is_copy(&self) -> bool {
        self.began_as_copy && self.segment.has_nothing()
    }

    /// What a file with this life's content must have, up to where it was last seen, in the order of the offsets.
    pub fn cursors(&self) -> Vec<Cursor> {
        let cursors = self.earlier_cursors.iter().chain([&self.seen]);
        cursors.filter(|cursor| cursor.anchor.is_some() && cursor.offset <= self.seen.offset).copied().collect()
    }

    /// What is younger than this in its lineage is a later generation.
    pub fn since(&self) -> (i64, u32) {
        let known = match &self.content {
            ContentFile::Original => self.segment.key().born,
            ContentFile::Restored(origin) => Some(origin.since),
            ContentFile::Copied(absorbed) => Some(absorbed.since),
        };
        known.unwrap_or(self.modified.min(self.changed))
    }

    /// How far it has come, as the catalog keeps it.
    pub(super) fn stage(&self) -> CatalogStage {
        match self.segment.state() {
            _ if self.is_released() => CatalogStage::Released,
            SegmentState::Active => CatalogStage::Active,
            SegmentState::Draining => CatalogStage::Draining,
            SegmentState::Sealed => CatalogStage::Sealed,
            SegmentState::Gone => CatalogStage::Gone,
        }
    }

    /// A few of the earlier cursors, which know a copy that has only the beginning.
    fn trail(&self) -> Vec<Cursor> {
        const MOST: usize = 4;
        let step = self.earlier_cursors.len().div_ceil(MOST).max(1);
        self.earlier_cursors.iter().step_by(step).copied().collect()
    }

    /// As the catalog keeps it.
    pub(super) fn entry(&self) -> CatalogEntry {
        let segment = &self.segment;
        let (packed, absorbed) = match &self.content {
            ContentFile::Original => (None, None),
            ContentFile::Restored(origin) => (Some(origin.clone()), None),
            ContentFile::Copied(absorbed) => (None, Some(*absorbed)),
        };
        CatalogEntry {
            id: segment.id,
            lineage: segment.lineage.to_path_buf(),
            path: segment.path(),
            key: segment.key(),
            stage: self.stage(),
            head: segment.head(),
            seen: self.seen,
            trail: self.trail(),
            torn_from: (self.line_end != self.seen).then_some(self.line_end),
            modified: self.modified,
            changed: (self.changed != self.modified).then_some(self.changed),
            start: segment.start,
            size: segment.size(),
            gone_from: segment.gone_from(),
            has_unseen: segment.has_unseen(),
            held_late: self.is_held_late,
            replaced_by: self.replaced_by,
            is_copy: self.began_as_copy,
            absorbed,
            crc32: None,
            packed,
        }
    }
}

/// Where a file that stands somewhere is, by the state of its segment.
fn found(segment: &Segment) -> Whereabouts {
    if segment.state() == SegmentState::Active { Whereabouts::AtPath } else { Whereabouts::Rotated }
}
