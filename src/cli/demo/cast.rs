//! Who plays: the application, the child process, the webhooks; and waiting for them.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{
    application::{Application, Samples},
    directory::{DemoDirectory, forwarder},
    ledger::WantedEvents,
    scrape::ScrapedMetrics,
    screen::Screen,
    sidecar::{PATIENCE, Sidecar},
    webhook::{DeadPort, DemoWebhook, guarded},
};
use crate::{
    cli::receive::{Behaviour, StatusFault},
    config::Format,
};

/// The types that siem's rules keep back, as the events spell them.
pub(super) const FILTERED: &[&str] = &["EVENT_TYPE_NODE_ATTESTATION", "login"];
/// How often soc refuses before it recovers.
pub(super) const REFUSALS: u32 = 3;
/// siem thinks this long before it answers; long enough to kill its sender meanwhile.
const SIEM_DELAY: Duration = Duration::from_millis(10);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(25);

/// The players of the first two acts. Fields are dropped in their order: the child before what it uses.
pub(super) struct Cast<'a> {
    pub sidecar: Sidecar,
    pub application: Application,
    pub siem: DemoWebhook,
    pub soc: DemoWebhook,
    _archive: DeadPort,
    pub samples: Samples,
    pub config: PathBuf,
    pub tools: Tools<'a>,
    /// Scrapes so far, and those whose books did not balance.
    pub scrapes: usize,
    pub unbalanced: usize,
}

/// What every act needs.
pub(super) struct Tools<'a> {
    pub screen: &'a mut Screen,
    pub stage: &'a DemoDirectory,
    pub client: &'a reqwest::Client,
    pub token: &'a str,
}

/// The act that these players begin with.
pub(super) const ACT: &str = "audit";

impl<'a> Cast<'a> {
    /// Calls all players on to the stage.
    pub(super) async fn call(tools: Tools<'a>) -> anyhow::Result<Self> {
        let siem = WantedEvents { format: Format::Json, not: FILTERED };
        let siem = DemoWebhook::listen(siem, Behaviour { delay: SIEM_DELAY, ..guarded(tools.token) }).await?;
        let refusals =
            StatusFault { status: hyper::StatusCode::SERVICE_UNAVAILABLE, requests: REFUSALS, retry_after: None };
        let soc = WantedEvents { format: Format::Cef, not: &[] };
        let soc = DemoWebhook::listen(soc, Behaviour { faults: vec![refusals], ..guarded(tools.token) }).await?;
        let archive = DeadPort::take()?;
        let application = Application::start(&tools.stage.logs(ACT))?;
        let prompt = "batch: {maxEvents: 500, maxAge: 100ms}";
        let patient = "retry: {initial: 100ms, max: 1s}";
        let config = tools.stage.configure(
            ACT,
            &[
                forwarder("siem", &siem.uri(), &["disabledEvents: [node_attestation, login]", prompt, patient]),
                forwarder("soc", &soc.uri(), &["format: cef", prompt, patient]),
                forwarder("archive", &archive.uri(), &[prompt, patient]),
            ],
        )?;
        let sidecar = Sidecar::start(&config, tools.token, tools.client).await?;
        let samples = Samples::new();
        let (scrapes, unbalanced) = (0, 0);
        Ok(Self { sidecar, application, siem, soc, _archive: archive, samples, config, tools, scrapes, unbalanced })
    }

    /// Scrapes and waits until siem and soc have the first `events` events, nothing of theirs is in flight, and archive
    /// was tried. Where that never comes the last scrape is given all the same: the checks will say what is missing.
    pub(super) async fn wait_for(&mut self, events: usize) -> anyhow::Result<ScrapedMetrics> {
        let end = Instant::now() + PATIENCE;
        loop {
            let scrape = self.scrape().await?;
            let missing = self.siem.missing(events) + self.soc.missing(events);
            let in_flight = scrape.of("siem").in_flight + scrape.of("soc").in_flight;
            let settled = missing == 0 && in_flight == 0 && scrape.failed_requests("archive") > 0;
            if settled || Instant::now() > end {
                return Ok(scrape);
            }
            self.show_progress()?;
            sleep(PAUSE).await;
        }
    }

    /// One scrape; it counts whether the books balance.
    pub(super) async fn scrape(&mut self) -> anyhow::Result<ScrapedMetrics> {
        let scrape = self.sidecar.scrape().await?;
        if let Some(unbalanced) = scrape.unbalanced() {
            self.scrapes += 1;
            self.unbalanced += usize::from(unbalanced > 0);
        }
        Ok(scrape)
    }

    pub(super) fn show_progress(&mut self) -> anyhow::Result<()> {
        let (siem, soc) = (self.siem.facts().events, self.soc.facts().events);
        Ok(self.tools.screen.progress(&format!("arrived at siem {siem}, at soc {soc}"))?)
    }
}
