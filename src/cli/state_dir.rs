//! Which state directory a command is about.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{cursors::KnownSegment, exit::Exit};
use crate::{
    config::{self, Config, Problems},
    log::{
        SegmentId,
        catalog::{Catalog, CatalogStage},
    },
    source::catalogs,
};

#[derive(Debug, clap::Args)]
pub struct StateDirArgs {
    /// The configuration; its stateDir is the one looked at
    #[arg(short, long, default_value = config::DEFAULT_PATH, global = true)]
    config: PathBuf,
    /// Look at this state directory, without a configuration
    #[arg(long, global = true)]
    state_dir: Option<PathBuf>,
}

impl StateDirArgs {
    /// The directory. Where the configuration is needed and has problems, they are told; no secret is needed.
    pub fn resolve(&self) -> Result<PathBuf, Exit> {
        match &self.state_dir {
            Some(dir) => Ok(dir.clone()),
            None => self.load_to_read().map(|config| config.state_dir),
        }
    }

    /// The directory, where the configuration is known.
    pub fn of(&self, config: &Config) -> PathBuf {
        self.state_dir.as_ref().unwrap_or(&config.state_dir).clone()
    }

    /// The configuration, its problems told.
    pub fn load(&self) -> Result<Config, Exit> {
        load(&self.config)
    }

    /// The same for who sends nothing.
    pub fn load_to_read(&self) -> Result<Config, Exit> {
        load_to_read(&self.config, &config::environment).map(|(config, _)| config)
    }
}

/// A configuration, its problems told.
pub(super) fn load(path: &Path) -> Result<Config, Exit> {
    config::load(path, &config::environment).map_err(|problems| tell(&problems))
}

/// The same for who sends nothing, with the names of the variables that are not set.
pub(super) fn load_to_read(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<(Config, BTreeSet<String>), Exit> {
    config::load_to_read(path, env).map_err(|problems| tell(&problems))
}

fn tell(problems: &Problems) -> Exit {
    // Nobody is left to be told where this fails.
    let _ = writeln!(io::stderr(), "{problems}");
    Exit::Config
}

/// What the catalog knows of a segment of a source.
pub fn standing_of(state_dir: &Path, source: &str, segment: SegmentId) -> KnownSegment {
    let catalogs = catalogs(state_dir, source);
    let loaded = catalogs.iter().filter_map(|path| Catalog::load(path).ok().flatten());
    match loaded.flat_map(|catalog| catalog.lives).find(|life| life.id == segment) {
        Some(life) if life.stage == CatalogStage::Released => KnownSegment::Released(life.path),
        Some(life) => KnownSegment::Read(life.path),
        None => KnownSegment::Unknown,
    }
}
