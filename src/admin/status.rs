//! `/status`: all that the pages show, as JSON. `auditpost status` reads it back.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Registry, human};
use crate::{
    VERSION, alarm,
    forwarder::stats::{ForwarderStats, SourceSnapshot},
    source::stats::{IntakeRefusal, SourceStats},
};

/// The whole of it. Times are RFC 3339 in UTC; ages are seconds; sizes are bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    pub version: String,
    pub started: String,
    pub uptime_seconds: u64,
    /// Empty where every loop turns.
    pub stuck: Vec<String>,
    /// Empty where it is ready.
    pub not_ready: Vec<String>,
    pub alarms: Vec<AlarmStatus>,
    pub forwarders: Vec<ForwarderStatus>,
    pub sources: Vec<SourceStatus>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlarmStatus {
    pub object: String,
    pub kind: String,
    pub since: String,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForwarderStatus {
    pub name: String,
    pub state: String,
    pub reason: Option<String>,
    pub since: String,
    pub last_success: Option<String>,
    pub last_error: Option<LastErrorStatus>,
    /// How many ended with each status or failure.
    pub requests: BTreeMap<String, u64>,
    pub sources: Vec<Followed>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastErrorStatus {
    pub at: String,
    pub text: String,
}

/// A source as a forwarder follows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Followed {
    pub source: String,
    pub read: u64,
    pub bytes_read: u64,
    pub delivered: u64,
    pub filtered: u64,
    /// The same by the rule that kept the event back, such as `enabledEvents` or `where[0]`.
    #[serde(default)]
    pub filtered_by: BTreeMap<String, u64>,
    pub dead_lettered: u64,
    pub gap: u64,
    pub gap_bytes: u64,
    /// Of the gaps, those of which nobody knows how large they are; their bytes are those that are known to be lost.
    #[serde(default)]
    pub unknown_gaps: u64,
    pub in_flight: u64,
    /// Values that were too long for their CEF key.
    #[serde(default)]
    pub cef_values_cut: u64,
    pub backlog_bytes: u64,
    /// Zero where all is settled.
    pub oldest_unsettled_age_seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    pub name: String,
    pub files_open: u64,
    pub files_matched: u64,
    pub truncations: u64,
    /// Of clients, that are open.
    #[serde(default)]
    pub connections: u64,
    /// Records, requests and connections that were not taken, for whatever reason.
    #[serde(default)]
    pub refused: u64,
    /// What waits in its spool; absent where there is none.
    #[serde(default)]
    pub spool: Option<SpoolUse>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpoolUse {
    pub bytes: u64,
    pub limit_bytes: u64,
}

impl Status {
    /// What `registry` shows at `now`.
    pub fn of(registry: &Registry, now: Timestamp) -> Self {
        let forwarders = registry.forwarders();
        let sources = registry.sources();
        Self {
            version: VERSION.to_owned(),
            started: registry.started.to_string(),
            uptime_seconds: age_seconds(registry.started, now),
            stuck: registry.health.stuck(),
            not_ready: registry.health.not_ready(),
            alarms: registry.alarms.raised().into_iter().map(AlarmStatus::from).collect(),
            forwarders: forwarders.iter().map(|stats| ForwarderStatus::of(stats, now)).collect(),
            sources: sources.iter().map(|stats| SourceStatus::of(stats)).collect(),
        }
    }
}

impl ForwarderStatus {
    fn of(stats: &ForwarderStats, now: Timestamp) -> Self {
        let shown = stats.snapshot();
        Self {
            name: stats.name().to_owned(),
            state: shown.state.name().to_owned(),
            reason: shown.reason,
            since: shown.since.to_string(),
            last_success: shown.last_success.map(|at| at.to_string()),
            last_error: shown.last_error.map(|error| LastErrorStatus { at: error.at.to_string(), text: error.text }),
            requests: shown.requests.into_iter().map(|(code, durations)| (code, durations.count())).collect(),
            sources: shown.sources.into_iter().map(|source| Followed::of(source, now)).collect(),
        }
    }

    pub fn sum(&self, of: impl Fn(&Followed) -> u64) -> u64 {
        self.sources.iter().map(of).sum()
    }

    /// Of all its sources; zero where all is settled.
    pub fn oldest_unsettled_age_seconds(&self) -> u64 {
        let ages = self.sources.iter().map(|source| source.oldest_unsettled_age_seconds);
        ages.max().unwrap_or(0)
    }
}

impl Followed {
    fn of(shown: SourceSnapshot, now: Timestamp) -> Self {
        let books = shown.books;
        Self {
            source: shown.source,
            read: books.read(),
            bytes_read: books.bytes_read(),
            delivered: books.delivered(),
            filtered: books.filtered(),
            filtered_by: shown.filtered.iter().map(|(rule, events)| (rule.name().into_owned(), events)).collect(),
            dead_lettered: books.dead_lettered(),
            gap: books.gap(),
            gap_bytes: books.gap_bytes(),
            unknown_gaps: books.unknown_gaps(),
            in_flight: books.in_flight(),
            cef_values_cut: books.values_cut(),
            backlog_bytes: shown.backlog_bytes,
            oldest_unsettled_age_seconds: shown.oldest_unsettled.map_or(0, |since| age_seconds(since, now)),
        }
    }
}

impl SourceStatus {
    fn of(stats: &SourceStats) -> Self {
        Self {
            name: stats.name().to_owned(),
            files_open: stats.files_open(),
            files_matched: stats.files_matched(),
            truncations: stats.truncations(),
            connections: stats.connections(),
            refused: IntakeRefusal::ALL.into_iter().map(|reason| stats.refused(reason)).sum(),
            spool: stats.spool().map(|(bytes, limit_bytes)| SpoolUse { bytes, limit_bytes }),
        }
    }
}

impl fmt::Display for SpoolUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", human::bytes(self.bytes), human::bytes(self.limit_bytes))
    }
}

impl From<alarm::Alarm> for AlarmStatus {
    fn from(alarm: alarm::Alarm) -> Self {
        Self {
            object: alarm.subject.to_string(),
            kind: alarm.kind.name().to_owned(),
            since: alarm.since.to_string(),
            text: alarm.text,
        }
    }
}

/// Whole seconds from `since` to `now`; zero where the clock was set back.
pub(super) fn age_seconds(since: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.as_second() - since.as_second()).unwrap_or(0)
}
