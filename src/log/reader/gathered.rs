//! Bytes of the end of one file and of the beginnings of those behind it, as if they were one: a rotation may cut a record
//! between its parts.
//!
//! What always holds: no more bytes are held than for a record in one file.

use std::{fs::File, io, sync::Arc};

use super::{
    Take,
    chunks::{Chunks, begins_with, read_fully},
};
use crate::log::{
    CutPart, ItemKind, LogItem, Segment, identity,
    lines::SegmentBytes,
    position::{Anchor, Cursor, SegmentId, SegmentRange},
};

/// The bytes, and where they are from.
pub(super) struct Gathered {
    bytes: Vec<u8>,
    pieces: Vec<(SegmentRange, Arc<File>)>,
}

/// What the bytes begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    /// An item of so many bytes.
    Item { len: u64, is_cut: bool, is_too_long: bool },
    /// A record of which more parts may follow.
    Open,
    /// A line without its end.
    Torn,
}

/// What becomes of the first item of the bytes.
pub(super) struct Given {
    pub(super) answer: Take,
    /// Where a reader stands behind it.
    pub(super) cursors: Vec<(SegmentId, Cursor)>,
}

impl Chunks {
    /// Begins with the end of a file. Its memory comes back with [`Chunks::put_back`].
    pub(super) fn gather(&mut self, file: &Arc<File>, range: SegmentRange) -> io::Result<Gathered> {
        let mut gathered = Gathered { bytes: std::mem::take(&mut self.buffer), pieces: Vec::new() };
        gathered.bytes.clear();
        gathered.read(file, range)?;
        Ok(gathered)
    }

    pub(super) fn put_back(&mut self, gathered: Gathered) {
        self.buffer = gathered.bytes;
    }

    /// Whether more bytes than these hold no record that is not too long.
    pub(super) fn is_too_much(&self, bytes: u64) -> bool {
        bytes > self.shape().most_held() as u64
    }

    /// What the bytes begin with, where `is_complete` says that none will follow.
    pub(super) fn first(&mut self, gathered: &Gathered, is_complete: bool) -> First {
        let mut items = self.shape().items(gathered.all(is_complete), &mut self.joined);
        let item = items.next_item().map(|item| (item.range.len(), item.kind == ItemKind::TooLong));
        match item {
            Some((len, is_too_long)) => First::Item { len, is_cut: items.is_cut(), is_too_long },
            None if items.is_open() => First::Open,
            None => First::Torn,
        }
    }

    /// Hands out the first item.
    pub(super) fn give_first(
        &mut self,
        gathered: &Gathered,
        is_complete: bool,
        cut: Option<&CutPart<'_>>,
        take: &mut dyn FnMut(LogItem<'_>) -> Take,
    ) -> io::Result<Given> {
        let First::Item { len, .. } = self.first(gathered, is_complete) else {
            return Err(io::Error::other("a record that was whole is not"));
        };
        let covered = gathered.covered_by(len);
        // Before the item is taken: where this fails nothing was.
        let cursors = covered.iter().map(|(range, file)| Ok((range.segment, identity::cursor_at(file, range.end)?)));
        let cursors = cursors.collect::<io::Result<Vec<_>>>()?;
        let ranges: Vec<SegmentRange> = covered.iter().map(|(range, _)| *range).collect();
        let mut items = self.shape().items(gathered.all(is_complete), &mut self.joined);
        let Some(item) = items.next_item() else { return Ok(Given { answer: Take::Not, cursors: Vec::new() }) };
        let is_record = matches!(item.kind, ItemKind::Line(_) | ItemKind::Blank);
        let answer =
            take(LogItem { range: ranges[0], continued: &ranges[1..], kind: item.kind, cut: cut.or(item.cut) });
        let between = items.between();
        if answer != Take::Not && is_record && between > 0 {
            let SegmentRange { segment, end, .. } = ranges[ranges.len() - 1];
            take(LogItem::new(SegmentRange { segment, start: end, end }, ItemKind::Other(between)));
        }
        Ok(Given { answer, cursors })
    }
}

impl Gathered {
    /// How many bytes of a file's beginning to add, so that a record which is too long is told to be.
    pub(super) fn wanted(&self, chunks: &Chunks) -> u64 {
        let room = (chunks.shape().most_held() as u64 + 1).saturating_sub(self.len());
        room.max(Anchor::BYTES as u64)
    }

    /// Adds the beginning of a segment, up to `end`; false where its file does not begin as it did.
    pub(super) fn add(&mut self, of: &Segment, file: &Arc<File>, end: u64) -> io::Result<bool> {
        let from = self.bytes.len();
        self.read(file, SegmentRange { segment: of.id, start: 0, end })?;
        let is_known = begins_with(&self.bytes[from..], &of.head(), end);
        if !is_known {
            self.bytes.truncate(from);
            self.pieces.pop();
        }
        Ok(is_known)
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// How many files they are from.
    pub(super) fn files(&self) -> usize {
        self.pieces.len()
    }

    /// How many of the bytes are of the first file.
    pub(super) fn first_len(&self) -> u64 {
        self.pieces[0].0.len()
    }

    /// Leaves out all files but the first.
    pub(super) fn only_first(&mut self) {
        self.bytes.truncate(self.first_len() as usize);
        self.pieces.truncate(1);
    }

    /// Whether the file of the last but one piece has more bytes by now than were read of it.
    pub(super) fn one_before_last_grew(&self) -> io::Result<bool> {
        let Some((range, file)) = self.pieces.len().checked_sub(2).map(|index| &self.pieces[index]) else {
            return Ok(false);
        };
        Ok(file.metadata()?.len() > range.end)
    }

    /// How the record begins: enough to tell what kind of event it is.
    pub(super) fn beginning(&self) -> Vec<u8> {
        let line = self.bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let message = crate::log::cri::CriLine::parse(line).map_or(line, |line| line.message);
        message[..message.len().min(64)].to_vec()
    }

    fn all(&self, is_complete: bool) -> SegmentBytes<'_> {
        let SegmentRange { segment, start, .. } = self.pieces[0].0;
        SegmentBytes { segment, start, bytes: &self.bytes, is_complete }
    }

    /// Where the first so many bytes are from. Of an empty file there are none.
    fn covered_by(&self, len: u64) -> Vec<(SegmentRange, &Arc<File>)> {
        let mut left = len;
        let mut covered = Vec::new();
        for (range, file) in &self.pieces {
            let taken = left.min(range.len());
            left -= taken;
            if taken > 0 {
                covered.push((SegmentRange { end: range.start + taken, ..*range }, file));
            }
        }
        covered
    }

    fn read(&mut self, file: &Arc<File>, range: SegmentRange) -> io::Result<()> {
        let from = self.bytes.len();
        self.bytes.resize(from + range.len() as usize, 0);
        let got = read_fully(file, &mut self.bytes[from..], range.start)?;
        if got < range.len() as usize {
            self.bytes.truncate(from);
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("segment {} is shorter than it was", range.segment),
            ));
        }
        self.pieces.push((range, file.clone()));
        Ok(())
    }
}
