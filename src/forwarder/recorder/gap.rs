//! What is lost: written down, said at once with the file and the bytes, and an alarm that stays.

use std::fmt::Write;

use jiff::Timestamp;
use tracing::error;

use super::Recorder;
use crate::{
    alarm::AlarmKind,
    forwarder::journal::{Gap, JournalRecord, Totals, UnixMillis},
    log::{Log, LostRange},
};

impl Recorder {
    /// Bytes that can never be delivered. `events`: how many are known to have been in them.
    pub fn gap(&self, log: &Log, ranges: &[LostRange], events: u64, reason: &str) {
        let gaps = self.gaps_of(log, ranges, events, reason);
        for gap in &gaps {
            let (path, segment, start) = (gap.path.as_deref().unwrap_or("-"), gap.segment, gap.start);
            let (forwarder, source, end) = (&self.forwarder, &gap.source, gap.end);
            if gap.unknown {
                error!(forwarder, source, path, %segment, start, seen_end = end, reason,
                    "events may be lost, nobody knows how many: a gap of unknown size is recorded");
            } else {
                error!(forwarder, source, path, %segment, start, end, reason, "events are lost: a gap is recorded");
            }
        }
        let mut records = self.first_positions(&log.name, ranges.iter().map(|lost| lost.range));
        let text = told(&gaps);
        records.extend(gaps.into_iter().map(JournalRecord::Gap));
        self.append(&records);
        let unknown = ranges.iter().filter(|lost| lost.is_unknown).count() as u64;
        let bytes = ranges.iter().map(LostRange::known_bytes).sum();
        let text = text + &self.earlier_gaps(&log.name, bytes, unknown);
        self.alarms.raise_about(&self.subject(), AlarmKind::Gap, &log.name, text, Timestamp::now());
    }

    fn gaps_of(&self, log: &Log, ranges: &[LostRange], events: u64, reason: &str) -> Vec<Gap> {
        let segments = log.segments();
        let last_before = self.journal().last_announced(&log.name);
        let gap = |(index, lost): (usize, &LostRange)| {
            let segment = segments.iter().find(|segment| segment.id == lost.range.segment);
            Gap {
                source: log.name.to_string(),
                segment: lost.range.segment,
                path: segment.map(|segment| segment.path().display().to_string()),
                start: lost.range.start,
                end: Some(lost.seen_end()),
                unknown: lost.is_unknown,
                events: if index == 0 { events } else { 0 },
                reason: reason.to_owned(),
                last_before,
                first_after: None,
                at: UnixMillis::now(),
            }
        };
        ranges.iter().enumerate().map(gap).collect()
    }

    /// What an alarm says beside the gap that it is about, for it shows its last text only.
    fn earlier_gaps(&self, source: &str, bytes: u64, unknown: u64) -> String {
        let Totals { gap_bytes, unknown_gaps, .. } = self.journal().totals(source);
        let mut text = String::new();
        if gap_bytes > bytes {
            let _ = write!(text, "; with earlier gaps it is {gap_bytes} bytes");
        }
        match unknown_gaps.saturating_sub(unknown) {
            0 => {}
            1 => text += "; one earlier gap is of unknown size, nobody knows how much is lost by it",
            earlier => {
                let _ = write!(
                    text,
                    "; {earlier} earlier gaps are of unknown size, nobody knows how much is lost by them"
                );
            }
        }
        text + "; `auditpost gaps list` has each of them"
    }
}

/// In words.
fn told(gaps: &[Gap]) -> String {
    let first = gaps.iter().find(|gap| gap.unknown).or(gaps.first());
    let Some(gap @ Gap { source, segment, start, reason, .. }) = first else { return String::new() };
    let (path, end) = (gap.path.as_deref().unwrap_or("a file that is gone"), gap.end.unwrap_or(*start));
    let bytes = end.saturating_sub(*start);
    let place = format!("{bytes} bytes, {start} to {end}, of {path} (source {source}, segment {segment})");
    let others = match gaps.len() - 1 {
        0 => String::new(),
        1 => ", and what is lost at another place,".to_owned(),
        others => format!(", and what is lost at {others} other places,"),
    };
    if gap.unknown {
        format!(
            "{place}, and what was added behind them and not seen, nobody knows how much,{others} can never be \
             delivered: {reason}"
        )
    } else {
        format!("{place}{others} can never be delivered: {reason}")
    }
}
