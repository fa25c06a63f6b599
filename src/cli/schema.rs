//! `auditpost schema`: the JSON Schema of the configuration, or of what a command prints with `--json`, as it is derived from
//! the types that read or write it.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};

use super::{check::CheckReport, cursors::ListedCursors, exit::Exit, failure::report, gaps::ListedGap};
use crate::{admin::status::Status, config};

#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// What it is the schema of
    #[arg(long, value_enum, default_value_t = SchemaOf::Config)]
    of: SchemaOf,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SchemaOf {
    /// The configuration
    Config,
    /// What `check --json` prints
    Check,
    /// What `status --json` prints
    Status,
    /// A line of `gaps list --json`
    Gaps,
    /// A line of `cursors list --json`
    Cursors,
}

/// Prints it. An editor that knows it names wrong keys and words while they are written.
pub fn run(args: &SchemaArgs) -> Exit {
    report(|out| {
        let schema = match args.of {
            SchemaOf::Config => config::json_schema(),
            SchemaOf::Check => of::<CheckReport>(),
            SchemaOf::Status => of::<Status>(),
            SchemaOf::Gaps => of::<ListedGap>(),
            SchemaOf::Cursors => of::<ListedCursors>(),
        };
        writeln!(out, "{schema:#}")?;
        Ok(Exit::Ok)
    })
}

fn of<T: JsonSchema>() -> serde_json::Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    SchemaGenerator::new(settings).into_root_schema_for::<T>().to_value()
}
