//! `auditpost receive`: a webhook receiver to try things with.
//!
//! It decodes and shows what arrives, keeps it for later where asked, and misbehaves in chosen ways, so that an
//! operator sees what a sender does then. The receiver itself is [`Receiver`]; `demo` embeds it.

mod body;
mod faults;
mod save;
mod server;
mod show;
#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, path::PathBuf, sync::atomic::Ordering::Relaxed, time::Duration};

use anyhow::Context;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

use super::{exit::Exit, terminal};
use crate::{admin::human, config::Secret};

pub use faults::{Behaviour, ScriptedAnswer, StatusFault, Then};
pub use server::{Delivery, Receiver, ReceiverBindError, ReceiverCounts};

use save::Archive;
use show::Style;

/// Receive webhooks and show what arrives; Ctrl-C ends it with a summary.
#[derive(Clone, Debug, clap::Args)]
pub struct ReceiveArgs {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8088")]
    listen: SocketAddr,
    /// Answer 401 to requests without this bearer token
    #[arg(long, value_name = "TOKEN", value_parser = parse_secret)]
    token: Option<Secret>,
    /// Keep every body, decoded, and its headers in this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Answer STATUS to the next N requests, as 503:3 or 429:1:retry-after=2; may be repeated
    #[arg(long = "fail", value_name = "STATUS:N[:retry-after=S]")]
    fail: Vec<StatusFault>,
    /// Never answer (after the --fail ones)
    #[arg(long, conflicts_with = "reset")]
    hang: bool,
    /// Reset the connection instead of answering (after the --fail ones)
    #[arg(long)]
    reset: bool,
    /// Wait before every answer
    #[arg(long, value_name = "TIME", value_parser = faults::parse_delay)]
    delay: Option<Duration>,
    /// Answer 400 to every batch with an event that holds this text
    #[arg(long, value_name = "TEXT")]
    reject_line: Option<String>,
    /// Show one line for each batch and not its events
    #[arg(long)]
    quiet: bool,
}

/// Receives until Ctrl-C, SIGTERM, or until nobody reads standard output any more.
pub async fn run(args: ReceiveArgs) -> anyhow::Result<Exit> {
    let style = Style { colours: terminal::colours(), quiet: args.quiet };
    let archive = match args.out.as_deref().map(Archive::open).transpose() {
        Ok(archive) => archive,
        Err(error) => {
            let dir = args.out.unwrap_or_default();
            terminal::complain("receive", &format!("cannot keep bodies in {}: {error}", dir.display()));
            return Ok(Exit::CannotCreate);
        }
    };
    let (receiver, deliveries) = match Receiver::bind(args.listen, args.behaviour()).await {
        Ok(bound) => bound,
        Err(error) => {
            terminal::complain(
                "receive",
                &format!("{error}; end what uses port {}, or choose another with --listen", args.listen.port()),
            );
            return Ok(Exit::CannotCreate);
        }
    };
    let (addr, counts) = (receiver.addr(), receiver.counts());
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone()).context("cannot wait for signals")?;
    let server = tokio::spawn(receiver.run(stop.clone()));
    let ended = watch(addr, &counts, deliveries, style, archive).await;
    stop.cancel();
    server.await.context("the receiver panicked")?;
    match ended {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Ok),
        Err(error) => {
            terminal::complain("receive", &error.to_string());
            Ok(Exit::Storage)
        }
        Ok(()) => Ok(Exit::Ok),
    }
}

impl ReceiveArgs {
    fn behaviour(&self) -> Behaviour {
        Behaviour {
            token: self.token.clone(),
            faults: self.fail.clone(),
            then: match (self.hang, self.reset) {
                (true, _) => Then::Hang,
                (_, true) => Then::Reset,
                _ => Then::Answer,
            },
            delay: self.delay.unwrap_or_default(),
            reject_line: self.reject_line.clone(),
        }
    }
}

/// Cancels `stop` on Ctrl-C and on SIGTERM.
fn stop_on_signals(stop: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}

/// Shows and keeps deliveries until the receiver has ended and all that it reported was shown; then sums up.
async fn watch(
    addr: SocketAddr,
    counts: &ReceiverCounts,
    mut deliveries: mpsc::Receiver<Delivery>,
    style: Style,
    mut archive: Option<Archive>,
) -> io::Result<()> {
    terminal::print(&format!("listening on http://{addr}/ (Ctrl-C ends it)\n"))?;
    while let Some(delivery) = deliveries.recv().await {
        if let Some(archive) = &mut archive {
            archive.save(&delivery).map_err(|error| {
                let text = format!("cannot keep a body in the directory of --out: {error}");
                io::Error::other(text)
            })?;
        }
        terminal::print(&style.delivery(&delivery))?;
    }
    terminal::print(&format!(
        "\n{} requests, {} events accepted, {} duplicate batches, {} requests not accepted\n",
        human::count(counts.requests.load(Relaxed)),
        human::count(counts.events.load(Relaxed)),
        human::count(counts.duplicates.load(Relaxed)),
        human::count(counts.rejected.load(Relaxed)),
    ))
}

fn parse_secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}
