//! `auditpost completions SHELL`: what a shell needs to complete our commands and flags.

use clap_complete::Shell;

use super::{command, exit::Exit, failure::report};

#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script. In bash: `source <(auditpost completions bash)`.
pub fn run(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    let mut definition = command::CommandLine::definition();
    let name = definition.get_name().to_owned();
    clap_complete::generate(args.shell, &mut definition, name, &mut script);
    report(|out| {
        out.write_all(&script)?;
        Ok(Exit::Ok)
    })
}
