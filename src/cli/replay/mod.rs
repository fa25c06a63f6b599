//! `auditpost replay`: what was delivered in a time range, once more, as for a receiver that lost it.
//!
//! The forwarder's journal says which batches these were, and the files that they were read from give the bytes again. What is
//! gone is told and counted. Nothing is written: no cursor moves, so it may run beside an instance.

mod files;

use std::{
    collections::HashMap,
    io::{self, Write},
    path::Path,
};

use files::ReplayFiles;
use jiff::Timestamp;

use super::{
    dead_letters::parse_since,
    exit::Exit,
    failure::{Failure, report},
    printable::printable,
    replay_letters::{RepeatedBody, ReplayStop, deliver},
    state_dir,
};
use crate::{
    config::{self, Config, Forwarder},
    forwarder::{
        batch::{BodyPool, SealedBatch, new_id},
        deliver::WebhookClient,
        follow::FollowedSource,
        journal::{Journal, LedgerEntry, Outcome, UnixMillis},
        stats::Tally,
    },
    log::Reader,
};

#[derive(Debug, clap::Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    state: state_dir::StateDirArgs,
    /// Whose batches
    #[arg(long, value_name = "NAME")]
    forwarder: String,
    /// Settled since then: 2026-01-31T12:00:00Z, 2026-01-31 (UTC), or an age such as 90s, 30m, 12h, 7d
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    since: Timestamp,
    /// Settled before then
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    until: Option<Timestamp>,
    /// Under new ids, for a receiver that remembers ids and lost the events
    #[arg(long)]
    new_ids: bool,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
}

/// Exit status 0 where all of it was sent, 10 where not.
pub fn run(args: &ReplayArgs) -> Exit {
    let loaded = if args.dry_run { args.state.load_to_read() } else { args.state.load() };
    let config = match loaded {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    report(|out| {
        let state_dir = args.state.of(&config);
        let Some(forwarder) = config.forwarders.iter().find(|forwarder| forwarder.name == args.forwarder) else {
            let text =
                format!("no forwarder is called {}; `check` names those that there are", printable(&args.forwarder));
            return Err(Failure::usage(text));
        };
        let Some(history) = Journal::history(&state_dir, &forwarder.name)? else {
            let text = format!("forwarder {} never ran with {}", forwarder.name, state_dir.display());
            return Err(Failure::usage(text));
        };
        Replay::new(args, &config, forwarder, &state_dir)?.all(&history, out)
    })
}

/// Batches, and the events that they had.
#[derive(Default)]
struct Count {
    batches: u64,
    events: u64,
}

impl Count {
    fn add(&mut self, entry: &LedgerEntry) {
        self.batches += 1;
        self.events += entry.batch.covers.events;
    }
}

struct Replay<'c> {
    args: &'c ReplayArgs,
    config: &'c Config,
    forwarder: &'c Forwarder,
    state_dir: &'c Path,
    webhook: WebhookClient,
    runtime: tokio::runtime::Runtime,
    sources: HashMap<String, Option<(ReplayFiles, FollowedSource)>>,
}

impl<'c> Replay<'c> {
    fn new(
        args: &'c ReplayArgs,
        config: &'c Config,
        forwarder: &'c Forwarder,
        state_dir: &'c Path,
    ) -> Result<Self, Failure> {
        let webhook = WebhookClient::new(forwarder)
            .map_err(|error| Failure::Told(Exit::Config, format!("forwarder {}: {error}", forwarder.name)))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { args, config, forwarder, state_dir, webhook, runtime, sources: HashMap::new() })
    }

    fn all(mut self, history: &[LedgerEntry], out: &mut dyn Write) -> Result<Exit, Failure> {
        let since = UnixMillis::from(self.args.since);
        let until = self.args.until.map_or(UnixMillis(i64::MAX), UnixMillis::from);
        let (mut sent, mut kept, mut other) = (Count::default(), Count::default(), Count::default());
        for entry in history.iter().filter(|entry| (since..until).contains(&entry.settled_at)) {
            if entry.outcome != Outcome::Delivered {
                other.add(entry);
                continue;
            }
            let name = format!(
                "batch {}, settled {}, {} events",
                entry.batch.n, entry.settled_at, entry.batch.covers.events
            );
            match self.one(entry) {
                Ok(how) => {
                    sent.add(entry);
                    writeln!(out, "{name}: {how}")?;
                }
                Err(ReplayStop::Refused(why)) => {
                    kept.add(entry);
                    writeln!(out, "{name}: not sent: {}", printable(&why))?;
                }
                Err(ReplayStop::Receiver(why)) => {
                    out.flush()?;
                    let text = format!(
                        "{name}: {}; {} batches were sent, this and those behind it were not: run it again with --since {}",
                        printable(&why),
                        sent.batches,
                        entry.settled_at
                    );
                    return Err(Failure::Told(Exit::Backlog, text));
                }
            }
            out.flush()?;
        }
        self.summary(history, &sent, &kept, &other, out)?;
        Ok(if kept.batches == 0 { Exit::Ok } else { Exit::Backlog })
    }

    fn summary(
        &self,
        history: &[LedgerEntry],
        sent: &Count,
        kept: &Count,
        other: &Count,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let verb = if self.args.dry_run { "would be sent" } else { "sent" };
        writeln!(out, "{} batches ({} events) {verb} again", sent.batches, sent.events)?;
        if kept.batches > 0 {
            writeln!(out, "{} batches ({} events) not: they cannot be replayed", kept.batches, kept.events)?;
        }
        if other.batches > 0 {
            writeln!(
                out,
                "{} batches ({} events) of that time were not delivered, so they are not replayed: see `dead-letters list`",
                other.batches, other.events
            )?;
        }
        // The journal keeps the newest; numbers begin at 1.
        match history.first() {
            Some(first) if first.batch.n > 1 && UnixMillis::from(self.args.since) < first.settled_at => writeln!(
                out,
                "the journal remembers batches since {}: what was settled before is not among these",
                first.settled_at
            ),
            Some(_) => Ok(()),
            None => writeln!(out, "the journal remembers no settled batch"),
        }
    }

    /// Sends a batch again, or says why it cannot be.
    fn one(&mut self, entry: &LedgerEntry) -> Result<String, ReplayStop> {
        let SealedBatch { body, origin, digest, .. } = self.read_again(entry).map_err(ReplayStop::Refused)?;
        let same = entry.batch.digest == Some(digest);
        let known = entry.batch.id.as_ref().filter(|_| same && !self.args.new_ids);
        let id = known.cloned().unwrap_or_else(|| new_id(&mut fastrand::Rng::new()));
        // A number belongs to an id.
        let number = if known.is_some() { entry.batch.n } else { 0 };
        let events = body.events().len();
        // The framing may have been another one then.
        let singly = self.forwarder.framing == config::Framing::Single && events > 1;
        if !self.args.dry_run && singly {
            for index in 0..events {
                let (id, body) = (new_id(&mut fastrand::Rng::new()), body.subset(index..index + 1));
                let again = RepeatedBody { id: &id, number: 0, body: &body, origin: origin.as_deref() };
                self.runtime.block_on(deliver(&self.webhook, self.forwarder, &again))?;
            }
        } else if !self.args.dry_run {
            let again = RepeatedBody { id: &id, number, body: &body, origin: origin.as_deref() };
            self.runtime.block_on(deliver(&self.webhook, self.forwarder, &again))?;
        }
        let verb = if self.args.dry_run { "would be sent" } else { "sent" };
        Ok(match (same, known.is_some()) {
            (_, true) => format!("{verb} again under its id {id}"),
            (true, false) => format!("{verb} again, the same bytes under a new id"),
            (false, false) => {
                format!(
                    "{verb} again, {events} events under a new id: it has other bytes than then, by another configuration or a changed file"
                )
            }
        })
    }

    /// The batch, made again of the bytes that it was made of.
    fn read_again(&mut self, LedgerEntry { batch, .. }: &LedgerEntry) -> Result<SealedBatch, String> {
        if !self.sources.contains_key(&batch.source) {
            let opened = self.open(&batch.source)?;
            self.sources.insert(batch.source.clone(), opened);
        }
        let Some((files, follow)) = self.sources.get_mut(&batch.source).and_then(Option::as_mut) else {
            return Err(format!("the configuration has no source {}", batch.source));
        };
        files.open(&batch.span)?;
        let sealed = follow.again(batch, &mut Tally::default()).map_err(|unread| unread.to_string())?;
        if !sealed.has_events() {
            return Err("no event of it passes the rules of today's configuration".to_owned());
        }
        Ok(sealed)
    }

    /// `None`: the configuration does not know the source.
    fn open(&self, source: &str) -> Result<Option<(ReplayFiles, FollowedSource)>, String> {
        let Some(source) = self.config.sources.iter().find(|known: &&config::Source| known.name == source) else {
            return Ok(None);
        };
        let files = ReplayFiles::of(self.state_dir, source).map_err(|error| error.to_string())?;
        let reader = Reader::new(files.log.clone(), source.max_event_bytes, Default::default());
        let follow = FollowedSource::new(self.forwarder, source, reader, BodyPool::new(self.forwarder, 1));
        Ok(Some((files, follow)))
    }
}
