//! `auditpost gaps list`: what was lost, from the journals.
//!
//! Reads only; it needs no running instance, no lock, and may run beside one.

use std::{
    io::{self, Write},
    path::Path,
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    cursors::known,
    dead_letters::parse_since,
    exit::Exit,
    failure::{Failure, report},
    printable::printable,
};
use crate::forwarder::journal::{self, Gap, Journal, MAX_GAPS, Recovered, UnixMillis};

#[derive(Debug, clap::Args)]
pub struct GapsArgs {
    #[command(subcommand)]
    command: GapsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum GapsCommand {
    /// Each loss: when it was noticed, of which file, which bytes, and why
    List(GapSelection),
}

#[derive(Debug, clap::Args)]
struct GapSelection {
    /// Only this forwarder's
    #[arg(long)]
    forwarder: Option<String>,
    /// Only those noticed since then: 2026-01-31T12:00:00Z, 2026-01-31 (UTC), or an age such as 90s, 30m, 12h, 7d
    #[arg(long, value_parser = parse_since)]
    since: Option<Timestamp>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// A gap as `--json` writes it. Times are RFC 3339 in UTC.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedGap {
    #[schemars(with = "String")]
    time: UnixMillis,
    forwarder: String,
    source: String,
    segment: u64,
    /// The file, as it was called last.
    path: Option<String>,
    start: u64,
    /// Where the bytes end that are known to be lost.
    end: Option<u64>,
    bytes: Option<u64>,
    /// More may be lost behind `end`, nobody knows how much.
    unknown_size: bool,
    /// How many events are known to have been in it; 0 where nobody had read it.
    events: u64,
    reason: String,
    /// When events of this source were announced to the receiver last before it, and first after it, as far as that is
    /// remembered.
    #[schemars(with = "Option<String>")]
    last_before: Option<UnixMillis>,
    #[schemars(with = "Option<String>")]
    first_after: Option<UnixMillis>,
}

/// Runs the command on a state directory.
pub fn run(args: &GapsArgs, state_dir: &Path) -> Exit {
    let GapsCommand::List(selection) = &args.command;
    report(|out| list(selection, state_dir, out))
}

fn list(selection: &GapSelection, state_dir: &Path, out: &mut dyn Write) -> Result<Exit, Failure> {
    let names = match &selection.forwarder {
        Some(name) => vec![name.clone()],
        None => journal::forwarders(state_dir)?,
    };
    let (mut gaps, mut failed) = (Vec::new(), None::<Failure>);
    let mut forgetful = Vec::new();
    for name in names {
        // One damaged journal does not hide the others.
        match known(state_dir, &name).and_then(|known| Ok((gaps_of(state_dir, &name, &known)?, known))) {
            Ok((of_it, known)) => {
                gaps.extend(of_it);
                if known.gaps.len() >= MAX_GAPS {
                    forgetful.push(name);
                }
            }
            Err(failure) => {
                failed = Some(match failed {
                    Some(before) => before.and(failure),
                    None => failure,
                });
            }
        }
    }
    gaps.retain(|gap| selection.since.is_none_or(|since| gap.time >= since.into()));
    gaps.sort_by_key(|gap| gap.time);
    for gap in &gaps {
        if selection.json {
            serde_json::to_writer(&mut *out, gap).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            row(gap, out)?;
        }
    }
    if !selection.json {
        for name in forgetful {
            let name = printable(&name);
            writeln!(
                out,
                "of forwarder {name} the last {MAX_GAPS} are shown; `auditpost cursors list` has the totals"
            )?;
        }
        if gaps.is_empty() && failed.is_none() {
            writeln!(out, "no gaps")?;
        }
    }
    failed.map_or(Ok(Exit::Ok), Err)
}

fn gaps_of(state_dir: &Path, forwarder: &str, known: &Recovered) -> Result<Vec<ListedGap>, Failure> {
    let history = Journal::history(state_dir, forwarder)?.unwrap_or_default();
    let announced = || history.iter().map(|entry| &entry.batch).chain(&known.outstanding);
    let listed = |gap: &Gap| {
        let after = announced().filter(|batch| batch.source == gap.source && batch.at > gap.at).map(|batch| batch.at);
        ListedGap {
            time: gap.at,
            forwarder: forwarder.to_owned(),
            source: gap.source.clone(),
            segment: gap.segment.0,
            path: gap.path.clone(),
            start: gap.start,
            end: gap.end,
            bytes: gap.end.map(|end| end.saturating_sub(gap.start)),
            unknown_size: gap.unknown,
            events: gap.events,
            reason: gap.reason.clone(),
            last_before: gap.last_before,
            first_after: gap.first_after.or(after.min()),
        }
    };
    Ok(known.gaps.iter().map(listed).collect())
}

/// Two lines: what is lost, and why.
fn row(gap: &ListedGap, out: &mut dyn Write) -> io::Result<()> {
    let ListedGap { time, forwarder, source, segment, start, reason, .. } = gap;
    let path = printable(gap.path.as_deref().unwrap_or("a file that is gone"));
    let (forwarder, source) = (printable(forwarder), printable(source));
    let size = match (gap.end, gap.unknown_size) {
        (Some(end), false) => format!("bytes {start} to {end}"),
        (Some(end), true) => format!("bytes {start} to {end}, and nobody knows how many behind them"),
        (None, _) => format!("from byte {start} on"),
    };
    let events = if gap.events > 0 { format!(", {} events", gap.events) } else { String::new() };
    writeln!(out, "{time}  {forwarder} / {source}: {size} of {path} (segment {segment}){events}")?;
    let moment = |time: Option<UnixMillis>| time.map_or_else(|| "not known".to_owned(), |time| time.to_string());
    writeln!(out, "    {}", printable(reason))?;
    let (before, after) = (moment(gap.last_before), moment(gap.first_after));
    writeln!(out, "    events sent last before it: {before}; first after it: {after}")
}
