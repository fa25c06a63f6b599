//! Which state directory a command is about.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{cursors::Standing, exit::Exit};
use crate::{
    app::SPOOL_CATALOG,
    config::{self, Config},
    log::{
        SegmentId,
        catalog::{Catalog, Stage},
    },
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration; its stateDir is the one looked at
    #[arg(short, long, default_value = config::DEFAULT_PATH, global = true)]
    config: PathBuf,
    /// Look at this state directory, without a configuration
    #[arg(long, global = true)]
    state_dir: Option<PathBuf>,
}

impl Args {
    /// The directory. Where the configuration is needed and has problems, they are told.
    pub fn resolve(&self) -> Result<PathBuf, Exit> {
        match &self.state_dir {
            Some(dir) => Ok(dir.clone()),
            None => self.load().map(|config| config.state_dir),
        }
    }

    /// The configuration, its problems told.
    pub fn load(&self) -> Result<Config, Exit> {
        config::load(&self.config, &config::environment).map_err(|problems| {
            // Nobody is left to be told where this fails.
            let _ = writeln!(io::stderr(), "{problems}");
            Exit::Config
        })
    }
}

/// What the catalog knows of a segment of a source.
pub fn standing_of(state_dir: &Path, source: &str, segment: SegmentId) -> Standing {
    let catalogs = ["catalog", SPOOL_CATALOG].map(|name| state_dir.join("sources").join(source).join(name));
    let loaded = catalogs.iter().filter_map(|path| Catalog::load(path).ok().flatten());
    match loaded.flat_map(|catalog| catalog.lives).find(|life| life.id == segment) {
        Some(life) if life.stage == Stage::Released => Standing::Released(life.path),
        Some(life) => Standing::Read(life.path),
        None => Standing::Unknown,
    }
}
