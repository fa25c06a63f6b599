//! Opening the log of a source: what the catalog knows, before the first scan has looked for its files.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use tracing::warn;

use super::{
    Tail, TailFacts, absorb::Absorbing, compressed::CompressedFiles, empty_paths::EmptyPaths, file_life::FileLife,
    listing::Listings, notices::Notices, pins::Pins,
};
use crate::{
    config::FileSource,
    log::{
        Log,
        catalog::{Catalog, CatalogEntry, CatalogError, CatalogStage},
        identity,
        position::{Cursor, SegmentId},
    },
};

impl Tail {
    /// Opens the log of a source at `dir` (`<stateDir>/sources/<name>`). `cursors_of_forwarders`: for each segment, the cursors at
    /// which forwarders stand. `pins`: how many descriptors may be held for files that still stand at their path.
    pub fn open(
        name: &str,
        source: FileSource,
        dir: &Path,
        state_dir: &Path,
        cursors_of_forwarders: &HashMap<SegmentId, Vec<Cursor>>,
        pins: usize,
    ) -> Result<(Self, Log), CatalogError> {
        let path = dir.join("catalog");
        let loaded = Catalog::load(&path)?;
        // A lost catalog is no first start: forwarders stood somewhere, and those numbers must not mean other files.
        let first = loaded.is_none() && cursors_of_forwarders.is_empty();
        let lost = loaded.is_none() && !cursors_of_forwarders.is_empty();
        let catalog =
            loaded.unwrap_or_else(|| Catalog { log: format!("{:08x}", fastrand::u32(..)), ..Catalog::default() });
        if catalog.damaged > 0 {
            warn!(source = name, path = %path.display(), lines = catalog.damaged,
                "the catalog was damaged on disk; files it no longer knows are read again from their beginning");
        }
        if lost {
            warn!(source = name, path = %path.display(),
                "the catalog is missing, and forwarders have read from this source before; every file is read again from its beginning");
        }
        let (log, publish) = Log::new(name, &catalog.log);
        let log = log.in_format(source.format);
        let claimed = cursors_of_forwarders.keys().map(|id| id.0 + 1).max().unwrap_or(0);
        let mut tail = Self {
            source,
            log: log.clone(),
            publish,
            facts: TailFacts::default(),
            catalog: path,
            state_dir: state_dir.canonicalize().unwrap_or_else(|_| state_dir.to_owned()),
            lives: BTreeMap::new(),
            newest: HashMap::new(),
            held: HashMap::new(),
            next: catalog.next.max(claimed).max(1),
            first,
            unresolved: BTreeSet::new(),
            pins: Pins::new(pins),
            listings: Listings::default(),
            packed: CompressedFiles::new(dir),
            absorbing: Absorbing::new(dir),
            empty_paths: EmptyPaths::default(),
            dirty: first || lost,
            notices: Notices::new(name),
        };
        for entry in catalog.lives {
            let cursors_of_forwarders = cursors_of_forwarders.get(&entry.id).map_or(&[][..], Vec::as_slice);
            tail.remember(entry, cursors_of_forwarders);
        }
        tail.packed.remove_orphans(&tail.lives);
        tail.absorbing.remove_orphans(&tail.lives);
        Ok((tail, log))
    }

    /// Puts a life of the catalog where the scans will look for its file.
    fn remember(&mut self, mut entry: CatalogEntry, cursors_of_forwarders: &[Cursor]) {
        let (id, key, stage) = (entry.id, entry.key, entry.stage);
        let removed = entry.absorbed.is_some() && stage == CatalogStage::Released;
        if entry.absorbed.is_some() {
            entry.path = self.absorbing.place(id); // Wherever the state directory is now.
        }
        if let Some(origin) = &mut entry.packed {
            match identity::stat_path(&origin.path) {
                Ok(stat) if stat.key.same_but_device(&origin.key) => origin.key = stat.key,
                _ => {} // Renamed, or gone: the scans see which.
            }
            self.newest.insert(origin.key, id);
        }
        self.lives.insert(id, FileLife::of(entry, cursors_of_forwarders));
        if stage != CatalogStage::Gone && !removed {
            self.newest.insert(key, id);
        }
        if !matches!(stage, CatalogStage::Gone | CatalogStage::Released) {
            self.unresolved.insert(id);
        }
    }
}
