//! The command line: what `main` carries out, and what the completions and the manual pages are made of.

use clap::{CommandFactory, Parser, Subcommand};

use super::{
    check, completions, cursors, dead_letters, explain, gaps, man, ping, receive, replay, run, schema, state_dir,
    status, verify_konnect,
};
use crate::VERSION;

/// For `--help` and the manual page; [`super::exit::Exit`] says the same in types.
const EXIT_STATUS: &str = "\
Exit status:
  0    done; run: drained, and nothing was set aside, lost or unreadable
  10   stopped with a backlog, safe on disk; replay: not all of it was sent
  11   run: drained, but events were set aside or lost, or cannot be read
  64   wrong arguments
  65   verify-konnect: a record is not valid, or there are no keys
  69   ping: a receiver does not take events
  70   a bug
  73   the state directory or a socket cannot be created
  74   storage fails
  75   another instance holds the state directory
  78   the configuration is invalid
  130  demo was interrupted";

/// Ships audit events to webhooks, and never loses one in silence.
#[derive(Debug, Parser)]
#[command(name = "auditpost", version = VERSION, after_long_help = EXIT_STATUS)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Forward until stopped; SIGTERM and SIGINT drain, SIGHUP reloads
    Run(run::RunArgs),
    /// Validate the configuration and print what would run
    Check(check::CheckArgs),
    /// The whole job on this machine, in seconds: events, webhooks, a crash, and what came of it
    Demo,
    /// A webhook receiver to try things with
    Receive(receive::ReceiveArgs),
    /// What each forwarder would do with real lines, and the exact requests; sends nothing
    Explain(explain::ExplainArgs),
    /// Whether each receiver takes events: name, TLS, authentication, gzip, time; sends one marked test event
    Ping(ping::PingArgs),
    /// What a running instance does
    Status(status::StatusArgs),
    /// Where each forwarder stands, and moving it
    Cursors {
        #[command(flatten)]
        state: state_dir::StateDirArgs,
        #[command(flatten)]
        cursors: cursors::CursorsArgs,
    },
    /// What was lost
    Gaps {
        #[command(flatten)]
        state: state_dir::StateDirArgs,
        #[command(flatten)]
        gaps: gaps::GapsArgs,
    },
    /// Events that cannot be delivered
    DeadLetters {
        #[command(flatten)]
        state: state_dir::StateDirArgs,
        #[command(flatten)]
        letters: dead_letters::DeadLettersArgs,
    },
    /// Batches that were delivered, once more: those of a time range whose bytes are still there
    Replay(replay::ReplayArgs),
    /// Whether Kong Konnect's audit records are as Konnect signed them
    VerifyKonnect(verify_konnect::VerifyKonnectArgs),
    /// The JSON Schema of the configuration, for editors, or of what a command prints with --json
    Schema(schema::SchemaArgs),
    /// The completions of a shell
    Completions(completions::CompletionsArgs),
    /// The manual page, or a page for each command
    Man(man::ManArgs),
}

impl CommandLine {
    /// The definitions themselves.
    pub fn definition() -> clap::Command {
        Self::command()
    }
}

#[cfg(test)]
mod tests {
    use super::CommandLine;

    #[test]
    fn the_definitions_contradict_nothing() {
        CommandLine::definition().debug_assert();
    }
}
