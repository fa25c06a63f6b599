//! The command line: one command, its exit status.

use std::process::ExitCode;

use auditpost::VERSION;
use clap::Parser;

/// Ships audit events to webhooks, and never loses one in silence.
#[derive(Parser)]
#[command(name = "auditpost", version = VERSION)]
struct Args {}

fn main() -> ExitCode {
    Args::parse();
    ExitCode::SUCCESS
}
