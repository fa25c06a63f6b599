//! One life of a file, as the scanner knows it.

use std::{io, sync::Arc, time::Instant};

use super::whereabouts::{ContentFile, Later, Whereabouts};
use crate::log::{
    catalog::{CatalogEntry, CatalogStage},
    identity::{self, FileKey, FileStat, OpenFile},
    position::{Anchor, Cursor, SegmentId},
    segment::{Segment, SegmentState},
};

/// Scans in a row that must not find a file before it counts as gone.
const MISSING_SCANS: u8 = 2;

/// One life of a file, and what the scanner knows of it beside what it shares.
#[derive(Debug)]
pub struct FileLife {
    pub segment: Arc<Segment>,
    /// Its bytes up to here were checked last.
    pub seen: Cursor,
    /// Cursors before that one, the oldest first: some of those that were checked.
    earlier_cursors: Vec<Cursor>,
    /// When its content was last seen to change.
    pub modified: (i64, u32),
    pub quiet_since: Instant,
    /// Scans in a row that did not find it under any name.
    pub missing: u8,
    whereabouts: Whereabouts,
    content: ContentFile,
}

/// What became of a file since it was last looked at.
pub enum Examined {
    Unchanged,
    Grown { head_grew: bool },
    Lost(&'static str),
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
        Ok(Self {
            seen: identity::cursor_at(file, end)?,
            earlier_cursors: Vec::new(),
            modified: stat.modified,
            quiet_since: now,
            missing: 0,
            whereabouts: found(&segment),
            content,
            segment: Arc::new(segment),
        })
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
            cursors_of_forwarders.iter().copied().filter(is_there).chain([entry.seen]).collect();
        trail.sort_by_key(|cursor| cursor.offset);
        let furthest = trail.pop().unwrap_or_default();
        let size = entry.size.max(furthest.offset);
        let lineage = entry.lineage.as_path().into();
        let mut segment = Segment::new(entry.id, lineage, entry.start, size, state, entry.path, entry.key);
        segment.kept_from = entry.absorbed.map(|absorbed| absorbed.from);
        segment.set_head(entry.head);
        if let Some(offset) = entry.gone_from {
            segment.lose_from(offset);
        }
        Self {
            segment: Arc::new(segment),
            seen: furthest,
            earlier_cursors: trail,
            modified: entry.modified,
            quiet_since: Instant::now(),
            missing: 0,
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

    pub fn has_lost_content(&self) -> bool {
        matches!(self.whereabouts, Whereabouts::ContentLost { .. })
    }

    /// Nothing was seen in its file yet.
    pub fn is_empty(&self) -> bool {
        self.seen.offset == 0
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
        self.whereabouts = to;
        self.segment.set_waits(self.later().is_some());
        self.missing = 0;
    }

    pub(super) fn set_content(&mut self, content: ContentFile) {
        self.content = content;
    }

    /// What its bytes are found under: its file, and the compressed one that they are from.
    pub(super) fn keys(&self) -> Vec<FileKey> {
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

    /// Compares the file with what was seen of it.
    pub fn examine(&mut self, stat: &FileStat, suspicion: Option<&Cursor>, now: Instant) -> io::Result<Examined> {
        let there = self.segment.extent().there;
        if stat.size < self.seen.offset.max(there) {
            return Ok(Examined::Lost("truncated"));
        }
        let changed = stat.size != self.seen.offset || stat.modified != self.modified;
        if suspicion.is_none() && (!changed || self.segment.gone_from().is_some()) {
            return Ok(Examined::Unchanged);
        }
        let file = self.segment.open()?;
        let as_seen = identity::still_has(&file, &self.seen)?;
        let as_read = suspicion.map_or(Ok(true), |cursor| identity::still_has(&file, cursor))?;
        if !as_read && let Some(cursor) = suspicion {
            self.seen = *cursor; // A copy is known by the bytes that were read, not by those that replaced them.
        }
        if !as_seen || !as_read {
            return Ok(Examined::Lost("truncated and written anew"));
        }
        let grew = stat.size > self.seen.offset;
        let head_grew = grew && self.segment.head().offset < Anchor::BYTES as u64;
        if head_grew {
            self.segment.set_head(identity::head(&file, stat.size)?);
        }
        if grew {
            self.leave_behind(self.seen);
            self.seen = identity::cursor_at(&file, stat.size)?;
            self.quiet_since = now;
        }
        self.modified = stat.modified;
        self.segment.grow_to(stat.size);
        Ok(Examined::Grown { head_grew })
    }

    /// Whether a file has this life's first bytes and those before the furthest cursor.
    pub fn is_intact(&self, OpenFile { file, stat, .. }: &OpenFile) -> io::Result<bool> {
        Ok(stat.size >= self.seen.offset
            && identity::still_has(file, &self.segment.head())?
            && identity::still_has(file, &self.seen)?)
    }

    /// Whether a file has this life's first bytes and some of the later ones, but not the last: it was copied before
    /// those were written.
    pub fn has_beginning_in(&self, OpenFile { file, stat, .. }: &OpenFile) -> io::Result<bool> {
        let head = self.segment.head();
        if head.offset == 0 || stat.size >= self.seen.offset || !identity::still_has(file, &head)? {
            return Ok(false);
        }
        let reached = |cursor: &&Cursor| cursor.offset <= stat.size && cursor.anchor.is_some();
        for cursor in self.earlier_cursors.iter().rev().filter(reached) {
            if identity::still_has(file, cursor)? {
                return Ok(true);
            }
        }
        Ok(false)
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
        known.unwrap_or(self.modified)
    }

    /// Remembers a cursor; where there are many, every second of the older ones is forgotten.
    fn leave_behind(&mut self, cursor: Cursor) {
        const MOST: usize = 32;
        if self.earlier_cursors.len() >= MOST {
            let mut keep = true;
            self.earlier_cursors.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.earlier_cursors.push(cursor);
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
            modified: self.modified,
            start: segment.start,
            size: segment.size(),
            gone_from: segment.gone_from(),
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
