//! `auditpost status`: asks the admin pages of a running auditpost and prints a table.
//!
//! Where nothing answers, the exit status is 74, so that a script can tell that from a held forwarder, which is shown
//! and ends with 0.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use reqwest::{Client, StatusCode, Url, redirect};
use tokio::time;

use super::{exit::Exit, state_dir, terminal};
use crate::{
    admin::{
        human,
        status::{ForwarderStatus, SpoolUse, Status},
    },
    config,
    forwarder::stats::ForwarderState,
};

/// Show where the forwarders of a running auditpost stand.
#[derive(Clone, Debug, clap::Args)]
pub struct StatusArgs {
    /// Where its admin pages are: `admin.listen` of its configuration
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9600", value_parser = parse_url)]
    admin: Url,
    /// Take the address from `admin.listen` of this configuration
    #[arg(short, long, value_name = "FILE", conflicts_with = "admin")]
    config: Option<PathBuf>,
    /// One JSON object, as `/status` gives it
    #[arg(long)]
    json: bool,
}

/// `http://` may be left out.
fn parse_url(text: &str) -> Result<Url, String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    url.parse().map_err(|error| format!("{error}"))
}

const TIMEOUT: Duration = Duration::from_secs(5);
/// Between the two looks that give the rates.
const INTERVAL: Duration = Duration::from_secs(1);
const MAX_BYTES: usize = 16 << 20;

/// Exit status 0 where it answered, 74 where it did not.
pub async fn run(args: StatusArgs) -> anyhow::Result<Exit> {
    let admin = match &args.config {
        None => args.admin.clone(),
        Some(path) => match admin_of(path) {
            Ok(admin) => admin,
            Err(exit) => return Ok(exit),
        },
    };
    let looks = async {
        let client = client()?;
        let url = admin.join("/status").context("no usable URL")?;
        let first = fetch(&client, url.clone()).await?;
        if args.json {
            return Ok((first.clone(), first));
        }
        time::sleep(INTERVAL).await;
        Ok::<_, anyhow::Error>((first, fetch(&client, url).await?))
    };
    let (before, now) = match looks.await {
        Ok(looks) => looks,
        Err(error) => {
            terminal::complain(
                "status",
                &format!(
                    "nothing usable at {}: {error:#}; is it running, with `admin.listen` in its configuration? \
                     (--admin takes another address)",
                    admin
                ),
            );
            return Ok(Exit::Storage);
        }
    };
    let text = if args.json { format!("{:#}\n", serde_json::json!(now)) } else { render(&before, &now) };
    match terminal::print(&text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Ok),
        Err(error) => Err(error).context("cannot print"),
        Ok(()) => Ok(Exit::Ok),
    }
}

/// Where the pages of a configuration are. One that listens on every address is asked on this machine's own.
fn admin_of(path: &Path) -> Result<Url, Exit> {
    let (config, _) = state_dir::load_to_read(path, &config::environment)?;
    let Some(admin) = config.admin else {
        terminal::complain(
            "status",
            &format!("{} has no `admin.listen`, so there are no pages to ask", path.display()),
        );
        return Err(Exit::Config);
    };
    let mut address = admin.listen;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    parse_url(&address.to_string()).map_err(|_| Exit::Software)
}

fn client() -> anyhow::Result<Client> {
    // It may be installed already; either is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .timeout(TIMEOUT)
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .context("cannot make an HTTP client")
}

async fn fetch(client: &Client, url: Url) -> anyhow::Result<Status> {
    let mut response = client.get(url).send().await.map_err(root_cause)?;
    if response.status() != StatusCode::OK {
        bail!("it answered {}", response.status());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(root_cause)? {
        body.extend_from_slice(&chunk);
        ensure!(body.len() <= MAX_BYTES, "the answer is too large");
    }
    serde_json::from_slice(&body).context("the answer is not auditpost's status")
}

/// The innermost error: `Connection refused` says more than the layers around it.
fn root_cause(error: reqwest::Error) -> anyhow::Error {
    let error = anyhow::Error::from(error.without_url());
    anyhow::Error::msg(error.root_cause().to_string())
}

/// The whole text. Rates are of the time between the two looks.
fn render(before: &Status, now: &Status) -> String {
    let mut text = format!("auditpost {}, running for {}\n", now.version, human::seconds(now.uptime_seconds));
    text += "\n";
    text += &forwarders(before, now);
    text += "\n";
    text += &sources(now);
    for sentence in now.stuck.iter().chain(&now.not_ready) {
        text += &format!("\nNOT WELL  {}", terminal::escape(sentence));
    }
    for alarm in &now.alarms {
        text += &format!(
            "\nALARM  {}: {} (since {}): {}",
            terminal::escape(&alarm.object),
            alarm.kind,
            alarm.since,
            terminal::escape(&alarm.text)
        );
    }
    if now.alarms.is_empty() {
        text += "\nno alarms";
    }
    text + "\n"
}

fn forwarders(before: &Status, now: &Status) -> String {
    let mut table = StatusTable::new([
        "FORWARDER",
        "STATE",
        "BACKLOG",
        "OLDEST",
        "DELIVERED",
        "PER SECOND",
        "FILTERED",
        "DEAD",
        "GAP",
        "IN FLIGHT",
        "LAST ERROR",
    ]);
    for forwarder in &now.forwarders {
        let delivered = |forwarder: &ForwarderStatus| forwarder.sum(|source| source.delivered);
        let earlier = before.forwarders.iter().find(|earlier| earlier.name == forwarder.name).map_or(0, delivered);
        let trouble = match (&forwarder.last_error, &forwarder.reason) {
            (Some(error), _) => format!("{} {}", error.at, error.text),
            // One that was not started has had no chance to fail.
            (None, Some(reason)) if forwarder.state == ForwarderState::Stopped.name() => reason.clone(),
            (None, _) => String::new(),
        };
        table.row([
            forwarder.name.clone(),
            forwarder.state.clone(),
            human::bytes(forwarder.sum(|source| source.backlog_bytes)),
            human::seconds(forwarder.oldest_unsettled_age_seconds()),
            human::count(delivered(forwarder)),
            human::count(delivered(forwarder).saturating_sub(earlier) / INTERVAL.as_secs()),
            human::count(forwarder.sum(|source| source.filtered)),
            human::count(forwarder.sum(|source| source.dead_lettered)),
            human::count(forwarder.sum(|source| source.gap)),
            human::count(forwarder.sum(|source| source.in_flight)),
            trouble,
        ]);
    }
    table.render()
}

fn sources(now: &Status) -> String {
    let mut table =
        StatusTable::new(["SOURCE", "FILES OPEN", "FILES MATCHED", "TRUNCATIONS", "CONNECTIONS", "REFUSED", "SPOOL"]);
    for source in &now.sources {
        table.row([
            source.name.clone(),
            human::count(source.files_open),
            human::count(source.files_matched),
            human::count(source.truncations),
            human::count(source.connections),
            human::count(source.refused),
            source.spool.as_ref().map_or("none".to_owned(), SpoolUse::to_string),
        ]);
    }
    table.render()
}

/// Columns as wide as their widest cell, two spaces apart.
struct StatusTable<const N: usize>(Vec<[String; N]>);

impl<const N: usize> StatusTable<N> {
    fn new(head: [&str; N]) -> Self {
        Self(vec![head.map(str::to_owned)])
    }

    fn row(&mut self, cells: [String; N]) {
        self.0.push(cells.map(|cell| terminal::escape(&cell).into_owned()));
    }

    fn render(&self) -> String {
        let mut widths = [0; N];
        for row in &self.0 {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut text = String::new();
        for row in &self.0 {
            let cells = widths.iter().zip(row);
            let line: String = cells.map(|(width, cell)| format!("{cell:<width$}  ")).collect();
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::sync::Arc;

    use jiff::Timestamp;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{
        admin::{AdminServer, Registry},
        alarm::{AlarmKind, AlarmSubject},
        config,
        forwarder::stats::{ForwarderStats, Tally},
    };

    fn deliver(siem: &ForwarderStats, events: u64) {
        let mut tally = Tally::default();
        tally.read(events, events * 100);
        tally.delivered(events);
        siem.enter("app", &tally);
    }

    #[test]
    fn the_table_says_where_a_forwarder_stands() {
        let start = Timestamp::constant(1_700_000_000, 0);
        let now = Timestamp::constant(1_700_000_200, 0);
        let registry = Registry::new(start);
        let siem = Arc::new(ForwarderStats::new("siem", ["app"], start));
        registry.set_forwarders(vec![siem.clone()]);
        deliver(&siem, 1000);
        let before = Status::of(&registry, now);
        deliver(&siem, 234);
        siem.set_backlog("app", 1_500_000, Some(start));
        siem.set_state(ForwarderState::Held, None, now);
        siem.failed("401 \x1b[2J", now);
        registry.alarms.raise(&AlarmSubject::forwarder("siem"), AlarmKind::Held, "401", now);
        let text = render(&before, &Status::of(&registry, now));
        let row = text.lines().find(|line| line.starts_with("siem")).unwrap();
        let cells: Vec<&str> = row.split("  ").filter(|cell| !cell.is_empty()).collect();
        let cells: Vec<&str> = cells.iter().map(|cell| cell.trim()).collect();
        assert_eq!(
            cells,
            [
                "siem",
                "held",
                "1.5 MB",
                "3m 20s",
                "1 234",
                "234",
                "0",
                "0",
                "0",
                "0",
                "2023-11-14T22:16:40Z 401 \\u{1b}[2J"
            ]
        );
        assert!(text.contains("ALARM  forwarder siem: held (since 2023-11-14T22:16:40Z): 401"));
        assert!(!text.contains("no alarms"));
    }

    #[tokio::test]
    async fn it_asks_a_running_server_and_says_when_there_is_none() {
        let registry = Arc::new(Registry::new(Timestamp::now()));
        let admin = config::Admin { listen: "127.0.0.1:0".parse().unwrap() };
        let server = AdminServer::bind(&admin, registry).await.unwrap();
        let url: Url = format!("http://{}/status", server.addr()).parse().unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(server.run(stop.clone()));
        let status = fetch(&client().unwrap(), url.clone()).await.unwrap();
        assert_eq!(status.version, crate::VERSION);

        stop.cancel();
        running.await.unwrap();
        let error = fetch(&client().unwrap(), url.clone()).await.unwrap_err();
        assert!(error.to_string().contains("refused"), "{error}");
        let exit = run(StatusArgs { admin: url, config: None, json: false }).await.unwrap();
        assert_eq!(exit, Exit::Storage);
    }
}
