//! `cursors list --json`.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::{Files, KnownSegment};
use crate::forwarder::journal::Recovered;

/// Where a forwarder stands in a source. Offsets and sizes are bytes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct ListedCursors {
    forwarder: String,
    source: String,
    /// Events since the journal began.
    delivered: u64,
    filtered: u64,
    dead_lettered: u64,
    /// Events known to have been in gaps.
    gap: u64,
    gap_bytes: u64,
    /// Gaps of which nobody knows how large they are.
    unknown_gaps: u64,
    /// Announced and not settled.
    outstanding_batches: u64,
    outstanding_events: u64,
    segments: Vec<ListedSegment>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ListedSegment {
    segment: u64,
    settled: u64,
    read: u64,
    /// The file, as it was called last.
    path: Option<String>,
    /// Every forwarder is past it, and it is never read again.
    released: bool,
}

pub(super) fn list_as_json(name: &str, known: &Recovered, files: Files<'_>, out: &mut dyn Write) -> io::Result<()> {
    for (source, cursors) in &known.read_cursors {
        let totals = known.totals.get(source).copied().unwrap_or_default();
        let outstanding = || known.outstanding.iter().filter(|batch| batch.source == *source);
        let settled = known.settled_cursors(source);
        let segments = cursors.iter().map(|(segment, cursor)| {
            let (path, released) = match files(source, *segment) {
                KnownSegment::Read(path) => (Some(path), false),
                KnownSegment::Released(path) => (Some(path), true),
                KnownSegment::Unknown => (None, false),
            };
            ListedSegment {
                segment: segment.0,
                settled: settled.get(segment).copied().unwrap_or(cursor.offset),
                read: cursor.offset,
                path: path.map(|path| path.to_string_lossy().into_owned()),
                released,
            }
        });
        let listed = ListedCursors {
            forwarder: name.to_owned(),
            source: source.clone(),
            delivered: totals.delivered,
            filtered: totals.filtered,
            dead_lettered: totals.dead_lettered,
            gap: totals.gap,
            gap_bytes: totals.gap_bytes,
            unknown_gaps: totals.unknown_gaps,
            outstanding_batches: outstanding().count() as u64,
            outstanding_events: outstanding().map(|batch| batch.covers.events).fold(0, u64::saturating_add),
            segments: segments.collect(),
        };
        serde_json::to_writer(&mut *out, &listed)?;
        writeln!(out)?;
    }
    Ok(())
}
