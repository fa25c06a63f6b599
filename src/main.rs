//! The command line: one command, its exit status.

use std::process::ExitCode;

use auditpost::cli::{
    check,
    command::{Command, CommandLine},
    completions, cursors, dead_letters, demo,
    exit::Exit,
    explain, gaps, man, ping, receive, replay, replay_letters, run, schema, state_dir, status, verify_konnect,
};
use clap::Parser;

fn main() -> ExitCode {
    let args = match CommandLine::try_parse() {
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
        Command::Check(args) => check::run(&args),
        Command::Demo => wait_for(demo::run())??,
        Command::Receive(args) => wait_for(receive::run(args))??,
        Command::Explain(args) => explain::run(&args),
        Command::Ping(args) => ping::run(&args),
        Command::Status(args) => wait_for(status::run(args))??,
        Command::Cursors { state, cursors } => match state.resolve() {
            Ok(dir) => cursors::run(&cursors, &dir, &|source, segment| state_dir::standing_of(&dir, source, segment)),
            Err(exit) => exit,
        },
        Command::Gaps { state, gaps } => match state.resolve() {
            Ok(dir) => gaps::run(&gaps, &dir),
            Err(exit) => exit,
        },
        Command::DeadLetters { state, letters } => match state.resolve() {
            Ok(dir) => dead_letters::run(&letters, &dir, |chosen| replay_letters::send(&state, chosen)),
            Err(exit) => exit,
        },
        Command::Replay(args) => replay::run(&args),
        Command::VerifyKonnect(args) => verify_konnect::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    })
}

fn wait_for<T>(command: impl Future<Output = T>) -> anyhow::Result<T> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(command))
}
