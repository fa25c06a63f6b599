//! Which state directory a command is about.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::exit::Exit;
use crate::{
    config::{self, Config},
    log::{SegmentId, catalog::Catalog},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration; its stateDir is the one looked at
    #[arg(short, long, default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Look at this state directory, without a configuration
    #[arg(long)]
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

/// The file that a segment of a source was last seen as.
pub fn file_of(state_dir: &Path, source: &str, segment: SegmentId) -> Option<PathBuf> {
    let catalog = Catalog::load(&state_dir.join("sources").join(source).join("catalog")).ok()??;
    catalog.lives.into_iter().find(|life| life.id == segment).map(|life| life.path)
}
