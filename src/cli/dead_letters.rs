//! `auditpost dead-letters`: what could not be delivered, why, and another try.
//!
//! Reads only; it needs no lock and may run beside the instance that writes them.

use std::{
    io::{self, Write},
    path::Path,
};

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use crate::forwarder::dead_letter::{Letter, LetterFilter, Letters, Reason, select};

use super::{
    exit::Exit,
    failure::{Failure, report},
    printable::printable,
};

#[derive(Debug, clap::Args)]
pub struct DeadLettersArgs {
    #[command(subcommand)]
    command: DeadLettersCommand,
}

#[derive(Debug, clap::Subcommand)]
enum DeadLettersCommand {
    /// A table of the dead letters
    List(Selection),
    /// Print an event's bytes, exactly, and nothing else
    Show {
        event_id: String,
        /// The forwarder, where several have the event
        #[arg(long)]
        forwarder: Option<String>,
    },
    /// Send the chosen letters again, under their event ids
    Replay {
        #[command(flatten)]
        selection: Selection,
        /// Only count what would be sent
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Selection {
    /// Only this forwarder's letters
    #[arg(long)]
    forwarder: Option<String>,
    /// Only letters with this reason
    #[arg(long, value_parser = Reason::ALL.map(Reason::as_str))]
    reason: Option<String>,
    /// Only letters since then: 2026-01-31T12:00:00Z, 2026-01-31 (UTC), or an age such as 90s, 30m, 12h, 7d
    #[arg(long, value_parser = parse_since)]
    since: Option<Timestamp>,
}

impl From<&Selection> for LetterFilter {
    fn from(selection: &Selection) -> Self {
        let Selection { forwarder, reason, since } = selection;
        Self { forwarder: forwarder.clone(), reason: reason.clone(), since: *since }
    }
}

/// Runs the command. `send` is given the letters of a replay and sends them.
pub fn run(args: &DeadLettersArgs, state_dir: &Path, send: impl FnOnce(Letters) -> Exit) -> Exit {
    report(|out| execute(args, state_dir, out, send))
}

fn execute(
    args: &DeadLettersArgs,
    state_dir: &Path,
    out: &mut dyn Write,
    send: impl FnOnce(Letters) -> Exit,
) -> Result<Exit, Failure> {
    match &args.command {
        DeadLettersCommand::List(selection) => list(select(state_dir, selection.into())?, out),
        DeadLettersCommand::Show { event_id, forwarder } => {
            let filter = LetterFilter { forwarder: forwarder.clone(), ..LetterFilter::default() };
            show(select(state_dir, filter)?, event_id, out)
        }
        DeadLettersCommand::Replay { selection, dry_run: true } => count(select(state_dir, selection.into())?, out),
        DeadLettersCommand::Replay { selection, dry_run: false } => Ok(send(select(state_dir, selection.into())?)),
    }
}

fn list(mut letters: Letters, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut any = false;
    for letter in letters.by_ref() {
        if !any {
            row(out, ["EVENT ID", "TIME", "FORWARDER", "REASON", "STATUS", "BYTES", "EXCERPT"])?;
            any = true;
        }
        let Letter { event_id, time, forwarder, reason, status, bytes, excerpt, .. } = letter?;
        let time = time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let status = status.map_or_else(|| "-".into(), |status| status.to_string());
        let excerpt: String = excerpt.chars().take(80).collect();
        let texts =
            [&event_id, &time, &forwarder, &reason, &status, &bytes.to_string(), &excerpt].map(|t| printable(t));
        row(out, texts.each_ref().map(String::as_str))?;
    }
    if !any {
        writeln!(out, "no dead letters")?;
    }
    unreadable(&letters, out)
}

/// Fixed columns: the letters may be too many to be held for their widths.
fn row(out: &mut dyn Write, columns: [&str; 7]) -> io::Result<()> {
    let [id, time, forwarder, reason, status, bytes, excerpt] = columns;
    writeln!(out, "{id:<36}  {time:<20}  {forwarder:<16}  {reason:<13}  {status:>6}  {bytes:>10}  {excerpt}")
}

fn show(letters: Letters, event_id: &str, out: &mut dyn Write) -> Result<Exit, Failure> {
    for letter in letters {
        let letter = letter?;
        if letter.event_id == event_id {
            letter.copy_payload(out)?;
            return Ok(Exit::Ok);
        }
    }
    Err(Failure::usage(format!(
        "there is no dead letter with the event id {event_id:?}; `dead-letters list` shows them"
    )))
}

fn count(mut letters: Letters, out: &mut dyn Write) -> Result<Exit, Failure> {
    let (mut events, mut bytes) = (0_u64, 0_u64);
    for letter in letters.by_ref() {
        events += 1;
        bytes = bytes.saturating_add(letter?.bytes);
    }
    writeln!(out, "{events} events ({bytes} bytes) would be sent again; nothing was sent")?;
    unreadable(&letters, out)
}

fn unreadable(letters: &Letters, out: &mut dyn Write) -> Result<Exit, Failure> {
    out.flush()?;
    match letters.unreadable() {
        0 => Ok(Exit::Ok),
        lines => Err(Failure::Told(
            Exit::Storage,
            format!(
                "{lines} lines of the dead letters are no letters of this version and are not among these: look at \
                     the files under dead-letters/ in the state directory"
            ),
        )),
    }
}

pub(super) fn parse_since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(date) = text.parse::<Date>() {
        return date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(|e| e.to_string());
    }
    age(text).and_then(|age| Timestamp::now().checked_sub(age).ok()).ok_or_else(|| {
        "expected a time such as 2026-01-31T12:00:00Z, a date, or an age such as 90s, 30m, 12h, 7d".into()
    })
}

fn age(text: &str) -> Option<SignedDuration> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86400,
        _ => return None,
    };
    let number: u32 = text[..text.len() - 1].parse().ok()?;
    Some(SignedDuration::from_secs(i64::from(number) * unit))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::forwarder::dead_letter::{DeadLetter, DeadLetters, LetterEnvelope};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: DeadLettersArgs,
    }

    fn state() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut letters = DeadLetters::open(dir.path(), "siem").unwrap();
        for (event_id, reason, payload) in
            [("e1", Reason::Refused, b"{\"a\":1}".as_slice()), ("e2", Reason::InvalidUtf8, b"\xff\x00\n")]
        {
            let envelope = LetterEnvelope {
                event_id,
                source: "connect",
                reason,
                status: Some(422),
                excerpt: "no\x1b[2J",
                time: "2026-01-02T03:04:05.678Z".parse().unwrap(),
                detail: "",
            };
            letters.write(&[DeadLetter { envelope, payload }]).unwrap();
        }
        dir
    }

    fn command(state_dir: &Path, line: &str) -> (Result<Exit, Failure>, Vec<u8>, usize) {
        let args = Cli::try_parse_from(format!("x {line}").split(' ')).unwrap().args;
        let (mut out, mut sent) = (Vec::new(), 0);
        let result = execute(&args, state_dir, &mut out, |letters| {
            sent = letters.count();
            Exit::Ok
        });
        (result, out, sent)
    }

    #[test]
    fn list_shows_what_is_known_and_nothing_that_a_terminal_would_obey() {
        let (result, out, _) = command(state().path(), "list --reason refused --since 2026-01-02");
        let text = String::from_utf8(out).unwrap();
        assert_eq!(result.unwrap(), Exit::Ok);
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1], ["e1", "2026-01-02T03:04:05Z", "siem", "refused", "422", "7", r"no\u{1b}[2J"]);
    }

    #[test]
    fn show_prints_the_exact_bytes() {
        let dir = state();
        assert_eq!(command(dir.path(), "show e2").1, b"\xff\x00\n");
        assert_eq!(command(dir.path(), "show e1 --forwarder siem").1, b"{\"a\":1}");
        for unknown in ["show e3", "show e1 --forwarder other"] {
            let (result, out, _) = command(dir.path(), unknown);
            assert!(matches!(result, Err(Failure::Told(Exit::Usage, _))) && out.is_empty(), "{unknown}");
        }
    }

    #[test]
    fn a_dry_run_counts_and_sends_nothing_while_a_replay_hands_over_what_was_chosen() {
        let dir = state();
        let (result, out, sent) = command(dir.path(), "replay --dry-run --forwarder siem");
        assert_eq!((result.unwrap(), sent), (Exit::Ok, 0));
        assert_eq!(String::from_utf8(out).unwrap(), "2 events (10 bytes) would be sent again; nothing was sent\n");
        assert_eq!(command(dir.path(), "replay --reason invalid_utf8").2, 1);
        assert_eq!(command(dir.path(), "replay --since 2026-01-02T03:04:06Z").2, 0);
    }

    #[test]
    fn since_takes_times_dates_and_ages_and_refuses_the_rest() {
        assert_eq!(parse_since("2026-01-31").unwrap(), "2026-01-31T00:00:00Z".parse().unwrap());
        let ago = Timestamp::now().duration_since(parse_since("2h").unwrap()).as_secs();
        assert!((7190..7260).contains(&ago), "{ago}");
        for wrong in ["", "2", "h", "-2h", "2w", "yesterday", "é", "99999999999d"] {
            assert!(parse_since(wrong).is_err(), "{wrong}");
        }
        assert!(Cli::try_parse_from(["x", "list", "--reason", "refusd"]).is_err());
    }
}
