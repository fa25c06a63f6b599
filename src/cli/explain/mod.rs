//! `auditpost explain`: what each forwarder would do with real lines, and the exact requests. Nothing is sent.
//!
//! It goes the way that `run` goes: the same splitter of lines, the same rule for each of them, the same drafts. What it cannot know is when: it
//! ends a batch where it is full or the input ends, and never by age. Memory is bounded by one line and one batch a
//! forwarder.

mod lines;
mod plan;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on says where by panicking")]
mod tests;

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use self::{lines::InputLines, plan::ExplainPlan};
use super::{
    exit::Exit,
    failure::{Failure, report},
    printable::{printable, printable_path},
    state_dir, terminal,
};
use crate::{
    config::{self, Config, LineFormat, Source, SourceKind},
    log::ContainerOrigin,
    source::paths::SourcePaths,
};

/// What a line is shown by: its first characters.
const SHOWN: usize = 100;

#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// The configuration
    #[arg(short, long, default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// The source whose lines these are; needed where the file does not tell
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The lines; `-` is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
}

pub fn run(args: &ExplainArgs) -> Exit {
    let (config, unset) = match state_dir::load_to_read(&args.config, &config::environment) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    if !unset.is_empty() {
        let names: Vec<&str> = unset.iter().map(String::as_str).collect();
        terminal::complain("explain", &format!("not set, so something stands in for them: {}", names.join(", ")));
    }
    report(|out| {
        let source = source(&config, args)?;
        let input: Box<dyn Read> = if args.file == Path::new("-") {
            Box::new(io::stdin().lock())
        } else {
            Box::new(File::open(&args.file).map_err(|error| {
                Failure::usage(format!("{}: cannot be read: {error}", printable_path(&args.file)))
            })?)
        };
        explain(&config, source, &args.file, input, out)
    })
}

/// The source that the lines are of: the one that was named, whose files these are, or the only one.
fn source<'c>(config: &'c Config, args: &ExplainArgs) -> Result<&'c Source, Failure> {
    let names = || config.sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(name) = &args.source {
        let named = config.sources.iter().find(|source| source.name == *name);
        return named.ok_or_else(|| Failure::usage(format!("there is no source {name}; there are: {}", names())));
    }
    if let [only] = config.sources.as_slice() {
        return Ok(only);
    }
    let file = args.file.canonicalize().ok();
    let matches = |source: &&Source| {
        let SourceKind::File(files) = &source.kind else { return false };
        let found = SourcePaths::new(files).find().paths;
        file.is_some() && found.iter().any(|path| path.canonicalize().ok() == file)
    };
    let mut matching = config.sources.iter().filter(matches);
    match (matching.next(), matching.next()) {
        (Some(source), None) => Ok(source),
        _ => Err(Failure::usage(format!("say whose lines these are: --source with one of: {}", names()))),
    }
}

fn explain(
    config: &Config,
    source: &Source,
    file: &Path,
    input: impl Read,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let format = match &source.kind {
        SourceKind::File(file) => file.format,
        _ => LineFormat::Lines,
    };
    let path = std::path::absolute(file)?;
    let origin = if format == LineFormat::Lines { None } else { ContainerOrigin::of(&path).map(Arc::new) };
    let followed_by = config.forwarders.iter().filter(|forwarder| forwarder.sources.contains(&source.name));
    let plan = |forwarder| ExplainPlan::new(forwarder, source, origin.clone());
    let mut plans = followed_by.map(plan).collect::<Result<Vec<_>, _>>()?;
    if plans.is_empty() {
        writeln!(out, "no forwarder follows source {}: its events go nowhere", source.name)?;
        return Ok(Exit::Ok);
    }
    let width = plans.iter().map(|plan| plan.name().len()).max().unwrap_or(0);
    let mut any = false;
    InputLines::new(input, source.max_event_bytes, format).each(&mut |line| {
        any = true;
        writeln!(out, "line {}: {}", line.number, shown(line.text))?;
        let mut full = Vec::new();
        for plan in &mut plans {
            let (verdict, requests) = plan.take(line);
            writeln!(out, "  {:width$}  {verdict}", plan.name())?;
            full.extend(requests);
        }
        Ok(out.write_all(&full)?)
    })?;
    for request in plans.iter_mut().filter_map(ExplainPlan::flush) {
        out.write_all(&request)?;
    }
    if !any {
        writeln!(out, "there is no line in it")?;
    }
    Ok(Exit::Ok)
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut first: String = text.chars().take(SHOWN).collect();
    if first.len() < text.len() {
        first.push('…');
    }
    printable(&first)
}
