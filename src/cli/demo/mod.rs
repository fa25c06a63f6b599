//! `auditpost demo`: the whole job on this machine, in seconds, with nothing but this binary.
//!
//! An application writes the events of four systems; the real `auditpost run`, a child process, forwards them to
//! webhooks in this process; one is down, one refuses at first, the child is killed in the midst. What it prints was
//! measured in that run, and it ends with 0 only where every claim held. It listens on loopback ports only and leaves
//! nothing behind; SIGKILL alone leaves its temporary directory.

mod application;
mod cast;
mod crash;
mod delivery;
mod directory;
mod ledger;
mod scrape;
mod screen;
mod sidecar;
mod speed;
mod table;
mod webhook;

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::{exit::Exit, terminal};
use crate::VERSION;

use cast::{Cast, Tools};
use directory::DemoDirectory;
use screen::Screen;

/// Plays the three acts, until they end or a signal ends them.
pub async fn run() -> anyhow::Result<Exit> {
    let interrupted = interrupted().context("cannot wait for signals")?;
    let ended = tokio::select! {
        ended = play() => ended,
        () = interrupted => {
            terminal::complain("demo", "interrupted; nothing of it is left, and nothing was proven");
            return Ok(Exit::Interrupted);
        }
    };
    match ended {
        Err(error) if is_closed_pipe(&error) => Ok(Exit::Interrupted),
        ended => ended,
    }
}

async fn play() -> anyhow::Result<Exit> {
    let begun = Instant::now();
    let mut screen = Screen::new();
    let stage = match DemoDirectory::build() {
        Ok(stage) => stage,
        Err(error) => {
            let dir = std::env::temp_dir();
            let text = format!("cannot make a directory in {}: {error}; set TMPDIR to another", dir.display());
            terminal::complain("demo", &text);
            return Ok(Exit::CannotCreate);
        }
    };
    screen.line(&format!(
        "auditpost {VERSION} demo: four systems, three webhooks, one crash; on this machine only, in {}",
        stage.dir().display()
    ))?;
    let token = format!("{:032x}", fastrand::u128(..));
    let client = client()?;
    let tools = Tools { screen: &mut screen, stage: &stage, client: &client, token: &token };
    let mut cast = Cast::call(tools).await?;
    delivery::play(&mut cast).await?;
    crash::play(cast).await?;
    speed::play(Tools { screen: &mut screen, stage: &stage, client: &client, token: &token }).await?;
    conclude(&mut screen, begun.elapsed())
}

fn conclude(screen: &mut Screen, took: Duration) -> anyhow::Result<Exit> {
    let (held, failed) = screen.verdicts();
    let seconds = took.as_secs_f64();
    if failed > 0 {
        screen.line(&format!(
            "\n{failed} of {} claims did not hold, after {seconds:.1} s; please report this as a bug of auditpost",
            held + failed
        ))?;
        return Ok(Exit::Software);
    }
    screen.line(&format!("\nall {held} claims were verified in this run, in {seconds:.1} s"))?;
    let program = program();
    let program = program.display();
    screen.line(&format!(
        "\nnext, with your own events, in two terminals:\n  \
         {program} receive    a webhook that prints what it gets, on http://127.0.0.1:8088\n  \
         {program} run        follows ./audit.ndjson and sends there, with this as config.yaml:\n\n\
         sources:    [{{name: app, include: [./audit.ndjson]}}]\n\
         forwarders: [{{uri: \"http://127.0.0.1:8088\"}}]"
    ))?;
    Ok(Exit::Ok)
}

/// This program as it would be typed here.
fn program() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_else(|_| "auditpost".into());
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| program.strip_prefix(here).ok().map(Path::to_owned));
    below.unwrap_or(program)
}

fn client() -> anyhow::Result<reqwest::Client> {
    // It may be installed already; either is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build();
    client.context("cannot make an HTTP client")
}

/// Completes on Ctrl-C, SIGTERM and SIGHUP.
fn interrupted() -> io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate, mut hangup) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::{screen::tests::Paper, *};

    #[test]
    fn one_claim_that_does_not_hold_makes_the_whole_demo_fail() {
        let paper = Paper::default();
        let mut screen = paper.screen(false);
        screen.check(true, "this holds", "").unwrap();
        assert_eq!(conclude(&mut screen, Duration::from_secs(3)).unwrap(), Exit::Ok);
        assert!(paper.text().contains("\nall 1 claims were verified in this run, in 3.0 s\n"));
        screen.check(false, "this does not", "it is so").unwrap();
        assert_eq!(conclude(&mut screen, Duration::from_secs(3)).unwrap(), Exit::Software);
        assert!(paper.text().contains("\n1 of 2 claims did not hold, after 3.0 s"));
    }
}
