//! `auditpost cursors`: where each forwarder stands, and moving it on purpose.
//!
//! `list` only reads and may run beside an instance. `set` and `forget` need a stopped one: they take the lock. What
//! they do is in the journal, on disk, before they say that it is done.

mod damaged;
mod listed;
mod target;
#[cfg(test)]
mod tests;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use crate::{
    forwarder::journal::{self, CursorSet, ForgetSource, Journal, JournalRecord, Recovered, SetBy, UnixMillis},
    lock::Lock,
    log::SegmentId,
};

use super::{
    exit::Exit,
    failure::{Failure, report},
    printable::printable,
};

pub(super) use listed::ListedCursors;
use target::target;

#[derive(Debug, clap::Args)]
pub struct CursorsArgs {
    #[command(subcommand)]
    command: CursorsCommand,
}

#[derive(Debug, clap::Subcommand)]
enum CursorsCommand {
    /// Where each forwarder stands in each segment
    List {
        #[arg(long)]
        forwarder: Option<String>,
        /// One JSON object a line, for each forwarder and source
        #[arg(long)]
        json: bool,
    },
    /// Put a forwarder's cursor somewhere else: back delivers again, forward skips
    Set(Set),
    /// Drop all that a forwarder knows of a source, or of all its sources, or its damaged journal: it starts over
    Forget(ForgetArgs),
}

#[derive(Debug, clap::Args)]
struct Set {
    #[arg(long)]
    forwarder: String,
    #[arg(long)]
    source: String,
    /// The segment's number, as `list` shows it
    #[arg(long)]
    segment: u64,
    #[command(flatten)]
    to: To,
    /// Do it, instead of only saying what it means
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct To {
    /// A byte at which a line begins
    #[arg(long)]
    offset: Option<u64>,
    #[arg(long)]
    beginning: bool,
    /// Behind the last whole line that is there now
    #[arg(long)]
    end: bool,
}

#[derive(Debug, clap::Args)]
struct ForgetArgs {
    #[arg(long)]
    forwarder: String,
    #[arg(long)]
    source: Option<String>,
    /// Its journal is damaged: keep that beside and begin an empty one
    #[arg(long, conflicts_with = "source")]
    damaged: bool,
    /// Do it, instead of only saying what it means
    #[arg(long)]
    yes: bool,
}

/// Says what is known of a segment of a source.
pub type Files<'a> = &'a dyn Fn(&str, SegmentId) -> KnownSegment;

/// What is known of a segment, and as which file it was last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownSegment {
    /// It is read, or will be.
    Read(PathBuf),
    /// Every forwarder is past it: it is never read again.
    Released(PathBuf),
    Unknown,
}

/// Writes what is known of a forwarder.
type ListOne = fn(&str, &Recovered, Files<'_>, &mut dyn Write) -> io::Result<()>;

/// Runs the command on a state directory.
pub fn run(args: &CursorsArgs, state_dir: &Path, files: Files<'_>) -> Exit {
    report(|out| execute(args, state_dir, files, out))
}

fn execute(args: &CursorsArgs, state_dir: &Path, files: Files<'_>, out: &mut dyn Write) -> Result<Exit, Failure> {
    match &args.command {
        CursorsCommand::List { forwarder, json } => {
            let list_one = if *json { listed::list_as_json } else { list_forwarder };
            list(state_dir, forwarder.as_deref(), files, list_one, *json, out)
        }
        CursorsCommand::Set(set) => set_cursor(set, state_dir, files, out),
        CursorsCommand::Forget(forget) if forget.damaged => damaged::start_over(forget, state_dir, out),
        CursorsCommand::Forget(forget) => forget_sources(forget, state_dir, out),
    }
}

fn list(
    state_dir: &Path,
    only: Option<&str>,
    files: Files<'_>,
    list_one: ListOne,
    json: bool,
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let names = match only {
        Some(name) => vec![name.to_owned()],
        None => journal::forwarders(state_dir)?,
    };
    let mut failed: Option<Failure> = None;
    let mut any = false;
    for name in names {
        // One damaged journal does not hide the others.
        match known(state_dir, &name) {
            Ok(known) => list_one(&name, &known, files, out)?,
            Err(failure) => {
                if only.is_none() && !json {
                    writeln!(out, "{}: where it stands cannot be read", printable(&name))?;
                }
                failed = Some(match failed {
                    Some(before) => before.and(failure),
                    None => failure,
                });
            }
        }
        any = true;
    }
    if !any && !json {
        writeln!(out, "no forwarder has run with {}", state_dir.display())?;
    }
    failed.map_or(Ok(Exit::Ok), Err)
}

fn list_forwarder(name: &str, known: &Recovered, files: Files<'_>, out: &mut dyn Write) -> io::Result<()> {
    if known.read_cursors.is_empty() {
        writeln!(out, "{}: has read nothing yet", printable(name))?;
    }
    for (source, cursors) in &known.read_cursors {
        let totals = known.totals.get(source).copied().unwrap_or_default();
        let outstanding = known.outstanding.iter().filter(|o| o.source == *source);
        let (batches, events) =
            outstanding.fold((0_u64, 0_u64), |(n, e), o| (n + 1, e.saturating_add(o.covers.events)));
        let unknown = match totals.unknown_gaps {
            0 => String::new(),
            gaps => format!(", and {gaps} of unknown size"),
        };
        writeln!(
            out,
            "{} / {}: {} delivered, {} filtered, {} dead-lettered, {} in gaps ({} bytes{unknown}); {batches} outstanding \
             batches ({events} events)",
            printable(name),
            printable(source),
            totals.delivered,
            totals.filtered,
            totals.dead_lettered,
            totals.gap,
            totals.gap_bytes,
        )?;
        let settled_cursors = known.settled_cursors(source);
        for (segment, cursor) in cursors {
            let file = match files(source, *segment) {
                KnownSegment::Read(path) | KnownSegment::Released(path) => printable(&path.to_string_lossy()),
                KnownSegment::Unknown => "-".into(),
            };
            let settled = settled_cursors.get(segment).copied().unwrap_or(cursor.offset);
            writeln!(out, "  segment {segment:<8} settled to {settled:<12} read to {:<12} {file}", cursor.offset)?;
        }
    }
    Ok(())
}

fn set_cursor(set: &Set, state_dir: &Path, files: Files<'_>, out: &mut dyn Write) -> Result<Exit, Failure> {
    let _lock = Lock::acquire(state_dir)?;
    let Set { forwarder, source, .. } = set;
    let segment = SegmentId(set.segment);
    let known = known(state_dir, forwarder)?;
    let file = match files(source, segment) {
        KnownSegment::Read(path) => path,
        KnownSegment::Released(path) => {
            return Err(Failure::usage(format!(
                "nothing was changed: segment {segment} of {source} ({}) is released, every forwarder is past it and it \
                 is not read again; to deliver it once more, copy the file to another name that {source} matches",
                path.display()
            )));
        }
        KnownSegment::Unknown => {
            return Err(Failure::usage(format!(
                "nothing was changed: no segment {segment} of {source} is known; `cursors list` shows those that are"
            )));
        }
    };
    let settled_cursors = known.settled_cursors(source).get(&segment).copied();
    let offset = target(&set.to, &file)?;
    writeln!(out, "{}", meaning(set, settled_cursors.unwrap_or(0), offset))?;
    let dropped = known.outstanding.iter().filter(|o| o.source == *source);
    let dropped = dropped.filter(|o| o.span.iter().any(|r| r.range.segment == segment)).count();
    if dropped > 0 {
        writeln!(out, "{dropped} batches that were on the way in this segment lose their ids.")?;
    }
    confirm(set.yes)?;
    let (source, by, at) = (source.clone(), SetBy::Operator, UnixMillis::now());
    write(state_dir, forwarder, &[JournalRecord::CursorSet(CursorSet { source, segment, offset, by, at })])?;
    writeln!(out, "done")?;
    Ok(Exit::Ok)
}

fn forget_sources(forget: &ForgetArgs, state_dir: &Path, out: &mut dyn Write) -> Result<Exit, Failure> {
    let _lock = Lock::acquire(state_dir)?;
    let ForgetArgs { forwarder, source, .. } = forget;
    let known = known(state_dir, forwarder)?;
    let sources: Vec<String> = match source {
        Some(source) if known.read_cursors.contains_key(source) => vec![source.clone()],
        Some(source) => {
            return Err(Failure::usage(format!(
                "{forwarder} knows of no source {source}; `cursors list` shows them"
            )));
        }
        None => known.read_cursors.keys().cloned().collect(),
    };
    for source in &sources {
        writeln!(
            out,
            "{forwarder} drops its cursors, outstanding batches and totals of {source}; if it follows {source} again, it \
             starts over, and what it delivered already is delivered again, under new batch ids."
        )?;
    }
    confirm(forget.yes)?;
    let at = UnixMillis::now();
    let records: Vec<_> =
        sources.into_iter().map(|source| JournalRecord::ForgetSource(ForgetSource { source, at })).collect();
    write(state_dir, forwarder, &records)?;
    writeln!(out, "done")?;
    Ok(Exit::Ok)
}

pub(super) fn known(state_dir: &Path, forwarder: &str) -> Result<Recovered, Failure> {
    let names = || journal::forwarders(state_dir).map(|names| names.join(", ")).unwrap_or_default();
    Journal::read(state_dir, forwarder)?.ok_or_else(|| {
        Failure::usage(format!(
            "no forwarder {forwarder:?} has run with {}; those that have: {}",
            state_dir.display(),
            names()
        ))
    })
}

fn write(state_dir: &Path, forwarder: &str, records: &[JournalRecord]) -> Result<(), Failure> {
    let (mut journal, _) = Journal::open(state_dir, forwarder)?;
    let written = journal.append(records).map_err(io::Error::other).and_then(|()| journal.sync());
    written
        .map_err(|e| Failure::Told(Exit::Storage, format!("{e}; the cursors may not have moved: look and try again")))
}

fn confirm(yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    Err(Failure::usage("nothing was changed; the same command with --yes does it"))
}

fn meaning(set: &Set, from: u64, to: u64) -> String {
    let Set { forwarder, source, segment, .. } = set;
    let moved = format!("{forwarder} in {source}, segment {segment}: from byte {from} to byte {to}.");
    if to < from {
        format!("{moved} {} bytes that are settled are delivered again: the receiver gets duplicates.", from - to)
    } else if to > from {
        format!("{moved} {} bytes are skipped: what they hold is never delivered to {forwarder}.", to - from)
    } else {
        format!("{moved} What was read behind it is read again.")
    }
}
