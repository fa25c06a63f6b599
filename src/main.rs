//! The command line: one command, its exit status.

use std::{path::PathBuf, process::ExitCode};

use auditpost::{
    VERSION,
    cli::{
        check, cursors, dead_letters, demo, exit::Exit, explain, receive, replay_letters, run, state_dir, status,
        verify_konnect,
    },
    config,
};
use clap::{Parser, Subcommand};

/// Ships audit events to webhooks, and never loses one in silence.
#[derive(Parser)]
#[command(name = "auditpost", version = VERSION)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Forward until stopped; SIGTERM and SIGINT drain, SIGHUP reloads
    Run(run::Args),
    /// Validate the configuration and print what would run
    Check {
        /// The configuration
        #[arg(short, long, default_value = config::DEFAULT_PATH)]
        config: PathBuf,
    },
    /// The whole job on this machine, in seconds: events, webhooks, a crash, and what came of it
    Demo,
    /// A webhook receiver to try things with
    Receive(receive::Args),
    /// What each forwarder would do with real lines, and the exact requests; sends nothing
    Explain(explain::Args),
    /// What a running instance does
    Status(status::Args),
    /// Where each forwarder stands, and moving it
    Cursors {
        #[command(flatten)]
        state: state_dir::Args,
        #[command(flatten)]
        cursors: cursors::CursorsArgs,
    },
    /// Events that cannot be delivered
    DeadLetters {
        #[command(flatten)]
        state: state_dir::Args,
        #[command(flatten)]
        letters: dead_letters::DeadLettersArgs,
    },
    /// Whether Kong Konnect's audit records are as Konnect signed them
    VerifyKonnect(verify_konnect::Args),
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(message) => {
            let _ = message.print();
            let failed = message.use_stderr();
            return if failed { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    execute(args.command)
        .unwrap_or_else(|error| {
            // Nobody is left to be told where this fails.
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("auditpost: {error:#}\n"));
            Exit::Software
        })
        .into()
}

fn execute(command: Command) -> anyhow::Result<Exit> {
    Ok(match command {
        Command::Run(args) => run::run(&args),
        Command::Check { config } => check::run(&config),
        Command::Demo => wait_for(demo::run())??,
        Command::Receive(args) => wait_for(receive::run(args))??,
        Command::Explain(args) => explain::run(&args),
        Command::Status(args) => wait_for(status::run(args))??,
        Command::Cursors { state, cursors } => match state.resolve() {
            Ok(dir) => cursors::run(&cursors, &dir, &|source, segment| state_dir::standing_of(&dir, source, segment)),
            Err(exit) => exit,
        },
        Command::DeadLetters { state, letters } => match state.resolve() {
            Ok(dir) => dead_letters::run(&letters, &dir, |chosen| replay_letters::send(&state, chosen)),
            Err(exit) => exit,
        },
        Command::VerifyKonnect(args) => verify_konnect::run(&args),
    })
}

fn wait_for<T>(command: impl Future<Output = T>) -> anyhow::Result<T> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(command))
}
