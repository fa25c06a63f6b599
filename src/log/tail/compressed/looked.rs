//! What was found in compressed files. Each is looked into once, and once more for each life whose content it may have,
//! unless it changed.

use std::{collections::HashMap, io, path::Path, sync::Arc, time::Instant};

use super::{
    super::Tail,
    format::PackedFormat,
    unpack::{self, Content, Survey, WantedContent},
};
use crate::log::{
    identity::{FileKey, FileStat, OpenFile},
    position::{Cursor, SegmentId},
};

/// A file as it was when it was looked into: its size and the time of its last change.
type FileVersion = (u64, (i64, u32));

/// What a file begins with.
#[derive(Clone, Debug)]
pub enum PackedBeginning {
    /// Not with what a compressor made.
    Plain,
    Content(Arc<[u8]>),
    /// It cannot be decompressed; the text says why.
    Refused(String),
}

#[derive(Debug, Default)]
pub struct LookedInto {
    /// With the moment when it was first seen as it is.
    beginnings: HashMap<FileKey, (FileVersion, Instant, PackedBeginning)>,
    /// For each life what its file would be, up to the cursor at which it was last seen.
    contents: HashMap<(SegmentId, FileKey), (FileVersion, Cursor, Option<Content>)>,
}

impl LookedInto {
    /// When a file was first seen as it was when it was last looked into.
    pub fn seen_since(&self, key: &FileKey) -> Option<Instant> {
        self.beginnings.get(key).map(|(_, since, _)| *since)
    }

    /// Forgets what is about lives that are no more.
    pub fn forget_others(&mut self, is_known: impl Fn(SegmentId) -> bool) {
        /// More beginnings are not remembered, so that no directory takes more than a few megabytes.
        const MOST: usize = 10_000;
        self.contents.retain(|(id, _), _| is_known(*id));
        if self.beginnings.len() > MOST {
            self.beginnings.clear();
        }
    }
}

impl Tail {
    /// Whether a compressed file was met before the scan that began at `now`.
    pub(in crate::log::tail) fn was_looked_into(&self, key: &FileKey, now: Instant) -> bool {
        self.compressed.looked.seen_since(key).is_some_and(|since| since < now)
    }

    /// What a file begins with, and its content, if it is compressed.
    pub(super) fn beginning(&mut self, path: &Path, stat: &FileStat) -> io::Result<PackedBeginning> {
        let version = (stat.size, stat.modified);
        match self.compressed.looked.beginnings.get(&stat.key) {
            Some((known, _, beginning)) if *known == version => return Ok(beginning.clone()),
            _ => {}
        }
        let Some(opened) = OpenFile::open_known(path, &stat.key)? else { return Ok(PackedBeginning::Plain) };
        let beginning = match PackedFormat::of(&opened.file, path)? {
            PackedFormat::Plain | PackedFormat::Begun => PackedBeginning::Plain,
            PackedFormat::Undecodable(how) => PackedBeginning::Refused(no_decoder(how)),
            PackedFormat::Packed => match unpack::first_bytes(&opened.file, &self.compressed.progress) {
                Ok(first) => PackedBeginning::Content(first.into()),
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    PackedBeginning::Refused(error.to_string())
                }
                Err(error) => return Err(error),
            },
        };
        self.compressed.looked.beginnings.insert(stat.key, (version, Instant::now(), beginning.clone()));
        Ok(beginning)
    }

    /// What a compressed file holds, if it has the content of this life.
    pub(super) fn content_of(&mut self, id: SegmentId, path: &Path, stat: &FileStat) -> io::Result<Option<Content>> {
        let Some(life) = self.lives.get(id) else { return Ok(None) };
        let (lineage, head, seen, cursors) =
            (life.segment.lineage.clone(), life.segment.head(), life.seen, life.cursors());
        let (version, key) = ((stat.size, stat.modified), (id, stat.key));
        if self.original_counts(path, &lineage) {
            return Ok(None);
        }
        match self.compressed.looked.contents.get(&key) {
            Some((known, up_to, content)) if (*known, *up_to) == (version, seen) => return Ok(content.clone()),
            _ => {}
        }
        let wanted = WantedContent { head, cursors: &cursors, seen: seen.offset };
        // One that has another name by now was not looked into.
        let Some(opened) = OpenFile::open_known(path, &stat.key)? else { return Ok(None) };
        let content = self.survey(&opened, &wanted)?;
        self.compressed.looked.contents.insert(key, (version, seen, content.clone()));
        Ok(content)
    }

    /// A compressor that is not done, or died, leaves the original: that one counts.
    pub(super) fn original_counts(&self, path: &Path, lineage: &Path) -> bool {
        let original = path.with_extension("");
        original != lineage && original.exists()
    }

    /// What a compressed file holds, if it has what is wanted.
    pub(super) fn survey(
        &mut self,
        OpenFile { path, file, stat }: &OpenFile,
        wanted: &WantedContent<'_>,
    ) -> io::Result<Option<Content>> {
        if self.compressed.refused.contains_key(&stat.key) {
            return Ok(None);
        }
        match unpack::survey(file, wanted, &self.compressed.progress)? {
            Survey::Other => Ok(None),
            Survey::Refused(why) => {
                self.refuse(path, &stat.key, why);
                Ok(None)
            }
            Survey::Holds(content) => Ok(Some(content)),
        }
    }

    /// What this file has is not read: that is told as long as it is there.
    pub(super) fn refuse(&mut self, path: &Path, key: &FileKey, why: String) {
        self.compressed.refused.insert(*key, (path.to_owned(), why));
    }
}

pub fn no_decoder(how: &str) -> String {
    format!("it is compressed ({how}), and there is no decoder for that")
}
