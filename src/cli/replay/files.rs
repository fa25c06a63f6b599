//! Where the bytes of batches that were settled are now, if anywhere.
//!
//! A file is taken for a segment only where its first bytes and those before the end of the batch hash as they did when it
//! was read: under its own name, or as a rotated sibling.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    config::{self, SourceKind},
    log::{
        AnchoredRange, Cursor, Log, Segment, SegmentId, SegmentState,
        catalog::{Catalog, CatalogEntry, CatalogError},
        identity::{self, OpenFile},
    },
    source::catalogs,
};

pub(super) struct ReplayFiles {
    pub(super) log: Log,
    publish: tokio::sync::watch::Sender<crate::log::Segments>,
    lives: HashMap<SegmentId, CatalogEntry>,
    found: BTreeMap<SegmentId, Arc<Segment>>,
}

impl ReplayFiles {
    /// What the catalogs of a source know.
    pub(super) fn of(state_dir: &Path, source: &config::Source) -> Result<Self, CatalogError> {
        let (mut id, mut lives) = (None, HashMap::new());
        for path in catalogs(state_dir, &source.name) {
            let catalog = Catalog::load(&path)?;
            for life in catalog.iter().flat_map(|catalog| &catalog.lives) {
                lives.entry(life.id).or_insert_with(|| life.clone());
            }
            id = id.or(catalog.map(|catalog| catalog.log));
        }
        let (log, publish) = Log::new(&source.name, &id.unwrap_or_default());
        let log = match &source.kind {
            SourceKind::File(file) => log.in_format(file.format),
            _ => log,
        };
        Ok(Self { log, publish, lives, found: BTreeMap::new() })
    }

    /// Opens what a span needs, and publishes it in the log; or says what is gone.
    pub(super) fn open(&mut self, span: &[AnchoredRange]) -> Result<(), String> {
        for range in span {
            let id = range.range.segment;
            if let Some(segment) = self.found.get(&id) {
                let file = segment.open().map_err(|error| error.to_string())?;
                if holds(&file, segment.size(), range) {
                    continue;
                }
            }
            let Some(life) = self.lives.get(&id) else {
                return Err(format!("nothing is known any more of the file that segment {id} was"));
            };
            let found = find(life, range)
                .ok_or_else(|| format!("{} is gone, or has other bytes there now", life.path.display()))?;
            let segment = Segment::new(
                id,
                life.lineage.as_path().into(),
                life.start,
                found.stat.size,
                SegmentState::Sealed,
                found.path,
                found.stat.key,
            );
            segment.pin(found.file);
            self.found.insert(id, Arc::new(segment));
        }
        self.publish.send_replace(Arc::new(self.found.values().cloned().collect()));
        Ok(())
    }
}

fn find(life: &CatalogEntry, range: &AnchoredRange) -> Option<OpenFile> {
    let candidates = [life.path.clone()].into_iter().chain(siblings(&life.lineage));
    let mut opened = candidates.filter_map(|path| OpenFile::open(&path).ok());
    opened.find(|OpenFile { file, stat, .. }| {
        // A cursor without a hash says nothing of the bytes; then it must be the very file.
        let is_known = range.end_cursor().anchor.is_some() || stat.key.same_but_device(&life.key);
        stat.regular && is_known && has(file, &life.head) && holds(file, stat.size, range)
    })
}

fn holds(file: &File, size: u64, range: &AnchoredRange) -> bool {
    range.range.end <= size && has(file, &range.end_cursor())
}

fn has(file: &File, cursor: &Cursor) -> bool {
    identity::still_has(file, cursor).unwrap_or(false)
}

/// Files beside the path whose names begin as its own, as rotation makes them.
fn siblings(path: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return Vec::new() };
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(name.as_encoded_bytes()));
    let mut paths: Vec<PathBuf> = named.map(|entry| entry.path()).filter(|sibling| sibling != path).collect();
    paths.sort();
    paths
}
