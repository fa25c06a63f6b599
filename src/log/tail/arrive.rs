//! Files that no life is known of.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use tracing::info;

use super::{Held, Life, Named, Tail, Unknown};
use crate::log::{
    identity::{self, FileKey, Sight},
    position::{Mark, SegmentId},
    segment::{Segment, State},
    unpack,
};

/// How far back the last line end is looked for where reading starts at the end.
const LOOK_BACK: u64 = 1024 * 1024;

impl Tail {
    /// Generations that came and were rotated away between two scans, or while we were stopped: where a path
    /// names another file than before, its siblings that were born since are read too.
    pub(super) fn missed_generations(&mut self, named: &Named, unknown: &mut Vec<Unknown>) {
        let moved_on = unknown.iter().map(|unknown| (unknown.path.clone(), Some(unknown.sight.key)));
        let mut changed: HashMap<PathBuf, Option<FileKey>> =
            self.abandoned(named).into_iter().map(|path| (path, None)).collect();
        changed.extend(self.vacant.paths().map(|path| (path.to_path_buf(), None)));
        changed.extend(moved_on);
        if changed.is_empty() {
            return;
        }
        let mut listed: HashSet<FileKey> = unknown.iter().map(|unknown| unknown.sight.key).collect();
        let newest: HashMap<&Path, &Life> = self.lives.values().map(|life| (&*life.segment.lineage, life)).collect();
        for (path, its_key) in changed {
            let before = newest.get(&*path).copied();
            let beside = self.vacant.beside(&path);
            if before.is_none() && beside.is_none() {
                continue;
            }
            let is_later = |sight: &Sight| match (before, beside) {
                (Some(before), _) => {
                    let key = before.segment.key();
                    // A truncated file keeps its birth: what was copied from it since we last saw it change is younger
                    // than that.
                    let since = if its_key == Some(key) { before.modified } else { before.since() };
                    sight.key != key && sight.key.born.unwrap_or(sight.modified) > since
                }
                (None, beside) => beside.is_some_and(|beside| !beside.contains(&sight.key)),
            };
            for (sibling, sight) in self.listings.siblings(&path) {
                if is_later(&sight) && !self.newest.contains_key(&sight.key) {
                    let lineage =
                        before.map_or_else(|| path.as_path().into(), |before| before.segment.lineage.clone());
                    let lineage = Some(lineage);
                    if listed.insert(sight.key) && !named.has(&sight.key) {
                        unknown.push(Unknown { path: sibling, sight, lineage, only_as_copy: false, reborn: false });
                    } else if is_compressed(&sibling)
                        && let Some(known) = unknown.iter_mut().find(|unknown| unknown.sight.key == sight.key)
                    {
                        known.lineage = lineage; // Named by a glob that has the compressed generations too.
                    }
                }
            }
        }
    }

    /// Lineages that have lives and no file at their path: what was there was rotated away, or deleted.
    fn abandoned(&self, named: &Named) -> Vec<PathBuf> {
        let paths = named.paths();
        let kept = self.lives.values().filter(|life| !life.released);
        let lineages: HashSet<&Path> = kept.map(|life| &*life.segment.lineage).collect();
        let absent = lineages.into_iter().filter(|path| !paths.contains(path) && !path.exists());
        absent.map(Path::to_owned).collect()
    }

    /// Step 3: gives the unknown files their numbers, oldest first.
    pub(super) fn arrive(&mut self, mut unknown: Vec<Unknown>, named: &Named, now: Instant) {
        self.possible_copies(&mut unknown);
        self.packed_that_wait(&mut unknown, now);
        self.find_packed_of_deleted(now);
        if !unknown.is_empty() {
            self.find_copies(&mut unknown);
            unknown.retain(|stranger| !stranger.only_as_copy);
            self.find_packed_of_bereft(now);
            unknown.retain(|stranger| !self.newest.contains_key(&stranger.sight.key));
            unknown.sort_by_cached_key(Unknown::age);
            let around = Around {
                named,
                originals: self.originals(&unknown),
                bases: self.lives.values().map(|life| life.segment.lineage.to_path_buf()).collect(),
            };
            for stranger in &unknown {
                if let Err(error) = self.arrive_one(stranger, &around, now)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    self.notices.cannot_open(&stranger.path, &error);
                }
            }
        }
        self.find_packed_of_bereft(now);
        let waiting = |life: &Life| self.packed.waits_for(life.segment.id);
        for life in self.lives.values_mut().filter(|life| life.bereft && !waiting(life)) {
            life.bereft = false;
            life.segment.set_state(State::Gone);
        }
    }

    fn arrive_one(&mut self, stranger: &Unknown, around: &Around<'_>, now: Instant) -> io::Result<()> {
        let path = &stranger.path;
        let (file, sight) = identity::open(path)?;
        if sight.key != stranger.sight.key || !sight.regular {
            return Ok(()); // Renamed under our hands: the next scan sees what it is.
        }
        if let Some(lineage) = stranger.lineage.as_ref()
            && unpack::is_gzip(&file)?
        {
            return self.arrive_packed(path, lineage, &file, &sight, now);
        }
        let head = identity::head(&file, sight.size)?;
        if !self.is_readable(path, &file, stranger.lineage.is_some())? {
            return Ok(());
        }
        if let Some(original) = self.copy_in_the_making(path, &file, &sight, &around.originals)? {
            let held = self.held.entry(sight.key).or_insert(Held { size: sight.size, since: now });
            if held.size != sight.size {
                *held = Held { size: sight.size, since: now };
            }
            if now - held.since < self.source.seal_after {
                self.notices.held(path, &original);
                return Ok(());
            }
        }
        self.held.remove(&sight.key);
        self.begin(stranger, around, file, &sight, head, now)
    }

    /// A new life: the next number.
    fn begin(
        &mut self,
        stranger: &Unknown,
        around: &Around<'_>,
        file: File,
        sight: &Sight,
        head: Mark,
        now: Instant,
    ) -> io::Result<()> {
        let lineage = stranger.lineage.clone().unwrap_or_else(|| around.lineage_of(&stranger.path));
        let start = if self.starts_at_end() { last_line_end(&file, sight.size)? } else { 0 };
        let start = identity::mark_at(&file, start)?;
        let seen = identity::mark_at(&file, sight.size)?;
        let id = SegmentId(self.next);
        self.next += 1;
        let state = if around.named.has(&sight.key) { State::Active } else { State::Draining };
        let segment = Segment::new(id, lineage, start, sight.size, state, stranger.path.clone(), sight.key);
        segment.set_head(head);
        if self.pins.take(state) {
            segment.pin(Arc::new(file));
        }
        info!(source = %self.log.name, path = %stranger.path.display(), segment = %id, size = sight.size, start = start.offset, "reading a file");
        self.newest.insert(sight.key, id);
        self.lives.insert(id, Life::new(segment, seen, sight.modified, now));
        self.dirty = true;
        Ok(())
    }

    fn is_readable(&mut self, path: &Path, file: &File, missed: bool) -> io::Result<bool> {
        let mut first = [0; 4];
        let got = file.read_at(&mut first, 0)?;
        if first[..got].starts_with(&[0x1F, 0x8B]) || first[..got].starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
            if !missed {
                self.notices.compressed(path);
            }
            return Ok(false);
        }
        if first[..got].starts_with(&[0xFF, 0xFE]) || first[..got].starts_with(&[0xFE, 0xFF]) {
            self.notices.utf16(path);
            return Ok(false);
        }
        if path.canonicalize().is_ok_and(|path| path.starts_with(&self.state_dir)) {
            self.notices.our_own(path);
            return Ok(false);
        }
        Ok(true)
    }
}

/// What a file that arrives is compared with.
struct Around<'a> {
    named: &'a Named,
    originals: HashSet<PathBuf>,
    /// The lineages that are known.
    bases: HashSet<PathBuf>,
}

impl Around<'_> {
    /// The file's own path, or that of the file whose rotated generation it seems to be.
    fn lineage_of(&self, path: &Path) -> Arc<Path> {
        let mut bases = shorter_names(path);
        let base = bases.find(|base| self.bases.contains(base) || self.originals.contains(base));
        base.as_deref().unwrap_or(path).into()
    }
}

/// Sorts the older first: what has a time in its name, before what has none.
type Age = (bool, Option<String>, (i64, u32), (i64, u32), Reverse<u32>, PathBuf);

impl Unknown {
    /// What orders generations: birth, or the last change where births are not kept. A truncated file keeps its
    /// birth; what it holds now is younger than the copies that were made of it. Within one tick of the clock the
    /// last change decides, then the rotation's number: `.2` is older than `.1`, and that than the plain name. A name
    /// of the kubelet's tells the order by itself.
    fn age(&self) -> Age {
        // A compressed file is made after the next generation began; gzip leaves it the time of the last write. The
        // kubelet leaves it that of the compression, which says nothing.
        let packed = is_compressed(&self.path);
        let birth = self.sight.key.born.filter(|_| !self.reborn && !packed).unwrap_or(self.sight.modified);
        let path = if packed { self.path.with_extension("") } else { self.path.clone() };
        let suffix = path.extension().and_then(|suffix| suffix.to_str()?.parse().ok());
        let number = suffix.filter(|number| *number < 10_000).unwrap_or(0);
        let stamp = path.extension().and_then(|suffix| suffix.to_str()).filter(|suffix| is_stamp(suffix));
        (stamp.is_none(), stamp.map(str::to_owned), birth, self.sight.modified, Reverse(number), self.path.clone())
    }
}

/// `20261122-040000`: when the kubelet rotated it.
fn is_stamp(suffix: &str) -> bool {
    suffix.len() == 15
        && suffix.bytes().enumerate().all(|(at, byte)| if at == 8 { byte == b'-' } else { byte.is_ascii_digit() })
}

/// As far as its name says.
fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|suffix| suffix == "gz")
}

/// Every path of which this one could be a rotated generation, the shortest first.
pub(super) fn shorter_names(path: &Path) -> impl Iterator<Item = PathBuf> {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    (1..name.len()).filter_map(|end| Some(path.with_file_name(std::str::from_utf8(&name[..end]).ok()?)))
}

/// Where the last whole line ends.
fn last_line_end(file: &File, size: u64) -> io::Result<u64> {
    let mut chunk = vec![0; LOOK_BACK.min(size) as usize];
    let from = size - chunk.len() as u64;
    file.read_exact_at(&mut chunk, from)?;
    Ok(memchr::memrchr(b'\n', &chunk).map_or(if from == 0 { 0 } else { size }, |at| from + at as u64 + 1))
}
