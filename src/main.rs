//! The command line: one command, its exit status.

use std::process::ExitCode;

use auditpost::{
    VERSION,
    cli::{exit::Exit, receive, status},
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
    Receive(receive::Args),
    Status(status::Args),
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
    run(args.command).unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        Exit::Software.into()
    })
}

#[tokio::main]
async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let exit = match command {
        Command::Receive(args) => receive::run(args).await?,
        Command::Status(args) => status::run(args).await?,
    };
    Ok(exit.into())
}
