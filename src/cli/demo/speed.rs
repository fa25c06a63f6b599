//! The third act: how fast one forwarder goes through a backlog, and what that costs.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{
    application::{Application, Samples},
    cast::Tools,
    directory::forwarder,
    ledger::{ArrivalCounts, Faults, WantedEvents},
    sidecar::{PATIENCE, Sidecar, Usage},
    webhook::{DemoWebhook, guarded},
};
use crate::{admin::human, config::Format};

const ACT: &str = "backlog";
const EVENTS: usize = if cfg!(debug_assertions) { 4_000 } else { 120_000 };
const PAUSE: Duration = Duration::from_millis(10);
const WANTED: WantedEvents = WantedEvents { format: Format::Json, not: &[] };

pub(super) async fn play(tools: Tools<'_>) -> anyhow::Result<()> {
    tools.screen.heading("3. A backlog, as fast as it goes")?;
    let webhook = DemoWebhook::listen(WANTED, guarded(tools.token)).await?;
    let mut application = Application::start(&tools.stage.logs(ACT))?;
    application.write(&Samples::new(), 0..EVENTS)?;
    let config = tools.stage.configure(ACT, &[forwarder("siem", &webhook.uri(), &[])])?;
    let mut sidecar = Sidecar::start(&config, tools.token, tools.client).await?;
    let end = Instant::now() + PATIENCE;
    while webhook.facts().events < EVENTS && Instant::now() < end {
        let arrived = webhook.facts().events;
        tools.screen.progress(&format!("{arrived} of {EVENTS} events"))?;
        sidecar.must_run()?;
        sleep(PAUSE).await;
    }
    let usage = sidecar.usage();
    let (facts, missing, took) = (webhook.facts(), webhook.missing(EVENTS), webhook.took_since(sidecar.started()));
    tools.screen.check(
        missing == 0 && facts.faults == Faults::default(),
        &format!("all {} events arrived: the same bytes, in order, once", human::count(EVENTS as u64)),
        &format!("{missing} are missing, {facts:?}"),
    )?;
    tools.screen.line(&figures(&facts, took, usage))?;
    drop(sidecar);
    Ok(())
}

/// What was measured; in a debug build, that it would say nothing.
fn figures(facts: &ArrivalCounts, took: Duration, usage: Option<Usage>) -> String {
    if cfg!(debug_assertions) {
        return "   this is a debug build: its throughput says nothing, use `cargo run --release -- demo`".to_owned();
    }
    let seconds = took.as_secs_f64();
    let ratio = facts.raw_bytes as f64 / facts.wire_bytes.max(1) as f64;
    let mut text = format!(
        "   {} events, {} in {seconds:.2} s from the start of the process: {} events/s, {}/s\n   \
         gzip made {} of it, {ratio:.0} to 1 (these samples repeat; real events compress less)",
        human::count(facts.events as u64),
        human::bytes(facts.raw_bytes),
        human::count((facts.events as f64 / seconds) as u64),
        human::bytes((facts.raw_bytes as f64 / seconds) as u64),
        human::bytes(facts.wire_bytes),
    );
    if let Some(Usage { cpu, peak_memory_bytes }) = usage {
        let cpu = cpu.as_secs_f64();
        let peak = human::bytes(peak_memory_bytes);
        text += &format!("\n   auditpost used {cpu:.2} CPU-seconds and at most {peak} of memory");
    }
    text + "\n   the webhook, which unpacks and compares every byte, ran beside it on the same machine"
}
