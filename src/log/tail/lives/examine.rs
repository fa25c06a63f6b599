//! What became of a file since it was last looked at.
//!
//! A file that ends in NUL is looked at in every scan, for a mapped one is written to without a word: its data ends before
//! the first NUL. Where something stands behind that NUL, it may be that only what is before it is not written yet: it
//! is waited for as long as a file must be at rest to be sealed, from when that something was seen on.

use std::{
    fs::File,
    io,
    time::{Duration, Instant},
};

use tracing::{info, warn};

use super::{FileLife, whereabouts::ContentFile};
use crate::log::{
    data_end,
    identity::{self, AnchorBytes, FileStat, OpenFile},
    position::{Anchor, Cursor},
};

/// What became of a file.
pub enum Examined {
    Unchanged,
    /// More of it was seen, or less of a line that was never whole. `is_news`: of what the catalog keeps.
    Changed {
        is_news: bool,
    },
    Lost(&'static str),
}

/// What stands behind NUL at which a file's data ends.
#[derive(Debug, Default)]
pub(in crate::log::tail) struct BehindNul {
    /// When it was looked for, and the file's size and time then.
    looked: Option<(Instant, u64, (i64, u32))>,
    /// Where it ends, and since when it is known.
    found: Option<(u64, Instant)>,
}

impl FileLife {
    /// Compares the file with what was seen of it. `patience`: how long something must stand behind NUL.
    pub fn examine(
        &mut self,
        stat: &FileStat,
        suspicion: Option<&Cursor>,
        now: Instant,
        patience: Duration,
    ) -> io::Result<Examined> {
        let shrank = stat.size < self.seen.offset.max(self.segment.extent().there);
        let changed = stat.size != self.seen.offset || stat.modified != self.modified;
        if suspicion.is_none() && (!changed || (!shrank && self.segment.gone_from().is_some())) {
            return Ok(Examined::Unchanged);
        }
        let file = self.segment.open()?;
        let as_read = shrank || suspicion.map_or(Ok(true), |cursor| identity::still_has(&file, cursor))?;
        let is_whole = !shrank && as_read && identity::still_has(&file, &self.seen)?;
        let was_cut = !is_whole && self.forgets_torn_line(&file, stat.size, suspicion)?;
        if !is_whole && !was_cut {
            if !as_read && let Some(cursor) = suspicion {
                // A copy is known by the bytes that were read, not by those that replaced them.
                (self.seen, self.line_end) = (*cursor, *cursor);
            }
            return Ok(Examined::Lost(if shrank { "truncated" } else { "truncated and written anew" }));
        }
        let before = self.end_of(&file, stat, now, patience)?;
        let end = before.cursor();
        let grew = end.offset > self.seen.offset;
        if !grew && !was_cut && stat.modified == self.modified {
            return Ok(Examined::Unchanged);
        }
        let head_grew = grew && self.segment.head().offset < Anchor::BYTES as u64;
        if head_grew {
            self.segment.set_head(identity::head(&file, end.offset)?);
        }
        if grew {
            self.leave_behind(self.seen);
            if before.bytes().last() == Some(&b'\n') {
                self.line_end = end;
            } else if let Some(offset) = data_end::last_line_end(&file, self.seen.offset, end.offset)? {
                self.line_end = identity::cursor_at(&file, offset)?;
            }
            self.seen = end;
        }
        if grew || was_cut {
            self.quiet_since = now;
        }
        self.note_times(stat);
        self.segment.grow_to(end.offset);
        Ok(Examined::Changed { is_news: head_grew || was_cut })
    }

    /// Where the data of a file ends that ends in NUL.
    fn data_end(&mut self, file: &File, stat: &FileStat, now: Instant, patience: Duration) -> io::Result<u64> {
        let nul = data_end::first_nul(file, self.seen.offset, stat.size)?;
        if nul > self.seen.offset {
            self.behind_nul = BehindNul::default();
            return Ok(nul);
        }
        let BehindNul { looked, found } = &mut self.behind_nul;
        // Times do not tell each change.
        let is_fresh = |(at, size, modified): &(Instant, u64, (i64, u32))| {
            (*size, *modified) == (stat.size, stat.modified) && now.saturating_duration_since(*at) < patience
        };
        if !looked.as_ref().is_some_and(is_fresh) {
            let last = data_end::last_data(file, nul, stat.size)?;
            *found = (last > nul).then(|| (last, found.map_or(now, |(_, since)| since)));
            *looked = Some((now, stat.size, stat.modified));
        }
        match *found {
            Some((last, since)) if now.saturating_duration_since(since) >= patience => {
                warn!(path = %self.segment.path().display(), segment = %self.segment.id, from = nul,
                    "NUL stood here for long with something behind it, and is passed: what is written in its place later is not read");
                self.behind_nul = BehindNul::default();
                Ok(last)
            }
            _ => Ok(nul),
        }
    }

    /// Where the data of a file ends that was finished; `None` where it is not what it was.
    pub fn late_end(&mut self, opened: &OpenFile, now: Instant, patience: Duration) -> io::Result<Option<u64>> {
        if !self.is_intact(opened)? {
            return Ok(None);
        }
        self.end_of(&opened.file, &opened.stat, now, patience).map(|before| Some(before.cursor().offset))
    }

    fn end_of(&mut self, file: &File, stat: &FileStat, now: Instant, patience: Duration) -> io::Result<AnchorBytes> {
        let before = AnchorBytes::before(file, stat.size)?;
        if !data_end::is_reserved(&before) {
            return Ok(before);
        }
        AnchorBytes::before(file, self.data_end(file, stat, now, patience)?)
    }

    /// Whether something stands behind NUL, of which it is not known yet that it is all.
    pub fn waits_behind_nul(&self) -> bool {
        self.behind_nul.found.is_some()
    }

    /// Whether a file has all of this life but what was never a line, which is forgotten then: where an application cuts
    /// its own torn last line, nobody has taken any of that.
    fn forgets_torn_line(&mut self, file: &File, size: u64, suspicion: Option<&Cursor>) -> io::Result<bool> {
        let (line_end, head) = (self.line_end, self.segment.head());
        let is_torn = line_end.offset < self.seen.offset && self.segment.extent().there <= self.seen.offset;
        let was_read = |cursor: &&Cursor| cursor.offset <= line_end.offset;
        if !is_torn
            || self.segment.gone_from().is_some()
            || !matches!(self.content(), ContentFile::Original)
            || size < line_end.offset
            || !identity::still_has(file, &line_end)?
            || !suspicion.filter(was_read).map_or(Ok(true), |cursor| identity::still_has(file, cursor))?
            || !(head.offset > line_end.offset || identity::still_has(file, &head)?)
        {
            return Ok(false);
        }
        self.forget_torn_line();
        self.behind_nul = BehindNul::default();
        if head.offset > line_end.offset {
            self.segment.set_head(identity::head(file, line_end.offset)?);
        }
        info!(path = %self.segment.path().display(), segment = %self.segment.id, from = line_end.offset,
            "a last line that was not whole was cut; nobody had read it, and reading goes on");
        Ok(true)
    }

    /// Whether a file that was found again has this life's bytes, but for a torn last line, which is forgotten then.
    pub fn is_found_in(&mut self, opened: &OpenFile) -> io::Result<bool> {
        Ok(self.is_intact(opened)? || self.forgets_torn_line(&opened.file, opened.stat.size, None)?)
    }

    /// Whether a file has this life's first bytes and those before the furthest cursor.
    pub fn is_intact(&self, OpenFile { file, stat, .. }: &OpenFile) -> io::Result<bool> {
        Ok(stat.size >= self.seen.offset
            && identity::still_has(file, &self.segment.head())?
            && identity::still_has(file, &self.seen)?)
    }

    /// Whether a file has this life's first bytes and some of the later ones, but not the last: it was copied before
    /// those were written. What stands at its own path is none: that is written to again.
    pub fn has_beginning_in(&self, OpenFile { path, file, stat }: &OpenFile) -> io::Result<bool> {
        let head = self.segment.head();
        if head.offset == 0 || stat.size >= self.seen.offset || *self.segment.lineage == **path {
            return Ok(false);
        }
        if stat.size < head.offset {
            let shorter: Vec<Cursor> = self.first_bytes().filter(|first| first.offset <= stat.size).collect();
            let end = shorter.iter().map(|first| first.offset).max().unwrap_or_default();
            // Other files begin with a piece of the same line, too.
            let is_copy = data_end::last_line_end(file, 0, end)?.is_some();
            return shorter.into_iter().try_fold(is_copy, |has, first| Ok(has && identity::still_has(file, &first)?));
        }
        if !identity::still_has(file, &head)? {
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
}
