//! Opening the log of a source: what the catalog knows, before the first scan has looked for its files.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use tracing::warn;

use super::{
    Tail, TailFacts,
    compressed::CompressedFiles,
    deleted::{DeletedFiles, LateWriters},
    identity::Listings,
    lives::{FileLife, FileLives},
    notices::Notices,
    pins::Pins,
};
use crate::{
    config::{Exclude, FileSource},
    log::{
        LinkPolicy, Log,
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
        let exclude = source.exclude.iter().filter_map(|glob| Exclude::new(glob).ok()).collect();
        let mut tail = Self {
            source,
            log: log.clone(),
            publish,
            facts: TailFacts::default(),
            catalog: path,
            state_dir: state_dir.canonicalize().unwrap_or_else(|_| state_dir.to_owned()),
            lives: FileLives::new(SegmentId(catalog.next.max(claimed).max(1))),
            met_from: SegmentId(0),
            held: HashMap::new(),
            overtaken: HashSet::new(),
            cut: catalog.cut.into_iter().collect(),
            first,
            begun: begun_at(dir),
            exclude,
            links: LinkPolicy::default(),
            allowed: HashMap::new(),
            pins: Pins::new(pins),
            listings: Listings::default(),
            compressed: CompressedFiles::new(dir),
            deleted: DeletedFiles::new(dir),
            late: LateWriters::default(),
            empty_paths: catalog
                .empty_paths
                .into_iter()
                .map(|it| (it.path.into(), it.beside.into_iter().collect()))
                .collect(),
            notices: Notices::new(name),
        };
        tail.compressed.remember_postponed(catalog.postponed);
        for entry in catalog.lives {
            let cursors_of_forwarders = cursors_of_forwarders.get(&entry.id).map_or(&[][..], Vec::as_slice);
            tail.remember(entry, cursors_of_forwarders);
        }
        tail.met_from = tail.lives.next_id();
        // So far it says what the catalog says.
        tail.lives.saved(!first && !lost);
        tail.read_lost_generations();
        for ours in [&tail.compressed.dir, &tail.deleted.dir] {
            tail.lives.remove_others_from(ours);
        }
        Ok((tail, log))
    }

    /// Puts a life of the catalog where the scans will look for its file.
    fn remember(&mut self, mut entry: CatalogEntry, cursors_of_forwarders: &[Cursor]) {
        if entry.absorbed.is_some() {
            entry.path = self.deleted.place(entry.id); // Wherever the state directory is now.
        } else if entry.packed.is_some() && entry.stage != CatalogStage::Released {
            entry.path = self.compressed.place(entry.id);
        }
        if let Some(origin) = &mut entry.packed {
            match identity::stat_path(&origin.path) {
                Ok(stat) if stat.key.same_but_device(&origin.key) => origin.key = stat.key,
                _ => {} // Renamed, or gone: the scans see which.
            }
        }
        self.lives.insert(FileLife::of(entry, cursors_of_forwarders));
    }
}

/// When the directory of a source was made: now, where it is not there yet. Where that is not known, long ago.
fn begun_at(dir: &Path) -> (i64, u32) {
    match identity::stat_path(dir) {
        Ok(stat) => stat.key.born.unwrap_or_default(),
        Err(_) => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or((0, 0), |since| (since.as_secs() as i64, since.subsec_nanos())),
    }
}
