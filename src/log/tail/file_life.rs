//! One life of a file, as the scanner knows it.

use std::{fs::File, io, sync::Arc, time::Instant};

use super::named::Named;
use crate::log::{
    catalog::{Absorbed, CatalogEntry, CatalogStage},
    identity::{self, FileStat},
    position::{Anchor, Cursor},
    segment::{Segment, SegmentState},
    unpack::CompressedOrigin,
};

/// One life of a file, and what the scanner knows of it beside what it shares.
#[derive(Debug)]
pub(super) struct FileLife {
    pub(super) segment: Arc<Segment>,
    /// Its bytes up to here were checked last.
    pub(super) seen: Cursor,
    /// Cursors before that one, the oldest first: some of those that were checked.
    earlier_cursors: Vec<Cursor>,
    /// When its content was last seen to change.
    pub(super) modified: (i64, u32),
    pub(super) quiet_since: Instant,
    /// Scans in a row that did not find it under any name.
    pub(super) missing: u8,
    /// Since when no path names it and its descriptor is all that keeps it.
    pub(super) nameless: Option<Instant>,
    pub(super) released: bool,
    /// Its bytes were found to be gone in this scan.
    pub(super) content_lost: bool,
    /// The compressed file that has its content: what it was restored from, or what became of its file.
    pub(super) packed: Option<CompressedOrigin>,
    /// Its file is our copy of what was unread of it.
    pub(super) absorbed: Option<Absorbed>,
}

pub(super) enum Examined {
    Unchanged,
    Grown { head_grew: bool },
    Lost(&'static str),
}

impl FileLife {
    /// A life that begins now.
    pub(super) fn new(segment: Segment, seen: Cursor, modified: (i64, u32), now: Instant) -> Self {
        Self {
            segment: Arc::new(segment),
            seen,
            earlier_cursors: Vec::new(),
            modified,
            quiet_since: now,
            missing: 0,
            nameless: None,
            released: false,
            content_lost: false,
            packed: None,
            absorbed: None,
        }
    }

    /// A life of the catalog. `cursors_of_forwarders`: the cursors at which forwarders stand in it.
    pub(super) fn of(entry: CatalogEntry, cursors_of_forwarders: &[Cursor]) -> Self {
        let state = match entry.stage {
            CatalogStage::Active => SegmentState::Active,
            CatalogStage::Draining | CatalogStage::Released => SegmentState::Draining,
            CatalogStage::Sealed => SegmentState::Sealed,
            CatalogStage::Gone => SegmentState::Gone,
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
        let released = entry.stage == CatalogStage::Released;
        let (packed, absorbed) = (entry.packed, entry.absorbed);
        Self {
            released,
            earlier_cursors: trail,
            packed,
            absorbed,
            ..Self::new(segment, furthest, entry.modified, Instant::now())
        }
    }

    /// It is read and held, and stands at its path: most files, most of the time.
    pub(super) fn stands_as_it_stood(&self, named: &Named) -> bool {
        let segment = &self.segment;
        segment.state() == SegmentState::Active
            && self.missing == 0
            && segment.is_pinned()
            && named.path(&segment.key()).is_some_and(|path| segment.stands_at(path))
    }

    /// Compares the file with what was seen of it.
    pub(super) fn examine(
        &mut self,
        stat: &FileStat,
        suspicion: Option<&Cursor>,
        now: Instant,
    ) -> io::Result<Examined> {
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
    pub(super) fn is_intact(&self, file: &File, stat: &FileStat) -> io::Result<bool> {
        Ok(stat.size >= self.seen.offset
            && identity::still_has(file, &self.segment.head())?
            && identity::still_has(file, &self.seen)?)
    }

    /// Whether a file has this life's first bytes and some of the later ones, but not the last: it was copied before
    /// those were written.
    pub(super) fn has_beginning_in(&self, file: &File, stat: &FileStat) -> io::Result<bool> {
        let head = self.segment.head();
        if head.offset == 0 || stat.size >= self.seen.offset || !identity::still_has(file, &head)? {
            return Ok(false);
        }
        for cursor in
            self.earlier_cursors.iter().rev().filter(|cursor| cursor.offset <= stat.size && cursor.anchor.is_some())
        {
            if identity::still_has(file, cursor)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a file with this life's content must have, up to where it was last seen, in the order of the offsets.
    pub(super) fn cursors(&self) -> Vec<Cursor> {
        let cursors = self.earlier_cursors.iter().chain([&self.seen]);
        cursors.filter(|cursor| cursor.anchor.is_some() && cursor.offset <= self.seen.offset).copied().collect()
    }

    /// What is younger than this in its lineage is a later generation.
    pub(super) fn since(&self) -> (i64, u32) {
        let origin = self.packed.as_ref().map(|origin| origin.since);
        let deleted = self.absorbed.map(|absorbed| absorbed.since);
        origin.or(deleted).or(self.segment.key().born).unwrap_or(self.modified)
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

    /// As the catalog keeps it.
    pub(super) fn entry(&self) -> CatalogEntry {
        let stage = match self.segment.state() {
            _ if self.released => CatalogStage::Released,
            SegmentState::Active => CatalogStage::Active,
            SegmentState::Draining => CatalogStage::Draining,
            SegmentState::Sealed => CatalogStage::Sealed,
            SegmentState::Gone => CatalogStage::Gone,
        };
        CatalogEntry {
            id: self.segment.id,
            lineage: self.segment.lineage.to_path_buf(),
            path: self.segment.path(),
            key: self.segment.key(),
            stage,
            head: self.segment.head(),
            seen: self.seen,
            modified: self.modified,
            start: self.segment.start,
            size: self.segment.size(),
            gone_from: self.segment.gone_from(),
            absorbed: self.absorbed,
            crc32: None,
            packed: self.packed.clone(),
        }
    }
}
