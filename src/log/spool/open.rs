//! Opening a spool: what a crash left is taken up, and nothing of it is appended to.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tracing::{info, warn};

use super::{Limits, Spool, SpoolSegment, files, files::Reserve};
use crate::{
    durable,
    log::{
        Log, Segment, SegmentState,
        catalog::{Catalog, CatalogEntry, CatalogError, CatalogStage},
        position::{Cursor, SegmentId},
    },
};

/// Bytes read at a time.
const CHUNK: usize = 256 * 1024;

/// Why a spool cannot be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error("cannot open the spool {path}: {source}; nothing was started, so that nothing in it is passed over")]
    Dir { path: PathBuf, source: io::Error },
}

impl Spool {
    /// Opens the spool in `dir`. `cursors_of_forwarders`: for each segment, the cursors at which forwarders stand.
    pub fn open(
        name: &str,
        dir: &Path,
        catalog: &Path,
        limits: Limits,
        cursors_of_forwarders: &HashMap<SegmentId, Vec<Cursor>>,
    ) -> Result<Self, SpoolError> {
        let failed = |source| SpoolError::Dir { path: dir.to_owned(), source };
        files::create_dir(dir).map_err(failed)?;
        let known = Catalog::load(catalog)?;
        let found = found(name, dir).map_err(failed)?;
        let id = known.as_ref().map_or_else(|| format!("{:08x}", fastrand::u32(..)), |known| known.log.clone());
        let (log, publish) = Log::new(name, &id);
        let known_next = known.as_ref().map_or(1, |known| known.next);
        let entries: BTreeMap<SegmentId, CatalogEntry> =
            known.into_iter().flat_map(|known| known.lives).map(|entry| (entry.id, entry)).collect();
        let highest = found.iter().chain(entries.keys()).chain(cursors_of_forwarders.keys()).map(|id| id.0 + 1).max();
        let mut spool = Self {
            log,
            publish,
            dir: dir.to_owned(),
            catalog: catalog.to_owned(),
            limits,
            segments: BTreeMap::new(),
            next: known_next.max(highest.unwrap_or(1)),
            current: None,
            reserve: Reserve::new(dir, limits.segment),
            catalog_failure: None,
            damage: Vec::new(),
            unverified: Vec::new(),
        };
        let mut empty = Vec::new();
        for id in found.iter().chain(entries.keys()).copied().collect::<BTreeSet<_>>() {
            let claimed = cursors_of_forwarders.get(&id).into_iter().flatten().map(|cursor| cursor.offset).max();
            let path = files::path(dir, id);
            match (found.contains(&id), entries.get(&id)) {
                (true, Some(entry)) if entry.stage == CatalogStage::Released => {
                    fs::remove_file(&path).map_err(failed)?
                }
                (false, Some(entry)) if entry.stage == CatalogStage::Released => {}
                (true, entry) if spool.take_up(id, &path, entry).map_err(failed)? => {}
                (true, _) => empty.push(path),
                (false, Some(entry)) => spool.miss(entry, claimed),
                (false, None) => {}
            }
        }
        spool.save(&[]);
        // Not before: a crash between would let them be missed.
        if spool.catalog_failure.is_none() {
            empty.iter().try_for_each(fs::remove_file).map_err(failed)?;
        }
        spool.publish_all();
        spool.log.count_scan();
        spool.keep_reserve();
        Ok(spool)
    }

    /// A segment that is there. It is sealed where its last whole line ends; false where it has none.
    fn take_up(&mut self, id: SegmentId, path: &Path, entry: Option<&CatalogEntry>) -> io::Result<bool> {
        let file = durable::read_file(path)?;
        let length = file.metadata()?.len();
        let sealed = entry.filter(|entry| entry.stage == CatalogStage::Sealed || entry.stage == CatalogStage::Gone);
        // What stands behind the end of a sealed segment was never accepted.
        let end = whole_lines(&file, sealed.map_or(length, |entry| length.min(entry.size)))?;
        let size = sealed.map_or(end, |entry| entry.size);
        let segment = files::segment(&self.dir, id, path, size, SegmentState::Sealed)?;
        let mut crc32 = None;
        match sealed {
            None if end < length => info!(source = %self.log.name, segment = %id, bytes = length - end,
                "a line at the end of the spool was cut by a crash before it was accepted; it is left out"),
            None => {}
            Some(entry) => {
                crc32 = entry.crc32;
                if end < entry.size {
                    segment.lose_from(end);
                    self.tell_damage(format!(
                        "{} has lost its last {} bytes: what forwarders have not read of them is a gap",
                        path.display(),
                        entry.size - end
                    ));
                } else if crc32.is_some() {
                    self.unverified.push(id);
                }
            }
        }
        if end == 0 && sealed.is_none() {
            return Ok(false);
        }
        self.segments.insert(id, SpoolSegment { segment: Arc::new(segment), crc32 });
        Ok(true)
    }

    /// Is one more of the sealed segments as it was when it was sealed? Reading all of them would keep a start waiting.
    pub fn verify_next(&mut self) {
        let Some(kept) = self.unverified.pop().and_then(|id| self.segments.get(&id)) else { return };
        let path = kept.segment.path();
        let now = durable::read_file(&path).and_then(|file| checksum(&file, kept.segment.size()));
        if now.is_ok_and(|now| kept.crc32 != Some(now)) {
            self.tell_damage(format!(
                "{} was changed on disk: its lines are delivered as they are, and those that are no events any more go to the dead letters",
                path.display()
            ));
        }
    }

    fn tell_damage(&mut self, text: String) {
        warn!(source = %self.log.name, "{text}");
        self.damage.push(text);
    }

    /// A segment that should be there and is not: a gap for whoever has not read it.
    fn miss(&mut self, entry: &CatalogEntry, claimed: Option<u64>) {
        let size = entry.size.max(claimed.unwrap_or(0));
        let text = format!(
            "segment {} of the spool is missing ({}): what forwarders have not read of it is a gap",
            entry.id,
            entry.path.display()
        );
        self.tell_damage(text);
        let segment = Segment::new(
            entry.id,
            self.dir.as_path().into(),
            Cursor::default(),
            size,
            SegmentState::Gone,
            entry.path.clone(),
            entry.key,
        );
        self.segments.insert(entry.id, SpoolSegment { segment: Arc::new(segment), crc32: entry.crc32 });
    }
}

/// The segments in a directory. Other files are left alone.
fn found(name: &str, dir: &Path) -> io::Result<BTreeSet<SegmentId>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir)? {
        let file = PathBuf::from(entry?.file_name());
        match files::id(&file) {
            Some(id) => {
                found.insert(id);
            }
            None if file.as_os_str() == "reserve" || file.extension().is_some_and(|it| it == "damaged") => {}
            None => {
                warn!(source = name, path = %dir.join(&file).display(), "an unknown file in the spool is left alone")
            }
        }
    }
    Ok(found)
}

/// Where the last whole line of the first `length` bytes ends.
fn whole_lines(file: &File, length: u64) -> io::Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let part = &mut buffer[..(end - start) as usize];
        file.read_exact_at(part, start)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn checksum(file: &File, length: u64) -> io::Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; CHUNK];
    let mut rest = file.take(length);
    loop {
        match rest.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            got => hasher.update(&buffer[..got]),
        }
    }
}
