//! The first act: the sample events, a webhook that is well, one that recovers, one that is down.

use std::time::Instant;

use super::{
    application::MALFORMED,
    cast::{ACT, Cast, FILTERED, REFUSALS},
    ledger::Faults,
    scrape::ScrapedMetrics,
    table::DemoTable,
};
use crate::{
    cli::terminal::escape,
    forwarder::dead_letter::{LetterFilter, Reason, select},
};

/// Of an example line, this many characters are shown.
const EXAMPLE: usize = 84;

pub(super) async fn play(cast: &mut Cast<'_>) -> anyhow::Result<()> {
    let events = cast.samples.len();
    cast.tools.screen.heading("1. Four systems write audit events, three webhooks want them")?;
    cast.tools.screen.line(&format!(
        "   {events} sample events of Connect, InfraKitchen, Konnect and Chainloop, and one line that is cut off"
    ))?;
    cast.application.write(&cast.samples, 0..events)?;
    cast.application.write_malformed()?;
    let written = Instant::now();
    let scrape = cast.wait_for(events).await?;

    let mut table = DemoTable::new(&["webhook", "takes"], &["arrived", "filtered", "failed tries", "dead letters"]);
    for (name, takes, arrived) in [
        ("siem", "JSON lines, some types filtered", cast.siem.facts().events),
        ("soc", "CEF, answers 503 three times", cast.soc.facts().events),
        ("archive", "JSON lines, but nobody listens", 0),
    ] {
        let books = scrape.of(name);
        let tries = scrape.failed_requests(name);
        table.row(&[name, takes], &[arrived as u64, books.filtered, tries, books.dead_lettered]);
    }
    cast.tools.screen.line(&table.render())?;
    for (name, webhook) in [("siem", &cast.siem), ("soc", &cast.soc)] {
        let example: String = webhook.example().unwrap_or_default().chars().take(EXAMPLE).collect();
        cast.tools.screen.line(&format!("   {:<9}{}…", format!("{name} got"), escape(&example)))?;
    }
    check(cast, events, &scrape, written)
}

fn check(cast: &mut Cast<'_>, events: usize, scrape: &ScrapedMetrics, written: Instant) -> anyhow::Result<()> {
    let wanted = (0..events).filter(|n| !cast.samples.is_one_of(*n, FILTERED)).count();
    let (missing, siem, took) = (cast.siem.missing(events), cast.siem.facts(), cast.siem.took_since(written));
    let (soc_missing, soc) = (cast.soc.missing(events), cast.soc.facts());
    let letters = dead_letters(cast)?;
    let (filtered, archived, tries) =
        (scrape.of("siem").filtered, scrape.of("archive").delivered, scrape.failed_requests("archive"));
    let screen = &mut *cast.tools.screen;
    screen.check(
        missing == 0 && siem.events == wanted && siem.faults == Faults::default(),
        &format!("siem has all {wanted} events that its rules let pass: the same bytes, in order, once"),
        &format!("{missing} are missing, {siem:?}"),
    )?;
    screen.check(
        filtered as usize == events - wanted,
        &format!("{} events were filtered by `disabledEvents: [node_attestation, login]`", events - wanted),
        &format!("{filtered} were"),
    )?;
    screen.check(
        soc_missing == 0
            && soc.refused == REFUSALS as usize
            && soc.retries >= soc.refused
            && soc.faults == Faults::default(),
        &format!(
            "soc has all {events}: what it refused came again, {} times, under the same id with the same bytes",
            soc.retries
        ),
        &format!("{soc_missing} are missing, {soc:?}"),
    )?;
    screen.check(
        letters == [(Reason::InvalidJson.as_str().to_owned(), MALFORMED.to_owned())],
        "the line that was cut off is in the dead letters, whole, with its reason: invalid_json",
        &format!("there are {letters:?}"),
    )?;
    screen.check(
        archived == 0 && tries > 0 && missing == 0,
        &format!(
            "archive is down and delayed nobody: siem had everything {} ms after it was written",
            took.as_millis()
        ),
        &format!("archive has {archived} after {tries} failed tries, siem lacks {missing}"),
    )?;
    Ok(())
}

/// Reason and payload of each of siem's.
fn dead_letters(cast: &Cast<'_>) -> anyhow::Result<Vec<(String, String)>> {
    let filter = LetterFilter { forwarder: Some("siem".to_owned()), ..LetterFilter::default() };
    let mut found = Vec::new();
    for letter in select(&cast.tools.stage.state(ACT), filter)? {
        let letter = letter?;
        let mut payload = Vec::new();
        letter.copy_payload(&mut payload)?;
        found.push((letter.reason, String::from_utf8_lossy(&payload).into_owned()));
    }
    Ok(found)
}
