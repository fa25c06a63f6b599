//! `auditpost man`: manual pages, made of the same definitions as the command line.

use std::{fs, path::PathBuf};

use clap_mangen::Man;

use super::{
    command,
    exit::Exit,
    failure::{Failure, report},
};

#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write auditpost.1 and a page for each command (auditpost-run.1 and so on) into this directory, which must be there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints `auditpost(1)`, or writes all pages. To read it: `auditpost man | man -l -`.
pub fn run(args: &ManArgs) -> Exit {
    report(|out| {
        // `help` is in every page's own options.
        let definition = command::CommandLine::definition().disable_help_subcommand(true);
        match &args.out {
            None => Man::new(definition).render(out)?,
            Some(directory) => {
                let failed = |error| {
                    let text = format!("the manual pages cannot be written to {}: {error}", directory.display());
                    Failure::Told(Exit::CannotCreate, text)
                };
                fs::metadata(directory).map_err(failed)?;
                clap_mangen::generate_to(definition, directory).map_err(failed)?;
            }
        }
        Ok(Exit::Ok)
    })
}
