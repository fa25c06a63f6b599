//! What a run says when it ends: that everything is delivered only where that is true.

use std::fmt;

use super::{App, removed::RemovedForwarder};
use crate::{
    admin::human,
    alarm::{Alarm, AlarmKind, AlarmSubject},
    forwarder::window::ForwarderEnd,
};

/// How a run ended.
#[derive(Debug)]
pub struct AppEnd {
    pub forwarders: ForwarderEnd,
    pub shortfalls: Shortfalls,
}

/// What was not delivered, beside what forwarders that run have left.
#[derive(Debug, Default)]
pub struct Shortfalls {
    /// Of all forwarders, in this run.
    dead_letters: u64,
    gaps: u64,
    gap_bytes: u64,
    unknown_gaps: u64,
    /// What sources lost in this run before any forwarder could see it.
    lost: Vec<String>,
    /// What is wrong with files that cannot be read, by source.
    unread: Vec<String>,
    /// Of sources: why new files wait.
    waiting: Vec<String>,
    unfinished_lines: usize,
    /// Bytes that forwarders which are no longer configured have not delivered.
    of_removed: Vec<(String, u64)>,
}

impl Shortfalls {
    /// Of what runs, and what it has told.
    pub(super) fn of(app: &App, unfinished_lines: usize) -> Self {
        let mut shortfalls = Self { unfinished_lines, ..Self::default() };
        let forwarders = app.registry.forwarders();
        for source in forwarders.iter().flat_map(|stats| stats.snapshot().sources) {
            shortfalls.dead_letters += source.books.dead_lettered();
            shortfalls.gaps += source.books.gap();
            shortfalls.gap_bytes += source.books.gap_bytes();
            shortfalls.unknown_gaps += source.books.unknown_gaps();
        }
        for Alarm { subject, kind, text, .. } in app.registry.alarms.raised() {
            let is_files = matches!(subject, AlarmSubject::Source(_) | AlarmSubject::Files(_));
            let said = format!("{subject}: {text}");
            match (&subject, kind) {
                // The books of forwarders have theirs.
                (AlarmSubject::Forwarder(_), AlarmKind::Gap) => {}
                (_, AlarmKind::Gap) => shortfalls.lost.push(said),
                (_, AlarmKind::File) if is_files => shortfalls.unread.push(said),
                (_, AlarmKind::State) if is_files => shortfalls.waiting.push(said),
                _ => {}
            }
        }
        let left = app.removed.values().map(RemovedForwarder::left);
        shortfalls.of_removed = left.filter(|(_, bytes)| *bytes > 0).collect();
        shortfalls
    }

    /// Whether something is left that a later run can deliver.
    pub fn is_backlog(&self) -> bool {
        self.unfinished_lines > 0 || !self.waiting.is_empty() || !self.of_removed.is_empty()
    }

    /// Whether something was set aside or lost, or could not be read.
    pub fn is_loss(&self) -> bool {
        self.dead_letters > 0 || self.gaps > 0 || !self.lost.is_empty() || !self.unread.is_empty()
    }
}

impl fmt::Display for Shortfalls {
    /// `3 dead letters were written (auditpost dead-letters list); …`; nothing where all is delivered.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.dead_letters > 0 {
            let letters = were(self.dead_letters, "dead letter");
            parts.push(format!("{letters} written (auditpost dead-letters list)"));
        }
        if self.gaps > 0 {
            let size = match (self.gap_bytes, self.unknown_gaps) {
                (bytes, 0) => human::bytes(bytes),
                (0, _) => "of unknown size".to_owned(),
                (bytes, unknown) => format!("{}, and {unknown} of unknown size", human::bytes(bytes)),
            };
            parts.push(format!("{} recorded: {size} (auditpost gaps list)", were(self.gaps, "gap")));
        }
        parts.extend(self.lost.iter().chain(&self.unread).cloned());
        parts.extend(self.waiting.iter().map(|why| format!("{why}, and new files wait")));
        match self.unfinished_lines {
            0 => {}
            1 => parts.push("1 last line without its end is left, as told above".to_owned()),
            lines => parts.push(format!("{lines} last lines without their ends are left, as told above")),
        }
        for (name, bytes) in &self.of_removed {
            let bytes = human::bytes(*bytes);
            parts.push(format!("forwarder {name}, which is no longer configured, has not delivered {bytes}"));
        }
        f.write_str(&parts.join("; "))
    }
}

fn were(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what} was") } else { format!("{} {what}s were", human::count(count)) }
}
