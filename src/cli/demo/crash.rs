//! The second act: SIGKILL in the midst of the work, rotation before and after it, and the start again.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::{
    cast::Cast,
    ledger::Faults,
    scrape::ScrapedMetrics,
    sidecar::{PATIENCE, Sidecar},
    table::DemoTable,
};
use crate::{admin::human, cli::exit::Exit};

/// A debug build is slow, and its figures mean nothing.
const EVENTS: usize = if cfg!(debug_assertions) { 4_000 } else { 40_000 };
/// The application writes in so many steps, …
const STEPS: usize = 150;
/// … one after the other.
const STEP: Duration = Duration::from_millis(10);
/// Every so many steps the books are looked at.
const SCRAPE: usize = 5;
/// In the course of the steps: rotation while it runs, the kill, rotation while it is dead, the start.
const ROTATE: usize = 40;
const KILL: usize = 75;
const ROTATE_DEAD: usize = 80;
const START: usize = 90;

/// What was measured on the way.
struct Course {
    bytes: u64,
    wrote_for: Duration,
    arrived_before_kill: usize,
    dead_for: Duration,
}

pub(super) async fn play(cast: Cast<'_>) -> anyhow::Result<()> {
    let first = cast.samples.len();
    cast.tools.screen.heading("2. kill -9 in the midst, log rotation before and after it")?;
    let (mut cast, course) = write_and_kill(cast, first).await?;
    let all = first + EVENTS;
    let scrape = cast.wait_for(all).await?;

    let screen = &mut *cast.tools.screen;
    screen.line(&format!(
        "   {} more events ({}) in {:.1} s; connect.ndjson rotated while auditpost ran, konnect.ndjson while it was dead",
        human::count(EVENTS as u64),
        human::bytes(course.bytes),
        course.wrote_for.as_secs_f64(),
    ))?;
    screen.line(&format!(
        "   killed when siem had taken {} events and was about to answer; started again after {} ms",
        human::count(course.arrived_before_kill as u64),
        course.dead_for.as_millis(),
    ))?;
    check_arrivals(&mut cast, all)?;
    check_books(&mut cast, &scrape)?;
    stop(cast).await
}

/// The application writes on, whatever happens to the child.
async fn write_and_kill(mut cast: Cast<'_>, first: usize) -> anyhow::Result<(Cast<'_>, Course)> {
    let (bytes, begun) = (cast.application.bytes, Instant::now());
    let mut arrived_before_kill = 0;
    let mut killed_at = None;
    let mut dead_for = Duration::ZERO;
    for step in 0..STEPS {
        let from = |step: usize| first + EVENTS * step / STEPS;
        cast.application.write(&cast.samples, from(step)..from(step + 1))?;
        match step {
            ROTATE => cast.application.rotate("connect")?,
            KILL => {
                // What siem has taken and not yet answered is what a kill can make come twice.
                cast.siem.next_request(PATIENCE).await;
                cast.sidecar.kill()?;
                killed_at = Some(Instant::now());
                arrived_before_kill = cast.siem.facts().events;
            }
            ROTATE_DEAD => cast.application.rotate("konnect")?,
            START => {
                cast.sidecar = Sidecar::start(&cast.config, cast.tools.token, cast.tools.client).await?;
                dead_for = killed_at.map_or(Duration::ZERO, |at| cast.sidecar.started() - at);
            }
            _ => {}
        }
        if step % SCRAPE == 0 && !(KILL..START).contains(&step) {
            cast.scrape().await?;
        }
        cast.show_progress()?;
        sleep(STEP).await;
    }
    let bytes = cast.application.bytes - bytes;
    Ok((cast, Course { bytes, wrote_for: begun.elapsed(), arrived_before_kill, dead_for }))
}

fn check_arrivals(cast: &mut Cast<'_>, all: usize) -> anyhow::Result<()> {
    let (siem_missing, siem) = (cast.siem.missing(all), cast.siem.facts());
    let (soc_missing, soc) = (cast.soc.missing(all), cast.soc.facts());
    let screen = &mut *cast.tools.screen;
    screen.check(
        siem_missing + soc_missing == 0,
        &format!(
            "lost: 0. siem has all its {} events, soc all its {}",
            human::count(siem.events as u64),
            human::count(soc.events as u64)
        ),
        &format!("siem lacks {siem_missing}, soc {soc_missing}"),
    )?;
    let twice = siem.known_duplicates + soc.known_duplicates;
    let batches = siem.known_batches + soc.known_batches;
    let faults = (siem.faults, soc.faults);
    screen.check(
        faults.0.unknown_duplicates + faults.1.unknown_duplicates + faults.0.changed + faults.1.changed == 0,
        &format!(
            "{} events came twice, in {batches} that the receiver knows again: same id, same bytes",
            human::count(twice as u64),
            batches = if batches == 1 { "1 batch".to_owned() } else { format!("{batches} batches") },
        ),
        &format!("{faults:?}"),
    )?;
    screen.check(
        faults == (Faults::default(), Faults::default()),
        "byte for byte at siem, and in the order written, over the kill and both rotations",
        &format!("{faults:?}"),
    )?;
    Ok(())
}

fn check_books(cast: &mut Cast<'_>, scrape: &ScrapedMetrics) -> anyhow::Result<()> {
    let mut table = DemoTable::new(
        &["since the restart"],
        &["read", "delivered", "filtered", "dead letters", "gap", "in flight"],
    );
    for name in ["siem", "soc", "archive"] {
        let books = scrape.of(name);
        table.row(
            &[name],
            &[books.read, books.delivered, books.filtered, books.dead_lettered, books.gap, books.in_flight],
        );
    }
    let (scrapes, unbalanced) = (cast.scrapes, cast.unbalanced);
    cast.tools.screen.line(&table.render())?;
    cast.tools.screen.check(
        scrapes > 0 && unbalanced == 0,
        &format!("in each of {scrapes} scrapes read = delivered + filtered + dead letters + gap + in flight"),
        &format!("in {unbalanced} of {scrapes} they do not"),
    )?;
    Ok(())
}

async fn stop(mut cast: Cast<'_>) -> anyhow::Result<()> {
    let status = cast.sidecar.stop().await?;
    let screen = &mut *cast.tools.screen;
    screen.check(
        status == Some(Exit::Backlog as i32),
        "stopped (SIGTERM) with exit status 10: archive is still down, all that it wants waits safely",
        &format!("the exit status is {status:?}"),
    )?;
    Ok(())
}
