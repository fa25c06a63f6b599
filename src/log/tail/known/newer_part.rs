//! Files that begin with the end of the one before them.
//!
//! Some programs keep the newer part of their file: they write it to a new one that takes the old one's place, or back
//! into the file. Where such a file has, before some line end, the bytes that stood before a cursor of the old one, it
//! is read from there on. What forwarders had not read of the old one is read from that where it is held; else what the
//! new file has of it is taken into a file of ours, at its old positions, and what was cut off is a gap.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
    time::Instant,
};

use tracing::{info, warn};

use super::{
    super::{
        FileLife, NewFile, Tail, Whereabouts, arrive::last_line_end, deleted::RestCopy, identity::Named,
        lives::ContentFile,
    },
    anchors::find_anchors,
    same_bytes::same_until,
};
use crate::log::{
    catalog::Absorbed,
    identity::{self, OpenFile},
    position::{Anchor, Cursor, SegmentId},
};

/// A life whose file was replaced or cut.
struct Predecessor {
    id: SegmentId,
    /// Its file, and when it lost its name, where that is held: all of it can be read.
    held: Option<(Arc<File>, (i64, u32))>,
    /// Where its content is known, the highest last.
    cursors: Vec<Cursor>,
}

impl Tail {
    /// Lets new files begin behind what they have of the file before them at their path.
    pub fn begin_behind_known(&mut self, new_files: &mut [NewFile], named: &Named, now: Instant) {
        let files: Vec<&mut NewFile> = new_files.iter_mut().filter(|file| named.has(&file.stat.key)).collect();
        if files.is_empty() {
            return;
        }
        let mut by_lineage = self.lives_by_lineage();
        for file in files {
            let Some(ids) = by_lineage.remove(&file.path) else { continue };
            let predecessors: Vec<_> = ids.into_iter().filter_map(|id| self.predecessor(id, named)).collect();
            if predecessors.is_empty() {
                continue;
            }
            match self.known_part(file, &predecessors, now) {
                Ok(start) => file.start = start,
                Err(error) => self.notices.cannot_open(&file.path, &error),
            }
        }
    }

    /// What a file that lost its name or its bytes is known by.
    fn predecessor(&self, id: SegmentId, named: &Named) -> Option<Predecessor> {
        let life = self.lives.get(id)?;
        if !matches!(life.content(), ContentFile::Original) || life.is_released() || life.is_copy() {
            return None;
        }
        let segment = &life.segment;
        let is_lost = life.has_lost_content() || life.is_sought();
        if !is_lost && (named.has(&segment.key()) || !life.is_followed()) {
            return None;
        }
        if segment.is_pinned() && !is_lost {
            let file = segment.open().ok()?;
            let stat = identity::stat_file(&file).ok().filter(|stat| stat.names == 0)?;
            let (end, _) = last_line_end(&file, life.seen.offset).ok()?;
            let cursors = vec![identity::cursor_at(&file, end).ok()?];
            return Some(Predecessor { id, held: Some((file, stat.changed)), cursors });
        }
        is_lost.then(|| Predecessor { id, held: None, cursors: life.cursors() })
    }

    /// Where a file goes on that begins with the end of another: 0 where it does not.
    fn known_part(&mut self, file: &NewFile, predecessors: &[Predecessor], now: Instant) -> io::Result<u64> {
        let Some(opened) = OpenFile::open_known(&file.path, &file.stat.key)? else { return Ok(0) };
        let wanted = full_anchors(predecessors.iter().flat_map(|before| &before.cursors));
        if opened.stat.size < Anchor::BYTES as u64 {
            return Ok(0);
        }
        let found = find_anchors(&opened.file, &wanted, &self.compressed.progress)?;
        let mut start = 0;
        let mut again_from = None;
        for before in predecessors {
            start = start.max(self.common_beginning(before, &opened)?);
            let Some(part) = KnownPart::of(&before.cursors, &found) else { continue };
            start = start.max(part.ends_at);
            if before.held.is_none()
                && let Err(error) = self.take_rest(before.id, &opened, &part, now)
            {
                warn!(source = %self.log.name, path = %file.path.display(), segment = %before.id, %error,
                    "what was not read of the file before cannot be taken from this one: it is read again from where that was last known, and some of it may be delivered twice");
                let lowest = part.lowest;
                again_from = Some(again_from.map_or(lowest, |from: u64| from.min(lowest)));
            }
        }
        let start = again_from.unwrap_or(start);
        if start > 0 {
            info!(source = %self.log.name, path = %file.path.display(), start,
                "the file begins with what the one before it had: reading goes on behind that");
        } else if !found.is_empty() {
            warn!(source = %self.log.name, path = %file.path.display(),
                "the file has what stood in the one before it behind other lines: it is read from its beginning, and some of it may be delivered twice");
        }
        Ok(start)
    }

    /// Where the whole lines end with which a file begins as the one does whose place it took, and that may have got more
    /// meanwhile. A file that was made after that one went may begin alike for another reason.
    fn common_beginning(&self, before: &Predecessor, opened: &OpenFile) -> io::Result<u64> {
        let Some((file, gone)) = &before.held else { return Ok(0) };
        if opened.stat.key.born.is_none_or(|born| born > *gone) {
            return Ok(0);
        }
        let same = same_until(file, &opened.file, 0, opened.stat.size, &self.compressed.progress)?;
        let start = if same < Anchor::BYTES as u64 { 0 } else { last_line_end(&opened.file, same)?.0 };
        let mut before = [0];
        opened.file.read_exact_at(&mut before, start.saturating_sub(1))?;
        Ok(if before == *b"\n" { start } else { 0 }) // Within a line that is far too long.
    }

    /// Lives whose file is gone, and whose last bytes are in the file after them, are read there.
    pub fn take_rests(&mut self, now: Instant) {
        let lost = |life: &FileLife| {
            (life.has_lost_content() || life.is_sought())
                && life.later().is_none()
                && matches!(life.content(), ContentFile::Original)
        };
        for id in self.lives.ids(lost) {
            let Some(life) = self.lives.get(id) else { continue };
            let cursors = life.cursors();
            let Some((opened, part)) = self.part_in_successor(&life.segment.lineage, id, &cursors) else { continue };
            // Without room it is the gap that it would be anyway.
            if let Err(error) = self.take_rest(id, &opened, &part, now) {
                warn!(source = %self.log.name, segment = %id, %error, "what was not read of a file that is gone cannot be taken from the one after it");
            }
        }
    }

    /// What a younger file has of a life, before where its own begins.
    fn part_in_successor(&self, lineage: &Path, id: SegmentId, cursors: &[Cursor]) -> Option<(OpenFile, KnownPart)> {
        let begins_behind = |life: &&FileLife| {
            life.segment.id > id
                && *life.segment.lineage == *lineage
                && life.segment.start.offset >= Anchor::BYTES as u64
                && life.is_followed()
                && matches!(life.content(), ContentFile::Original)
        };
        let wanted = full_anchors(cursors);
        let younger: Vec<&FileLife> = self.lives.iter().filter(begins_behind).collect();
        younger.into_iter().rev().find_map(|life| {
            let file = life.segment.open().ok()?;
            let mut found = find_anchors(&file, &wanted, &self.compressed.progress).ok()?;
            found.retain(|_, at| *at <= life.segment.start.offset);
            let part = KnownPart::of(cursors, &found)?;
            let stat = identity::stat_file(&file).ok()?;
            Some((OpenFile { path: life.segment.path(), file, stat }, part))
        })
    }

    /// Lets a life go on in a copy of what a file has of its bytes, where somebody has not read them.
    fn take_rest(&mut self, id: SegmentId, opened: &OpenFile, part: &KnownPart, now: Instant) -> io::Result<()> {
        let Some(life) = self.lives.get(id) else { return Ok(()) };
        let (old, since) = (life.segment.clone(), life.since());
        let lowest = self.log.release_gate.lowest(id, old.start.offset);
        if lowest >= part.known.offset {
            return Ok(());
        }
        let (moved_by, end) = (part.moved_by(), part.known.offset);
        if !part.is_uniform {
            return Err(io::Error::other("it was changed in other places, too"));
        }
        let from = lowest.max(moved_by);
        let mut rest = RestCopy::begin_moved(&opened.file, moved_by, from, end, self.deleted.place(id))?;
        while !rest.go_on(&opened.file, u64::MAX)? {}
        let copy = rest.finish(&opened.file)?;
        let (place, key) = (copy.path.clone(), copy.stat.key);
        info!(source = %self.log.name, segment = %id, path = %old.path().display(), bytes = end - from, in_file = %opened.path.display(), absorbed = %place.display(),
            "what was not read of the file is at the beginning of the one after it: it is copied from there and read");
        let segment = old.taken_from(identity::cursor_at(&copy.file, from)?, place, key);
        if end < old.size() {
            segment.lose_from(end);
        }
        let Some(life) = self.lives.get_mut(id) else { return Ok(()) };
        life.seen = part.known;
        life.note_times(&copy.stat);
        life.quiet_since = now;
        self.lives.replace(id, segment, ContentFile::Copied(Absorbed { from, since }));
        self.lives.advance(id, Whereabouts::Rotated);
        Ok(())
    }
}

/// What a file has of an older one: everything before the highest cursor that was found in it.
struct KnownPart {
    /// The position in the older one.
    known: Cursor,
    /// The same in this one.
    ends_at: u64,
    /// Where the lowest cursor was found.
    lowest: u64,
    /// All that could be compared says that nothing else was changed.
    is_uniform: bool,
}

impl KnownPart {
    fn of(cursors: &[Cursor], found: &HashMap<Anchor, u64>) -> Option<Self> {
        let place = |cursor: &Cursor| Some((*cursor, *found.get(cursor.anchor.as_ref()?)?));
        // With more before it than there was, it is no part of the old file.
        let places: Vec<(Cursor, u64)> =
            cursors.iter().filter_map(place).filter(|(cursor, at)| *at <= cursor.offset).collect();
        let (known, ends_at) = *places.last()?;
        let moved_by = known.offset - ends_at;
        let lowest = places.iter().map(|(_, at)| *at).min().unwrap_or(ends_at);
        let is_uniform = places.iter().all(|(cursor, at)| cursor.offset - at == moved_by);
        Some(Self { known, ends_at, lowest, is_uniform })
    }

    fn moved_by(&self) -> u64 {
        self.known.offset - self.ends_at
    }
}

/// Those that prove something.
fn full_anchors<'a>(cursors: impl IntoIterator<Item = &'a Cursor>) -> HashSet<Anchor> {
    let anchors = cursors.into_iter().filter_map(|cursor| cursor.anchor);
    anchors.filter(|anchor| usize::from(anchor.len) == Anchor::BYTES).collect()
}
